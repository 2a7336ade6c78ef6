//! Volumes that several applications see, and paths of the node.

use std::collections::BTreeMap;

use flocker_model::{Deployment, HostMount, HostPath};
use flocker_plan::{Action, StopKind, plan};

use super::cluster::{Cluster, cluster};
use super::wish::{Wish, application_name, deployment, name, node_name};

/// The first application, and the last, which sees the volume of the first.
fn shared(place: usize) -> Deployment {
    let user = Wish {
        shares: true,
        ..Wish::at(place)
    };
    let idle = Wish {
        place: None,
        ..Wish::at(0)
    };
    deployment(2, &[Wish::at(place), idle, user])
}

#[tokio::test]
async fn a_volume_stays_mounted_until_its_last_user_is_down() {
    let mut machines = Cluster::new(2);
    let node = node_name(0);
    machines.converge(&shared(0)).await;
    let [owner, user] = [0, 2].map(application_name);
    for order in [[&owner, &user], [&user, &owner]] {
        let machines = machines.fork();
        for (index, application) in order.into_iter().enumerate() {
            let stop = Action::StopApplication {
                application: application.clone(),
                kind: StopKind::ForNow,
            };
            machines
                .run((&node, &stop), &BTreeMap::new())
                .await
                .unwrap();
            let observed = machines.observe().await;
            let copy = &observed.node(&node).unwrap().volumes[&owner];
            assert_eq!(copy.mounted.is_some(), index == 0, "{order:?}");
            machines.check_owners();
        }
    }
}

/// A user's unit is as good as any to mount the volume, and none does where it is not owned any more.
#[tokio::test]
async fn a_user_is_made_ready_only_where_the_volume_is_owned() {
    let mut machines = Cluster::new(2);
    let user = application_name(2);
    machines.converge(&shared(0)).await;
    machines.cut_power(&node_name(0));
    machines.prepare(&node_name(0), &user).await.unwrap();
    machines.check_owners();
    machines.converge(&shared(1)).await;
    let refused = machines.prepare(&node_name(0), &user).await;
    refused.unwrap_err();
}

#[tokio::test]
async fn a_missing_path_of_the_node_is_seen_before_anything_stops() {
    let mut machines = Cluster::new(2);
    let (old, new, user) = (node_name(0), node_name(1), application_name(2));
    let path: HostPath = name("/etc/localtime");
    let on = |place| {
        let mut wanted = shared(place);
        let application = wanted.applications.get_mut(&user).unwrap();
        let mount = HostMount {
            source: path.clone(),
            read_only: true,
        };
        application.host_mounts = BTreeMap::from([(name("/etc/localtime"), mount)]);
        wanted
    };
    machines.give_host_path(&old, &path);
    machines.converge(&on(0)).await;
    let made = plan(&cluster(&on(1)), &machines.observe().await);
    let failure = machines.drive(&made).await.unwrap_err();
    assert!(
        failure.contains("/etc/localtime does not exist"),
        "{failure}"
    );
    assert!(machines.runs(&old, &user) && machines.runs(&old, &application_name(0)));
    machines.give_host_path(&new, &path);
    machines.converge(&on(1)).await;
}

/// Both units are started at once where neither has mounted the volume.
#[tokio::test]
async fn owner_and_user_of_a_volume_are_made_ready_at_once() {
    let mut machines = Cluster::new(2);
    machines.converge(&shared(0)).await;
    let node = node_name(0);
    machines.cut_power(&node);
    let [owner, user] = [0, 2].map(application_name);
    let prepare = |application| machines.prepare(&node, application);
    let (first, second) = tokio::join!(prepare(&owner), prepare(&user));
    first.and(second).unwrap();
}

#[tokio::test]
async fn docker_refuses_a_container_before_the_one_that_runs_is_stopped() {
    let mut machines = Cluster::new(1);
    let (node, application) = (node_name(0), application_name(0));
    let mut wanted = deployment(1, &[Wish::at(0)]);
    machines.converge(&wanted).await;
    let changed = wanted.applications.get_mut(&application).unwrap();
    changed.options.isolation.runtime = Some("runsc".parse().unwrap());
    let made = plan(&cluster(&wanted), &machines.observe().await);
    let failure = machines.drive(&made).await.unwrap_err();
    assert!(failure.contains("unknown runtime runsc"), "{failure}");
    assert!(machines.runs(&node, &application));
}

/// Both nodes have the image, so only the option calls for a look.
#[tokio::test]
async fn a_refused_option_is_seen_before_a_move_stops_anything() {
    let mut machines = Cluster::new(2);
    let (node, application) = (node_name(0), application_name(0));
    let at = |place| deployment(2, &[Wish::at(place)]);
    machines.converge(&at(1)).await;
    machines.converge(&at(0)).await;
    let mut wanted = at(1);
    let changed = wanted.applications.get_mut(&application).unwrap();
    changed.options.isolation.runtime = Some("runsc".parse().unwrap());
    let made = plan(&cluster(&wanted), &machines.observe().await);
    let failure = machines.drive(&made).await.unwrap_err();
    assert!(failure.contains("unknown runtime runsc"), "{failure}");
    assert!(machines.runs(&node, &application));
}
