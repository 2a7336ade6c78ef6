//! Who a machine is, by its directory and by its pool.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{NodeId, VolumeRole};
use flocker_plan::{Action, BlockedKind, Doubt, plan};
use flocker_zfs::NodeMark;
use uuid::Uuid;

use super::cluster::{Cluster, cluster};
use super::fake::Trouble;
use super::wish::{Wish, application_name, deployment, name, node_name};
use crate::local::Complied;

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

/// The other nodes forget the address of the broken machine, and admit the new one.
#[tokio::test]
async fn a_pool_in_a_new_machine_keeps_its_identity_and_volumes() {
    let mut machines = two_machines().await;
    let (broken, new, peer) = (node_name(0), node_name(2), node_name(1));
    let id = machines.machine(&broken).id;
    machines.move_pool(&broken, &new);
    assert_eq!(machines.machine(&new).id, id);
    // Nothing was deployed to the new machine, so its boot starts nothing.
    machines.restore(&new).await;
    assert!(!machines.runs(&new, &application_name(0)));
    let mut wanted = deployment(3, &[Wish::at(2)]);
    wanted.nodes.remove(&broken);
    machines.converge(&wanted).await;
    let remembered = machines.machine(&peer).store.members().unwrap();
    let remembered: BTreeSet<_> = remembered.into_iter().map(|member| member.name).collect();
    assert_eq!(remembered, BTreeSet::from([peer, new]));
}

/// The machines were made from one image, in which no program of Flocker had run.
#[tokio::test]
async fn a_node_with_neither_directory_nor_pool_makes_an_identity_up() {
    let machines = Cluster::new(2);
    let id = |index| machines.machine(&node_name(index)).id;
    assert_ne!(id(0), id(1));
    machines.observe().await;
    let mark = |index| machines.node_mark(&node_name(index));
    assert_eq!(mark(0), NodeMark::Node(id(0)));
    assert_eq!(mark(1), NodeMark::Node(id(1)));
}

/// The first look came before the pool was imported, and made an identity up.
#[tokio::test]
async fn a_made_up_identity_yields_to_that_of_the_pool() {
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
async fn the_first_look_marks_the_pool() {
    let mut machines = two_machines().await;
    let node = node_name(0);
    let id = machines.machine(&node).id;
    machines.mark_pool(&node, None);
    machines.restore(&node).await;
    machines.observe().await;
    machines.lose_directory(&node);
    assert_eq!(machines.machine(&node).id, id);
}

/// Returns what a restore was in doubt about.
fn doubt(complied: &Complied) -> Option<&Doubt> {
    match &complied.blocked[..] {
        [blocked] => match &blocked.kind {
            BlockedKind::OwnerDoubted { doubt } => Some(doubt),
            _ => None,
        },
        _ => None,
    }
}

#[tokio::test]
async fn a_clone_does_not_start_while_the_original_answers() {
    let mut machines = two_machines().await;
    let (original, application) = (node_name(0), application_name(0));
    let copy = name("10.0.0.9");
    machines.clone_machine(&original, &copy);
    let complied = machines.restore(&copy).await;
    let Some(Doubt::TwinAnswers { address, .. }) = doubt(&complied) else {
        panic!("{complied:?}");
    };
    assert_eq!(Some(*address), original.as_address());
    assert!(!machines.runs(&copy, &application));
    // The original asks at its own address, too, and meets itself.
    machines.cut_power(&original);
    let complied = machines.restore(&original).await;
    assert!(complied.blocked.is_empty() && complied.silent.is_empty());
    assert!(machines.runs(&original, &application));
    machines.check_owners();
}

/// No cluster would come back from a power cut otherwise: a machine that moved to another address gets no
/// answer at its former one.
#[tokio::test]
async fn a_silent_own_address_does_not_hinder_a_boot() {
    let mut machines = two_machines().await;
    let node = node_name(0);
    machines.cut_power(&node);
    machines.part(&node);
    let complied = machines.restore(&node).await;
    assert!(complied.silent.is_empty(), "{complied:?}");
    assert!(machines.runs(&node, &application_name(0)));
}

/// A peer remembers what the node has forgotten.
#[tokio::test]
async fn a_node_from_a_backup_does_not_start_beside_a_newer_replica() {
    let mut machines = two_machines().await;
    let (node, application) = (node_name(0), application_name(0));
    let backup = machines.fork();
    let moved = deployment(2, &[Wish::at(1)]);
    let made = plan(&cluster(&moved), &machines.observe().await);
    // The deploy dies once it has sent what was written so far.
    for step in made.steps() {
        let shared = BTreeMap::new();
        let done = machines.run((&step.node, &step.action), &shared);
        done.await.unwrap();
        if matches!(step.action, Action::PushVolume { .. }) {
            break;
        }
    }
    machines.restore_backup(&node, &backup);
    let complied = machines.restore(&node).await;
    assert!(
        matches!(doubt(&complied), Some(Doubt::Rewound { says, .. }) if *says == node_name(1)),
        "{complied:?}"
    );
    assert!(!machines.runs(&node, &application));
    // A silent peer does not hinder it.
    machines.part(&node_name(1));
    machines.restore(&node).await;
    assert!(machines.runs(&node, &application));
}
