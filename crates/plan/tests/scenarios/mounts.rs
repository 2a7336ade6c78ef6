//! What images declare, and where containers see their data.

use std::collections::BTreeMap;

use flocker_model::{
    Application, ApplicationName, ContainerStatus, CpuMillis, Deployment, ImageDetails, ImageId,
    ImagePlatform, NodeName, SharedMount, SharedVolume, UnitState, VolumeLayout,
    VolumeSpecification,
};
use flocker_plan::Action;
use insta::assert_snapshot;

use crate::cluster::{Cluster, application, database, deployment, name, node_name, show, web};

/// An image that a machine has, and that declares volumes.
pub(crate) fn declaring(volumes: &[&str]) -> ImageDetails {
    ImageDetails {
        platform: Some(ImagePlatform {
            os: "linux".to_owned(),
            architecture: "amd64".to_owned(),
        }),
        volumes: volumes.iter().map(|path| (*path).to_owned()).collect(),
        ..ImageDetails::from(ImageId("an image".to_owned()))
    }
}

/// A cluster whose first machine has the image of `db` and `web`.
fn with_image(volumes: &[&str]) -> Cluster {
    let mut cluster = Cluster::new(2);
    for image in [database().image, web().image] {
        let images = &mut cluster.machine("1").images;
        images.insert(name(&image.with_tag()), declaring(volumes));
    }
    cluster
}

pub(crate) fn seen_at(mountpoint: &str) -> Application {
    Application {
        volume: Some(VolumeSpecification {
            layout: VolumeLayout::Whole {
                mountpoint: name(mountpoint),
            },
            maximum_size: None,
        }),
        ..database()
    }
}

pub(crate) fn one(application: Application) -> Deployment {
    deployment(&[("db", application)], &[("1", &["db"]), ("2", &[])])
}

#[test]
fn a_volume_of_the_image_outside_of_the_volume_is_refused() {
    let cluster = with_image(&["/var/lib/postgresql/data"]);
    assert_snapshot!(show(&cluster.plan(&one(seen_at("/srv")))));
}

#[test]
fn a_volume_of_the_image_below_the_mountpoint_is_a_part_of_the_volume() {
    let cluster = with_image(&["/var/lib/postgresql/data"]);
    let plan = cluster.plan(&one(seen_at("/var/lib/postgresql")));
    assert!(plan.blocked.is_empty(), "{plan}");
    let mut notes = plan.notes.iter();
    assert!(!notes.any(|note| note.note.is_warning()), "{plan}");
}

#[test]
fn a_volume_of_the_image_may_be_scratch() {
    let cluster = with_image(&["/var/log"]);
    let mut wanted = seen_at("/srv");
    wanted.scratch.insert(name("/var/log"));
    assert!(cluster.plan(&one(wanted)).blocked.is_empty());
}

#[test]
fn a_volume_of_the_image_without_data_is_scratch_and_said() {
    let cluster = with_image(&["/data", "/tmp/cache"]);
    let wanted = deployment(&[("web", web())], &[("1", &["web"]), ("2", &[])]);
    let plan = cluster.plan(&wanted);
    assert!(plan.blocked.is_empty(), "{plan}");
    assert_snapshot!(plan.notes[0]);
}

/// Nothing of an application is touched before its image is known to fit.
#[test]
fn an_unknown_image_is_accounted_for_before_anything_is_made() {
    let plan = Cluster::new(2).plan(&one(database()));
    let position = |wanted: fn(&Action) -> bool| {
        let mut steps = plan.steps().iter();
        steps.position(|step| wanted(&step.action)).unwrap()
    };
    let checked = position(|action| matches!(action, Action::CheckImage { .. }));
    let created = position(|action| matches!(action, Action::CreateVolume { .. }));
    let after = &plan.steps()[created].after;
    assert!(after.contains(&plan.steps()[checked].id), "{plan}");
}

/// Both nodes have the image. A node has no say in an application without options.
#[test]
fn a_move_with_options_is_checked_before_the_stop() {
    let at = |place: &'static str, application: &Application| {
        let both = [("1", &["db"][..]), ("2", &["db"][..])];
        let nodes = both.map(|(node, placed)| (node, if node == place { placed } else { &[] }));
        deployment(&[("db", application.clone())], &nodes)
    };
    let plan = |wanted: &Application| {
        let mut cluster = Cluster::running(2, &at("2", &database()));
        cluster.deploy(&at("1", &database()));
        cluster.plan(&at("2", wanted))
    };
    let mut limited = database();
    limited.cpu = Some(CpuMillis::new(64_000));
    let plan_of_limited = plan(&limited);
    let find = |wanted: fn(&Action) -> bool| {
        let mut steps = plan_of_limited.steps().iter();
        steps.find(|step| wanted(&step.action)).unwrap()
    };
    let checked = find(|action| matches!(action, Action::CheckImage { .. }));
    let stopped = find(|action| matches!(action, Action::StopApplication { .. }));
    assert_eq!(checked.node, node_name("2"));
    let mut before = stopped.after.clone();
    for step in plan_of_limited.steps().iter().rev() {
        if before.contains(&step.id) {
            before.extend(&step.after);
        }
    }
    assert!(before.contains(&checked.id), "{plan_of_limited}");
    let unlimited = plan(&database());
    let is_check = |action: &Action| matches!(action, Action::CheckImage { .. });
    assert!(
        !unlimited.steps().iter().any(|step| is_check(&step.action)),
        "{unlimited}"
    );
}

/// The container that the node kept may lack by now what it was given.
#[test]
fn a_kept_container_is_checked_before_a_move_to_it() {
    let mut limited = database();
    limited.cpu = Some(CpuMillis::new(64_000));
    let before = one(limited.clone());
    let moved = deployment(&[("db", limited)], &[("1", &[]), ("2", &["db"])]);
    let mut cluster = Cluster::running(2, &before);
    let mut kept = cluster.machine("1").containers[&name("db")].clone();
    kept.status = ContainerStatus::Stopped { exit_code: 0 };
    kept.unit = UnitState::Missing;
    cluster.machine("2").containers.insert(name("db"), kept);
    let images = cluster.machine("1").images.clone();
    cluster.machine("2").images = images;
    let plan = cluster.plan(&moved);
    let mut checks = plan.steps().iter();
    let checked = checks.find(|step| matches!(step.action, Action::CheckImage { .. }));
    assert_eq!(checked.unwrap().node, node_name("2"), "{plan}");
}

/// Docker made volumes for it, and their data is nowhere else.
#[test]
fn a_container_with_anonymous_volumes_stays_as_it_is() {
    let wanted = one(seen_at("/var/lib/postgresql"));
    let mut cluster = Cluster::running(2, &wanted);
    let container = cluster
        .machine("1")
        .containers
        .get_mut(&name("db"))
        .unwrap();
    container.anonymous_volumes = ["/var/lib/postgresql/data", "/var/log"]
        .map(str::to_owned)
        .into();
    assert_snapshot!("kept", show(&cluster.plan(&wanted)));
    let moved = deployment(
        &[("db", seen_at("/var/lib/postgresql"))],
        &[("1", &[]), ("2", &["db"])],
    );
    assert!(!cluster.plan(&moved).blocked.is_empty());
    let removed = deployment(&[], &[("1", &[]), ("2", &[])]);
    assert!(!cluster.plan(&removed).blocked.is_empty());
}

#[test]
fn volumes_and_remapped_users_do_not_go_together() {
    let mut cluster = Cluster::new(2);
    cluster.machine("1").remaps_users = true;
    assert_snapshot!(show(&cluster.plan(&one(database()))));
    let stateless = one(application("nginx"));
    assert!(cluster.plan(&stateless).blocked.is_empty());
}

/// Whatever the configuration says now: a database that finds nothing makes an empty one.
#[test]
fn an_application_does_not_lose_its_data_by_a_change_of_the_file() {
    let whole = one(seen_at("/srv"));
    let cluster = Cluster::running(2, &whole);
    let without = one(Application {
        volume: None,
        ..database()
    });
    assert_snapshot!("without_its_volume", show(&cluster.plan(&without)));

    let mut shared = whole.clone();
    let mount = SharedMount {
        directory: None,
        read_only: false,
    };
    let user = shared.applications.get_mut(&name::<ApplicationName>("db"));
    let user = user.unwrap();
    user.volume = None;
    user.shared = Some(SharedVolume {
        application: name("backup"),
        mounts: BTreeMap::from([(name("/srv"), mount)]),
    });
    let backup = Application {
        routes: BTreeMap::new(),
        ..seen_at("/srv")
    };
    shared.applications.insert(name("backup"), backup);
    let place: NodeName = shared.place_of(&name("db")).unwrap().clone();
    let placed = shared.nodes.get_mut(&place).unwrap();
    placed.insert(name("backup"));
    assert_snapshot!("on_anothers_volume", cluster.plan(&shared).blocked[0]);
    let cluster = Cluster::running(2, &shared);
    let own = &cluster.plan(&whole).blocked[0];
    assert_snapshot!(format!("{own}\nhint: {}", own.hint()));
    let mut idle = shared.clone();
    let user = idle.applications.get_mut(&name::<ApplicationName>("db"));
    user.unwrap().shared = None;
    let plan = cluster.plan(&idle);
    assert!(plan.blocked.is_empty(), "{plan}");
}
