//! The bridge network that all of Flocker's containers are attached to.

use std::collections::HashMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::time::{Duration, Instant};

use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest, NetworkInspect};
use bollard::query_parameters::InspectNetworkOptions;
use thiserror::Error;

use crate::connection::{Docker, RequestFailed, found, status_of};
use crate::naming::{Change, LABEL_NETWORK};

/// Option of Docker's bridge driver that names the interface.
///
/// **Source**: Docker documentation, "Bridge network driver", driver options.
const OPTION_BRIDGE_NAME: &str = "com.docker.network.bridge.name";

/// How long Docker may take to show a network whose bridge it has already given away, and how often
/// it is asked meanwhile.
const CREATION_PATIENCE: Duration = Duration::from_secs(5);
const CREATION_INTERVAL: Duration = Duration::from_millis(100);

/// A range of IPv4 addresses, such as `172.18.0.0/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv4Subnet {
    /// The first address.
    pub address: Ipv4Addr,
    /// How many leading bits all its addresses share, 0 to 32.
    pub prefix_length: u8,
}

impl Ipv4Subnet {
    /// Returns the address after the first one, which the node itself has.
    fn first_host(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits().saturating_add(1))
    }
}

impl fmt::Display for Ipv4Subnet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix_length)
    }
}

/// Text that is not an IPv4 subnet.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not an IPv4 subnet such as 172.30.0.0/16")]
pub struct InvalidSubnet(String);

impl FromStr for Ipv4Subnet {
    type Err = InvalidSubnet;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('/').and_then(|(address, length)| {
            let prefix_length: u8 = length.parse().ok().filter(|length| *length <= 32)?;
            Some(Self {
                address: address.parse().ok()?,
                prefix_length,
            })
        });
        parsed.ok_or_else(|| InvalidSubnet(text.to_owned()))
    }
}

/// The network as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkState {
    /// Docker's id of the network.
    pub id: String,
    /// The name of the bridge interface on the node.
    pub bridge: String,
    /// The containers' addresses.
    pub subnet: Ipv4Subnet,
    /// The node's own address on the bridge.
    pub gateway: Ipv4Addr,
    /// Whether it had to be created.
    pub change: Change,
}

/// Why the network cannot be had.
#[derive(Debug, Error)]
pub enum NetworkError {
    /// The name is taken by a network that is not Flocker's.
    #[error(
        "a docker network named {network} exists that flocker did not create; remove it \
         (docker network rm {network}), or give flocker's network another name in node.toml"
    )]
    NotOurs {
        /// The network's name.
        network: String,
    },
    /// The network is Flocker's, but other than the settings ask for.
    #[error(
        "docker network {network} has {what} {found} where the settings ask for {wanted}; stop \
         the applications, then: docker network rm {network}"
    )]
    Different {
        /// The network's name.
        network: String,
        /// What differs.
        what: &'static str,
        /// What it is.
        found: String,
        /// What it should be.
        wanted: String,
    },
    /// Docker does not say what addresses it has.
    #[error("docker gives no IPv4 subnet and gateway for network {network}")]
    NoAddresses {
        /// The network's name.
        network: String,
    },
    /// A request failed.
    #[error(transparent)]
    Request(#[from] RequestFailed),
}

impl Docker {
    /// Creates the network unless it is there, and returns its addresses.
    ///
    /// # Errors
    /// When the name is taken by somebody else's network, when ours was made with other settings,
    /// or when Docker fails.
    pub async fn ensure_network(&self) -> Result<NetworkState, NetworkError> {
        if let Some(network) = self.inspect_network().await? {
            return state_of(&network, self, Change::Unchanged);
        }
        let deadline = Instant::now() + CREATION_PATIENCE;
        loop {
            let created = self.client.create_network(render_network(self)).await;
            match (self.inspect_network().await?, created) {
                // Whatever became of the request: another process of ours may have been faster.
                (Some(network), _) => return state_of(&network, self, Change::Changed),
                // It may also be about to be: Docker shows a network only when it is complete.
                (None, Err(error)) if is_conflict(&error) && Instant::now() < deadline => {
                    tokio::time::sleep(CREATION_INTERVAL).await;
                }
                (None, Err(error)) => return Err(self.network_failed("create", error).into()),
                (None, Ok(_)) => {
                    return Err(NetworkError::NoAddresses {
                        network: self.settings.network.clone(),
                    });
                }
            }
        }
    }

    /// Reads the network; `None` when there is none, without creating it.
    ///
    /// # Errors
    /// As [`ensure_network`](Self::ensure_network).
    pub async fn observe_network(&self) -> Result<Option<NetworkState>, NetworkError> {
        match self.inspect_network().await? {
            Some(network) => state_of(&network, self, Change::Unchanged).map(Some),
            None => Ok(None),
        }
    }

    async fn inspect_network(&self) -> Result<Option<NetworkInspect>, RequestFailed> {
        let answer = self
            .client
            .inspect_network(&self.settings.network, None::<InspectNetworkOptions>)
            .await;
        found(answer).map_err(|error| self.network_failed("inspect", error))
    }

    fn network_failed(&self, verb: &str, source: bollard::errors::Error) -> RequestFailed {
        RequestFailed::new(
            format!("{verb} the network {}", self.settings.network),
            source,
        )
    }
}

/// Tells whether Docker complains of the name (409) or of the bridge (403) of another network.
fn is_conflict(error: &bollard::errors::Error) -> bool {
    matches!(status_of(error), Some(403 | 409))
}

/// Describes the network to Docker.
fn render_network(docker: &Docker) -> NetworkCreateRequest {
    let settings = &docker.settings;
    let text = |key: &str, value: &str| HashMap::from([(key.to_owned(), value.to_owned())]);
    NetworkCreateRequest {
        name: settings.network.clone(),
        driver: Some("bridge".to_owned()),
        enable_ipv6: Some(false),
        options: Some(text(OPTION_BRIDGE_NAME, &settings.bridge)),
        labels: Some(text(LABEL_NETWORK, &settings.network)),
        ipam: settings.subnet.map(|subnet| Ipam {
            config: Some(vec![IpamConfig {
                subnet: Some(subnet.to_string()),
                // Left out, Docker takes the same one, but some versions do not tell.
                gateway: Some(subnet.first_host().to_string()),
                ..IpamConfig::default()
            }]),
            ..Ipam::default()
        }),
        ..NetworkCreateRequest::default()
    }
}

/// Checks that a network is the wanted one, and takes its addresses.
fn state_of(
    network: &NetworkInspect,
    docker: &Docker,
    change: Change,
) -> Result<NetworkState, NetworkError> {
    let settings = &docker.settings;
    let name = &settings.network;
    let text = |map: &Option<HashMap<String, String>>, key: &str| map.as_ref()?.get(key).cloned();
    if text(&network.labels, LABEL_NETWORK).as_ref() != Some(name) {
        return Err(NetworkError::NotOurs {
            network: name.clone(),
        });
    }
    let different = |what, found: String, wanted: String| NetworkError::Different {
        network: name.clone(),
        what,
        found,
        wanted,
    };
    let bridge = text(&network.options, OPTION_BRIDGE_NAME).unwrap_or_default();
    if bridge != settings.bridge {
        return Err(different("the bridge", bridge, settings.bridge.clone()));
    }
    let (subnet, gateway) = addresses_of(network).ok_or_else(|| NetworkError::NoAddresses {
        network: name.clone(),
    })?;
    if let Some(wanted) = settings.subnet
        && wanted != subnet
    {
        return Err(different(
            "the subnet",
            subnet.to_string(),
            wanted.to_string(),
        ));
    }
    Ok(NetworkState {
        id: network.id.clone().unwrap_or_default(),
        bridge,
        subnet,
        gateway,
        change,
    })
}

/// Finds the first IPv4 range that has a gateway.
///
/// Some versions of Docker write the gateway with its prefix length, some without.
fn addresses_of(network: &NetworkInspect) -> Option<(Ipv4Subnet, Ipv4Addr)> {
    let ranges = network.ipam.as_ref()?.config.as_ref()?;
    ranges.iter().find_map(|range| {
        let subnet: Ipv4Subnet = range.subnet.as_ref()?.parse().ok()?;
        let gateway = range.gateway.as_ref()?;
        let gateway = gateway.split('/').next()?.parse().ok()?;
        Some((subnet, gateway))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_are_read_and_written() {
        let subnet: Ipv4Subnet = "172.30.0.0/16".parse().unwrap();
        assert_eq!(subnet.to_string(), "172.30.0.0/16");
        for text in ["", "172.30.0.0", "172.30.0.0/33", "fe80::/64", "x/8"] {
            assert!(text.parse::<Ipv4Subnet>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_gateway_is_found_beside_ipv6_and_with_a_prefix_length() {
        let range = |subnet: &str, gateway: &str| IpamConfig {
            subnet: Some(subnet.to_owned()),
            gateway: Some(gateway.to_owned()),
            ..IpamConfig::default()
        };
        let network = NetworkInspect {
            ipam: Some(Ipam {
                config: Some(vec![
                    range("fd00::/64", "fd00::1"),
                    range("172.18.0.0/16", "172.18.0.1/16"),
                ]),
                ..Ipam::default()
            }),
            ..NetworkInspect::default()
        };
        let (subnet, gateway) = addresses_of(&network).unwrap();
        assert_eq!(subnet.to_string(), "172.18.0.0/16");
        assert_eq!(gateway, Ipv4Addr::new(172, 18, 0, 1));
    }
}
