//! Failing, or never coming back, at a chosen call or place.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
        self.reached().insert(place);
        let wanted = self.counter().wanted;
        if let Some((_, Fault::Hang)) = wanted {
            // It does not fail.
            let _ = self.point().await;
        }
    }

    /// A call, at which something can go wrong.
    pub(super) async fn point(&self) -> Result<(), StepFailure> {
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
