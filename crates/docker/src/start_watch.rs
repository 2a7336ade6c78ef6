//! Waiting for a container to start, and noticing that it does not stay up.

use std::time::Duration;

use bollard::models::{ContainerInspectResponse, ContainerState};
use bollard::query_parameters::LogsOptions;
use flocker_model::ApplicationName;
use futures_util::{StreamExt as _, TryStreamExt as _};
use thiserror::Error;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::connection::{Docker, RequestFailed};
use crate::events::event_options;
use crate::naming::{Role, container_name};
use crate::ownership::LookupError;

/// What Docker writes for "never": the zero value of Go's time.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// How many lines of output are shown of a container that ended.
const LOG_LINES: u32 = 20;

/// A container that ended soon after its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The application.
    pub application: ApplicationName,
    /// The exit status of its process; unknown when systemd has already started it again.
    pub exit_code: Option<i64>,
    /// Whether the kernel killed it for using too much memory.
    pub out_of_memory: bool,
    /// Why Docker could not start it, if that is so.
    pub problem: Option<String>,
    /// The last lines of its output.
    pub output: Vec<String>,
}

impl Ended {
    pub(crate) fn new(
        application: &ApplicationName,
        state: &ContainerState,
        output: Vec<String>,
    ) -> Self {
        Self {
            application: application.clone(),
            exit_code: state.exit_code,
            out_of_memory: state.oom_killed.unwrap_or(false),
            problem: state.error.clone().filter(|problem| !problem.is_empty()),
            output,
        }
    }

    /// Tells whether it did what it is for, and said so: its status is known, and 0.
    pub fn succeeded(&self) -> bool {
        self.problem.is_none() && !self.out_of_memory && self.exit_code == Some(0)
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let application = &self.application;
        match &self.problem {
            Some(problem) => write!(formatter, "{application} could not be started: {problem}")?,
            None => write!(formatter, "{application} ended right after its start")?,
        }
        if let (None, Some(status)) = (&self.problem, self.exit_code) {
            write!(formatter, " with status {status}")?;
        }
        if self.out_of_memory {
            formatter.write_str(", out of memory (raise its `memory`)")?;
        }
        let mut output = String::new();
        write_output(&mut output, &self.output);
        formatter.write_str(&output)
    }
}

/// Ends a message with the last lines that a container printed.
pub(crate) fn write_output(text: &mut String, output: &[String]) {
    if output.is_empty() {
        text.push_str("; it printed nothing");
    } else {
        text.push_str("; its last output:");
        for line in output {
            text.push_str("\n  ");
            text.push_str(line);
        }
    }
}

/// Why a container does not run.
#[derive(Debug, Error)]
pub enum StartError {
    /// It started and ended.
    #[error("{0}")]
    Ended(Box<Ended>),
    /// It has not started in time.
    #[error(
        "{application} has not started within {} s; see systemctl status flocker-{application}",
        waited.as_secs()
    )]
    Deadline {
        /// The application.
        application: ApplicationName,
        /// How long was waited.
        waited: Duration,
    },
    /// Docker has stopped meanwhile.
    #[error("docker stopped while {application} was starting; see systemctl status docker")]
    DaemonLost {
        /// The application.
        application: ApplicationName,
    },
    /// A container of that name is not Flocker's, or cannot be looked at.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// A request failed.
    #[error(transparent)]
    Request(#[from] RequestFailed),
}

/// One start of one container: which container, and since when, as Docker writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) container: String,
    pub(crate) at: String,
}

/// Watches for the next start of an application's container.
///
/// Made *before* the start is asked for, it tells the new start from an earlier one that has
/// ended long ago.
#[derive(Debug)]
pub struct StartWatch {
    docker: Docker,
    application: ApplicationName,
    /// The start that was the last one when watching began, if it was not running any more.
    before: Option<Start>,
}

/// What one look at the container tells.
pub(crate) enum Look {
    NotStarted,
    Running(Start),
    Ended(Box<ContainerState>),
}

impl Docker {
    /// Begins to watch for the next start of the container of `application`.
    ///
    /// A container that already runs counts as started.
    ///
    /// # Errors
    /// When the name is somebody else's, or when Docker fails.
    pub async fn watch_start(
        &self,
        application: &ApplicationName,
    ) -> Result<StartWatch, LookupError> {
        let existing = self.inspect_ours(application, Role::Application).await?;
        let before = existing
            .as_ref()
            .filter(|container| !crate::ownership::is_running(container))
            .and_then(start_of);
        Ok(StartWatch {
            before,
            ..self.watch_run(application)
        })
    }

    /// Begins to watch the run that the container of `application` is in, or was in last.
    pub fn watch_run(&self, application: &ApplicationName) -> StartWatch {
        StartWatch {
            docker: self.clone(),
            application: application.clone(),
            before: None,
        }
    }
}

impl StartWatch {
    /// Waits until the container runs.
    ///
    /// # Errors
    /// When it ends first, or has not started within `patience`.
    pub async fn wait_until_running(&self, patience: Duration) -> Result<(), StartError> {
        self.wait_until_stable(Duration::ZERO, patience).await
    }

    /// Waits until the container has run for `settle` without ending.
    ///
    /// # Errors
    /// When it ends, with its exit status and last output; or when it has not started within
    /// `patience`.
    pub async fn wait_until_stable(
        &self,
        settle: Duration,
        patience: Duration,
    ) -> Result<(), StartError> {
        let deadline = Instant::now() + patience;
        let options = event_options(&self.application, &["start", "die", "destroy"]);
        let mut events = std::pin::pin!(self.docker.client.events(Some(options)));
        let start = loop {
            match self.look().await? {
                Look::Running(start) => break start,
                Look::Ended(state) => return Err(self.ended(&state).await),
                Look::NotStarted => {}
            }
            let event = timeout_at(deadline, events.next()).await;
            match event {
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(source))) => return Err(self.events_failed(source).into()),
                Ok(None) => return Err(self.daemon_lost()),
                Err(_) => {
                    return Err(StartError::Deadline {
                        application: self.application.clone(),
                        waited: patience,
                    });
                }
            }
        };
        let settled = Instant::now() + settle;
        loop {
            tokio::select! {
                () = sleep_until(settled) => break,
                event = events.next() => match event {
                    Some(Ok(_)) => self.check_still(&start).await?,
                    Some(Err(source)) => return Err(self.events_failed(source).into()),
                    None => return Err(self.daemon_lost()),
                },
            }
        }
        if settle.is_zero() {
            Ok(())
        } else {
            self.check_still(&start).await
        }
    }

    /// Waits for the container's end, or for the next one when called again.
    ///
    /// It may run for as long as it likes.
    ///
    /// # Errors
    /// When it does not start again within `patience`, or cannot be watched.
    pub(crate) async fn next_end(&mut self, patience: Duration) -> Result<Ended, StartError> {
        let options = event_options(&self.application, &["start", "die", "destroy"]);
        let mut events = std::pin::pin!(self.docker.client.events(Some(options)));
        let mut deadline = Instant::now() + patience;
        loop {
            let container = self.inspect().await?;
            let start = container.as_ref().and_then(start_of);
            match look_at(container, self.before.as_ref()) {
                Look::Ended(state) => {
                    self.before = start;
                    let output = self.docker.observe_output(&self.application).await;
                    let output = output.unwrap_or_default();
                    return Ok(Ended::new(&self.application, &state, output));
                }
                // Looked at again from time to time, in case that an event is missed.
                Look::Running(_) => deadline = Instant::now() + patience,
                Look::NotStarted if Instant::now() >= deadline => {
                    return Err(StartError::Deadline {
                        application: self.application.clone(),
                        waited: patience,
                    });
                }
                Look::NotStarted => {}
            }
            match timeout_at(deadline, events.next()).await {
                Ok(Some(Ok(_))) | Err(_) => {}
                Ok(Some(Err(source))) => return Err(self.events_failed(source).into()),
                Ok(None) => return Err(self.daemon_lost()),
            }
        }
    }

    async fn inspect(&self) -> Result<Option<ContainerInspectResponse>, LookupError> {
        let docker = &self.docker;
        docker
            .inspect_ours(&self.application, Role::Application)
            .await
    }

    async fn look(&self) -> Result<Look, LookupError> {
        Ok(look_at(self.inspect().await?, self.before.as_ref()))
    }

    /// Checks that the container is still in the same run.
    async fn check_still(&self, start: &Start) -> Result<(), StartError> {
        match self.look().await? {
            Look::Running(now) if now == *start => Ok(()),
            Look::Ended(state) => Err(self.ended(&state).await),
            // Systemd has been faster and has started it again: the exit status is gone.
            Look::Running(_) | Look::NotStarted => {
                Err(self.ended(&ContainerState::default()).await)
            }
        }
    }

    async fn ended(&self, state: &ContainerState) -> StartError {
        // Whatever went wrong, the output is only an addition to the message.
        let output = self.docker.observe_output(&self.application).await;
        StartError::Ended(Box::new(Ended::new(
            &self.application,
            state,
            output.unwrap_or_default(),
        )))
    }

    fn daemon_lost(&self) -> StartError {
        StartError::DaemonLost {
            application: self.application.clone(),
        }
    }

    fn events_failed(&self, source: bollard::errors::Error) -> RequestFailed {
        RequestFailed::new(
            format!("watch the container of {}", self.application),
            source,
        )
    }
}

impl Docker {
    /// Reads the last lines that the container of `application` printed.
    ///
    /// # Errors
    /// When there is no such container, or when Docker fails.
    pub async fn observe_output(
        &self,
        application: &ApplicationName,
    ) -> Result<Vec<String>, RequestFailed> {
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            tail: LOG_LINES.to_string(),
            ..LogsOptions::default()
        };
        let name = container_name(application);
        let chunks: Vec<_> = self
            .client
            .logs(&name, Some(options))
            .try_collect()
            .await
            .map_err(|source| RequestFailed::new(format!("read the output of {name}"), source))?;
        let text: String = chunks.iter().map(ToString::to_string).collect();
        Ok(text.lines().map(str::to_owned).collect())
    }
}

/// Tells what a container is doing, when the start `before` is not the one that is waited for.
pub(crate) fn look_at(container: Option<ContainerInspectResponse>, before: Option<&Start>) -> Look {
    let Some(container) = container else {
        return Look::NotStarted;
    };
    let start = start_of(&container);
    let state = container.state.unwrap_or_default();
    match start {
        Some(start) if state.running == Some(true) => Look::Running(start),
        Some(start) if Some(&start) != before => Look::Ended(Box::new(state)),
        // A start that failed in Docker itself leaves a message, and no time.
        None if has_problem(&state) => Look::Ended(Box::new(state)),
        _ => Look::NotStarted,
    }
}

/// Tells when a container was last started, if it ever was.
fn start_of(container: &ContainerInspectResponse) -> Option<Start> {
    let at = container.state.as_ref()?.started_at.clone()?;
    (at != NEVER && !at.is_empty()).then(|| Start {
        container: container.id.clone().unwrap_or_default(),
        at,
    })
}

fn has_problem(state: &ContainerState) -> bool {
    state.error.as_ref().is_some_and(|error| !error.is_empty())
}
