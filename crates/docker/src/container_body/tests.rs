use super::*;
use flocker_model::{Application, ByteCount, CpuMillis};
use std::collections::BTreeMap;

fn specification() -> ContainerSpecification {
    ContainerSpecification {
        command: Some(vec!["postgres".to_owned(), "-c".to_owned()]),
        environment: BTreeMap::from([("PGDATA".to_owned(), "/var/lib/pgsql".into())]),
        mountpoint: Some("/var/lib/pgsql".parse().unwrap()),
        memory: Some(ByteCount::mebibytes(256)),
        cpu: Some(CpuMillis::new(1500)),
        ..ContainerSpecification::new(
            &"pgsql-trac".parse().unwrap(),
            &Application::new("flocker/postgresql".parse().unwrap()),
        )
    }
}

fn json(body: &ContainerCreateBody) -> String {
    // Through a value, whose maps are ordered.
    serde_json::to_string_pretty(&serde_json::to_value(body).unwrap()).unwrap()
}

#[test]
fn everything_that_is_specified_reaches_docker() {
    let mounts = [BindMount {
        source: PathBuf::from("/flocker/pgsql-trac"),
        target: "/var/lib/pgsql".parse().unwrap(),
        read_only: false,
    }];
    let placement = Placement {
        namespace: "0123abcd",
        volume: Some(Path::new("/flocker/pgsql-trac")),
        mounts: &mounts,
    };
    insta::assert_snapshot!(json(&render_container(&specification(), placement)));
}

/// A volume's directory is there only while the volume is mounted.
#[test]
fn docker_makes_no_directory_that_a_container_lacks() {
    let mounts = [BindMount {
        source: PathBuf::from("/flocker/web"),
        target: "/data".parse().unwrap(),
        read_only: false,
    }];
    let placement = Placement {
        namespace: "0123abcd",
        volume: Some(Path::new("/flocker/web")),
        mounts: &mounts,
    };
    let host = render_container(&specification(), placement)
        .host_config
        .unwrap();
    assert_eq!(host.binds, None);
    let options: Vec<_> = (host.mounts.into_iter().flatten())
        .map(|mount| (mount.typ, mount.bind_options.unwrap().create_mountpoint))
        .collect();
    assert_eq!(options, [(Some(MountType::BIND), Some(false))]);
}

#[test]
fn what_is_not_specified_is_left_to_the_image() {
    let bare = ContainerSpecification {
        command: None,
        environment: BTreeMap::new(),
        mountpoint: None,
        memory: None,
        cpu: None,
        ..specification()
    };
    let placement = Placement {
        namespace: "0123abcd",
        volume: None,
        mounts: &[],
    };
    insta::assert_snapshot!(json(&render_container(&bare, placement)));
}

#[test]
fn directories_of_the_volume_and_stopping_reach_docker() {
    let mount = |source: &str, target: &str| BindMount {
        source: PathBuf::from(source),
        target: target.parse().unwrap(),
        read_only: target.starts_with("/etc/"),
    };
    let specification = ContainerSpecification {
        stop_signal: Some("SIGINT".parse().unwrap()),
        stop_grace_period: flocker_model::StopGracePeriod::from_seconds(90),
        ..specification()
    };
    let placement = Placement {
        namespace: "0123abcd",
        volume: Some(Path::new("/flocker/db")),
        mounts: &[
            mount("/flocker/db", "/var/lib/postgresql"),
            mount("/flocker/db/data", "/var/lib/postgresql/data"),
            mount("/var/lib/flocker/files/db/0", "/etc/db.conf"),
        ],
    };
    let body = render_container(&specification, placement);
    let mounts = serde_json::to_value(body.host_config.unwrap().mounts).unwrap();
    assert_eq!(mounts[1]["Source"], "/flocker/db/data");
    assert_eq!(mounts[1]["Target"], "/var/lib/postgresql/data");
    assert_eq!(mounts[2]["Target"], "/etc/db.conf");
    assert_eq!(mounts[2]["ReadOnly"], true);
    assert_eq!(mounts[1]["ReadOnly"], serde_json::Value::Null);
    assert_eq!(body.stop_signal.as_deref(), Some("SIGINT"));
    assert_eq!(body.stop_timeout, Some(90));
}

#[test]
fn the_namespace_container_may_do_nothing() {
    insta::assert_snapshot!(json(&namespace(&NetworkIdentity::default())));
}

fn namespace(identity: &NetworkIdentity) -> ContainerCreateBody {
    let image = ("flocker/pause:1", "flocker");
    render_namespace(&"trac".parse().unwrap(), identity, image)
}

#[test]
fn a_namespace_is_made_anew_when_its_names_change() {
    let label = |identity: &NetworkIdentity| {
        let labels = namespace(identity).labels.unwrap_or_default();
        labels.get(LABEL_CONFIGURATION).cloned()
    };
    let named = NetworkIdentity {
        hostname: Some("db1".parse().unwrap()),
        ..NetworkIdentity::default()
    };
    assert_ne!(label(&named), label(&NetworkIdentity::default()));
    assert_eq!(label(&named), label(&named.clone()));
}

#[test]
fn labels_change_with_whatever_a_container_is_made_from() {
    let specification = specification();
    let placement = Placement {
        namespace: "a",
        volume: Some(Path::new("/flocker/x")),
        mounts: &[],
    };
    let labels = render_labels(&specification, placement);
    let elsewhere = Placement {
        volume: Some(Path::new("/flocker/y")),
        ..placement
    };
    let replaced = Placement {
        namespace: "b",
        ..placement
    };
    assert_eq!(labels, render_labels(&specification, placement));
    assert_ne!(labels, render_labels(&specification, elsewhere));
    assert_ne!(labels, render_labels(&specification, replaced));
}
