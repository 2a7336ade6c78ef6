//! The data of the services: which of them owns which volume, and who else sees it.
//!
//! In a Compose file a volume belongs to the project. Here it belongs to one application, which others
//! of the same node may see.

use std::collections::BTreeMap;

use flocker_model::FileMode;

use crate::adopt::adoption::{Adoption, unescaped};
use crate::adopt::clashes::check_clashes;
use crate::adopt::earlier::note_earlier_data;
use crate::adopt::forms::{check_keys, warn_of_keys};
use crate::adopt::mount::{Data, Item, Mount, Origin, read_mount};
use crate::adopt::owners::{Owners, owners};
use crate::adopt::paths::decide;
use crate::adopt::project::{Project, Service, is_false};
use crate::adopt::service::Application;
use crate::adopt::surroundings::PathKind;
use crate::adopt::template::escape_dollars;
use crate::adopt::yaml::{Pair, Yaml, key};
use crate::phrase::quote;
use crate::source::Span;

/// The keys of a volume that the file defines.
const DEFINITION: &[&str] = &["driver", "driver_opts", "external", "labels", "name"];

/// A volume that the file defines.
#[derive(Debug, Default)]
pub(crate) struct Store {
    /// Whether the project uses the volume and did not make it.
    pub(crate) is_external: bool,
    /// Its name in Docker, if the file says that.
    pub(crate) docker_name: Option<String>,
    /// Whether an earlier release of Flocker keeps it.
    pub(crate) is_of_flocker: bool,
    /// The size that an earlier release of Flocker gave it.
    size: Option<Yaml>,
}

/// Returns the name that a volume has in Docker by `name`, or by `external: {name: …}` as it was.
fn name_in_docker(definition: &Yaml) -> Option<String> {
    let external = definition.get("external");
    let name = definition.text_of("name");
    let name = name.or_else(|| external?.text_of("name"));
    name.map(unescaped)
}

impl Store {
    /// Reads the volumes at the top of the file.
    pub(crate) fn read_all(
        project: &Project,
        adoption: &mut Adoption<'_>,
    ) -> BTreeMap<String, Self> {
        let defined = project.volumes.iter().flatten();
        defined
            .map(|(name, value)| (name.value.clone(), Self::read(&name.value, value, adoption)))
            .collect()
    }

    fn read(name: &str, value: &Yaml, adoption: &mut Adoption<'_>) -> Self {
        let what = format!("the volume {}", quote(name));
        check_keys(value, (&what, &[DEFINITION]), adoption);
        let labels = [("labels", "Flocker's volumes have no labels")];
        warn_of_keys(value, (&what, &labels), adoption);
        let external = value
            .entry("external")
            .filter(|(_, value)| !is_false(value));
        let mut store = Self {
            is_external: external.is_some(),
            docker_name: name_in_docker(value),
            is_of_flocker: value.text_of("driver") == Some("flocker"),
            size: None,
        };
        let options = value.get("driver_opts");
        match value.text_of("driver") {
            Some("flocker") => store.size = options.and_then(|one| one.get("size")).cloned(),
            None | Some("local" | "default") if options.is_none() => {}
            driver => {
                let span = value.get("driver_opts").or(value.get("driver"));
                let what = match driver {
                    None | Some("local" | "default") => "options of its driver".to_owned(),
                    Some(driver) => format!("the driver {}", quote(driver)),
                };
                adoption.error(
                    span.map_or(value.span, |value| value.span),
                    format!("the volume {} has {what}", quote(name)),
                    "leave them out: Flocker keeps data in a volume of its own; or mount a path of \
                     the node, `/mnt/data:/data`, which does not move",
                );
            }
        }
        store
    }
}

/// Gives the applications their volumes, files and mounts.
pub(crate) fn arrange_data(
    project: &Project,
    stores: &BTreeMap<String, Store>,
    applications: &mut [Application],
    adoption: &mut Adoption<'_>,
) {
    let services = project.services.iter().enumerate();
    let items = services
        .map(|(index, service)| read_items(index, service, adoption))
        .collect();
    let mounts = decide(project, items, adoption);
    let owners = owners(project, &mounts);
    check_stores(project, stores, &mounts, adoption);
    let left_out = check_clashes(project, &mounts, &owners, adoption);
    note_earlier_data(project, stores, &owners, adoption);
    for (index, service) in project.services.iter().enumerate() {
        let Some(volumes) = service.get("volumes") else {
            continue;
        };
        let application = &mut applications[index];
        let mut items = Vec::new();
        for mount in &mounts[index] {
            match &mount.origin {
                Origin::Data(_) if left_out.contains(&mount.span) => {}
                Origin::Data(data) => {
                    if let Data::Directory(path) = data {
                        application.directories.push((path.clone(), mount.span));
                    }
                    let owner = owners.get(data).copied().unwrap_or(index);
                    let item = if owner == index {
                        let is_once = is_mounted_once(&mounts[index], &mount.origin);
                        own(mount, data, (service, is_once), adoption)
                    } else {
                        shared(mount, data, &project.services[owner], adoption)
                    };
                    items.push(item);
                }
                Origin::Node(path) => items.push(Yaml::string(mount.span, node_path(mount, path))),
                Origin::Files(path) => {
                    let files = files(mount, path, adoption);
                    application.extend("files", mount.span, files);
                }
                Origin::Memory(options) => {
                    let text = format!("{}{options}", mount.target);
                    let item = Yaml::string(mount.span, text);
                    application.extend("tmpfs", mount.span, vec![item]);
                }
            }
        }
        application.extend("volumes", volumes.span, items);
        set_size(
            index,
            (&mounts[index], &owners, stores),
            application,
            adoption,
        );
    }
}

fn read_items(index: usize, service: &Service, adoption: &mut Adoption<'_>) -> Vec<Item> {
    let owner = quote(&service.name.value);
    let items = service.get("volumes").map(Yaml::one_or_many);
    items
        .unwrap_or_default()
        .into_iter()
        .filter_map(|item| read_mount(item, (index, &owner), adoption))
        .collect()
}

/// Looks at what the top of the file says of the volumes that are used.
fn check_stores(
    project: &Project,
    stores: &BTreeMap<String, Store>,
    mounts: &[Vec<Mount>],
    adoption: &mut Adoption<'_>,
) {
    if project.volumes.is_none() {
        return;
    }
    for mount in mounts.iter().flatten() {
        let Origin::Data(Data::Volume(name)) = &mount.origin else {
            continue;
        };
        if !stores.contains_key(name) {
            adoption.error(
                mount.span,
                format!("the volume {} is not defined", quote(name)),
                format!(
                    "add {} to `volumes` at the top of the file",
                    quote(&format!("{name}:"))
                ),
            );
        }
    }
}

/// Tells whether no other item of a service is the same data.
fn is_mounted_once(mounts: &[Mount], origin: &Origin) -> bool {
    mounts.iter().filter(|one| one.origin == *origin).count() == 1
}

/// Writes a directory of the application's own volume. One that the service has twice is refused by
/// the readers of our own files, so that it needs no warning.
fn own(
    mount: &Mount,
    data: &Data,
    (service, is_once): (&Service, bool),
    adoption: &mut Adoption<'_>,
) -> Yaml {
    let owner = quote(&service.name.value);
    if mount.read_only && is_once {
        adoption.warn(
            mount.span,
            format!("{owner} can write at {}, too", quote(&mount.target)),
            "an application can write what is in its own volume",
        );
    }
    let target = &mount.target;
    let text = match data.directory() {
        Some(name) => format!("{name}:{target}"),
        None => target.clone(),
    };
    Yaml::string(mount.span, text)
}

/// Writes a directory of another application's volume.
fn shared(mount: &Mount, data: &Data, owner: &Service, adoption: &mut Adoption<'_>) -> Yaml {
    let span = mount.span;
    let text = format!(
        "{} is in the volume of `{}`, which has to be on the same node",
        mount.target, owner.name.value
    );
    adoption.decide(span, text);
    let pair = |name: &str, value: Yaml| (key(span, name), value);
    let text = |text: &str| Yaml::string(span, text);
    let mut entries: Vec<Pair> = vec![pair("application", text(&owner.name.value))];
    if let Some(name) = data.directory() {
        entries.push(pair("source", text(&name)));
    }
    entries.push(pair("target", text(&mount.target)));
    if mount.read_only {
        entries.push(pair("read_only", Yaml::plain(span, "true")));
    }
    Yaml::mapping(span, entries)
}

fn node_path(mount: &Mount, path: &str) -> String {
    let option = if mount.read_only { ":ro" } else { "" };
    format!("{path}:{}{option}", mount.target)
}

/// Writes a file of the operator's, or every file of a directory.
fn files(mount: &Mount, path: &str, adoption: &mut Adoption<'_>) -> Vec<Yaml> {
    let kind = adoption.kind(path);
    if kind != PathKind::Directory {
        return vec![file(
            mount.span,
            (&adoption.expanded(path), kind),
            &mount.target,
        )];
    }
    let shown = quote(path);
    let path = adoption.expanded(path);
    let names = adoption
        .surroundings
        .files(adoption.beside, &unescaped(&path));
    if names.is_empty() {
        let message = format!("the directory {shown} has no files, and is left out");
        let target = quote(&mount.target);
        let hint = format!(
            "Compose would show an empty directory at {target}; here the container sees what its image \
             has there"
        );
        adoption.warn(mount.span, message, hint);
    } else {
        let target = quote(&mount.target);
        adoption.warn(
            mount.span,
            format!("files of the image in {target} stay beside those of {shown}"),
            "Compose would hide them; Flocker puts each file in place by itself. To hide one, mount a file \
             of yours at its path, such as an empty one",
        );
    }
    let target = mount.target.trim_end_matches('/');
    names
        .iter()
        .map(|name| {
            let name = escape_dollars(name);
            let (source, target) = (format!("{path}/{name}"), format!("{target}/{name}"));
            let kind = adoption.kind(&source);
            file(mount.span, (&source, kind), &target)
        })
        .collect()
}

/// Writes a file with what its owner, its group and others may do with it on the operator's machine,
/// but for writing. One that not everybody may read belongs to the same user as there, which is how
/// Compose shows it: the container's user can read it here if it can there.
fn file(span: Span, (source, kind): (&str, PathKind), target: &str) -> Yaml {
    let pair = |name: &str, text: &str| (key(span, name), Yaml::string(span, text));
    let mut entries = vec![pair("source", source), pair("target", target)];
    if let PathKind::File { mode, uid, gid } = kind {
        let shown = mode & 0o555;
        if shown & 0o004 == 0 {
            entries.push(pair("uid", &uid.to_string()));
            entries.push(pair("gid", &gid.to_string()));
        }
        if shown != FileMode::DEFAULT.bits() {
            entries.push(pair("mode", &format!("{shown:04o}")));
        }
    }
    Yaml::mapping(span, entries)
}

/// Limits the volume of an application as an earlier release limited its only volume.
fn set_size(
    index: usize,
    (mounts, owners, stores): (&[Mount], &Owners, &BTreeMap<String, Store>),
    application: &mut Application,
    adoption: &mut Adoption<'_>,
) {
    let own: Vec<&Data> = mounts
        .iter()
        .filter_map(|mount| match &mount.origin {
            Origin::Data(data) if owners.get(data) == Some(&index) => Some(data),
            _ => None,
        })
        .collect();
    let size_of = |data: &Data| match data {
        Data::Volume(name) => stores.get(name)?.size.clone(),
        _ => None,
    };
    match own.as_slice() {
        [only] => {
            if let Some(size) = size_of(only) {
                let span = size.span;
                let entries = vec![(key(span, "maximum_size"), size)];
                application.set(key(span, "volume"), Yaml::mapping(span, entries), adoption);
            }
        }
        several => {
            for size in several.iter().filter_map(|data| size_of(data)) {
                adoption.warn(
                    size.span,
                    "the size of one of several volumes of an application is left out",
                    "they are directories of one volume; limit it with `maximum_size` of `volume`",
                );
            }
        }
    }
}
