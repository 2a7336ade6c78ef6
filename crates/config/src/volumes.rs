//! The keys `volume`, `volumes` and `scratch` together: which paths of a container are kept where.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{DirectoryName, MountPath, VolumeLayout, VolumeSpecification};

use crate::fields::Field;
use crate::phrase::quote;
use crate::report::{Finding, Report};
use crate::source::{Located, Span};
use crate::tree::Value;
use crate::volume::{DraftVolume, read_path, read_volume};

/// What an application keeps, and where its container sees it.
#[derive(Debug, Default)]
pub(crate) struct Data {
    pub(crate) volume: Option<VolumeSpecification>,
    pub(crate) scratch: BTreeSet<MountPath>,
}

/// Reads what the application that messages call `owner` keeps.
pub(crate) fn read_data(application: Value<'_>, owner: &str, report: &mut Report) -> Data {
    let field_of = |key: &str| application.get(key).map(|entry| Field::of(entry, owner));
    let (volume_field, volumes_field) = (field_of("volume"), field_of("volumes"));
    let mut paths = Paths::default();
    let draft = volume_field.as_ref().and_then(|field| {
        let needs_mountpoint = volumes_field.as_ref().is_none_or(|volumes| {
            let items = volumes.value.items().unwrap_or_default();
            volumes.value.is_null() || items.is_empty()
        });
        read_volume(field, owner, needs_mountpoint, report)
    });
    if let Some(mountpoint) = draft.as_ref().and_then(|draft| draft.mountpoint.as_ref()) {
        paths.take(mountpoint, owner, report);
        if let Some(volumes) = &volumes_field {
            report.error(|| both_keys(volumes, mountpoint.span, owner));
        }
    }
    let directories = volumes_field
        .map(|field| read_directories(&field, owner, &mut paths, report))
        .unwrap_or_default();
    let scratch = field_of("scratch")
        .map(|field| read_scratch(&field, owner, &mut paths, report))
        .unwrap_or_default();
    Data {
        volume: specification(draft, directories),
        scratch,
    }
}

fn specification(
    draft: Option<DraftVolume>,
    directories: BTreeMap<MountPath, DirectoryName>,
) -> Option<VolumeSpecification> {
    let (mountpoint, maximum_size) = match draft {
        Some(draft) => (draft.mountpoint, draft.maximum_size),
        None => (None, None),
    };
    let layout = match mountpoint {
        Some(mountpoint) => VolumeLayout::Whole {
            mountpoint: mountpoint.value,
        },
        None if directories.is_empty() => return None,
        None => VolumeLayout::Directories { directories },
    };
    Some(VolumeSpecification {
        layout,
        maximum_size,
    })
}

fn both_keys(volumes: &Field<'_>, mountpoint: Span, owner: &str) -> Finding {
    Finding::at(
        volumes.span(),
        format!("{owner} has both `volume` with a path and `volumes`"),
    )
    .also(mountpoint, "the path of the whole volume")
    .hint(
        "`volume` shows the whole volume at one path, `volumes` shows directories of it; write all \
         paths in `volumes`, and only `maximum_size` in `volume`",
    )
}

/// The paths of one container that something is at.
#[derive(Default)]
struct Paths(BTreeMap<MountPath, Span>);

impl Paths {
    /// Takes a path, and tells whether it was free.
    fn take(&mut self, path: &Located<MountPath>, owner: &str, report: &mut Report) -> bool {
        let place = path.value.cleaned();
        let Some(first) = self.0.get(&place) else {
            self.0.insert(place, path.span);
            return true;
        };
        report.error(|| {
            let message = format!("{owner} has the path {} twice", quote(place.as_str()));
            Finding::at(path.span, message)
                .also(*first, "first used here")
                .hint("a path is in one of `volume`, `volumes` and `scratch`, once")
        });
        false
    }
}

fn read_scratch(
    field: &Field<'_>,
    owner: &str,
    paths: &mut Paths,
    report: &mut Report,
) -> BTreeSet<MountPath> {
    let mut scratch = BTreeSet::new();
    for item in list_of_paths(field, "a list of paths", report) {
        let item = Field::item(format!("a scratch path of {owner}"), item);
        if let Some(path) = read_path(&item, report)
            && paths.take(&path, owner, report)
        {
            scratch.insert(path.value.cleaned());
        }
    }
    scratch
}

/// Reads a list; a path that stands alone gets the brackets shown.
fn list_of_paths<'t>(field: &Field<'t>, expected: &str, report: &mut Report) -> Vec<Value<'t>> {
    let hint = || {
        let text = field.value.text().unwrap_or("/var/lib/data");
        Some(field.line(&format!("[{text}]")))
    };
    field.list(expected, report, hint).unwrap_or_default()
}

fn read_directories(
    field: &Field<'_>,
    owner: &str,
    paths: &mut Paths,
    report: &mut Report,
) -> BTreeMap<MountPath, DirectoryName> {
    let mut directories = BTreeMap::new();
    let mut names: BTreeMap<DirectoryName, Span> = BTreeMap::new();
    for item in list_of_paths(field, "a list of paths", report) {
        let item = Field::item(format!("a volume of {owner}"), item);
        let Some((path, name)) = read_directory(&item, report) else {
            continue;
        };
        if !paths.take(&path, owner, report) {
            continue;
        }
        if let Some(first) = names.get(&name) {
            report.error(|| {
                let name = quote(name.as_str());
                let message = format!("two volumes of {owner} are the directory {name}");
                Finding::at(path.span, message)
                    .also(*first, "the first one is here")
                    .hint(format!("give it another name: `NAME:{}`", path.value))
            });
            continue;
        }
        names.insert(name.clone(), path.span);
        directories.insert(path.value.cleaned(), name);
    }
    directories
}

/// Reads `/path` or `name:/path`.
fn read_directory(
    field: &Field<'_>,
    report: &mut Report,
) -> Option<(Located<MountPath>, DirectoryName)> {
    if field.value.scalar().is_none() {
        report.error(|| {
            field
                .wrong_type("`/path` or `name:/path`")
                .hint(long_form(field.value))
        });
        return None;
    }
    let text = field.string(report)?;
    let (name, path) = match text.value.split_once(':') {
        None => (None, text.value.as_str()),
        Some((name, path)) => (Some(name), path),
    };
    let place = text.value.len() - path.len()..text.value.len();
    let mut refuse = |problem: &str, hint: &str| {
        report.error(|| {
            let message = format!("{}: {} {problem}", field.what, quote(&text.value));
            Finding::at(text.span, message).hint(hint)
        });
    };
    if let Some((path, option)) = path.split_once(':') {
        let problem = format!("has the option {}", quote(option));
        refuse(&problem, &option_hint(option, name, path));
        return None;
    }
    if name.is_some_and(is_of_node) {
        let hint = format!(
            "write {} to keep it in the application's volume",
            quote(path)
        );
        refuse("is a directory of the node, which does not move", &hint);
        return None;
    }
    let path = match path.parse::<MountPath>() {
        Ok(path) => path,
        Err(invalid) => {
            refuse(
                invalid.problem,
                "write the path inside the container, from `/` on, or `name:/path`",
            );
            return None;
        }
    };
    let directory = match name {
        Some(name) => name.parse(),
        None => DirectoryName::of_path(&path).as_str().parse(),
    };
    match directory {
        Ok(directory) => {
            let span = field.span_of(&text.value, place);
            Some((Located { value: path, span }, directory))
        }
        Err(invalid) => {
            let hint = format!(
                "write {} with a name of letters, digits, `.`, `_` and `-`",
                quote(&format!("NAME:{path}"))
            );
            let problem = format!(
                "would be the directory {}, which {}",
                quote(&invalid.name),
                invalid.problem
            );
            refuse(&problem, &hint);
            None
        }
    }
}

/// Tells whether Compose would take a directory of the node in the place of this name.
fn is_of_node(name: &str) -> bool {
    name.starts_with(['/', '.', '~'])
}

/// Writes an item of Compose's `volumes` so that it can stand in ours.
pub(crate) fn as_directory(text: &str) -> &str {
    match text.split_once(':') {
        Some((name, path)) if is_of_node(name) => path,
        _ => text,
    }
}

/// Answers what Compose writes after the path.
fn option_hint(option: &str, name: Option<&str>, path: &str) -> String {
    let rest = match name {
        Some(name) if !is_of_node(name) => format!("{name}:{path}"),
        _ => path.to_owned(),
    };
    if matches!(option, "rw" | "z" | "Z") {
        format!("write {}", quote(&rest))
    } else {
        format!(
            "Flocker has no such option; {} can be read and written",
            quote(&rest)
        )
    }
}

/// Answers Compose's long form of a volume.
fn long_form(value: Value<'_>) -> String {
    let text = |key: &str| value.get(key).and_then(|entry| entry.value.text());
    match (text("type"), text("source"), text("target")) {
        (None | Some("volume"), Some(source), Some(target)) => {
            format!("write {}", quote(&format!("{source}:{target}")))
        }
        (None | Some("volume"), None, Some(target)) => format!("write {}", quote(target)),
        (Some("tmpfs"), _, Some(target)) => format!(
            "memory as a file system is not supported; `scratch: [{target}]` is on the node's disk"
        ),
        (Some("bind"), _, _) => {
            "a directory of the node does not move and is not supported".to_owned()
        }
        _ => "write `/var/lib/data` or `data:/var/lib/data`".to_owned(),
    }
}
