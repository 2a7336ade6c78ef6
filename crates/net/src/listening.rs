//! Ports that programs listen on.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use flocker_model::{Port, Protocol, RoutePort, ServicePort};

/// `TCP_LISTEN` as `/proc/net/tcp` writes it.
const LISTENING: &str = "0A";

/// `TCP_CLOSE`, which is the state of UDP sockets that are connected to nobody.
const UNCONNECTED: &str = "07";

/// The files that list sockets of the network namespace that the thread is in.
const SOCKET_TABLES: [(&str, Protocol); 4] = [
    ("/proc/thread-self/net/tcp", Protocol::Tcp),
    ("/proc/thread-self/net/tcp6", Protocol::Tcp),
    ("/proc/thread-self/net/udp", Protocol::Udp),
    ("/proc/thread-self/net/udp6", Protocol::Udp),
];

/// A socket that waits for connections, or for packets from anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listener {
    /// The address that it is bound to; unspecified for any.
    pub address: IpAddr,
    /// The port.
    pub port: ServicePort,
    /// Number of the user that the program runs as.
    pub user: u32,
}

/// Why it could not be seen which ports are in use.
#[derive(Debug, thiserror::Error)]
#[error("could not read {path}")]
pub struct ObserveListenersError {
    path: &'static str,
    #[source]
    source: io::Error,
}

/// Reads which sockets wait for connections or packets, of all programs.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn observe_listeners() -> Result<BTreeSet<Listener>, ObserveListenersError> {
    let mut listeners = BTreeSet::new();
    for (path, protocol) in SOCKET_TABLES {
        match fs::read_to_string(path) {
            Ok(table) => listeners.extend(parse_socket_table(protocol, &table)),
            // A kernel without IPv6 has no table for it.
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.ends_with('6') => {}
            Err(source) => return Err(ObserveListenersError { path, source }),
        }
    }
    Ok(listeners)
}

/// Reads which ports programs listen on, and at which addresses.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn observe_listening_ports() -> Result<BTreeSet<RoutePort>, ObserveListenersError> {
    let listeners = observe_listeners()?;
    Ok(listeners.into_iter().map(Listener::taken).collect())
}

impl Listener {
    /// Returns what the program takes of IPv4. One at an address of IPv6 is taken to want the port at
    /// every address, because its clients might as well have asked for it by IPv4.
    fn taken(self) -> RoutePort {
        let address = match self.address {
            IpAddr::V4(address) => Some(address).filter(|it| !it.is_unspecified()),
            IpAddr::V6(_) => None,
        };
        RoutePort {
            address,
            port: self.port,
        }
    }
}

/// Takes the sockets that wait for connections or packets out of `/proc/net/tcp`, `/proc/net/udp`, or
/// those of IPv6.
///
/// **Source**: the kernel's `Documentation/networking/proc_net_tcp.rst`: addresses are 32-bit
/// words in the machine's byte order, in hexadecimal.
pub fn parse_socket_table(protocol: Protocol, table: &str) -> Vec<Listener> {
    let lines = table.lines();
    lines
        .filter_map(|line| parse_line(protocol, line))
        .collect()
}

fn parse_line(protocol: Protocol, line: &str) -> Option<Listener> {
    let mut fields = line.split_whitespace();
    let local = fields.nth(1)?;
    let state = fields.nth(1)?;
    let user = fields.nth(3)?;
    let waiting = match protocol {
        Protocol::Tcp => LISTENING,
        Protocol::Udp => UNCONNECTED,
    };
    if state != waiting {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    Some(Listener {
        address: parse_address(address)?,
        port: ServicePort {
            protocol,
            port: Port::new(u16::from_str_radix(port, 16).ok()?)?,
        },
        user: user.parse().ok()?,
    })
}

fn parse_address(text: &str) -> Option<IpAddr> {
    let word = |from: usize| {
        let digits = text.get(from..from + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    if text.len() == 8 {
        return Some(Ipv4Addr::from(word(0)?).into());
    }
    let words = [word(0)?, word(8)?, word(16)?, word(24)?];
    let bytes: [u8; 16] = words.as_flattened().try_into().ok()?;
    let address = Ipv6Addr::from(bytes);
    Some(address.to_ipv4_mapped().map_or(address.into(), Into::into))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 6183 1 0000000000000000 100 0 0 10 0
   1: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000   106        0 9911 1 0000000000000000 100 0 0 10 0
   2: 0100007F:1538 0100007F:D2F0 01 00000000:00000000 02:000005C1 00000000   106        0 9912 2 0000000000000000 20 4 30 10 -1
";
    const TCP6: &str = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 6185 1 0000000000000000 100 0 0 10 0
   1: 00000000000000000000000001000000:0277 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 6186 1 0000000000000000 100 0 0 10 0
";

    const UDP: &str = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  320: 3500007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 7001 2 0000000000000000 0
  321: 0A00A8C0:A3F1 0100A8C0:0035 01 00000000:00000000 00:00000000 00000000   101        0 7002 2 0000000000000000 0
";

    fn texts(table: &str) -> Vec<String> {
        texts_of(Protocol::Tcp, table)
    }

    fn texts_of(protocol: Protocol, table: &str) -> Vec<String> {
        parse_socket_table(protocol, table)
            .iter()
            .map(|listener| format!("{} {} {}", listener.address, listener.port, listener.user))
            .collect()
    }

    #[test]
    fn only_listening_sockets_count() {
        assert_eq!(texts(TCP), ["0.0.0.0 22 0", "127.0.0.1 5432 106"]);
        assert_eq!(texts(TCP6), [":: 80 0", "::1 631 0"]);
    }

    #[test]
    fn a_udp_socket_listens_while_it_is_connected_to_nobody() {
        assert_eq!(texts_of(Protocol::Udp, UDP), ["127.0.0.53 53/udp 101"]);
    }

    #[test]
    fn a_port_is_taken_at_the_address_that_it_is_bound_to() {
        let taken = |protocol, table| {
            let listeners = parse_socket_table(protocol, table).into_iter();
            let ports = listeners.map(|listener| listener.taken().to_string());
            ports.collect::<Vec<_>>()
        };
        assert_eq!(taken(Protocol::Tcp, TCP), ["22", "127.0.0.1:5432"]);
        assert_eq!(taken(Protocol::Tcp, TCP6), ["80", "631"]);
        assert_eq!(taken(Protocol::Udp, UDP), ["127.0.0.53:53/udp"]);
    }

    #[test]
    fn nonsense_is_no_socket() {
        assert!(texts("a b c\n   0: 0000:zz 0 0A\n").is_empty());
    }
}
