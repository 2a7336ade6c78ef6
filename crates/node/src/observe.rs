//! One look at everything on the node that Flocker is about.

use std::collections::{BTreeMap, BTreeSet};

use flocker_docker::ContainerObservation;
use flocker_model::{
    ApplicationName, Contact, ContainerLinks, ContainerState, ContainerStatus, NodeState, Port,
    SshIdentity, UnitState,
};
use flocker_net::{NetworkNamespace, observe_links, observe_listening_ports};
use flocker_remote::protocol::StepFailure;
use flocker_remote::ssh::{ensure_node_key, observe_host_keys};

use crate::failure::OrFailure as _;
use crate::machine::Machine;

impl Machine {
    /// Looks at the node; `contact` is where its SSH server was reached, if it was.
    pub(crate) async fn observe(&self, contact: Option<Contact>) -> Result<NodeState, StepFailure> {
        let (pool, volumes, found, units, images) = tokio::join!(
            self.zfs.observe_pool(),
            self.zfs.observe_volumes(),
            self.docker.observe_containers(),
            self.units.observe(),
            self.docker.observe_images(),
        );
        let found = found.or_failed_to("the containers cannot be looked at")?;
        let units = units.or_failed_to("the systemd units cannot be looked at")?;
        let addresses = found
            .iter()
            .filter_map(|(name, found)| Some((name.clone(), found.namespace.as_ref()?.running?.1)))
            .collect();
        Ok(NodeState {
            id: self.id,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            contact,
            ssh: self.ssh_identity()?,
            pool,
            volumes: volumes.or_failed_to("the volumes cannot be looked at")?,
            network: self.observe_network(&addresses)?,
            containers: container_states(&found, &units),
            listening: listening_ports()?,
            images: images.or_failed_to("the images cannot be looked at")?,
            members: self.store.members().or_failure()?,
            applied: self.store.applied().or_failure()?,
        })
    }

    /// Reads the public halves of the node's keys; its own is made on the first look.
    fn ssh_identity(&self) -> Result<SshIdentity, StepFailure> {
        let own = ensure_node_key(&self.store.ssh_key()).or_failure()?;
        let host_keys = observe_host_keys(&self.settings.host_keys).or_failure()?;
        Ok(SshIdentity {
            public_key: own
                .to_openssh()
                .or_failed_to("the node's key cannot be written down")?,
            host_keys: host_keys
                .iter()
                .map(flocker_remote::ssh::PublicKey::to_openssh)
                .collect::<Result<_, _>>()
                .or_failed_to("a host key cannot be written down")?,
        })
    }
}

/// Puts containers and units together.
///
/// An application of which only one of the two is left is shown as well: it has to be put right.
fn container_states(
    found: &BTreeMap<ApplicationName, ContainerObservation>,
    units: &BTreeMap<ApplicationName, UnitState>,
) -> BTreeMap<ApplicationName, ContainerState> {
    let names: BTreeSet<&ApplicationName> = found.keys().chain(units.keys()).collect();
    names
        .into_iter()
        .map(|name| {
            let unit = units.get(name).copied().unwrap_or(UnitState::Missing);
            let nothing = ContainerObservation::default();
            let found = found.get(name).unwrap_or(&nothing);
            (name.clone(), container_state(found, unit))
        })
        .collect()
}

/// Puts one application's container and unit together.
fn container_state(found: &ContainerObservation, unit: UnitState) -> ContainerState {
    let running = found
        .namespace
        .as_ref()
        .and_then(|namespace| namespace.running);
    let links = running.and_then(|(process, _)| observe_container_links(process));
    match &found.application {
        Some(container) => ContainerState {
            id: container.id.clone(),
            configuration: container.configuration.clone(),
            status: container.status.clone(),
            unit,
            links,
        },
        None => ContainerState {
            id: String::new(),
            configuration: flocker_model::Digest::from_recorded(""),
            status: ContainerStatus::Stopped { exit_code: 0 },
            unit,
            links,
        },
    }
}

/// Reads the links of the namespace that `process` holds. One that has just ended has none.
fn observe_container_links(process: u32) -> Option<ContainerLinks> {
    let namespace = NetworkNamespace::of_process(process).ok()?;
    observe_links(&namespace).ok().flatten()
}

/// Lists the ports that the node's own programs listen on.
///
/// Docker publishes none of ours, so whatever listens is somebody else's.
fn listening_ports() -> Result<BTreeSet<Port>, StepFailure> {
    observe_listening_ports().or_failure()
}
