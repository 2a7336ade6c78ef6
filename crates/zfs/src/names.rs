//! Where Flocker's datasets and snapshots are, by name.

use std::fmt;
use std::path::PathBuf;

use flocker_model::{ApplicationName, Epoch};

use crate::ZfsSettings;

/// The tag with which Flocker holds its snapshots, so that nobody's pruning takes the common base.
pub(crate) const HOLD_TAG: &str = "flocker";

/// Marks a volume that is being made. No application's name can start with it.
const CREATING: &str = "_creating:";

/// Marks a first copy that is being received.
const RECEIVING: &str = "_receiving:";

/// Marks a volume that is being imported.
const IMPORTING: &str = "_importing:";

/// What a dataset directly below Flocker's root is for, by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// An application's volume or replica, whole.
    Volume(ApplicationName),
    /// A volume that is being made.
    Creating(ApplicationName),
    /// A first copy that is being received.
    Receiving(ApplicationName),
    /// A volume that is being imported.
    Importing(ApplicationName),
}

impl Place {
    /// Lists the places that an application's data can be at.
    pub(crate) fn all(application: &ApplicationName) -> [Self; 4] {
        [
            Self::Volume,
            Self::Creating,
            Self::Receiving,
            Self::Importing,
        ]
        .map(|place| place(application.clone()))
    }

    /// Returns whose place it is.
    pub(crate) fn application(&self) -> &ApplicationName {
        let (Self::Volume(application)
        | Self::Creating(application)
        | Self::Receiving(application)
        | Self::Importing(application)) = self;
        application
    }

    /// Names the dataset.
    pub(crate) fn dataset(&self, settings: &ZfsSettings) -> String {
        let root = &settings.dataset;
        match self {
            Self::Volume(application) => format!("{root}/{application}"),
            Self::Creating(application) => format!("{root}/{CREATING}{application}"),
            Self::Receiving(application) => format!("{root}/{RECEIVING}{application}"),
            Self::Importing(application) => format!("{root}/{IMPORTING}{application}"),
        }
    }

    /// Reads a dataset's name; `None` for one that is not directly below the root, or that has a
    /// name that no application can have.
    pub(crate) fn parse(root: &str, dataset: &str) -> Option<Self> {
        let component = dataset.strip_prefix(root)?.strip_prefix('/')?;
        if let Some(application) = component.strip_prefix(CREATING) {
            Some(Self::Creating(application.parse().ok()?))
        } else if let Some(application) = component.strip_prefix(RECEIVING) {
            Some(Self::Receiving(application.parse().ok()?))
        } else if let Some(application) = component.strip_prefix(IMPORTING) {
            Some(Self::Importing(application.parse().ok()?))
        } else {
            Some(Self::Volume(component.parse().ok()?))
        }
    }
}

/// Returns the directory that an application's volume is mounted at.
pub(crate) fn mountpoint(settings: &ZfsSettings, application: &ApplicationName) -> PathBuf {
    settings.mount_root.join(application.as_str())
}

/// The name of one of Flocker's snapshots: `flocker-<epoch>-<counter>`.
///
/// The order is that in which they were taken: a new owner's epoch is higher, and the counter
/// grows within one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SnapshotName {
    /// The turn of the owner that took it.
    pub(crate) epoch: Epoch,
    /// Counts up from 1 within the epoch.
    pub(crate) counter: u64,
}

impl SnapshotName {
    /// Reads a snapshot's name (after the `@`); `None` for one that Flocker did not write.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (epoch, counter) = name.strip_prefix("flocker-")?.split_once('-')?;
        let parsed = Self {
            epoch: Epoch(epoch.parse().ok()?),
            counter: counter.parse().ok()?,
        };
        // Only the exact text, so that `flocker-1-1`, `flocker-+1-000001` and a person's
        // `flocker-01-backup` stay somebody else's.
        (parsed.to_string() == name).then_some(parsed)
    }
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "flocker-{}-{:06}", self.epoch, self.counter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshot_names_round_trip_and_sort_by_age() {
        let names = [
            "flocker-1-000009",
            "flocker-1-000010",
            "flocker-2-000001",
            "flocker-10-1000000",
        ];
        let parsed: Vec<_> = names
            .iter()
            .map(|name| SnapshotName::parse(name).unwrap())
            .collect();
        assert!(parsed.is_sorted());
        let rendered: Vec<_> = parsed.iter().map(ToString::to_string).collect();
        assert_eq!(rendered, names);
    }

    #[test]
    fn other_snapshots_are_not_ours() {
        for name in [
            "autosnap_2026",
            "flocker-1-1",
            "flocker-+1-000001",
            "flocker-1-000001-copy",
            "flocker--000001",
            "flocker-1-",
            "xflocker-1-000001",
            "flocker-1-0000001",
        ] {
            assert_eq!(SnapshotName::parse(name), None, "{name}");
        }
    }

    #[test]
    fn datasets_are_told_apart_by_name() {
        let place = |dataset| Place::parse("tank/flocker", dataset);
        let web: ApplicationName = "web".parse().unwrap();
        assert_eq!(place("tank/flocker/web"), Some(Place::Volume(web.clone())));
        assert_eq!(
            place("tank/flocker/_creating:web"),
            Some(Place::Creating(web.clone()))
        );
        assert_eq!(
            place("tank/flocker/_receiving:web"),
            Some(Place::Receiving(web))
        );
        for other in [
            "tank/flocker",
            "tank/flocker/web/deep",
            "tank/flocker/a b",
            "tank/flockerweb",
            "tank/flocker/_creating:_creating:web",
            "tank/flocker/",
        ] {
            assert_eq!(place(other), None, "{other}");
        }
    }
}
