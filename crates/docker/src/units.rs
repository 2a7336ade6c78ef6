//! Systemd units over D-Bus.
//!
//! **Source**: `org.freedesktop.systemd1(5)`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flocker_model::{ApplicationName, UnitState};
use futures_util::StreamExt as _;
use thiserror::Error;
use tokio::time::{Instant, timeout_at};
use zbus_systemd::systemd1::{ManagerProxy, ServiceProxy, UnitProxy};
use zbus_systemd::zbus::{self, Connection, OwnedObjectPath, connection};

use crate::naming::{Change, unit_name};
use crate::unit::{UnitSpecification, render_unit};
use crate::unit_file::{UnitFileError, ensure_file, remove_file};
use crate::unit_state::{ListedUnit, read_units};

/// D-Bus error of a unit that systemd has not loaded.
const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";

/// Where systemd is, and where its units are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitSettings {
    /// The directory of unit files that are gone after a reboot.
    pub directory: PathBuf,
    /// The D-Bus address of the bus that systemd is on; the system bus when not given.
    pub bus: Option<String>,
}

impl Default for UnitSettings {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("/run/systemd/system"),
            bus: None,
        }
    }
}

/// How a unit's start or stop went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitFailure {
    /// The result of the job: `failed`, `canceled`, `timeout`, `dependency`, `skipped`, …
    pub job: String,
    /// The unit's state and the state below it, such as `failed/failed`.
    pub state: String,
    /// The result of the service: `exit-code`, `signal`, `timeout`, …
    pub result: String,
    /// The exit status of the program that was attached to the container.
    pub exit_status: i32,
}

/// Why a unit cannot be looked after.
#[derive(Debug, Error)]
pub enum UnitError {
    /// Systemd cannot be reached.
    #[error("systemd cannot be reached over D-Bus; is this machine booted with systemd and dbus?")]
    Connect(#[source] Box<zbus::Error>),
    /// Systemd refused, or its answer makes no sense.
    #[error("systemd could not {action}")]
    Request {
        /// What was asked of it.
        action: String,
        /// Its message.
        #[source]
        source: Box<zbus::Error>,
    },
    /// The job of a unit did not succeed.
    #[error(
        "{unit} could not {verb}: job {}, unit {}, result {}, status {}; see journalctl -u {unit}",
        failure.job, failure.state, failure.result, failure.exit_status
    )]
    Failed {
        /// The unit.
        unit: String,
        /// `start` or `stop`.
        verb: &'static str,
        /// What systemd says of it.
        failure: Box<UnitFailure>,
    },
    /// The job of a unit is not done in time; it has not been cancelled.
    #[error("{unit} did not {verb} within {} s; see systemctl status {unit}", waited.as_secs())]
    Deadline {
        /// The unit.
        unit: String,
        /// `start` or `stop`.
        verb: &'static str,
        /// How long was waited.
        waited: Duration,
    },
    /// Its file cannot be written or removed.
    #[error(transparent)]
    File(#[from] UnitFileError),
}

/// The units of this machine's systemd.
#[derive(Debug, Clone)]
pub struct Units {
    connection: Connection,
    settings: UnitSettings,
}

/// What is asked of systemd about a unit.
#[derive(Debug, Clone, Copy)]
enum Job {
    Start,
    Stop,
}

impl Job {
    const fn verb(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
        }
    }
}

impl Units {
    /// Connects to systemd.
    ///
    /// # Errors
    /// When there is no bus.
    pub async fn connect(settings: UnitSettings) -> Result<Self, UnitError> {
        let connected = match &settings.bus {
            Some(address) => connection::Builder::address(address.as_str()).build().await,
            None => Connection::system().await,
        };
        let connection = connected.map_err(|error| UnitError::Connect(Box::new(error)))?;
        let units = Self {
            connection,
            settings,
        };
        // Systemd sends signals only to those who subscribe, and minds being asked twice.
        units
            .manager()
            .await?
            .subscribe()
            .await
            .map_err(|error| failed("subscribe to its signals", error))?;
        Ok(units)
    }

    /// Writes the files of `units`, and has systemd read them again if it goes by older ones.
    ///
    /// Running units are not restarted; most of a changed text counts from the next start on.
    ///
    /// # Errors
    /// When a file is somebody else's or cannot be written, or when systemd fails.
    pub async fn ensure_units(&self, units: &[UnitSpecification]) -> Result<Change, UnitError> {
        let mut changed = false;
        for unit in units {
            changed |= ensure_file(&self.path(&unit.application), &render_unit(unit))?;
        }
        let names: Vec<String> = units
            .iter()
            .map(|unit| unit_name(&unit.application))
            .collect();
        // Also where nothing changed now: whoever changed it may have died before systemd read it.
        self.reload_stale(&names).await?;
        Ok(Change::when(changed))
    }

    /// Starts a unit and waits until systemd is done with it.
    ///
    /// Done means that the application's container is about to start: use
    /// [`Docker::watch_start`](crate::Docker::watch_start) to know that it runs.
    ///
    /// # Errors
    /// When preparing it fails, or is not done within `patience`.
    pub async fn start(
        &self,
        application: &ApplicationName,
        patience: Duration,
    ) -> Result<(), UnitError> {
        // Systemd refuses to start what has used up its restarts, until that is forgotten.
        self.forget_failure(&unit_name(application)).await?;
        self.run_job(application, Job::Start, patience).await?;
        Ok(())
    }

    /// Stops a unit and waits until it and its container have stopped.
    ///
    /// # Errors
    /// When systemd fails, or is not done within `patience`.
    pub async fn stop(
        &self,
        application: &ApplicationName,
        patience: Duration,
    ) -> Result<Change, UnitError> {
        let state = self.observe_one(application).await?;
        let stopped = matches!(
            state,
            UnitState::Missing | UnitState::Inactive | UnitState::Failed
        );
        if !stopped {
            self.run_job(application, Job::Stop, patience).await?;
        }
        // An application that had to be killed leaves its unit failed, which nobody asked about.
        self.forget_failure(&unit_name(application)).await?;
        Ok(Change::when(!stopped))
    }

    /// Removes a stopped unit's file and has systemd forget it.
    ///
    /// # Errors
    /// When the file is somebody else's or cannot be removed, or when systemd fails.
    pub async fn remove(&self, application: &ApplicationName) -> Result<Change, UnitError> {
        let removed = remove_file(&self.path(application))?;
        let unit = unit_name(application);
        if removed {
            // With that, systemd forgets a unit that does not run, unless something holds on to it.
            self.forget_failure(&unit).await?;
        }
        self.reload_stale(&[unit]).await?;
        Ok(Change::when(removed))
    }

    /// Looks at every unit of ours, in one request.
    ///
    /// # Errors
    /// When systemd fails, or the directory cannot be read.
    pub async fn observe(&self) -> Result<BTreeMap<ApplicationName, UnitState>, UnitError> {
        let listed = self
            .manager()
            .await?
            .list_units_by_patterns(Vec::new(), vec![unit_name_pattern()])
            .await
            .map_err(|error| failed("list units", error))?;
        let files = files_in(&self.settings.directory);
        let listed = listed.iter().map(|unit| ListedUnit {
            name: &unit.0,
            load_state: &unit.2,
            active_state: &unit.3,
        });
        Ok(read_units(files.iter().map(String::as_str), listed))
    }

    async fn observe_one(&self, application: &ApplicationName) -> Result<UnitState, UnitError> {
        let units = self.observe().await?;
        Ok(units
            .get(application)
            .copied()
            .unwrap_or(UnitState::Missing))
    }

    fn path(&self, application: &ApplicationName) -> PathBuf {
        self.settings.directory.join(unit_name(application))
    }

    pub(crate) async fn manager(&self) -> Result<ManagerProxy<'_>, UnitError> {
        ManagerProxy::new(&self.connection)
            .await
            .map_err(|error| UnitError::Connect(Box::new(error)))
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Lets systemd no longer call a unit failed, because the reason is gone.
    ///
    /// **Source**: `org.freedesktop.systemd1(5)`, `ResetFailedUnit()`.
    ///
    /// # Errors
    /// When systemd fails; a unit that it does not know is none.
    pub async fn forget_failure(&self, unit: &str) -> Result<(), UnitError> {
        let manager = self.manager().await?;
        match manager.reset_failed_unit(unit.to_owned()).await {
            Err(error) if !is_missing(&error) => {
                Err(failed(format!("reset the state of {unit}"), error))
            }
            _ => Ok(()),
        }
    }

    /// Runs one job to its end.
    async fn run_job(
        &self,
        application: &ApplicationName,
        job: Job,
        patience: Duration,
    ) -> Result<(), UnitError> {
        let unit = unit_name(application);
        let verb = job.verb();
        let manager = self.manager().await?;
        let action = || format!("{verb} {unit}");
        let mut removed = manager
            .receive_job_removed()
            .await
            .map_err(|error| failed(action(), error))?;
        let deadline = Instant::now() + patience;
        let mode = "replace".to_owned();
        let queued = match job {
            Job::Start => manager.start_unit(unit.clone(), mode).await,
            Job::Stop => manager.stop_unit(unit.clone(), mode).await,
        };
        let path: OwnedObjectPath = match queued {
            Ok(path) => path,
            Err(error) if is_missing(&error) && matches!(job, Job::Stop) => return Ok(()),
            Err(error) => return Err(failed(action(), error)),
        };
        let finished = async {
            while let Some(signal) = removed.next().await {
                if let Ok(arguments) = signal.args()
                    && arguments.job == path
                {
                    return Some(arguments.result.clone());
                }
            }
            None
        };
        match timeout_at(deadline, finished).await {
            Ok(Some(result)) if result == "done" => Ok(()),
            Ok(Some(result)) => Err(UnitError::Failed {
                failure: Box::new(self.failure(&unit, result).await?),
                unit,
                verb,
            }),
            Ok(None) => Err(failed(action(), zbus::Error::InvalidReply)),
            Err(_) => Err(UnitError::Deadline {
                unit,
                verb,
                waited: patience,
            }),
        }
    }

    /// Asks what became of a unit.
    async fn failure(&self, unit: &str, job: String) -> Result<UnitFailure, UnitError> {
        let asked = |error| failed(format!("describe {unit}"), error);
        let manager = self.manager().await?;
        let path = manager.load_unit(unit.to_owned()).await.map_err(asked)?;
        let proxy = UnitProxy::new(&self.connection, path.clone())
            .await
            .map_err(asked)?;
        let service = ServiceProxy::new(&self.connection, path)
            .await
            .map_err(asked)?;
        Ok(UnitFailure {
            job,
            state: format!(
                "{}/{}",
                proxy.active_state().await.map_err(asked)?,
                proxy.sub_state().await.map_err(asked)?
            ),
            result: service.result().await.map_err(asked)?,
            exit_status: service.exec_main_status().await.map_err(asked)?,
        })
    }
}

/// The pattern that all our units' names match; some others do, too.
fn unit_name_pattern() -> String {
    "flocker-*.service".to_owned()
}

/// Lists the files in `directory` that have a name in UTF-8.
fn files_in(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        // Systemd makes the directory when it needs it.
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect()
}

pub(crate) fn failed(action: impl Into<String>, source: zbus::Error) -> UnitError {
    UnitError::Request {
        action: action.into(),
        source: Box::new(source),
    }
}

/// Tells whether systemd says that it has not loaded a unit.
pub(crate) fn is_missing(error: &zbus::Error) -> bool {
    matches!(error, zbus::Error::MethodError(name, ..) if name.as_str() == NO_SUCH_UNIT)
}
