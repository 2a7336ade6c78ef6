//! What a disturbed deploy must not have stopped, or must have started again, before anybody deploys
//! once more.

use super::super::failure::{Failure, expect};
use super::case::{DisturbedMove, Fault, Moment, Role};
use super::nodes::Nodes;

/// Which container the application has, and since when it runs.
const CONTAINER: &str =
    "docker inspect --format '{{.Id}} {{.State.StartedAt}} {{.State.Running}}' flocker-ledger";

/// The container on the source, in a case after which it must be the same one and have run all the
/// time.
#[derive(Debug)]
pub(super) struct Uptime(Option<String>);

impl Uptime {
    /// Looks at it before a move that is disturbed, after which it must be as it was or need not.
    pub(super) async fn observe(must_last: bool, nodes: Nodes<'_>) -> Result<Self, Failure> {
        if !must_last {
            return Ok(Self(None));
        }
        let container = nodes.check(Role::Source, CONTAINER).await?;
        Ok(Self(Some(container)))
    }

    /// It was not stopped, unless the move succeeded all the same.
    pub(super) async fn expect_unbroken(
        &self,
        nodes: Nodes<'_>,
        is_moved: bool,
    ) -> Result<(), Failure> {
        let Self(Some(before)) = self else {
            return Ok(());
        };
        if is_moved {
            return Ok(());
        }
        let after = nodes.check(Role::Source, CONTAINER).await?;
        let expectation = "the application not to be stopped for a move that did not come so far";
        expect(*before == after, format!("{expectation}: {before}"), after)
    }
}

/// Tells whether the fault ends the move before it stops the application.
pub(super) const fn never_stops(case: DisturbedMove) -> bool {
    match case.moment {
        Moment::FirstPush => !stops_by_itself(case.fault),
        // The last changes may still fit into a pool, or not.
        Moment::BetweenRounds => {
            !stops_by_itself(case.fault) && !matches!(case.fault, Fault::FillTargetPool)
        }
        Moment::AfterStop
        | Moment::LastDelta0
        | Moment::LastDelta50
        | Moment::LastDelta99
        | Moment::AnswerLost
        | Moment::Released
        | Moment::Acquired
        | Moment::Started
        | Moment::Cleanup => false,
    }
}

/// Tells whether the fault itself stops what runs on the source, or may: without Docker or room on its
/// volume it ends.
const fn stops_by_itself(fault: Fault) -> bool {
    fault.cuts_power_of(Role::Source) || matches!(fault, Fault::KillDocker | Fault::FillSourcePool)
}
