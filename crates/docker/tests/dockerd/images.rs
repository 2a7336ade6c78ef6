//! Images without a registry.

use std::sync::{Arc, Mutex};

use bollard::query_parameters::RemoveImageOptions;
use bytes::Bytes;
use flocker_docker::ImageError;
use flocker_model::{ByteCount, ImageReference};
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
    assert_eq!(images.get(&image).map(|details| &details.id), Some(&before));
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
    let error = docker.pull_image(&image, |_| {}).await.unwrap_err();
    assert!(matches!(error, ImageError::Pull { .. }), "{error:?}");
}
