//! What a peer's key may run here: `flocker-node receive`, with the peer's identity as argument.
//!
//! Whatever the peer asked its SSH client to run is ignored; it can only speak this exchange, and
//! only in its own name.

use flocker_failpoint::reach;
use flocker_model::NodeId;
use flocker_remote::protocol::{FrameReader, FrameWriter, StepFailure};
use tokio::io::{Stdin, Stdout};
use tokio_util::io::ReaderStream;

use crate::failure::{OrFailure as _, failure_of};
use crate::machine::Machine;
use crate::peer::{PushAnswer, PushRequest};

/// Serves one push of the peer called `from`.
pub(crate) async fn receive(machine: &Machine, from: NodeId) -> Result<(), StepFailure> {
    let mut writer = FrameWriter::<Stdout, PushAnswer>::new(tokio::io::stdout());
    let answer = match serve(machine, from, &mut writer).await {
        Ok(Some(answer)) => answer,
        Ok(None) => return Ok(()),
        Err(failure) => PushAnswer::Failed(failure),
    };
    writer.send(&answer).await.or_failure()
}

/// Reads requests until a stream was received or the peer has no more.
async fn serve(
    machine: &Machine,
    from: NodeId,
    writer: &mut FrameWriter<Stdout, PushAnswer>,
) -> Result<Option<PushAnswer>, StepFailure> {
    let mut reader = FrameReader::<Stdin, PushRequest>::new(tokio::io::stdin());
    loop {
        match reader.next().await.or_failure()? {
            None => return Ok(None),
            Some(PushRequest::Prepare { application }) => {
                let incoming = machine
                    .zfs
                    .prepare_incoming(&application)
                    .await
                    .or_failure()?;
                writer
                    .send(&PushAnswer::Prepared(incoming))
                    .await
                    .or_failure()?;
            }
            Some(PushRequest::Volume(request)) => {
                if request.owner != from {
                    let text = format!("node {from} may not push in the name of {}", request.owner);
                    return Err(failure_of(text));
                }
                let received = machine.zfs.receive(&request, reader.into_rest()).await;
                reach(|| "receive-volume.after".to_owned()).await;
                let newest = received.or_failure()?.newest;
                return Ok(Some(PushAnswer::Received { newest }));
            }
            Some(PushRequest::Image { image }) => {
                let archive = ReaderStream::new(reader.into_rest());
                machine
                    .docker
                    .import_image(&image, archive, |_| {})
                    .await
                    .or_failure()?;
                return Ok(Some(PushAnswer::Loaded));
            }
        }
    }
}

/// Loads the images of the archive on standard input: what `flocker-cluster` streams.
pub(crate) async fn load_image(
    machine: &Machine,
    image: &flocker_model::ImageReference,
) -> Result<(), StepFailure> {
    let archive = ReaderStream::new(tokio::io::stdin());
    machine
        .docker
        .import_image(image, archive, |_| {})
        .await
        .or_failure()?;
    Ok(())
}
