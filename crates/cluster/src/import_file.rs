//! A stream of this machine that becomes a volume on a node.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use flocker_failpoint::reach;
use flocker_model::{ApplicationName, DeploymentId, Epoch, ImportContent, NodeName};
use flocker_plan::{Action, StepId};
use flocker_remote::protocol::{Change, Event, LivingWriter, Progress, StepDone};
use flocker_remote::ssh::{CommandError, Connection};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;

use crate::drive::failure_of;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::{Incoming, node_command};

/// How many bytes pass between two reports of progress.
const REPORT_EVERY: u64 = 4 << 20;

/// How much is read and sent at once, in bytes.
const CHUNK: usize = 256 * 1024;

/// The name of standard input.
const STANDARD_INPUT: &str = "-";

/// Makes sure that a stream can be read, before any node is contacted.
pub(crate) fn check_readable(file: &str) -> Result<(), Failure> {
    if file == STANDARD_INPUT {
        return Ok(());
    }
    let looked = std::fs::metadata(file).and_then(|found| {
        if found.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        // To open a pipe twice would end its writer.
        if found.is_file() {
            std::fs::File::open(file)?;
        }
        Ok(())
    });
    looked.map_err(|error| {
        let message = format!("cannot read {file} on this machine");
        Failure::new(Exit::Configuration, message).caused_by(&error)
    })
}

/// A stream was not imported.
#[derive(Debug, Error)]
pub(crate) enum ImportFileError {
    /// The file cannot be read.
    #[error("cannot read {file} on this machine")]
    Read {
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// The node did not take it.
    #[error(transparent)]
    Upload(#[from] CommandError),
}

/// The volume that a stream becomes.
pub(crate) struct StreamImport {
    pub(crate) application: ApplicationName,
    pub(crate) epoch: Epoch,
    pub(crate) content: ImportContent,
    pub(crate) deployment: Option<DeploymentId>,
    /// The file of this machine that has it.
    pub(crate) file: String,
}

impl StreamImport {
    /// Reads an action; `None` for one that needs no stream of this machine.
    pub(crate) fn of(action: &Action) -> Option<Self> {
        let Action::ImportVolume {
            application,
            epoch,
            content,
            deployment,
        } = action
        else {
            return None;
        };
        let ImportContent::Stream(file) = content else {
            return None;
        };
        Some(Self {
            application: application.clone(),
            epoch: *epoch,
            content: content.clone(),
            deployment: deployment.clone(),
            file: file.clone(),
        })
    }
}

/// A stream of this machine that is sent to a node.
pub(crate) struct Upload {
    pub(crate) connection: Connection,
    pub(crate) node: NodeName,
    pub(crate) step: StepId,
    pub(crate) local: mpsc::UnboundedSender<(NodeName, Incoming)>,
}

impl Upload {
    /// Sends it, and reports as a node does.
    pub(crate) async fn run(self, import: StreamImport) {
        let step = self.step;
        let tell = |progress| self.say(Event::Progress { step, progress });
        let uploaded = upload(&self.connection, &import, tell).await;
        self.say(match uploaded {
            Ok(()) => Event::Done {
                step,
                done: StepDone::plain(Change::Changed),
            },
            Err(error) => Event::Failed {
                step,
                failure: failure_of(&error),
            },
        });
    }

    fn say(&self, event: Event) {
        // The command may have ended meanwhile.
        let _ = self
            .local
            .send((self.node.clone(), Incoming::Event(Box::new(event))));
    }
}

/// Streams the file to the node at the other end of `connection`, which makes a volume of it.
async fn upload(
    connection: &Connection,
    import: &StreamImport,
    tell: impl FnMut(Progress) + Unpin,
) -> Result<(), ImportFileError> {
    let StreamImport {
        application,
        epoch,
        content,
        deployment,
        file,
    } = import;
    let read = |source| ImportFileError::Read {
        file: file.clone(),
        source,
    };
    let (input, total): (Box<dyn AsyncRead + Send + Unpin>, _) = if file == STANDARD_INPUT {
        (Box::new(tokio::io::stdin()), None)
    } else {
        let opened = tokio::fs::File::open(file).await.map_err(read)?;
        let length = opened.metadata().await.map_err(read)?.len();
        // A pipe has no length.
        (Box::new(opened), Some(length).filter(|length| *length > 0))
    };
    let mut command =
        node_command(connection, "import-stream").args(["--epoch".to_owned(), epoch.to_string()]);
    if let Some(deployment) = deployment {
        command = command.args(["--deployment".to_owned(), deployment.to_string()]);
    }
    // A name may begin with a dash.
    let command = command
        .arg("--")
        .arg(application.as_str())
        .arg(content.to_string());
    let counted = Counted {
        input,
        progress: Progress {
            what: format!("send {content}"),
            done: 0,
            total,
        },
        told: 0,
        tell,
    };
    reach(|| "volume.upload.begin".to_owned()).await;
    let (frames, upload) = tokio::io::duplex(CHUNK);
    // Whichever fails ends the other.
    tokio::try_join!(
        async { frame(counted, frames).await.map_err(read) },
        async { Ok(connection.upload(&command, upload).await?) },
    )?;
    Ok(())
}

/// Writes a stream in frames, with signs of life while its source takes its time; fails when the source
/// does.
async fn frame(
    mut source: impl AsyncRead + Unpin,
    sink: impl AsyncWrite + Send + Unpin + 'static,
) -> io::Result<()> {
    let mut writer = LivingWriter::<()>::new(sink);
    let mut buffer = vec![0; CHUNK];
    loop {
        let length = source.read(&mut buffer).await?;
        let chunk = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
        // The upload tells why it takes no more.
        if length == 0 || writer.send_bytes(chunk).await.is_err() {
            return Ok(());
        }
    }
}

/// An input that tells how much of it was read.
struct Counted<R, T> {
    input: R,
    progress: Progress,
    told: u64,
    tell: T,
}

impl<R: AsyncRead + Unpin, T: FnMut(Progress) + Unpin> AsyncRead for Counted<R, T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.input).poll_read(context, buffer);
        let read = buffer.filled().len().saturating_sub(before);
        self.progress.done = self.progress.done.saturating_add(read as u64);
        if self.progress.done - self.told >= REPORT_EVERY {
            self.told = self.progress.done;
            let progress = self.progress.clone();
            (self.tell)(progress);
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use flocker_remote::protocol::{FrameReader, Listener, SILENCE};
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_upload_gives_signs_of_life_while_its_source_is_slow() {
        let (mut source, input) = tokio::io::duplex(64);
        let (output, node) = tokio::io::duplex(64);
        let slow = async {
            source.write_all(b"one").await.unwrap();
            tokio::time::sleep(5 * SILENCE).await;
            source.write_all(b"two").await.unwrap();
            drop(source);
        };
        let mut received = Vec::new();
        let mut stream = FrameReader::<_, ()>::new(Listener::new(node)).into_rest();
        let read = stream.read_to_end(&mut received);
        let ((), sent, read) = tokio::join!(slow, frame(input, output), read);
        sent.unwrap();
        read.unwrap();
        assert_eq!(received, b"onetwo");
    }

    #[tokio::test]
    async fn an_upload_tells_how_far_it_is() {
        let input = vec![7; 9 << 20];
        let mut told = Vec::new();
        let mut counted = Counted {
            input: input.as_slice(),
            progress: Progress {
                what: "send stream:db.zfs".to_owned(),
                done: 0,
                total: Some(9 << 20),
            },
            told: 0,
            tell: |progress: Progress| told.push(progress.done),
        };
        let mut output = Vec::new();
        counted.read_to_end(&mut output).await.unwrap();
        assert!(output == input);
        assert!(told.len() == 2 && told[0] >= REPORT_EVERY, "{told:?}");
    }
}
