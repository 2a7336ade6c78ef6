//! One look at everything on the node that Flocker is about.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use flocker_docker::ContainerObservation;
use flocker_model::{
    ApplicationName, Contact, ContainerLinks, ContainerState, ContainerStatus, LoginRefusal, Look,
    Members, NodeState, PoolHealth, PoolProblem, PoollessNode, SshIdentity, UnitState, VolumeCopy,
};
use flocker_remote::protocol::StepFailure;
use flocker_remote::ssh::{ensure_node_key, observe_host_keys};

use crate::failure::OrFailure as _;
use crate::machine::Machine;
use crate::platform::{
    Containers as _, Peers as _, Platform, Routes as _, Units as _, Volumes as _,
};

/// For how many seconds a container has just started: longer than an application has to stay up
/// (`SETTLED` in `execute/waiting.rs`), by the time that a look may take.
const JUST_STARTED: u64 = 10;

impl<P: Platform> Machine<P> {
    /// Looks at the node; `contact` is where its SSH server was reached, if it was.
    ///
    /// A node that answers and lacks its pool is no node without volumes: it says nothing of them.
    pub(crate) async fn observe(&self, contact: Option<Contact>) -> Result<Look, StepFailure> {
        let contact = self.settings.contact(contact);
        let members = self.store.members().or_failure()?;
        let (refuses_peers, pool, volumes, found, units, images, engine) = tokio::join!(
            self.observe_refusal(&members),
            self.volumes.observe_pool(),
            self.volumes.observe_volumes(),
            self.containers.observe_containers(),
            self.units.observe(),
            self.containers.observe_images(),
            self.containers.observe_engine(),
        );
        let (pool, mark) = pool;
        self.keep_identity(&pool, &mark).await?;
        let mut volumes = match (volumes, &pool.health) {
            (Ok(volumes), _) => volumes,
            (Err(failure), PoolHealth::Unusable { problem }) => {
                tracing::info!(?failure, "the volumes cannot be looked at");
                return self.without(pool.pool(), problem.clone());
            }
            (Err(failure), PoolHealth::Usable) => return Err(failure),
        };
        let (found, units, engine) = (found?, units?, engine?);
        self.note_holders(&mut volumes, &found).await;
        let addresses = found
            .iter()
            .filter_map(|(name, found)| Some((name.clone(), found.namespace.as_ref()?.running?.1)))
            .collect();
        Ok(Look::Whole(Box::new(NodeState {
            id: self.id,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            contact,
            address: self.settings.address,
            refuses_peers,
            ssh: self.ssh_identity()?,
            pool,
            volumes,
            obstructed: self.volumes.observe_obstructions().await?,
            network: self.observe_network(&addresses).await?,
            firewall: self
                .routes
                .observe_firewall(&self.settings.docker().bridge)
                .await?,
            containers: self.container_states(&found, &units).await,
            // Docker publishes none of ours, so whatever listens is somebody else's.
            listening: self.routes.observe_listening_ports().await?,
            images: images?,
            platform: engine.platform,
            remaps_users: engine.remaps_users,
            members,
            applied: self.store.applied().or_failure()?,
            remembered: self.store.memory().or_failure()?,
        })))
    }

    /// Notes who else has volumes mounted, beside the applications' containers that see them.
    async fn note_holders(
        &self,
        volumes: &mut BTreeMap<ApplicationName, VolumeCopy>,
        found: &BTreeMap<ApplicationName, ContainerObservation>,
    ) {
        let mut containers: BTreeMap<ApplicationName, BTreeSet<String>> = BTreeMap::new();
        for (name, found) in found {
            if let Some(container) = &found.application {
                for owner in [Some(name), container.volume.as_ref()]
                    .into_iter()
                    .flatten()
                {
                    let own = containers.entry(owner.clone()).or_default();
                    own.insert(container.id.clone());
                }
            }
        }
        for (name, holders) in self.volumes.observe_holders(containers).await {
            if let Some(copy) = volumes.get_mut(&name) {
                copy.held_by = holders;
            }
        }
    }

    /// Finds the setting with which this node's SSH server refuses every one of its peers.
    ///
    /// Rules may be about addresses, so that nothing is said before any peer is known.
    async fn observe_refusal(&self, members: &Members) -> Option<LoginRefusal> {
        let peers = members.iter().filter(|member| member.id != self.id);
        let addresses: BTreeSet<Ipv4Addr> = peers.map(|member| member.contact.address).collect();
        let keys = self.store.authorized_keys();
        let mut refusal = None;
        for address in addresses {
            refusal = Some(self.peers.observe_refusal(address, &keys).await?);
        }
        refusal
    }

    /// What the node says of itself without its pool.
    fn without(&self, pool: &str, problem: PoolProblem) -> Result<Look, StepFailure> {
        Ok(Look::WithoutPool(Box::new(PoollessNode {
            id: self.id,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pool: pool.to_owned(),
            problem,
            members: self.store.members().or_failure()?,
        })))
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

    /// Puts containers and units together.
    ///
    /// An application of which only one of the two is left is shown as well: it has to be put
    /// right.
    async fn container_states(
        &self,
        found: &BTreeMap<ApplicationName, ContainerObservation>,
        units: &BTreeMap<ApplicationName, UnitState>,
    ) -> BTreeMap<ApplicationName, ContainerState> {
        let names: BTreeSet<&ApplicationName> = found.keys().chain(units.keys()).collect();
        let nothing = ContainerObservation::default();
        let now = self.clock.seconds();
        let mut states = BTreeMap::new();
        for name in names {
            let unit = self.unit_state(name, units);
            let found = found.get(name).unwrap_or(&nothing);
            let namespace = found.namespace.as_ref();
            let links = match namespace.and_then(|namespace| namespace.running) {
                Some((process, _)) => self.routes.observe_links(process).await,
                None => None,
            };
            states.insert(name.clone(), container_state(found, unit, (links, now)));
        }
        states
    }

    /// What a unit does. One that was being started or stopped when somebody died, or that was told
    /// to stop by somebody else, tells nothing of how its application would have ended, and is to be
    /// made again.
    pub(crate) fn unit_state(
        &self,
        name: &ApplicationName,
        units: &BTreeMap<ApplicationName, UnitState>,
    ) -> UnitState {
        match units.get(name) {
            Some(UnitState::Inactive | UnitState::Failed) if !self.store.ended_by_itself(name) => {
                UnitState::Missing
            }
            Some(unit) => *unit,
            None => UnitState::Missing,
        }
    }
}

/// Puts one application's container and unit together.
fn container_state(
    found: &ContainerObservation,
    unit: UnitState,
    (links, now): (Option<ContainerLinks>, u64),
) -> ContainerState {
    match &found.application {
        Some(container) => ContainerState {
            id: container.id.clone(),
            configuration: container.configuration.clone(),
            status: container.status.clone(),
            unit,
            links,
            anonymous_volumes: container.anonymous_volumes.clone(),
            volume: container.volume.clone(),
            just_started: container.status.is_younger_than(JUST_STARTED, now),
        },
        None => ContainerState {
            id: String::new(),
            configuration: flocker_model::Digest::from_recorded(""),
            status: ContainerStatus::Stopped { exit_code: 0 },
            unit,
            links,
            anonymous_volumes: BTreeSet::new(),
            volume: None,
            just_started: false,
        },
    }
}
