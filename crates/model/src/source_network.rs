//! IPv4 networks that packets come from.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An IPv4 network, or a single address: `10.0.0.0/8`, `192.0.2.7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceNetwork {
    first: Ipv4Addr,
    prefix: u8,
}

/// A text that is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNetwork {
    /// It has another form.
    #[error("is not a network like `10.0.0.0/8` or an address like `192.0.2.7`")]
    Form,
    /// It is one of IPv6.
    #[error("is an IPv6 network; routes answer on IPv4 alone")]
    Version6,
    /// The address is not the network's first one.
    #[error("is an address inside of the network {0}")]
    Inside(SourceNetwork),
}

impl SourceNetwork {
    /// Returns its first address.
    pub const fn first(self) -> Ipv4Addr {
        self.first
    }

    /// Returns its last address.
    pub fn last(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.first.to_bits() | !mask(self.prefix))
    }

    /// Tells whether all of another network is in this one.
    pub fn contains(self, other: Self) -> bool {
        self.prefix <= other.prefix && self.contains_address(other.first)
    }

    /// Tells whether an address is in it.
    pub fn contains_address(self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.prefix) == self.first.to_bits()
    }

    /// Leaves out each network that another one contains, so that none overlaps another.
    pub fn without_contained(networks: &BTreeSet<Self>) -> BTreeSet<Self> {
        let is_contained = |network: &Self| {
            let mut others = networks.iter().filter(|other| *other != network);
            others.any(|other| other.contains(*network))
        };
        let kept = networks.iter().filter(|network| !is_contained(network));
        kept.copied().collect()
    }

    /// Makes a network of its first and last address, if there is one that has exactly these.
    pub fn between(first: Ipv4Addr, last: Ipv4Addr) -> Option<Self> {
        let differing = first.to_bits() ^ last.to_bits();
        let prefix = u8::try_from(differing.leading_zeros()).ok()?;
        let network = Self { first, prefix };
        (network.contains_address(first) && network.last() == last).then_some(network)
    }
}

/// The bits of an address that all in a network have in common.
const fn mask(prefix: u8) -> u32 {
    match u32::MAX.checked_shl(32 - prefix as u32) {
        Some(mask) => mask,
        None => 0,
    }
}

impl From<Ipv4Addr> for SourceNetwork {
    fn from(address: Ipv4Addr) -> Self {
        Self {
            first: address,
            prefix: 32,
        }
    }
}

impl FromStr for SourceNetwork {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let Ok(address) = address.parse::<Ipv4Addr>() else {
            let is_version_6 = address.parse::<std::net::Ipv6Addr>().is_ok();
            return Err(if is_version_6 {
                InvalidNetwork::Version6
            } else {
                InvalidNetwork::Form
            });
        };
        let prefix = match prefix {
            None => 32,
            Some(digits) => {
                let plain = digits.len() <= 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
                let prefix = digits.parse().ok().filter(|prefix| plain && *prefix <= 32);
                prefix.ok_or(InvalidNetwork::Form)?
            }
        };
        let first = Ipv4Addr::from_bits(address.to_bits() & mask(prefix));
        let network = Self { first, prefix };
        if first == address {
            Ok(network)
        } else {
            Err(InvalidNetwork::Inside(network))
        }
    }
}

impl fmt::Display for SourceNetwork {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fmt(formatter)?;
        match self.prefix {
            32 => Ok(()),
            prefix => write!(formatter, "/{prefix}"),
        }
    }
}

impl Serialize for SourceNetwork {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SourceNetwork {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> SourceNetwork {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_has_a_first_and_a_last_address() {
        for (text, first, last) in [
            ("0.0.0.0/0", [0, 0, 0, 0], [255, 255, 255, 255]),
            ("10.0.0.0/8", [10, 0, 0, 0], [10, 255, 255, 255]),
            ("192.0.2.6/31", [192, 0, 2, 6], [192, 0, 2, 7]),
            ("192.0.2.7", [192, 0, 2, 7], [192, 0, 2, 7]),
        ] {
            let network = network(text);
            assert_eq!(network.first(), Ipv4Addr::from(first));
            assert_eq!(network.last(), Ipv4Addr::from(last));
            assert_eq!(network.to_string(), text);
            let again = SourceNetwork::between(network.first(), network.last());
            assert_eq!(again, Some(network));
        }
        let last = [192, 0, 2, 8].into();
        assert_eq!(SourceNetwork::between([192, 0, 2, 7].into(), last), None);
    }

    #[test]
    fn what_is_no_network_is_refused_with_the_reason() {
        let problem = |text: &str| text.parse::<SourceNetwork>().unwrap_err();
        for text in ["", "10", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/+8", "10/8"] {
            assert_eq!(problem(text), InvalidNetwork::Form, "{text}");
        }
        assert_eq!(problem("fd00::/8"), InvalidNetwork::Version6);
        let inside = InvalidNetwork::Inside(network("10.0.0.0/8"));
        assert_eq!(problem("10.1.2.3/8"), inside);
    }

    #[test]
    fn networks_within_others_are_left_out() {
        let all = ["10.0.0.0/8", "10.1.0.0/16", "192.0.2.7", "192.0.2.0/24"].map(network);
        assert_eq!(
            SourceNetwork::without_contained(&BTreeSet::from(all)),
            BTreeSet::from(["10.0.0.0/8", "192.0.2.0/24"].map(network))
        );
    }
}
