//! The units that look after containers.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use flocker_docker::UnitSpecification;
use flocker_model::{ApplicationName, UnitState};
use flocker_remote::protocol::{Change, StepFailure};

/// The units of one machine. A reboot forgets them all.
pub(crate) trait Units: Clone + Debug + Send + Sync + 'static {
    /// Looks at every unit of ours.
    fn observe(
        &self,
    ) -> impl Future<Output = Result<BTreeMap<ApplicationName, UnitState>, StepFailure>> + Send;

    /// Makes sure that a unit exists as described; one that runs is not restarted.
    fn ensure(
        &self,
        unit: &UnitSpecification,
    ) -> impl Future<Output = Result<Change, StepFailure>> + Send;

    /// Starts a unit: its container is about to run.
    fn start(
        &self,
        application: &ApplicationName,
        patience: Duration,
    ) -> impl Future<Output = Result<(), StepFailure>> + Send;

    /// Stops a unit and its container if it is there and active.
    fn stop(
        &self,
        application: &ApplicationName,
        patience: Duration,
    ) -> impl Future<Output = Result<Change, StepFailure>> + Send;

    /// Forgets that bringing back this node's applications failed: they are all there now.
    fn forget_failed_restore(&self) -> impl Future<Output = Result<(), StepFailure>> + Send;

    /// Removes a stopped unit if it is there.
    fn remove(
        &self,
        application: &ApplicationName,
    ) -> impl Future<Output = Result<Change, StepFailure>> + Send;
}
