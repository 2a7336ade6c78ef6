//! Connections that are not made by SSH.
//!
//! Tests run the programs that ship on a network in memory. Such a network opens connections by a
//! [`Dialer`]. Everything above a [`Connection`] is the same as with SSH.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::connect_error::ConnectError;
use super::connection::{ConnectOptions, Connection};
use super::destination::Destination;
use super::exit::{ConnectionLost, Ending, ExecError, Exit, ExitStatus, LossRecord};
use super::session::Session;
use super::streams::{OutputSender, STDIN_CHUNKS, Stdin, output_stream};

/// How connections are opened.
#[derive(Debug, Clone, Default)]
pub enum Way {
    /// By SSH.
    #[default]
    Ssh,
    /// By another network.
    Dialed(Arc<dyn Dialer>),
}

impl Way {
    /// Connects to a node.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] names the node, the step that failed and the cause.
    pub async fn connect(
        &self,
        destination: &Destination,
        options: &ConnectOptions,
    ) -> Result<Connection, ConnectError> {
        match self {
            Self::Ssh => Connection::connect(destination, options).await,
            Self::Dialed(dialer) => dialer.dial(destination).await,
        }
    }
}

/// A network that opens connections.
pub trait Dialer: fmt::Debug + Send + Sync {
    /// Connects to a node.
    fn dial<'a>(
        &'a self,
        destination: &'a Destination,
    ) -> BoxFuture<'a, Result<Connection, ConnectError>>;
}

/// A connection that a [`Dialer`] has opened.
pub trait Line: Send + Sync {
    /// Starts a command; see [`FarEnd::open`].
    fn exec<'a>(&'a self, command: &'a str) -> BoxFuture<'a, Result<Session, ExecError>>;

    /// Tells whether the connection is gone.
    fn is_closed(&self) -> bool;

    /// Ends the connection.
    fn close(&self);
}

/// The end of a [`Session`] at which the command runs.
#[derive(Debug)]
pub struct FarEnd {
    /// What the other end writes to the command's standard input.
    pub stdin: mpsc::Receiver<Bytes>,
    /// What the command says.
    pub output: FarOutput,
}

/// A command's way to say something, and to end.
#[derive(Debug)]
pub struct FarOutput {
    stdout: OutputSender,
    stderr: OutputSender,
    ending: oneshot::Sender<Ending>,
    lost: Arc<OnceLock<ConnectionLost>>,
}

impl FarEnd {
    /// Makes a session of a command on a node, and its other end.
    pub fn open(node: &str, command: &str) -> (Session, Self) {
        let (input, stdin) = mpsc::channel(STDIN_CHUNKS);
        let lost = Arc::new(OnceLock::new());
        let (stdout_sender, stdout) = output_stream(Arc::clone(&lost));
        let (stderr_sender, stderr) = output_stream(Arc::clone(&lost));
        let (ending, ending_receiver) = oneshot::channel();
        let session = Session {
            stdin: Stdin::new(input),
            stdout,
            stderr,
            exit: Exit {
                node: node.to_owned(),
                command: command.to_owned(),
                ending: ending_receiver,
                loss: LossRecord::default(),
            },
        };
        let output = FarOutput {
            stdout: stdout_sender,
            stderr: stderr_sender,
            ending,
            lost,
        };
        (session, Self { stdin, output })
    }
}

impl FarOutput {
    /// Writes to standard output, once there is room. Bytes that nobody reads are dropped.
    pub async fn write(&self, bytes: Bytes) {
        let _ = self.stdout.send(bytes).await;
    }

    /// Writes to standard error, once there is room. Bytes that nobody reads are dropped.
    pub async fn write_error(&self, bytes: Bytes) {
        let _ = self.stderr.send(bytes).await;
    }

    /// Waits until the other end closes the session.
    pub async fn closed(&mut self) {
        self.ending.closed().await;
    }

    /// Ends the session as the command ended, or as the connection was lost.
    pub fn end(self, how: Result<ExitStatus, ConnectionLost>) {
        let Self {
            stdout,
            stderr,
            ending,
            lost,
        } = self;
        let how = match how {
            Ok(status) => Ending::Status(status),
            Err(why) => {
                // Readers must learn of the loss when the streams end.
                let _ = lost.set(why.clone());
                Ending::Lost(why)
            }
        };
        drop((stdout, stderr));
        // The other end may have closed the session.
        let _ = ending.send(how);
    }
}
