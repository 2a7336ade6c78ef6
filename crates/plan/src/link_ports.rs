//! The ports that links use between nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use flocker_model::{Application, ApplicationName, ContainerLinks, Deployment, Port};

/// The ports that links use on the wire: below the kernel's ephemeral ports, so that no outgoing
/// connection of a node ever has one as its source.
///
/// **Source**: `net.ipv4.ip_local_port_range`, 32768 to 60999 by default (`ip(7)`).
pub const LINK_PORT_RANGE: RangeInclusive<u16> = 24000..=28999;

/// The wire port of each linked (application, port inside its container).
///
/// A pure function of the deployment: every node and every later deploy find the same ports as
/// long as the same links exist, because each begins at its own hash and only gives way to a
/// collision.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LinkPorts(BTreeMap<(ApplicationName, Port), Port>);

impl LinkPorts {
    /// Allocates a port for every link target of `deployment`.
    pub fn allocate(deployment: &Deployment) -> Self {
        let mut taken: BTreeSet<Port> = deployment
            .applications
            .values()
            .flat_map(|application| application.routes.keys().copied())
            .collect();
        let targets: BTreeSet<(ApplicationName, Port)> = deployment
            .applications
            .values()
            .flat_map(|application| &application.links)
            .map(|link| (link.target.clone(), link.port))
            .collect();
        let mut ports = BTreeMap::new();
        for target in targets {
            if let Some(port) = first_free(&target, &taken) {
                taken.insert(port);
                ports.insert(target, port);
            }
        }
        Self(ports)
    }

    /// Lists the wire ports that lead to `application`, with the port inside its container.
    pub fn of_target(&self, application: &ApplicationName) -> BTreeMap<Port, Port> {
        self.0
            .iter()
            .filter(|((target, _), _)| target == application)
            .map(|((_, inside), wire)| (*wire, *inside))
            .collect()
    }

    /// Lists what `localhost` must reach inside `application`'s container.
    pub fn of_source(&self, application: &Application) -> ContainerLinks {
        application
            .links
            .iter()
            .filter_map(|link| {
                let wire = self.0.get(&(link.target.clone(), link.port))?;
                Some((link.local_port, *wire))
            })
            .collect()
    }
}

/// Finds the first free port from the target's own place in the range on, around its end.
fn first_free(target: &(ApplicationName, Port), taken: &BTreeSet<Port>) -> Option<Port> {
    let size = LINK_PORT_RANGE.end() - LINK_PORT_RANGE.start() + 1;
    let text = format!("{}:{}", target.0, target.1);
    let start = u16::try_from(fnv1a(text.as_bytes()) % u64::from(size)).unwrap_or(0);
    (0..size)
        .map(|step| LINK_PORT_RANGE.start() + (start + step) % size)
        .filter_map(Port::new)
        .find(|port| !taken.contains(port))
}

/// The FNV-1a hash: stable for ever, which the standard library's hasher does not promise.
///
/// **Source**: draft-eastlake-fnv, 64-bit parameters.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
