//! What the node remembers for its next boot, and its routing table since the last one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use flocker_model::{ApplicationName, NodeMemory, NodeNetwork, RememberedApplication};

use super::{Store, StoreError, failed, read_json, remove_file, write_json};

impl Store {
    /// Returns what an application's unit needs to start it without anybody's help.
    pub(crate) fn application(
        &self,
        name: &ApplicationName,
    ) -> Result<Option<RememberedApplication>, StoreError> {
        read_json(&self.application_path(name))
    }

    /// Remembers what an application's unit needs.
    pub(crate) fn set_application(
        &self,
        remembered: &RememberedApplication,
    ) -> Result<(), StoreError> {
        let name = &remembered.specification.application;
        write_json(&self.application_path(name), remembered)
    }

    /// Notes that an application is being taken away from the node, if it is known.
    pub(crate) fn retire_application(&self, name: &ApplicationName) -> Result<(), StoreError> {
        match self.application(name)? {
            Some(remembered) if !remembered.retired => {
                let retired = true;
                self.set_application(&RememberedApplication {
                    retired,
                    ..remembered
                })
            }
            _ => Ok(()),
        }
    }

    /// Notes that an application's volume is being taken away from the node, and with it all that sees
    /// the volume.
    pub(crate) fn retire_volume(&self, owner: &ApplicationName) -> Result<(), StoreError> {
        self.retire_application(owner)?;
        for (name, remembered) in self.memory()?.applications {
            if remembered.specification.volume_owner() == Some(owner) {
                self.retire_application(&name)?;
            }
        }
        Ok(())
    }

    /// Forgets an application; its volume is none of this.
    pub(crate) fn remove_application(&self, name: &ApplicationName) -> Result<(), StoreError> {
        remove_file(&self.application_path(name))
    }

    /// Returns all that the node remembers for its next boot.
    pub(crate) fn memory(&self) -> Result<NodeMemory, StoreError> {
        let directory = self.state.join("applications");
        let read = |source| failed("list", &directory, source);
        let mut applications = BTreeMap::new();
        for entry in fs::read_dir(&directory).map_err(read)? {
            let path = entry.map_err(read)?.path();
            // What somebody who died was writing has another ending.
            if path.extension().is_some_and(|ending| ending == "json")
                && let Some(remembered) = read_json::<RememberedApplication>(&path)?
            {
                let name = remembered.specification.application.clone();
                applications.insert(name, remembered);
            }
        }
        let network = read_json(&self.remembered_network())?;
        Ok(NodeMemory {
            applications,
            network,
        })
    }

    /// Returns the table that was last programmed since the node booted.
    pub(crate) fn network(&self) -> Result<Option<NodeNetwork>, StoreError> {
        read_json(&self.runtime.join("network.json"))
    }

    /// Remembers the table that is being programmed, until the node reboots.
    pub(crate) fn set_network(&self, network: &NodeNetwork) -> Result<(), StoreError> {
        write_json(&self.runtime.join("network.json"), network)
    }

    /// Changes the table that is remembered for the next boot, which has no port held.
    ///
    /// Holding ports and letting them go does not change it, so that clients that wait do not wait
    /// for the disk.
    pub(crate) fn change_remembered_network(
        &self,
        change: impl Fn(&mut NodeNetwork),
    ) -> Result<(), StoreError> {
        let path = self.remembered_network();
        let before = read_json::<NodeNetwork>(&path)?;
        let mut network = before.clone().unwrap_or_default();
        change(&mut network);
        network.held = BTreeSet::new();
        if before.as_ref() == Some(&network) {
            return Ok(());
        }
        write_json(&path, &network)
    }

    fn remembered_network(&self) -> PathBuf {
        self.state.join("network.json")
    }

    fn application_path(&self, name: &ApplicationName) -> PathBuf {
        self.state.join("applications").join(format!("{name}.json"))
    }
}
