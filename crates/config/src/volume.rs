//! The key `volume`: where an application keeps its data.

use flocker_model::{MountPath, VolumeLayout, VolumeSpecification};

use crate::fields::{Field, KnownKeys};
use crate::phrase::quote;
use crate::quantity::parse_bytes;
use crate::report::{Finding, Report};
use crate::tree::ScalarKind;

const KEYS: KnownKeys = KnownKeys {
    keys: &["mountpoint", "maximum_size"],
    synonyms: &[
        ("path", "mountpoint"),
        ("target", "mountpoint"),
        ("size", "maximum_size"),
        ("quota", "maximum_size"),
    ],
};

/// Reads the volume of the application that messages call `owner`.
pub(crate) fn read_volume(
    field: &Field<'_>,
    owner: &str,
    report: &mut Report,
) -> Option<VolumeSpecification> {
    let Some(entries) = field.value.entries() else {
        if field.value.text().is_none() {
            report.error(|| {
                field
                    .wrong_type("an absolute path or a mapping")
                    .hint(field.line("/var/lib/data"))
            });
            return None;
        }
        let mountpoint = read_mountpoint(field, report)?;
        return Some(VolumeSpecification {
            layout: VolumeLayout::Whole { mountpoint },
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
    let Some(entry) = field.value.get("mountpoint") else {
        if !meant.contains(&"mountpoint") {
            report.error(|| {
                Finding::at(field.span(), format!("{name} has no `mountpoint`"))
                    .hint("add where the container sees it: `mountpoint: /var/lib/data`")
            });
        }
        return None;
    };
    let mountpoint = read_mountpoint(&Field::of(entry, &name), report)?;
    Some(VolumeSpecification {
        layout: VolumeLayout::Whole { mountpoint },
        maximum_size,
    })
}

fn read_mountpoint(field: &Field<'_>, report: &mut Report) -> Option<MountPath> {
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
    let text = field.string(report)?;
    let path = text.value.parse::<MountPath>();
    if let Err(invalid) = &path {
        report.error(|| {
            let message = format!("{}: {} {}", field.what, quote(&text.value), invalid.problem);
            let hint = if text.value.contains(':') {
                "write only the path inside the container; Flocker chooses the one outside"
            } else {
                "write the path inside the container, from `/` on"
            };
            Finding::at(text.span, message).hint(hint)
        });
    }
    path.ok()
}
