//! What must hold after every step, and in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use flocker_model::{
    ApplicationName, ContainerStatus, Deployment, Endpoint, NodeName, NodeNetwork, NodeState, Port,
    RestartPolicy, Route, RoutePort, RoutedTo, UnitState, VolumeCopy, VolumeRole,
};
use flocker_plan::{Action, LinkPorts, Step};

use crate::run::Run;
use crate::world::{is_owned, runs};

/// What must hold; each is a test of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Invariant {
    /// I1.
    RecordsSurvive,
    /// I2.
    OneOwner,
    /// I2.
    OneWriter,
    /// I2.
    NoNewVolumeBesideAnOldOne,
    /// I3.
    Converges,
    /// I5.
    NothingLeaks,
    /// I2, I3.
    Restores,
    /// I1, I4.
    Returns,
    /// I6.
    SecondDoesNothing,
    /// All of them, as rules for plans.
    PlansAreSound,
}

/// An invariant that does not hold.
#[derive(Debug, Clone)]
pub(crate) struct Broken {
    pub(crate) invariant: Invariant,
    pub(crate) how: String,
}

impl Broken {
    pub(crate) fn new(invariant: Invariant, how: impl Into<String>) -> Self {
        Self {
            invariant,
            how: how.into(),
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}: {}", self.invariant, self.how)
    }
}

/// Is fine if `holds`, and else says how `invariant` is broken.
pub(crate) fn require(
    holds: bool,
    invariant: Invariant,
    how: impl FnOnce() -> String,
) -> Result<(), Broken> {
    if holds {
        Ok(())
    } else {
        Err(Broken::new(invariant, how()))
    }
}

impl Run<'_> {
    /// What must hold before a step is done.
    pub(crate) fn look_before(&self, step: &Step) -> Result<(), Broken> {
        let Action::CreateVolume { application, .. } = &step.action else {
            return Ok(());
        };
        let mut machines = self.world.truth.seen();
        // Its own, which a lost answer hides, is not made a second time.
        let other = machines
            .find(|(node, state)| **node != step.node && state.volumes.contains_key(application));
        require(
            other.is_none(),
            Invariant::NoNewVolumeBesideAnOldOne,
            || format!("{application} is created on {} too", step.node),
        )
    }

    /// What must hold after every step, on all machines, seen or not.
    pub(crate) fn look_at_world(&self) -> Result<(), Broken> {
        let mut copies: BTreeMap<&ApplicationName, Vec<(&NodeName, &NodeState, &VolumeCopy)>> =
            BTreeMap::new();
        for (node, state) in self.world.truth.seen() {
            for (name, copy) in &state.volumes {
                copies.entry(name).or_default().push((node, state, copy));
            }
        }
        for (name, copies) in copies {
            let owners = copies.iter().filter(|(.., copy)| is_owned(copy)).count();
            require(owners <= 1, Invariant::OneOwner, || {
                format!("{name} has {owners} owners")
            })?;
            let mut writers = 0;
            for (node, state, copy) in &copies {
                if copy.mounted.is_none() {
                    continue;
                }
                require(is_owned(copy), Invariant::OneWriter, || {
                    format!("a replica of {name} is mounted on {node}")
                })?;
                writers += usize::from(runs(state, name));
            }
            require(writers <= 1, Invariant::OneWriter, || {
                format!("{name} has {writers} writers")
            })?;
            self.look_at_records(name, &copies)?;
        }
        Ok(())
    }

    /// All that clients were told is safe is with the owner. While there is none, it is with the
    /// last one, and, unless something happened to that copy, with the next one.
    fn look_at_records(
        &self,
        name: &ApplicationName,
        copies: &[(&NodeName, &NodeState, &VolumeCopy)],
    ) -> Result<(), Broken> {
        let Some(acknowledged) = self.world.acknowledged.get(name).copied() else {
            return Ok(());
        };
        let owner = copies.iter().find(|(.., copy)| is_owned(copy));
        let released = self.world.released.get(name);
        let holders: Vec<&NodeName> = match (owner, released) {
            (Some((node, ..)), _) => vec![node],
            (None, Some(released)) => {
                let to = copies.iter().find(|(_, state, _)| state.id == released.to);
                let to = to.map(|(node, ..)| *node).filter(|node| {
                    let place = ((*node).clone(), name.clone());
                    !self.world.damaged.contains(&place)
                });
                std::iter::once(&released.from).chain(to).collect()
            }
            (None, None) => Vec::new(),
        };
        require(!holders.is_empty(), Invariant::RecordsSurvive, || {
            format!("nobody has the {} records of {name}", acknowledged.count())
        })?;
        for node in holders {
            let place = (node.clone(), name.clone());
            let found = self.world.contents.get(&place).copied().unwrap_or_default();
            require(found == acknowledged, Invariant::RecordsSurvive, || {
                format!(
                    "{name} on {node} has {} records, and {} were acknowledged",
                    found.count(),
                    acknowledged.count()
                )
            })?;
        }
        Ok(())
    }

    /// What must hold once a deployment is as wanted.
    pub(crate) fn look_at_end(&self, deployment: &Deployment) -> Result<(), Broken> {
        for (node, state) in self.world.truth.seen() {
            look_at_containers(deployment, (node, state))?;
            look_at_table(deployment, (node, state))?;
            for (name, copy) in &state.volumes {
                if matches!(copy.role, VolumeRole::Foreign { .. }) {
                    continue;
                }
                let others =
                    self.world.truth.seen().filter(|(other, state)| {
                        *other != node && state.volumes.contains_key(name)
                    });
                let most = 1 + others.count();
                let count = copy.snapshots.len();
                require(count <= most, Invariant::NothingLeaks, || {
                    format!("{name} has {count} snapshots on {node}, and may have {most}")
                })?;
            }
        }
        Ok(())
    }
}

/// Everything runs where it is placed, and nowhere else.
fn look_at_containers(
    deployment: &Deployment,
    (node, state): (&NodeName, &NodeState),
) -> Result<(), Broken> {
    for name in state.containers.keys() {
        require(
            deployment.place_of(name) == Some(node),
            Invariant::NothingLeaks,
            || format!("{name} has a container on {node}"),
        )?;
    }
    for name in state.remembered.applications.keys() {
        require(
            deployment.place_of(name) == Some(node),
            Invariant::NothingLeaks,
            || format!("{node} remembers {name}, with its secrets"),
        )?;
    }
    for (name, copy) in &state.volumes {
        let placed = deployment.place_of(name) == Some(node);
        require(
            copy.mounted.is_none() || placed,
            Invariant::NothingLeaks,
            || format!("the volume of {name} is mounted on {node}"),
        )?;
    }
    for (name, definition, place) in deployment.placed() {
        if place != node {
            continue;
        }
        let container = state.containers.get(name);
        let fine = container.is_some_and(|container| {
            let ended = definition.restart != RestartPolicy::Always
                && container.unit == UnitState::Inactive
                && matches!(container.status, ContainerStatus::Stopped { .. });
            container.is_up() || ended
        });
        require(fine, Invariant::Converges, || {
            format!("{name} does not run on {node}")
        })?;
        let copy = state.volumes.get(name);
        let has_volume = copy.is_some_and(|copy| {
            let wanted = definition.volume.as_ref();
            let size = wanted.and_then(|wanted| wanted.maximum_size);
            is_owned(copy) && copy.mounted.is_some() && copy.maximum_size == size
        });
        require(
            definition.volume.is_none() || has_volume,
            Invariant::Converges,
            || format!("{name} has not its volume on {node}"),
        )?;
    }
    Ok(())
}

/// Every port leads to where its application is placed, and none is held.
fn look_at_table(
    deployment: &Deployment,
    (node, state): (&NodeName, &NodeState),
) -> Result<(), Broken> {
    let nothing = NodeNetwork::default();
    let network = state.network.as_ref().unwrap_or(&nothing);
    let mut wanted: BTreeMap<RoutePort, RoutedTo> = BTreeMap::new();
    if deployment.nodes.contains_key(node) {
        for (name, definition, place) in deployment.placed() {
            for (outside, inside) in &definition.routes {
                let local = Endpoint::Local {
                    application: name.clone(),
                    port: inside.port,
                };
                let remote = place.as_address().map(|address| Endpoint::Remote {
                    address,
                    port: wire_or(*outside, (name, inside), deployment),
                });
                let endpoint = if place == node { Some(local) } else { remote };
                let routed = endpoint.map(|endpoint| RoutedTo {
                    endpoint,
                    from: inside.from.clone(),
                });
                wanted.extend(routed.map(|routed| (*outside, routed)));
            }
        }
    }
    require(network.ports.routes == wanted, Invariant::Converges, || {
        format!("{node} routes {:?}, not {wanted:?}", network.ports.routes)
    })?;
    require(network.held.is_empty(), Invariant::NothingLeaks, || {
        format!("{node} holds {:?}", network.held)
    })?;
    let linked: BTreeSet<&ApplicationName> = deployment
        .applications
        .values()
        .flat_map(|definition| &definition.links)
        .map(|link| &link.target)
        .collect();
    let unlinked = network
        .ports
        .links
        .values()
        .find(|endpoint| match endpoint {
            Endpoint::Local { application, .. } => !linked.contains(application),
            Endpoint::Remote { .. } => false,
        });
    require(unlinked.is_none(), Invariant::NothingLeaks, || {
        format!("{node} has a link port that nothing uses")
    })?;
    let ports = LinkPorts::allocate(deployment);
    let used = |wire| {
        let mut placed = deployment.placed();
        placed.any(|(name, ..)| ports.wires_of(name).contains_key(wire))
    };
    let unused = network.ports.wires.keys().find(|wire| !used(wire));
    require(unused.is_none(), Invariant::NothingLeaks, || {
        format!("{node} has a wire port that no route uses")
    })
}

/// Returns the port at which another node reaches a route: its own, or a wire port if it does not
/// answer to everybody.
fn wire_or(
    outside: RoutePort,
    (name, inside): (&ApplicationName, &Route),
    deployment: &Deployment,
) -> Port {
    if outside.address.is_none() && inside.from.is_empty() {
        return outside.port.port;
    }
    let wires = LinkPorts::allocate(deployment).wires_of(name);
    let protocol = outside.port.protocol;
    let mut wires = wires.into_iter();
    let wire = wires.find(|(wire, to)| wire.protocol == protocol && *to == inside.port);
    wire.map_or(outside.port.port, |(wire, _)| wire.port)
}
