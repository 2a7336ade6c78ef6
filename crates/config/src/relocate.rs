//! Paths of a file that is written into another directory.

use crate::adopt::{Pair, Shape, Yaml, escape_dollars};
use crate::report::{Finding, Report};

/// Changes the relative paths in an application configuration so that they mean the same from a
/// directory from which `prefix` leads to the old one.
pub(crate) fn relocate(root: &mut Yaml, prefix: &str, report: &mut Report) {
    if prefix.is_empty() {
        return;
    }
    let mut relocation = Relocation {
        prefix: escape_dollars(prefix.trim_end_matches('/')),
        report,
    };
    let applications = mapping(root).into_iter().flatten();
    for (_, application) in applications {
        for (name, value) in mapping(application).into_iter().flatten() {
            match name.value.as_str() {
                "env_file" => relocation.paths(value),
                "files" => relocation.files(value),
                "environment" => {
                    for (_, value) in mapping(value).into_iter().flatten() {
                        relocation.source(value);
                    }
                }
                _ => {}
            }
        }
    }
}

const fn mapping(value: &mut Yaml) -> Option<&mut Vec<Pair>> {
    match &mut value.shape {
        Shape::Mapping(entries) => Some(entries),
        _ => None,
    }
}

struct Relocation<'r> {
    prefix: String,
    report: &'r mut Report,
}

impl Relocation<'_> {
    /// Changes a path, or each of a list.
    fn paths(&mut self, value: &mut Yaml) {
        match &mut value.shape {
            Shape::List(items) => {
                for item in items {
                    self.paths(item);
                }
            }
            Shape::Scalar(scalar) if !scalar.text.starts_with('/') => {
                let path = scalar.text.trim_start_matches("./");
                scalar.text = format!("{}/{path}", self.prefix);
            }
            Shape::Scalar(_) | Shape::Mapping(_) => {}
        }
    }

    /// Changes the sources of files, in both forms of the key.
    fn files(&mut self, value: &mut Yaml) {
        match &mut value.shape {
            Shape::List(items) => {
                for item in items {
                    self.source(item);
                }
            }
            Shape::Mapping(entries) => {
                for (_, path) in entries {
                    self.paths(path);
                }
            }
            Shape::Scalar(_) => {}
        }
    }

    /// Changes the path in a mapping that says where a value is.
    fn source(&mut self, value: &mut Yaml) {
        for (name, value) in mapping(value).into_iter().flatten() {
            match name.value.as_str() {
                "source" | "from_file" => self.paths(value),
                "from_command" => {
                    let span = value.span;
                    self.report.warning(|| {
                        let message = "this command will run in the directory of the new file";
                        Finding::at(span, message)
                            .hint("look at the paths in it, which are not changed")
                    });
                }
                _ => {}
            }
        }
    }
}
