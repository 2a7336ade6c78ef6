//! Finding out what this node is called in a deployment.

use std::net::{IpAddr, Ipv4Addr};

use flocker_model::{Deployment, NodeName};
use flocker_net::observe_local_addresses;
use flocker_remote::protocol::StepFailure;

use crate::failure::{OrFailure as _, failure_of};

/// Finds the one node of `deployment` that has an address or the host name of this machine.
/// `given` is the address that this machine's settings give for other nodes.
pub(crate) async fn find(
    deployment: &Deployment,
    given: Option<Ipv4Addr>,
) -> Result<NodeName, StepFailure> {
    let observed = observe_local_addresses().await.or_failure()?;
    let local = observed.iter().map(|local| local.address);
    let addresses: Vec<IpAddr> = local.chain(given.map(IpAddr::V4)).collect();
    let host = nix::unistd::gethostname().or_failed_to("the host name cannot be read")?;
    find_in(deployment, &addresses, &host.to_string_lossy())
}

/// Finds the one node of `deployment` that has one of the addresses or the host name.
fn find_in(
    deployment: &Deployment,
    addresses: &[IpAddr],
    host: &str,
) -> Result<NodeName, StepFailure> {
    let is_own = |name: &&NodeName| match name.as_address() {
        Some(address) => addresses.contains(&IpAddr::V4(address)),
        None => may_be_one_host(name.as_str(), host),
    };
    let own: Vec<&NodeName> = deployment.nodes.keys().filter(is_own).collect();
    match own.as_slice() {
        [name] => Ok((*name).clone()),
        [] => Err(failure_of(
            "no node of the deployment has an address or the host name of this machine; say which \
             one it is with --node",
        )),
        _ => Err(failure_of(
            "several nodes of the deployment have an address or the host name of this machine; say \
             which one it is with --node",
        )),
    }
}

/// Tells whether two host names are the same, or would be if both had the one's domain: some machines
/// call themselves `node1` and others `node1.example.com`, and so do people.
fn may_be_one_host(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
        || first_label(one).eq_ignore_ascii_case(other)
        || first_label(other).eq_ignore_ascii_case(one)
}

fn first_label(host: &str) -> &str {
    host.split_once('.').map_or(host, |(first, _)| first)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_machine_is_found_by_its_addresses_and_its_host_name() {
        let addresses: [IpAddr; 3] =
            ["127.0.0.1", "10.0.0.2", "fe80::1"].map(|text| text.parse().unwrap());
        let none = Err("no node ");
        let several = Err("several nodes ");
        for (nodes, host, expected) in [
            (["10.0.0.1", "10.0.0.2"], "n1", Ok("10.0.0.2")),
            (["10.0.0.1", "10.0.0.3"], "n1", none),
            (["n1", "n2"], "n1", Ok("n1")),
            (["n1", "n2"], "N1", Ok("n1")),
            (
                ["n1.example.com", "n2.example.com"],
                "n1",
                Ok("n1.example.com"),
            ),
            (["n1", "n2"], "n1.example.com", Ok("n1")),
            (
                ["n1.example.com", "n2"],
                "n1.example.com",
                Ok("n1.example.com"),
            ),
            (["n1.example.org", "n2"], "n1.example.com", none),
            (["n10", "n1-2"], "n1", none),
            (["n1", "n1.example.com"], "n1.example.com", several),
            (["n1.example.com", "n1.example.org"], "n1", several),
            (["n1", "10.0.0.2"], "n1", several),
        ] {
            let names = nodes.iter();
            let deployment = Deployment {
                nodes: names
                    .map(|name| (name.parse().unwrap(), BTreeSet::new()))
                    .collect(),
                ..Deployment::default()
            };
            let found = find_in(&deployment, &addresses, host);
            match (&found, expected) {
                (Ok(name), Ok(expected)) => assert_eq!(name.as_str(), expected, "{nodes:?}"),
                (Err(failure), Err(expected)) => {
                    assert!(
                        failure.message.starts_with(expected),
                        "{nodes:?}: {failure:?}"
                    );
                }
                _ => panic!("{nodes:?} on {host}: {found:?}"),
            }
        }
    }
}
