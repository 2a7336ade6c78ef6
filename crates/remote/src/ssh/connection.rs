//! A connection to a node.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{Config, Handle, Msg};
use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Channel, Disconnect, Limits, Preferred, cipher};
use tokio::io::AsyncRead;
use tokio::sync::Semaphore;

use super::authenticate::authenticate;
use super::command::RemoteCommand;
use super::connect_error::{ConnectCause, ConnectError, ConnectStep};
use super::destination::Destination;
use super::exit::{ConnectionLost, ExecError, LossRecord};
use super::handler::ClientHandler;
use super::line::Line;
use super::session::{Session, SessionContext, spawn_session};
use super::transfer::{CommandError, Completed, run_to_completion};
use super::transport::open_transport;

/// Types of host keys, the best first. RSA with SHA-1 is not among them.
pub(super) const HOST_KEY_ALGORITHMS: [Algorithm; 6] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP256,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP384,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP521,
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha512),
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha256),
    },
];

/// Ciphers for a CPU that has AES, the fastest first: AES-GCM moves data half
/// as fast again as the library's `ChaCha20`.
const CIPHERS_WITH_AES: [cipher::Name; 5] = [
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_128_CTR,
];

/// Ciphers for one that has not, where AES-GCM is several times slower.
const CIPHERS_WITHOUT_AES: [cipher::Name; 5] = [
    cipher::CHACHA20_POLY1305,
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::AES_256_CTR,
    cipher::AES_128_CTR,
];

/// Tells whether this CPU computes both halves of AES-GCM by itself.
fn has_aes() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        is_x86_feature_detected!("aes") && is_x86_feature_detected!("pclmulqdq")
    }
    #[cfg(target_arch = "aarch64")]
    {
        std::arch::is_aarch64_feature_detected!("aes")
            && std::arch::is_aarch64_feature_detected!("pmull")
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        false
    }
}

/// Orders ciphers for a CPU that has AES or not.
const fn ciphers(has_aes: bool) -> &'static [cipher::Name] {
    if has_aes {
        &CIPHERS_WITH_AES
    } else {
        &CIPHERS_WITHOUT_AES
    }
}

/// First and last pause before a refused session is asked for again; they
/// double in between and come to about a second.
const FIRST_RETRY: Duration = Duration::from_millis(4);
const LAST_RETRY: Duration = Duration::from_millis(512);

/// How to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectOptions {
    /// How long TCP and the key exchange may take together.
    pub connect_timeout: Duration,
    /// How long logging in may take: an agent may ask its owner first.
    pub login_timeout: Duration,
    /// How long the host may be silent before it is asked for a sign of life.
    pub keepalive_interval: Duration,
    /// How many signs of life it may owe. One more interval, and it is dead.
    pub keepalive_count: usize,
    /// Sessions that may be open at once; more wait for their turn. `sshd`
    /// allows 10 unless told otherwise (`MaxSessions`), some of which may
    /// still be ending.
    pub sessions: usize,
    /// Bytes that are sent after which we ask for new session keys. The server does for what it
    /// sends.
    pub rekey_after: usize,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(15),
            // LoginGraceTime of sshd.
            login_timeout: Duration::from_secs(120),
            keepalive_interval: Duration::from_secs(15),
            keepalive_count: 3,
            sessions: 8,
            // A quarter of what RFC 4344 section 3.2 allows a 128-bit cipher
            // (2^32 blocks, 64 GiB). Rarely, as everything waits meanwhile.
            rekey_after: 16 << 30,
        }
    }
}

impl ConnectOptions {
    pub(super) fn config(&self, host_keys: Vec<Algorithm>) -> Config {
        Config {
            limits: Limits {
                rekey_write_limit: self.rekey_after,
                // What is on its way while we ask for new keys is more than russh takes (two
                // channels' windows) when several channels receive at full speed; it ends the
                // connection then. A server that asks by itself has sent everything before. As in
                // OpenSSH there is no limit in time (`RekeyLimit` in ssh_config(5)).
                rekey_read_limit: usize::MAX,
                rekey_time_limit: Duration::MAX,
            },
            // Large enough for 1 Gbit/s over 30 ms.
            window_size: 4 << 20,
            // sshd sends no larger packets, and takes no larger ones.
            maximum_packet_size: 32 << 10,
            channel_buffer_size: 64,
            preferred: Preferred {
                key: Cow::Owned(host_keys),
                cipher: Cow::Borrowed(ciphers(has_aes())),
                ..Preferred::DEFAULT
            },
            keepalive_interval: Some(self.keepalive_interval),
            keepalive_max: self.keepalive_count.max(1),
            ..Config::default()
        }
    }

    /// How long a host may take no data before it is given up.
    pub(super) fn stall_limit(&self) -> Duration {
        let intervals = u32::try_from(self.keepalive_count.max(1)).unwrap_or(u32::MAX);
        self.keepalive_interval
            .saturating_mul(intervals.saturating_add(1))
    }
}

/// A verified, authenticated connection to a node.
///
/// It can be shared: clones are the same connection, which ends when the last
/// clone and the last session on it are gone.
#[derive(Clone)]
pub struct Connection {
    destination: Arc<Destination>,
    carrier: Carrier,
}

/// What carries a connection.
#[derive(Clone)]
enum Carrier {
    Ssh(Client),
    Line(Arc<dyn Line>),
}

/// A connection of SSH.
#[derive(Clone)]
struct Client {
    handle: Arc<Handle<ClientHandler>>,
    sessions: Arc<Semaphore>,
    loss: LossRecord,
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Connection")
            .field("destination", &self.destination)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects to a node, verifies that it is the right one, and logs in.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] names the node, the step that failed and the cause.
    pub async fn connect(
        destination: &Destination,
        options: &ConnectOptions,
    ) -> Result<Self, ConnectError> {
        let fail = |step, cause| ConnectError::new(destination, step, cause);
        let loss = LossRecord::default();
        // Boxed, as whatever awaits this would be as large otherwise.
        let opening = Box::pin(open_transport(destination, options, loss.clone()));
        let (mut handle, from) = opening.await.map_err(|(step, cause)| fail(step, cause))?;
        let fail = |step, cause| ConnectError {
            from,
            ..fail(step, cause)
        };

        let login = Box::pin(authenticate(&mut handle, destination));
        tokio::time::timeout(options.login_timeout, login)
            .await
            .map_err(|_| {
                let after = options.login_timeout;
                fail(
                    ConnectStep::Authentication,
                    ConnectCause::TimedOut { after },
                )
            })?
            .map_err(|error| {
                fail(
                    ConnectStep::Authentication,
                    ConnectCause::Authentication(error),
                )
            })?;
        Ok(Self {
            destination: Arc::new(destination.clone()),
            carrier: Carrier::Ssh(Client {
                handle: Arc::new(handle),
                sessions: Arc::new(Semaphore::new(options.sessions.max(1))),
                loss,
            }),
        })
    }

    /// Makes a connection to a node of one that another network has opened.
    pub fn over(destination: &Destination, line: Arc<dyn Line>) -> Self {
        Self {
            destination: Arc::new(destination.clone()),
            carrier: Carrier::Line(line),
        }
    }

    /// The node this leads to.
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// Whether the connection is gone.
    pub fn is_closed(&self) -> bool {
        match &self.carrier {
            Carrier::Ssh(client) => client.handle.is_closed(),
            Carrier::Line(line) => line.is_closed(),
        }
    }

    /// Starts a command. Waits while too many sessions are open.
    ///
    /// # Errors
    ///
    /// [`ExecError`] when the connection is gone or the host refuses another
    /// session. What the command does is reported by [`Session::exit`].
    pub async fn exec(&self, command: &RemoteCommand) -> Result<Session, ExecError> {
        let line = command.to_string();
        let node = self.destination.name.clone();
        if line.contains('\0') {
            let command = line.replace('\0', "\u{fffd}");
            return Err(ExecError::Nul { node, command });
        }
        match &self.carrier {
            Carrier::Ssh(client) => client.exec((node, line)).await,
            Carrier::Line(carrier) => carrier.exec(&line).await,
        }
    }

    /// Runs a command without input and returns what it prints.
    ///
    /// # Errors
    ///
    /// [`CommandError`] unless the command ends with status 0.
    pub async fn run(&self, command: &RemoteCommand) -> Result<Completed, CommandError> {
        run_to_completion(self, command, tokio::io::empty()).await
    }

    /// Runs a command with everything that `input` yields as its standard
    /// input, and returns what it prints.
    ///
    /// # Errors
    ///
    /// [`CommandError`] unless all input was sent and the command ends with
    /// status 0.
    pub async fn upload(
        &self,
        command: &RemoteCommand,
        input: impl AsyncRead + Unpin,
    ) -> Result<Completed, CommandError> {
        run_to_completion(self, command, input).await
    }

    /// Says goodbye. Sessions that are still open are lost.
    pub async fn close(&self) {
        match &self.carrier {
            Carrier::Ssh(client) => client.close().await,
            Carrier::Line(line) => line.close(),
        }
    }
}

impl Client {
    /// Starts a command on a node.
    async fn exec(&self, (node, line): (String, String)) -> Result<Session, ExecError> {
        let gone = |source| ExecError::ConnectionLost {
            node: node.clone(),
            command: line.clone(),
            source,
        };
        let permit = Arc::clone(&self.sessions)
            .acquire_owned()
            .await
            .map_err(|_| gone(ConnectionLost::Here))?;
        let channel = self.open_channel().await.map_err(|error| match error {
            russh::Error::ChannelOpenFailure(reason) => ExecError::SessionRefused {
                node: node.clone(),
                command: line.clone(),
                reason: format!("{reason:?}"),
            },
            _ => gone(self.loss.get()),
        })?;
        // The host's answer is awaited by the session, which spares every
        // command a round trip.
        channel
            .exec(true, line.clone())
            .await
            .map_err(|_| gone(self.loss.get()))?;
        let context = SessionContext {
            node,
            command: line,
            loss: self.loss.clone(),
            permit,
        };
        Ok(spawn_session(channel, context))
    }

    /// Opens a channel. `sshd` frees the place of a session a moment after it
    /// has said that the session is closed, so a refusal may be outdated.
    async fn open_channel(&self) -> Result<Channel<Msg>, russh::Error> {
        let mut pause = FIRST_RETRY;
        loop {
            match self.handle.channel_open_session().await {
                Err(russh::Error::ChannelOpenFailure(_)) if pause <= LAST_RETRY => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                opened => return opened,
            }
        }
    }

    /// Says goodbye.
    async fn close(&self) {
        self.loss.set(ConnectionLost::Here);
        self.sessions.close();
        let _ = self
            .handle
            .disconnect(Disconnect::ByApplication, "done", "")
            .await;
    }
}
