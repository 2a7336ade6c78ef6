//! The keys of an application that Compose, Fig and earlier releases of Flocker have, and what each
//! of them is here. A key that stands here is never taken for a misspelling of one of ours.
//!
//! **Source**: Compose Specification, "Services top-level elements"; the documentation of Fig 1.0 and
//! of Flocker 0.3 to 1.3.

use crate::command::{split, word_list};
use crate::keys::{Foreign, same_value};
use crate::port_form::write_routes;

use crate::quantity::{parse_bytes, parse_cpu};
use crate::tree::Value;

/// The keys of a service or application.
pub(crate) const APPLICATION: &[Foreign] = &[
    // The same under another name.
    Foreign::converted(
        "ports",
        "routes",
        write_routes,
        "a route answers on every node",
    ),
    Foreign::same("env", "environment"),
    Foreign::converted("cmd", "command", write_command, ""),
    Foreign::converted("command_line", "command", write_command, ""),
    Foreign::same("memory_reservation", "mem_reservation"),
    Foreign::same("memory_swap", "memswap_limit"),
    Foreign::same("memory_swappiness", "mem_swappiness"),
    Foreign::converted("memory_limit", "memory", write_size, ""),
    Foreign::converted("cpu_limit", "cpu", write_cpu, ""),
    Foreign::converted("mem_limit", "memory", write_size, ""),
    Foreign::converted("cpus", "cpu", write_cpu, ""),
    Foreign::converted("restart_policy", "restart", write_restart, ""),
    // Keys that have another form here.
    Foreign::nothing(
        "expose",
        "leave it out; a link reaches every port, and `routes` would open one on every node",
    ),
    Foreign::nothing(
        "build",
        "build the image first and name it in `image`; push it, or deploy with `--image-archive FILE`",
    ),
    Foreign::nothing(
        "container_name",
        "leave it out; the container is called `flocker-` and the name of the application",
    ),
    Foreign::nothing("networks", NETWORK),
    Foreign::nothing("network_mode", NETWORK_MODE),
    Foreign::nothing("net", NETWORK_MODE),
    Foreign::nothing("external_links", NETWORK),
    Foreign::nothing(
        "deploy",
        "write its limits as `memory` and `cpu`, and its nodes in the deployment configuration",
    ),
    Foreign::nothing(
        "scale",
        "an application is one container; write one application for each",
    ),
    Foreign::nothing("extends", "write the keys of the other service out"),
    Foreign::nothing(
        "profiles",
        "leave it out; an application runs where the deployment configuration places it",
    ),
    Foreign::nothing(
        "secrets",
        "write the file in `files`: `{from_file: ./password.txt, target: /run/secrets/NAME}`",
    ),
    Foreign::nothing(
        "configs",
        "write the file in `files`: `{source: ./nginx.conf, target: /etc/nginx/nginx.conf}`",
    ),
    Foreign::nothing(
        "logging",
        "leave it out; output is in the node's journal: `journalctl -u flocker-NAME`",
    ),
    Foreign::nothing(
        "pull_policy",
        "leave it out; an image is fetched where it is missing, and a new tag is a new image",
    ),
    Foreign::nothing(
        "pull_refresh_after",
        "leave it out; an image is fetched where it is missing",
    ),
    // Keys that resemble one of ours.
    Foreign::nothing("cpu_count", WINDOWS),
    Foreign::nothing("cpu_percent", WINDOWS),
    Foreign::nothing("cpu_period", CPU),
    Foreign::nothing("cpu_quota", CPU),
    Foreign::nothing("cpu_rt_period", REAL_TIME),
    Foreign::nothing("cpu_rt_runtime", REAL_TIME),
    // Keys that mean nothing here.
    Foreign::nothing(
        "uts",
        "leave it out; a container has a host name of its own, which `hostname` sets",
    ),
    Foreign::nothing("isolation", WINDOWS),
    Foreign::nothing("credential_spec", WINDOWS),
    Foreign::nothing("mac_address", "the hardware address cannot be set"),
    Foreign::nothing("label_file", "write the labels in `labels`"),
    Foreign::nothing(
        "platform",
        "leave it out; each node runs the image for its own architecture",
    ),
    // Keys on which only Compose itself acts.
    Foreign::nothing("attach", COMPOSE),
    Foreign::nothing("develop", COMPOSE),
    Foreign::nothing("models", COMPOSE),
    Foreign::nothing("provider", COMPOSE),
    Foreign::nothing("use_api_socket", COMPOSE),
    Foreign::nothing("post_start", HOOKS),
    Foreign::nothing("pre_stop", HOOKS),
];

const NETWORK: &str =
    "leave it out; `links` reach other applications, and `routes` open ports on every node";
const NETWORK_MODE: &str = "with `service:` or `container:`, do not just remove it: the traffic would go past \
    the other container, such as a VPN; otherwise leave it out: `links` reach other applications, and \
    `routes` open ports on every node";
const CPU: &str = "write `cpu`, the most processors that the container may use";
const WINDOWS: &str = "leave it out; it is about containers of Windows";
const REAL_TIME: &str = "real-time scheduling of a container's processes is not supported";
const HOOKS: &str = "commands at the start and stop of a container are not supported";
const COMPOSE: &str = "leave it out; it means something to Compose only";

/// Writes a command line as a list.
fn write_command(value: Value<'_>) -> Option<String> {
    let words = split(value.text()?).filter(|words| !words.is_empty())?;
    Some(word_list(&words))
}

/// Writes a size, if it is one here, too.
fn write_size(value: Value<'_>) -> Option<String> {
    let text = same_value(value)?;
    parse_bytes(&text).ok().map(|_| text)
}

/// Writes a number of processors, if it is one here, too.
fn write_cpu(value: Value<'_>) -> Option<String> {
    let text = same_value(value)?;
    parse_cpu(&text).ok().map(|_| text)
}

/// Writes the name of a restart policy that has a mapping.
fn write_restart(value: Value<'_>) -> Option<String> {
    let name = match value.get("name").or_else(|| value.get("condition")) {
        Some(entry) => entry.value.text()?,
        None => value.text()?,
    };
    let ours = match name {
        "always" | "any" => "always",
        "on-failure" => "on-failure",
        "never" | "none" | "no" => "never",
        _ => return None,
    };
    let mut counts = ["maximum_retry_count", "max_attempts"].into_iter();
    let times = counts.find_map(|key| value.get(key)?.value.text());
    match times {
        Some(times) if ours == "on-failure" => Some(format!("{ours}:{times}")),
        _ => Some(ours.to_owned()),
    }
}

#[cfg(test)]
mod page;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// All keys of a service.
    ///
    /// **Source**: `schema/compose-spec.json` of the Compose Specification, June 2026.
    pub(super) const SERVICE: &str = "annotations attach blkio_config build cap_add cap_drop cgroup \
        cgroup_parent command configs container_name cpu_count cpu_percent cpu_period cpu_quota \
        cpu_rt_period cpu_rt_runtime cpu_shares cpus cpuset credential_spec depends_on deploy develop \
        device_cgroup_rules devices dns dns_opt dns_search domainname entrypoint env_file environment \
        expose extends external_links extra_hosts gpus group_add healthcheck hostname image init ipc \
        isolation label_file labels links logging mac_address mem_limit mem_reservation \
        mem_swappiness memswap_limit models network_mode networks oom_kill_disable oom_score_adj pid \
        pids_limit platform ports post_start pre_stop privileged profiles provider pull_policy \
        pull_refresh_after read_only restart runtime scale secrets security_opt shm_size stdin_open stop_grace_period \
        stop_signal storage_opt sysctls tmpfs tty ulimits use_api_socket user userns_mode uts volumes \
        volumes_from working_dir";

    #[test]
    fn every_key_of_a_compose_service_is_known() {
        let ours = crate::application::KEYS.keys;
        let theirs: BTreeSet<&str> = APPLICATION.iter().map(Foreign::key).collect();
        assert_eq!(theirs.len(), APPLICATION.len(), "a key is there twice");
        for key in SERVICE.split_whitespace() {
            assert!(ours.contains(&key) || theirs.contains(key), "{key}");
        }
        for key in ours {
            assert!(!theirs.contains(key), "{key} is ours");
        }
    }
}
