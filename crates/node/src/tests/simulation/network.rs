//! A network in memory: links that are cut, slow or half open, and connections over them.
//!
//! A connection behaves as one of SSH over TCP. What is sent arrives late, in order, and once. While
//! a link is cut it waits. The side that asks gives a silent connection up after a minute; the other
//! side may learn of that or not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use flocker_remote::ssh::{
    AuthenticationError, ConnectCause, ConnectError, ConnectOptions, ConnectStep, Connection,
    ConnectionLost, Destination, Dialer, ExecError, FarEnd, Line, Session,
};
use futures_util::future::BoxFuture;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::chance::{Dice, Event, Trace};
use super::pump;
use super::world::{Login, World};

/// How often a connection is seen to be alive.
const LOOK: Duration = Duration::from_secs(5);

/// From when on a packet is late.
const LATE: Duration = Duration::from_millis(500);

/// Where a connection begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Site {
    /// A machine from which somebody deploys.
    Operator(usize),
    /// A node.
    Node(usize),
}

impl fmt::Display for Site {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator(index) => write!(formatter, "operator{index}"),
            Self::Node(index) => write!(formatter, "10.0.0.{}", index + 1),
        }
    }
}

/// The network.
#[derive(Clone)]
pub(super) struct Network(Arc<Inside>);

struct Inside {
    state: Mutex<State>,
    changed: Notify,
    dice: Dice,
    trace: Trace,
    world: OnceLock<Weak<World>>,
}

#[derive(Default)]
struct State {
    /// The directions in which nothing arrives, and how often each was cut.
    cut: BTreeMap<(Site, Site), usize>,
    /// The directions in which everything takes longer.
    slow: BTreeMap<(Site, Site), Duration>,
    /// The machines that are off.
    off: BTreeSet<Site>,
    /// How often each machine has booted.
    boots: BTreeMap<Site, u64>,
    lines: Vec<Weak<Wire>>,
    /// How many packets were sent, and the latest of those that arrived at each machine.
    sent: u64,
    latest: BTreeMap<Site, u64>,
}

impl fmt::Debug for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Network").finish_non_exhaustive()
    }
}

impl Network {
    pub(super) fn new(dice: &Dice, trace: &Trace) -> Self {
        Self(Arc::new(Inside {
            state: Mutex::default(),
            changed: Notify::new(),
            dice: dice.clone(),
            trace: trace.clone(),
            world: OnceLock::new(),
        }))
    }

    /// Puts the machines at its ends.
    pub(super) fn lead_to(&self, world: &Arc<World>) {
        let _ = self.0.world.set(Arc::downgrade(world));
    }

    /// Returns the way of a machine to all others.
    pub(super) fn phone(&self, from: Site) -> Arc<Phone> {
        let network = self.clone();
        Arc::new(Phone { network, from })
    }

    /// Cuts directions until [`Network::mend`].
    pub(super) fn cut(&self, directions: &[(Site, Site)]) {
        for direction in directions {
            *self.state().cut.entry(*direction).or_default() += 1;
        }
        self.0.changed.notify_waiters();
    }

    /// Takes a cut back.
    pub(super) fn mend(&self, directions: &[(Site, Site)]) {
        for direction in directions {
            let mut state = self.state();
            if let Some(cuts) = state.cut.get_mut(direction) {
                *cuts -= 1;
                if *cuts == 0 {
                    state.cut.remove(direction);
                }
            }
        }
        self.0.changed.notify_waiters();
    }

    /// Has everything between two machines take longer.
    pub(super) fn slow_down(&self, (one, other): (Site, Site), by: Duration) {
        let mut state = self.state();
        for direction in [(one, other), (other, one)] {
            if by.is_zero() {
                state.slow.remove(&direction);
            } else {
                state.slow.insert(direction, by);
            }
        }
    }

    /// Has nothing arrive any more over the connections that are open between two machines. New ones
    /// are not concerned: a firewall between them has forgotten the old ones.
    pub(super) fn forget_connections(&self, (one, other): (Site, Site)) {
        for wire in self.state().lines.iter().filter_map(Weak::upgrade) {
            if [(one, other), (other, one)].contains(&(wire.from, wire.to)) {
                wire.forgotten.cancel();
            }
        }
        self.0.changed.notify_waiters();
    }

    /// Switches a machine off.
    pub(super) fn switch_off(&self, site: Site) {
        let mut state = self.state();
        state.off.insert(site);
        *state.boots.entry(site).or_default() += 1;
        drop(state);
        self.0.changed.notify_waiters();
    }

    /// Switches it on.
    pub(super) fn switch_on(&self, site: Site) {
        self.state().off.remove(&site);
        self.0.changed.notify_waiters();
    }

    pub(super) fn dice(&self) -> &Dice {
        &self.0.dice
    }

    pub(super) fn trace(&self) -> &Trace {
        &self.0.trace
    }

    pub(super) fn world(&self) -> Option<Arc<World>> {
        self.0.world.get()?.upgrade()
    }

    fn boots(&self, site: Site) -> u64 {
        self.state().boots.get(&site).copied().unwrap_or_default()
    }

    /// Tells whether something that is sent now arrives.
    fn passes(&self, (from, to): (Site, Site)) -> bool {
        let state = self.state();
        !state.cut.contains_key(&(from, to))
            && !state.off.contains(&to)
            && !state.off.contains(&from)
    }

    /// Waits until something that is sent arrives.
    async fn passable(&self, direction: (Site, Site)) {
        loop {
            let mut changed = std::pin::pin!(self.0.changed.notified());
            changed.as_mut().enable();
            if self.passes(direction) {
                return;
            }
            changed.await;
        }
    }

    /// Takes the time that something is under way.
    async fn be_under_way(&self, direction: (Site, Site)) {
        let sent = Instant::now();
        let (number, slow) = {
            let mut state = self.state();
            state.sent += 1;
            (state.sent, state.slow.get(&direction).copied())
        };
        sleep(self.0.dice.latency() + slow.unwrap_or_default()).await;
        if !self.passes(direction) {
            self.passable(direction).await;
            // It is sent again some time after the link is back.
            sleep(self.0.dice.time(1..2000)).await;
        }
        if sent.elapsed() >= LATE {
            self.0.trace.count(Event::PacketLate);
        }
        let mut state = self.state();
        let latest = state.latest.entry(direction.1).or_default();
        if number < *latest && matches!(direction.1, Site::Operator(_)) {
            self.0.trace.count(Event::PacketOvertaken);
        }
        *latest = number.max(*latest);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A machine's way to all others.
#[derive(Debug)]
pub(super) struct Phone {
    network: Network,
    from: Site,
}

impl Phone {
    /// Waits until a machine has accepted a connection; for ever where none does.
    pub(super) async fn reach(&self, host: &str) {
        let found = self.network.world().and_then(|world| world.site_of(host));
        match found {
            Some(to) => self.go_there_and_back(to).await,
            None => std::future::pending().await,
        }
    }

    async fn go_there_and_back(&self, to: Site) {
        self.network.be_under_way((self.from, to)).await;
        self.network.be_under_way((to, self.from)).await;
    }

    /// Opens a connection, and exchanges keys over it.
    async fn shake_hands(&self, to: Site) -> Result<(), (ConnectStep, ConnectCause)> {
        let after = ConnectOptions::default().connect_timeout;
        let deadline = Instant::now() + after;
        for step in [ConnectStep::Tcp, ConnectStep::KeyExchange] {
            timeout_at(deadline, self.go_there_and_back(to))
                .await
                .map_err(|_| (step, ConnectCause::TimedOut { after }))?;
        }
        Ok(())
    }

    async fn connect(&self, destination: &Destination) -> Result<Connection, ConnectError> {
        let fail = |step, cause| failed(destination, (step, cause));
        let unknown = || ConnectCause::Lookup(io::Error::from(io::ErrorKind::NotFound));
        let world = self.network.world();
        let found = world
            .as_ref()
            .and_then(|world| world.site_of(&destination.host));
        let (Some(to), Some(world)) = (found, world) else {
            return Err(fail(ConnectStep::Lookup, unknown()));
        };
        let shaken = self.shake_hands(to).await;
        shaken.map_err(|(step, cause)| fail(step, cause))?;
        let login = world.log_in(to, destination).map_err(|outcome| {
            let error = AuthenticationError {
                attempts: Vec::new(),
                methods: vec![outcome],
                offered: true,
                cut_short: false,
            };
            fail(
                ConnectStep::Authentication,
                ConnectCause::Authentication(error),
            )
        })?;
        let wire = Arc::new(Wire {
            network: self.network.clone(),
            from: self.from,
            to,
            boots: [self.network.boots(self.from), self.network.boots(to)],
            login,
            near: CancellationToken::new(),
            far: CancellationToken::new(),
            forgotten: CancellationToken::new(),
            lost: OnceLock::new(),
        });
        let mut state = self.network.state();
        state.lines.retain(|line| line.strong_count() > 0);
        state.lines.push(Arc::downgrade(&wire));
        drop(state);
        tokio::spawn(keep_alive(Arc::downgrade(&wire)));
        let held = Held {
            wire,
            node: destination.name.clone(),
        };
        Ok(Connection::over(destination, Arc::new(held)))
    }
}

fn failed(destination: &Destination, (step, cause): (ConnectStep, ConnectCause)) -> ConnectError {
    ConnectError {
        node: destination.name.clone(),
        user: destination.user.clone(),
        host: destination.host.clone(),
        port: destination.port,
        from: None,
        step,
        cause,
    }
}

impl Dialer for Phone {
    fn dial<'a>(
        &'a self,
        destination: &'a Destination,
    ) -> BoxFuture<'a, Result<Connection, ConnectError>> {
        Box::pin(self.connect(destination))
    }
}

/// One connection.
pub(super) struct Wire {
    pub(super) network: Network,
    pub(super) from: Site,
    pub(super) to: Site,
    /// How often its machines had booted when it was made.
    boots: [u64; 2],
    pub(super) login: Login,
    /// Cancelled once it is no more for the side that asks.
    pub(super) near: CancellationToken,
    /// Cancelled once it is no more for the side that is asked.
    pub(super) far: CancellationToken,
    /// Cancelled once nothing arrives any more.
    forgotten: CancellationToken,
    lost: OnceLock<ConnectionLost>,
}

impl Wire {
    /// Waits until something has arrived at the side that is asked.
    ///
    /// Pends for ever where it never does.
    pub(super) async fn there(&self) {
        self.carry((self.from, self.to)).await;
    }

    /// Waits until something has arrived at the side that asks.
    pub(super) async fn back(&self) {
        self.carry((self.to, self.from)).await;
    }

    async fn carry(&self, direction: (Site, Site)) {
        if !self.is_dead() {
            self.network.be_under_way(direction).await;
        }
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    /// Tells whether nothing can arrive any more, be the links as they may.
    fn is_dead(&self) -> bool {
        let boots = [self.network.boots(self.from), self.network.boots(self.to)];
        self.forgotten.is_cancelled() || boots != self.boots
    }

    /// Returns why the side that asks has no connection any more.
    pub(super) fn loss(&self) -> ConnectionLost {
        self.lost.get().cloned().unwrap_or(ConnectionLost::Here)
    }

    fn lose(&self, why: ConnectionLost) {
        let (from, to) = (self.from, self.to);
        self.network.trace().count(Event::ConnectionLost);
        self.network
            .trace()
            .note(&format!("{from}: lost the connection to {to}: {why}"));
        let _ = self.lost.set(why);
        self.near.cancel();
    }
}

/// Gives a connection up that is silent for a minute, as SSH's keepalives do, or whose other end has
/// booted and says that it knows of none.
async fn keep_alive(wire: Weak<Wire>) {
    let patience = ConnectOptions::default();
    let limit = patience.keepalive_interval * u32::try_from(patience.keepalive_count + 1).unwrap();
    let mut silent = Duration::ZERO;
    loop {
        sleep(LOOK).await;
        let Some(wire) = wire.upgrade().filter(|wire| !wire.near.is_cancelled()) else {
            return;
        };
        let network = &wire.network;
        let both = [(wire.from, wire.to), (wire.to, wire.from)];
        let passes = both.into_iter().all(|direction| network.passes(direction));
        if passes && !wire.is_dead() {
            silent = Duration::ZERO;
            continue;
        }
        silent += LOOK;
        let has_booted = passes && network.boots(wire.to) != wire.boots[1];
        if has_booted {
            let cause = "Connection reset by peer (os error 104)".to_owned();
            wire.lose(ConnectionLost::Closed { cause });
        } else if silent >= limit {
            wire.lose(ConnectionLost::Silent);
        } else {
            continue;
        }
        tell_the_other_side(wire).await;
        return;
    }
}

/// Tells the side that is asked that the connection is no more, once it can be told; sometimes it
/// never learns of it.
async fn tell_the_other_side(wire: Arc<Wire>) {
    if wire.network.dice().once_in(500) {
        wire.there().await;
        wire.far.cancel();
    }
}

/// A connection in the hands of the program that has opened it.
struct Held {
    wire: Arc<Wire>,
    node: String,
}

impl Line for Held {
    fn exec<'a>(&'a self, command: &'a str) -> BoxFuture<'a, Result<Session, ExecError>> {
        Box::pin(async move {
            if self.wire.near.is_cancelled() {
                return Err(ExecError::ConnectionLost {
                    node: self.node.clone(),
                    command: command.to_owned(),
                    source: self.wire.loss(),
                });
            }
            let (session, far) = FarEnd::open(&self.node, command);
            tokio::spawn(pump::run(Arc::clone(&self.wire), far));
            Ok(session)
        })
    }

    fn is_closed(&self) -> bool {
        self.wire.near.is_cancelled()
    }

    fn close(&self) {
        if self.wire.near.is_cancelled() {
            return;
        }
        self.wire.near.cancel();
        let wire = Arc::clone(&self.wire);
        tokio::spawn(async move {
            wire.there().await;
            wire.far.cancel();
        });
    }
}
