use flocker_model::{Members, PoolProblem};

use super::*;

/// Nothing has been asked yet.
fn nothing() -> Gathered {
    Gathered::empty(Caller::default())
}

fn name(text: &str) -> NodeName {
    NodeName::try_from(text.to_owned()).unwrap()
}

/// It is told as what it is, and neither as one that is away nor as one without volumes.
#[test]
fn a_machine_without_its_pool_is_there_and_its_volumes_are_unknown() {
    let mut gathered = nothing();
    let poolless = PoollessNode {
        id: NodeId(uuid::Uuid::from_u128(1)),
        version: "1".to_owned(),
        pool: "tank".to_owned(),
        problem: PoolProblem::Suspended,
        members: Members::new(),
    };
    let look = Look::WithoutPool(Box::new(poolless));
    gathered.note_look(name("node1"), look);
    assert_eq!(gathered.unusable().collect::<Vec<_>>(), [&name("node1")]);
    assert!(gathered.observed.node(&name("node1")).is_none());
    let failure = &gathered.failures[&name("node1")];
    assert_eq!(failure.exit, Exit::Blocked);
    insta::assert_snapshot!(failure, @r"
    error: pool tank of node1 is suspended, so that it is not known which volumes are there
      hint: look at `zpool status tank` on node1; once its devices are back, `zpool clear tank` there lets it go on
    ");
}

#[test]
fn a_machine_that_is_only_busy_is_there() {
    let mut gathered = nothing();
    for (node, presence) in [("node1", Presence::Busy), ("node2", Presence::Absent)] {
        let failure = Failure::new(Exit::Blocked, format!("{node}: somebody changes it"));
        gathered.note((name(node), Err(NotBegun { failure, presence })));
    }
    assert_eq!(gathered.unusable().collect::<Vec<_>>(), [&name("node1")]);
    assert!(matches!(
        &gathered.observed.nodes[&name("node2")],
        NodeObservation::Unreachable { reason } if reason == "node2: somebody changes it"
    ));
}

fn id(number: u128) -> NodeId {
    NodeId(uuid::Uuid::from_u128(number))
}

/// Its applications would be taken down otherwise, as what the deployment does not have.
#[test]
fn a_stranger_at_a_remembered_name_is_left_alone() {
    let mut gathered = nothing();
    let contact = "{\"address\": \"10.0.0.2\", \"ssh_port\": 22}";
    let ssh = "{\"public_key\": \"\", \"host_keys\": []}";
    let member = format!(
        "{{\"node2\": {{\"id\": \"{}\", \"contact\": {contact}, \"ssh\": {ssh}}}}}",
        id(2)
    );
    let poolless = PoollessNode {
        id: id(1),
        version: "1".to_owned(),
        pool: "tank".to_owned(),
        problem: PoolProblem::Suspended,
        members: serde_json::from_str(&member).unwrap(),
    };
    gathered.note_look(name("node1"), Look::WithoutPool(Box::new(poolless)));
    assert!(gathered.is_expected(id(2)));
    assert!(!gathered.is_expected(id(3)));
    assert!(!gathered.is_expected(id(1)));
    gathered.caller.exclusive = true;
    assert!(gathered.is_expected(id(1)));
    // The other node answers there, of which this run has the lock.
    let failure = Failure::new(Exit::Blocked, "it is locked");
    let presence = Presence::Ourselves;
    gathered.note_remembered((name("node2"), Err(NotBegun { failure, presence })));
    let found = &gathered.observed.nodes[&name("node2")];
    assert!(
        matches!(found, NodeObservation::Unreachable { .. }),
        "{found:?}"
    );
}

/// A machine that was renamed is asked under its old name, too, and one that is locked by
/// somebody else there cannot be the one that is locked by us.
#[test]
fn only_a_clone_is_noted_under_a_former_name() {
    let mut gathered = nothing();
    for (node, presence) in [
        ("gone", Presence::Absent),
        ("another", Presence::Answers),
        ("itself", Presence::Ourselves),
        ("clone", Presence::Busy),
    ] {
        let failure = Failure::new(Exit::Blocked, "it is locked");
        gathered.note_other_name((name(node), Err(NotBegun { failure, presence })));
    }
    assert_eq!(gathered.unusable().collect::<Vec<_>>(), [&name("clone")]);
    assert_eq!(gathered.observed.nodes.len(), 1);
}
