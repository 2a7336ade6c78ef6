//! The names of a container, where it looks names up, and kernel parameters.

use std::collections::BTreeMap;
use std::net::IpAddr;

use flocker_model::{
    ContainerSysctl, ExtraHost, HostAddress, HostName, NetworkIdentity, NetworkSysctl,
};

use super::Keys;
use super::forms::{checked, checked_items, list, one_or_more, pairs};
use crate::dollar::Purpose;
use crate::fields::Field;
use crate::phrase::quote;
use crate::quantity::Refusal;
use crate::report::{Finding, Report};

const HOST: (&str, &str) = (
    "a host name",
    "write a name of letters, digits and `-`, such as `db1`",
);

const EXTRA_HOST: &str =
    "write a name and its address, such as `\"mail:10.0.0.5\"` or `\"node:host-gateway\"`";

/// Reads everything but `sysctls`.
pub(super) fn read_identity(keys: &Keys<'_>, report: &mut Report) -> NetworkIdentity {
    let domain = (
        "a domain",
        "write a domain such as `corp.example`, or `.` for none",
    );
    let option = (
        "an option",
        "write an option of resolv.conf(5), such as `ndots:2`",
    );
    let name = |key: &str, report: &mut Report| {
        keys.field(key)
            .and_then(|field| checked(&field, HOST, report))
    };
    NetworkIdentity {
        hostname: name("hostname", report),
        domainname: name("domainname", report),
        extra_hosts: read_hosts(keys, report),
        dns: read_servers(keys, report),
        dns_search: keys.field("dns_search").map_or_else(Vec::new, |field| {
            let what = format!("a search domain of {}", keys.owner);
            checked_items((one_or_more(&field, report), &what), domain, report)
        }),
        dns_opt: keys.field("dns_opt").map_or_else(Vec::new, |field| {
            let what = format!("a resolver option of {}", keys.owner);
            checked_items((list(&field, report), &what), option, report)
        }),
        sysctls: BTreeMap::new(),
    }
}

fn read_servers(keys: &Keys<'_>, report: &mut Report) -> Vec<IpAddr> {
    let Some(field) = keys.field("dns") else {
        return Vec::new();
    };
    let parse = |text: &str| {
        let hint = "write the address of a name server, such as `1.1.1.1`";
        text.parse::<IpAddr>()
            .map_err(|_| Refusal::new("is not an IP address", hint))
    };
    let items = one_or_more(&field, report).into_iter();
    let servers = items.filter_map(|item| {
        let item = Field::item(format!("a name server of {}", keys.owner), item);
        item.parsed("an IP address", parse, report)
    });
    servers.map(|server| server.value).collect()
}

/// Reads `name:address` or `name=address` in a list, or a mapping of names to addresses.
fn read_hosts(keys: &Keys<'_>, report: &mut Report) -> Vec<ExtraHost> {
    let Some(field) = keys.field("extra_hosts") else {
        return Vec::new();
    };
    let mut hosts = Vec::new();
    if let Some(entries) = field.value.entries() {
        for entry in entries {
            let value = Field::of(entry, &field.what);
            for address in one_or_more(&value, report) {
                let address = Field::item(value.what.clone(), address);
                let parse = |text: &str| parse_host(&entry.key.value, text);
                let host = address.parsed("an IP address", parse, report);
                hosts.extend(host.map(|host| host.value));
            }
        }
        return hosts;
    }
    for item in list(&field, report) {
        let item = Field::item(format!("an extra host of {}", keys.owner), item);
        let parse = |text: &str| match text.split_once('=').or_else(|| text.split_once(':')) {
            Some((name, address)) => parse_host(name, address),
            None => Err(Refusal::new("has no address", EXTRA_HOST)),
        };
        let host = item.parsed("a name and its address", parse, report);
        hosts.extend(host.map(|host| host.value));
    }
    hosts
}

fn parse_host(name: &str, address: &str) -> Result<ExtraHost, Refusal> {
    if name.eq_ignore_ascii_case("localhost") {
        let hint =
            "leave it out; links without an `address` are on `localhost`, which is 127.0.0.1";
        return Err(Refusal::new("would give `localhost` another address", hint));
    }
    let name = name.parse::<HostName>().map_err(|invalid| {
        Refusal::new(&format!("has a name that {}", invalid.problem), EXTRA_HOST)
    });
    let address = address.trim().parse::<HostAddress>().map_err(|invalid| {
        Refusal::new(
            &format!("has an address that {}", invalid.problem),
            EXTRA_HOST,
        )
    });
    Ok(ExtraHost {
        name: name?,
        address: address?,
    })
}

/// Reads the kernel parameters: those of the network, and those of the container itself.
pub(super) fn read_sysctls(
    keys: &Keys<'_>,
    report: &mut Report,
) -> (
    BTreeMap<NetworkSysctl, String>,
    BTreeMap<ContainerSysctl, String>,
) {
    let (mut network, mut own) = (BTreeMap::new(), BTreeMap::new());
    let Some(field) = keys.field("sysctls") else {
        return (network, own);
    };
    for pair in pairs(&field, Purpose::Flocker, report) {
        let name = &pair.key.value;
        if pair.value.is_empty() {
            report.error(|| {
                let message = format!("{}: {} has no value", field.what, quote(name));
                Finding::at(pair.key.span, message).hint(field.line("{net.core.somaxconn: 1024}"))
            });
        } else if name.starts_with("net.") || name.starts_with("net/") {
            let name = pair.name(&field, "write a name such as `net.core.somaxconn`", report);
            network.extend(name.map(|name| (name, pair.value)));
        } else {
            let hint = "a container has parameters of its own below `net.`, `kernel.msg*`, \
                        `kernel.sem`, `kernel.shm*`, `kernel.domainname` and `fs.mqueue.`; set others on the nodes, in \
                        /etc/sysctl.d";
            let name = pair.name(&field, hint, report);
            own.extend(name.map(|name| (name, pair.value)));
        }
    }
    (network, own)
}
