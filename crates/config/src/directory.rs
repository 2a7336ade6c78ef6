//! An item of the key `volumes`: a directory of the volume, and where the container sees it.

use std::ops::Range;

use flocker_model::{DirectoryName, InvalidName, MountPath};

use crate::fields::Field;
use crate::phrase::quote;
use crate::quantity::Refusal;
use crate::report::Report;
use crate::source::Located;
use crate::tree::Value;

/// Reads `/path` or `name:/path`.
pub(crate) fn read_directory(
    field: &Field<'_>,
    report: &mut Report,
) -> Option<(Located<MountPath>, DirectoryName)> {
    if field.value.scalar().is_none() {
        report.error(|| {
            field
                .wrong_type("`/path` or `name:/path`")
                .hint(long_form(field.value))
        });
        return None;
    }
    let text = field.string(report)?;
    match parse(&text.value) {
        Ok((value, place, name)) => {
            let span = field.span_of(&text.value, place);
            Some((Located { value, span }, name))
        }
        Err(refusal) => {
            report.error(|| field.refused(&text.value, refusal));
            None
        }
    }
}

/// Returns the path, where it is in the text, and the directory that is seen there.
fn parse(text: &str) -> Result<(MountPath, Range<usize>, DirectoryName), Refusal> {
    let (name, path) = match text.split_once(':') {
        None => (None, text),
        Some((name, path)) => (Some(name), path),
    };
    if let Some((path, option)) = path.split_once(':') {
        let problem = format!("has the option {}", quote(option));
        return Err(Refusal::new(&problem, option_hint(option, name, path)));
    }
    if name.is_some_and(is_of_node) {
        let path = quote(path);
        let hint = format!("write {path} to keep it in the application's volume");
        let problem = "is a directory of the node, which does not move";
        return Err(Refusal::new(problem, hint));
    }
    let place = text.len() - path.len()..text.len();
    let path: MountPath = path.parse().map_err(|invalid: InvalidName| {
        let hint = "write the path inside the container, from `/` on, or `name:/path`";
        Refusal::new(invalid.problem, hint)
    })?;
    let name = match name {
        Some(name) => name.parse(),
        None => DirectoryName::of_path(&path).as_str().parse(),
    };
    let name = name.map_err(|invalid: InvalidName| {
        let line = quote(&format!("NAME:{path}"));
        let hint = format!("write {line} with a name of letters, digits, `.`, `_` and `-`");
        let directory = quote(&invalid.name);
        let problem = format!(
            "would be the directory {directory}, which {}",
            invalid.problem
        );
        Refusal::new(&problem, hint)
    })?;
    Ok((path, place, name))
}

/// Tells whether Compose would take a directory of the node in the place of this name.
fn is_of_node(name: &str) -> bool {
    name.starts_with(['/', '.', '~'])
}

/// Writes an item of Compose's `volumes` so that it can stand in ours.
pub(crate) fn as_directory(text: &str) -> &str {
    match text.split_once(':') {
        Some((name, path)) if is_of_node(name) => path,
        _ => text,
    }
}

/// Answers what Compose writes after the path.
fn option_hint(option: &str, name: Option<&str>, path: &str) -> String {
    let rest = match name {
        Some(name) if !is_of_node(name) => format!("{name}:{path}"),
        _ => path.to_owned(),
    };
    if matches!(option, "rw" | "z" | "Z") {
        format!("write {}", quote(&rest))
    } else {
        format!(
            "Flocker has no such option; {} can be read and written",
            quote(&rest)
        )
    }
}

/// Answers Compose's long form of a volume.
fn long_form(value: Value<'_>) -> String {
    let text = |key: &str| value.get(key).and_then(|entry| entry.value.text());
    match (text("type"), text("source"), text("target")) {
        (None | Some("volume"), Some(source), Some(target)) => {
            format!("write {}", quote(&format!("{source}:{target}")))
        }
        (None | Some("volume"), None, Some(target)) => format!("write {}", quote(target)),
        (Some("tmpfs"), _, Some(target)) => {
            format!("a file system in memory is a key of its own: `tmpfs: [{target}]`")
        }
        (Some("bind"), _, _) => {
            "a directory of the node does not move and is not supported".to_owned()
        }
        _ => "write `/var/lib/data` or `data:/var/lib/data`".to_owned(),
    }
}
