//! Volumes that several applications see, checked against each other.

use std::collections::BTreeMap;

use flocker_model::{DirectoryName, MountPath, SharedMount, SharedVolume, VolumeLayout};

use crate::application::Draft;
use crate::cross::{Places, did_you_mean, names};
use crate::mounts::{DraftShare, SharedPart};
use crate::options::overlap;
use crate::phrase::{enumerate, quote};
use crate::report::{Finding, Report};
use crate::source::{Located, Span};

/// What others have to know of an application whose volume they see.
struct Owner {
    /// Where its own volume was written, be it right or wrong.
    own: Option<Span>,
    layout: Option<VolumeLayout>,
    /// Where it says that it sees another's volume.
    sees: Option<Span>,
}

/// Finds out which parts of which volumes the applications see that see another's.
pub(crate) fn resolve_shares(drafts: &mut [Draft], report: &mut Report) {
    if drafts.iter().all(|draft| draft.data.shares.is_empty()) {
        return;
    }
    let owners: BTreeMap<String, Owner> = drafts
        .iter()
        .map(|draft| {
            let owner = Owner {
                own: draft.data.own,
                layout: draft
                    .data
                    .volume
                    .as_ref()
                    .map(|volume| volume.layout.clone()),
                sees: first_share(draft).map(|share| share.application.span),
            };
            (draft.name.value.clone(), owner)
        })
        .collect();
    for index in 0..drafts.len() {
        if let Some(layout) = check_owner(&drafts[index], (drafts, &owners), report) {
            let draft = &mut drafts[index];
            draft.data.shared = resolve(draft, &layout, report);
        }
    }
}

fn first_share(draft: &Draft) -> Option<&DraftShare> {
    draft.data.shares.first()
}

/// Checks that an application sees the volume of one other, and returns what that sees itself.
fn check_owner(
    draft: &Draft,
    (drafts, owners): (&[Draft], &BTreeMap<String, Owner>),
    report: &mut Report,
) -> Option<VolumeLayout> {
    let target = &first_share(draft)?.application;
    let owner = quote(&draft.name.value);
    let wanted = quote(&target.value);
    if target.value == draft.name.value {
        report.error(|| {
            Finding::at(
                target.span,
                format!("{owner} names itself as another application"),
            )
            .hint("leave `application` out, and write `name:/path`")
        });
        return None;
    }
    let Some(found) = owners.get(&target.value) else {
        report.error(|| {
            let message = format!("{owner} sees the volume of {wanted}, which is not defined");
            Finding::at(target.span, message)
                .maybe_hint(did_you_mean(&target.value, &names(drafts)))
        });
        return None;
    };
    let others = draft.data.shares.iter().map(|share| &share.application);
    if let Some(other) = others.clone().find(|other| other.value != target.value) {
        report.error(|| two_owners(&owner, target, other));
        return None;
    }
    if let Some(own) = draft.data.own {
        report.error(|| {
            let message = format!("{owner} has a volume of its own and sees that of {wanted}");
            Finding::at(target.span, message)
                .also(own, "its own volume")
                .hint(format!(
                    "an application sees one volume, so that one snapshot holds all of its data: add \
                     its paths to the `volumes` of {wanted}, or use `scratch` for what can be lost"
                ))
        });
        return None;
    }
    if let Some(sees) = found.sees {
        report.error(|| {
            let message = format!(
                "{owner} sees the volume of {wanted}, which sees another application's itself"
            );
            Finding::at(target.span, message)
                .also(sees, "it does so here")
                .hint("name the application that the volume belongs to")
        });
        return None;
    }
    if found.own.is_none() {
        report.error(|| {
            let message = format!("{owner} sees the volume of {wanted}, which has none");
            Finding::at(target.span, message).hint(format!("give {wanted} a `volume` or `volumes`"))
        });
    }
    found.layout.clone()
}

fn two_owners(owner: &str, first: &Located<String>, other: &Located<String>) -> Finding {
    let (one, two) = (quote(&first.value), quote(&other.value));
    Finding::at(
        other.span,
        format!("{owner} sees the volumes of two applications, {one} and {two}"),
    )
    .also(first.span, "the first one is here")
    .hint("an application sees one volume; keep the data of both in one application's `volumes`")
}

/// Works out the mount points.
fn resolve(draft: &mut Draft, layout: &VolumeLayout, report: &mut Report) -> Option<SharedVolume> {
    let shares = std::mem::take(&mut draft.data.shares);
    let owner = quote(&draft.name.value);
    let mut mounts = BTreeMap::new();
    for share in &shares {
        let parts: Vec<(MountPath, Option<DirectoryName>)> = match (&share.part, layout) {
            (SharedPart::AsThere, VolumeLayout::Whole { mountpoint }) => {
                vec![(mountpoint.cleaned(), None)]
            }
            (SharedPart::AsThere, VolumeLayout::Directories { directories }) => {
                let all = directories.iter();
                all.map(|(path, name)| (path.clone(), Some(name.clone())))
                    .collect()
            }
            (SharedPart::At { directory, target }, layout) => {
                if !check_directory(&owner, share, (directory.as_ref(), layout), report) {
                    continue;
                }
                let name = directory.as_ref().map(|name| name.value.clone());
                vec![(target.value.cleaned(), name)]
            }
        };
        for (path, directory) in parts {
            let located = Located {
                value: path,
                span: share.application.span,
            };
            // A path of its own was taken when it was read.
            if matches!(share.part, SharedPart::AsThere)
                && !draft.data.paths.take(&located, &owner, report)
            {
                continue;
            }
            let mut in_memory = draft.paths_in_memory();
            if let Some(other) = in_memory.find(|other| overlap(other, &located.value)) {
                report.error(|| in_memory_too(&owner, &located, other));
            }
            let read_only = share.read_only;
            mounts.insert(
                located.value,
                SharedMount {
                    directory,
                    read_only,
                },
            );
        }
    }
    let application = shares.first()?.application.value.parse().ok()?;
    draft.data.shares = shares;
    Some(SharedVolume {
        application,
        mounts,
    })
}

fn in_memory_too(owner: &str, path: &Located<MountPath>, other: &MountPath) -> Finding {
    let (seen, memory) = (quote(path.value.as_str()), quote(other.as_str()));
    let message = format!("`tmpfs` of {owner}: {memory} and the volume at {seen} overlap");
    Finding::at(path.span, message)
        .hint("one would hide a part of the other; keep the two beside each other")
}

/// Checks that a directory is one of the volume, or that the whole is meant where there are none.
fn check_directory(
    owner: &str,
    share: &DraftShare,
    (directory, layout): (Option<&Located<DirectoryName>>, &VolumeLayout),
    report: &mut Report,
) -> bool {
    let wanted = quote(&share.application.value);
    match (directory, layout) {
        (None, VolumeLayout::Whole { .. }) => true,
        (Some(directory), VolumeLayout::Whole { mountpoint }) => {
            report.error(|| {
                let name = quote(directory.value.as_str());
                let message = format!(
                    "{owner} names the directory {name} of {wanted}, which has no `volumes`"
                );
                Finding::at(directory.span, message).hint(format!(
                    "leave `source` out to see the whole volume, which {wanted} has at {}",
                    quote(mountpoint.as_str())
                ))
            });
            false
        }
        (directory, VolumeLayout::Directories { directories }) => {
            let is_there = |name: &DirectoryName| directories.values().any(|known| known == name);
            if directory.is_some_and(|directory| is_there(&directory.value)) {
                return true;
            }
            report.error(|| {
                let known: Vec<&str> = directories.values().map(DirectoryName::as_str).collect();
                let known = enumerate(&known, "and");
                let (span, message) = if let Some(directory) = directory {
                    let name = quote(directory.value.as_str());
                    let message = format!(
                        "{owner} names the directory {name} of {wanted}, which has no such directory"
                    );
                    (directory.span, message)
                } else {
                    let message =
                        format!("{owner} does not say which directory of {wanted} it sees");
                    (share.application.span, message)
                };
                let hint = format!("write one of its directories as `source`: {known}");
                Finding::at(span, message).hint(hint)
            });
            false
        }
    }
}

/// Checks that an application that sees another's volume is placed with it.
pub(crate) fn check_place_of_sharer(draft: &Draft, places: &Places<'_>, report: &mut Report) {
    let Some(share) = first_share(draft) else {
        return;
    };
    let (name, target) = (&draft.name.value, &share.application.value);
    let Some((node, span)) = places.get(name.as_str()) else {
        return;
    };
    let (owner, wanted) = (quote(name), quote(target));
    match places.get(target.as_str()) {
        // A name that is not defined is reported already.
        _ if draft.data.shared.is_none() => {}
        None => report.error(|| {
            let message =
                format!("{owner} sees the volume of {wanted}, which is placed on no node");
            Finding::at(*span, message)
                .also(share.application.span, "it sees the volume by this")
                .hint(format!(
                    "place {wanted} on {} as well, or remove {owner}",
                    quote(node)
                ))
        }),
        Some((other, _)) if other == node => {}
        Some((other, elsewhere)) => report.error(|| {
            let message = format!(
                "{owner} sees the volume of {wanted}, and is placed on another node, {}",
                quote(node)
            );
            Finding::at(*span, message)
                .also(*elsewhere, format!("{wanted} is placed here"))
                .also(share.application.span, "it sees the volume by this")
                .hint(format!(
                    "a volume is on one node at a time; place both on one node, such as {}",
                    quote(other)
                ))
        }),
    }
}
