//! Pools that are missing, suspended or full.

use std::time::Duration;

use flocker_model::Deployment;
use flocker_plan::{Blocked, BlockedKind, plan};

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
