//! Why machines are not forgotten, and what is lost with those that are, in words.

use std::fmt;

use flocker_model::{NodeId, render_utc};

use super::{Forgetting, Loss, NotForgotten, WhyNotForgotten};
use crate::naming::promote_command;

impl fmt::Display for Loss {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            application,
            node,
            replica,
        } = self;
        match replica {
            None => write!(
                formatter,
                "the volume of `{application}`, of which {node} may have the only copy"
            ),
            Some(replica) => match replica.taken {
                Some(taken) => write!(
                    formatter,
                    "what was written to the volume of `{application}` on {node} since {}; the \
                     newest replica is on {}",
                    render_utc(taken),
                    replica.node
                ),
                None => write!(
                    formatter,
                    "the volume of `{application}` on {node}; the replica on {} is not whole",
                    replica.node
                ),
            },
        }
    }
}

impl fmt::Display for NotForgotten {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machines: Vec<&str> = self
            .forgetting
            .machines
            .iter()
            .map(String::as_str)
            .collect();
        let are = if machines.len() == 1 { "is" } else { "are" };
        let machines = machines.join(", ");
        match &self.why {
            WhyNotForgotten::Unknown { machine } => {
                write!(
                    formatter,
                    "no node that was seen remembers a machine {machine}"
                )
            }
            WhyNotForgotten::Ambiguous { machine, ids } => {
                let ids: Vec<String> = ids.iter().map(NodeId::to_string).collect();
                write!(
                    formatter,
                    "several machines were called {machine}: {}",
                    ids.join(", ")
                )
            }
            WhyNotForgotten::Answers { node } => {
                write!(formatter, "{node} answers, and is not forgotten")
            }
            WhyNotForgotten::OthersUnseen { unseen } => write!(
                formatter,
                "{machines} {are} not forgotten: {unseen} was not seen either, and may know what \
                 {machines} had"
            ),
            WhyNotForgotten::NothingRecorded => write!(
                formatter,
                "{machines} {are} not forgotten: no deployment was ever applied in full, so no node knows \
                 which volumes were there"
            ),
            WhyNotForgotten::Lost { losses } => {
                let losses: Vec<String> = losses.iter().map(Loss::to_string).collect();
                write!(
                    formatter,
                    "{machines} {are} not forgotten, because this would be lost: {}",
                    losses.join("; ")
                )
            }
        }
    }
}

impl NotForgotten {
    /// Tells whether the cause is that a machine did not answer.
    pub const fn is_unreachable(&self) -> bool {
        matches!(self.why, WhyNotForgotten::OthersUnseen { .. })
    }

    /// Says what the operator can do next.
    pub fn hint(&self) -> String {
        match &self.why {
            WhyNotForgotten::Unknown { .. } => {
                "`--via` must name a node of the same cluster; give the name that the deployment had for \
                 the machine, or its id"
                    .to_owned()
            }
            WhyNotForgotten::Ambiguous { .. } => {
                "give the id of the machine that is gone in the place of its name".to_owned()
            }
            WhyNotForgotten::Answers { node } => format!(
                "to take it out of the cluster, deploy without {node}, which moves its volumes; to give \
                 it up as it is, switch it off first"
            ),
            WhyNotForgotten::OthersUnseen { unseen } => format!(
                "{}; machines that are all gone for good are named in one command",
                unseen.hint()
            ),
            WhyNotForgotten::NothingRecorded => {
                "name each application whose volume it may have had: `--give-up APP`".to_owned()
            }
            WhyNotForgotten::Lost { losses } => self.hint_about(losses),
        }
    }

    fn hint_about(&self, losses: &[Loss]) -> String {
        let Forgetting { give_up, .. } = &self.forgetting;
        let promotions: Vec<String> = losses
            .iter()
            .filter_map(|loss| {
                let replica = loss.replica.as_ref()?;
                let taken = replica.taken?;
                Some(promote_command(&loss.application, &replica.node, taken))
            })
            .collect();
        let first = if promotions.is_empty() {
            String::new()
        } else {
            format!("start from the replicas first: {}; ", promotions.join(", "))
        };
        let lost = losses.iter().map(|loss| &loss.application);
        let mut names: Vec<String> = lost
            .chain(give_up)
            .map(|name| format!("--give-up {name}"))
            .collect();
        names.sort();
        format!("{first}to lose it for good, add `{}`", names.join(" "))
    }
}
