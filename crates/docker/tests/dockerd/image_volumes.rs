//! What images declare as volumes, and what they have there.

use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use bollard::query_parameters::ListVolumesOptions;
use flocker_docker::{BindMount, ContainerError, ImageContent};
use flocker_model::{ImageReference, MountPath, NetworkIdentity};

use crate::daemon::{SERVER, application, connect, import_image, stranger};

/// Docker's anonymous volumes are made by one test here at a time, or they could not be counted.
static COUNTING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Counts the volumes that Docker keeps.
async fn anonymous_volumes() -> usize {
    let listed = stranger()
        .await
        .list_volumes(None::<ListVolumesOptions>)
        .await;
    listed.unwrap().volumes.unwrap_or_default().len()
}

/// Imports an image that declares a volume below a directory with content.
async fn import_database(name: &str) {
    import_image(name, vec!["VOLUME /data/db".to_owned()], |root| {
        let data = root.join("data");
        std::fs::create_dir_all(data.join("db")).unwrap();
        std::fs::write(data.join("file"), "from the image\n").unwrap();
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(&data.join("file"), 0o640);
        mode(&data.join("db"), 0o1777);
        mode(&data, 0o2750);
        std::os::unix::fs::symlink("file", data.join("link")).unwrap();
    })
    .await;
}

/// A path of an image that is run as the image says.
fn content<'a>(image: &'a ImageReference, path: &'a MountPath) -> ImageContent<'a> {
    ImageContent {
        image,
        path,
        user: None,
    }
}

#[tokio::test]
async fn a_directory_is_filled_with_what_the_image_has() {
    let Some(docker) = connect().await else {
        return;
    };
    let _counting = COUNTING.lock().await;
    import_database("flocker-test/filled:1").await;
    let image = "flocker-test/filled:1".parse().unwrap();
    let name = "filled".parse().unwrap();
    let into = tempfile::tempdir().unwrap();
    let path = "/data/".parse().unwrap();
    let before = anonymous_volumes().await;
    docker
        .copy_from_image(&name, content(&image, &path), into.path())
        .await
        .unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!(mode(into.path()), 0o2750);
    assert_eq!(mode(&into.path().join("db")), 0o1777);
    assert_eq!(mode(&into.path().join("file")), 0o640);
    let link = std::fs::read_to_string(into.path().join("link")).unwrap();
    assert_eq!(link, "from the image\n");

    assert_eq!(anonymous_volumes().await, before, "docker made a volume");
    // Again, and where the image has nothing.
    let nothing = tempfile::tempdir().unwrap();
    let path = "/absent/path".parse().unwrap();
    docker
        .copy_from_image(&name, content(&image, &path), nothing.path())
        .await
        .unwrap();
    assert_eq!(std::fs::read_dir(nothing.path()).unwrap().count(), 0);
    let found = docker.observe_image_details(&image).await.unwrap().unwrap();
    assert_eq!(found.volumes, BTreeSet::from(["/data/db".to_owned()]));
    let left = stranger()
        .await
        .inspect_container(
            "flocker.content-filled",
            None::<bollard::query_parameters::InspectContainerOptions>,
        )
        .await;
    assert!(left.is_err(), "the container that was read is still there");
}

#[tokio::test]
async fn a_directory_that_the_image_lacks_belongs_to_its_user() {
    let Some(docker) = connect().await else {
        return;
    };
    import_image(
        "flocker-test/user:1",
        vec!["USER worker".to_owned()],
        |root| {
            std::fs::create_dir(root.join("etc")).unwrap();
            let passwd = "root:x:0:0::/:/bin/sh\nworker:x:903:904::/:/bin/sh\n";
            std::fs::write(root.join("etc/passwd"), passwd).unwrap();
        },
    )
    .await;
    let image = "flocker-test/user:1".parse().unwrap();
    let path = "/var/lib/worker".parse().unwrap();
    let into = tempfile::tempdir().unwrap();
    docker
        .copy_from_image(
            &"user".parse().unwrap(),
            content(&image, &path),
            into.path(),
        )
        .await
        .unwrap();
    let found = std::fs::metadata(into.path()).unwrap();
    assert_eq!((found.uid(), found.gid()), (903, 904));
    // The application's own word goes before the image's.
    let user = "1234:0".parse().unwrap();
    let content = ImageContent {
        user: Some(&user),
        ..content(&image, &path)
    };
    docker
        .copy_from_image(&"user".parse().unwrap(), content, into.path())
        .await
        .unwrap();
    let found = std::fs::metadata(into.path()).unwrap();
    assert_eq!((found.uid(), found.gid()), (1234, 0));
}

#[tokio::test]
async fn no_anonymous_volume_is_made_where_a_directory_is_mounted() {
    let Some(docker) = connect().await else {
        return;
    };
    import_database("flocker-test/covered:1").await;
    let mut specification = application("covered", SERVER);
    specification.image = "flocker-test/covered:1".parse().unwrap();
    specification.mountpoint = Some("/data".parse().unwrap());
    let name = specification.application.clone();
    let volume = tempfile::tempdir().unwrap();
    std::fs::create_dir(volume.path().join("db")).unwrap();
    let bind = |source: &Path, target: &str| BindMount {
        source: source.to_owned(),
        target: target.parse().unwrap(),
        read_only: false,
    };
    let mounts = [
        bind(volume.path(), "/data"),
        bind(&volume.path().join("db"), "/data/db"),
    ];
    docker
        .ensure_namespace(&name, &NetworkIdentity::default())
        .await
        .unwrap();
    docker
        .ensure_container(&specification, Some(volume.path()), &mounts)
        .await
        .unwrap();
    let observed = docker.observe_containers().await.unwrap();
    let container = observed[&name].application.as_ref().unwrap();
    assert_eq!(container.anonymous_volumes, BTreeSet::new());
    docker.remove_container(&name).await.unwrap();
}

/// As an earlier release made them, with data that is nowhere else.
#[tokio::test]
async fn a_container_with_anonymous_volumes_is_not_removed() {
    let Some(docker) = connect().await else {
        return;
    };
    let _counting = COUNTING.lock().await;
    import_database("flocker-test/anonymous:1").await;
    let mut specification = application("anonymous", SERVER);
    specification.image = "flocker-test/anonymous:1".parse().unwrap();
    let name = specification.application.clone();
    docker
        .ensure_namespace(&name, &NetworkIdentity::default())
        .await
        .unwrap();
    docker
        .ensure_container(&specification, None, &[])
        .await
        .unwrap();
    let observed = docker.observe_containers().await.unwrap();
    let container = observed[&name].application.as_ref().unwrap();
    let declared = BTreeSet::from(["/data/db".to_owned()]);
    assert_eq!(container.anonymous_volumes, declared);
    let before = anonymous_volumes().await;
    assert!(before > 0);

    let refused = docker.remove_container(&name).await.unwrap_err();
    assert!(
        matches!(&refused, ContainerError::AnonymousVolumes { paths, .. } if *paths == declared),
        "{refused:?}"
    );
    insta::assert_snapshot!(refused, @"the container of anonymous has /data/db as anonymous volumes of Docker's, made by an earlier release of Flocker, and is not removed: what is in them is nowhere else; bring it in with `docker cp -a`, then `docker rm flocker-anonymous` (without -v)");
    // As it is, it is started again: after a boot, say.
    assert!(docker.has_container(&specification, None).await.unwrap());
    specification.environment.insert("A".to_owned(), "b".into());
    docker
        .ensure_container(&specification, None, &[])
        .await
        .unwrap_err();
    assert_eq!(anonymous_volumes().await, before);
}
