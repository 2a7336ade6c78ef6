//! Getting images: from a registry, or to a peer.

use flocker_model::{ImageReference, NodeName};
use flocker_remote::protocol::{Change, Progress, StepFailure};

use crate::execute::ProgressSender;
use crate::machine::Machine;
use crate::peer::connect;
use crate::platform::{Containers as _, ImageProgress, Platform};

/// Pulls an image from its registry.
pub(super) async fn pull(
    machine: &Machine<impl Platform>,
    image: &ImageReference,
    progress: &ProgressSender,
) -> Result<Change, StepFailure> {
    let what = format!("pull {image}");
    let tell = |(done, total): ImageProgress| {
        let total = (total.get() > 0).then_some(total.get());
        // Nobody may be listening any more.
        let _ = progress.send(Progress {
            what: what.clone(),
            done: done.get(),
            total,
        });
    };
    let pulled = machine.containers.pull_image(image, tell).await;
    pulled.map_err(|failure| StepFailure {
        hint: Some(format!(
            "if no registry is meant to have it, build or load {image} on any node or on the \
             machine that you deploy from, or name its archive with --image-archive"
        )),
        ..failure
    })?;
    Ok(Change::Changed)
}

/// Streams an image to a peer.
pub(super) async fn push(
    machine: &Machine<impl Platform>,
    (image, to): (&ImageReference, &NodeName),
    progress: &ProgressSender,
) -> Result<Change, StepFailure> {
    let peer = connect(machine, to).await?;
    let archive = machine.containers.export_image(image);
    peer.send_image(image, archive, progress).await?;
    Ok(Change::Changed)
}
