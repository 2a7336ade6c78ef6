//! The application configuration: what to run.

use std::collections::BTreeMap;

use flocker_model::{
    Application, ApplicationName, ByteCount, CpuMillis, ImageReference, Link, RestartPolicy,
    Secret, StopGracePeriod, StopSignal,
};

use crate::compose::{APPLICATION, NO_COUNT};
use crate::dollar::Purpose;
use crate::fields::Field;
use crate::image::read_image;
use crate::keys::KnownKeys;
use crate::links::{DraftLink, read_links};
use crate::phrase::quote;
use crate::process::{read_command, read_environment, read_stop_grace_period, read_stop_signal};
use crate::quantity::{Refusal, parse_bytes, parse_cpu};
use crate::report::{Finding, Report};
use crate::routes::{DraftRoute, read_routes};
use crate::source::Located;
use crate::suggest::nearest;
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
        "routes",
        "links",
        "command",
        "memory",
        "cpu",
        "restart",
        "stop_signal",
        "stop_grace_period",
    ],
    foreign: APPLICATION,
};

/// What Docker refuses to go below.
///
/// **Source**: `docker run` reference, `--memory`.
const LEAST_MEMORY: ByteCount = ByteCount::mebibytes(6);

/// An application as far as it could be read, with the places that other checks need.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) name: Located<String>,
    pub(crate) routes: Vec<DraftRoute>,
    pub(crate) links: Vec<DraftLink>,
    image: Option<ImageReference>,
    command: Option<Vec<String>>,
    environment: BTreeMap<String, Secret>,
    pub(crate) data: Data,
    memory: Option<ByteCount>,
    cpu: Option<CpuMillis>,
    restart: RestartPolicy,
    stop_signal: Option<StopSignal>,
    stop_grace_period: Option<StopGracePeriod>,
}

/// Reads every application of the file.
pub(crate) fn read_applications(entries: &[Entry<'_>], report: &mut Report) -> Vec<Draft> {
    entries
        .iter()
        .map(|entry| read_application(*entry, report))
        .collect()
}

fn read_application(entry: Entry<'_>, report: &mut Report) -> Draft {
    let mut draft = Draft {
        name: entry.key.clone(),
        routes: Vec::new(),
        links: Vec::new(),
        image: None,
        command: None,
        environment: BTreeMap::new(),
        data: Data::default(),
        memory: None,
        cpu: None,
        restart: RestartPolicy::default(),
        stop_signal: None,
        stop_grace_period: None,
    };
    let name = &entry.key.value;
    if let Err(invalid) = name.parse::<ApplicationName>() {
        report.error(|| {
            let message = format!("the application name {} {}", quote(name), invalid.problem);
            Finding::at(entry.key.span, message)
        });
    }
    let owner = quote(name);
    let Some(entries) = entry.value.entries() else {
        report.error(|| {
            let message = if entry.value.is_null() {
                format!("application {owner} is empty")
            } else {
                let found = entry.value.describe();
                format!("application {owner} must be a mapping with an `image`, not {found}")
            };
            Finding::at(entry.key.span, message).hint(format!(
                "write {}",
                quote(&format!("{name}: {{image: clusterhq/trac}}"))
            ))
        });
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
    draft
}

impl Draft {
    fn read_field(&mut self, field: &Field<'_>, entry: Entry<'_>, report: &mut Report) {
        let owner = quote(&self.name.value);
        match entry.key.value.as_str() {
            "image" => self.image = read_image(field, report),
            "environment" => self.environment = read_environment(field, &owner, report),
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
            // Read together, or reported by `KnownKeys::check`.
            _ => {}
        }
    }

    /// Makes the application, if its name, image and link targets are sound; what is not, was
    /// reported.
    pub(crate) fn finish(self) -> Option<(ApplicationName, Application)> {
        let links = self.links.into_iter().map(|link| {
            Some(Link {
                target: link.target.value.parse().ok()?,
                port: link.port,
                local_port: link.local_port.value,
            })
        });
        let application = Application {
            command: self.command,
            environment: self.environment,
            volume: self.data.volume,
            scratch: self.data.scratch,
            routes: self
                .routes
                .into_iter()
                .map(|route| (route.external.value, route.internal.value))
                .collect(),
            links: links.collect::<Option<_>>()?,
            memory: self.memory,
            cpu: self.cpu,
            restart: self.restart,
            stop_signal: self.stop_signal,
            stop_grace_period: self.stop_grace_period,
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

fn read_restart(field: &Field<'_>, report: &mut Report) -> Option<RestartPolicy> {
    if let Some(text) = field.value.text() {
        field.read_dollars(text, Purpose::Flocker, report)?;
    }
    match field.value.text() {
        Some("always") => Some(RestartPolicy::Always),
        Some("on-failure") => Some(RestartPolicy::OnFailure),
        Some("never") => Some(RestartPolicy::Never),
        text => {
            report.error(|| {
                let Some(text) = text else {
                    return field
                        .wrong_type("`always`, `on-failure` or `never`")
                        .hint("leave it out for `always`");
                };
                let message = format!("{}: {} is not a restart policy", field.what, quote(text));
                Finding::at(field.span(), message).hint(restart_hint(text))
            });
            None
        }
    }
}

/// Answers the policies of other programs, and misspellings of ours.
fn restart_hint(text: &str) -> String {
    match text {
        "no" | "false" | "none" => "write `never`".to_owned(),
        "yes" | "true" | "any" => "write `always`".to_owned(),
        "unless-stopped" => "write `always`; an application that was stopped by hand is started \
                             again by the next deploy and the next boot"
            .to_owned(),
        text if text.starts_with("on-failure:") => format!("write `on-failure`; {NO_COUNT}"),
        other => match nearest(other, ["always", "on-failure", "never"]) {
            Some(guess) => format!("did you mean `{guess}`?"),
            None => "it is one of `always`, `on-failure` and `never`".to_owned(),
        },
    }
}
