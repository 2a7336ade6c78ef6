//! What a peer's key may run here: `flocker-node receive`, with the peer's identity as argument.
//!
//! Whatever the peer asked its SSH client to run is ignored; it can only speak this exchange, and
//! only in its own name.

use std::collections::BTreeMap;

use flocker_model::{
    ApplicationName, CopyClaim, Epoch, ForgottenMachine, ImageReference, NodeId, render_utc,
};
use flocker_remote::protocol::{
    BootId, FORMER_PROTOCOLS, FrameReader, FrameWriter, KnownOwners, OwnershipAnswer, Speaks,
    StepFailure,
};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::claims::{own_claims, without_snapshots};
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
    /// The boot of the machine.
    pub(crate) boot: BootId,
    pub(crate) volumes: &'a V,
    pub(crate) images: &'a I,
    /// The peer at the other end, if this machine was told to forget it.
    pub(crate) forgotten: Option<ForgottenMachine>,
}

impl<V: Volumes, I> Receiver<'_, V, I> {
    /// Lists what the peer is told of volumes.
    async fn claims(&self) -> Result<BTreeMap<ApplicationName, CopyClaim>, StepFailure> {
        let mut claims = match own_claims(self.node, self.volumes).await {
            // A machine that was given up is told so whatever this node's pool has.
            Err(_) if self.forgotten.is_some() => BTreeMap::new(),
            claims => claims?,
        };
        self.outrank_forgotten(&mut claims);
        Ok(claims)
    }

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
    fn outrank_forgotten(&self, claims: &mut BTreeMap<ApplicationName, CopyClaim>) {
        let Some(machine) = &self.forgotten else {
            return;
        };
        let here = CopyClaim {
            owner: self.node,
            epoch: Epoch::LAST,
            newest: Vec::new(),
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
    match greet(receiver, (&mut reader, &mut *writer)).await? {
        Greeting::Over => return Ok(None),
        Greeting::OfFormerRelease => {
            return answer_former_release(receiver, (reader, writer)).await;
        }
        // The node's own key lets it ask at its own address. A clone has the same key.
        Greeting::InOurProtocol if from == receiver.node => {
            return Err(failure_of("a node pushes nothing to itself"));
        }
        Greeting::InOurProtocol => {}
    }
    loop {
        match reader.next().await.or_failure()? {
            None => return Ok(None),
            Some(PushRequest::Hello(_) | PushRequest::Ownership(_)) => {
                return Err(failure_of("such a message begins a session"));
            }
            Some(PushRequest::Prepare { application }) => {
                receiver.refuse_forgotten()?;
                let incoming = receiver.volumes.prepare_incoming(&application).await?;
                writer
                    .send(&PushAnswer::Prepared(incoming))
                    .await
                    .or_failure()?;
            }
            Some(PushRequest::Claims) => answer_claims(receiver, writer).await?,
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

/// How a session began.
enum Greeting {
    /// The peer speaks this node's protocol.
    InOurProtocol,
    /// The peer may ask for owners, and for nothing else.
    OfFormerRelease,
    /// There is nothing more to say.
    Over,
}

/// Answers the first message: the frozen question, or else what the peer speaks.
async fn greet<R, W>(
    receiver: &Receiver<'_, impl Volumes, impl ImageStore>,
    (reader, writer): (
        &mut FrameReader<R, PushRequest>,
        &mut FrameWriter<W, PushAnswer>,
    ),
) -> Result<Greeting, StepFailure>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let ours = Speaks::ours();
    let (greeting, answer) = match reader.next().await.or_failure()? {
        None => return Ok(Greeting::Over),
        // It has no version to compare.
        Some(PushRequest::Ownership(_)) => {
            let answer = PushAnswer::Ownership(ownership(receiver).await);
            (Greeting::Over, answer)
        }
        Some(PushRequest::Hello(theirs)) if theirs.is_understood() => {
            (Greeting::InOurProtocol, PushAnswer::Hello(ours))
        }
        Some(PushRequest::Hello(theirs)) if FORMER_PROTOCOLS.contains(&theirs.protocol) => {
            let protocol = theirs.protocol;
            let answer = PushAnswer::Hello(Speaks { protocol, ..ours });
            (Greeting::OfFormerRelease, answer)
        }
        Some(PushRequest::Hello(_)) => (Greeting::Over, PushAnswer::Hello(ours)),
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
    writer.send(&answer).await.or_failure()?;
    Ok(greeting)
}

/// Writes the answer to the frozen question.
async fn ownership(receiver: &Receiver<'_, impl Volumes, impl ImageStore>) -> OwnershipAnswer {
    let known = match receiver.claims().await {
        Ok(claims) => KnownOwners::of(claims),
        Err(failure) => KnownOwners::Unknown(failure.message),
    };
    OwnershipAnswer::new((receiver.node, receiver.boot.clone()), known)
}

/// Answers a release that asks for owners in its own words, and refuses everything else: a push in
/// another protocol may mean something else.
async fn answer_former_release<R, W>(
    receiver: &Receiver<'_, impl Volumes, impl ImageStore>,
    (mut reader, writer): (FrameReader<R, PushRequest>, &mut FrameWriter<W, PushAnswer>),
) -> Result<Option<PushAnswer>, StepFailure>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    loop {
        match reader.next().await.or_failure()? {
            None => return Ok(None),
            Some(PushRequest::Claims) => answer_claims(receiver, writer).await?,
            Some(_) => {
                let message = format!(
                    "this node has flocker-node {}, and receives nothing from a release that speaks \
                     another protocol",
                    Speaks::ours()
                );
                return Err(StepFailure {
                    hint: Some(SAME_RELEASE.to_owned()),
                    ..failure_of(message)
                });
            }
        }
    }
}

/// Says who owns what in the words of former releases.
async fn answer_claims(
    receiver: &Receiver<'_, impl Volumes, impl ImageStore>,
    writer: &mut FrameWriter<impl AsyncWrite + Unpin, PushAnswer>,
) -> Result<(), StepFailure> {
    let claims = without_snapshots(receiver.claims().await?);
    let answer = PushAnswer::Claimed { claims };
    writer.send(&answer).await.or_failure()
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
