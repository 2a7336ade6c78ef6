//! What a peer's key may run here: `flocker-node receive`, with the peer's identity as argument.
//!
//! Whatever the peer asked its SSH client to run is ignored; it can only speak this exchange, and
//! only in its own name.

use std::collections::BTreeMap;

use flocker_model::{
    ApplicationName, Epoch, ForgottenMachine, ImageReference, NodeId, OwnerClaim, render_utc,
};
use flocker_remote::protocol::{FrameReader, FrameWriter, Speaks, StepFailure};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::claims::own_claims;
use crate::failure::{OrFailure as _, failure_of};
use crate::peer::SAME_RELEASE;
use crate::places::reach;
use crate::platform::{Containers, Volumes};
use crate::push_messages::{PushAnswer, PushRequest};

/// Where images are loaded that a peer sends: all that a push needs of a machine's containers.
pub(crate) trait ImageStore: Send + Sync {
    /// Loads an image from an archive as `docker save` makes it.
    fn load(
        &self,
        image: &ImageReference,
        archive: impl AsyncRead + Send + Unpin + 'static,
    ) -> impl Future<Output = Result<(), StepFailure>> + Send;
}

impl<C: Containers> ImageStore for C {
    async fn load(
        &self,
        image: &ImageReference,
        archive: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<(), StepFailure> {
        self.import_image(image, archive).await
    }
}

/// What a push needs of a machine.
pub(crate) struct Receiver<'a, V, I> {
    /// The machine.
    pub(crate) node: NodeId,
    pub(crate) volumes: &'a V,
    pub(crate) images: &'a I,
    /// The peer at the other end, if this machine was told to forget it.
    pub(crate) forgotten: Option<ForgottenMachine>,
}

impl<V, I> Receiver<'_, V, I> {
    /// Refuses everything but a question to a peer that was given up.
    fn refuse_forgotten(&self) -> Result<(), StepFailure> {
        match &self.forgotten {
            None => Ok(()),
            Some(machine) => Err(failure_of(format!(
                "{} was forgotten at {}: it does not belong to the cluster any more",
                machine.name,
                render_utc(machine.at)
            ))),
        }
    }

    /// Tells a peer that was given up that every volume has a later owner than itself, so that it
    /// starts nothing on its copies.
    fn outrank_forgotten(&self, claims: &mut BTreeMap<ApplicationName, OwnerClaim>) {
        let Some(machine) = &self.forgotten else {
            return;
        };
        let here = OwnerClaim {
            owner: self.node,
            epoch: Epoch::LAST,
        };
        for name in &machine.volumes {
            claims.entry(name.clone()).or_insert_with(|| here.clone());
        }
        for claim in claims.values_mut() {
            claim.epoch = Epoch::LAST;
        }
    }
}

/// Serves one push of the peer called `from`, which is at the other end of the streams.
pub(crate) async fn receive(
    receiver: &Receiver<'_, impl Volumes, impl ImageStore>,
    from: NodeId,
    (input, output): (
        impl AsyncRead + Send + Unpin + 'static,
        impl AsyncWrite + Send + Unpin,
    ),
) -> Result<(), StepFailure> {
    let reader = FrameReader::new(input);
    let mut writer = FrameWriter::new(output);
    let answer = match serve(receiver, from, (reader, &mut writer)).await {
        Ok(Some(answer)) => answer,
        Ok(None) => return Ok(()),
        Err(failure) => PushAnswer::Failed(failure),
    };
    writer.send(&answer).await.or_failure()
}

/// Reads requests until a stream was received or the peer has no more.
async fn serve<R, W>(
    receiver: &Receiver<'_, impl Volumes, impl ImageStore>,
    from: NodeId,
    (mut reader, writer): (FrameReader<R, PushRequest>, &mut FrameWriter<W, PushAnswer>),
) -> Result<Option<PushAnswer>, StepFailure>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin,
{
    if !greet(&mut reader, writer).await? {
        return Ok(None);
    }
    loop {
        match reader.next().await.or_failure()? {
            None => return Ok(None),
            Some(PushRequest::Hello(_)) => return Err(failure_of("that was said before")),
            Some(PushRequest::Prepare { application }) => {
                receiver.refuse_forgotten()?;
                let incoming = receiver.volumes.prepare_incoming(&application).await?;
                writer
                    .send(&PushAnswer::Prepared(incoming))
                    .await
                    .or_failure()?;
            }
            Some(PushRequest::Claims) => {
                let mut claims = own_claims(receiver.node, receiver.volumes).await?;
                receiver.outrank_forgotten(&mut claims);
                writer
                    .send(&PushAnswer::Claimed { claims })
                    .await
                    .or_failure()?;
            }
            Some(PushRequest::Volume(request)) => {
                receiver.refuse_forgotten()?;
                if request.owner != from {
                    let text = format!("node {from} may not push in the name of {}", request.owner);
                    return Err(failure_of(text));
                }
                let stream = reader.into_rest();
                reach(|| "receive-volume.before".to_owned()).await;
                let newest = receiver.volumes.receive(&request, stream).await;
                reach(|| "receive-volume.after".to_owned()).await;
                return Ok(Some(PushAnswer::Received { newest: newest? }));
            }
            Some(PushRequest::Image { image }) => {
                receiver.refuse_forgotten()?;
                let archive = reader.into_rest();
                reach(|| "receive-image.before".to_owned()).await;
                let loaded = receiver.images.load(&image, archive).await;
                reach(|| "receive-image.after".to_owned()).await;
                loaded?;
                return Ok(Some(PushAnswer::Loaded));
            }
        }
    }
}

/// Says what this node speaks; tells whether the peer speaks the same, and asks for anything.
async fn greet<R, W>(
    reader: &mut FrameReader<R, PushRequest>,
    writer: &mut FrameWriter<W, PushAnswer>,
) -> Result<bool, StepFailure>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let ours = Speaks::ours();
    let theirs = match reader.next().await.or_failure()? {
        None => return Ok(false),
        Some(PushRequest::Hello(theirs)) => theirs,
        Some(_) => {
            let message = format!(
                "the node that asks does not say which protocol it speaks, and this node has \
                 flocker-node {ours}"
            );
            return Err(StepFailure {
                hint: Some(SAME_RELEASE.to_owned()),
                ..failure_of(message)
            });
        }
    };
    writer.send(&PushAnswer::Hello(ours)).await.or_failure()?;
    Ok(theirs.is_understood())
}

/// Loads the images of the archive on standard input: what `flocker-cluster` streams.
pub(crate) async fn load_image(
    images: &impl ImageStore,
    image: &ImageReference,
) -> Result<(), StepFailure> {
    reach(|| "load-image.before".to_owned()).await;
    let loaded = images.load(image, tokio::io::stdin()).await;
    reach(|| "load-image.after".to_owned()).await;
    loaded
}
