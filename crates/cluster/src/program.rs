//! Deploying by a program that brings its own network, and reads what a person would.

use std::sync::{Arc, Mutex, PoisonError};

use flocker_config::{Diagnostics, Parsed};
use flocker_model::Deployment;
use flocker_remote::clock::Clock;
use flocker_remote::ssh::Dialer;

use crate::deploy::{Mode, Prepared, run_prepared};
use crate::images::OperatorImages;
use crate::printer::Printer;
use crate::session::{Caller, Reach};

/// Who deploys, and from where.
#[derive(Debug, Clone)]
pub struct Operator {
    /// The person and machine, as `user@host`.
    pub name: String,
    /// Names this run; no other run has the same name.
    pub session: String,
    /// How nodes are reached: each at its name.
    pub network: Arc<dyn Dialer>,
    /// The clock of the operator's machine.
    pub clock: Clock,
    /// Where everything goes that a person would read.
    pub transcript: Transcript,
}

/// The lines that a person would read on a terminal.
#[derive(Debug, Clone, Default)]
pub struct Transcript(Arc<Mutex<Vec<String>>>);

impl Transcript {
    /// Takes the lines that were written so far.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn keep(&self, text: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(text.to_owned());
    }
}

/// Deploys as `flocker-cluster deploy` does; returns its exit code.
pub async fn deploy(deployment: Deployment, operator: &Operator) -> u8 {
    let parsed = Parsed {
        deployment,
        warnings: Diagnostics::default(),
        earlier_data: Vec::new(),
    };
    let caller = Caller {
        reach: Reach::Network(Arc::clone(&operator.network)),
        operator: operator.name.clone(),
        session: operator.session.clone(),
        started: operator.clock.milliseconds(),
        clock: operator.clock.clone(),
        exclusive: true,
    };
    let mut printer = Printer::keeping(&operator.transcript);
    let prepared = Prepared {
        parsed,
        images: Arc::new(OperatorImages::default()),
        new_volumes: false,
    };
    run_prepared(&prepared, Mode::Deploy, (&caller, &mut printer))
        .await
        .code()
}
