//! Who a machine is, by its directory and by its pool.

use flocker_model::{NodeId, VolumeRole};
use uuid::Uuid;

use super::cluster::Cluster;
use super::fake::Trouble;
use super::wish::{Wish, application_name, deployment, node_name};

/// Two machines, of which the first runs an application with a volume.
async fn two_machines() -> Cluster {
    let mut machines = Cluster::new(2);
    machines.converge(&deployment(2, &[Wish::at(0)])).await;
    machines
}

/// The volume would otherwise be a replica of an owner that is gone.
#[tokio::test]
async fn a_node_without_its_directory_takes_its_identity_from_the_pool() {
    let mut machines = two_machines().await;
    let node = node_name(0);
    let id = machines.machine(&node).id;
    machines.lose_directory(&node);
    assert_eq!(machines.machine(&node).id, id);
    let observed = machines.observe().await;
    let copy = &observed.node(&node).unwrap().volumes[&application_name(0)];
    assert!(matches!(copy.role, VolumeRole::Owned { .. }), "{copy:?}");
    machines.converge(&deployment(2, &[Wish::at(0)])).await;
    machines.converge(&deployment(2, &[Wish::at(1)])).await;
}

/// The first look came before the pool was imported, and made an identity up.
#[tokio::test]
async fn an_identity_that_nobody_knows_yields_to_that_of_the_pool() {
    let mut machines = two_machines().await;
    let node = node_name(0);
    let id = machines.machine(&node).id;
    machines.befall_pool(&node, Some(Trouble::Missing));
    machines.lose_directory(&node);
    assert_ne!(machines.machine(&node).id, id);
    machines.befall_pool(&node, None);
    machines.cut_power(&node);
    assert_eq!(machines.machine(&node).id, id);
    machines.converge(&deployment(2, &[Wish::at(0)])).await;
}

#[tokio::test]
async fn a_pool_of_another_node_is_refused() {
    let mut machines = two_machines().await;
    let (node, other) = (node_name(0), NodeId(Uuid::from_u128(7)));
    let own = machines.machine(&node).id.to_string();
    machines.mark_pool(&node, Some(other));
    machines.cut_power(&node);
    let refused = machines.try_to_restore(&node).await.unwrap_err();
    assert!(!machines.runs(&node, &application_name(0)));
    let machine = machines.machine(&node);
    assert_eq!(machine.observe(None).await.unwrap_err(), refused);
    let directory = machine.settings.state_directory.display().to_string();
    let text = format!("{}\n{}", refused.message, refused.hint.unwrap());
    let text = text
        .replace(&own, "OWN")
        .replace(&directory, "/var/lib/flocker");
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn the_first_look_marks_a_pool_that_does_not_say_whose_it_is() {
    let mut machines = two_machines().await;
    let node = node_name(0);
    let id = machines.machine(&node).id;
    machines.mark_pool(&node, None);
    machines.restore(&node).await;
    machines.observe().await;
    machines.lose_directory(&node);
    assert_eq!(machines.machine(&node).id, id);
}
