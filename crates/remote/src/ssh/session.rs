//! One running command: pumps between its streams and the connection.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::exit::{ConnectionLost, Ending, Exit, ExitStatus, LossRecord, SessionError};
use super::streams::{Output, OutputSender, STDIN_CHUNKS, Stdin, output_stream};

/// `SSH_EXTENDED_DATA_STDERR` of RFC 4254 section 5.2.
const STDERR: u32 = 1;

/// How long output may wait for its reader before the log mentions it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A command running on a node.
///
/// The fields can be moved out and used independently. A command that writes
/// much blocks until its output is read or the stream is dropped.
#[derive(Debug)]
pub struct Session {
    /// The command's standard input.
    pub stdin: Stdin,
    /// The command's standard output.
    pub stdout: Output,
    /// The command's standard error.
    pub stderr: Output,
    /// How the command ends.
    pub exit: Exit,
}

impl Session {
    /// Ends the command's input, discards its output, and waits for its end.
    ///
    /// # Errors
    ///
    /// [`SessionError`] when it is not known how the command ended.
    pub async fn wait(self) -> Result<ExitStatus, SessionError> {
        let Self {
            stdin,
            stdout,
            stderr,
            exit,
        } = self;
        drop((stdin, stdout, stderr));
        exit.wait().await
    }
}

/// What a session needs to know of its connection.
#[derive(Debug)]
pub(super) struct SessionContext {
    pub(super) node: String,
    pub(super) command: String,
    pub(super) loss: LossRecord,
    /// Held as long as the host counts the session.
    pub(super) permit: OwnedSemaphorePermit,
}

/// Starts the pumps of a channel on which the command has been requested.
pub(super) fn spawn_session(channel: Channel<Msg>, context: SessionContext) -> Session {
    let (reader, writer) = channel.split();
    let writer = Arc::new(writer);
    let (stdin, stdin_chunks) = mpsc::channel(STDIN_CHUNKS);
    let lost = Arc::new(OnceLock::new());
    let (stdout_sender, stdout) = output_stream(Arc::clone(&lost));
    let (stderr_sender, stderr) = output_stream(Arc::clone(&lost));
    let (ending, ending_receiver) = oneshot::channel();
    let ended = CancellationToken::new();

    let input = pump_input(Arc::clone(&writer), stdin_chunks, ended.clone());
    let pump = OutputPump {
        reader,
        writer,
        command: context.command.clone(),
        stdout: Some(stdout_sender),
        stderr: Some(stderr_sender),
        ending,
        lost,
        loss: context.loss.clone(),
        ended,
    };
    let permit = context.permit;
    tokio::spawn(input);
    tokio::spawn(async move {
        pump.run().await;
        drop(permit);
    });

    Session {
        stdin: Stdin::new(stdin),
        stdout,
        stderr,
        exit: Exit {
            node: context.node,
            command: context.command,
            ending: ending_receiver,
            loss: context.loss,
        },
    }
}

/// Sends a command's input. Sending waits for the host to open its window,
/// which it never does once the command has ended, so every wait is also for
/// that end.
async fn pump_input(
    writer: Arc<ChannelWriteHalf<Msg>>,
    mut chunks: mpsc::Receiver<Bytes>,
    ended: CancellationToken,
) {
    let send_all = async {
        while let Some(chunk) = chunks.recv().await {
            if writer.data_bytes(chunk).await.is_err() {
                return;
            }
        }
        let _ = writer.eof().await;
    };
    tokio::select! {
        biased;
        () = ended.cancelled() => {}
        () = send_all => {}
    }
}

/// Receives everything a host says about one session.
struct OutputPump {
    reader: ChannelReadHalf,
    writer: Arc<ChannelWriteHalf<Msg>>,
    command: String,
    stdout: Option<OutputSender>,
    stderr: Option<OutputSender>,
    ending: oneshot::Sender<Ending>,
    lost: Arc<OnceLock<ConnectionLost>>,
    loss: LossRecord,
    ended: CancellationToken,
}

/// One of a command's two output streams.
#[derive(Debug, Clone, Copy)]
enum Stream {
    Stdout,
    Stderr,
}

/// Whether anybody still waits for a session's end.
#[derive(PartialEq)]
enum Interest {
    Kept,
    Lost,
}

impl OutputPump {
    async fn run(mut self) {
        // However this ends, nothing waits for it afterwards.
        let _ends_input = self.ended.clone().drop_guard();
        let mut status = None;
        let ending = loop {
            let message = tokio::select! {
                biased;
                () = self.ending.closed() => return self.abandon().await,
                message = self.reader.wait() => message,
            };
            match message {
                Some(ChannelMsg::Data { data }) => {
                    if self.deliver(data, Stream::Stdout).await == Interest::Lost {
                        return self.abandon().await;
                    }
                }
                Some(ChannelMsg::ExtendedData { data, ext: STDERR }) => {
                    if self.deliver(data, Stream::Stderr).await == Interest::Lost {
                        return self.abandon().await;
                    }
                }
                Some(ChannelMsg::Eof) => {
                    self.stdout = None;
                    self.stderr = None;
                }
                Some(ChannelMsg::ExitStatus { exit_status }) => {
                    status = Some(ExitStatus::Code(exit_status));
                }
                Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                    status = Some(ExitStatus::Signal(signal_text(&signal_name)));
                }
                Some(ChannelMsg::Failure) => break Ending::Refused,
                Some(ChannelMsg::Close) => break Ending::NoStatus,
                Some(_) => {}
                None => break Ending::Lost(self.loss.get()),
            }
        };
        let ending = match (ending, status) {
            (Ending::Refused, _) => Ending::Refused,
            (_, Some(status)) => Ending::Status(status),
            (ending, None) => ending,
        };
        self.finish(ending).await;
    }

    /// Hands a packet to its reader, waiting for room. A stream whose reader
    /// is gone takes everything.
    async fn deliver(&mut self, packet: Bytes, stream: Stream) -> Interest {
        let slot = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let Some(sender) = slot else {
            return Interest::Kept;
        };
        let command = &self.command;
        let sending = async {
            let mut sending = std::pin::pin!(sender.send(packet));
            tokio::select! {
                sent = &mut sending => return sent,
                () = tokio::time::sleep(PATIENCE) => {}
            }
            tracing::warn!(
                command,
                ?stream,
                "output that is not read holds up all sessions of its connection"
            );
            sending.await
        };
        let sent = tokio::select! {
            biased;
            () = self.ending.closed() => return Interest::Lost,
            sent = sending => sent,
        };
        if sent.is_err() {
            *slot = None;
        }
        Interest::Kept
    }

    async fn finish(self, ending: Ending) {
        // Whoever reads must learn of the loss when the streams end, so it is
        // recorded before they do.
        if let Ending::Lost(lost) = &ending {
            let _ = self.lost.set(lost.clone());
        }
        let refused = ending == Ending::Refused;
        drop((self.stdout, self.stderr));
        let _ = self.ending.send(ending);
        if refused {
            close_channel(self.reader, &self.writer).await;
        }
    }

    async fn abandon(self) {
        let _ = self.lost.set(ConnectionLost::Here);
        close_channel(self.reader, &self.writer).await;
    }
}

/// Closes a channel from this side. What still arrives is refused first: the
/// connection may be waiting for us to take it, and then takes nothing itself.
async fn close_channel(reader: ChannelReadHalf, writer: &ChannelWriteHalf<Msg>) {
    drop(reader);
    let _ = writer.close().await;
}

fn signal_text(signal: &russh::Sig) -> String {
    match signal {
        russh::Sig::Custom(name) => name.clone(),
        known => format!("{known:?}"),
    }
}
