//! Units are systemd's.

use std::collections::BTreeMap;
use std::time::Duration;

use flocker_docker::UnitSpecification;
use flocker_model::{ApplicationName, UnitState};
use flocker_remote::protocol::{Change, StepFailure};

use super::containers::change;
use crate::failure::OrFailure as _;
use crate::platform::Units;

/// The unit that runs `flocker-node restore`; see `packaging/flocker.service`.
const RESTORE_UNIT: &str = "flocker.service";

impl Units for flocker_docker::Units {
    async fn observe(&self) -> Result<BTreeMap<ApplicationName, UnitState>, StepFailure> {
        flocker_docker::Units::observe(self)
            .await
            .or_failed_to("the systemd units cannot be looked at")
    }

    async fn ensure(&self, unit: &UnitSpecification) -> Result<Change, StepFailure> {
        let ensured = self.ensure_units(std::slice::from_ref(unit)).await;
        ensured.map(change).or_failure()
    }

    async fn start(
        &self,
        application: &ApplicationName,
        patience: Duration,
    ) -> Result<(), StepFailure> {
        let started = flocker_docker::Units::start(self, application, patience).await;
        started.or_failure()
    }

    async fn stop(
        &self,
        application: &ApplicationName,
        patience: Duration,
    ) -> Result<Change, StepFailure> {
        let stopped = flocker_docker::Units::stop(self, application, patience).await;
        stopped.map(change).or_failure()
    }

    async fn forget_failed_restore(&self) -> Result<(), StepFailure> {
        self.forget_failure(RESTORE_UNIT).await.or_failure()
    }

    async fn remove(&self, application: &ApplicationName) -> Result<Change, StepFailure> {
        let removed = flocker_docker::Units::remove(self, application).await;
        removed.map(change).or_failure()
    }
}

#[cfg(test)]
mod tests {
    /// A node that takes this one for lost asks it first, and needs an answer before this one starts.
    #[test]
    fn a_boot_comes_after_the_ssh_server() {
        let unit = include_str!("../../packaging/flocker.service");
        let after: Vec<&str> = unit
            .lines()
            .filter_map(|line| line.strip_prefix("After="))
            .flat_map(str::split_whitespace)
            .collect();
        for server in ["ssh.service", "sshd.service", "ssh.socket", "sshd.socket"] {
            assert!(after.contains(&server), "{server}");
        }
    }
}
