//! What the check that an image may bring along says of a container, and waiting for it.

use std::fmt::Write as _;
use std::time::Duration;

use bollard::models::{ContainerState, Health as DockerHealth, HealthStatusEnum};
use flocker_model::{ApplicationName, Health};
use futures_util::StreamExt as _;
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use crate::connection::{Docker, RequestFailed};
use crate::events::event_options;
use crate::naming::{Role, container_name};
use crate::ownership::LookupError;

/// Why a container is not healthy.
#[derive(Debug, Error)]
pub enum HealthError {
    /// Its check failed too often.
    #[error("{}", unhealthy(application, output))]
    Unhealthy {
        /// The application.
        application: ApplicationName,
        /// What the last check printed.
        output: String,
    },
    /// Its check has neither passed nor failed for good in time.
    #[error(
        "the health check of {application} has neither passed nor failed within {} s; see docker \
         inspect {}",
        waited.as_secs(), container_name(application)
    )]
    Deadline {
        /// The application.
        application: ApplicationName,
        /// How long was waited.
        waited: Duration,
    },
    /// It does not run any more.
    #[error(
        "{application} ended before its health check passed; see journalctl -u flocker-{application}"
    )]
    Ended {
        /// The application.
        application: ApplicationName,
    },
    /// Docker has stopped meanwhile.
    #[error("docker stopped while {application} was checked; see systemctl status docker")]
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

/// Says that a check failed, with what it printed.
fn unhealthy(application: &ApplicationName, output: &str) -> String {
    let mut text = format!("{application} runs, and fails its image's health check");
    let mut lines = output.lines().filter(|line| !line.trim().is_empty());
    match lines.next() {
        None => text.push_str("; the check printed nothing"),
        Some(first) => {
            text.push_str("; the check printed:");
            for line in std::iter::once(first).chain(lines) {
                // Writing to a string cannot fail.
                let _ = write!(text, "\n  {line}");
            }
        }
    }
    text
}

/// Reads what Docker says of a container's health.
pub(crate) fn health_of(state: &ContainerState) -> Health {
    match state.health.as_ref().and_then(|health| health.status) {
        Some(HealthStatusEnum::STARTING) => Health::Starting,
        Some(HealthStatusEnum::HEALTHY) => Health::Healthy,
        Some(HealthStatusEnum::UNHEALTHY) => Health::Unhealthy,
        Some(HealthStatusEnum::EMPTY | HealthStatusEnum::NONE) | None => Health::Unchecked,
    }
}

/// What the last check printed.
pub(crate) fn last_output(health: Option<DockerHealth>) -> String {
    let log = health.and_then(|health| health.log).unwrap_or_default();
    let last = log.into_iter().next_back();
    last.and_then(|last| last.output).unwrap_or_default()
}

impl Docker {
    /// Waits until the check that the image of `application` brings along passes; one that brings
    /// none is not waited for.
    ///
    /// # Errors
    /// When the check fails as often as the image allows, when the container ends, and when neither
    /// happens within `patience`.
    pub async fn wait_until_healthy(
        &self,
        application: &ApplicationName,
        patience: Duration,
    ) -> Result<(), HealthError> {
        let deadline = Instant::now() + patience;
        let options = event_options(application, &["health_status", "die", "destroy"]);
        let mut events = std::pin::pin!(self.client.events(Some(options)));
        loop {
            if self.look_at_health(application).await? {
                return Ok(());
            }
            match timeout_at(deadline, events.next()).await {
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(source))) => {
                    let what = format!("watch the container of {application}");
                    return Err(RequestFailed::new(what, source).into());
                }
                Ok(None) => {
                    return Err(HealthError::DaemonLost {
                        application: application.clone(),
                    });
                }
                Err(_) => {
                    return Err(HealthError::Deadline {
                        application: application.clone(),
                        waited: patience,
                    });
                }
            }
        }
    }

    /// Tells whether there is nothing to wait for any more.
    async fn look_at_health(&self, application: &ApplicationName) -> Result<bool, HealthError> {
        let found = self.inspect_ours(application, Role::Application).await?;
        let state = found.and_then(|container| container.state);
        let Some(state) = state.filter(|state| state.running == Some(true)) else {
            return Err(HealthError::Ended {
                application: application.clone(),
            });
        };
        match health_of(&state) {
            Health::Unchecked | Health::Healthy => Ok(true),
            Health::Starting => Ok(false),
            Health::Unhealthy => Err(HealthError::Unhealthy {
                application: application.clone(),
                output: last_output(state.health),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::unhealthy;

    #[test]
    fn what_a_check_printed_is_shown() {
        let name = "web".parse().unwrap();
        assert_eq!(
            unhealthy(&name, "\nno database\n  retrying\n"),
            "web runs, and fails its image's health check; the check printed:\n  no database\n    \
             retrying"
        );
        assert_eq!(
            unhealthy(&name, "\n"),
            "web runs, and fails its image's health check; the check printed nothing"
        );
    }
}
