//! Which directory each path gets.

use std::collections::BTreeMap;

use flocker_model::{Application, HostMount, SharedMount, SharedVolume};
use proptest::prelude::*;

use super::generated::{parts, path, paths};
use super::*;

fn specification(
    whole: Option<&str>,
    directories: &[(&str, &str)],
    scratch: &[&str],
) -> ContainerSpecification {
    ContainerSpecification {
        mountpoint: whole.map(|path| path.parse().unwrap()),
        directories: directories
            .iter()
            .map(|(path, name)| (path.parse().unwrap(), name.parse().unwrap()))
            .collect(),
        scratch: scratch.iter().map(|path| path.parse().unwrap()).collect(),
        ..ContainerSpecification::new(
            &"db".parse().unwrap(),
            &Application::new("postgres:16".parse().unwrap()),
        )
    }
}

fn declares(paths: &[&str]) -> BTreeSet<String> {
    paths.iter().map(|path| (*path).to_owned()).collect()
}

/// One line for each mount point.
fn shown(accounted: &Accounted) -> Vec<String> {
    let line = |mount: &ContainerMount| match &mount.source {
        MountSource::Volume { directory } => format!("{} volume/{directory}", mount.target),
        MountSource::Scratch { directory } => format!("{} scratch/{directory}", mount.target),
        MountSource::Host { path } => format!("{} {path}", mount.target),
    };
    let line = |mount: &ContainerMount| {
        let mode = if mount.read_only { " (read only)" } else { "" };
        format!("{}{mode}", line(mount))
    };
    accounted.mounts.iter().map(line).collect()
}

#[test]
fn a_volume_of_the_image_below_the_mountpoint_is_a_directory() {
    let postgres = specification(Some("/var/lib/postgresql"), &[], &[]);
    let accounted = account(&postgres, &declares(&["/var/lib/postgresql/data/"])).unwrap();
    assert_eq!(
        shown(&accounted),
        [
            "/var/lib/postgresql volume/",
            "/var/lib/postgresql/data volume/data"
        ]
    );
    assert!(accounted.implicit.is_empty());
}

#[test]
fn a_volume_of_the_image_at_a_mountpoint_needs_nothing() {
    let gitlab = specification(
        None,
        &[("/etc/gitlab", "etc-gitlab"), ("/var/opt/gitlab", "data")],
        &["/var/log/gitlab"],
    );
    let declared = declares(&[
        "/etc/gitlab",
        "/var/opt/gitlab/git",
        "/var/log/gitlab/nginx",
    ]);
    assert_eq!(
        shown(&account(&gitlab, &declared).unwrap()),
        [
            "/etc/gitlab volume/etc-gitlab",
            "/var/log/gitlab scratch/var:log:gitlab",
            "/var/log/gitlab/nginx scratch/var:log:gitlab/nginx",
            "/var/opt/gitlab volume/data",
            "/var/opt/gitlab/git volume/data/git",
        ]
    );
}

#[test]
fn a_volume_of_the_image_elsewhere_is_refused_where_there_is_data() {
    let database = specification(Some("/data"), &[], &[]);
    let refused = account(&database, &declares(&["/log", "/data/x", "/database"])).unwrap_err();
    insta::assert_snapshot!(
        format!("{}\n{}", refused.problem(&"kafka:3"), refused.hint()),
        @"
    image kafka:3 declares /database, /log as volumes, which no mount point of the application covers
    if it is data, list it with the application's other mount points in `volumes`, and it moves with the application; if it can be lost, write `scratch: [/database, /log]`: a directory of the node that does not move and is deleted when the application leaves, or `tmpfs: [/database, /log]`: memory
    "
    );
}

#[test]
fn a_volume_of_the_image_is_scratch_where_there_is_no_data() {
    let cache = specification(None, &[], &[]);
    let accounted = account(&cache, &declares(&["/data", "/data/tmp"])).unwrap();
    assert_eq!(
        shown(&accounted),
        ["/data scratch/data", "/data/tmp scratch/data/tmp"]
    );
    assert_eq!(accounted.implicit.len(), 1);
}

#[test]
fn a_volume_of_the_image_in_a_shared_volume_is_a_directory_of_it() {
    let mounts = [("/srv", Some("html"), true), ("/conf", Some("conf"), false)];
    let mounts = mounts.map(|(path, directory, read_only)| {
        let directory = directory.map(|name| name.parse().unwrap());
        let mount = SharedMount {
            directory,
            read_only,
        };
        (path.parse().unwrap(), mount)
    });
    let web = ContainerSpecification {
        shared: Some(SharedVolume {
            application: "nextcloud".parse().unwrap(),
            mounts: BTreeMap::from(mounts),
        }),
        ..specification(None, &[], &["/tmp"])
    };
    assert_eq!(
        shown(&account(&web, &declares(&["/srv/cache", "/conf"])).unwrap()),
        [
            "/conf volume/conf",
            "/srv volume/html (read only)",
            "/srv/cache volume/html/cache (read only)",
            "/tmp scratch/tmp",
        ]
    );
    // Whether it is data, only the user can tell.
    account(&web, &declares(&["/elsewhere"])).unwrap_err();
}

#[test]
fn a_path_of_the_node_accounts_for_volumes_of_the_image() {
    let mount = HostMount {
        source: "/srv/share".parse().unwrap(),
        read_only: false,
    };
    let agent = ContainerSpecification {
        host_mounts: BTreeMap::from([("/data".parse().unwrap(), mount)]),
        ..specification(None, &[], &[])
    };
    let declared = declares(&["/data", "/data/log", "/cache"]);
    let accounted = account(&agent, &declared).unwrap();
    assert_eq!(
        shown(&accounted),
        [
            "/cache scratch/cache",
            "/data /srv/share",
            "/data/log /srv/share/log",
        ]
    );
    assert_eq!(accounted.implicit.len(), 1);
}

#[test]
fn a_path_that_no_mount_can_have_is_refused() {
    let cache = specification(None, &[], &[]);
    for path in ["/", "data", "/a/../b", "/a:b"] {
        assert!(account(&cache, &declares(&[path])).is_err(), "{path}");
    }
}

#[test]
fn a_volume_of_the_image_may_be_in_memory() {
    let mut database = specification(Some("/data"), &[], &[]);
    database.options.isolation.tmpfs = [("/run/x/".parse().unwrap(), "".parse().unwrap())].into();
    let accounted = account(&database, &declares(&["/run/x", "/data/x"])).unwrap();
    assert_eq!(shown(&accounted), ["/data volume/", "/data/x volume/x"]);
    assert_eq!(accounted.notes(&database).len(), 1);
    // Docker would make a volume at a path inside of that.
    let accounted = account(&database, &declares(&["/run/x/y", "/run/x/y/z"])).unwrap();
    assert_eq!(shown(&accounted), ["/data volume/"]);
    let inside: Vec<String> = accounted.memory.keys().map(ToString::to_string).collect();
    assert_eq!(inside, ["/run/x/y", "/run/x/y/z"]);
    insta::assert_snapshot!(
        accounted.notes(&database)[0],
        @"`db`: image postgres:16 declares /run/x/y, /run/x/y/z as volumes, and `tmpfs` keeps that in memory: the application loses it at each stop (list it in `volumes` instead if it is data)"
    );
    // One that is only inside of the path says nothing about all of it.
    let refused = account(&database, &declares(&["/run"])).unwrap_err();
    assert_eq!(refused.paths, declares(&["/run"]));
    // A mount point inside of the memory keeps its data.
    database.scratch.insert("/run/x/kept".parse().unwrap());
    let accounted = account(&database, &declares(&["/run/x/kept/y"])).unwrap();
    assert!(accounted.memory.is_empty() && accounted.forgotten.is_empty());
}

proptest! {
    /// The data-loss case: nothing that the image or the user calls a volume may be outside of the
    /// dataset, but for what the user says is elsewhere; and Docker must find nothing to make a volume
    /// for.
    #[test]
    fn no_volume_is_outside_of_the_dataset_unless_it_is_scratch(
        parts in parts(),
        image in paths(4),
        below in path(),
    ) {
        let specification = parts.specification();
        let memory = &specification.options.isolation.tmpfs;
        let has_volume = specification.volume_owner().is_some();
        let user: Vec<MountPath> = declared(&specification)
            .into_iter()
            .map(|mount| mount.target)
            .collect();
        let covered = |path: &MountPath| user.iter().any(|outer| outer.relative(path).is_some());
        let (lost, image_paths): (Vec<MountPath>, Vec<MountPath>) = image
            .iter()
            .map(|path| path.parse().unwrap())
            .filter(|path| !specification.files.contains_key(path))
            .partition(|path: &MountPath| {
                memory
                    .keys()
                    .any(|outer| outer.relative(path).is_some())
            });
        match account(&specification, &image) {
            Err(refused) => {
                prop_assert!(has_volume);
                for path in &refused.paths {
                    let path: MountPath = path.parse().unwrap();
                    prop_assert!(!covered(&path) && !lost.contains(&path));
                }
            }
            Ok(accounted) => {
                let targets: Vec<&MountPath> =
                    accounted.mounts.iter().map(|mount| &mount.target).collect();
                let distinct: BTreeSet<&&MountPath> = targets.iter().collect();
                prop_assert_eq!(distinct.len(), targets.len());
                for path in user.iter().chain(&image_paths) {
                    // Exactly covered: Docker makes no volume of its own there.
                    prop_assert!(targets.contains(&path));
                }
                for path in &lost {
                    // Exactly covered, too, and the operator is told if there is data.
                    prop_assert!(memory.contains_key(path) || accounted.memory.contains_key(path));
                    prop_assert!(!targets.contains(&path));
                    let is_told = has_volume || !memory.contains_key(path);
                    prop_assert_eq!(accounted.forgotten.contains(path), is_told);
                }
                prop_assert!(accounted.memory.keys().all(|path| lost.contains(path)));
                // Whatever is written to below a volume is in the dataset, or where the user says, or
                // in scratch of an application without data.
                for path in &image_paths {
                    let written: MountPath = format!("{path}{below}").parse().unwrap();
                    let (mount, _) = enclosing(&accounted.mounts, &written).unwrap();
                    let is_in = |outer: &MountPath| outer.relative(&written).is_some();
                    match &mount.source {
                        MountSource::Volume { .. } => prop_assert!(has_volume),
                        MountSource::Host { .. } => {
                            prop_assert!(specification.host_mounts.keys().any(is_in));
                        }
                        MountSource::Scratch { .. } => {
                            let asked = specification.scratch.iter().any(is_in);
                            prop_assert!(asked || !has_volume);
                        }
                    }
                }
                prop_assert!(accounted.implicit.is_empty() || !has_volume);
                // No two mount points share a directory; but another application's volume may be seen
                // twice.
                if specification.shared.is_none() {
                    for (index, one) in accounted.mounts.iter().enumerate() {
                        for other in &accounted.mounts[..index] {
                            prop_assert_ne!(&one.source, &other.source);
                        }
                    }
                }
            }
        }
    }
}
