//! The result of a container's health check, and waiting for it.

use std::fmt::Write as _;
use std::time::Duration;

use bollard::models::{ContainerState, Health as DockerHealth, HealthStatusEnum};
use flocker_model::{ApplicationName, CheckOrigin, Health};
use futures_util::StreamExt as _;
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use crate::connection::{Docker, RequestFailed};
use crate::events::event_options;
use crate::health_body::longest_check;
use crate::naming::{Role, container_name};
use crate::ownership::LookupError;

/// Why a container is not healthy.
#[derive(Debug, Error)]
pub enum HealthError {
    /// Its check failed too often.
    #[error("{}", unhealthy(application, *origin, output))]
    Unhealthy {
        /// The application.
        application: ApplicationName,
        /// Whose check it is.
        origin: CheckOrigin,
        /// What the last check printed.
        output: String,
    },
    /// Its check has neither passed nor failed for good in time.
    #[error(
        "{application} runs, and {origin} has neither passed nor failed within {} s, which is longer \
         than its settings allow; see docker inspect {}",
        waited.as_secs(), container_name(application)
    )]
    Deadline {
        /// The application.
        application: ApplicationName,
        /// Whose check it is.
        origin: CheckOrigin,
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
fn unhealthy(application: &ApplicationName, origin: CheckOrigin, output: &str) -> String {
    let mut text = format!("{application} runs, and fails {origin}");
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
    /// Waits until the health check of `application` passes; one that has none is not waited for.
    /// `origin` says whose check it is.
    ///
    /// # Errors
    /// When the check fails as often as it may, when the container ends, and when neither happens
    /// within the time that the check's own settings allow.
    pub async fn wait_until_healthy(
        &self,
        application: &ApplicationName,
        origin: CheckOrigin,
    ) -> Result<(), HealthError> {
        let begun = Instant::now();
        let options = event_options(application, &["health_status", "die", "destroy"]);
        let mut events = std::pin::pin!(self.client.events(Some(options)));
        while let Some(patience) = self.look_at_health(application, origin).await? {
            match timeout_at(begun + patience, events.next()).await {
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
                        origin,
                        waited: patience,
                    });
                }
            }
        }
        Ok(())
    }

    /// Tells how long the check may take in all, as long as it has not passed.
    async fn look_at_health(
        &self,
        application: &ApplicationName,
        origin: CheckOrigin,
    ) -> Result<Option<Duration>, HealthError> {
        let found = self.inspect_ours(application, Role::Application).await?;
        let (state, config) = found
            .map(|container| (container.state, container.config))
            .unwrap_or_default();
        let Some(state) = state.filter(|state| state.running == Some(true)) else {
            return Err(HealthError::Ended {
                application: application.clone(),
            });
        };
        match health_of(&state) {
            Health::Unchecked | Health::Healthy => Ok(None),
            Health::Starting => {
                let check = config.and_then(|config| config.healthcheck);
                Ok(Some(longest_check(check.as_ref())))
            }
            Health::Unhealthy => Err(HealthError::Unhealthy {
                application: application.clone(),
                origin,
                output: last_output(state.health),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use flocker_model::CheckOrigin;

    use super::unhealthy;

    #[test]
    fn what_a_check_printed_is_shown() {
        let name = "web".parse().unwrap();
        assert_eq!(
            unhealthy(&name, CheckOrigin::Image, "\nno database\n  retrying\n"),
            "web runs, and fails the health check of its image; the check printed:\n  no database\n    \
             retrying"
        );
        assert_eq!(
            unhealthy(&name, CheckOrigin::Configuration, "\n"),
            "web runs, and fails its `healthcheck`; the check printed nothing"
        );
    }
}
