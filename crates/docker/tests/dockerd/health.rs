//! The check that an image brings along: what it says is seen, and waited for.

use std::time::Duration;

use flocker_docker::{Docker, HealthError};
use flocker_model::{
    ApplicationName, ContainerSpecification, ContainerStatus, Health, NetworkIdentity,
};

use crate::daemon::{SERVER, application, connect, import_changed_shell, start};

const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a script in a container whose check passes as long as there is a file.
async fn run_checked(docker: &Docker, name: &str, script: &str) -> ApplicationName {
    let image = format!("flocker-test/checked-{name}:1");
    let check =
        "HEALTHCHECK --interval=100ms --retries=2 CMD test -e /well || { echo ill; exit 1; }";
    import_changed_shell(&image, vec![check.to_owned()]).await;
    let specification = ContainerSpecification {
        image: image.parse().unwrap(),
        ..application(name, script)
    };
    let name = specification.application.clone();
    docker
        .ensure_namespace(&name, &NetworkIdentity::default())
        .await
        .unwrap();
    docker
        .ensure_container(&specification, None, &[])
        .await
        .unwrap();
    start(&name).await;
    name
}

async fn health(docker: &Docker, name: &ApplicationName) -> Option<Health> {
    let mut found = docker.observe_containers().await.unwrap();
    match found.remove(name)?.application?.status {
        ContainerStatus::Running { health, .. } => Some(health),
        ContainerStatus::Stopped { .. } => None,
    }
}

#[tokio::test]
async fn a_check_that_passes_is_waited_for() {
    let Some(docker) = connect().await else {
        return;
    };
    let script = format!("echo > /well; {SERVER}");
    let name = run_checked(&docker, "well", &script).await;
    docker.wait_until_healthy(&name, PATIENCE).await.unwrap();
    assert_eq!(health(&docker, &name).await, Some(Health::Healthy));
}

#[tokio::test]
async fn a_check_that_fails_is_told_with_what_it_printed() {
    let Some(docker) = connect().await else {
        return;
    };
    let name = run_checked(&docker, "ill", SERVER).await;
    let error = docker
        .wait_until_healthy(&name, PATIENCE)
        .await
        .unwrap_err();
    let HealthError::Unhealthy { output, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(output.trim(), "ill");
    assert_eq!(health(&docker, &name).await, Some(Health::Unhealthy));
}

#[tokio::test]
async fn the_end_of_a_container_ends_the_waiting() {
    let Some(docker) = connect().await else {
        return;
    };
    // Ends by itself between two checks, or before the first: either is no health.
    let name = run_checked(&docker, "brief", "exit 3").await;
    let error = docker
        .wait_until_healthy(&name, PATIENCE)
        .await
        .unwrap_err();
    assert!(matches!(error, HealthError::Ended { .. }), "{error:?}");
}

#[tokio::test]
async fn without_a_check_nothing_is_waited_for() {
    let Some(docker) = connect().await else {
        return;
    };
    let specification = application("unchecked", SERVER);
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
    docker.wait_until_healthy(name, PATIENCE).await.unwrap();
    assert_eq!(health(&docker, name).await, Some(Health::Unchecked));
}
