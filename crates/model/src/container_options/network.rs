//! The names of a container, and where it looks names up.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::checked::checked_text;

/// What belongs to a container's network, and so to the container that holds that.
///
/// Docker refuses all of it for a container that joins another's network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NetworkIdentity {
    /// Its host name, if it is not the application's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<HostName>,
    /// Its domain of the Network Information Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domainname: Option<HostName>,
    /// Further lines of `/etc/hosts`, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_hosts: Vec<ExtraHost>,
    /// The name servers that it asks, in the place of the node's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<IpAddr>,
    /// The domains in which it looks for names that have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns_search: Vec<SearchDomain>,
    /// Options of `resolv.conf`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns_opt: Vec<ResolverOption>,
    /// Kernel parameters of its network.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<NetworkSysctl, String>,
}

impl NetworkIdentity {
    /// Tells whether nothing is set.
    pub fn is_unset(&self) -> bool {
        super::is_default(self)
    }
}

/// A line of `/etc/hosts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtraHost {
    /// The name.
    pub name: HostName,
    /// The address that it has.
    pub address: HostAddress,
}

checked_text! {
    /// The name of a host or domain.
    HostName, "host name", read_host_name
}

checked_text! {
    /// An address, or `host-gateway`: the node's own, as containers reach it.
    HostAddress, "address", read_host_address
}

checked_text! {
    /// A domain in which names are looked for; `.` is none.
    SearchDomain, "domain", read_search_domain
}

checked_text! {
    /// An option of `resolv.conf`, such as `ndots:2`.
    ResolverOption, "option", read_resolver_option
}

checked_text! {
    /// A kernel parameter of a network namespace: `net.core.somaxconn`.
    NetworkSysctl, "kernel parameter", read_network_sysctl
}

/// **Source**: `hostname(7)`; names with `_` are in use, and Docker takes them.
fn read_host_name(text: &str) -> Result<String, &'static str> {
    let sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_label =
        |label: &str| !label.is_empty() && !label.starts_with('-') && label.chars().all(sign);
    if text.is_empty() {
        Err("is empty")
    } else if text.len() > 63 {
        Err("is longer than 63 characters")
    } else if text.split('.').all(is_label) {
        Ok(text.to_owned())
    } else {
        Err("is not a host name")
    }
}

fn read_host_address(text: &str) -> Result<String, &'static str> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    match bare.parse::<IpAddr>() {
        _ if text == "host-gateway" => Ok(text.to_owned()),
        Ok(address) => Ok(address.to_string()),
        Err(_) => Err("is neither an IP address nor `host-gateway`"),
    }
}

fn read_search_domain(text: &str) -> Result<String, &'static str> {
    let name = text.strip_suffix('.').unwrap_or(text);
    if text == "."
        || (name.len() <= 253 && name.split('.').all(|part| read_host_name(part).is_ok()))
    {
        Ok(text.to_owned())
    } else {
        Err("is not a domain")
    }
}

fn read_resolver_option(text: &str) -> Result<String, &'static str> {
    if text.is_empty() {
        Err("is empty")
    } else if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        Err("has a space or a control character in it")
    } else {
        Ok(text.to_owned())
    }
}

fn read_network_sysctl(text: &str) -> Result<String, &'static str> {
    let name = text.replace('/', ".");
    let sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let is_part = |part: &str| !part.is_empty() && part.chars().all(sign);
    match name.strip_prefix("net.") {
        Some(rest) if rest.split('.').all(is_part) => Ok(name),
        _ => Err("is not a kernel parameter of a network"),
    }
}
