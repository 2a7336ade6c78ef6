//! One node's `flocker-node serve`, for the length of a deploy.

use std::path::Path;
use std::sync::Arc;

use flocker_failpoint::reach;
use flocker_model::{Look, NodeName};
use flocker_remote::clock::Clock;
use flocker_remote::protocol::{
    Begin, Event, FrameReader, LivingWriter, LockHolder, Request, Speaks,
};
use flocker_remote::ssh::{
    ConnectError, ConnectOptions, ConnectStep, Connection, Destination, Dialer, Environment,
    Output, RemoteCommand, SshOptions, UnknownHost, Way, resolve_destination,
};
use tokio::io::AsyncRead;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::arguments::Ssh;
use crate::ending::{Ending, PATIENCE};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::refusal::{NotBegun, Presence, not_begun};

/// How many messages of all nodes may wait to be looked at: a node that says more waits.
pub(crate) const WAITING_MESSAGES: usize = 16;

/// Something that a node said, or that happened to it.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// It said something.
    Event(Box<Event>),
    /// Its process or connection ended.
    Lost(Failure),
}

/// How nodes are found and reached.
#[derive(Debug, Clone)]
pub(crate) enum Reach {
    /// By SSH, as these options and the machine's SSH configuration say.
    Ssh(SshOptions),
    /// By another network, under their own names.
    Network(Arc<dyn Dialer>),
}

impl Default for Reach {
    fn default() -> Self {
        Self::Ssh(SshOptions::default())
    }
}

/// What all sessions of one run share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    /// How nodes are reached.
    pub(crate) reach: Reach,
    /// The clock of this machine.
    pub(crate) clock: Clock,
    /// The person and machine, as `user@host`.
    pub(crate) operator: String,
    /// Names this run.
    pub(crate) session: String,
    /// When it began, in milliseconds since 1970.
    pub(crate) started: u64,
    /// Whether anything may be changed.
    pub(crate) exclusive: bool,
}

impl Caller {
    /// Names a new run of the program.
    pub(crate) fn new(ssh: &Ssh, exclusive: bool) -> Self {
        let clock = Clock::default();
        Self {
            reach: Reach::Ssh(ssh_options(ssh)),
            operator: operator(),
            session: uuid::Uuid::new_v4().to_string(),
            started: clock.milliseconds(),
            clock,
            exclusive,
        }
    }
}

/// Puts the command line's words about SSH together.
fn ssh_options(ssh: &Ssh) -> SshOptions {
    SshOptions {
        config_file: ssh.config_file.clone(),
        identity_files: ssh.identity_files.clone(),
        known_hosts: ssh.known_hosts.clone(),
        user: ssh.user.clone(),
        port: ssh.port,
        unknown_host: None::<UnknownHost>,
    }
}

/// Names the person and the machine that ask.
fn operator() -> String {
    let user = std::env::var("USER").unwrap_or_else(|_| "root".to_owned());
    let host = nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "unknown".to_owned());
    format!("{user}@{host}")
}

/// Where a session tells what happens to it.
#[derive(Debug, Clone)]
pub(crate) struct Channels {
    /// What the node says once the session has begun.
    pub(crate) incoming: mpsc::Sender<(NodeName, Incoming)>,
    /// Nodes that have to be waited for, and who has their lock, before it has.
    pub(crate) waiting: mpsc::Sender<(NodeName, LockHolder)>,
}

/// One node's process.
pub(crate) struct Session {
    /// The node.
    pub(crate) node: NodeName,
    connection: Connection,
    writer: LivingWriter<Request>,
    reader: JoinHandle<()>,
    requests: u32,
}

impl Session {
    /// Connects, takes the node's lock and observes it: one round trip once connected.
    ///
    /// Whoever drops this before its end closes the connection, and the node gives the lock back.
    /// Everything that the node says later goes to `incoming`.
    pub(crate) async fn begin(
        node: &NodeName,
        caller: &Caller,
        Channels { incoming, waiting }: Channels,
    ) -> Result<(Self, Look), NotBegun> {
        let connection = connect(node, caller).await?;
        reach(|| "session.connected".to_owned()).await;
        let command = node_command(&connection, "serve");
        let session = connection.exec(&command).await.map_err(|error| {
            Failure::new(
                Exit::Unreachable,
                format!("{node}: flocker-node cannot be started"),
            )
            .caused_by(&error)
        })?;
        let mut writer = LivingWriter::new(session.stdin);
        let mut reader = FrameReader::<Output, Event>::new(session.stdout);
        let begin = Request::Begin(Begin {
            speaks: Speaks::ours(),
            operator: caller.operator.clone(),
            session: caller.session.clone(),
            started: caller.started,
            exclusive: caller.exclusive,
        });
        // Should this fail, the answer tells more than the error.
        let _ = writer.send(&begin).await;
        let ending = Ending::new(node.clone(), session.stderr, session.exit.wait());
        let (look, ending) = first_answer(&mut reader, ending, (caller, &waiting)).await?;
        if caller.exclusive {
            reach(|| "session.locked".to_owned()).await;
        }
        let reader = tokio::spawn(forward(reader, ending, incoming));
        let session = Self {
            node: node.clone(),
            connection,
            writer,
            reader,
            requests: 1,
        };
        Ok((session, look))
    }

    /// Asks the node for something; the answer comes in by itself.
    pub(crate) async fn request(&mut self, request: &Request) -> Result<(), Failure> {
        self.requests += 1;
        self.writer.send(request).await.map_err(|error| {
            Failure::new(
                Exit::StepFailed,
                format!("{}: the connection is lost", self.node),
            )
            .caused_by(&error)
        })
    }

    /// Tells the node that this run goes on from looking. There is no answer: if it does not
    /// arrive, the node is lost, and that is told like everything that happens to it.
    pub(crate) async fn go_on(&mut self) {
        let _ = self.writer.send(&Request::GoOn).await;
    }

    /// Returns how often the node was asked for something, the beginning included.
    pub(crate) fn requests(&self) -> u32 {
        self.requests
    }

    /// Returns the connection, for streams beside the session.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Ends the node's process and the connection. Nobody may listen to what it says any more.
    pub(crate) async fn end(self) {
        let Self {
            connection,
            writer,
            reader,
            ..
        } = self;
        // The end of its input is what ends the node's process.
        drop(writer);
        let abort = reader.abort_handle();
        if timeout(PATIENCE, reader).await.is_err() {
            // It talks on, or does not end: it is left alone, which ends its session.
            abort.abort();
        }
        connection.close().await;
    }
}

/// The command that runs `flocker-node` with the rights that it needs.
pub(crate) fn node_command(connection: &Connection, subcommand: &str) -> RemoteCommand {
    if connection.destination().user == "root" {
        RemoteCommand::new("flocker-node").arg(subcommand)
    } else {
        RemoteCommand::new("sudo").args(["-n", "flocker-node", subcommand])
    }
}

/// Finds the node and logs in.
async fn connect(node: &NodeName, caller: &Caller) -> Result<Connection, NotBegun> {
    let (destination, way) = match &caller.reach {
        Reach::Ssh(options) => (find(node, options).await?, Way::Ssh),
        Reach::Network(dialer) => {
            let place = (node.as_str(), 22);
            let destination = Destination::pinned(place, "root", Path::new(""), Vec::new());
            (destination, Way::Dialed(Arc::clone(dialer)))
        }
    };
    for warning in &destination.warnings {
        tracing::warn!(%node, "{warning}");
    }
    let options = ConnectOptions::default();
    let connected = way.connect(&destination, &options).await;
    connected.map_err(|error| not_connected(&error))
}

/// Finds out from the machine's SSH configuration how to reach the node.
async fn find(node: &NodeName, options: &SshOptions) -> Result<Destination, NotBegun> {
    let environment = Environment::observe();
    let resolved = resolve_destination(node.as_str(), options, &environment).await;
    resolved.map_err(|error| {
        let message = format!("{node}: it is not known how to reach it");
        NotBegun {
            failure: Failure::new(Exit::Unreachable, message).caused_by(&error),
            presence: Presence::Absent,
        }
    })
}

/// Says why there is no connection.
fn not_connected(error: &ConnectError) -> NotBegun {
    let presence = match error.step {
        ConnectStep::HostKey | ConnectStep::Authentication => Presence::Answers,
        _ => Presence::Absent,
    };
    let failure = Failure::new(Exit::Unreachable, error.to_string());
    let failure = match std::error::Error::source(error) {
        Some(source) => failure.caused_by(source),
        None => failure,
    };
    NotBegun {
        failure: Failure {
            hint: error.hint(),
            ..failure
        },
        presence,
    }
}

/// Waits for the answer to the beginning, telling `waiting` what the node waits for itself.
async fn first_answer<R: AsyncRead + Unpin>(
    reader: &mut FrameReader<R, Event>,
    ending: Ending,
    (caller, waiting): (&Caller, &mpsc::Sender<(NodeName, LockHolder)>),
) -> Result<(Look, Ending), NotBegun> {
    let node = &ending.node;
    let mut answer = reader.next().await;
    while let Ok(Some(Event::Waiting { holder })) = answer {
        // Nobody may listen.
        let _ = waiting.send((node.clone(), holder)).await;
        answer = reader.next().await;
    }
    match answer {
        Ok(Some(Event::Observed { state })) => Ok((Look::Whole(state), ending)),
        Ok(Some(Event::WithoutPool { node })) => Ok((Look::WithoutPool(node), ending)),
        Ok(Some(Event::Refused { reason })) => Err(not_begun(node, &reason, caller)),
        Ok(Some(_)) => {
            let message = format!("{node}: flocker-node gave an answer to another question");
            Err(Failure::new(Exit::Internal, message).into())
        }
        Ok(None) => Err(ending.explain("did not begin", None).await.into()),
        Err(error) => Err(ending.explain("did not begin", Some(&error)).await.into()),
    }
}

/// Passes on everything that a node says until it ends, or until it talks nonsense.
async fn forward<R: AsyncRead + Unpin>(
    mut reader: FrameReader<R, Event>,
    ending: Ending,
    incoming: mpsc::Sender<(NodeName, Incoming)>,
) {
    let node = ending.node.clone();
    let error = loop {
        match reader.next().await {
            Ok(Some(event)) => {
                let event = Incoming::Event(Box::new(event));
                if incoming.send((node.clone(), event)).await.is_err() {
                    return;
                }
            }
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    let failure = ending.explain("ended unexpectedly", error.as_ref()).await;
    // Nobody listens any more when the session was ended from here.
    let _ = incoming.send((node, Incoming::Lost(failure))).await;
}

#[cfg(test)]
mod tests;
