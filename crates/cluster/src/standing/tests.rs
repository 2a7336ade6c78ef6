//! Texts about applications that are not as wanted.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{
    ByteCount, Contact, Digest, Epoch, Health, Member, Members, NodeObservation, NodeState,
    PoolHealth, PoolState, Port, SnapshotGuid, SshIdentity,
};

use super::*;

fn name<T: TryFrom<String>>(text: &str) -> T {
    T::try_from(text.to_owned()).unwrap_or_else(|_| panic!("`{text}` is not a name"))
}

fn id(number: u8) -> NodeId {
    NodeId(uuid::Uuid::from_u128(u128::from(number)))
}

fn node_name(number: u8) -> NodeName {
    name(&format!("node{number}"))
}

/// Nodes that know each other, and have nothing.
fn nodes(count: u8) -> Observed {
    let member = |number| Member {
        id: id(number),
        name: node_name(number),
        contact: Contact {
            address: [10, 0, 0, number].into(),
            ssh_port: Port::new(22).unwrap(),
        },
        ssh: SshIdentity::default(),
        emptied: false,
        volumes: BTreeSet::new(),
    };
    let members: Members = (1..=count).map(member).collect();
    let pool = PoolState {
        dataset: "tank/flocker".to_owned(),
        health: PoolHealth::Usable,
        available: ByteCount::ZERO,
        sync_disabled: None,
    };
    let state = |number| NodeState {
        members: members.clone(),
        ..NodeState::fresh(id(number), "1", pool.clone())
    };
    let seen = |number| NodeObservation::Seen(Box::new(state(number)));
    Observed {
        nodes: (1..=count)
            .map(|number| (node_name(number), seen(number)))
            .collect(),
        ..Observed::default()
    }
}

fn state(observed: &mut Observed, number: u8) -> &mut NodeState {
    match observed.nodes.get_mut(&node_name(number)) {
        Some(NodeObservation::Seen(state)) => state,
        other => panic!("{other:?}"),
    }
}

/// Gives a node a copy of `db`.
fn give_copy(observed: &mut Observed, number: u8, role: VolumeRole) {
    let copy = VolumeCopy {
        role,
        snapshots: BTreeMap::new(),
        newest_snapshot: None,
        written: ByteCount::ZERO,
        referenced: ByteCount::ZERO,
        maximum_size: None,
        mounted: None,
        resumable: false,
        is_first_copy: false,
        deployment: None,
        key_needed: None,
        held_by: Vec::new(),
        import: None,
    };
    state(observed, number).volumes.insert(name("db"), copy);
}

fn owned(epoch: u64) -> VolumeRole {
    VolumeRole::Owned {
        epoch: Epoch(epoch),
    }
}

fn replica(owner: u8, epoch: u64) -> VolumeRole {
    VolumeRole::Replica {
        owner: id(owner),
        epoch: Epoch(epoch),
        handoff: None,
    }
}

fn handed_to(owner: u8, epoch: u64) -> VolumeRole {
    VolumeRole::Replica {
        owner: id(owner),
        epoch: Epoch(epoch),
        handoff: Some(SnapshotGuid(7)),
    }
}

/// Gives a node a container of `db`.
fn give_container(
    observed: &mut Observed,
    number: u8,
    (status, unit): (ContainerStatus, UnitState),
) {
    let container = ContainerState {
        id: "c1".to_owned(),
        configuration: Digest::of(b"db"),
        status,
        unit,
        links: None,
        anonymous_volumes: BTreeSet::new(),
        volume: None,
        just_started: false,
    };
    let containers = &mut state(observed, number).containers;
    containers.insert(name("db"), container);
}

fn running() -> ContainerStatus {
    ContainerStatus::Running {
        since: "2014-08-01T00:00:00Z".to_owned(),
        health: Health::Unchecked,
    }
}

const STOPPED: ContainerStatus = ContainerStatus::Stopped { exit_code: 0 };

fn lose(observed: &mut Observed, number: u8) {
    let reason = "no route to host".to_owned();
    let lost = NodeObservation::Unreachable { reason };
    observed.nodes.insert(node_name(number), lost);
}

fn told(observed: &Observed) -> String {
    standing(&name("db"), &name("db"), observed)
}

/// Returns the text about an application that sees the volume of `db`.
fn told_of_sharer(observed: &Observed) -> String {
    let backup = name("backup");
    let plan = Plan::default();
    let owner = volume_owner(&backup, &plan, observed);
    standing(&backup, owner, observed)
}

#[test]
fn what_runs_is_not_said_to_be_down() {
    let mut observed = nodes(2);
    give_copy(&mut observed, 1, owned(1));
    give_container(&mut observed, 1, (running(), UnitState::Active));
    lose(&mut observed, 2);
    assert_eq!(told(&observed), "`db` runs on node1");
}

#[test]
fn what_is_down_is_told_with_where_its_data_is() {
    let mut observed = nodes(2);
    give_copy(&mut observed, 1, owned(1));
    give_copy(&mut observed, 2, replica(1, 1));
    // Whether the other node is seen does not matter: it cannot own what it was not given.
    for lost in [false, true] {
        if lost {
            lose(&mut observed, 2);
        }
        for (container, expected) in [
            (
                (STOPPED, UnitState::Missing),
                "`db` is stopped on node1, which owns its data",
            ),
            (
                (STOPPED, UnitState::Activating),
                "`db` does not run as it should on node1, which owns its data",
            ),
            (
                (running(), UnitState::Deactivating),
                "`db` does not run as it should on node1, which owns its data",
            ),
        ] {
            give_container(&mut observed, 1, container);
            assert_eq!(told(&observed), expected);
        }
        state(&mut observed, 1).containers.clear();
        assert_eq!(
            told(&observed),
            "`db` does not run on node1, which owns its data"
        );
    }
}

/// It may run there: nobody is told that it does not.
#[test]
fn of_what_an_unseen_node_owns_nothing_is_claimed() {
    let mut observed = nodes(2);
    give_copy(&mut observed, 2, replica(1, 1));
    lose(&mut observed, 1);
    assert_eq!(
        told(&observed),
        "it is not known whether `db` runs: node1, which owns its data, could not be seen"
    );
    give_copy(&mut observed, 2, replica(9, 1));
    assert_eq!(
        told(&observed),
        "it is not known whether `db` runs: the node that owns its data could not be seen"
    );
    // Its new owner may have taken it and started it.
    let mut observed = nodes(2);
    give_copy(&mut observed, 1, handed_to(2, 2));
    give_container(&mut observed, 1, (STOPPED, UnitState::Missing));
    lose(&mut observed, 2);
    assert_eq!(
        told(&observed),
        "it is not known whether `db` runs: node2, which owns its data, could not be seen"
    );
}

#[test]
fn what_nobody_owns_is_told_with_who_is_to_take_it() {
    let mut observed = nodes(2);
    give_copy(&mut observed, 1, handed_to(2, 2));
    give_copy(&mut observed, 2, replica(1, 1));
    assert_eq!(
        told(&observed),
        "`db` does not run: node1 has given its data up to node2, which has not taken it yet"
    );
    give_copy(&mut observed, 2, owned(2));
    assert_eq!(
        told(&observed),
        "`db` does not run on node2, which owns its data"
    );
}

#[test]
fn copies_that_disagree_are_not_interpreted() {
    let disagree =
        "`db` does not run where it was seen, and its copies disagree on who owns its data";
    let mut observed = nodes(2);
    give_copy(&mut observed, 1, owned(2));
    give_copy(&mut observed, 2, owned(2));
    assert_eq!(told(&observed), disagree);
    // Neither has given it up, and the one that is named does not claim it.
    give_copy(&mut observed, 1, replica(2, 2));
    give_copy(&mut observed, 2, replica(2, 2));
    assert_eq!(told(&observed), disagree);
}

#[test]
fn without_data_all_nodes_must_have_been_seen() {
    let mut observed = nodes(3);
    assert_eq!(told(&observed), "`db` does not run on any node");
    give_container(&mut observed, 1, (STOPPED, UnitState::Missing));
    assert_eq!(told(&observed), "`db` is stopped on node1");
    lose(&mut observed, 2);
    assert_eq!(
        told(&observed),
        "it is not known whether `db` runs: node2 could not be seen"
    );
    lose(&mut observed, 3);
    assert_eq!(
        told(&observed),
        "it is not known whether `db` runs: node2 and node3 could not be seen"
    );
}

#[test]
fn a_sharer_is_told_with_where_the_volume_is() {
    let mut observed = nodes(2);
    give_container(&mut observed, 1, (STOPPED, UnitState::Missing));
    let containers = &mut state(&mut observed, 1).containers;
    let mut container = containers.remove(&name::<ApplicationName>("db")).unwrap();
    container.volume = Some(name("db"));
    containers.insert(name("backup"), container);
    assert_eq!(
        told_of_sharer(&observed),
        "`backup` is stopped on node1; it sees the volume of `db`, of which no copy was seen"
    );
    give_copy(&mut observed, 1, owned(1));
    assert_eq!(
        told_of_sharer(&observed),
        "`backup` is stopped on node1, which owns the volume of `db` that it sees"
    );
    give_copy(&mut observed, 1, handed_to(2, 2));
    give_copy(&mut observed, 2, replica(1, 1));
    assert_eq!(
        told_of_sharer(&observed),
        "`backup` does not run: it sees the volume of `db`, which node1 has given up to node2, and \
         node2 has not taken it yet"
    );
    give_copy(&mut observed, 2, owned(2));
    assert_eq!(
        told_of_sharer(&observed),
        "`backup` does not run on node2, which owns the volume of `db` that it sees"
    );
    give_copy(&mut observed, 1, owned(2));
    assert_eq!(
        told_of_sharer(&observed),
        "`backup` does not run where it was seen: it sees the volume of `db`, whose copies disagree \
         on who owns it"
    );
    give_copy(&mut observed, 1, handed_to(2, 2));
    lose(&mut observed, 2);
    assert_eq!(
        told_of_sharer(&observed),
        "it is not known whether `backup` runs: node2, which owns the volume of `db` that it sees, \
         could not be seen"
    );
}
