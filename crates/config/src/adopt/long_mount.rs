//! The long form of an item of `volumes`.
//!
//! **Source**: Compose Specification, "volumes", "Long syntax".

use crate::adopt::adoption::Adoption;
use crate::adopt::forms::{check_keys, is_true, warn_of_keys};
use crate::adopt::mount::Parts;
use crate::adopt::yaml::{Shape, Yaml};
use crate::phrase::quote;
use crate::quantity::parse_bytes;
use crate::tree::ScalarKind;

const KEYS: &[&str] = &[
    "type",
    "source",
    "target",
    "read_only",
    "consistency",
    "bind",
    "volume",
    "tmpfs",
    "image",
];

const BIND: &[&str] = &["propagation", "create_host_path", "recursive", "selinux"];

const VOLUME: &[&str] = &["nocopy", "subpath", "labels"];

const TMPFS: &[&str] = &["size", "mode"];

/// Reads the parts of an item; `None` if it was refused.
pub(crate) fn long_form<'y>(
    item: &'y Yaml,
    owner: &str,
    adoption: &mut Adoption<'_>,
) -> Option<Parts<'y>> {
    let what = format!("a volume of {owner}");
    check_keys(item, (&what, &[KEYS]), adoption);
    for (name, known) in [("bind", BIND), ("volume", VOLUME), ("tmpfs", TMPFS)] {
        if let Some(options) = item.get(name) {
            let what = format!("{} of {what}", quote(name));
            check_keys(options, (&what, &[known]), adoption);
        }
    }
    let Some(target) = item.text_of("target") else {
        adoption.error(
            item.span,
            format!("{what} has no `target`"),
            "write `name:/path`",
        );
        return None;
    };
    let (must_exist, propagation) = bind_options(item, (&what, owner), adoption);
    let volume = item.get("volume");
    let subpath = volume.and_then(|options| options.get("subpath"));
    if let Some(subpath) = subpath {
        adoption.error(
            subpath.span,
            format!("{owner} sees a part of a volume"),
            "give the part a volume of its own",
        );
        return None;
    }
    let nocopy = volume.and_then(|options| options.get("nocopy"));
    let nocopy = is_true(nocopy, &format!("`nocopy` of {what}"), adoption).then_some("nocopy");
    let labels = [("labels", "Flocker's volumes have no labels")];
    if let Some(volume) = volume {
        warn_of_keys(volume, (&what, &labels), adoption);
    }
    let read_only = format!("`read_only` of {what}");
    Some(Parts {
        kind: item.text_of("type"),
        source: item.text_of("source"),
        source_span: item.get("source").map_or(item.span, |source| source.span),
        target,
        read_only: is_true(item.get("read_only"), &read_only, adoption),
        must_exist,
        options: propagation.into_iter().chain(nocopy).collect(),
    })
}

/// Reads the options of a path outside of the container: whether it has to exist, and how mounts below
/// it propagate.
fn bind_options<'y>(
    item: &'y Yaml,
    (what, owner): (&str, &str),
    adoption: &mut Adoption<'_>,
) -> (bool, Option<&'y str>) {
    let Some(bind) = item.get("bind") else {
        return (false, None);
    };
    let label = "Flocker changes no labels of SELinux; where a node uses it, give the path the type \
                 `container_file_t` there";
    warn_of_keys(bind, (what, &[("selinux", label)]), adoption);
    if let Some(recursive) = bind.get("recursive")
        && !matches!(recursive.text(), None | Some("enabled"))
    {
        let value = recursive.text().unwrap_or_default();
        let message = format!(
            "{owner} sees the mounts below a path in another way ({}), which Flocker cannot do",
            quote(&format!("recursive: {value}"))
        );
        let hint =
            "leave `recursive` out: the container sees the mounts below the path as the node does";
        adoption.error(recursive.span, message, hint);
    }
    let create = bind.get("create_host_path");
    let name = format!("`create_host_path` of {what}");
    let is_created = create.is_none_or(Yaml::is_null) || is_true(create, &name, adoption);
    (!is_created, bind.text_of("propagation"))
}

/// Writes the options of memory as `tmpfs` has them.
pub(crate) fn memory_options(item: &Yaml, owner: &str, adoption: &mut Adoption<'_>) -> String {
    let Some(options) = item.get("tmpfs") else {
        return String::new();
    };
    let mut written = Vec::new();
    if let Some(size) = options.text_of("size") {
        // The kernel knows no `10mb`, and the readers of our own files refuse it.
        let is_of_compose = size.ends_with(['b', 'B']) || size.contains('.');
        let bytes = parse_bytes(size).ok().filter(|_| is_of_compose);
        let bytes = bytes.map(|bytes| bytes.get().to_string());
        written.push(format!("size={}", bytes.as_deref().unwrap_or(size)));
    }
    if let Some(mode) = options.get("mode")
        && let Some(text) = mode.text()
    {
        written.push(format!("mode={}", octal((mode, text), owner, adoption)));
    }
    if written.is_empty() {
        String::new()
    } else {
        format!(":{}", written.join(","))
    }
}

/// Writes permissions with octal digits. Compose reads a number without a zero in front as a decimal one.
fn octal((mode, text): (&Yaml, &str), owner: &str, adoption: &mut Adoption<'_>) -> String {
    let is_number =
        matches!(&mode.shape, Shape::Scalar(scalar) if scalar.kind == ScalarKind::Number);
    if let Some(digits) = text.strip_prefix("0o") {
        return digits.to_owned();
    }
    match text.parse::<u32>() {
        Ok(decimal) if is_number && !text.starts_with('0') => {
            let octal = format!("{decimal:o}");
            adoption.warn(
                mode.span,
                format!("the number {text} gives {owner} the permissions `{octal}`, as in Compose"),
                format!("write `mode: 0o{text}` if these are octal digits, or `mode: 0o{octal}`"),
            );
            octal
        }
        _ => text.to_owned(),
    }
}
