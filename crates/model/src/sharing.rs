//! A volume that several applications of one node see.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    ApplicationName, ContainerState, ContainerStatus, DirectoryName, MountPath, NodeState,
};
use crate::{ContainerSpecification, UnitState};

/// Another application's volume as a container sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedVolume {
    /// The application whose volume it is.
    pub application: ApplicationName,
    /// The part of it behind each mount point; never empty.
    pub mounts: BTreeMap<MountPath, SharedMount>,
}

/// One mount point of another application's volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedMount {
    /// The directory of the volume; `None` for the whole of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<DirectoryName>,
    /// Whether the container may only read it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
}

impl ContainerSpecification {
    /// Returns the application whose volume the container sees: itself, another, or none.
    pub fn volume_owner(&self) -> Option<&ApplicationName> {
        match &self.shared {
            Some(shared) => Some(&shared.application),
            None => self.has_volume().then_some(&self.application),
        }
    }

    /// Tells whether the container sees the top of the volume, and not only directories of it.
    pub fn sees_top(&self) -> bool {
        let mut shared = self.shared.iter().flat_map(|shared| shared.mounts.values());
        self.mountpoint.is_some() || shared.any(|mount| mount.directory.is_none())
    }
}

impl ContainerState {
    /// Tells whether the container does not run, and has no unit that would start it.
    pub fn is_down(&self) -> bool {
        matches!(self.status, ContainerStatus::Stopped { .. }) && self.unit == UnitState::Missing
    }
}

impl NodeState {
    /// Returns the application whose volume the container of `application` sees on this node.
    ///
    /// A unit without a container counts with the container that it would make.
    pub fn volume_seen_by(&self, application: &ApplicationName) -> Option<&ApplicationName> {
        let container = self.containers.get(application)?;
        if container.id.is_empty() {
            let remembered = self.remembered.applications.get(application)?;
            return remembered.specification.volume_owner();
        }
        container.volume.as_ref()
    }

    /// Lists the applications of this node that see the volume of `owner`, and are not down.
    pub fn users_of(&self, owner: &ApplicationName) -> impl Iterator<Item = &ApplicationName> {
        self.containers
            .iter()
            .filter(|(_, container)| !container.is_down())
            .map(|(name, _)| name)
            .filter(move |name| self.volume_seen_by(name) == Some(owner))
    }
}
