//! Failing, or never coming back, at a chosen call or place.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use flocker_remote::protocol::StepFailure;
use tokio::sync::Notify;

use crate::failure::failure_of;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The call fails.
    Fail,
    /// The call never returns, as if its process was killed.
    Hang,
}

/// Counts the calls of all machines and the places at which they arrive, and lets one go wrong.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    counter: Arc<Mutex<Counter>>,
    hanging: Arc<Notify>,
    /// The places at which anybody arrived.
    reached: Arc<Mutex<BTreeSet<String>>>,
    /// How time passes, where it is simulated.
    pace: Option<Arc<Pace>>,
}

/// How time passes on simulated machines, and what is looked at meanwhile.
pub(crate) struct Pace {
    /// How long the next call takes.
    pub(crate) next: Box<dyn Fn() -> Duration + Send + Sync>,
    /// Looks at all machines after each change.
    pub(crate) look: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// How the machines are broken.
    pub(crate) mutation: Option<Mutation>,
}

/// How machines are broken on purpose, for tests that must notice it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// A stream is taken for whole though its last byte is missing.
    LoseEndsOfStreams,
    /// A power cut takes what was acknowledged and is in an intent log alone.
    LoseIntentLogs,
    /// A unit that is stopped leaves its container running, below which the volume is unmounted.
    LeaveContainersRunning,
}

impl fmt::Debug for Pace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pace").finish_non_exhaustive()
    }
}

thread_local! {
    /// Whose machines are at work: a test and its machines stay on one thread, and places belong to
    /// no machine.
    static AT_WORK: RefCell<Faults> = RefCell::default();
}

/// Says that one of the machines that are at work is at this place.
pub(crate) async fn arrive(place: String) {
    let faults = AT_WORK.with_borrow(Clone::clone);
    faults.arrive(place).await;
}

#[derive(Debug, Default)]
struct Counter {
    passed: usize,
    wanted: Option<(usize, Fault)>,
}

impl Faults {
    /// Lets time pass like this.
    pub(crate) fn paced(pace: Arc<Pace>) -> Self {
        let faults = Self {
            pace: Some(pace),
            ..Self::default()
        };
        AT_WORK.set(faults.clone());
        faults
    }

    /// Tells whether the machines are broken in this way.
    pub(super) fn breaks(&self, mutation: Mutation) -> bool {
        let pace = self.pace.as_ref();
        pace.is_some_and(|pace| pace.mutation == Some(mutation))
    }

    /// Waits where time is simulated.
    pub(super) async fn pass(&self, duration: Duration) {
        if self.pace.is_some() {
            tokio::time::sleep(duration).await;
        }
    }

    /// Has all machines looked at where time is simulated.
    pub(super) fn look(&self) {
        if let Some(look) = self.pace.as_ref().and_then(|pace| pace.look.get()) {
            look();
        }
    }

    /// Takes the time of a call.
    async fn keep_pace(&self) {
        if let Some(pace) = &self.pace {
            let time = (pace.next)();
            if time.is_zero() {
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep(time).await;
            }
        }
    }

    /// Lets the point with this number go wrong, counted from 0 from now on.
    pub(crate) fn arm(&self, number: usize, fault: Fault) {
        AT_WORK.set(self.clone());
        *self.counter() = Counter {
            passed: 0,
            wanted: Some((number, fault)),
        };
    }

    /// Lets nothing go wrong, and counts from 0; returns how many points were passed.
    pub(crate) fn disarm(&self) -> usize {
        AT_WORK.set(self.clone());
        std::mem::take(&mut *self.counter()).passed
    }

    /// Waits until a call hangs.
    pub(crate) async fn hanging(&self) {
        self.hanging.notified().await;
    }

    /// Lists the places at which anybody arrived, and forgets them.
    pub(crate) fn take_reached(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.reached())
    }

    /// A place that the program names: nothing fails there, but somebody may end it.
    async fn arrive(&self, place: String) {
        if self.pace.is_some() {
            return self.keep_pace().await;
        }
        self.reached().insert(place);
        let wanted = self.counter().wanted;
        if let Some((_, Fault::Hang)) = wanted {
            // It does not fail.
            let _ = self.point().await;
        }
    }

    /// A call, at which something can go wrong.
    pub(super) async fn point(&self) -> Result<(), StepFailure> {
        if self.pace.is_some() {
            self.keep_pace().await;
            return Ok(());
        }
        let fault = {
            let mut counter = self.counter();
            let number = counter.passed;
            counter.passed += 1;
            counter
                .wanted
                .filter(|(wanted, _)| *wanted == number)
                .map(|(_, fault)| fault)
        };
        match fault {
            None => Ok(()),
            Some(Fault::Fail) => Err(failure_of("it fails, because the test wants it to")),
            Some(Fault::Hang) => {
                self.hanging.notify_one();
                std::future::pending().await
            }
        }
    }

    fn reached(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counter(&self) -> MutexGuard<'_, Counter> {
        self.counter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
