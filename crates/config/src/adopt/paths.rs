//! Paths beside the file: which of them are data, and which are files of the operator's machine.
//!
//! The whole project decides. A directory that one service can write is data for every service that
//! mounts it; one that all of them only read holds files, which Flocker puts in place.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::shell_word;

use crate::adopt::adoption::{Adoption, unescaped};
use crate::adopt::mount::{Data, Item, Mount, Origin, Source};
use crate::adopt::project::Project;
use crate::adopt::surroundings::PathKind;
use crate::phrase::{quote, quote_line};
use crate::report::Finding;
use crate::source::Span;

/// Decides what every item is. Those that are refused are left out.
pub(crate) fn decide(
    project: &Project,
    items: Vec<Vec<Item>>,
    adoption: &mut Adoption<'_>,
) -> Vec<Vec<Mount>> {
    let is_written = |item: &Item| match &item.source {
        Source::Beside(path) if !item.read_only => Some(path.clone()),
        Source::Beside(_) | Source::Known(_) => None,
    };
    let written: BTreeSet<String> = items.iter().flatten().filter_map(is_written).collect();
    let mut used = Used::new();
    let services = project.services.iter().zip(items);
    let mounts = services
        .map(|(service, items)| {
            let owner = quote(&service.name.value);
            let items = items.into_iter();
            items
                .filter_map(|item| mount(item, (&owner, &written), &mut used, adoption))
                .collect()
        })
        .collect();
    check_nested(&used, adoption);
    mounts
}

/// The paths beside the file that are mounted: whether they are data, and where that was written.
type Used = BTreeMap<String, (bool, Span)>;

fn mount(
    item: Item,
    (owner, written): (&str, &BTreeSet<String>),
    used: &mut Used,
    adoption: &mut Adoption<'_>,
) -> Option<Mount> {
    let origin = match item.source {
        Source::Known(origin) => origin,
        Source::Beside(path) => {
            let place = (item.span, owner);
            let is_written = written.contains(&path);
            let access = Access {
                read_only: item.read_only,
                is_written,
                must_exist: item.must_exist,
            };
            let origin = beside(&path, access, place, adoption)?;
            let is_data = matches!(origin, Origin::Data(_));
            used.entry(path).or_insert((is_data, item.span));
            origin
        }
    };
    Some(Mount {
        span: item.span,
        target: item.target,
        read_only: item.read_only,
        origin,
    })
}

/// How a path is used.
#[derive(Clone, Copy)]
struct Access {
    /// Whether this service only reads it.
    read_only: bool,
    /// Whether some service can write it.
    is_written: bool,
    /// Whether Compose would not make it.
    must_exist: bool,
}

/// Decides what a path is.
fn beside(
    path: &str,
    access: Access,
    (span, owner): (Span, &str),
    adoption: &mut Adoption<'_>,
) -> Option<Origin> {
    match adoption.kind(path) {
        PathKind::File { .. } => {
            if !access.read_only {
                adoption.warn(
                    span,
                    format!("{owner} can read the file {} and not write it", quote(path)),
                    "Flocker puts a copy in place; write `:ro` behind it if that is right",
                );
            }
            Some(Origin::Files(path.to_owned()))
        }
        PathKind::Directory if !access.is_written => Some(Origin::Files(path.to_owned())),
        PathKind::Missing
            if !access.is_written || access.must_exist || is_named_like_a_file(path) =>
        {
            let make = format!("mkdir -p {}", in_shell(path));
            adoption.error(
                span,
                format!("the path {} of {owner} does not exist", quote(path)),
                format!(
                    "{}; if it is a directory, make it with {}",
                    where_paths_begin(path),
                    quote_line(&make)
                ),
            );
            None
        }
        PathKind::Directory | PathKind::Missing => {
            Some(Origin::Data(Data::Directory(path.to_owned())))
        }
    }
}

/// Ends of the names of files that containers are given.
const ENDS_OF_FILES: &[&str] = &[
    "bak",
    "cer",
    "cert",
    "cf",
    "cfg",
    "cnf",
    "conf",
    "config",
    "crt",
    "css",
    "csv",
    "db",
    "env",
    "gz",
    "hcl",
    "htm",
    "html",
    "ini",
    "j2",
    "jar",
    "js",
    "json",
    "key",
    "list",
    "log",
    "lua",
    "md",
    "p12",
    "pem",
    "php",
    "properties",
    "pub",
    "py",
    "rb",
    "rules",
    "sh",
    "sock",
    "sql",
    "sqlite",
    "sqlite3",
    "tar",
    "tmpl",
    "template",
    "toml",
    "ts",
    "txt",
    "vcl",
    "war",
    "xml",
    "yaml",
    "yml",
    "zip",
];

/// Tells whether a path that does not exist is probably that of a file. Compose would make a directory
/// in any case, which a program that reads a file could not use.
fn is_named_like_a_file(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or(path);
    let end = last.trim_start_matches('.').rsplit_once('.');
    let end = end.map(|(_, end)| end.to_ascii_lowercase());
    end.is_some_and(|end| ENDS_OF_FILES.contains(&end.as_str()))
}

/// Writes a path beside the file, or below `~`, as a word of a command line.
fn in_shell(path: &str) -> String {
    let path = unescaped(path);
    match path.strip_prefix("~/") {
        Some(rest) if !rest.is_empty() => format!("~/{}", shell_word(rest)),
        _ => shell_word(&path),
    }
}

/// Says where to look for a path that does not exist.
pub(crate) fn where_paths_begin(path: &str) -> &'static str {
    if path.starts_with('/') {
        "the path is one of the machine that you deploy from"
    } else {
        "paths count from the directory of this file"
    }
}

/// Refuses a path inside of another one if one of them is data: they would be apart in volumes.
fn check_nested(used: &Used, adoption: &mut Adoption<'_>) {
    for (path, (is_data, span)) in used {
        for outer in outer_paths(path) {
            let Some((outer_is_data, outer_span)) = used.get(outer) else {
                continue;
            };
            if !is_data && !outer_is_data {
                continue;
            }
            adoption.report.error(|| {
                let (inner, outer) = (quote(path), quote(outer));
                let message = format!("{inner} is inside of {outer}, and both are mounted");
                Finding::at(*span, message)
                    .also(*outer_span, format!("{outer} is mounted here"))
                    .hint(format!(
                        "in a volume each would be a directory of its own; mount {outer} in both \
                         places, or keep the two beside each other"
                    ))
            });
        }
    }
}

/// Lists the directories that a path is in, as far as it names them.
fn outer_paths(path: &str) -> impl Iterator<Item = &str> {
    let slashes = path.match_indices('/');
    slashes.filter_map(move |(at, _)| {
        // The directory of the file, or the root, keeps its slash.
        let is_first = matches!(&path[..at], "" | ".");
        let outer = if is_first { &path[..=at] } else { &path[..at] };
        let leaves = is_first && path[at + 1..].split('/').next() == Some("..");
        (outer != path && !leaves).then_some(outer)
    })
}
