//! One copy of a volume, in words.

use std::fmt;

use flocker_model::{ByteCount, Epoch, NodeName, SnapshotGuid, render_age, render_utc};
use serde::{Deserialize, Serialize};

/// One copy of a volume, as it is shown when copies contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyDescription {
    /// The node that has it.
    pub node: NodeName,
    /// Its dataset there.
    pub dataset: String,
    /// Whether it says that its node owns the volume.
    pub owned: bool,
    /// The epoch that it claims; 0 for a dataset that is not Flocker's.
    pub epoch: Epoch,
    /// Its newest snapshot, whoever took that.
    pub newest: Option<SnapshotGuid>,
    /// When that was taken, in seconds since 1970, if it is one of Flocker's.
    pub created: Option<u64>,
    /// When the newest of Flocker's own snapshots was taken, in seconds since 1970.
    pub taken: Option<u64>,
    /// When the copy was looked at, in seconds since 1970.
    pub looked_at: Option<u64>,
    /// Bytes written since the newest of Flocker's own snapshots.
    pub written: ByteCount,
}

impl fmt::Display for CopyDescription {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (node, dataset, epoch) = (&self.node, &self.dataset, self.epoch);
        write!(formatter, "{node} ({dataset}")?;
        match (self.owned, epoch) {
            (true, _) => write!(formatter, ", owner in epoch {epoch}")?,
            (false, Epoch(0)) => formatter.write_str(", not Flocker's")?,
            (false, _) => write!(formatter, ", replica in epoch {epoch}")?,
        }
        if let Some(newest) = self.newest {
            write!(formatter, ", newest snapshot GUID {newest}")?;
        }
        if let Some(created) = self.created {
            write!(formatter, " taken at {}", self.told(created))?;
        }
        // Another program's snapshot of a replica tells nothing of how old the replica is, nor
        // whether it was written to.
        match self.taken {
            Some(taken) if self.created != Some(taken) => {
                write!(
                    formatter,
                    "; Flocker's newest taken at {}",
                    self.told(taken)
                )?;
            }
            _ => {}
        }
        write!(formatter, ", {} written since)", self.written)
    }
}

impl CopyDescription {
    /// Renders when something was done to the copy, and how long that was ago.
    pub(crate) fn told(&self, at: u64) -> String {
        let time = render_utc(at);
        match self.looked_at {
            Some(now) => format!("{time}, {}", render_age(at, now)),
            None => time,
        }
    }
}
