//! The key `files`: files of the operator's machine that a container sees.

use std::collections::BTreeMap;

use flocker_model::{ContainerFile, FileContents, FileMode, MountPath};

use crate::application::Draft;
use crate::fields::Field;
use crate::keys::{Foreign, KnownKeys};
use crate::nodes::DraftNode;
use crate::outside::{ValueSource, read_path as read_source_path, read_source};
use crate::phrase::{enumerate, quote};
use crate::quantity::Refusal;
use crate::report::{Finding, Report};
use crate::source::Located;
use crate::tree::{ScalarKind, Value};
use crate::volume::read_path;

const KEYS: KnownKeys = KnownKeys {
    keys: &[
        "source",
        "content",
        "from_file",
        "from_env",
        "from_command",
        "target",
        "uid",
        "gid",
        "mode",
    ],
    foreign: &[
        Foreign::same("file", "source"),
        Foreign::same("environment", "from_env"),
        Foreign::same("path", "target"),
        Foreign::same("destination", "target"),
        Foreign::same("user", "uid"),
        Foreign::same("owner", "uid"),
        Foreign::same("group", "gid"),
        Foreign::same("permissions", "mode"),
        Foreign::nothing(
            "template_driver",
            "leave it out; the contents are taken as they are",
        ),
    ],
};

/// The keys that say where the contents are.
const CONTENTS: [&str; 5] = ["source", "content", "from_file", "from_env", "from_command"];

/// One of the form's items, to copy.
const ITEM: &str = "{source: ./nginx.conf, target: /etc/nginx/nginx.conf}";

/// The bytes that a file may have, in words.
const MAXIMUM: &str = "1 MiB";

/// A file, and where the container sees it.
pub(crate) type DraftFile = (Located<MountPath>, ContainerFile);

/// Reads every file of the application that messages call `owner`.
pub(crate) fn read_files(field: &Field<'_>, owner: &str, report: &mut Report) -> Vec<DraftFile> {
    if let Some(entries) = field.value.entries() {
        let files = entries.into_iter().filter_map(|entry| {
            let span = entry.key.span;
            let what = format!("the file {} of {owner}", quote(&entry.key.value));
            let place = Field::of(entry, owner).called(what);
            let target = match entry.key.value.parse::<MountPath>() {
                Ok(value) => Some(Located { value, span }),
                Err(invalid) => {
                    report.error(|| {
                        let message = format!("{} {}", place.what, invalid.problem);
                        Finding::at(span, message).hint("write the path inside the container")
                    });
                    None
                }
            };
            let source = read_source_path(&place, report).map(ValueSource::File)?;
            let contents = report.outside_value(source, &place)?;
            let contents = of_allowed_size(contents, &place, report)?;
            Some((target?, ContainerFile::new(contents)))
        });
        return files.collect();
    }
    let hint = || Some(field.line(&format!("[{ITEM}]")));
    let items = field.list("a list of files", report, hint);
    let items = items.unwrap_or_default();
    items
        .into_iter()
        .filter_map(|item| read_file(&Field::item(format!("a file of {owner}"), item), report))
        .collect()
}

fn read_file(field: &Field<'_>, report: &mut Report) -> Option<DraftFile> {
    let Some(entries) = field.value.entries() else {
        report.error(|| {
            let finding = field.wrong_type("a mapping with a `source` and a `target`");
            let parts = field.value.text().and_then(|text| text.split_once(':'));
            finding.hint(match parts {
                Some((source, target)) => {
                    let target = target.strip_suffix(":ro").unwrap_or(target);
                    field.line(&format!("{{source: {source}, target: {target}}}"))
                }
                None => format!("write {}", quote(ITEM)),
            })
        });
        return None;
    };
    let meant = KEYS.check(&entries, &field.what, report);
    let (target, field) = read_target(field, &meant, report);
    let contents = read_contents(&field, &meant, report);
    let uid = read_id(&field, "uid", report);
    let gid = read_id(&field, "gid", report);
    let mode = read_mode(&field, report);
    let file = ContainerFile {
        contents: contents?,
        uid: uid?,
        gid: gid?,
        mode: mode?,
    };
    Some((target?, file))
}

/// Reads where the container sees the file, which is called by that from then on.
fn read_target<'t>(
    field: &Field<'t>,
    meant: &[&str],
    report: &mut Report,
) -> (Option<Located<MountPath>>, Field<'t>) {
    let Some(entry) = field.value.get("target") else {
        if !meant.contains(&"target") {
            report.error(|| {
                Finding::at(field.span(), format!("{} has no `target`", field.what))
                    .hint(format!("write {}", quote(ITEM)))
            });
        }
        return (None, field.clone());
    };
    let target = read_path(&Field::of(entry, &field.what), report);
    let called = match entry.value.text() {
        Some(text) => field.clone().called(
            field
                .what
                .replace("a file", &format!("the file {}", quote(text))),
        ),
        None => field.clone(),
    };
    (target, called)
}

/// Reads the contents from the one place that is named.
fn read_contents(field: &Field<'_>, meant: &[&str], report: &mut Report) -> Option<FileContents> {
    let named = CONTENTS.map(|key| field.value.get(key).map(|_| key));
    let named: Vec<&str> = named.into_iter().flatten().collect();
    let [key] = named.as_slice() else {
        if !named.is_empty() || !CONTENTS.iter().any(|key| meant.contains(key)) {
            report.error(|| {
                let forms = enumerate(&CONTENTS, "and");
                let message = if named.is_empty() {
                    format!("{} has no contents", field.what)
                } else {
                    format!("{} has {}", field.what, enumerate(&named, "and"))
                };
                Finding::at(field.span(), message).hint(format!("write one of {forms}"))
            });
        }
        return None;
    };
    let contents = if *key == "content" {
        let entry = field.value.get(key)?;
        let text = Field::of(entry, &field.what).free_text(report)?;
        FileContents::from(text.value.into_bytes())
    } else {
        let source = read_source(field.value, key, &field.what, report)?;
        report.outside_value(source, field)?
    };
    of_allowed_size(contents, field, report)
}

fn of_allowed_size(
    contents: FileContents,
    field: &Field<'_>,
    report: &mut Report,
) -> Option<FileContents> {
    let size = contents.size();
    if size <= ContainerFile::MAXIMUM_SIZE {
        return Some(contents);
    }
    report.error(|| {
        let message = format!("{} has {size} bytes, and {MAXIMUM} is the most", field.what);
        Finding::at(field.span(), message)
            .hint("large files belong into the image, or into the volume")
    });
    None
}

/// Reads the number of a user or group; root's if it is left out.
fn read_id(field: &Field<'_>, key: &str, report: &mut Report) -> Option<u32> {
    let Some(entry) = field.value.get(key) else {
        return Some(0);
    };
    let parse = |text: &str| {
        let number = text.parse::<u32>().ok().filter(|_| is_digits(text));
        number.filter(|number| *number != u32::MAX).ok_or_else(|| {
            let hint = "write the number that it has in the image: `uid: \"101\"`";
            Refusal::new("is not the number of a user or group", hint)
        })
    };
    let id = Field::of(entry, &field.what).parsed("a number", parse, report);
    id.map(|id| id.value)
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Reads permissions: octal, whether YAML takes them for a number or not.
fn read_mode(field: &Field<'_>, report: &mut Report) -> Option<FileMode> {
    let Some(entry) = field.value.get("mode") else {
        return Some(FileMode::DEFAULT);
    };
    let is_text = |value: Value<'_>| {
        let scalar = value.scalar();
        scalar.is_some_and(|scalar| scalar.kind == ScalarKind::String)
    };
    let is_text = is_text(entry.value);
    let parse = |text: &str| {
        let digits = text.strip_prefix("0o").or_else(|| text.strip_prefix('0'));
        // A number without a zero in front is a decimal one to YAML, and is not meant as one.
        let digits = digits.or_else(|| is_text.then_some(text));
        let bits = digits
            .filter(|digits| is_digits(digits))
            .and_then(|digits| u32::from_str_radix(digits, 8).ok());
        bits.and_then(FileMode::new).ok_or_else(|| {
            let hint = match u32::from_str_radix(text, 8).ok().and_then(FileMode::new) {
                Some(mode) => format!("write `mode: {mode}`"),
                None => "write octal digits with a zero in front: `mode: 0440`".to_owned(),
            };
            Refusal::new("is not the permissions of a file", hint)
        })
    };
    let mode = Field::of(entry, &field.what).parsed("permissions", parse, report);
    mode.map(|mode| mode.value)
}

/// Reports nodes whose applications have more in files than a node can be told of at once.
pub(crate) fn check_total_size(drafts: &[Draft], nodes: &[DraftNode], report: &mut Report) {
    let sizes: BTreeMap<&str, usize> = drafts
        .iter()
        .map(|draft| {
            let files = draft.data.files.values();
            let size = files.map(|file| file.contents.size()).sum();
            (draft.name.value.as_str(), size)
        })
        .collect();
    for node in nodes {
        let placed = node.applications.iter();
        let total: usize = placed
            .filter_map(|name| sizes.get(name.value.as_str()))
            .sum();
        if total > ContainerFile::MAXIMUM_OF_NODE {
            report.error(|| {
                let message = format!(
                    "the `files` of the applications on {} have {total} bytes, and 4 MiB are the most",
                    quote(&node.name.value)
                );
                Finding::at(node.name.span, message)
                    .hint("large files belong into the image, or into the volume")
            });
        }
    }
}
