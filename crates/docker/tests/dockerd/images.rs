//! Images without a registry.

use std::sync::{Arc, Mutex};

use bollard::query_parameters::RemoveImageOptions;
use bytes::Bytes;
use flocker_docker::ImageError;
use flocker_model::{ByteCount, ImageReference, RegistryAnswer, RegistryLogins};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::daemon::{IMAGE, connect, import_shell, stranger};

fn reference(name: &str) -> ImageReference {
    name.parse().unwrap()
}

#[tokio::test]
async fn an_image_survives_being_carried_from_one_docker_to_another() {
    let Some(docker) = connect().await else {
        return;
    };
    let name = "flocker-test/carried:1";
    let image = reference(name);
    import_shell(name).await;
    let before = docker.observe_image(&image).await.unwrap().unwrap();
    let images = docker.observe_images().await.unwrap();
    let listed = images.get(&image.identity());
    assert_eq!(listed.map(|details| &details.id), Some(&before));
    let archive: Vec<Bytes> = docker.export_image(&image).try_collect().await.unwrap();
    let size: usize = archive.iter().map(Bytes::len).sum();

    stranger()
        .await
        .remove_image(name, None::<RemoveImageOptions>, None)
        .await
        .unwrap();
    assert_eq!(docker.observe_image(&image).await.unwrap(), None);

    let progress = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&progress);
    let chunks = stream::iter(archive.clone()).map(Ok);
    let after = docker
        .import_image(&image, chunks, move |bytes| {
            seen.lock().unwrap().push(bytes);
        })
        .await
        .unwrap();
    assert_eq!(after, before);
    let progress = progress.lock().unwrap().clone();
    assert!(progress.is_sorted());
    assert_eq!(progress.last(), Some(&ByteCount::new(size as u64)));

    let other = reference("flocker-test/other:1");
    let chunks = stream::iter(archive).map(Ok);
    let error = docker
        .import_image(&other, chunks, |_| {})
        .await
        .unwrap_err();
    assert!(
        matches!(error, ImageError::NotInArchive { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_archive_that_breaks_off_is_an_error_with_its_cause() {
    let Some(docker) = connect().await else {
        return;
    };
    let image = reference(IMAGE);
    let half = docker.export_image(&image).take(3);
    let broken = half
        .map_err(std::io::Error::other)
        .chain(stream::once(async {
            Err(std::io::Error::other("the connection was lost"))
        }));
    let error = docker
        .import_image(&reference("flocker-test/broken:1"), broken, |_| {})
        .await
        .unwrap_err();
    let ImageError::Upload { source, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(source.to_string(), "the connection was lost");
}

#[tokio::test]
async fn what_is_no_archive_is_refused() {
    let Some(docker) = connect().await else {
        return;
    };
    let rubbish = stream::iter([Ok(Bytes::from_static(&[b'x'; 4096]))]);
    let error = docker
        .import_image(&reference("flocker-test/rubbish:1"), rubbish, |_| {})
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            ImageError::Request(_) | ImageError::NotInArchive { .. }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_image_that_is_not_here_cannot_be_exported_or_pulled() {
    let Some(docker) = connect().await else {
        return;
    };
    let image = reference("localhost:1/absent");
    let first = Box::pin(docker.export_image(&image)).next().await;
    assert!(
        matches!(first, Some(Err(ImageError::Missing { .. }))),
        "{first:?}"
    );
    let error = docker
        .pull_image(&image, &RegistryLogins::new(), |_| {})
        .await
        .unwrap_err();
    assert!(matches!(error, ImageError::Pull { .. }), "{error:?}");
}

/// Docker's archives have tags and no digests.
#[tokio::test]
async fn an_image_named_by_its_digest_survives_being_carried() {
    let Some(docker) = connect().await else {
        return;
    };
    let digest = "sha256:1f1fba3d1f1fba3d1f1fba3d1f1fba3d1f1fba3d1f1fba3d1f1fba3d1f1fba3d";
    let image = reference(&format!("docker.io/flocker-test/pinned:1@{digest}"));
    let (repository, tag) = ("flocker-test/pinned", image.identity().alias().unwrap().1);
    assert_eq!(docker.name_here(&image).await.unwrap(), None);
    // No registry is here that would give an image a digest; a node that got it from another has
    // the tag that stands for it.
    import_shell(&format!("{repository}:{tag}")).await;
    let before = docker.observe_image(&image).await.unwrap().unwrap();
    let archive: Vec<Bytes> = docker.export_image(&image).try_collect().await.unwrap();

    let alias = format!("{repository}:{tag}");
    stranger()
        .await
        .remove_image(&alias, None::<RemoveImageOptions>, None)
        .await
        .unwrap();
    assert_eq!(docker.observe_image(&image).await.unwrap(), None);

    let chunks = stream::iter(archive).map(Ok);
    let after = docker.import_image(&image, chunks, |_| {}).await.unwrap();
    assert_eq!(after, before);
    let here = docker.name_here(&image).await.unwrap();
    assert_eq!(here, Some(alias));
    let images = docker.observe_images().await.unwrap();
    assert_eq!(images[&image.identity()].id, before);
    assert!(
        images
            .keys()
            .all(|name| !name.as_str().contains("flocker-sha256"))
    );
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_unreachable() {
    let Some(docker) = connect().await else {
        return;
    };
    let images = [
        reference("localhost:1/absent"),
        reference(
            "localhost:1/other@sha256:1f1fba3d1f1fba3d1f1fba3d1f1fba3d1f1fba3d1f1fba3d1f1fba3d1f1fba3d",
        ),
    ];
    let answers = docker.ask_registries(&images, &RegistryLogins::new()).await;
    assert_eq!(answers.len(), 2);
    for image in images {
        let answer = &answers[&image.identity()];
        let RegistryAnswer::Unreachable { reason } = answer else {
            panic!("{answer:?}");
        };
        assert!(reason.contains("refused"), "{reason}");
    }
}
