//! A lost owner's place is taken, and the owner comes back.

use flocker_model::{Deployment, NodeId, NodeName, Observed};
use flocker_plan::{
    BlockedKind, Doubt, Plan, Promotion, SettingAside, plan, plan_promotion, plan_setting_aside,
};
use flocker_remote::protocol::{FORMER_PROTOCOLS, FrameWriter};
use serde_json::json;

use super::cluster::{Cluster, cluster};
use super::wish::{Wish, application_name, deployment, node_name};

pub(super) const NODES: usize = 3;

/// One application at a place.
pub(super) fn on(place: usize) -> Deployment {
    let idle = Wish {
        place: None,
        ..Wish::at(0)
    };
    deployment(NODES, &[Wish::at(place), idle, idle])
}

/// The application went from the first machine to the second and on to the third.
pub(super) async fn moved_twice() -> Cluster {
    let mut machines = Cluster::new(NODES);
    for place in [0, 1, 2] {
        machines.converge(&on(place)).await;
    }
    machines
}

/// What is seen while some machines are out of the operator's sight.
pub(super) async fn without(machines: &Cluster, lost: &[NodeName]) -> Observed {
    let mut observed = machines.observe().await;
    for name in lost {
        let reason = "no route to host".to_owned();
        let unseen = flocker_model::NodeObservation::Unreachable { reason };
        observed.nodes.insert(name.clone(), unseen);
    }
    observed
}

/// Plans that a machine takes the place of a lost owner.
pub(super) fn promote(observed: &Observed, place: usize) -> Plan {
    let promotion = Promotion {
        application: application_name(0),
        node: node_name(place),
        accept_loss_since: 0,
        with_changes: false,
    };
    plan_promotion(&promotion, observed).unwrap()
}

/// Plans that a machine's copy is set aside.
pub(super) fn set_aside(observed: &Observed, node: &NodeName) -> Plan {
    plan_setting_aside(&setting_aside(node, false), observed).unwrap()
}

/// Plans the same although no other machine has a copy.
pub(super) fn set_only_copy_aside(observed: &Observed, node: &NodeName) -> Plan {
    plan_setting_aside(&setting_aside(node, true), observed).unwrap()
}

fn setting_aside(node: &NodeName, only_copy: bool) -> SettingAside {
    SettingAside {
        application: application_name(0),
        node: node.clone(),
        only_copy,
        at: 0,
    }
}

#[tokio::test]
async fn an_owner_that_came_back_does_not_start_and_is_set_aside() {
    let mut machines = moved_twice().await;
    let lost = node_name(2);
    let observed = without(&machines, std::slice::from_ref(&lost)).await;
    machines.part(&lost);
    machines.drive(&promote(&observed, 1)).await.unwrap();

    // It boots beside a peer that knows better.
    machines.rejoin(&lost);
    machines.cut_power(&lost);
    let complied = machines.restore(&lost).await;
    assert!(
        matches!(
            &complied.blocked[..],
            [blocked] if matches!(&blocked.kind, BlockedKind::Superseded { says, .. } if *says == node_name(1))
        ),
        "{complied:?}"
    );
    assert_eq!(complied.lines, [""; 0]);
    assert!(complied.silent.is_empty());
    assert!(!machines.runs(&lost, &application_name(0)));

    let observed = machines.observe().await;
    let refused = plan(&cluster(&on(1)), &observed);
    assert!(
        matches!(
            refused.blocked[0].kind,
            BlockedKind::OwnersContradict { .. }
        ),
        "{refused}"
    );
    machines.drive(&set_aside(&observed, &lost)).await.unwrap();
    assert_eq!(machines.kept_aside(&lost), 1);
    machines.forget_acknowledged(&application_name(0));
    machines.converge(&on(1)).await;
    machines.converge(&on(2)).await;
}

#[tokio::test]
async fn a_machine_beside_silent_peers_starts_what_it_owns_and_says_whom_it_did_not_ask() {
    let mut machines = moved_twice().await;
    let (booting, silent) = (node_name(2), [node_name(0), node_name(1)]);
    for peer in &silent {
        machines.part(peer);
    }
    machines.cut_power(&booting);
    let complied = machines.restore(&booting).await;
    assert!(complied.blocked.is_empty(), "{complied:?}");
    assert!(machines.runs(&booting, &application_name(0)));
    let asked: Vec<&NodeName> = complied.silent.keys().collect();
    assert_eq!(asked, silent.iter().collect::<Vec<_>>());
    // Nothing is started now, so that nobody is asked.
    let again = machines.restore(&booting).await;
    assert!(again.silent.is_empty(), "{again:?}");
}

#[tokio::test]
async fn an_owner_that_only_the_operator_cannot_reach_is_not_lost() {
    let machines = moved_twice().await;
    let observed = without(&machines, &[node_name(2)]).await;
    let refused = machines.drive(&promote(&observed, 1)).await.unwrap_err();
    assert!(
        refused.contains("10.0.0.3 answers this node, and owns the volume"),
        "{refused}"
    );
    machines.check_owners();
}

#[tokio::test]
async fn a_peer_that_knows_of_a_later_owner_keeps_an_old_replica_from_its_place() {
    let machines = moved_twice().await;
    // The second machine gave the volume to the third; the first does not know.
    machines.part(&node_name(2));
    let observed = without(&machines, &[node_name(1), node_name(2)]).await;
    let refused = machines.drive(&promote(&observed, 0)).await.unwrap_err();
    assert!(
        refused.contains("10.0.0.2 answers this node, and knows that node"),
        "{refused}"
    );
    machines.check_owners();
}

/// What a machine says that does not speak what others do.
async fn said(messages: &[serde_json::Value]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = FrameWriter::new(&mut bytes);
    for message in messages {
        writer.send(message).await.unwrap();
    }
    bytes
}

/// Answers that are none, each with what is told of it.
async fn misunderstandings() -> Vec<(Vec<u8>, &'static str)> {
    let hello = |protocol: u32| json!({"answer": "hello", "protocol": protocol, "release": "R"});
    let failed = json!({
        "answer": "failed", "message": "the other side sent something that is not a message of \
        this protocol", "causes": [], "hint": null, "stale": false,
    });
    let newer = json!({"answer": "hello", "protocol": 9, "release": "R", "dialect": "x"});
    let former = hello(*FORMER_PROTOCOLS.end());
    let other = json!({"answer": "loaded"});
    vec![
        (
            said(&[hello(1)]).await,
            "has flocker-node R, which speaks protocol 1, and this",
        ),
        (
            said(&[newer]).await,
            "has flocker-node R, which speaks protocol 9, and this",
        ),
        (
            said(&[failed]).await,
            "does not say which protocol it speaks",
        ),
        (
            said(std::slice::from_ref(&other)).await,
            "answer to another question",
        ),
        (
            said(&[json!({"answer": "greetings"})]).await,
            "unknown variant",
        ),
        (
            said(&[former.clone(), other]).await,
            "answer to another question",
        ),
        (
            said(&[former.clone(), json!({"answer": "claimed"})]).await,
            "missing field",
        ),
        (
            said(&[former, json!([])]).await,
            "not a message of this protocol",
        ),
        (b"Welcome to db1!\n".to_vec(), "began with the text"),
        (vec![0xff; 9], "4294967295 bytes"),
    ]
}

/// A peer that answers is there, and may be the owner by now: this is no silence.
#[tokio::test]
async fn no_volume_starts_beside_a_peer_that_is_not_understood() {
    let mut machines = moved_twice().await;
    let (booting, peer) = (node_name(2), node_name(1));
    for (says, expected) in misunderstandings().await {
        machines.script(&peer, Some(says));
        machines.cut_power(&booting);
        let complied = machines.restore(&booting).await;
        assert!(!machines.runs(&booting, &application_name(0)), "{expected}");
        let [blocked] = &complied.blocked[..] else {
            panic!("{expected}: {complied:?}");
        };
        let BlockedKind::OwnerDoubted {
            doubt: Doubt::PeerNotUnderstood {
                peer: of, reason, ..
            },
        } = &blocked.kind
        else {
            panic!("{expected}: {blocked}");
        };
        assert!(*of == peer && reason.contains(expected), "{blocked}");
        assert!(complied.silent.is_empty(), "{complied:?}");
    }
    // Its operator switches it off, and the volume starts.
    machines.part(&peer);
    machines.restore(&booting).await;
    assert!(machines.runs(&booting, &application_name(0)));
}

/// A machine that accepts connections is there, and may be the owner, however busy it is.
#[tokio::test(start_paused = true)]
async fn no_volume_starts_beside_a_peer_that_does_not_answer_in_time() {
    let mut machines = moved_twice().await;
    let (booting, peer) = (node_name(2), node_name(1));
    machines.set_busy(&peer, true);
    machines.cut_power(&booting);
    let complied = machines.restore(&booting).await;
    assert!(!machines.runs(&booting, &application_name(0)));
    let [blocked] = &complied.blocked[..] else {
        panic!("{complied:?}");
    };
    let said = blocked.to_string();
    assert!(said.contains("no answer within 120 s"), "{said}");
    machines.set_busy(&peer, false);
    machines.restore(&booting).await;
    assert!(machines.runs(&booting, &application_name(0)));
}

/// What a peer says that has a release from before the frozen question.
async fn former_release(protocol: u32, owner: NodeId, epoch: u64) -> Vec<u8> {
    let hello = json!({"answer": "hello", "protocol": protocol, "release": "0.0.9"});
    let claims = json!({application_name(0).as_str(): {"owner": owner, "epoch": epoch}});
    said(&[hello, json!({"answer": "claimed", "claims": claims})]).await
}

/// A cluster whose nodes have two releases comes back from a power cut, and yet an owner that was
/// replaced does not start.
#[tokio::test]
async fn a_peer_of_a_former_release_is_asked_in_its_own_words() {
    let mut machines = moved_twice().await;
    let (booting, peer) = (node_name(2), node_name(1));
    let id = |name: &NodeName| machines.machine(name).id;
    let (own, other) = (id(&booting), id(&peer));
    for protocol in FORMER_PROTOCOLS {
        for (owner, epoch, starts) in [(own, 3, true), (other, 1003, false)] {
            let says = former_release(protocol, owner, epoch).await;
            machines.script(&peer, Some(says));
            machines.cut_power(&booting);
            let complied = machines.restore(&booting).await;
            assert_eq!(machines.runs(&booting, &application_name(0)), starts);
            assert!(complied.silent.is_empty(), "{complied:?}");
            let superseded = matches!(
                &complied.blocked[..],
                [blocked] if matches!(blocked.kind, BlockedKind::Superseded { .. })
            );
            assert_eq!(superseded, !starts, "protocol {protocol}: {complied:?}");
        }
    }
}

#[tokio::test]
async fn a_peer_that_ends_without_a_word_or_cannot_find_out_is_as_one_that_is_away() {
    let mut machines = moved_twice().await;
    let (booting, peer) = (node_name(2), node_name(1));
    let hello = json!({"answer": "hello", "protocol": FORMER_PROTOCOLS.end(), "release": "R"});
    let failed = json!({
        "answer": "failed", "message": "no such pool", "causes": [], "hint": null, "stale": false,
    });
    let cut = {
        let mut whole = said(std::slice::from_ref(&hello)).await;
        whole.truncate(9);
        whole
    };
    for says in [Vec::new(), cut, said(&[hello, failed]).await] {
        machines.script(&peer, Some(says));
        machines.cut_power(&booting);
        let complied = machines.restore(&booting).await;
        assert!(complied.blocked.is_empty(), "{complied:?}");
        assert_eq!(complied.silent.keys().collect::<Vec<_>>(), [&peer]);
        assert!(machines.runs(&booting, &application_name(0)));
    }
}

#[tokio::test]
async fn no_replica_takes_the_place_of_an_owner_while_somebody_is_not_understood() {
    let machines = moved_twice().await;
    let lost = node_name(2);
    let observed = without(&machines, std::slice::from_ref(&lost)).await;
    machines.script(&lost, Some(said(&[json!({"answer": "greetings"})]).await));
    let refused = machines.drive(&promote(&observed, 1)).await.unwrap_err();
    assert!(
        refused
            .contains("10.0.0.3 is there, and this node cannot learn whether it owns the volume"),
        "{refused}"
    );
    assert!(refused.contains("install the same release"), "{refused}");
    machines.check_owners();
}
