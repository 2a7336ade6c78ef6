//! The long form of an item of `volumes`.
//!
//! **Source**: Compose Specification, "volumes", "Long syntax".

use crate::adopt::adoption::Adoption;
use crate::adopt::forms::{check_keys, is_true, warn_of_keys};
use crate::adopt::mount::Parts;
use crate::adopt::yaml::Yaml;
use crate::phrase::quote;

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
pub(crate) fn memory_options(item: &Yaml) -> String {
    let Some(options) = item.get("tmpfs") else {
        return String::new();
    };
    let option = |name: &str| {
        let value = options.text_of(name)?;
        Some(format!("{name}={value}"))
    };
    let options: Vec<String> = TMPFS.iter().copied().filter_map(option).collect();
    if options.is_empty() {
        String::new()
    } else {
        format!(":{}", options.join(","))
    }
}
