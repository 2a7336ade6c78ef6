//! The operator's machine of several tests.

use std::collections::BTreeMap;

use flocker_config::{
    Diagnostics, Parsed, PathKind, Source, Surroundings, ValueSource, parse_beside, wanted_beside,
};

/// An operator's machine in memory.
#[derive(Default)]
pub(crate) struct Machine {
    pub(crate) variables: BTreeMap<&'static str, &'static str>,
    /// Paths, and the contents of the files there.
    pub(crate) files: BTreeMap<&'static str, &'static str>,
    pub(crate) directories: Vec<&'static str>,
}

impl Surroundings for Machine {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).map(|value| (*value).to_owned())
    }

    fn read(&self, _: &str, path: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(self.files.get(path).map(|text| text.as_bytes().to_vec()))
    }

    fn kind(&self, _: &str, path: &str) -> PathKind {
        if self.files.contains_key(path) {
            PathKind::File {
                mode: 0o644,
                uid: 1000,
                gid: 1000,
            }
        } else if self.directories.contains(&path) {
            PathKind::Directory
        } else {
            PathKind::Missing
        }
    }

    fn files(&self, _: &str, path: &str) -> Vec<String> {
        let below = |name: &&str| {
            name.strip_prefix(path)?
                .strip_prefix('/')
                .map(str::to_owned)
        };
        self.files.keys().filter_map(below).collect()
    }

    fn texts(&self, beside: &str, path: &str) -> Vec<(String, String)> {
        let text = |name: String| {
            let text = self.files.get(format!("{path}/{name}").as_str())?;
            Some((name, (*text).to_owned()))
        };
        let names = self.files(beside, path).into_iter();
        names.filter_map(text).collect()
    }
}

/// Reads two files on a machine, given each value that is outside of them.
pub(crate) fn parse_on(
    (one, other): (Source<'_>, Source<'_>),
    machine: &dyn Surroundings,
    value: impl Fn(&ValueSource) -> &'static str,
) -> Result<Parsed, Diagnostics> {
    let wanted = wanted_beside(one, other, machine)?;
    let values = wanted.into_iter().map(|source| {
        let value = value(&source).as_bytes().to_vec();
        (source, Ok(value.into()))
    });
    parse_beside(one, other, machine, values.collect())
}
