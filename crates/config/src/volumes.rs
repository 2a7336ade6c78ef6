//! The keys `volume`, `volumes`, `volumes_from` and `scratch` together: which paths of a container are
//! kept where.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{
    ContainerFile, DirectoryName, HostMount, MountPath, SharedVolume, VolumeLayout,
    VolumeSpecification,
};

use crate::directory::read_directory;
use crate::fields::Field;
use crate::files::{DraftFile, read_files};
use crate::mounts::{
    DraftHostMount, DraftShare, LongForm, SharedPart, is_host_mount, read_host_mount,
    read_long_form, read_volumes_from,
};
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
    pub(crate) host_mounts: BTreeMap<MountPath, HostMount>,
    /// The parts of other applications' volumes, as they were written.
    pub(crate) shares: Vec<DraftShare>,
    /// What they are, once all applications are known.
    pub(crate) shared: Option<SharedVolume>,
    /// Where a volume of its own was written, be it right or wrong.
    pub(crate) own: Option<Span>,
    /// The paths that something is at.
    pub(crate) paths: Paths,
}

/// The items of the key `volumes`.
#[derive(Default)]
struct Items {
    directories: BTreeMap<MountPath, DirectoryName>,
    names: BTreeMap<DirectoryName, Span>,
    host_mounts: BTreeMap<MountPath, HostMount>,
    shares: Vec<DraftShare>,
    /// Where the first directory of the own volume was written, be it right or wrong.
    own: Option<Span>,
}

/// Reads what the application that messages call `owner` keeps.
pub(crate) fn read_data(application: Value<'_>, owner: &str, report: &mut Report) -> Data {
    let field_of = |key: &str| application.get(key).map(|entry| Field::of(entry, owner));
    let (whole, parts) = (field_of("volume"), field_of("volumes"));
    let mut paths = Paths::default();
    let has_parts = parts.as_ref().is_some_and(has_directories);
    let draft = whole
        .as_ref()
        .and_then(|field| read_volume(field, owner, !has_parts, report));
    if let Some(mountpoint) = draft.as_ref().and_then(|draft| draft.mountpoint.as_ref()) {
        paths.take_directory(mountpoint, owner, report);
        if let Some(parts) = parts.as_ref().filter(|_| has_parts) {
            report.error(|| both_keys(parts, mountpoint.span, owner));
        }
    }
    let mut items = Items::default();
    if let Some(field) = &parts {
        items.read(field, (owner, &mut paths), report);
    }
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
    if let Some(field) = field_of("volumes_from") {
        items
            .shares
            .extend(read_volumes_from(&field, owner, report));
    }
    Data {
        volume: specification(draft, items.directories),
        scratch,
        files,
        host_mounts: items.host_mounts,
        shares: items.shares,
        shared: None,
        own: whole.map(|field| field.span()).or(items.own),
        paths,
    }
}

/// Tells whether some item is a directory of the own volume, or is meant to be one.
fn has_directories(volumes: &Field<'_>) -> bool {
    if volumes.value.is_null() {
        return false;
    }
    volumes
        .value
        .items()
        .is_none_or(|items| items.iter().any(|item| is_directory(*item)))
}

/// Tells whether an item is a directory of the own volume, or is meant to be one.
fn is_directory(item: Value<'_>) -> bool {
    let is_text = |key: &str, text: &str| {
        let entry = item.get(key);
        entry.and_then(|entry| entry.value.text()) == Some(text)
    };
    match item.text() {
        Some(text) => !is_host_mount(text),
        None => item.get("application").is_none() && !is_text("type", "bind"),
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
#[derive(Debug, Default)]
pub(crate) struct Paths(BTreeMap<MountPath, Span>);

impl Paths {
    /// Takes a path for a directory that Flocker keeps, and tells whether one can be there.
    fn take_directory(
        &mut self,
        path: &Located<MountPath>,
        owner: &str,
        report: &mut Report,
    ) -> bool {
        let place = path.value.cleaned();
        let first = place.components().next().unwrap_or_default();
        if !matches!(first, "proc" | "sys") && place.as_str() != "/dev" {
            return self.take(path, owner, report);
        }
        report.error(|| {
            let message = format!("{owner} cannot keep files at {}", quote(place.as_str()));
            let hint = "the kernel is at `/proc`, `/sys` and `/dev`; choose another path";
            Finding::at(path.span, message).hint(hint)
        });
        false
    }

    /// Takes a path, and tells whether it was free.
    pub(crate) fn take(
        &mut self,
        path: &Located<MountPath>,
        owner: &str,
        report: &mut Report,
    ) -> bool {
        let place = path.value.cleaned();
        let Some(first) = self.0.get(&place) else {
            self.0.insert(place, path.span);
            return true;
        };
        report.error(|| {
            let message = format!("{owner} has the path {} twice", quote(place.as_str()));
            Finding::at(path.span, message)
                .also(*first, "first used here")
                .hint("each path of the container is written once")
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
            && paths.take_directory(&path, owner, report)
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

impl Items {
    fn read(&mut self, field: &Field<'_>, (owner, paths): (&str, &mut Paths), report: &mut Report) {
        for item in list_of_paths(field, "a list of paths", report) {
            let name = format!("a volume of {owner}");
            match read_long_form(item, &name, report) {
                LongForm::Other => {}
                LongForm::Wrong => continue,
                LongForm::Host(mount) => {
                    self.add_host_mount(mount, (owner, paths), report);
                    continue;
                }
                LongForm::Share(share) => {
                    if let SharedPart::At { target, .. } = &share.part {
                        paths.take(target, owner, report);
                    }
                    self.shares.push(share);
                    continue;
                }
            }
            let item = Field::item(name, item);
            if item.value.text().is_some_and(is_host_mount) {
                let text = item.string(report);
                let mount = text.and_then(|text| read_host_mount(&item, &text, report));
                if let Some(mount) = mount {
                    self.add_host_mount(mount, (owner, paths), report);
                }
                continue;
            }
            self.own.get_or_insert_with(|| item.span());
            self.add_directory(&item, (owner, paths), report);
        }
    }

    /// Adds a path of the node, with a warning: an application that moves finds another there.
    fn add_host_mount(
        &mut self,
        draft: DraftHostMount,
        (owner, paths): (&str, &mut Paths),
        report: &mut Report,
    ) {
        if !paths.take(&draft.target, owner, report) {
            return;
        }
        report.warning(|| {
            let source = quote(draft.mount.source.as_str());
            let message =
                format!("{owner} is given {source} of its node, which does not move with it");
            Finding::at(draft.span, message)
                .hint("every node that it is placed on needs this path; data belongs in its volume")
        });
        self.host_mounts
            .insert(draft.target.value.cleaned(), draft.mount);
    }

    fn add_directory(
        &mut self,
        item: &Field<'_>,
        (owner, paths): (&str, &mut Paths),
        report: &mut Report,
    ) {
        let Some((path, name)) = read_directory(item, report) else {
            return;
        };
        if !paths.take_directory(&path, owner, report) {
            return;
        }
        if let Some(first) = self.names.get(&name) {
            report.error(|| {
                let name = quote(name.as_str());
                let message = format!("two volumes of {owner} are the directory {name}");
                Finding::at(path.span, message)
                    .also(*first, "the first one is here")
                    .hint(format!("give it another name: `NAME:{}`", path.value))
            });
            return;
        }
        self.names.insert(name.clone(), path.span);
        self.directories.insert(path.value.cleaned(), name);
    }
}
