//! Waiting for applications: until they are healthy, or have done what they are for.

use std::time::Duration;

use flocker_model::{ApplicationName, CheckOrigin, RestartPolicy};
use flocker_remote::protocol::{Change, Progress, StepFailure};

use crate::execute::ProgressSender;
use crate::execute::applications::{START_PATIENCE, settled_end_of};
use crate::failure::{OrFailure as _, failure_of};
use crate::machine::Machine;
use crate::places::reach;
use crate::platform::{Containers as _, Ends, Platform, Steady};

/// How long an application must run once its clients no longer wait, so that what ends in a slower
/// loop, such as one that first looks for a peer, is told as well.
const SETTLED: Duration = Duration::from_secs(5);
/// How many failures in a row of a job that is started again without end are waited for.
const ATTEMPTS: u32 = 10;

/// Waits until an application has stayed up for a while and passes its health check.
pub(super) async fn await_health(
    machine: &Machine<impl Platform>,
    name: &ApplicationName,
    progress: &ProgressSender,
) -> Result<Change, StepFailure> {
    tell(progress, format!("see {name} stay up"));
    let containers = &machine.containers;
    let record = machine.store.application(name).or_failure()?;
    let ends = record.as_ref().map_or(Ends::Never, settled_end_of);
    let watch = containers.watch_run(name);
    let steady = containers
        .wait_until_steady(watch, ends, (SETTLED, START_PATIENCE))
        .await?;
    reach(|| "await-health.steady".to_owned()).await;
    if steady == Steady::Runs {
        tell(progress, format!("wait for the health check of {name}"));
        let specification = record.as_ref().map(|record| &record.specification);
        let check = specification.and_then(|specification| specification.health_check.as_ref());
        let origin = CheckOrigin::of(check);
        containers.wait_until_healthy(name, origin).await?;
    }
    Ok(Change::Unchanged)
}

/// Waits until an application has ended without an error.
pub(super) async fn await_completion(
    machine: &Machine<impl Platform>,
    name: &ApplicationName,
    progress: &ProgressSender,
) -> Result<Change, StepFailure> {
    tell(progress, format!("wait for the end of {name}"));
    let record = machine.store.application(name).or_failure()?;
    let attempts = match record.map(|record| record.specification.restart) {
        None => {
            return Err(failure_of(format!("{name} was never started here")));
        }
        Some(RestartPolicy::Always) => {
            return Err(failure_of(format!(
                "{name} is started again however it ends, and so never completes"
            )));
        }
        Some(RestartPolicy::Never) => 1,
        Some(RestartPolicy::OnFailure) => ATTEMPTS,
        Some(RestartPolicy::OnFailureUpTo(restarts)) => u32::from(restarts.get()) + 1,
    };
    let containers = &machine.containers;
    containers.wait_until_completed(name, attempts).await?;
    Ok(Change::Unchanged)
}

/// Says what is waited for.
fn tell(progress: &ProgressSender, what: String) {
    // The receiver may have ended.
    let _ = progress.send(Progress {
        what,
        done: 0,
        total: None,
    });
}
