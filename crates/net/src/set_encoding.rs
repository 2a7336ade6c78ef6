//! From sets as data to the kernel's layouts and bytes, and back.
//!
//! **Source**: `linux/netfilter/nf_tables.h` (`NFTA_SET_*`); type numbers are nft's own
//! (`include/datatype.h` there). Each part of a concatenation fills whole 32-bit registers.

use std::net::Ipv4Addr;

use flocker_model::{Port, Protocol, ServicePort, SourceNetwork};
use nftnl::nftnl_sys::libc;

use crate::routing_table::Target;
use crate::ruleset::{Elements, KeyPart};
use crate::table_state::{ElementState, SetLayout};

/// How far nft shifts each type of a concatenation before it adds the next.
const CONCATENATION_SHIFT: u32 = 6;
/// The kernel's number of a set that maps its keys to data.
const SET_IS_MAP: u32 = libc::NFT_SET_MAP as u32;
/// The kernel's number of a set with ranges in several parts of its keys (`NFT_SET_INTERVAL` and
/// `NFT_SET_CONCAT`).
const SET_HAS_RANGES: u32 = libc::NFT_SET_INTERVAL as u32 | 0x80;
/// The size of a 32-bit register, in bytes.
const REGISTER: usize = 4;

/// The parts of what a map of targets leads to.
const TARGET: [KeyPart; 2] = [KeyPart::Destination, KeyPart::Port];

impl KeyPart {
    /// Returns nft's number for the type.
    const fn kind(self) -> u32 {
        match self {
            // `ipv4_addr`
            Self::Destination | Self::Source => 7,
            // `inet_proto`
            Self::Protocol => 12,
            // `inet_service`
            Self::Port => 13,
        }
    }

    /// Returns its size, in bytes.
    pub(crate) const fn size(self) -> u8 {
        match self {
            Self::Destination | Self::Source => 4,
            Self::Protocol => 1,
            Self::Port => 2,
        }
    }
}

/// Returns the type and the size of a concatenation.
fn concatenation(parts: &[KeyPart]) -> (u32, u32) {
    let kind = parts
        .iter()
        .fold(0, |kind, part| (kind << CONCATENATION_SHIFT) | part.kind());
    let size = u32::try_from(parts.len() * REGISTER).unwrap_or(u32::MAX);
    (kind, size)
}

/// Returns how a set with such elements is laid out.
pub(crate) fn set_layout(elements: &Elements) -> SetLayout {
    let (key_type, key_length) = concatenation(elements.key());
    let set = SetLayout {
        flags: 0,
        key_type,
        key_length,
        data_type: 0,
        data_length: 0,
    };
    if elements.has_ranges() {
        return SetLayout {
            flags: SET_HAS_RANGES,
            ..set
        };
    }
    if !elements.is_map() {
        return set;
    }
    let (data_type, data_length) = concatenation(&TARGET);
    SetLayout {
        flags: SET_IS_MAP,
        data_type,
        data_length,
        ..set
    }
}

/// An element as the kernel takes it, in network byte order.
pub(crate) type Element = (Vec<u8>, ElementState);

/// Returns the elements as the kernel takes them.
pub(crate) fn element_pairs(elements: &Elements) -> Vec<Element> {
    let at = |address: Ipv4Addr, port: ServicePort| {
        [address.octets().to_vec(), service_bytes(port)].concat()
    };
    let key = |key| (key, ElementState::default());
    let leads = |key, target: &Target| {
        let data = target_bytes(*target);
        (key, ElementState { data, end: vec![] })
    };
    let range = |start: Vec<u8>, network: SourceNetwork| {
        let with = |address: Ipv4Addr| [start.as_slice(), &address.octets()].concat();
        let end = with(network.last());
        (with(network.first()), ElementState { end, data: vec![] })
    };
    match elements {
        Elements::Targets(all) => {
            let all = all.iter();
            all.map(|(port, to)| leads(service_bytes(*port), to))
                .collect()
        }
        Elements::TargetsAt(all) => {
            let all = all.iter();
            all.map(|((address, port), to)| leads(at(*address, *port), to))
                .collect()
        }
        Elements::Ports(all) => all.iter().map(|port| key(service_bytes(*port))).collect(),
        Elements::PortsAt(all) => {
            let all = all.iter();
            all.map(|(address, port)| key(at(*address, *port)))
                .collect()
        }
        Elements::Addresses(all) => {
            let all = all.iter();
            all.map(|address| key(address.octets().to_vec())).collect()
        }
        Elements::Sources(all) => {
            let all = all.iter();
            all.map(|(port, network)| range(service_bytes(*port), *network))
                .collect()
        }
        Elements::SourcesAt(all) => {
            let all = all.iter();
            all.map(|(address, port, network)| range(at(*address, *port), *network))
                .collect()
        }
    }
}

fn service_bytes(port: ServicePort) -> Vec<u8> {
    let [high, low] = port.port.get().to_be_bytes();
    vec![port.protocol.number(), 0, 0, 0, high, low, 0, 0]
}

fn target_bytes(target: Target) -> Vec<u8> {
    let [high, low] = target.port.get().to_be_bytes();
    let [a, b, c, d] = target.address.octets();
    vec![a, b, c, d, high, low, 0, 0]
}

/// Numbers of protocols as packets carry them.
pub(crate) trait ProtocolNumber: Sized {
    /// Returns the number (`IPPROTO_…`).
    fn number(self) -> u8;

    /// Finds the protocol that has a number.
    fn of_number(number: u8) -> Option<Self>;
}

impl ProtocolNumber for Protocol {
    fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }

    fn of_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.number() == number)
    }
}

/// Reads a port in network byte order.
fn parse_port(bytes: &[u8]) -> Option<Port> {
    let (port, _padding) = bytes.split_first_chunk::<2>()?;
    Port::new(u16::from_be_bytes(*port))
}

/// Reads an address in network byte order.
pub(crate) fn parse_address(bytes: &[u8]) -> Option<Ipv4Addr> {
    let (address, _rest) = bytes.split_first_chunk::<4>()?;
    Some((*address).into())
}

/// Reads a protocol and a port.
pub(crate) fn parse_service(bytes: &[u8]) -> Option<ServicePort> {
    Some(ServicePort {
        protocol: Protocol::of_number(*bytes.first()?)?,
        port: parse_port(bytes.get(REGISTER..)?)?,
    })
}

/// Reads an address, a protocol and a port.
pub(crate) fn parse_service_at(bytes: &[u8]) -> Option<(Ipv4Addr, ServicePort)> {
    Some((
        parse_address(bytes)?,
        parse_service(bytes.get(REGISTER..)?)?,
    ))
}

/// Reads where a map leads.
pub(crate) fn parse_target(bytes: &[u8]) -> Option<Target> {
    Some(Target {
        address: parse_address(bytes)?,
        port: parse_port(bytes.get(REGISTER..)?)?,
    })
}

/// Reads the network whose first address is at the end of one key, and its last one at the end of
/// another.
pub(crate) fn parse_network(first: &[u8], last: &[u8]) -> Option<SourceNetwork> {
    let address = |bytes: &[u8]| parse_address(bytes.get(bytes.len().checked_sub(REGISTER)?..)?);
    SourceNetwork::between(address(first)?, address(last)?)
}
