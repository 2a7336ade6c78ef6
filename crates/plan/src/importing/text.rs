//! Why data is not imported, in words.

use std::fmt;

use flocker_model::{ApplicationName, Obstacle, render_utc};

use super::{Clearing, Importing, NotImported, WhyNotImported};
use crate::naming::{
    import_command, look_at_pool, set_aside_command, set_only_copy_aside_command, stop_command,
};

impl NotImported {
    /// Tells whether the cause is that a node did not answer.
    pub fn is_unreachable(&self) -> bool {
        match &self.why {
            WhyNotImported::NodeUnseen { .. } => true,
            WhyNotImported::VolumeUnknown { unseen } => !unseen.away.is_empty(),
            _ => false,
        }
    }

    /// Says what the operator can do next.
    pub fn hint(&self) -> String {
        let Importing {
            application, node, ..
        } = &self.importing;
        match &self.why {
            WhyNotImported::NodeUnseen { .. } => format!("make `ssh {node}` work"),
            WhyNotImported::PoolUnusable { pool, problem } => look_at_pool(node, pool, problem),
            WhyNotImported::VolumeUnknown { unseen } if unseen.away.is_empty() => unseen.hint(),
            WhyNotImported::VolumeUnknown { unseen } => {
                let lost: Vec<String> = unseen
                    .away
                    .iter()
                    .map(|node| format!("--lost {node}"))
                    .collect();
                format!(
                    "{}; if it is lost for good, switched off or destroyed, add `{}`: a copy that comes \
                     back after all is not started",
                    unseen.hint(),
                    lost.join(" ")
                )
            }
            WhyNotImported::NotLost { node } => format!(
                "import without `--lost {node}`; switch {node} off first if it is to be given up"
            ),
            WhyNotImported::ImportedBefore { node, .. } => format!(
                "a deploy of `{application}` uses that volume; to import anew, {} keeps it under \
                 another name, then run the same command again",
                set_aside_command(application, node)
            ),
            WhyNotImported::VolumeExists { clearing, .. } => format!(
                "a deploy of `{application}` uses that volume; to import the data in its place, {}, which \
                 keeps the volume under another name, then run the same command again; to keep the \
                 volume, import the data as that of an application with another name",
                clear(application, clearing)
            ),
            WhyNotImported::Foreign { node, .. } => format!(
                "{} keeps that dataset under another name",
                set_aside_command(application, node)
            ),
            WhyNotImported::OtherImport { node, from } => format!(
                "{} finishes it; {} gives it up and keeps what it has under another name",
                import_command(application, node, from),
                set_aside_command(application, node)
            ),
            WhyNotImported::ContainerExists => {
                format!("deploy without `{application}` first, which removes the container")
            }
            WhyNotImported::Obstructed { obstruction } => match &obstruction.by {
                Obstacle::Files => format!(
                    "move {} on {node} to a place outside of Flocker's directories; to import what is \
                     in it, name that place after --from",
                    obstruction.path
                ),
                Obstacle::Mount { .. } => {
                    format!("`umount {}` on {node}", obstruction.path)
                }
            },
        }
    }
}

impl fmt::Display for NotImported {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Importing {
            application,
            node,
            content,
            ..
        } = &self.importing;
        write!(
            formatter,
            "{content} is not imported as the volume of `{application}` on {node}: "
        )?;
        match &self.why {
            WhyNotImported::NodeUnseen { reason } => {
                write!(formatter, "{node} cannot be reached: {reason}")
            }
            WhyNotImported::PoolUnusable { pool, problem } => {
                write!(formatter, "pool {pool} of {node} {problem}")
            }
            WhyNotImported::VolumeUnknown { unseen } => write!(
                formatter,
                "the volume may exist on {unseen}, which was not seen"
            ),
            WhyNotImported::NotLost { node } => {
                write!(formatter, "{node} is not lost; it answers")
            }
            WhyNotImported::ImportedBefore { node, from, taken } => write!(
                formatter,
                "an import from {from} has made the volume on {node} before{}",
                first_snapshot(*taken)
            ),
            WhyNotImported::VolumeExists { copy, .. } => {
                write!(formatter, "the volume exists; there is {copy}")
            }
            WhyNotImported::Foreign {
                node,
                dataset,
                problem,
            } => write!(formatter, "dataset {dataset} on {node} {problem}"),
            WhyNotImported::OtherImport { node, from } => {
                write!(formatter, "an import from {from} on {node} is not finished")
            }
            WhyNotImported::ContainerExists => {
                write!(formatter, "{node} has a container of it")
            }
            WhyNotImported::Obstructed { obstruction } => match &obstruction.by {
                Obstacle::Files => write!(
                    formatter,
                    "{} on {node}, where the volume is to be mounted, has files in it or is a file",
                    obstruction.path
                ),
                Obstacle::Mount { source, .. } => write!(
                    formatter,
                    "{source} is mounted at {} on {node}, where the volume is to be mounted",
                    obstruction.path
                ),
            },
        }
    }
}

/// Says how every copy of a volume goes out of use.
fn clear(application: &ApplicationName, clearing: &Clearing) -> String {
    let Clearing { running, copies } = clearing;
    let stop = running.iter();
    let stop = stop.map(|(node, running)| format!("{} on {node}", stop_command(running)));
    let last = copies.len().saturating_sub(1);
    let set_aside = copies.iter().enumerate().map(|(place, node)| {
        if place == last {
            set_only_copy_aside_command(application, node)
        } else {
            set_aside_command(application, node)
        }
    });
    let commands: Vec<String> = stop.chain(set_aside).collect();
    format!("run {}", commands.join(", then "))
}

/// Says when a volume's first snapshot was taken, in seconds since 1970, if that is known.
fn first_snapshot(taken: Option<u64>) -> String {
    taken.map_or_else(String::new, |taken| {
        format!("; its first snapshot is of {}", render_utc(taken))
    })
}
