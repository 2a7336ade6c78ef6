//! Changes of a configuration that would put something else where an application's data was.

use std::collections::BTreeMap;

use flocker_model::{
    Application, ApplicationName, ContainerFile, Deployment, FileContents, HostMount, MountPath,
    SharedMount, SharedVolume, VolumeLayout, VolumeSpecification,
};
use flocker_plan::{Action, BlockedKind};
use insta::assert_snapshot;

use crate::cluster::{Cluster, application, database, deployment, name, show, web};
use crate::mounts::{declaring, one, seen_at};

/// A database that sees these directories of its volume.
fn divided(directories: &[(&str, &str)]) -> Application {
    let directories = directories.iter();
    let directories = directories.map(|(path, directory)| (name(path), name(directory)));
    Application {
        volume: Some(VolumeSpecification {
            layout: VolumeLayout::Directories {
                directories: directories.collect(),
            },
            maximum_size: None,
        }),
        ..database()
    }
}

/// The same without a volume.
fn stateless(mut application: Application) -> Application {
    application.volume = None;
    application
}

/// The same with scratch at a path.
fn with_scratch(mut application: Application, path: &str) -> Application {
    application.scratch.insert(name(path));
    application
}

/// The same with a path of its node at a path.
fn with_host(mut application: Application, path: &str) -> Application {
    let mount = HostMount {
        source: name("/srv/pg"),
        read_only: false,
    };
    application.host_mounts.insert(name(path), mount);
    application
}

/// A container that sees the volume of `db` at these paths.
fn sharer(mounts: &[(&str, Option<&str>)]) -> Application {
    let mounts = mounts.iter().map(|(path, directory)| {
        let mount = SharedMount {
            directory: directory.map(name),
            read_only: false,
        };
        (name(path), mount)
    });
    Application {
        shared: Some(SharedVolume {
            application: name("db"),
            mounts: mounts.collect(),
        }),
        ..application("restic")
    }
}

/// Plans a change of the database, as it is shown to people.
fn change(before: &Application, wanted: &Application) -> String {
    let cluster = Cluster::running(2, &one(before.clone()));
    show(&cluster.plan(&one(wanted.clone())))
}

/// Tells whether a change is let through.
fn is_free(before: &Application, wanted: &Application) -> bool {
    let cluster = Cluster::running(2, &one(before.clone()));
    cluster.plan(&one(wanted.clone())).blocked.is_empty()
}

#[test]
fn scratch_does_not_cover_data() {
    let before = seen_at("/var/lib/postgresql");
    let wanted = with_scratch(before.clone(), "/var/lib/postgresql/data");
    assert_snapshot!(change(&before, &wanted));
    let divided = divided(&[("/a", "a"), ("/b", "b")]);
    let above = with_scratch(seen_at("/c"), "/a");
    assert!(!is_free(&divided, &above));
}

#[test]
fn a_path_of_the_node_does_not_cover_data() {
    let before = seen_at("/var/lib/postgresql");
    let wanted = with_host(before.clone(), "/var/lib/postgresql/data");
    assert_snapshot!(change(&before, &wanted));
    // Above the volume, it covers nothing of it.
    assert!(is_free(&before, &with_host(before.clone(), "/var/lib")));
}

#[test]
fn no_empty_volume_takes_the_place_of_a_path_of_the_node() {
    let before = with_host(stateless(database()), "/data");
    assert_snapshot!(change(&before, &seen_at("/data")));
    assert!(!is_free(
        &before,
        &with_scratch(stateless(database()), "/data")
    ));
    // A volume elsewhere, and no mount at all, put nothing empty there.
    assert!(is_free(&before, &with_host(seen_at("/srv"), "/data")));
    assert!(is_free(&before, &stateless(database())));
    // The way out.
    let mut cluster = Cluster::running(2, &one(before));
    cluster.deploy(&deployment(
        &[("db", seen_at("/data"))],
        &[("1", &[]), ("2", &[])],
    ));
    assert!(cluster.plan(&one(seen_at("/data"))).blocked.is_empty());
}

#[test]
fn memory_and_files_do_not_cover_data() {
    let before = seen_at("/srv");
    let mut wanted = seen_at("/data");
    let tmpfs = &mut wanted.options.isolation.tmpfs;
    tmpfs.insert(name("/srv"), "".parse().unwrap());
    assert_snapshot!("by_memory", change(&before, &wanted));

    let file = |path: &str| {
        let mut wanted = before.clone();
        let file = ContainerFile::new(FileContents::from(b"1".to_vec()));
        wanted.files.insert(name::<MountPath>(path), file);
        wanted
    };
    let mut cluster = Cluster::running(2, &one(before.clone()));
    let image = name(&before.image.with_tag());
    let images = &mut cluster.machine("1").images;
    images.insert(image, declaring(&["/srv/data"]));
    let plan = cluster.plan(&one(file("/srv/data")));
    assert_snapshot!("by_a_file", show(&plan));
    // A single file of the volume, whose contents the configuration says.
    let plan = cluster.plan(&one(file("/srv/data/pg_hba.conf")));
    assert!(plan.blocked.is_empty(), "{plan}");
}

#[test]
fn another_directory_does_not_cover_data() {
    let before = divided(&[("/d", "data")]);
    let wanted = divided(&[("/d", "data"), ("/d/sub", "new")]);
    assert_snapshot!("inside", change(&before, &wanted));
    let wanted = divided(&[("/old", "data"), ("/d", "fresh")]);
    assert_snapshot!("in_its_place", change(&before, &wanted));
    // And the way back shows what was there before `new` was.
    let nested = divided(&[("/d", "data"), ("/d/sub", "new")]);
    assert!(!is_free(&nested, &before));
}

#[test]
fn no_mount_point_is_left_out() {
    let before = divided(&[("/a", "a"), ("/b", "b")]);
    assert_snapshot!(change(&before, &divided(&[("/a", "a")])));
}

#[test]
fn an_application_keeps_its_volume() {
    let before = seen_at("/var/lib/postgresql");
    let mut cluster = Cluster::running(2, &one(before.clone()));
    let image = name(&before.image.with_tag());
    let images = &mut cluster.machine("1").images;
    images.insert(image, declaring(&["/var/lib/postgresql/data"]));
    assert_snapshot!(show(&cluster.plan(&one(stateless(before)))));
}

#[test]
fn scratch_that_a_volume_covers_is_named() {
    let mut cluster = Cluster::new(2);
    let image = name(&database().image.with_tag());
    let images = &mut cluster.machine("1").images;
    images.insert(image, declaring(&["/data", "/data/tmp"]));
    cluster.deploy(&one(stateless(database())));
    let plan = cluster.plan(&one(seen_at("/data")));
    assert!(plan.blocked.is_empty(), "{plan}");
    let notes: Vec<String> = plan.notes.iter().map(ToString::to_string).collect();
    assert_snapshot!(notes.join("\n"));
    cluster.finish(&plan);
    assert!(cluster.plan(&one(seen_at("/data"))).is_empty());
}

#[test]
fn a_volume_is_not_seen_in_another_layout_than_before() {
    let whole = seen_at("/srv");
    let directories = divided(&[("/srv", "srv")]);
    assert_snapshot!("to_directories", change(&whole, &directories));
    let renamed = divided(&[("/srv", "data")]);
    assert_snapshot!("renamed", change(&directories, &renamed));
    assert_snapshot!("to_whole", change(&directories, &whole));
    // Every path would show the same, and the volume is marked as one with directories.
    let below = divided(&[("/srv/a", "a")]);
    assert_snapshot!("to_whole_above", change(&below, &whole));
}

#[test]
fn mount_points_may_move_and_be_added() {
    assert!(is_free(&seen_at("/srv"), &seen_at("/data")));
    let data = divided(&[("/d", "data")]);
    assert!(is_free(&data, &divided(&[("/e", "data")])));
    assert!(is_free(&data, &divided(&[("/d", "data"), ("/e", "new")])));
    assert!(is_free(&data, &with_scratch(data.clone(), "/tmp")));
    // Scratch that goes shows what the volume has there.
    let cached = with_scratch(seen_at("/srv"), "/srv/cache");
    assert!(is_free(&cached, &seen_at("/srv")));
    // A volume that is new hides nothing.
    assert!(is_free(&stateless(database()), &data));
}

/// The way out that people are told, for every kind of change.
#[test]
fn what_ran_last_is_forgotten_by_one_deploy_without_it() {
    let changes = [
        (seen_at("/srv"), with_scratch(seen_at("/srv"), "/srv/data")),
        (seen_at("/srv"), divided(&[("/srv", "srv")])),
        (
            divided(&[("/a", "a"), ("/b", "b")]),
            divided(&[("/a", "a")]),
        ),
        (
            divided(&[("/d", "data")]),
            divided(&[("/old", "data"), ("/d", "fresh")]),
        ),
        (seen_at("/srv"), stateless(database())),
    ];
    for (before, wanted) in changes {
        let mut cluster = Cluster::running(2, &one(before));
        let newest = cluster.copy("1", "db").newest_own();
        cluster.deploy(&deployment(&[], &[("1", &[]), ("2", &[])]));
        cluster.deploy(&one(wanted));
        assert_eq!(cluster.copy("1", "db").newest_own(), newest);
        assert!(cluster.copy("1", "db").owned_epoch().is_some());
    }
}

/// Its volume was created, and its start was not begun.
#[test]
fn an_application_that_never_ran_may_have_any_layout() {
    let wanted = one(divided(&[("/d", "data")]));
    let mut cluster = Cluster::new(2);
    let plan = cluster.plan(&wanted);
    cluster.begin_until(&plan, |action| {
        matches!(action, Action::CreateVolume { .. })
    });
    let plan = cluster.plan(&one(seen_at("/srv")));
    assert!(plan.blocked.is_empty(), "{plan}");
}

fn placed(application: &Application, on: &str) -> Deployment {
    let other = if on == "1" { "2" } else { "1" };
    deployment(
        &[("db", application.clone())],
        &[(on, &["db"]), (other, &[])],
    )
}

/// The new node has never run it, and the former one is about to forget it.
#[test]
fn a_change_after_a_move_that_died_hides_no_data() {
    let data = divided(&[("/d", "data")]);
    let wanted = divided(&[("/d", "fresh")]);
    let last_steps: [fn(&Action) -> bool; 2] = [
        |action| matches!(action, Action::ReleaseVolume { .. }),
        |action| matches!(action, Action::AcquireVolume { .. }),
    ];
    for is_last in last_steps {
        let mut cluster = Cluster::running(2, &placed(&data, "1"));
        cluster.write();
        let made = cluster.plan(&placed(&data, "2"));
        cluster.begin_until(&made, is_last);
        let plan = cluster.plan(&placed(&wanted, "2"));
        let is_hidden = |kind: &BlockedKind| matches!(kind, BlockedKind::DataHidden { .. });
        assert!(
            plan.blocked.iter().any(|blocked| is_hidden(&blocked.kind)),
            "{plan}"
        );
        cluster.deploy(&placed(&data, "2"));
    }
    // At once with the move.
    let cluster = Cluster::running(2, &placed(&data, "1"));
    assert!(!cluster.plan(&placed(&wanted, "2")).blocked.is_empty());
}

#[test]
fn an_image_that_declares_more_hides_no_data() {
    let before = seen_at("/srv");
    let mut cluster = Cluster::running(2, &one(before.clone()));
    let mut wanted = before;
    wanted.image = name("postgres:17");
    let images = &mut cluster.machine("1").images;
    images.insert(name("postgres:17"), declaring(&["/srv/data", "/srv/log"]));
    let plan = cluster.plan(&one(wanted));
    assert!(plan.blocked.is_empty(), "{plan}");
}

/// The data stays with the application that the volume is named after.
#[test]
fn a_sharer_may_leave_a_volume_and_finds_nothing_else_in_its_place() {
    let with = |user: Application| {
        let owner = divided(&[("/a", "a"), ("/b", "b")]);
        let applications: [(&str, Application); 2] = [("db", owner), ("user", user)];
        deployment(&applications, &[("1", &["db", "user"]), ("2", &[])])
    };
    let both = [("/x", Some("a")), ("/y", Some("b"))];
    let cluster = Cluster::running(2, &with(sharer(&both)));
    for fine in [sharer(&both[..1]), web_without_route()] {
        let plan = cluster.plan(&with(fine));
        assert!(plan.blocked.is_empty(), "{plan}");
    }
    let covered = with_scratch(sharer(&both), "/x/cache");
    let swapped = sharer(&[("/x", Some("b")), ("/y", Some("a"))]);
    assert!(!cluster.plan(&with(covered)).blocked.is_empty());
    assert_snapshot!(show(&cluster.plan(&with(swapped))));
}

fn web_without_route() -> Application {
    Application {
        routes: BTreeMap::new(),
        ..web()
    }
}

/// The first deploy of a conversion leaves it out, and its file may say the new layout already.
#[test]
fn what_is_not_placed_may_be_changed() {
    let before = one(seen_at("/srv"));
    let cluster = Cluster::running(2, &before);
    let mut idle = one(divided(&[("/srv", "srv")]));
    for placed in idle.nodes.values_mut() {
        placed.remove(&name::<ApplicationName>("db"));
    }
    let plan = cluster.plan(&idle);
    assert!(plan.blocked.is_empty(), "{plan}");
}
