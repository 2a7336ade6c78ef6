//! What an import has to know: where volumes are, and who writes to directories of the node.

use std::collections::HashMap;
use std::path::Path;

use bollard::models::{ContainerCreateBody, HostConfig, VolumeCreateRequest};
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, RemoveContainerOptions, RemoveVolumeOptions,
    StartContainerOptions,
};

use crate::daemon::{IMAGE, connect, import_changed_shell, import_shell, stranger};
use crate::image_volumes::COUNTING;

/// A container of somebody else.
const WRITER: &str = "import-writer";

async fn make_volume(name: &str, options: &[(&str, &str)]) {
    let options = options.iter();
    let options: HashMap<String, String> = options
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let volume = VolumeCreateRequest {
        name: Some(name.to_owned()),
        driver_opts: Some(options),
        ..VolumeCreateRequest::default()
    };
    stranger().await.create_volume(volume).await.unwrap();
}

async fn remove_volume(name: &str) {
    let none = None::<RemoveVolumeOptions>;
    stranger().await.remove_volume(name, none).await.unwrap();
}

/// Makes the container, which does not run yet.
async fn make_writer(image: &str, binds: Vec<String>) {
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        cmd: Some(["sleep", "1000"].map(str::to_owned).to_vec()),
        host_config: Some(HostConfig {
            binds: Some(binds),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptions {
        name: Some(WRITER.to_owned()),
        ..CreateContainerOptions::default()
    };
    let created = stranger().await.create_container(Some(options), body).await;
    created.unwrap();
}

#[tokio::test]
async fn docker_volumes_are_found_with_what_is_mounted_in_them() {
    let Some(docker) = connect().await else {
        return;
    };
    let _counting = COUNTING.lock().await;
    let bound = tempfile::tempdir().unwrap();
    let device = bound.path().to_str().unwrap();
    make_volume("import-plain", &[]).await;
    make_volume(
        "import-bound",
        &[("type", "none"), ("o", "bind"), ("device", device)],
    )
    .await;
    let plain = docker
        .observe_volume("import-plain")
        .await
        .unwrap()
        .unwrap();
    assert!(
        plain.mountpoint.ends_with("import-plain/_data"),
        "{plain:?}"
    );
    assert_eq!((plain.driver.as_str(), &plain.device), ("local", &None));
    let mounted = docker
        .observe_volume("import-bound")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(mounted.device.as_deref().map(Path::new), Some(bound.path()));
    assert_eq!(docker.observe_volume("import-none").await.unwrap(), None);
    for name in ["import-plain", "import-bound"] {
        remove_volume(name).await;
    }
}

#[tokio::test]
async fn containers_that_run_and_write_are_found() {
    let Some(docker) = connect().await else {
        return;
    };
    let _counting = COUNTING.lock().await;
    import_shell(IMAGE).await;
    let read = tempfile::tempdir().unwrap();
    make_volume("import-written", &[]).await;
    let volume = docker.observe_volume("import-written").await.unwrap();
    let binds = vec![
        "import-written:/written".to_owned(),
        format!("{}:/read:ro", read.path().display()),
    ];
    make_writer(IMAGE, binds).await;
    let directories = async || {
        let writers = docker.observe_writers().await.unwrap();
        let found = writers.into_iter().find(|it| it.container == WRITER);
        found.map(|writer| writer.directories)
    };
    assert_eq!(directories().await, None, "it does not run yet");
    let stranger = stranger().await;
    let start = None::<StartContainerOptions>;
    stranger.start_container(WRITER, start).await.unwrap();
    let written = volume.map(|volume| vec![volume.mountpoint]);
    assert_eq!(directories().await, written);
    remove_writer().await;
    remove_volume("import-written").await;
}

/// A list of containers does not say where anonymous volumes are.
#[tokio::test]
async fn a_container_that_writes_to_a_volume_of_its_image_is_found() {
    let Some(docker) = connect().await else {
        return;
    };
    let _counting = COUNTING.lock().await;
    let image = "flocker-test/writing:1";
    import_changed_shell(image, vec!["VOLUME /data".to_owned()]).await;
    make_writer(image, Vec::new()).await;
    let stranger = stranger().await;
    let start = None::<StartContainerOptions>;
    stranger.start_container(WRITER, start).await.unwrap();
    let none = None::<InspectContainerOptions>;
    let container = stranger.inspect_container(WRITER, none).await.unwrap();
    let source = container.mounts.unwrap()[0].source.clone().unwrap();
    let writers = docker.observe_writers().await.unwrap();
    let found = writers.into_iter().find(|it| it.container == WRITER);
    remove_writer().await;
    assert_eq!(found.unwrap().directories, [Path::new(&source)]);
}

/// Removes the container with its anonymous volumes.
async fn remove_writer() {
    let remove = RemoveContainerOptions {
        force: true,
        v: true,
        ..RemoveContainerOptions::default()
    };
    let stranger = stranger().await;
    let removed = stranger.remove_container(WRITER, Some(remove)).await;
    removed.unwrap();
}
