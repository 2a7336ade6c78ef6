//! `deploy` of a service, which was made for Swarm: its limits count, and its restart policy.

use crate::adopt::adoption::Adoption;
use crate::adopt::forms::{mapping, says_nothing};
use crate::adopt::service::{Application, check_replicas, limit};
use crate::adopt::yaml::{Pair, Yaml, key};
use crate::phrase::quote;

/// Gives an application what `deploy` of its service says.
pub(crate) fn rewrite_deploy(
    value: &Yaml,
    owner: &str,
    application: &mut Application,
    adoption: &mut Adoption<'_>,
) {
    for entry in mapping(value, &format!("`deploy` of {owner}"), adoption) {
        let (name, value) = entry;
        match name.value.as_str() {
            "replicas" => check_replicas(value, owner, adoption),
            "resources" => rewrite_resources(value, owner, application, adoption),
            // Read together with `restart`.
            "restart_policy" => {}
            "mode" if value.text() == Some("replicated") => {}
            "mode" => refuse(entry, owner, "an application runs on one node", adoption),
            "placement" => leave_out(entry, owner, PLACES, adoption),
            "labels" => leave_out(entry, owner, "only Swarm acts on it", adoption),
            "update_config" | "rollback_config" | "endpoint_mode" => {
                leave_out(entry, owner, "only Swarm acts on it", adoption);
            }
            extension if extension.starts_with("x-") => {}
            _ => refuse(entry, owner, "it is no key of Compose", adoption),
        }
    }
}

const PLACES: &str = "the deployment configuration says which node an application is on";

/// Warns of a key of `deploy` that has no effect.
pub(crate) fn leave_out(
    (name, value): &Pair,
    owner: &str,
    reason: &str,
    adoption: &mut Adoption<'_>,
) {
    if says_nothing(value) {
        return;
    }
    let key = quote(&name.value);
    let message = format!("{key} in `deploy` of {owner} is left out");
    adoption.warn(name.span, message, reason);
}

fn refuse((name, _): &Pair, owner: &str, reason: &str, adoption: &mut Adoption<'_>) {
    let key = quote(&name.value);
    let message = format!("Flocker cannot do what {key} in `deploy` of {owner} says");
    adoption.error(name.span, message, reason);
}

fn rewrite_resources(
    value: &Yaml,
    owner: &str,
    application: &mut Application,
    adoption: &mut Adoption<'_>,
) {
    let what = format!("`resources` of {owner}");
    for (part, values) in mapping(value, &what, adoption) {
        let what = format!("{} of {owner}", quote(&part.value));
        for entry in mapping(values, &what, adoption) {
            let (name, value) = entry;
            let renamed = |ours: &str| key(name.span, ours);
            match (part.value.as_str(), name.value.as_str()) {
                ("limits", "memory") => limit(renamed("memory"), value, application, adoption),
                ("limits", "cpus") => limit(renamed("cpu"), value, application, adoption),
                ("limits", "pids") => {
                    let number = Yaml::plain(value.span, value.text().unwrap_or_default());
                    application.set(renamed("pids_limit"), number, adoption);
                }
                ("reservations", "memory") => {
                    application.set(renamed("mem_reservation"), value.clone(), adoption);
                }
                ("reservations", "devices") => {
                    application.set(renamed("gpus"), value.clone(), adoption);
                }
                ("reservations", "cpus") => {
                    leave_out(entry, owner, "nodes do not reserve processors", adoption);
                }
                _ => refuse(entry, owner, "it is no limit that a node can set", adoption),
            }
        }
    }
}
