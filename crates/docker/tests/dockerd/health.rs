//! Health checks, of images and of configurations: what they say is seen, and waited for.

use flocker_docker::{CompletionError, Docker, HealthError};
use flocker_model::{
    ApplicationName, CheckOrigin, CheckPeriod, CheckSettings, CheckTest, ContainerSpecification,
    ContainerStatus, Health, HealthCheck, NetworkIdentity,
};

use crate::daemon::{SERVER, application, connect, import_changed_shell, start};

/// Runs a script in a container whose check passes as long as there is a file.
async fn run_checked(docker: &Docker, name: &str, script: &str) -> ApplicationName {
    run_with(docker, (name, script), None).await
}

/// Does the same with what a configuration says of the check.
async fn run_with(
    docker: &Docker,
    (name, script): (&str, &str),
    health_check: Option<HealthCheck>,
) -> ApplicationName {
    let image = format!("flocker-test/checked-{name}:1");
    let check =
        "HEALTHCHECK --interval=100ms --retries=2 CMD test -e /well || { echo ill; exit 1; }";
    import_changed_shell(&image, vec![check.to_owned()]).await;
    let specification = ContainerSpecification {
        image: image.parse().unwrap(),
        health_check,
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
    docker
        .wait_until_healthy(&name, CheckOrigin::Image)
        .await
        .unwrap();
    assert_eq!(health(&docker, &name).await, Some(Health::Healthy));
}

#[tokio::test]
async fn a_check_that_fails_is_told_with_what_it_printed() {
    let Some(docker) = connect().await else {
        return;
    };
    let name = run_checked(&docker, "ill", SERVER).await;
    let error = docker
        .wait_until_healthy(&name, CheckOrigin::Image)
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
        .wait_until_healthy(&name, CheckOrigin::Image)
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
    docker
        .wait_until_healthy(name, CheckOrigin::Image)
        .await
        .unwrap();
    assert_eq!(health(&docker, name).await, Some(Health::Unchecked));
}

#[tokio::test]
async fn a_configured_check_takes_the_place_of_the_images() {
    let Some(docker) = connect().await else {
        return;
    };
    let second = CheckPeriod::from_milliseconds(100);
    let settings = CheckSettings {
        test: Some(CheckTest::Command(
            ["test", "-e", "/well"].map(str::to_owned).to_vec(),
        )),
        interval: second,
        start_period: CheckPeriod::from_milliseconds(60_000),
        start_interval: second,
        ..CheckSettings::default()
    };
    // The image's own check would give up after two failures.
    let script = format!("sleep 2; echo > /well; {SERVER}");
    let check = Some(HealthCheck::Enabled(settings.clone()));
    let name = run_with(&docker, ("late", &script), check).await;
    let waited = docker.wait_until_healthy(&name, CheckOrigin::Configuration);
    waited.await.unwrap();
    assert_eq!(health(&docker, &name).await, Some(Health::Healthy));

    let failing = CheckSettings {
        test: Some(CheckTest::Shell("echo $((40 + 2)); exit 1".to_owned())),
        interval: second,
        retries: std::num::NonZeroU16::new(1),
        ..CheckSettings::default()
    };
    let check = Some(HealthCheck::Enabled(failing));
    let name = run_with(&docker, ("wrong", SERVER), check).await;
    let waited = docker.wait_until_healthy(&name, CheckOrigin::Configuration);
    let error = waited.await.unwrap_err().to_string();
    assert_eq!(
        error,
        "wrong runs, and fails its `healthcheck`; the check printed:\n  42"
    );
}

#[tokio::test]
async fn a_disabled_check_is_not_made() {
    let Some(docker) = connect().await else {
        return;
    };
    let disabled = Some(HealthCheck::Disabled);
    let name = run_with(&docker, ("disabled", SERVER), disabled).await;
    let waited = docker.wait_until_healthy(&name, CheckOrigin::Image);
    waited.await.unwrap();
    assert_eq!(health(&docker, &name).await, Some(Health::Unchecked));
}

#[tokio::test]
async fn an_application_that_ends_well_has_completed() {
    let Some(docker) = connect().await else {
        return;
    };
    let name = run_with(&docker, ("brief-job", "sleep 1"), None).await;
    docker.wait_until_completed(&name, 1).await.unwrap();
    // Again, now that it has ended.
    docker.wait_until_completed(&name, 1).await.unwrap();
}

#[tokio::test]
async fn an_application_that_fails_has_not_completed() {
    let Some(docker) = connect().await else {
        return;
    };
    let script = "echo no table; exit 3";
    let name = run_with(&docker, ("broken-job", script), None).await;
    let error = docker.wait_until_completed(&name, 1).await.unwrap_err();
    assert!(matches!(error, CompletionError::Failed { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "broken-job did not complete: it ended with status 3; its last output:\n  no table"
    );
}

#[tokio::test]
async fn a_job_that_is_started_again_may_still_complete() {
    let Some(docker) = connect().await else {
        return;
    };
    let script = "test -e /tried && exit 0; echo > /tried; exit 1";
    let name = run_with(&docker, ("second-try", script), None).await;
    let waiting = docker.wait_until_completed(&name, 2);
    let restarting = async {
        // As systemd does.
        let watch = docker.watch_run(&name);
        let ended = watch.wait_until_stable(
            std::time::Duration::from_secs(60),
            std::time::Duration::from_secs(60),
        );
        ended.await.unwrap_err();
        start(&name).await;
    };
    let (completed, ()) = tokio::join!(waiting, restarting);
    completed.unwrap();
}
