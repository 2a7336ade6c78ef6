//! Ports that programs listen on.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use flocker_model::Port;

/// `TCP_LISTEN` as `/proc/net/tcp` writes it.
const LISTENING: &str = "0A";

/// The files that list TCP sockets of the network namespace that the thread is in.
const SOCKET_TABLES: [&str; 2] = ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"];

/// A socket that waits for connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listener {
    /// The address that it is bound to; unspecified for any.
    pub address: IpAddr,
    /// The port.
    pub port: Port,
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

/// Reads which TCP sockets wait for connections, of all programs.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn observe_listeners() -> Result<BTreeSet<Listener>, ObserveListenersError> {
    let mut listeners = BTreeSet::new();
    for path in SOCKET_TABLES {
        match fs::read_to_string(path) {
            Ok(table) => listeners.extend(parse_socket_table(&table)),
            // A kernel without IPv6 has no table for it.
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.ends_with('6') => {}
            Err(source) => return Err(ObserveListenersError { path, source }),
        }
    }
    Ok(listeners)
}

/// Reads which TCP ports programs listen on, at whatever address.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn observe_listening_ports() -> Result<BTreeSet<Port>, ObserveListenersError> {
    let listeners = observe_listeners()?;
    Ok(listeners
        .into_iter()
        .map(|listener| listener.port)
        .collect())
}

/// Takes the sockets that wait for connections out of `/proc/net/tcp` or `/proc/net/tcp6`.
///
/// **Source**: the kernel's `Documentation/networking/proc_net_tcp.rst`: addresses are 32-bit
/// words in the machine's byte order, in hexadecimal.
pub fn parse_socket_table(table: &str) -> Vec<Listener> {
    table.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Listener> {
    let mut fields = line.split_whitespace();
    let local = fields.nth(1)?;
    let state = fields.nth(1)?;
    let user = fields.nth(3)?;
    if state != LISTENING {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    Some(Listener {
        address: parse_address(address)?,
        port: Port::new(u16::from_str_radix(port, 16).ok()?)?,
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

    fn texts(table: &str) -> Vec<String> {
        parse_socket_table(table)
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
    fn nonsense_is_no_socket() {
        assert!(texts("a b c\n   0: 0000:zz 0 0A\n").is_empty());
    }
}
