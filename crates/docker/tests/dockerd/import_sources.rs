//! What an import has to know: where volumes are, and who writes to directories of the node.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bollard::models::{ContainerCreateBody, HostConfig, VolumeCreateRequest};
use bollard::query_parameters::{
    CreateContainerOptions, RemoveContainerOptions, RemoveVolumeOptions, StartContainerOptions,
};
use flocker_docker::DockerVolume;

use crate::daemon::{IMAGE, connect, import_shell, stranger};
use crate::image_volumes::COUNTING;

#[tokio::test]
async fn docker_volumes_and_the_containers_that_write_to_them_are_found() {
    let Some(docker) = connect().await else {
        return;
    };
    let _counting = COUNTING.lock().await;
    import_shell(IMAGE).await;
    let stranger = stranger().await;
    let bound = tempfile::tempdir().unwrap();
    for (name, options) in [
        ("import-plain", HashMap::new()),
        (
            "import-bound",
            HashMap::from([
                ("type".to_owned(), "none".to_owned()),
                ("o".to_owned(), "bind".to_owned()),
                ("device".to_owned(), bound.path().display().to_string()),
            ]),
        ),
    ] {
        let volume = VolumeCreateRequest {
            name: Some(name.to_owned()),
            driver_opts: Some(options),
            ..VolumeCreateRequest::default()
        };
        stranger.create_volume(volume).await.unwrap();
    }
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
    let mounted = docker.observe_volume("import-bound").await.unwrap();
    let device = mounted.and_then(|volume: DockerVolume| volume.device);
    assert_eq!(device.as_deref().map(Path::new), Some(bound.path()));
    assert_eq!(docker.observe_volume("import-none").await.unwrap(), None);

    let host_config = HostConfig {
        binds: Some(vec![
            "import-plain:/plain".to_owned(),
            format!("{}:/read:ro", bound.path().display()),
        ]),
        ..HostConfig::default()
    };
    let body = ContainerCreateBody {
        image: Some(IMAGE.to_owned()),
        cmd: Some(["sleep", "1000"].map(str::to_owned).to_vec()),
        host_config: Some(host_config),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptions {
        name: Some("import-writer".to_owned()),
        ..CreateContainerOptions::default()
    };
    stranger
        .create_container(Some(options), body)
        .await
        .unwrap();
    let directories = async || {
        let writers = docker.observe_writers().await.unwrap();
        let found = writers
            .into_iter()
            .find(|it| it.container == "import-writer");
        found.map(|writer| writer.directories)
    };
    assert_eq!(directories().await, None, "it does not run yet");
    let start = None::<StartContainerOptions>;
    stranger
        .start_container("import-writer", start)
        .await
        .unwrap();
    let expected: Vec<PathBuf> = vec![plain.mountpoint];
    assert_eq!(directories().await, Some(expected));

    let remove = RemoveContainerOptions {
        force: true,
        ..RemoveContainerOptions::default()
    };
    let removed = stranger
        .remove_container("import-writer", Some(remove))
        .await;
    removed.unwrap();
    for name in ["import-plain", "import-bound"] {
        let none = None::<RemoveVolumeOptions>;
        stranger.remove_volume(name, none).await.unwrap();
    }
}
