//! Why a copy is not set aside, in words.

use std::fmt;

use super::{NotSetAside, SettingAside, WhyNotSetAside};
use crate::Unseen;
use crate::naming::{look_at_pool, promote_command, set_only_copy_aside_command, stop_command};

impl NotSetAside {
    /// Tells whether the cause is that the node did not answer.
    pub const fn is_unreachable(&self) -> bool {
        matches!(self.why, WhyNotSetAside::NodeUnseen { .. })
    }

    /// Says what the operator can do next.
    pub fn hint(&self) -> String {
        let SettingAside {
            application, node, ..
        } = &self.setting_aside;
        match &self.why {
            WhyNotSetAside::NodeUnseen { .. } => format!("make `ssh {node}` work"),
            WhyNotSetAside::PoolUnusable { pool, problem } => look_at_pool(node, pool, problem),
            WhyNotSetAside::OnlyOwner { unseen } if !unseen.is_empty() => self.once_seen(unseen),
            WhyNotSetAside::OnlyOwner { .. } => format!(
                "it is the volume itself; to have that elsewhere, place `{application}` there and \
                 deploy; {}",
                self.all_the_same()
            ),
            WhyNotSetAside::OnlyInUse { by } => format!(
                "first run {} on {node}, then the same command again",
                stop_command(by)
            ),
            WhyNotSetAside::InUse => format!(
                "set the older owner's copy aside instead; if this one is wrong all the same, \
                 first run `systemctl stop flocker-{application}` on {node}"
            ),
            WhyNotSetAside::ForeignInUse => format!(
                "look at the `flocker:` properties with `zfs get all {}` on {node}; first run \
                 `systemctl stop flocker-{application}` there if it is wrong all the same",
                self.dataset()
            ),
            WhyNotSetAside::ForeignMounted { .. } => {
                format!("first run `zfs unmount {}` on {node}", self.dataset())
            }
            WhyNotSetAside::KnowsLaterOwner {
                owner,
                answers: true,
                ..
            } => format!("try again once {owner} can be looked at"),
            WhyNotSetAside::KnowsLaterOwner { owner, .. } => match self.promotion() {
                Some(command) => format!("bring {owner} back; if it is lost for good, {command}"),
                None => format!("bring {owner} back"),
            },
            WhyNotSetAside::NewestCopy { unseen } if !unseen.unusable.is_empty() => unseen.hint(),
            WhyNotSetAside::NewestCopy { unseen } => {
                let start = match self.promotion() {
                    Some(command) => format!("to start from it: {command}"),
                    None => "bring the owner back".to_owned(),
                };
                if unseen.is_empty() {
                    format!("{start}; {}", self.all_the_same())
                } else {
                    start
                }
            }
        }
    }

    /// Says what the operator does about nodes that were not seen.
    fn once_seen(&self, unseen: &Unseen) -> String {
        let hint = unseen.hint();
        if self.setting_aside.only_copy && unseen.unusable.is_empty() {
            format!("{hint}; if it is lost for good, first deploy without it")
        } else {
            hint
        }
    }

    /// Says how the copy goes out of use although no other has as much.
    fn all_the_same(&self) -> String {
        let SettingAside {
            application, node, ..
        } = &self.setting_aside;
        let command = set_only_copy_aside_command(application, node);
        format!("to take it out of use all the same, {command} keeps it under another name")
    }

    fn dataset(&self) -> &str {
        self.copy.as_ref().map_or("", |copy| &copy.dataset)
    }

    /// Writes the command that makes the copy the volume.
    fn promotion(&self) -> Option<String> {
        let SettingAside {
            application, node, ..
        } = &self.setting_aside;
        let taken = self.copy.as_ref()?.taken?;
        Some(promote_command(application, node, taken))
    }
}

impl fmt::Display for NotSetAside {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SettingAside {
            application, node, ..
        } = &self.setting_aside;
        write!(
            formatter,
            "the copy of `{application}` on {node} is not set aside: "
        )?;
        match &self.why {
            WhyNotSetAside::NodeUnseen { reason } => {
                write!(formatter, "{node} cannot be reached: {reason}")
            }
            WhyNotSetAside::PoolUnusable { pool, problem } => {
                write!(formatter, "pool {pool} of {node} {problem}")
            }
            WhyNotSetAside::OnlyOwner { unseen } if unseen.is_empty() => {
                formatter.write_str("no other node owns the volume")
            }
            WhyNotSetAside::OnlyOwner { unseen } => write!(
                formatter,
                "no other node that was seen owns the volume, and {unseen} was not seen"
            ),
            WhyNotSetAside::InUse => {
                formatter.write_str("the application runs on it, and it is the latest owner's")
            }
            WhyNotSetAside::OnlyInUse { by } => {
                let by: Vec<String> = by.iter().map(|name| format!("`{name}`")).collect();
                let runs = if by.len() == 1 { "runs" } else { "run" };
                write!(formatter, "{} {runs} on it", by.join(" and "))
            }
            WhyNotSetAside::ForeignInUse => formatter.write_str("the application runs on it"),
            WhyNotSetAside::ForeignMounted { path } => write!(
                formatter,
                "it is mounted at {path}, which was not Flocker's doing"
            ),
            WhyNotSetAside::KnowsLaterOwner { owner, epoch, .. } => write!(
                formatter,
                "it knows that {owner}, which was not seen, owns the volume in epoch {epoch}"
            ),
            WhyNotSetAside::NewestCopy { unseen } => {
                formatter.write_str(
                    "nobody who was seen owns the volume, and no other copy has as much",
                )?;
                if unseen.is_empty() {
                    return Ok(());
                }
                write!(formatter, "; {unseen} was not seen")
            }
        }?;
        match &self.copy {
            Some(copy) => write!(formatter, "; it is {copy}"),
            None => Ok(()),
        }
    }
}
