//! An item of `volumes` of a service, in the short or the long form.

use crate::adopt::adoption::{Adoption, unescaped};
use crate::adopt::long_mount::{long_form, memory_options};
use crate::adopt::template::escape_dollars;
use crate::adopt::yaml::Yaml;
use crate::phrase::quote;
use crate::source::Span;

/// One item whose source may be a path beside the file: other services decide what that is, too.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) span: Span,
    pub(crate) target: String,
    pub(crate) read_only: bool,
    /// Whether a path that does not exist is a mistake.
    pub(crate) must_exist: bool,
    pub(crate) source: Source,
}

/// The source of an item.
#[derive(Debug)]
pub(crate) enum Source {
    /// The item alone says what it is.
    Known(Origin),
    /// A path beside the file, written in one way.
    Beside(String),
}

/// One item of which everything is known.
#[derive(Debug)]
pub(crate) struct Mount {
    pub(crate) span: Span,
    pub(crate) target: String,
    pub(crate) read_only: bool,
    pub(crate) origin: Origin,
}

/// The thing that is mounted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Data, which belongs into a volume.
    Data(Data),
    /// A path of the node.
    Node(String),
    /// A file or directory of the operator's, which the container only reads.
    Files(String),
    /// Memory, with Docker's options.
    Memory(String),
}

/// Data of a project. Equal ones are the same data, in whichever service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Data {
    /// A volume with a name.
    Volume(String),
    /// A directory beside the file.
    Directory(String),
    /// A volume without a name: of this service, at this path.
    Anonymous(usize, String),
}

/// The parts of an item, before it is known what they stand for.
pub(crate) struct Parts<'y> {
    pub(crate) kind: Option<&'y str>,
    pub(crate) source: Option<&'y str>,
    /// The place of the text that the source is in.
    pub(crate) source_span: Span,
    pub(crate) target: &'y str,
    pub(crate) read_only: bool,
    /// Whether a path that does not exist is a mistake.
    pub(crate) must_exist: bool,
    /// The other options, by the names of the short form.
    pub(crate) options: Vec<&'y str>,
}

/// Reads one item of the service with this number; `None` if it was refused.
pub(crate) fn read_mount(
    item: &Yaml,
    (service, owner): (usize, &str),
    adoption: &mut Adoption<'_>,
) -> Option<Item> {
    let parts = match item.text() {
        Some(text) => short_form(text, item.span),
        None => long_form(item, owner, adoption)?,
    };
    let mut are_sound = true;
    for option in &parts.options {
        are_sound &= check_option(option, (item.span, owner), adoption);
    }
    let target = parts.target.to_owned();
    let data = |data| Source::Known(Origin::Data(data));
    let source = match (parts.kind, parts.source) {
        (Some("tmpfs"), _) => Source::Known(Origin::Memory(memory_options(item, owner, adoption))),
        (None | Some("volume"), None) => data(Data::Anonymous(service, target.clone())),
        (Some("volume"), Some(name)) => data(Data::Volume(name.to_owned())),
        (None, Some(name)) if !is_path(name) => data(Data::Volume(name.to_owned())),
        (None | Some("bind"), Some(path)) => {
            let place = (item.span, parts.source_span);
            outside(path, (place, owner), adoption)?
        }
        (other, _) => {
            let kind = quote(other.unwrap_or_default());
            adoption.error(
                item.span,
                format!("{owner} has a volume of the type {kind}"),
                "Flocker has `volume`, `bind` and `tmpfs`",
            );
            return None;
        }
    };
    are_sound.then_some(Item {
        span: item.span,
        target,
        read_only: parts.read_only,
        must_exist: parts.must_exist,
        source,
    })
}

/// Tells whether Compose takes the source of a mount for a path.
fn is_path(source: &str) -> bool {
    source.starts_with(['/', '.', '~'])
}

/// Reads `source:target:options`, `source:target` and `target`.
fn short_form(text: &str, span: Span) -> Parts<'_> {
    let mut parts = text.splitn(3, ':');
    let (first, second, options) = (parts.next().unwrap_or(text), parts.next(), parts.next());
    let (source, target) = match second {
        Some(target) => (Some(first), target),
        None => (None, first),
    };
    let options = options.map(|options| options.split(',').collect());
    let options: Vec<&str> = options.unwrap_or_default();
    Parts {
        kind: None,
        source: source.filter(|source| !source.is_empty()),
        source_span: span,
        target,
        read_only: options.contains(&"ro"),
        must_exist: false,
        options,
    }
}

/// Looks at an option; one without which something else would run is refused.
fn check_option(option: &str, (span, owner): (Span, &str), adoption: &mut Adoption<'_>) -> bool {
    let shown = quote(option);
    match option {
        // What is so anyway, and what means nothing without SELinux or on Linux.
        "" | "ro" | "rw" | "private" | "rprivate" | "z" | "Z" | "cached" | "delegated"
        | "consistent" => true,
        "nocopy" => {
            adoption.warn(
                span,
                format!("{shown} of a volume of {owner} is left out"),
                "a new directory of a volume begins with what the image has there",
            );
            true
        }
        "shared" | "rshared" | "slave" | "rslave" => {
            adoption.error(
                span,
                format!("{owner} shares mounts with its node ({shown}), which Flocker cannot do"),
                "leave the option out: mounts are private to the container",
            );
            false
        }
        _ => {
            adoption.error(
                span,
                format!("a volume of {owner} has the unknown option {shown}"),
                "write `:ro` for one that can only be read, or leave it out",
            );
            false
        }
    }
}

/// Reads a path outside of the container.
fn outside(
    path: &str,
    ((span, source_span), owner): ((Span, Span), &str),
    adoption: &mut Adoption<'_>,
) -> Option<Source> {
    if let Some(path) = adoption.below_home(path, source_span)
        && adoption.expanded(&path) != path
    {
        return Some(Source::Beside(normalized(&path)));
    }
    if let Some(rest) = below_file(path, adoption) {
        let path = normalized(&rest);
        let text =
            format!("the path leads below the directory of this file, so it is {path} there");
        adoption.decide(span, text);
        return Some(Source::Beside(path));
    }
    if path.starts_with('/') {
        return Some(Source::Known(Origin::Node(path.to_owned())));
    }
    if path.starts_with('~') {
        adoption.error(
            span,
            format!("{} of {owner} is in a home directory", quote(path)),
            "write the path from `/` on, if it is a path of the node",
        );
        return None;
    }
    Some(Source::Beside(normalized(path)))
}

/// Returns the rest of an absolute path that lies below the directory of the file. `docker compose
/// config` writes such a path in the place of one that counts from there.
fn below_file(path: &str, adoption: &Adoption<'_>) -> Option<String> {
    let path = cleaned(path.strip_prefix('/')?);
    let path = format!("/{}", unescaped(&path));
    let rest = adoption.surroundings.below(adoption.beside, &path)?;
    Some(escape_dollars(&rest))
}

/// Writes a path relative to the file, or below `~`, in one way.
fn normalized(path: &str) -> String {
    let (prefix, rest) = match path.strip_prefix('~') {
        Some(rest) => ("~/", rest),
        None => ("./", path),
    };
    format!("{prefix}{}", cleaned(rest))
}

/// Leaves out of a path whatever leads nowhere.
fn cleaned(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

impl Data {
    /// Names the directory of the volume; `None` where its path names it.
    pub(crate) fn directory(&self) -> Option<String> {
        match self {
            Self::Volume(name) => Some(name.clone()),
            Self::Directory(path) => {
                let acceptable =
                    |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
                let name = path.replace(|c| !acceptable(c), "-");
                let name = name.trim_matches(['.', '-', '_']);
                Some(if name.is_empty() { "data" } else { name }.to_owned())
            }
            Self::Anonymous(..) => None,
        }
    }
}
