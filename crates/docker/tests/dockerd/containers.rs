//! Application containers.

use std::time::Duration;

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, RemoveContainerOptions,
};
use flocker_docker::{Change, ContainerError, namespace_name};
use flocker_model::{ContainerStatus, CpuMillis, Digest, NetworkIdentity};

use crate::daemon::{IMAGE, SERVER, application, connect, start, stranger, wait_until_ready};

const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test]
async fn only_a_changed_container_is_replaced_and_never_while_it_runs() {
    let Some(docker) = connect().await else {
        return;
    };
    let specification = application("replaced", SERVER);
    let name = &specification.application;
    docker
        .ensure_namespace(name, &NetworkIdentity::default())
        .await
        .unwrap();
    let change = docker
        .ensure_container(&specification, None, &[])
        .await
        .unwrap();
    assert_eq!(change, Change::Changed);
    let watch = docker.watch_start(name).await.unwrap();
    start(name).await;
    watch.wait_until_running(PATIENCE).await.unwrap();

    let before = docker.observe_containers().await.unwrap()[name].clone();
    let container = before.application.clone().unwrap();
    assert_eq!(container.configuration, specification.digest());
    assert_eq!(container.namespace, before.namespace.clone().unwrap().id);
    assert!(matches!(container.status, ContainerStatus::Running { .. }));
    let change = docker
        .ensure_container(&specification, None, &[])
        .await
        .unwrap();
    assert_eq!(change, Change::Unchanged);
    assert_eq!(docker.observe_containers().await.unwrap()[name], before);

    let mut changed = specification.clone();
    changed.environment.insert("MODE".to_owned(), "new".into());
    let error = docker
        .ensure_container(&changed, None, &[])
        .await
        .unwrap_err();
    assert!(matches!(error, ContainerError::Running { .. }), "{error:?}");
    assert_eq!(docker.observe_containers().await.unwrap()[name], before);

    wait_until_ready(name).await;
    let stopped = docker.stop_container(name, PATIENCE).await.unwrap();
    assert_eq!(stopped, Change::Changed);
    let stopped = docker.stop_container(name, PATIENCE).await.unwrap();
    assert_eq!(stopped, Change::Unchanged);
    let now = docker.observe_containers().await.unwrap()[name].clone();
    let status = now.application.unwrap().status;
    // It was asked first, and ended by itself.
    assert_eq!(status, ContainerStatus::Stopped { exit_code: 0 });

    let change = docker.ensure_container(&changed, None, &[]).await.unwrap();
    assert_eq!(change, Change::Changed);
    let now = docker.observe_containers().await.unwrap()[name].clone();
    let container = now.application.unwrap();
    assert_eq!(container.configuration, Digest::of(&changed));
    assert_eq!(now.namespace, before.namespace);

    let removed = docker.remove_container(name).await.unwrap();
    assert_eq!(removed, Change::Changed);
    let removed = docker.remove_container(name).await.unwrap();
    assert_eq!(removed, Change::Unchanged);
}

#[tokio::test]
async fn docker_refuses_a_container_while_the_one_before_it_runs() {
    let Some(docker) = connect().await else {
        return;
    };
    let specification = application("tried", SERVER);
    let name = &specification.application;
    let identity = NetworkIdentity::default();
    docker.ensure_namespace(name, &identity).await.unwrap();
    let ensured = docker.ensure_container(&specification, None, &[]).await;
    ensured.unwrap();
    start(name).await;
    let before = docker.observe_containers().await.unwrap()[name].clone();

    let targets = ["/data", "/etc/file"].map(|path| path.parse().unwrap());
    let tried = docker.try_container(&specification, &targets).await;
    tried.unwrap();
    let twice = ["/data", "/data/"].map(|path| path.parse().unwrap());
    let refused = docker.try_container(&specification, &twice).await;
    let refused = refused.unwrap_err();
    assert!(
        matches!(refused, ContainerError::Refused { .. }),
        "{refused:?}"
    );
    let mut changed = specification.clone();
    changed.cpu = Some(CpuMillis::new(256_000_000));
    let refused = docker.try_container(&changed, &[]).await.unwrap_err();
    insta::assert_snapshot!(refused, @"docker would not create the container of tried with these options; the application was not stopped for it");
    // A trial that was interrupted is in nobody's way, and nobody sees it.
    let left = ContainerCreateBody {
        image: Some(IMAGE.to_owned()),
        cmd: Some(vec!["sleep".to_owned()]),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptions {
        name: Some("flocker.trial-tried".to_owned()),
        ..CreateContainerOptions::default()
    };
    let stranger = stranger().await;
    stranger
        .create_container(Some(options), left)
        .await
        .unwrap();
    docker.try_container(&specification, &[]).await.unwrap();
    assert_eq!(docker.observe_containers().await.unwrap()[name], before);
    let none = None::<InspectContainerOptions>;
    let left = stranger
        .inspect_container("flocker.trial-tried", none)
        .await;
    assert!(left.is_err(), "the trial is still there");
}

#[tokio::test]
async fn a_running_container_is_not_removed() {
    let Some(docker) = connect().await else {
        return;
    };
    let specification = application("kept", SERVER);
    let name = &specification.application;
    docker
        .ensure_namespace(name, &NetworkIdentity::default())
        .await
        .unwrap();
    docker
        .ensure_container(&specification, None, &[])
        .await
        .unwrap();
    start(name).await;
    let error = docker.remove_container(name).await.unwrap_err();
    insta::assert_snapshot!(error, @"the container of kept still runs and cannot be replaced or removed; stop it first: systemctl stop flocker-kept");
}

#[tokio::test]
async fn the_application_sees_its_name_address_environment_and_volume() {
    let Some(docker) = connect().await else {
        return;
    };
    let volume = tempfile::tempdir().unwrap();
    std::fs::write(volume.path().join("data"), "from the volume\n").unwrap();
    let mut specification = application(
        "seeing",
        "hostname; ip -4 -o address show dev eth0; echo $GREETING; cat /data/data; \
         echo written >/data/answer; sleep 1000",
    );
    specification.mountpoint = Some("/data".parse().unwrap());
    specification
        .environment
        .insert("GREETING".to_owned(), "a = b c".into());
    let name = &specification.application;
    let namespace = docker
        .ensure_namespace(name, &NetworkIdentity::default())
        .await
        .unwrap();
    docker
        .ensure_container(&specification, Some(volume.path()), &[bind(volume.path())])
        .await
        .unwrap();
    let watch = docker.watch_start(name).await.unwrap();
    start(name).await;
    watch
        .wait_until_stable(Duration::from_millis(500), PATIENCE)
        .await
        .unwrap();
    let output = docker.observe_output(name).await.unwrap();
    assert_eq!(output[0], "seeing");
    assert!(
        output[1].contains(&format!("inet {}/", namespace.address)),
        "{output:?}"
    );
    assert_eq!(output[2..], ["a = b c", "from the volume"]);
    let answer = std::fs::read_to_string(volume.path().join("answer")).unwrap();
    assert_eq!(answer, "written\n");
}

#[tokio::test]
async fn a_container_follows_its_namespace_when_that_is_replaced() {
    let Some(docker) = connect().await else {
        return;
    };
    let specification = application("follower", SERVER);
    let name = &specification.application;
    docker
        .ensure_namespace(name, &NetworkIdentity::default())
        .await
        .unwrap();
    docker
        .ensure_container(&specification, None, &[])
        .await
        .unwrap();
    let force = RemoveContainerOptions {
        force: true,
        ..RemoveContainerOptions::default()
    };
    stranger()
        .await
        .remove_container(&namespace_name(name), Some(force))
        .await
        .unwrap();

    let error = docker
        .ensure_container(&specification, None, &[])
        .await
        .unwrap_err();
    assert!(
        matches!(error, ContainerError::NoNamespace { .. }),
        "{error:?}"
    );
    docker
        .ensure_namespace(name, &NetworkIdentity::default())
        .await
        .unwrap();
    let change = docker
        .ensure_container(&specification, None, &[])
        .await
        .unwrap();
    assert_eq!(change, Change::Changed);
    let watch = docker.watch_start(name).await.unwrap();
    start(name).await;
    watch.wait_until_running(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn nothing_is_created_without_the_image_or_the_volume() {
    let Some(docker) = connect().await else {
        return;
    };
    let mut specification = application("incomplete", SERVER);
    let name = &specification.application.clone();
    docker
        .ensure_namespace(name, &NetworkIdentity::default())
        .await
        .unwrap();

    specification.image = "flocker-test/absent".parse().unwrap();
    let error = docker
        .ensure_container(&specification, None, &[])
        .await
        .unwrap_err();
    insta::assert_snapshot!(error, @"image flocker-test/absent is not on this node; deploy again, or: docker pull flocker-test/absent");

    specification.image = crate::daemon::IMAGE.parse().unwrap();
    specification.mountpoint = Some("/data".parse().unwrap());
    let error = docker
        .ensure_container(&specification, None, &[])
        .await
        .unwrap_err();
    assert!(
        matches!(error, ContainerError::VolumeMismatch { .. }),
        "{error:?}"
    );

    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("not-mounted");
    let error = docker
        .ensure_container(&specification, Some(&missing), &[bind(&missing)])
        .await
        .unwrap_err();
    assert!(matches!(error, ContainerError::Request(_)), "{error:?}");
    assert!(!missing.exists(), "docker made the volume's directory");
    let observed = docker.observe_containers().await.unwrap();
    assert_eq!(observed[name].application, None);
}

/// Shows a directory at `/data`.
fn bind(source: &std::path::Path) -> flocker_docker::BindMount {
    flocker_docker::BindMount {
        source: source.to_owned(),
        target: "/data".parse().unwrap(),
        read_only: false,
    }
}
