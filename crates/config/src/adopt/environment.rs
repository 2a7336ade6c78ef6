//! The variables of a service: `environment` in both forms, and the files in `env_file`.

use std::collections::BTreeMap;

use crate::adopt::adoption::{Adoption, unescaped};
use crate::adopt::forms::{check_keys, is_true};
use crate::adopt::paths::where_paths_begin;
use crate::adopt::project::Service;
use crate::adopt::resolve::unset;
use crate::adopt::service::Application;
use crate::adopt::template::escape_dollars;
use crate::adopt::variables::{read_file as read_variables, text_of};
use crate::adopt::yaml::{Pair, Shape, Yaml, key};
use crate::env_file::is_read_as;
use crate::phrase::{enumerate, quote};
use crate::report::Finding;
use crate::source::{Located, Span};
use crate::tree::ScalarKind;

/// The variables so far; later ones win, and keep their place in the order.
#[derive(Default)]
struct Environment {
    pairs: Vec<Pair>,
    /// Variables without a value anywhere.
    missing: Vec<Located<String>>,
    /// Where each of them is in the order.
    places: BTreeMap<String, usize>,
}

impl Environment {
    fn set(&mut self, name: Located<String>, value: Yaml) {
        if let Some(place) = self.places.get(&name.value) {
            self.pairs[*place] = (name, value);
        } else {
            self.places.insert(name.value.clone(), self.pairs.len());
            self.pairs.push((name, value));
        }
    }
}

/// Gives the application the variables of its service.
pub(crate) fn rewrite_environment(
    service: &Service,
    application: &mut Application,
    adoption: &mut Adoption<'_>,
) {
    let mut environment = Environment::default();
    if let Some(files) = service.get("env_file") {
        let files = files.one_or_many().into_iter();
        let read = files.filter_map(|item| read_file(item, &mut environment, adoption));
        note_files(service, read.collect(), adoption);
    }
    let written = service.get("environment");
    let Some(written) = written.filter(|written| !written.is_null()) else {
        if !environment.pairs.is_empty() {
            let span = service.name.span;
            let mapping = Yaml::mapping(span, environment.pairs);
            application.set(key(span, "environment"), mapping, adoption);
        }
        return;
    };
    match &written.shape {
        Shape::Mapping(entries) => {
            for (name, value) in entries {
                read_entry(name, value, &mut environment, adoption);
            }
        }
        Shape::List(items) => {
            for item in items {
                read_item(item, &mut environment, adoption);
            }
        }
        // A reader of ours says what it should be.
        Shape::Scalar(_) => {
            let name = key(written.span, "environment");
            return application.set(name, written.clone(), adoption);
        }
    }
    report_missing(&environment.missing, &service.name.value, adoption);
    let mapping = Yaml::mapping(written.span, environment.pairs);
    application.set(key(written.span, "environment"), mapping, adoption);
}

fn read_entry(
    name: &Located<String>,
    value: &Yaml,
    environment: &mut Environment,
    adoption: &mut Adoption<'_>,
) {
    if value.is_null() {
        return from_outside(name, environment, adoption);
    }
    let Shape::Scalar(scalar) = &value.shape else {
        return environment.set(name.clone(), value.clone());
    };
    if scalar.kind == ScalarKind::Number && is_rewritten_by_compose(&scalar.text) {
        let text = &scalar.text;
        adoption.warn(
            value.span,
            format!("{}: Compose may read another number", quote(&name.value)),
            format!("Flocker takes the text {}; put it in quotes", quote(text)),
        );
    }
    environment.set(name.clone(), Yaml::string(value.span, scalar.text.clone()));
}

/// Tells whether a number would be another text after it was read as a number.
fn is_rewritten_by_compose(text: &str) -> bool {
    let digits = text.trim_start_matches(['-', '+']);
    let has_leading_zero = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    let has_exponent = digits.contains(['e', 'E']);
    let ends_in_zero = digits.contains('.') && digits.ends_with(['0', '.']);
    has_leading_zero
        || has_exponent
        || ends_in_zero
        || digits.len() < text.len() && text.starts_with('+')
}

fn read_item(item: &Yaml, environment: &mut Environment, adoption: &mut Adoption<'_>) {
    let Some(text) = item.text() else {
        return adoption.error(
            item.span,
            format!("a variable must be `NAME=value`, not {}", item.describe()),
            "write `- NAME=value`",
        );
    };
    if text.starts_with("constraint:") || text.starts_with("affinity:") {
        return adoption.warn(
            item.span,
            format!("{} is left out", quote(text)),
            "the deployment configuration says which node an application is on",
        );
    }
    let Some((name, value)) = text.split_once('=') else {
        return from_outside(&key(item.span, text), environment, adoption);
    };
    environment.set(key(item.span, name), Yaml::string(item.span, value));
}

/// Takes a variable without a value from the operator's environment or `.env`.
fn from_outside(
    name: &Located<String>,
    environment: &mut Environment,
    adoption: &mut Adoption<'_>,
) {
    let Some(value) = adoption.variables.get(&name.value) else {
        return environment.missing.push(name.clone());
    };
    // A file of ours takes no empty value, and one newline less.
    let is_the_same = !value.is_empty() && !value.ends_with('\n') && !value.ends_with('\r');
    if is_the_same && adoption.surroundings.variable(&name.value).is_some() {
        adoption.counterparts.add_variable(name.span, &name.value);
    } else {
        let shown = quote(&name.value);
        let text = format!("the value of {shown} comes from outside of the file");
        adoption.write_out(name.span, text);
    }
    let value = Yaml::string(name.span, escape_dollars(&value));
    environment.set(name.clone(), value);
}

/// Says which variables have no value. Compose leaves them out; here they may be passwords.
fn report_missing(missing: &[Located<String>], service: &str, adoption: &mut Adoption<'_>) {
    let Some((first, others)) = missing.split_first() else {
        return;
    };
    let names: Vec<&str> = missing.iter().map(|name| name.value.as_str()).collect();
    let (message, hint) = if others.is_empty() {
        let (message, _) = unset(&first.value);
        let hint = "set it in the file `.env` beside this one or in the environment, or write a value \
                    here; or delete the line, if the program needs none: Compose leaves it out";
        (message, hint)
    } else {
        let names = enumerate(&names, "and");
        let message = format!("the variables {names} of {} are not set", quote(service));
        let hint = "set them in the file `.env` beside this one or in the environment, or write values \
                    here; or delete the lines, if the program needs none: Compose leaves them out";
        (message, hint)
    };
    adoption.report.error(|| {
        let finding = Finding::at(first.span, message).hint(hint);
        let places = others.iter();
        places.fold(finding, |finding, name| {
            finding.also(name.span, "this one, too")
        })
    });
}

/// A file of variables that was read.
struct EnvFile {
    span: Span,
    path: String,
    /// Whether our own readers find the same variables in it.
    is_the_same: bool,
}

/// Notes where the variables of the files are.
fn note_files(service: &Service, files: Vec<EnvFile>, adoption: &mut Adoption<'_>) {
    if files.iter().all(|file| file.is_the_same) {
        let files = files.into_iter().map(|file| (file.span, file.path));
        let files = files.collect();
        adoption
            .counterparts
            .add_env_files(service.name.span, files);
        return;
    }
    for file in files {
        let path = quote(&file.path);
        let text = format!("the variables of the file {path} stand here");
        adoption.write_out(file.span, text);
    }
}

/// Reads one item of `env_file`.
fn read_file(
    item: &Yaml,
    environment: &mut Environment,
    adoption: &mut Adoption<'_>,
) -> Option<EnvFile> {
    let path = match item.text() {
        Some(path) => Some((path, item.span)),
        None => item
            .get("path")
            .and_then(|path| Some((path.text()?, path.span))),
    };
    let Some((path, span)) = path else {
        adoption.error(
            item.span,
            "an item of `env_file` has no path",
            "write the path of a file, such as `./app.env`",
        );
        return None;
    };
    let place = adoption.expanded(path);
    let (is_required, is_raw) = read_options(item, adoption);
    let (machine, beside) = (adoption.surroundings, adoption.beside);
    let bytes = match machine.read(beside, &unescaped(&place)) {
        Ok(Some(bytes)) => bytes,
        Ok(None) if is_required => {
            adoption.error(
                span,
                format!("there is no file {}", quote(path)),
                where_paths_begin(&place),
            );
            return None;
        }
        Ok(None) => return None,
        Err(reason) => {
            let message = format!("the file {}: {reason}", quote(path));
            adoption.error(span, message, "make it readable");
            return None;
        }
    };
    let outside = |name: &str| adoption.variables.get(name);
    let read = if is_raw {
        text_of(&bytes).map(read_raw)
    } else {
        read_variables(&bytes, &outside)
    };
    match read {
        Ok(variables) => {
            let is_the_same = is_read_as(&bytes, &variables);
            for (name, value) in variables {
                let value = Yaml::string(span, escape_dollars(&value));
                environment.set(key(span, &name), value);
            }
            Some(EnvFile {
                span,
                path: place,
                is_the_same,
            })
        }
        Err(wrong) => {
            let message = wrong.describe(path);
            adoption.error(span, message, wrong.hint.unwrap_or_default());
            None
        }
    }
}

/// Reads whether the file of an item must exist, and whether its values are literal.
fn read_options(item: &Yaml, adoption: &mut Adoption<'_>) -> (bool, bool) {
    if item.text().is_some() {
        return (true, false);
    }
    let what = "an item of `env_file`";
    check_keys(item, (what, &[&["path", "required", "format"]]), adoption);
    let required = item.get("required");
    let is_required = required.is_none_or(Yaml::is_null)
        || is_true(required, "`required` of `env_file`", adoption);
    let format = item.get("format").filter(|format| !format.is_null());
    let is_raw = format.is_some_and(|format| format.text() == Some("raw"));
    if let Some(format) = format.filter(|_| !is_raw) {
        let message = "`format` of `env_file` is not known";
        adoption.error(format.span, message, "write `raw`, or leave it out");
    }
    (is_required, is_raw)
}

/// Reads a file whose values are literal.
fn read_raw(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
