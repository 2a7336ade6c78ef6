//! What a node remembers of its applications, so that it can bring them back by itself.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{ApplicationName, ContainerLinks, ContainerSpecification, Epoch, NodeNetwork};

/// An application that a node was asked to start, as it was asked to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RememberedApplication {
    /// What its container is made from.
    pub specification: ContainerSpecification,
    /// The ports at loopback addresses that lead to other applications.
    pub links: ContainerLinks,
    /// The turn in which the node owned the volume that it sees, if any. In a later turn it was not
    /// started here yet, and what is remembered may be long out of date.
    pub volume: Option<Epoch>,
    /// Whether it has been taken away from the node since: its removal was begun, and may not have
    /// come to its end.
    #[serde(default)]
    pub retired: bool,
    /// The applications that it depends on; those of them that the node has are started first.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub dependencies: BTreeSet<ApplicationName>,
}

/// All that a node remembers for its next boot.
///
/// Written step by step while others deploy, and so true after a deploy that never finished, too.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NodeMemory {
    /// The applications that it was asked to start and has not been told to forget.
    pub applications: BTreeMap<ApplicationName, RememberedApplication>,
    /// Its routing table as it was last meant, if there ever was one, with no port held: nobody
    /// moves anything after a boot.
    pub network: Option<NodeNetwork>,
}

impl NodeMemory {
    /// Notes that an application is being taken away from the node, if it is known.
    pub fn retire(&mut self, application: &ApplicationName) {
        if let Some(remembered) = self.applications.get_mut(application) {
            remembered.retired = true;
        }
    }

    /// Notes that the volume of an application is being taken away from the node, and with it all that
    /// saw the volume.
    pub fn retire_volume(&mut self, owner: &ApplicationName) {
        self.retire(owner);
        for remembered in self.applications.values_mut() {
            if remembered.specification.volume_owner() == Some(owner) {
                remembered.retired = true;
            }
        }
    }
}
