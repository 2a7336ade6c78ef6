//! Getting images: from a registry, or to a peer.

use flocker_model::{ImageReference, NodeName};
use flocker_remote::protocol::{Change, Progress, StepFailure};
use futures_util::TryStreamExt as _;
use tokio_util::io::StreamReader;

use crate::execute::ProgressSender;
use crate::machine::Machine;
use crate::peer::Peer;

/// Pulls an image from its registry.
pub(super) async fn pull(
    machine: &Machine,
    image: &ImageReference,
    progress: &ProgressSender,
) -> Result<Change, StepFailure> {
    let what = format!("pull {image}");
    let tell = |layer: flocker_docker::ImageProgress| {
        let (done, total) = layer.bytes.unwrap_or_default();
        let total = (total.get() > 0).then_some(total.get());
        // Nobody may be listening any more.
        let _ = progress.send(Progress {
            what: what.clone(),
            done: done.get(),
            total,
        });
    };
    machine
        .docker
        .pull_image(image, tell)
        .await
        .map_err(|error| {
            let mut failure = crate::failure::failure(&error);
            failure.hint = Some(format!(
                "if no registry is meant to have it, build or load {image} on any node or on the \
             machine that you deploy from, or name its archive with --image-archive"
            ));
            failure
        })?;
    Ok(Change::Changed)
}

/// Streams an image to a peer.
pub(super) async fn push(
    machine: &Machine,
    (image, to): (&ImageReference, &NodeName),
    progress: &ProgressSender,
) -> Result<Change, StepFailure> {
    let peer = Peer::connect(machine, to).await?;
    let archive = machine
        .docker
        .export_image(image)
        .map_err(std::io::Error::other);
    let reader = StreamReader::new(Box::pin(archive));
    peer.send_image(image, reader, progress).await?;
    Ok(Change::Changed)
}
