//! Data that would be one directory of a volume twice.

use std::collections::{BTreeMap, BTreeSet};

use crate::adopt::adoption::Adoption;
use crate::adopt::mount::{Data, Mount, Origin};
use crate::adopt::owners::Owners;
use crate::adopt::project::Project;
use crate::phrase::quote;
use crate::report::Finding;
use crate::source::Span;

/// Refuses different data that has one name in a volume, and data that its owner mounts twice. Returns
/// the items that are left out for that.
///
/// Another name in the Compose file would be another Docker volume, which is empty. A directory keeps
/// what is in it under another name.
pub(crate) fn check_clashes(
    project: &Project,
    mounts: &[Vec<Mount>],
    owners: &Owners,
    adoption: &mut Adoption<'_>,
) -> BTreeSet<Span> {
    let mut named: BTreeMap<(usize, String), (&Data, Span)> = BTreeMap::new();
    let mut left_out = BTreeSet::new();
    for (user, mounts) in mounts.iter().enumerate() {
        let owner = quote(&project.services[user].name.value);
        for mount in mounts {
            let Origin::Data(data) = &mount.origin else {
                continue;
            };
            let Some(name) = data.directory().filter(|_| owners.get(data) == Some(&user)) else {
                continue;
            };
            let Some((first, span)) = named.get(&(user, name.clone())).copied() else {
                named.insert((user, name), (data, mount.span));
                continue;
            };
            left_out.insert(mount.span);
            adoption.report.error(|| {
                let (message, hint) = if first == data {
                    is_twice(data, &owner)
                } else {
                    have_one_name((first, data), &owner, &name)
                };
                let finding = Finding::at(mount.span, message);
                finding.also(span, "the first one is here").hint(hint)
            });
        }
    }
    left_out
}

fn is_twice(data: &Data, owner: &str) -> (String, String) {
    (
        format!("{owner} mounts {} twice", shown(data)),
        "Flocker shows a directory of a volume at one path: keep one of the two, and let the program \
         use that path"
            .to_owned(),
    )
}

fn have_one_name((first, second): (&Data, &Data), owner: &str, name: &str) -> (String, String) {
    let message = format!(
        "{} and {} would both be the directory {} in the volume of {owner}",
        shown(first),
        shown(second),
        quote(name)
    );
    let path = [second, first].into_iter().find_map(|one| match one {
        Data::Directory(path) => Some(path.as_str()),
        Data::Volume(_) | Data::Anonymous(..) => None,
    });
    let path = path.unwrap_or(name);
    let hint = format!(
        "give the directory another name, with what is in it: `mv {path} {path}2`, and write `{path}2` in \
         the file"
    );
    (message, hint)
}

fn shown(data: &Data) -> String {
    match data {
        Data::Volume(name) => format!("the volume {}", quote(name)),
        Data::Directory(path) => format!("the directory {}", quote(path)),
        Data::Anonymous(_, target) => format!("the volume at {}", quote(target)),
    }
}
