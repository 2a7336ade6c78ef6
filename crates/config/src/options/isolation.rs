//! The rights of a container, and the devices that it sees.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{
    Capability, HostNamespace, IpcMode, IsolationOptions, NamespaceMode, SecurityOption,
};

use super::Keys;
use super::devices::{read_devices, read_rules};
use super::forms::{checked, checked_items, choice, list};
use super::gpus::read_gpus;
use super::process::is_set;
use crate::fields::Field;
use crate::phrase::quote;
use crate::quantity::Refusal;
use crate::report::Report;
use crate::suggest::nearest;

const SECURITY: (&str, &str) = (
    "a security option",
    "Docker knows `no-new-privileges:true`, `apparmor=PROFILE`, `label=...`, `seccomp=unconfined` and \
     `systempaths=unconfined`; a seccomp profile is given as its JSON text",
);

const RUNTIME: (&str, &str) = (
    "a runtime",
    "write a name that the Docker of each node has in its configuration, such as `runsc`",
);

/// Reads everything but `sysctls` and `tmpfs`.
pub(super) fn read_isolation(keys: &Keys<'_>, report: &mut Report) -> IsolationOptions {
    let (devices, cdi_devices) = read_devices(keys, report);
    IsolationOptions {
        devices,
        cdi_devices,
        device_cgroup_rules: read_rules(keys, report),
        gpus: read_gpus(keys, report),
        cap_add: read_capabilities(keys, "cap_add", report),
        cap_drop: read_capabilities(keys, "cap_drop", report),
        privileged: is_set(keys, "privileged", report),
        security_opt: read_security(keys, report),
        sysctls: BTreeMap::new(),
        read_only: is_set(keys, "read_only", report),
        tmpfs: BTreeMap::new(),
        userns_mode: read_host(keys, "userns_mode", report),
        runtime: keys
            .field("runtime")
            .and_then(|field| checked(&field, RUNTIME, report)),
        ipc: read_ipc(keys, report),
        pid: read_host(keys, "pid", report),
        cgroup: read_cgroup(keys, report),
    }
}

fn read_capabilities(keys: &Keys<'_>, key: &str, report: &mut Report) -> BTreeSet<Capability> {
    let Some(field) = keys.field(key) else {
        return BTreeSet::new();
    };
    let what = format!("a capability of {}", keys.owner);
    let parse = |text: &str| {
        text.parse::<Capability>().map_err(|invalid| {
            let bare = text.to_ascii_uppercase();
            let bare = bare.strip_prefix("CAP_").unwrap_or(&bare);
            let hint = match nearest(bare, Capability::ALL.iter().copied()) {
                Some(guess) => format!("did you mean {}?", quote(guess)),
                None => "write a name such as `NET_ADMIN`; capabilities(7) lists them".to_owned(),
            };
            Refusal::new(invalid.problem, hint)
        })
    };
    let items = list(&field, report).into_iter();
    let read = items.filter_map(|item| {
        let item = Field::item(what.as_str(), item);
        item.parsed("a capability", parse, report)
    });
    read.map(|capability| capability.value).collect()
}

fn read_security(keys: &Keys<'_>, report: &mut Report) -> BTreeSet<SecurityOption> {
    let Some(field) = keys.field("security_opt") else {
        return BTreeSet::new();
    };
    let what = format!("a security option of {}", keys.owner);
    let options = checked_items((list(&field, report), &what), SECURITY, report);
    options.into_iter().collect()
}

fn read_host(keys: &Keys<'_>, key: &str, report: &mut Report) -> Option<HostNamespace> {
    let hint = "write `host` for the node's, or leave it out for one of the container's own";
    let choices = [("host", HostNamespace::Host)];
    let field = keys.field(key)?;
    choice(&field, &choices, hint, report)
}

fn read_ipc(keys: &Keys<'_>, report: &mut Report) -> Option<IpcMode> {
    let hint = "write `private`, `shareable` or `host`; one application cannot join another's";
    let choices = [
        ("host", IpcMode::Host),
        ("private", IpcMode::Private),
        ("shareable", IpcMode::Shareable),
    ];
    let field = keys.field("ipc")?;
    choice(&field, &choices, hint, report)
}

fn read_cgroup(keys: &Keys<'_>, report: &mut Report) -> Option<NamespaceMode> {
    let choices = [
        ("host", NamespaceMode::Host),
        ("private", NamespaceMode::Private),
    ];
    let field = keys.field("cgroup")?;
    choice(&field, &choices, "write `host` or `private`", report)
}
