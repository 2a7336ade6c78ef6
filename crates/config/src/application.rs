//! The application configuration: what to run.

use std::collections::BTreeMap;

use flocker_model::{
    Application, ApplicationName, ByteCount, ContainerOptions, CpuMillis, HealthCheck,
    ImageReference, Link, MountPath, RestartPolicy, Route, Secret, StopGracePeriod, StopSignal,
};

use crate::command::read_command;
use crate::compose::APPLICATION;
use crate::depends::{DraftDependency, read_dependencies};
use crate::env_file::read_env_files;
use crate::fields::Field;
use crate::health::read_health_check;
use crate::image::read_image;
use crate::keys::KnownKeys;
use crate::links::{DraftLink, read_links};
use crate::options::{Beside, read_options};
use crate::phrase::quote;
use crate::process::{read_environment, read_stop_grace_period, read_stop_signal};
use crate::quantity::{Refusal, parse_bytes, parse_cpu};
use crate::report::{Finding, Report};
use crate::restart::read_restart;
use crate::routes::{DraftRoute, read_routes};
use crate::source::Located;
use crate::tree::Entry;
use crate::volumes::{Data, read_data};

pub(crate) const KEYS: KnownKeys = KnownKeys {
    keys: &[
        "image",
        "volume",
        "volumes",
        "volumes_from",
        "scratch",
        "environment",
        "env_file",
        "files",
        "routes",
        "links",
        "command",
        "memory",
        "cpu",
        "restart",
        "stop_signal",
        "stop_grace_period",
        "entrypoint",
        "user",
        "group_add",
        "working_dir",
        "init",
        "tty",
        "stdin_open",
        "hostname",
        "domainname",
        "extra_hosts",
        "dns",
        "dns_search",
        "dns_opt",
        "mem_reservation",
        "mem_swappiness",
        "memswap_limit",
        "cpu_shares",
        "cpuset",
        "pids_limit",
        "shm_size",
        "ulimits",
        "oom_score_adj",
        "oom_kill_disable",
        "blkio_config",
        "cgroup_parent",
        "storage_opt",
        "devices",
        "device_cgroup_rules",
        "gpus",
        "cap_add",
        "cap_drop",
        "privileged",
        "security_opt",
        "sysctls",
        "read_only",
        "tmpfs",
        "userns_mode",
        "runtime",
        "ipc",
        "pid",
        "cgroup",
        "labels",
        "annotations",
        "healthcheck",
        "depends_on",
    ],
    foreign: APPLICATION,
};

/// What Docker refuses to go below.
///
/// **Source**: `docker run` reference, `--memory`.
pub(crate) const LEAST_MEMORY: ByteCount = ByteCount::mebibytes(6);

/// An application as far as it could be read, with the places that other checks need.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) name: Located<String>,
    pub(crate) routes: Vec<DraftRoute>,
    pub(crate) links: Vec<DraftLink>,
    pub(crate) depends_on: Vec<DraftDependency>,
    pub(crate) restart: RestartPolicy,
    pub(crate) health_check: Option<Located<HealthCheck>>,
    image: Option<ImageReference>,
    command: Option<Vec<String>>,
    environment: BTreeMap<String, Secret>,
    env_file: BTreeMap<String, Secret>,
    pub(crate) data: Data,
    memory: Option<ByteCount>,
    cpu: Option<CpuMillis>,
    stop_signal: Option<StopSignal>,
    stop_grace_period: Option<StopGracePeriod>,
    options: ContainerOptions,
}

/// Reads every application of the file.
pub(crate) fn read_applications(entries: &[Entry<'_>], report: &mut Report) -> Vec<Draft> {
    entries
        .iter()
        .map(|entry| read_application(*entry, report))
        .collect()
}

fn read_application(entry: Entry<'_>, report: &mut Report) -> Draft {
    let mut draft = Draft::new(entry.key.clone());
    let name = &entry.key.value;
    if let Err(invalid) = name.parse::<ApplicationName>() {
        report.error(|| {
            let message = format!("the application name {} {}", quote(name), invalid.problem);
            Finding::at(entry.key.span, message)
        });
    }
    let owner = quote(name);
    let Some(entries) = entry.value.entries() else {
        report.error(|| no_mapping(entry));
        return draft;
    };
    let title = format!("application {owner}");
    let meant = KEYS.check(&entries, &title, report);
    if entry.value.get("image").is_none() && !meant.contains(&"image") {
        report.error(|| {
            Finding::at(
                entry.key.span,
                format!("application {owner} has no `image`"),
            )
            .hint("add the image that it runs: `image: clusterhq/trac`")
        });
    }
    for entry in entries {
        draft.read_field(&Field::of(entry, &owner), entry, report);
    }
    draft.data = read_data(entry.value, &owner, report);
    let beside = Beside {
        memory: draft.memory,
        data: &draft.data,
    };
    draft.options = read_options(entry.value, &owner, beside, report);
    draft
}

/// Says that an application has no keys.
fn no_mapping(entry: Entry<'_>) -> Finding {
    let name = &entry.key.value;
    let owner = quote(name);
    let message = if entry.value.is_null() {
        format!("application {owner} is empty")
    } else {
        let found = entry.value.describe();
        format!("application {owner} must be a mapping with an `image`, not {found}")
    };
    let example = quote(&format!("{name}: {{image: clusterhq/trac}}"));
    Finding::at(entry.key.span, message).hint(format!("write {example}"))
}

impl Draft {
    /// Begins with nothing but a name.
    fn new(name: Located<String>) -> Self {
        Self {
            name,
            routes: Vec::new(),
            links: Vec::new(),
            depends_on: Vec::new(),
            restart: RestartPolicy::default(),
            health_check: None,
            image: None,
            command: None,
            environment: BTreeMap::new(),
            env_file: BTreeMap::new(),
            data: Data::default(),
            memory: None,
            cpu: None,
            stop_signal: None,
            stop_grace_period: None,
            options: ContainerOptions::default(),
        }
    }

    fn read_field(&mut self, field: &Field<'_>, entry: Entry<'_>, report: &mut Report) {
        let owner = quote(&self.name.value);
        match entry.key.value.as_str() {
            "image" => self.image = read_image(field, report),
            "environment" => self.environment = read_environment(field, &owner, report),
            "env_file" => self.env_file = read_env_files(field, &owner, report),
            "routes" => self.routes = read_routes(field, &owner, report),
            "links" => self.links = read_links(field, &owner, report),
            "command" => self.command = read_command(field, &owner, report),
            "memory" => self.memory = read_memory(field, report),
            "cpu" => self.cpu = read_cpu(field, report),
            "restart" => self.restart = read_restart(field, report).unwrap_or_default(),
            "stop_signal" => self.stop_signal = read_stop_signal(field, report),
            "stop_grace_period" => {
                self.stop_grace_period = read_stop_grace_period(field, report);
            }
            "healthcheck" => self.health_check = read_health_check(field, &owner, report),
            "depends_on" => self.depends_on = read_dependencies(field, &owner, report),
            // Read together, or reported by `KnownKeys::check`.
            _ => {}
        }
    }

    /// Returns the paths of file systems in memory.
    pub(crate) fn paths_in_memory(&self) -> impl Iterator<Item = &MountPath> {
        self.options.isolation.tmpfs.keys()
    }

    /// Makes the application, if its name, image and link targets are sound; what is not, was
    /// reported.
    pub(crate) fn finish(self) -> Option<(ApplicationName, Application)> {
        let links = self.links.into_iter().map(|link| {
            Some(Link {
                target: link.target.value.parse().ok()?,
                port: link.port.port,
                local_port: link.local_port.value.port.port,
                protocol: link.port.protocol,
                address: link.local_port.value.address,
            })
        });
        let depends_on = self.depends_on.iter().map(|dependency| {
            let target = dependency.target.value.parse().ok()?;
            Some((target, dependency.condition))
        });
        let mut environment = self.env_file;
        environment.extend(self.environment);
        let application = Application {
            command: self.command,
            environment,
            files: self.data.files,
            volume: self.data.volume,
            scratch: self.data.scratch,
            routes: self
                .routes
                .into_iter()
                .map(|route| {
                    let to = Route {
                        port: route.internal.value,
                        from: route.from,
                    };
                    (route.external.value, to)
                })
                .collect(),
            links: links.collect::<Option<_>>()?,
            memory: self.memory,
            cpu: self.cpu,
            restart: self.restart,
            stop_signal: self.stop_signal,
            stop_grace_period: self.stop_grace_period,
            options: self.options,
            health_check: self.health_check.map(|check| check.value),
            depends_on: depends_on.collect::<Option<_>>()?,
            shared: self.data.shared,
            host_mounts: self.data.host_mounts,
            ..Application::new(self.image?)
        };
        Some((self.name.value.parse().ok()?, application))
    }
}

fn read_cpu(field: &Field<'_>, report: &mut Report) -> Option<CpuMillis> {
    let cpu = field.parsed("a number of processors", parse_cpu, report);
    cpu.map(|cpu| cpu.value)
}

fn read_memory(field: &Field<'_>, report: &mut Report) -> Option<ByteCount> {
    let parse = |text: &str| match parse_bytes(text) {
        Ok(bytes) if bytes < LEAST_MEMORY => Err(Refusal {
            problem: format!("is less than the {LEAST_MEMORY} that Docker requires"),
            hint: Some("write a size like `512M`".to_owned()),
        }),
        other => other,
    };
    field
        .parsed("a size", parse, report)
        .map(|memory| memory.value)
}
