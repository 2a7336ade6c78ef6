//! Pools that are missing, suspended or full.

use std::time::Duration;

use flocker_model::{Deployment, VolumeHolder};
use flocker_plan::{Action, Blocked, BlockedKind, plan};

use super::cluster::{Cluster, cluster};
use super::fake::Trouble;
use super::wish::{Wish, application_name, deployment, node_name};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Wants one application with a volume, on one of two machines.
fn on(place: usize) -> Deployment {
    deployment(2, &[Wish::at(place)])
}

/// Tells whether it is said of the first machine that its volumes are unknown.
fn is_unknown(blocked: &Blocked) -> bool {
    matches!(
        &blocked.kind,
        BlockedKind::PoolUnusable { node, volumes_seen: false, .. } if *node == node_name(0)
    )
}

/// A volume that cannot be looked at is not absent: no empty one takes its place, neither by a
/// deploy nor when the machine restores itself, and none of them waits for the pool.
#[tokio::test]
async fn no_volume_is_made_while_a_pool_is_out_of_reach() {
    for trouble in [Trouble::Missing, Trouble::Suspended] {
        let mut machines = Cluster::new(2);
        machines.converge(&on(0)).await;
        machines.befall_pool(&node_name(0), Some(trouble));
        for wanted in [on(0), on(1)] {
            let look = tokio::time::timeout(PATIENCE, machines.observe());
            let made = plan(&cluster(&wanted), &look.await.unwrap());
            assert!(made.blocked.iter().any(is_unknown), "{made}");
            let application = application_name(0);
            let mut steps = made.steps().iter();
            let touched = steps.find(|step| step.action.application() == Some(&application));
            assert_eq!(touched, None, "{made}");
        }
        let node = node_name(0);
        let restored = tokio::time::timeout(PATIENCE, machines.restore(&node));
        let restored = restored.await.unwrap();
        assert!(restored.lines.is_empty(), "{restored:?}");
        assert!(restored.blocked.iter().any(is_unknown), "{restored:?}");
        // Everything is there again with the pool, and every record.
        machines.befall_pool(&node_name(0), None);
        machines.converge(&on(1)).await;
    }
}

/// The unit of the restore runs it again until somebody has loaded the key.
#[tokio::test]
async fn a_boot_starts_what_needs_no_key_and_the_rest_once_it_is_loaded() {
    let mut machines = Cluster::new(1);
    let node = node_name(0);
    // The last has no volume.
    let [first, second, light] = [0, 1, 2].map(application_name);
    machines.converge(&deployment(1, &[Wish::at(0); 3])).await;
    machines.cut_power(&node);
    machines.befall_pool(&node, Some(Trouble::Locked));
    let restored = machines.restore(&node).await;
    assert!(restored.waits_for_key() && restored.failures.is_empty());
    assert_eq!(restored.lines, [format!("Started `{light}` on {node}.")]);
    let waiting: Vec<_> = restored.blocked.iter().map(ToString::to_string).collect();
    let said = |name| {
        format!(
            "`{name}`: its volume on {node} is encrypted, and the key of tank/flocker is not loaded"
        )
    };
    assert_eq!(waiting, [said(&first), said(&second)]);
    for wanted in [
        Wish::at(0),
        Wish {
            place: None,
            ..Wish::at(0)
        },
    ] {
        let made = plan(
            &cluster(&deployment(1, &[wanted])),
            &machines.observe().await,
        );
        let makes = |action: &Action| matches!(action, Action::CreateVolume { .. });
        assert!(
            !made.steps().iter().any(|step| makes(&step.action)),
            "{made}"
        );
    }
    machines.befall_pool(&node, None);
    let restored = machines.restore(&node).await;
    assert!(!restored.waits_for_key() && restored.blocked.is_empty());
    let started = [&first, &second].map(|name| format!("Started `{name}` on {node}."));
    assert_eq!(restored.lines, started);
    assert!(machines.runs(&node, &first));
}

/// After the stop it would be too late: the application is down then, and cannot be moved.
#[tokio::test]
async fn a_mount_elsewhere_is_seen_before_the_application_is_stopped() {
    let mut machines = Cluster::new(2);
    let (node, name) = (node_name(0), application_name(0));
    machines.converge(&on(0)).await;
    let seen = machines.observe().await;
    let own = seen.node(&node).unwrap().containers[&name].id.clone();
    let holder = |process, container: &str| VolumeHolder {
        process,
        command: "tar".to_owned(),
        container: Some(container.to_owned()),
    };
    let backup = holder(4711, &"b".repeat(64));
    machines.keep_mounted(&node, &name, vec![holder(1, &own), backup.clone()]);
    let made = plan(&cluster(&on(1)), &machines.observe().await);
    let kinds: Vec<_> = made.blocked.iter().map(|blocked| &blocked.kind).collect();
    let holders = vec![backup];
    assert_eq!(
        kinds,
        [&BlockedKind::HeldElsewhere {
            node: node.clone(),
            holders
        }]
    );
    assert!(machines.runs(&node, &name));
    machines.keep_mounted(&node, &name, Vec::new());
    machines.converge(&on(1)).await;
}

#[tokio::test]
async fn a_source_without_space_keeps_its_application_running() {
    let mut machines = Cluster::new(2);
    machines.converge(&on(0)).await;
    machines.befall_pool(&node_name(0), Some(Trouble::Full));
    let made = plan(&cluster(&on(1)), &machines.observe().await);
    assert!(made.blocked.is_empty(), "{made}");
    let failure = machines.drive(&made).await.unwrap_err();
    for told in [
        "push app-0 to 10.0.0.2 while it runs",
        "cannot snapshot tank/flocker/app-0@",
        "No space left on device",
        "free space in pool tank",
        "`zfs list -o space -r tank`",
    ] {
        assert!(failure.contains(told), "{told} is not in {failure}");
    }
    assert!(machines.runs(&node_name(0), &application_name(0)));
    machines.befall_pool(&node_name(0), None);
    machines.converge(&on(1)).await;
}
