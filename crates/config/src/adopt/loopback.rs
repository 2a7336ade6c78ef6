//! The loopback addresses under whose names services reach each other.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use flocker_model::{LoopbackAddress, stable_hash};

/// The addresses of services are those of 127.1.0.0/16 that do not end in 0 or 255.
const NETWORK: [u8; 2] = [127, 1];
const LAST_BYTES: u64 = 254;
const SIZE: u64 = 256 * LAST_BYTES;

/// Gives each service of a file an address of its own.
///
/// Each begins at the hash of its own name and only gives way to a collision, so that services which
/// are added or removed leave the addresses of the others alone: a container whose links have other
/// addresses is made again.
pub(crate) fn loopback_addresses<'n>(
    names: impl IntoIterator<Item = &'n str>,
) -> BTreeMap<&'n str, LoopbackAddress> {
    let names: BTreeSet<&str> = names.into_iter().collect();
    let mut taken = BTreeSet::new();
    let address = |name| {
        let mut candidates = candidates(name);
        let free = candidates.find(|address| taken.insert(*address));
        free.map(|address| (name, address))
    };
    names.into_iter().filter_map(address).collect()
}

/// Lists every address, from the name's own on, around the end.
fn candidates(name: &str) -> impl Iterator<Item = LoopbackAddress> {
    let start = stable_hash(name.as_bytes()) % SIZE;
    (0..SIZE).filter_map(move |step| {
        let place = (start + step) % SIZE;
        let third = u8::try_from(place / LAST_BYTES).ok()?;
        let fourth = u8::try_from(place % LAST_BYTES + 1).ok()?;
        let [first, second] = NETWORK;
        LoopbackAddress::try_from(Ipv4Addr::new(first, second, third, fourth)).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_keeps_its_address_when_others_come_and_go() {
        let few = loopback_addresses(["web", "db"]);
        let many = loopback_addresses(["cache", "db", "queue", "web", "worker"]);
        assert_eq!(few["db"], many["db"]);
        assert_eq!(few["web"], many["web"]);
        let distinct: BTreeSet<_> = many.values().collect();
        assert_eq!(distinct.len(), many.len());
    }

    /// Containers have these addresses in their environment: another one makes them again.
    #[test]
    fn an_upgrade_leaves_addresses_unchanged() {
        let addresses = loopback_addresses(["db", "redis"]);
        let shown: Vec<_> = addresses.values().map(ToString::to_string).collect();
        assert_eq!(shown, ["127.1.94.160", "127.1.96.53"]);
    }

    #[test]
    fn services_whose_hashes_collide_have_different_addresses() {
        let names: Vec<String> = (0..2000).map(|number| format!("s{number}")).collect();
        let starts: BTreeSet<_> = names.iter().map(|name| candidates(name).next()).collect();
        assert!(starts.len() < names.len(), "some collide");
        let addresses = loopback_addresses(names.iter().map(String::as_str));
        let distinct: BTreeSet<_> = addresses.values().collect();
        assert_eq!(distinct.len(), names.len());
        for address in distinct {
            let [first, second, _, last] = address.get().octets();
            assert_eq!([first, second], NETWORK);
            assert!(!matches!(last, 0 | 255), "{address}");
        }
    }
}
