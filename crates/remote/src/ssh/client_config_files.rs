//! Reads `ssh_config` files and what they include.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::client_config::{Entry, Placed, parse_client_config};
use super::pattern::matches_pattern;

/// How deep `Include` may nest before it is taken for a loop.
///
/// Source: `READCONF_MAX_DEPTH` of OpenSSH, the same 16.
const MAXIMUM_INCLUDE_DEPTH: usize = 16;

/// Which file is read, and against what its relative includes are meant.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConfigRoot<'a> {
    /// Directory of relative `Include` paths: `~/.ssh` or `/etc/ssh`.
    pub(super) include_directory: &'a Path,
    /// The user's home, for `~`.
    pub(super) home: &'a Path,
}

/// Reads a configuration file and all it includes into one list of entries.
/// A file that does not exist has no entries.
///
/// # Errors
///
/// The path that could not be read, and why.
pub(super) fn observe_client_config(
    file: &Path,
    root: ConfigRoot<'_>,
) -> Result<Vec<Placed>, (PathBuf, io::Error)> {
    read_at_depth(file, root, 0)
}

fn read_at_depth(
    file: &Path,
    root: ConfigRoot<'_>,
    depth: usize,
) -> Result<Vec<Placed>, (PathBuf, io::Error)> {
    let failed = |error| (file.to_owned(), error);
    if depth > MAXIMUM_INCLUDE_DEPTH {
        return Err(failed(io::Error::other("files include each other")));
    }
    let text = match fs::read(file) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut entries = Vec::new();
    for placed in parse_client_config(file, &text) {
        let Entry::Include(patterns) = &placed.entry else {
            entries.push(placed);
            continue;
        };
        for pattern in patterns {
            for included in included_files(pattern, root) {
                entries.push(Placed {
                    place: placed.place.clone(),
                    entry: Entry::IncludeBegin,
                });
                entries.extend(read_at_depth(&included, root, depth + 1)?);
                entries.push(Placed {
                    place: placed.place.clone(),
                    entry: Entry::IncludeEnd,
                });
            }
        }
    }
    Ok(entries)
}

/// The files an `Include` argument names, in order. Wildcards are honoured in
/// the last component of the path, which is where they are in practice.
fn included_files(pattern: &str, root: ConfigRoot<'_>) -> Vec<PathBuf> {
    let path = match pattern.strip_prefix("~/") {
        Some(rest) => root.home.join(rest),
        None => root.include_directory.join(pattern),
    };
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return Vec::new();
    };
    if !name.contains(['*', '?']) {
        return vec![path];
    }
    let Some(directory) = path.parent() else {
        return Vec::new();
    };
    let Ok(listing) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = listing
        .flatten()
        .filter(|entry| {
            let entry_name = entry.file_name();
            let entry_name = entry_name.to_string_lossy();
            // As in a shell, a wildcard does not find hidden files.
            !entry_name.starts_with('.') && matches_pattern(name, &entry_name)
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}
