//! What must hold of steps on routing tables.

use flocker_model::{ApplicationName, ContainerStatus, Endpoint, RoutePort};

use crate::{Action, Step};

use super::{Checker, Finding, require};

impl Checker<'_> {
    /// Checks a step on a routing table.
    pub(super) fn network(&self, step: &Step) -> Finding {
        match &step.action {
            Action::SwitchRoutes {
                application, ports, ..
            } => {
                let own = ports.endpoints().all(|endpoint| match endpoint {
                    Endpoint::Local {
                        application: to, ..
                    } => *to == *application,
                    Endpoint::Remote { .. } => true,
                });
                require(own, "it leads to another application")
                    .or_else(|| self.started(step, application))
            }
            Action::HoldPorts { ports } => require(
                ports.iter().all(|port| self.is_let_go(step, *port)),
                "nothing lets these ports go again",
            ),
            // It replaces the whole table, so that nothing else may change it at the same time.
            Action::ProgramNetwork { .. } => require(
                self.steps_on(&step.node).all(|other| {
                    other.id == step.id
                        || !changes_table(other)
                        || self.precedes(other, step)
                        || self.precedes(step, other)
                }),
                "another step changes the table at the same time",
            ),
            _ => None,
        }
    }

    /// Ports lead to what has started.
    fn started(&self, step: &Step, name: &ApplicationName) -> Finding {
        let mut starts = self.plan.steps().iter().filter(|other| {
            matches!(&other.action, Action::StartApplication { specification, .. }
                if specification.application == *name)
        });
        let planned = starts.clone().next().is_some();
        let after_start = starts.all(|start| self.precedes(start, step));
        let runs = self.observed.seen().any(|(_, state)| {
            state.containers.get(name).is_some_and(|container| {
                container.is_up()
                    // One that ended by itself still answers where it was.
                    || (matches!(container.status, ContainerStatus::Stopped { .. })
                        && container.unit != flocker_model::UnitState::Missing)
            })
        });
        require(
            if planned { after_start } else { runs },
            "the application has not started by then",
        )
    }

    /// Tells whether a later step on the same node lets a held port go.
    fn is_let_go(&self, hold: &Step, port: RoutePort) -> bool {
        self.steps_on(&hold.node).any(|other| {
            let lets_go = match &other.action {
                Action::SwitchRoutes { ports, .. } => ports.keys().any(|other| other == port),
                Action::ProgramNetwork { network } => !network.held.contains(&port),
                _ => false,
            };
            lets_go && self.precedes(hold, other)
        })
    }
}

/// Tells whether a step changes its node's table.
fn changes_table(step: &Step) -> bool {
    matches!(
        step.action,
        Action::HoldPorts { .. } | Action::SwitchRoutes { .. } | Action::ProgramNetwork { .. }
    )
}
