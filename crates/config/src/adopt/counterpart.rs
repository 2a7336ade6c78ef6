//! Values of the operator's machine, and how a file of ours says where they are.
//!
//! A Compose file is read with its values in their places. `convert` writes the place instead where
//! reading it gives the same value, so that passwords stay where they are.

use std::collections::BTreeMap;

use crate::adopt::yaml::{Pair, Shape, Yaml, key};
use crate::source::Span;

/// The values that have a counterpart.
#[derive(Debug, Default)]
pub(crate) struct Counterparts {
    /// The variables of the operator's environment, by where their values stand.
    variables: BTreeMap<Span, String>,
    /// The files of variables of each service, by the place of its name: the place of their values,
    /// and the path.
    env_files: BTreeMap<Span, Vec<(Span, String)>>,
    /// Whether other values stand in the rewritten file.
    pub(crate) are_written_out: bool,
}

impl Counterparts {
    /// Notes that the value at `span` is that of a variable of the environment.
    pub(crate) fn add_variable(&mut self, span: Span, name: &str) {
        self.variables.insert(span, name.to_owned());
    }

    /// Notes the files of variables of the service whose name is at `service`, in their order.
    pub(crate) fn add_env_files(&mut self, service: Span, files: Vec<(Span, String)>) {
        self.env_files.insert(service, files);
    }

    /// Writes the places in the place of the values.
    pub(crate) fn write_into(&self, root: &mut Yaml) {
        let Shape::Mapping(applications) = &mut root.shape else {
            return;
        };
        for (name, application) in applications {
            let Shape::Mapping(entries) = &mut application.shape else {
                continue;
            };
            for (name, value) in &mut *entries {
                match name.value.as_str() {
                    "environment" => self.write_variables(value),
                    "files" => self.write_files(value),
                    _ => {}
                }
            }
            if let Some(files) = self.env_files.get(&name.span) {
                write_env_files(entries, files);
            }
        }
    }

    fn write_variables(&self, environment: &mut Yaml) {
        if let Shape::Mapping(entries) = &mut environment.shape {
            for (_, value) in entries {
                if let Some(name) = self.variables.get(&value.span) {
                    *value = Yaml::mapping(value.span, vec![from_env(value.span, name)]);
                }
            }
        }
    }

    fn write_files(&self, files: &mut Yaml) {
        let Shape::List(items) = &mut files.shape else {
            return;
        };
        for item in items {
            let Shape::Mapping(entries) = &mut item.shape else {
                continue;
            };
            for entry in entries {
                let span = entry.1.span;
                if entry.0.value == "content"
                    && let Some(name) = self.variables.get(&span)
                {
                    *entry = from_env(span, name);
                }
            }
        }
    }
}

fn from_env(span: Span, name: &str) -> Pair {
    (key(span, "from_env"), Yaml::string(span, name))
}

/// Names the files in the place of their variables.
fn write_env_files(entries: &mut Vec<Pair>, files: &[(Span, String)]) {
    let is_of_file = |value: &Yaml| files.iter().any(|(span, _)| *span == value.span);
    for (name, value) in &mut *entries {
        if name.value == "environment"
            && let Shape::Mapping(variables) = &mut value.shape
        {
            variables.retain(|(_, value)| !is_of_file(value));
        }
    }
    let is_empty = |(name, value): &Pair| {
        name.value == "environment" && value.entries().is_some_and(Vec::is_empty)
    };
    entries.retain(|entry| !is_empty(entry));
    if let Some((span, _)) = files.first() {
        let paths = files.iter();
        let paths = paths.map(|(span, path)| Yaml::string(*span, path.clone()));
        let list = Yaml::list(*span, paths.collect());
        entries.push((key(*span, "env_file"), list));
    }
}
