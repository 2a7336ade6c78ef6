//! Why a replica does not become the volume, in words.

use std::fmt;

use flocker_model::{ByteCount, NodeId, NodeName, render_utc};

use super::{NotPromoted, Promotion, WhyNotPromoted};
use crate::CopyDescription;
use crate::naming::{look_at_pool, promote_command, set_aside_command};

impl NotPromoted {
    /// Tells whether the cause is that the node did not answer.
    pub const fn is_unreachable(&self) -> bool {
        matches!(self.why, WhyNotPromoted::NodeUnseen { .. })
    }

    /// Says what the operator can do next.
    pub fn hint(&self) -> String {
        let Promotion {
            application, node, ..
        } = &self.promotion;
        match &self.why {
            WhyNotPromoted::NodeUnseen { .. } => format!("make `ssh {node}` work"),
            WhyNotPromoted::NoReplica => {
                "name a node that has a replica; `flocker-node observe` on a node lists what it \
                 has"
                .to_owned()
            }
            WhyNotPromoted::Foreign { .. } => format!(
                "{} keeps it under another name",
                set_aside_command(application, node)
            ),
            WhyNotPromoted::StaleOwner { later, seen_on, .. } => {
                self.hint_about_turns(later, seen_on.as_ref())
            }
            WhyNotPromoted::OwnerSeen { owner } => format!(
                "place `{application}` on {node} in the deployment and deploy: that moves it from \
                 {owner} without loss"
            ),
            WhyNotPromoted::OwnerDamaged { owner, .. } => format!(
                "look at its `flocker:` properties on {owner}; if it is not the volume, or is \
                 beyond help, first {}",
                set_aside_command(application, owner)
            ),
            WhyNotPromoted::HandedOff { .. } => "deploy: that finishes the move".to_owned(),
            WhyNotPromoted::OwnersContradict { copies } => {
                let commands: Vec<String> = copies
                    .iter()
                    .map(|copy| set_aside_command(application, &copy.node))
                    .collect();
                format!("first set the wrong one aside: {}", commands.join(" or "))
            }
            WhyNotPromoted::PoolUnusable { pool, problem } => look_at_pool(node, pool, problem),
            WhyNotPromoted::Partial => {
                "only the owner can send the rest; bring it back, or name another node".to_owned()
            }
            WhyNotPromoted::Touched { owner, .. } => match &self.copy {
                Some(copy) => self.hint_about_changed(*owner, copy),
                None => String::new(),
            },
            WhyNotPromoted::ChangedElsewhere { copy, owner, .. } => {
                self.hint_about_changed(*owner, copy)
            }
            WhyNotPromoted::NewerReplica { newer } => match newer.taken {
                Some(taken) => format!(
                    "take the newer one: {}",
                    promote_command(application, &newer.node, taken)
                ),
                None => format!("look at what {} has", newer.node),
            },
            WhyNotPromoted::LossNotAccepted { taken } => format!(
                "if that may be lost: {}",
                promote_command(application, node, *taken)
            ),
        }
    }

    /// Says how the node's copy of an older turn and the later owner's are told apart.
    fn hint_about_turns(&self, later: &str, seen_on: Option<&NodeName>) -> String {
        let Promotion {
            application, node, ..
        } = &self.promotion;
        match seen_on {
            Some(later) => format!(
                "{} keeps this copy under another name, out of use; to go on with this one \
                 instead, {}",
                set_aside_command(application, node),
                set_aside_command(application, later)
            ),
            None => format!(
                "bring {later} back and decide between the two, or promote a replica of the later \
                 owner's"
            ),
        }
    }

    /// Says what to do about a copy that was changed. What was written to it may be what the
    /// application was told is safe, so nothing of it is given up.
    fn hint_about_changed(&self, owner: Option<NodeId>, copy: &CopyDescription) -> String {
        let (node, dataset) = (&copy.node, &copy.dataset);
        if copy.written == ByteCount::ZERO {
            return format!("`zfs unmount {dataset}` on {node}, and run the same command again");
        }
        let aside = format!(
            "{} keeps its copy under another name, out of use",
            set_aside_command(&self.promotion.application, node)
        );
        let Some(owner) = owner else {
            return aside;
        };
        let root = dataset.rsplit_once('/').map_or("", |(root, _)| root);
        format!(
            "if {node} is node {owner} and lost its identity, `echo {owner} > \
             /var/lib/flocker/node-id` and `zfs set flocker:node={owner} {root}` there make it the owner \
             again, with all that was written; otherwise {aside}"
        )
    }
}

impl fmt::Display for NotPromoted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Promotion {
            application, node, ..
        } = &self.promotion;
        write!(formatter, "`{application}` is not promoted on {node}: ")?;
        self.fmt_why(formatter)?;
        let Some(copy) = &self.copy else {
            return Ok(());
        };
        write!(formatter, "; its copy is {copy}")?;
        match copy.taken {
            Some(_) => Ok(()),
            None => formatter.write_str(" and has no whole snapshot of Flocker's"),
        }
    }
}

impl NotPromoted {
    /// Writes the reason.
    fn fmt_why(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Promotion {
            node,
            accept_loss_since,
            ..
        } = &self.promotion;
        match &self.why {
            WhyNotPromoted::NodeUnseen { reason } => write!(f, "it cannot be reached: {reason}"),
            WhyNotPromoted::NoReplica => write!(f, "it has no copy of the volume"),
            WhyNotPromoted::Foreign { problem } => write!(f, "the dataset in its place {problem}"),
            WhyNotPromoted::StaleOwner { later, epoch, .. } => write!(
                f,
                "{node} owned it in an earlier turn, and {later} took it over in epoch {epoch}"
            ),
            WhyNotPromoted::OwnerSeen { owner } => {
                write!(f, "its owner {owner} is there, and nothing need be lost")
            }
            WhyNotPromoted::OwnerDamaged { owner, problem } => write!(
                f,
                "its owner {owner} is there, and the dataset in the volume's place {problem}"
            ),
            WhyNotPromoted::HandedOff { to } => {
                write!(f, "it was handed over to {to}, which has all of it")
            }
            WhyNotPromoted::OwnersContradict { copies } => {
                let copies: Vec<String> = copies.iter().map(CopyDescription::to_string).collect();
                write!(f, "who owns it is contradicted: {}", copies.join("; "))
            }
            WhyNotPromoted::PoolUnusable { pool, problem } => {
                write!(f, "its pool {pool} {problem}")
            }
            WhyNotPromoted::Partial => write!(f, "only part of a first copy was received"),
            WhyNotPromoted::Touched { problem, .. } => write!(f, "the replica {problem}"),
            WhyNotPromoted::ChangedElsewhere { copy, problem, .. } => write!(
                f,
                "the copy on {copy} {problem}; that may be what the application wrote last"
            ),
            WhyNotPromoted::NewerReplica { newer } => write!(f, "there is a newer one on {newer}"),
            WhyNotPromoted::LossNotAccepted { taken } => write!(
                f,
                "everything written since {} would be lost, and only what was written since {} is \
                 given up",
                render_utc(*taken),
                render_utc(*accept_loss_since)
            ),
        }
    }
}
