//! Failing, or never coming back, at a chosen call.

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

/// Counts the calls of all machines, and lets one go wrong.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    counter: Arc<Mutex<Counter>>,
    hanging: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Counter {
    passed: usize,
    wanted: Option<(usize, Fault)>,
}

impl Faults {
    /// Lets the point with this number go wrong, counted from 0 from now on.
    pub(crate) fn arm(&self, number: usize, fault: Fault) {
        *self.counter() = Counter {
            passed: 0,
            wanted: Some((number, fault)),
        };
    }

    /// Lets nothing go wrong, and counts from 0; returns how many points were passed.
    pub(crate) fn disarm(&self) -> usize {
        std::mem::take(&mut *self.counter()).passed
    }

    /// Waits until a call hangs.
    pub(crate) async fn hanging(&self) {
        self.hanging.notified().await;
    }

    /// A place where something can go wrong.
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

    fn counter(&self) -> MutexGuard<'_, Counter> {
        self.counter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
