//! The key `volume`: where an application sees its whole volume, and how large that may be.

use flocker_model::{ByteCount, MountPath};

use crate::directory::as_directory;
use crate::fields::Field;
use crate::keys::{Foreign, KnownKeys};
use crate::phrase::{quote, quote_line};
use crate::quantity::parse_bytes;
use crate::report::{Finding, Report};
use crate::source::Located;
use crate::tree::ScalarKind;

const KEYS: KnownKeys = KnownKeys {
    keys: &["mountpoint", "maximum_size"],
    foreign: &[
        Foreign::same("path", "mountpoint"),
        Foreign::same("target", "mountpoint"),
        Foreign::same("size", "maximum_size"),
        Foreign::same("quota", "maximum_size"),
        Foreign::nothing("source", NAME),
        Foreign::nothing("name", NAME),
        Foreign::nothing("read_only", "a volume can be read and written"),
        Foreign::nothing(
            "type",
            "leave it out; data is in the application's ZFS volume",
        ),
        Foreign::nothing(
            "driver",
            "leave it out; data is in the application's ZFS volume",
        ),
    ],
};

const NAME: &str = "leave it out; the volume has the name of its application";

/// The key as far as it could be read.
#[derive(Debug)]
pub(crate) struct DraftVolume {
    pub(crate) mountpoint: Option<Located<MountPath>>,
    pub(crate) maximum_size: Option<ByteCount>,
}

/// Reads the volume of the application that messages call `owner`.
pub(crate) fn read_volume(
    field: &Field<'_>,
    owner: &str,
    needs_mountpoint: bool,
    report: &mut Report,
) -> Option<DraftVolume> {
    let Some(entries) = field.value.entries() else {
        if field.value.text().is_none() {
            report.error(|| {
                field
                    .wrong_type("an absolute path or a mapping")
                    .hint(list_hint(field).unwrap_or_else(|| field.line("/var/lib/data")))
            });
            return None;
        }
        return Some(DraftVolume {
            mountpoint: Some(read_mountpoint(field, report)?),
            maximum_size: None,
        });
    };
    let name = format!("the volume of {owner}");
    let meant = KEYS.check(&entries, &name, report);
    let maximum_size = field.value.get("maximum_size").and_then(|entry| {
        let field = Field::of(entry, &name);
        field
            .parsed("a size", parse_bytes, report)
            .map(|size| size.value)
    });
    let entry = field.value.get("mountpoint");
    if entry.is_none() && needs_mountpoint && !meant.contains(&"mountpoint") {
        report.error(|| {
            Finding::at(field.span(), format!("{name} has no `mountpoint`"))
                .hint("add where the container sees it: `mountpoint: /var/lib/data`")
        });
    }
    let mountpoint = entry.and_then(|entry| read_mountpoint(&Field::of(entry, &name), report));
    Some(DraftVolume {
        mountpoint,
        maximum_size,
    })
}

/// Shows the other key to those who write several paths.
fn list_hint(field: &Field<'_>) -> Option<String> {
    let items = field.value.items()?;
    let paths: Option<Vec<&str>> = items
        .iter()
        .map(|item| item.text().map(as_directory))
        .collect();
    let paths = paths.filter(|paths| !paths.is_empty())?;
    Some(format!(
        "an application has one volume; for several paths in it, write {}",
        quote_line(&format!("volumes: [{}]", paths.join(", ")))
    ))
}

fn read_mountpoint(field: &Field<'_>, report: &mut Report) -> Option<Located<MountPath>> {
    if field
        .value
        .scalar()
        .is_none_or(|scalar| scalar.kind != ScalarKind::String)
    {
        report.error(|| {
            field
                .wrong_type("an absolute path")
                .hint(field.line("/var/lib/data"))
        });
        return None;
    }
    read_path(field, report)
}

/// Reads a path inside the container.
pub(crate) fn read_path(field: &Field<'_>, report: &mut Report) -> Option<Located<MountPath>> {
    let text = field.string(report)?;
    match text.value.parse::<MountPath>() {
        Ok(path) => Some(Located {
            value: path,
            span: text.span,
        }),
        Err(invalid) => {
            report.error(|| {
                let message = format!("{}: {} {}", field.what, quote(&text.value), invalid.problem);
                let inside = text.value.split(':').nth(1);
                let hint = match inside.filter(|path| path.starts_with('/')) {
                    Some(path) => {
                        format!("{}; Flocker chooses where it is outside", field.line(path))
                    }
                    None if text.value.contains([',', ':']) && text.value.starts_with('/') => {
                        "choose a path without `,` and `:`; rename a file that is mounted with its \
                         directory"
                            .to_owned()
                    }
                    None => "write the path inside the container, from `/` on".to_owned(),
                };
                Finding::at(text.span, message).hint(hint)
            });
            None
        }
    }
}
