//! Who a node is: everything that follows from its number.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::KeyBuilder;

/// The operator's address on the lab's network.
pub const OPERATOR_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 1);

/// The length of the network's prefix, in bits.
pub const PREFIX_LENGTH: u8 = 24;

/// The most nodes a lab has. Their addresses end in 11 to 99.
const MOST_NODES: u8 = 89;

/// The number of a node in its lab, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct NodeIndex(u8);

/// A number that no node has.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("nodes are numbered from 1 to {MOST_NODES}; {0:?} is no such number")]
pub struct NodeIndexError(pub String);

impl NodeIndex {
    /// The first node of every lab.
    pub const FIRST: Self = Self(1);

    /// Every index of a lab with that many nodes.
    ///
    /// # Errors
    /// When there is none, or more than addresses.
    pub fn all(count: usize) -> Result<Vec<Self>, NodeIndexError> {
        let last = u8::try_from(count).map_err(|_| NodeIndexError(count.to_string()))?;
        Self::try_from(last)?;
        (1..=last).map(Self::try_from).collect()
    }

    /// The number itself.
    pub fn get(self) -> u8 {
        self.0
    }

    /// The host name, `node1` for the first.
    pub fn hostname(self) -> String {
        format!("node{}", self.0)
    }

    /// The address on the lab's network, 192.168.77.11 for the first.
    pub fn address(self) -> Ipv4Addr {
        let [first, second, third, _] = OPERATOR_ADDRESS.octets();
        Ipv4Addr::new(first, second, third, 10 + self.0)
    }

    /// The hardware address of the only network card; the first byte says
    /// "locally administered".
    pub(crate) fn hardware_address(self) -> String {
        format!("52:54:00:f1:0c:{:02x}", self.0)
    }

    /// The host's end of that card.
    pub(crate) fn tap(self) -> String {
        format!("tap{}", self.0)
    }

    /// The systemd machine id: 32 hexadecimal digits that differ from node to
    /// node. Source: machine-id(5).
    pub(crate) fn machine_id(self) -> String {
        let key = KeyBuilder::new("machine-id").text("node", &self.hostname());
        key.finish().as_str().to_owned()
    }

    /// The ZFS host id: 8 hexadecimal digits, never zero. Source:
    /// zgenhostid(8).
    pub(crate) fn host_id(self) -> String {
        format!("f10c{:04x}", self.0)
    }
}

impl TryFrom<u8> for NodeIndex {
    type Error = NodeIndexError;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        if (1..=MOST_NODES).contains(&number) {
            Ok(Self(number))
        } else {
            Err(NodeIndexError(number.to_string()))
        }
    }
}

impl From<NodeIndex> for u8 {
    fn from(index: NodeIndex) -> Self {
        index.0
    }
}

impl FromStr for NodeIndex {
    type Err = NodeIndexError;

    /// Accepts the number and the name: `2`, `node2`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("node").unwrap_or(text);
        let number: u8 = digits
            .parse()
            .map_err(|_| NodeIndexError(text.to_owned()))?;
        Self::try_from(number).map_err(|_| NodeIndexError(text.to_owned()))
    }
}

impl fmt::Display for NodeIndex {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.hostname())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_found_by_number_and_by_name() {
        let second: NodeIndex = "2".parse().unwrap();
        assert_eq!("node2".parse(), Ok(second));
        assert_eq!(second.address(), Ipv4Addr::new(192, 168, 77, 12));
        for wrong in ["0", "node0", "90", "node", "", "-1", "nodes1"] {
            assert!(wrong.parse::<NodeIndex>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_lab_has_at_least_one_node_and_an_address_for_each() {
        assert_eq!(NodeIndex::all(2).unwrap().len(), 2);
        assert_eq!(
            NodeIndex::all(89)
                .unwrap()
                .last()
                .unwrap()
                .address()
                .octets()[3],
            99
        );
        assert!(NodeIndex::all(0).is_err());
        assert!(NodeIndex::all(90).is_err());
        assert!(NodeIndex::all(1000).is_err());
    }

    #[test]
    fn identities_differ() {
        let [first, second] = NodeIndex::all(2).unwrap()[..] else {
            panic!("two were asked for");
        };
        assert_ne!(first.machine_id(), second.machine_id());
        assert_eq!(first.machine_id().len(), 32);
        assert_ne!(first.host_id(), second.host_id());
        assert_eq!(first.host_id().len(), 8);
        assert_ne!(first.hardware_address(), second.hardware_address());
    }
}
