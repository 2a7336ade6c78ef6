//! The keys `volume`, `volumes` and `scratch` together: which paths of a container are kept where.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{ContainerFile, DirectoryName, MountPath, VolumeLayout, VolumeSpecification};

use crate::directory::read_directory;
use crate::fields::Field;
use crate::files::{DraftFile, read_files};
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
    pub(crate) files: BTreeMap<MountPath, ContainerFile>,
}

/// Reads what the application that messages call `owner` keeps.
pub(crate) fn read_data(application: Value<'_>, owner: &str, report: &mut Report) -> Data {
    let field_of = |key: &str| application.get(key).map(|entry| Field::of(entry, owner));
    let (whole, parts) = (field_of("volume"), field_of("volumes"));
    let mut paths = Paths::default();
    let draft = whole.as_ref().and_then(|field| {
        let needs_mountpoint = parts.as_ref().is_none_or(|parts| {
            let items = parts.value.items();
            parts.value.is_null() || items.is_some_and(|items| items.is_empty())
        });
        read_volume(field, owner, needs_mountpoint, report)
    });
    if let Some(mountpoint) = draft.as_ref().and_then(|draft| draft.mountpoint.as_ref()) {
        paths.take(mountpoint, owner, report);
        if let Some(parts) = &parts {
            report.error(|| both_keys(parts, mountpoint.span, owner));
        }
    }
    let directories = parts
        .map(|field| read_directories(&field, owner, &mut paths, report))
        .unwrap_or_default();
    let scratch = field_of("scratch")
        .map(|field| read_scratch(&field, owner, &mut paths, report))
        .unwrap_or_default();
    let files = field_of("files")
        .map(|field| {
            take_files(
                read_files(&field, owner, report),
                (owner, &mut paths),
                report,
            )
        })
        .unwrap_or_default();
    Data {
        volume: specification(draft, directories),
        scratch,
        files,
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
                .hint("a path is in one of `volume`, `volumes`, `scratch` and `files`, once")
        });
        false
    }
}

/// Takes the path of each file, which may be inside of a directory that is mounted.
fn take_files(
    files: Vec<DraftFile>,
    (owner, paths): (&str, &mut Paths),
    report: &mut Report,
) -> BTreeMap<MountPath, ContainerFile> {
    let mut taken = BTreeMap::new();
    for (target, file) in files {
        let place = target.value.cleaned();
        let inside = paths.0.iter().find(|(path, _)| {
            let names = place.relative(path);
            names.is_some_and(|names| !names.is_empty())
        });
        if let Some((path, span)) = inside {
            report.error(|| {
                let (path, place) = (quote(path.as_str()), quote(place.as_str()));
                let message = format!("{owner} has the path {path} below {place}, which is a file");
                Finding::at(target.span, message).also(*span, "the path below it")
            });
        } else if paths.take(&target, owner, report) {
            taken.insert(place, file);
        }
    }
    taken
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
