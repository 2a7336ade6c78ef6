//! Ports of TCP and UDP, as they are reached on a node and inside a container.
//!
//! Each type is one short text: `443`, `53/udp`, `192.0.2.1:53/udp`. A plain TCP port is stored as a
//! number, as it was before there was anything else.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

use crate::Port;

/// The protocol of a port.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Connections.
    #[default]
    Tcp,
    /// Single packets.
    Udp,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 2] = [Self::Tcp, Self::Udp];

    /// Tells whether it is the one that is meant where none is named.
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde calls it with a reference"
    )]
    pub(crate) const fn is_tcp(&self) -> bool {
        matches!(self, Self::Tcp)
    }

    /// Returns its name as it is written behind a port.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// A port of one protocol: `443`, `53/udp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServicePort {
    /// The protocol.
    pub protocol: Protocol,
    /// The port.
    pub port: Port,
}

impl From<Port> for ServicePort {
    /// A port of which nothing else is said is one of TCP.
    fn from(port: Port) -> Self {
        Self {
            protocol: Protocol::Tcp,
            port,
        }
    }
}

impl fmt::Display for ServicePort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.protocol {
            Protocol::Tcp => write!(formatter, "{}", self.port),
            Protocol::Udp => write!(formatter, "{}/udp", self.port),
        }
    }
}

/// A port at one address of a node, or at all of them: `443`, `53/udp`, `192.0.2.1:53/udp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoutePort {
    /// The address at which it answers; `None` for every address of the node.
    pub address: Option<Ipv4Addr>,
    /// The port.
    pub port: ServicePort,
}

impl RoutePort {
    /// Tells whether a packet could be meant for either.
    pub fn overlaps(self, other: Self) -> bool {
        let same_address = match (self.address, other.address) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        self.port == other.port && same_address
    }
}

impl From<ServicePort> for RoutePort {
    /// A port of which no address is said answers at every one.
    fn from(port: ServicePort) -> Self {
        Self {
            address: None,
            port,
        }
    }
}

impl From<Port> for RoutePort {
    fn from(port: Port) -> Self {
        ServicePort::from(port).into()
    }
}

impl fmt::Display for RoutePort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(address) = self.address {
            write!(formatter, "{address}:")?;
        }
        self.port.fmt(formatter)
    }
}

/// A recorded text that is no port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a port like `80`, `53/udp` or `192.0.2.1:80`", crate::names::shortened(.0))]
pub struct InvalidPort(String);

/// Reads a port in the form in which it is displayed.
fn parse_port(text: &str) -> Option<Port> {
    // Not even a plus sign: the text must be the one that is displayed.
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    Port::new(text.parse().ok().filter(|_| plain)?)
}

impl FromStr for ServicePort {
    type Err = InvalidPort;

    fn from_str(text: &str) -> Result<Self, InvalidPort> {
        let (port, protocol) = match text.strip_suffix("/udp") {
            Some(port) => (port, Protocol::Udp),
            None => (text, Protocol::Tcp),
        };
        let port = parse_port(port).ok_or_else(|| InvalidPort(text.to_owned()))?;
        Ok(Self { protocol, port })
    }
}

impl FromStr for RoutePort {
    type Err = InvalidPort;

    fn from_str(text: &str) -> Result<Self, InvalidPort> {
        let Some((address, port)) = text.split_once(':') else {
            return Ok(text.parse::<ServicePort>()?.into());
        };
        let address = address.parse().map_err(|_| InvalidPort(text.to_owned()))?;
        Ok(Self {
            address: Some(address),
            port: port.parse()?,
        })
    }
}

/// Reads a number or a text.
struct PortVisitor<T>(std::marker::PhantomData<T>);

impl<T: FromStr<Err = InvalidPort> + From<Port>> Visitor<'_> for PortVisitor<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a port like 80, `53/udp` or `192.0.2.1:80`")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        let port = u16::try_from(number).ok().and_then(Port::new);
        let unexpected = de::Unexpected::Unsigned(number);
        port.map(T::from)
            .ok_or_else(|| E::invalid_value(unexpected, &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

impl Serialize for ServicePort {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.protocol {
            Protocol::Tcp => self.port.serialize(serializer),
            Protocol::Udp => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for ServicePort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PortVisitor(std::marker::PhantomData))
    }
}

impl Serialize for RoutePort {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.address {
            None => self.port.serialize(serializer),
            Some(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for RoutePort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PortVisitor(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn port(text: &str) -> RoutePort {
        text.parse().unwrap()
    }

    #[test]
    fn a_port_is_read_in_the_form_in_which_it_is_displayed() {
        for text in ["80", "53/udp", "127.0.0.1:8080", "192.0.2.1:53/udp"] {
            assert_eq!(port(text).to_string(), text);
        }
        for text in [
            "", "0", "080", "+80", "65536", "80/tcp", "80/", "/udp", "a:80", "::1:80", "1.2.3.4:",
        ] {
            assert!(text.parse::<RoutePort>().is_err(), "{text}");
        }
    }

    /// What an earlier release stored is read, and is written in the same way.
    #[test]
    fn a_tcp_port_is_stored_as_a_number() {
        let text = r#"{"80":8080,"443":443}"#;
        let map: BTreeMap<RoutePort, ServicePort> = serde_json::from_str(text).unwrap();
        assert_eq!(map.get(&port("80")).unwrap().to_string(), "8080");
        assert_eq!(serde_json::to_string(&map).unwrap(), text);
        let text = r#"{"53/udp":"53/udp","192.0.2.1:80":80}"#;
        let map: BTreeMap<RoutePort, ServicePort> = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&map).unwrap(), text);
    }

    #[test]
    fn ports_overlap_where_one_packet_could_be_for_both() {
        let overlaps = |one: &str, other: &str| port(one).overlaps(port(other));
        assert!(overlaps("80", "80"));
        assert!(overlaps("80", "192.0.2.1:80"));
        assert!(overlaps("192.0.2.1:80", "192.0.2.1:80"));
        assert!(!overlaps("192.0.2.2:80", "192.0.2.1:80"));
        assert!(!overlaps("53", "53/udp"));
        assert!(!overlaps("80", "81"));
    }
}
