//! Sending volumes and images to another node.

mod ownership;

use std::any::Any;

use flocker_model::{
    ApplicationName, ByteCount, ImageReference, Member, NodeId, NodeName, SnapshotGuid,
};
use flocker_plan::PushKind;
use flocker_remote::protocol::{FrameReader, LivingWriter, Speaks, StepFailure};
use flocker_zfs::ReceiveRequest;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::copying::{Report, copy};
use crate::execute::ProgressSender;
use crate::failure::{OrFailure as _, failed_to, failure_of};
use crate::machine::Machine;
use crate::platform::{OwnedVolume, PeerConnection, PeerSession, Peers, Platform};
use crate::push_messages::{PushAnswer, PushRequest};

pub(crate) use ownership::Ownership;

/// What to do about two releases that do not understand each other.
pub(crate) const SAME_RELEASE: &str = "install the same release of flocker-node on both nodes";

/// Why a peer did not tell what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotTold {
    /// It did not answer, or could not find out itself: it may be away, or just be booting.
    Silent(StepFailure),
    /// It is there, and answered what this node does not understand, or not in time. Whatever it may have
    /// to say of a volume is not known.
    NotUnderstood(StepFailure),
}

impl From<NotTold> for StepFailure {
    fn from(not_told: NotTold) -> Self {
        match not_told {
            NotTold::Silent(failure) | NotTold::NotUnderstood(failure) => failure,
        }
    }
}

/// A connection to the node that receives.
pub(crate) struct Peer<C> {
    name: NodeName,
    connection: C,
}

/// A volume to be sent, up to a snapshot.
pub(crate) struct VolumeStream<'a, V> {
    /// Whose volume it is.
    pub(crate) application: ApplicationName,
    /// The volume.
    pub(crate) volume: V,
    /// This node.
    pub(crate) owner: NodeId,
    /// The snapshot.
    pub(crate) target: SnapshotGuid,
    /// Whether the application still runs.
    pub(crate) kind: PushKind,
    /// Where to tell how far it is.
    pub(crate) progress: &'a ProgressSender,
}

/// One running `flocker-node receive`.
struct Exchange {
    peer: NodeName,
    writer: LivingWriter<PushRequest>,
    reader: FrameReader<Box<dyn AsyncRead + Send + Unpin>, PushAnswer>,
    errors: Box<dyn AsyncRead + Send + Unpin>,
    open: Box<dyn Any + Send>,
}

/// Connects to the machine that is remembered as `name`, and to no other.
pub(crate) async fn connect<P: Platform>(
    machine: &Machine<P>,
    name: &NodeName,
) -> Result<Peer<<P::Peers as Peers>::Connection>, StepFailure> {
    let members = machine.store.members().or_failure()?;
    let mut named = members.named(name);
    match (named.next(), named.next()) {
        (Some(member), None) => Ok(connect_to(machine, member).await?),
        (None, _) => Err(failure_of(format!(
            "this node does not know of {name}; deploy again"
        ))),
        (Some(one), Some(other)) => Err(failure_of(format!(
            "this node knows two machines called {name}, node {} and node {}; deploy again",
            one.id, other.id
        ))),
    }
}

/// Connects to a machine, and to no other.
pub(crate) async fn connect_to<P: Platform>(
    machine: &Machine<P>,
    member: &Member,
) -> Result<Peer<<P::Peers as Peers>::Connection>, NotTold> {
    let key = machine.store.ssh_key();
    let connection = machine.peers.connect(&member.name, member, &key).await?;
    Ok(Peer {
        name: member.name.clone(),
        connection,
    })
}

impl<C: PeerConnection> Peer<C> {
    /// Sends what the peer lacks; returns the bytes sent, or `None` when it lacks nothing.
    pub(crate) async fn send_volume(
        &self,
        stream: VolumeStream<'_, impl OwnedVolume>,
    ) -> Result<Option<ByteCount>, StepFailure> {
        let application = stream.application.clone();
        let sent = self.send_stream(stream).await;
        sent.map_err(|failure| name_copy(failure, (&application, &self.name)))
    }

    /// Sends what the peer lacks.
    async fn send_stream(
        &self,
        stream: VolumeStream<'_, impl OwnedVolume>,
    ) -> Result<Option<ByteCount>, StepFailure> {
        let application = stream.application.clone();
        let mut exchange = self.begin().await?;
        exchange
            .send(&PushRequest::Prepare {
                application: application.clone(),
            })
            .await?;
        let incoming = match exchange.answer().await? {
            PushAnswer::Prepared(incoming) => incoming,
            answer => return Err(exchange.unexpected(answer)),
        };
        let Some(sending) = stream.volume.send(stream.target, &incoming).await? else {
            return Ok(None);
        };
        let request = ReceiveRequest {
            application,
            owner: stream.owner,
            epoch: stream.volume.epoch(),
            transfer: sending.transfer,
        };
        let what = format!("push {} to {}", request.application, self.name);
        exchange.send(&PushRequest::Volume(request)).await?;
        let sent = (stream.kind, sending.estimate);
        let mut report = Report::of_volume(what, sent, stream.progress);
        let (answer, copied) = exchange.stream(sending.stream, &mut report).await;
        // What `zfs send` says of itself explains more than the silence after it.
        let sent = match copied {
            Ok(sent) => {
                sending.completion.await?;
                sent
            }
            Err(error) => match answer {
                Ok(PushAnswer::Failed(failure)) => return Err(self.said(failure)),
                _ => {
                    return Err(failed_to(
                        format!("the stream to {} broke off", self.name),
                        &error,
                    ));
                }
            },
        };
        match answer? {
            PushAnswer::Received { .. } => Ok(Some(ByteCount::new(sent))),
            PushAnswer::Failed(failure) => Err(self.said(failure)),
            PushAnswer::Hello(_)
            | PushAnswer::Ownership(_)
            | PushAnswer::Prepared(_)
            | PushAnswer::Claimed { .. }
            | PushAnswer::Loaded => Err(self.confused()),
        }
    }

    /// Sends an image.
    pub(crate) async fn send_image(
        &self,
        image: &ImageReference,
        archive: impl AsyncRead + Unpin,
        progress: &ProgressSender,
    ) -> Result<(), StepFailure> {
        let mut exchange = self.begin().await?;
        exchange
            .send(&PushRequest::Image {
                image: image.clone(),
            })
            .await?;
        let what = format!("stream image {image} to {}", self.name);
        let mut report = Report::of_image(what, progress);
        let (answer, copied) = exchange.stream(archive, &mut report).await;
        match (answer, copied) {
            (Ok(PushAnswer::Loaded), Ok(_)) => Ok(()),
            (Ok(PushAnswer::Failed(failure)), _) => Err(self.said(failure)),
            (_, Err(error)) => Err(failed_to(
                format!("the stream to {} broke off", self.name),
                &error,
            )),
            (Ok(_), Ok(_)) => Err(self.confused()),
            (Err(failure), Ok(_)) => Err(failure),
        }
    }

    /// Starts `flocker-node receive` there, and finds out whether it speaks what this node does.
    async fn begin(&self) -> Result<Exchange, NotTold> {
        let (exchange, theirs) = self.greet(&Speaks::ours()).await?;
        if theirs.is_understood() {
            Ok(exchange)
        } else {
            Err(self.other_protocol(&theirs))
        }
    }

    /// Starts `flocker-node receive` there.
    async fn open(&self) -> Result<Exchange, NotTold> {
        let PeerSession {
            input,
            output,
            errors,
            open,
        } = self.connection.begin().await.map_err(NotTold::Silent)?;
        Ok(Exchange {
            peer: self.name.clone(),
            writer: LivingWriter::new(input),
            reader: FrameReader::new(output),
            errors,
            open,
        })
    }

    /// Begins a session, and returns what the peer speaks.
    async fn greet(&self, speaks: &Speaks) -> Result<(Exchange, Speaks), NotTold> {
        let mut exchange = self.open().await?;
        // Should this fail, the answer tells more than the error.
        let _ = exchange.send(&PushRequest::Hello(speaks.clone())).await;
        match exchange.answer().await? {
            PushAnswer::Hello(theirs) => Ok((exchange, theirs)),
            PushAnswer::Failed(failure) => {
                let message = format!(
                    "{} does not say which protocol it speaks; its flocker-node may be older than {}",
                    self.name,
                    Speaks::ours()
                );
                Err(not_understood(message, vec![failure.message]))
            }
            answer => Err(NotTold::NotUnderstood(exchange.unexpected(answer))),
        }
    }

    /// Says that the peer speaks another protocol.
    fn other_protocol(&self, theirs: &Speaks) -> NotTold {
        let (name, ours) = (&self.name, Speaks::ours());
        let message = format!("{name} has flocker-node {theirs}, and this node has {ours}");
        not_understood(message, Vec::new())
    }

    fn said(&self, failure: StepFailure) -> StepFailure {
        said(&self.name, failure)
    }

    fn confused(&self) -> StepFailure {
        failure_of(format!("{} gave an answer to another question", self.name))
    }
}

/// Says that a peer of another release is not understood.
fn not_understood(message: String, causes: Vec<String>) -> NotTold {
    NotTold::NotUnderstood(StepFailure {
        causes,
        hint: Some(SAME_RELEASE.to_owned()),
        ..failure_of(message)
    })
}

impl Exchange {
    async fn send(&mut self, request: &PushRequest) -> Result<(), StepFailure> {
        let what = format!("{} does not take a request", self.peer);
        self.writer.send(request).await.or_failed_to(what)
    }

    async fn answer(&mut self) -> Result<PushAnswer, NotTold> {
        match self.reader.next().await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(NotTold::Silent(silence(&self.peer, &mut self.errors).await)),
            Err(error) => {
                let what = format!("{} gave no proper answer", self.peer);
                let failure = failed_to(what, &error);
                Err(if error.is_nonsense() {
                    NotTold::NotUnderstood(failure)
                } else {
                    NotTold::Silent(failure)
                })
            }
        }
    }

    /// Sends plain bytes to their end while waiting for the answer, which may come early when the
    /// other side fails.
    async fn stream(
        self,
        source: impl AsyncRead + Unpin,
        report: &mut Report<'_>,
    ) -> (Result<PushAnswer, StepFailure>, std::io::Result<u64>) {
        let Self {
            peer,
            writer,
            mut reader,
            errors,
            open,
        } = self;
        let copied = copy(source, writer, report).await;
        let answer = match reader.next().await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(silence(&peer, errors).await),
            Err(error) => Err(failed_to(format!("{peer} gave no proper answer"), &error)),
        };
        drop(open);
        (answer, copied)
    }

    fn unexpected(&self, answer: PushAnswer) -> StepFailure {
        match answer {
            PushAnswer::Failed(failure) => said(&self.peer, failure),
            _ => failure_of(format!("{} gave an answer to another question", self.peer)),
        }
    }
}

/// Explains why there is no answer, with what the other side wrote last.
async fn silence(peer: &NodeName, errors: impl AsyncRead + Unpin) -> StepFailure {
    let mut text = Vec::new();
    let _ = errors.take(4096).read_to_end(&mut text).await;
    let text = String::from_utf8_lossy(&text);
    let mut failure = failure_of(format!("{peer} ended without an answer"));
    if !text.trim().is_empty() {
        failure.causes.push(format!("it wrote: {}", text.trim()));
    }
    failure
}

/// Names the copy in a command that somebody advised who could not name it: what looks after
/// datasets knows no node's name, not even its own.
fn name_copy(
    failure: StepFailure,
    (application, peer): (&ApplicationName, &NodeName),
) -> StepFailure {
    let complete = |text: String| {
        text.replace(
            "volume resolve APP ",
            &format!("volume resolve {application} "),
        )
        .replace("--set-aside NODE`", &format!("--set-aside {peer}`"))
    };
    StepFailure {
        message: complete(failure.message),
        causes: failure.causes.into_iter().map(complete).collect(),
        ..failure
    }
}

/// Reports a failure of the other side as its own.
fn said(peer: &NodeName, failure: StepFailure) -> StepFailure {
    StepFailure {
        message: format!("{peer}: {}", failure.message),
        ..failure
    }
}
