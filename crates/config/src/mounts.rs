//! Items of the key `volumes` that show something else than the application's own volume: paths of the
//! node, and another application's volume.

use flocker_model::{DirectoryName, HostMount, HostPath, InvalidName, MountPath};

use crate::fields::Field;
use crate::keys::{Foreign, KnownKeys};
use crate::phrase::{quote, quote_line};
use crate::quantity::Refusal;
use crate::report::{Finding, Report};
use crate::source::{Located, Span};
use crate::tree::{ScalarKind, Value};
use crate::volume::read_path;

/// The long form of an item, which has Compose's names; `application` is ours.
const KEYS: KnownKeys = KnownKeys {
    keys: &["type", "application", "source", "target", "read_only"],
    foreign: &[
        Foreign::same("src", "source"),
        Foreign::same("dst", "target"),
        Foreign::same("destination", "target"),
        Foreign::same("mountpoint", "target"),
        Foreign::same("readonly", "read_only"),
        Foreign::nothing(
            "bind",
            "leave it out; a path of the node must exist, and mounts are private to the container",
        ),
        Foreign::nothing(
            "volume",
            "leave it out; `source` names a directory of the volume",
        ),
        Foreign::nothing("consistency", "leave it out; it means nothing on Linux"),
    ],
};

/// A path of the node, and where the container sees it.
#[derive(Debug)]
pub(crate) struct DraftHostMount {
    pub(crate) target: Located<MountPath>,
    pub(crate) mount: HostMount,
    pub(crate) span: Span,
}

/// A part of another application's volume, and where the container sees it.
#[derive(Debug)]
pub(crate) struct DraftShare {
    /// The application whose volume it is, which may not exist.
    pub(crate) application: Located<String>,
    pub(crate) part: SharedPart,
    pub(crate) read_only: bool,
}

/// The part of a volume that another application sees.
#[derive(Debug)]
pub(crate) enum SharedPart {
    /// Everything that the volume's own application sees, at the same paths: `volumes_from`.
    AsThere,
    /// The volume, or a directory of it, at a path.
    At {
        directory: Option<Located<DirectoryName>>,
        target: Located<MountPath>,
    },
}

/// Tells whether an item is Compose's short form of a path of the node.
pub(crate) fn is_host_mount(text: &str) -> bool {
    text.contains(':') && text.starts_with(['/', '.', '~'])
}

/// Reads `/source:/target` and `/source:/target:ro`.
pub(crate) fn read_host_mount(
    field: &Field<'_>,
    text: &Located<String>,
    report: &mut Report,
) -> Option<DraftHostMount> {
    let (source, rest) = text.value.split_once(':')?;
    let (target, option) = match rest.split_once(':') {
        None => (rest, None),
        Some((target, option)) => (target, Some(option)),
    };
    let mount = read_source(field, (source, target), report);
    let read_only = match option {
        None | Some("rw") => Some(false),
        Some("ro") => Some(true),
        Some(other) => {
            report.error(|| {
                let problem = format!("has the option {}", quote(other));
                let hint = format!(
                    "write {}, or `:ro` after it for a mount that can only be read",
                    quote(&format!("{source}:{target}"))
                );
                field.refused(&text.value, Refusal::new(&problem, hint))
            });
            None
        }
    };
    let start = source.len() + 1;
    let path = match target.parse::<MountPath>() {
        Ok(value) => Some(Located {
            value,
            span: field.span_of(&text.value, start..start + target.len()),
        }),
        Err(invalid) => {
            report.error(|| {
                let message = format!("{}: {} {}", field.what, quote(target), invalid.problem);
                Finding::at(text.span, message)
                    .hint("write the path inside the container, from `/` on")
            });
            None
        }
    };
    Some(DraftHostMount {
        target: path?,
        mount: HostMount {
            source: mount?,
            read_only: read_only?,
        },
        span: text.span,
    })
}

/// Reads a path of the node that the container sees at `target`.
fn read_source(
    field: &Field<'_>,
    (source, target): (&str, &str),
    report: &mut Report,
) -> Option<HostPath> {
    let invalid = match source.parse() {
        Ok(path) => return Some(path),
        Err(invalid) => invalid,
    };
    report.error(|| source_refused(field, &invalid, target));
    None
}

fn source_refused(field: &Field<'_>, invalid: &InvalidName, target: &str) -> Finding {
    let source = &invalid.name;
    let (problem, hint) = if source.starts_with(['.', '~']) {
        (
            "is a path of your own machine",
            "write files of your machine in `files`, which puts them in place on the node; a path of \
             the node is written from `/` on"
                .to_owned(),
        )
    } else if source.starts_with('/') {
        (invalid.problem, host_hint(source, target))
    } else {
        (
            invalid.problem,
            "write a path of the node from `/` on".to_owned(),
        )
    };
    let message = format!("{}: {} {problem}", field.what, quote(source));
    Finding::at(field.span(), message).hint(hint)
}

/// Says what to write instead of a path of the node that cannot be mounted.
fn host_hint(source: &str, target: &str) -> String {
    let mut parts = source.split('/').filter(|part| !matches!(*part, "" | "."));
    let target = target.trim_end_matches('/');
    match parts.next() {
        None => format!(
            "Flocker does not mount it; name the single paths that the program needs, such as \
             `/proc:{target}/proc:ro`"
        ),
        Some(_) if source.split('/').any(|part| part == "..") => {
            "write the path without `..`".to_owned()
        }
        Some(_) => format!(
            "write a path outside of it; another application's volume is \
             `{{application: NAME, target: {target}}}`"
        ),
    }
}

/// An item that may be in the long form.
pub(crate) enum LongForm {
    /// It is neither a path of the node nor of another application's volume.
    Other,
    /// It is wrong, which was reported.
    Wrong,
    Host(DraftHostMount),
    Share(DraftShare),
}

/// Reads an item in its long form.
pub(crate) fn read_long_form(item: Value<'_>, name: &str, report: &mut Report) -> LongForm {
    let kind = item.get("type").and_then(|entry| entry.value.text());
    let (entries, application) = (item.entries(), item.get("application"));
    let Some(entries) = entries.filter(|_| kind == Some("bind") || application.is_some()) else {
        return LongForm::Other;
    };
    let meant = KEYS.check(&entries, name, report);
    let field_of = |key: &str| item.get(key).map(|entry| Field::of(entry, name));
    let read_only = match field_of("read_only") {
        Some(field) => read_flag(&field, report),
        None => Some(false),
    };
    let example = match application {
        Some(_) => "`{application: nextcloud, source: html, target: /srv/html}`",
        None => "`{type: bind, source: /etc/localtime, target: /etc/localtime, read_only: true}`",
    };
    let target = if let Some(field) = field_of("target") {
        read_path(&field, report)
    } else {
        missing((item, name), ("target", example), &meant, report);
        None
    };
    let source = field_of("source");
    let read = match (application, source) {
        (None, None) => {
            missing((item, name), ("source", example), &meant, report);
            None
        }
        (None, Some(source)) => finish_host((item, &source), target, read_only, report),
        (Some(application), source) => {
            check_type((item, name), kind, report);
            let application = Field::of(application, name).name(report);
            let directory = match source {
                Some(field) => read_directory_name(&field, report).map(Some).ok_or(()),
                None => Ok(None),
            };
            finish_share((application, directory), target, read_only)
        }
    };
    read.unwrap_or(LongForm::Wrong)
}

/// Refuses another type beside `application` than `volume`.
fn check_type((item, name): (Value<'_>, &str), kind: Option<&str>, report: &mut Report) {
    if let Some(kind) = kind.filter(|kind| *kind != "volume") {
        report.error(|| {
            let message = format!("{name} has both `application` and the type {}", quote(kind));
            Finding::at(item.span(), message).hint("leave `type` out; it is a volume")
        });
    }
}

/// A directory that may be left out; an error was reported.
type OptionalDirectory = Result<Option<Located<DirectoryName>>, ()>;

fn finish_share(
    (application, directory): (Option<Located<String>>, OptionalDirectory),
    target: Option<Located<MountPath>>,
    read_only: Option<bool>,
) -> Option<LongForm> {
    Some(LongForm::Share(DraftShare {
        application: application?,
        part: SharedPart::At {
            directory: directory.ok()?,
            target: target?,
        },
        read_only: read_only?,
    }))
}

fn finish_host(
    (item, source): (Value<'_>, &Field<'_>),
    target: Option<Located<MountPath>>,
    read_only: Option<bool>,
    report: &mut Report,
) -> Option<LongForm> {
    let text = source.string(report)?;
    let shown = target
        .as_ref()
        .map_or("/PATH", |target| target.value.as_str());
    let source = read_source(source, (&text.value, shown), report)?;
    Some(LongForm::Host(DraftHostMount {
        target: target?,
        mount: HostMount {
            source,
            read_only: read_only?,
        },
        span: item.span(),
    }))
}

fn read_directory_name(field: &Field<'_>, report: &mut Report) -> Option<Located<DirectoryName>> {
    let text = field.name(report)?;
    match text.value.parse() {
        Ok(value) => Some(Located {
            value,
            span: text.span,
        }),
        Err(invalid) => {
            report.error(|| {
                let message = format!(
                    "{}: the directory {} {}",
                    field.what,
                    quote(&text.value),
                    invalid.problem
                );
                Finding::at(text.span, message)
                    .hint("name a directory of the other application's `volumes`")
            });
            None
        }
    }
}

fn missing(
    (item, name): (Value<'_>, &str),
    (key, example): (&'static str, &str),
    meant: &[&str],
    report: &mut Report,
) {
    if !meant.contains(&key) {
        report.error(|| {
            Finding::at(item.span(), format!("{name} has no `{key}`"))
                .hint(format!("write {example}"))
        });
    }
}

/// Reads `true` or `false`.
pub(crate) fn read_flag(field: &Field<'_>, report: &mut Report) -> Option<bool> {
    let scalar = field.value.scalar();
    let flag = scalar.filter(|scalar| scalar.kind == ScalarKind::Boolean);
    match flag.map(|scalar| scalar.text.as_str()) {
        Some("true" | "True" | "TRUE") => Some(true),
        Some("false" | "False" | "FALSE") => Some(false),
        _ => {
            report.error(|| {
                field
                    .wrong_type("`true` or `false`")
                    .hint(field.line("true"))
            });
            None
        }
    }
}

/// Reads `volumes_from`: names of applications, with `:ro` or `:rw` behind them.
pub(crate) fn read_volumes_from(
    field: &Field<'_>,
    owner: &str,
    report: &mut Report,
) -> Vec<DraftShare> {
    let hint = || {
        let text = field.value.text().unwrap_or("nextcloud:ro");
        Some(field.line(&format!("[{text}]")))
    };
    let items = field.list("a list of applications", report, hint);
    let items = items.unwrap_or_default().into_iter();
    items
        .filter_map(|item| {
            let item = Field::item(format!("an application in `volumes_from` of {owner}"), item);
            read_from(&item, report)
        })
        .collect()
}

fn read_from(item: &Field<'_>, report: &mut Report) -> Option<DraftShare> {
    let text = item.name(report)?;
    let (name, option) = match text.value.split_once(':') {
        None => (text.value.as_str(), None),
        Some((name, option)) => (name, Some(option)),
    };
    let read_only = match option {
        None | Some("rw") => false,
        Some("ro") => true,
        Some(option) => {
            let hint = match (name, option) {
                ("container", other) => format!(
                    "a container that Flocker does not run cannot be named; write an application, such \
                     as {}",
                    quote_line(other.split(':').next().unwrap_or(other))
                ),
                _ => format!("write {} or {}", quote(name), quote(&format!("{name}:ro"))),
            };
            let problem = format!("has the option {}", quote(option));
            report.error(|| item.refused(&text.value, Refusal::new(&problem, hint)));
            return None;
        }
    };
    let span = item.span_of(&text.value, 0..name.len());
    Some(DraftShare {
        application: Located {
            value: name.to_owned(),
            span,
        },
        part: SharedPart::AsThere,
        read_only,
    })
}
