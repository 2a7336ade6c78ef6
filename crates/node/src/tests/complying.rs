//! What a machine does by itself for two files, and what it leaves to whoever speaks with every node.

use flocker_model::{ApplicationName, NodeName};
use flocker_plan::BlockedKind;

use super::cluster::Cluster;
use super::wish::{Wish, application_name, deployment, node_name};
use crate::local::Complied;

/// Names what was left undone, and the nodes that are needed for it; nothing may have failed.
fn left(complied: &Complied) -> Vec<(&ApplicationName, &NodeName)> {
    assert!(complied.failures.is_empty(), "{complied:?}");
    let needing = complied.blocked.iter().map(|blocked| {
        let BlockedKind::NeedsOtherNode { node, .. } = &blocked.kind else {
            panic!("{blocked:?}");
        };
        (blocked.application.as_ref().unwrap(), node)
    });
    needing.collect()
}

#[tokio::test]
async fn other_names_give_an_application_another_network() {
    let mut machines = Cluster::new(1);
    let (node, application) = (node_name(0), application_name(0));
    let named = Wish {
        named: true,
        ..Wish::at(0)
    };
    machines.converge(&deployment(1, &[Wish::at(0)])).await;
    let holder = |machines: &Cluster| machines.machine(&node).containers.holder(&application);
    let before = holder(&machines).unwrap();
    // What stays is its routes, which follow.
    machines.converge(&deployment(1, &[named])).await;
    let renamed = holder(&machines).unwrap();
    assert_ne!(renamed, before);
    machines.converge(&deployment(1, &[named])).await;
    assert_eq!(holder(&machines).unwrap(), renamed);
}

#[tokio::test]
async fn a_machine_complies_as_far_as_it_can_alone() {
    let mut machines = Cluster::new(2);
    let (old, new) = (node_name(0), node_name(1));
    // The last has no volume.
    let [moved, kept, light] = [0, 1, 2].map(application_name);
    machines
        .converge(&deployment(2, &[Wish::at(0), Wish::at(1), Wish::at(0)]))
        .await;
    let limited = Wish {
        limited: true,
        ..Wish::at(1)
    };
    let wanted = deployment(2, &[Wish::at(1), limited, Wish::at(1)]);

    let complied = machines.comply(&new, &wanted).await;
    assert_eq!(left(&complied), [(&moved, &old)]);
    assert_eq!(
        complied.lines,
        [
            format!("Changed `{kept}` on {new}."),
            format!("Deployed `{light}` to {new}."),
        ]
    );
    assert!(machines.runs(&new, &light));
    assert!(!machines.runs(&new, &moved));

    let complied = machines.comply(&old, &wanted).await;
    assert_eq!(left(&complied), [(&moved, &new)]);
    assert_eq!(complied.lines, [format!("Stopped `{light}` on {old}.")]);
    assert!(!machines.runs(&old, &light));
    assert!(machines.runs(&old, &moved), "it stays where its volume is");

    let before = machines.observe().await;
    for node in [&old, &new] {
        let again = machines.comply(node, &wanted).await;
        assert_eq!(left(&again).len(), 1, "{again:?}");
        assert_eq!(again.lines, [""; 0]);
    }
    assert_eq!(machines.observe().await, before, "the second time");
    machines.converge(&wanted).await;
}
