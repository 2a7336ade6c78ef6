//! One running command: pumps between its streams and the connection.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::exit::{ConnectionLost, Ending, Exit, ExitStatus, LossRecord, SessionError};
use super::streams::{OUTPUT_PACKETS, Output, STDIN_CHUNKS, Stdin};

/// `SSH_EXTENDED_DATA_STDERR` of RFC 4254 section 5.2.
const STDERR: u32 = 1;

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
    let (stdout, stdout_packets) = mpsc::channel(OUTPUT_PACKETS);
    let (stderr, stderr_packets) = mpsc::channel(OUTPUT_PACKETS);
    let (ending, ending_receiver) = oneshot::channel();
    let lost = Arc::new(OnceLock::new());
    let ended = CancellationToken::new();

    let input = pump_input(Arc::clone(&writer), stdin_chunks, ended.clone());
    let pump = OutputPump {
        reader,
        writer,
        stdout: Some(stdout),
        stderr: Some(stderr),
        ending,
        lost: Arc::clone(&lost),
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
        stdout: Output::new(stdout_packets, Arc::clone(&lost)),
        stderr: Output::new(stderr_packets, lost),
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
    stdout: Option<mpsc::Sender<Bytes>>,
    stderr: Option<mpsc::Sender<Bytes>>,
    ending: oneshot::Sender<Ending>,
    lost: Arc<OnceLock<ConnectionLost>>,
    loss: LossRecord,
    ended: CancellationToken,
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
        let mut refused = false;
        let ending = loop {
            let message = tokio::select! {
                biased;
                () = self.ending.closed() => {
                    self.abandon().await;
                    return;
                }
                message = self.reader.wait() => message,
            };
            match message {
                Some(ChannelMsg::Data { data }) => {
                    if deliver(&mut self.stdout, data, &mut self.ending).await == Interest::Lost {
                        self.abandon().await;
                        return;
                    }
                }
                Some(ChannelMsg::ExtendedData { data, ext: STDERR }) => {
                    if deliver(&mut self.stderr, data, &mut self.ending).await == Interest::Lost {
                        self.abandon().await;
                        return;
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
                Some(ChannelMsg::Failure) => {
                    refused = true;
                    let _ = self.writer.close().await;
                    break Ending::Refused;
                }
                Some(ChannelMsg::Close) => break Ending::NoStatus,
                Some(_) => {}
                None => {
                    let lost = self.loss.get();
                    break Ending::Lost(lost);
                }
            }
        };
        let ending = match status {
            Some(status) if !refused => Ending::Status(status),
            _ => ending,
        };
        self.finish(ending);
    }

    fn finish(self, ending: Ending) {
        // Whoever reads must learn of the loss when the streams end, so it is
        // recorded before they do.
        match &ending {
            Ending::Lost(lost) => {
                let _ = self.lost.set(lost.clone());
            }
            Ending::Status(_) | Ending::NoStatus | Ending::Refused => {}
        }
        drop((self.stdout, self.stderr));
        let _ = self.ending.send(ending);
    }

    async fn abandon(self) {
        let _ = self.lost.set(ConnectionLost::Here);
        let _ = self.writer.close().await;
    }
}

/// Hands a packet to its reader, waiting for room. A stream whose reader is
/// gone takes everything.
async fn deliver(
    stream: &mut Option<mpsc::Sender<Bytes>>,
    packet: Bytes,
    ending: &mut oneshot::Sender<Ending>,
) -> Interest {
    let Some(sender) = stream else {
        return Interest::Kept;
    };
    tokio::select! {
        biased;
        () = ending.closed() => Interest::Lost,
        sent = sender.send(packet) => {
            if sent.is_err() {
                *stream = None;
            }
            Interest::Kept
        }
    }
}

fn signal_text(signal: &russh::Sig) -> String {
    match signal {
        russh::Sig::Custom(name) => name.clone(),
        known => format!("{known:?}"),
    }
}
