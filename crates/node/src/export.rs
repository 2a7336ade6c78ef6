//! Writing a volume as a stream: what `flocker-cluster volume export` puts into a file.

use flocker_model::{ApplicationName, SnapshotGuid};
use flocker_remote::protocol::StepFailure;
use flocker_zfs::{Incoming, StreamFlags};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use crate::failure::{OrFailure as _, failure_of};
use crate::places::reach;
use crate::platform::{OwnedVolume as _, Volumes};

/// Writes a full stream of one snapshot of an owned volume.
///
/// Blocks are compressed as they are on disk, which every pool takes that can have volumes of
/// Flocker's; what is encrypted here is not in the stream.
pub(crate) async fn export(
    volumes: &impl Volumes,
    (application, snapshot): (&ApplicationName, SnapshotGuid),
    mut output: impl AsyncWrite + Unpin,
) -> Result<(), StepFailure> {
    reach(|| "export-volume.before".to_owned()).await;
    let volume = volumes.open_owned_now(application).await?;
    let takes = StreamFlags {
        compressed: true,
        ..StreamFlags::default()
    };
    let nothing_there = Incoming {
        takes,
        ..Incoming::default()
    };
    let sending = volume.send(snapshot, &nothing_there).await?;
    let mut sending = sending.ok_or_else(|| failure_of("there is nothing to send"))?;
    let copied = tokio::io::copy(&mut sending.stream, &mut output).await;
    copied.or_failed_to("the stream cannot be written")?;
    sending.completion.await?;
    let flushed = output.flush().await;
    flushed.or_failed_to("the stream cannot be written")?;
    reach(|| "export-volume.after".to_owned()).await;
    Ok(())
}
