//! Starting: what is noticed, and what is said about it.

use std::process::Stdio;
use std::time::Duration;

use flocker_docker::{Docker, StartError, container_name};
use flocker_model::{ContainerSpecification, NetworkIdentity};

use crate::daemon::{
    SERVER, application, connect, docker_command, start, stranger, wait_until_ready,
};

const PATIENCE: Duration = Duration::from_secs(120);
const SETTLE: Duration = Duration::from_secs(2);

async fn prepare(docker: &Docker, specification: &ContainerSpecification) {
    docker
        .ensure_namespace(&specification.application, &NetworkIdentity::default())
        .await
        .unwrap();
    docker
        .ensure_container(specification, None, &[])
        .await
        .unwrap();
}

#[tokio::test]
async fn a_container_that_ends_at_once_is_reported_with_its_last_words() {
    let Some(docker) = connect().await else {
        return;
    };
    let specification = application("dying", "echo to stdout; echo no database >&2; exit 3");
    let name = &specification.application;
    prepare(&docker, &specification).await;
    let watch = docker.watch_start(name).await.unwrap();
    start(name).await;
    let error = watch.wait_until_stable(SETTLE, PATIENCE).await.unwrap_err();
    let StartError::Ended(ended) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(ended.exit_code, Some(3));
    assert!(!ended.succeeded());
    assert!(!ended.out_of_memory);
    let mut output = ended.output.clone();
    // Two pipes: their order is not kept.
    output.sort();
    assert_eq!(output, ["no database", "to stdout"]);
}

#[tokio::test]
async fn what_is_done_at_once_is_told_from_what_failed() {
    let Some(docker) = connect().await else {
        return;
    };
    let specification = application("brief", "exit 0");
    let name = &specification.application;
    prepare(&docker, &specification).await;
    let watch = docker.watch_start(name).await.unwrap();
    start(name).await;
    let error = watch.wait_until_stable(SETTLE, PATIENCE).await.unwrap_err();
    let StartError::Ended(ended) = &error else {
        panic!("{error:?}");
    };
    assert!(ended.succeeded());
}

#[tokio::test]
async fn the_end_of_an_earlier_run_is_not_mistaken_for_this_one() {
    let Some(docker) = connect().await else {
        return;
    };
    let specification = application("again", "echo ended; exit 4");
    let name = &specification.application;
    prepare(&docker, &specification).await;
    let watch = docker.watch_start(name).await.unwrap();
    start(name).await;
    let error = watch.wait_until_stable(SETTLE, PATIENCE).await.unwrap_err();
    assert!(matches!(error, StartError::Ended(_)), "{error:?}");

    let watch = docker.watch_start(name).await.unwrap();
    let error = watch
        .wait_until_running(Duration::from_millis(200))
        .await
        .unwrap_err();
    assert!(matches!(error, StartError::Deadline { .. }), "{error:?}");
}

/// Also when it ended before anybody watched, as in a loop.
#[tokio::test]
async fn the_end_of_the_run_that_is_watched_is_noticed_whenever_it_comes() {
    let Some(docker) = connect().await else {
        return;
    };
    let specification = application(
        "failing",
        "trap 'exit 6' TERM; echo ready; sleep 1000 & wait",
    );
    let name = &specification.application;
    prepare(&docker, &specification).await;
    start(name).await;
    wait_until_ready(name).await;
    let (during, afterwards) = (docker.watch_run(name), docker.watch_run(name));
    let (watched, stopped) = tokio::join!(
        during.wait_until_stable(PATIENCE, PATIENCE),
        docker.stop_container(name, PATIENCE)
    );
    stopped.unwrap();
    let afterwards = afterwards.wait_until_stable(SETTLE, PATIENCE).await;
    for error in [watched.unwrap_err(), afterwards.unwrap_err()] {
        let StartError::Ended(ended) = &error else {
            panic!("{error:?}");
        };
        assert_eq!(ended.exit_code, Some(6));
    }
}

#[tokio::test]
async fn a_command_that_does_not_exist_is_reported() {
    let Some(docker) = connect().await else {
        return;
    };
    let mut specification = application("no-command", "");
    specification.command = Some(vec!["no-such-program".to_owned()]);
    let name = &specification.application;
    prepare(&docker, &specification).await;
    let watch = docker.watch_start(name).await.unwrap();
    stranger()
        .await
        .start_container(
            &container_name(name),
            None::<bollard::query_parameters::StartContainerOptions>,
        )
        .await
        .unwrap_err();
    let error = watch.wait_until_running(PATIENCE).await.unwrap_err();
    let message = error.to_string();
    assert!(
        message.starts_with("no-command could not be started: ")
            && message.contains("no-such-program"),
        "{message}"
    );
}

#[tokio::test]
async fn a_start_is_noticed_when_it_happens() {
    let Some(docker) = connect().await else {
        return;
    };
    let specification = application("later", SERVER);
    let name = specification.application.clone();
    prepare(&docker, &specification).await;
    let watch = docker.watch_start(&name).await.unwrap();
    let waiting = tokio::spawn(async move { watch.wait_until_stable(SETTLE, PATIENCE).await });
    start(&name).await;
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn attaching_passes_output_and_exit_status_on() {
    let Some(docker) = connect().await else {
        return;
    };
    let specification = application("attached", "echo hello; echo trouble >&2; exit 7");
    let name = &specification.application;
    prepare(&docker, &specification).await;
    let container = container_name(name);
    let output = tokio::task::spawn_blocking(move || {
        docker_command()
            .args(["start", "--attach", &container])
            .stdin(Stdio::null())
            .output()
            .unwrap()
    })
    .await
    .unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hello\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "trouble\n");
    // And `docker logs` still has it.
    assert_eq!(docker.observe_output(name).await.unwrap().len(), 2);
}
