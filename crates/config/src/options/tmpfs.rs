//! The key `tmpfs`: file systems in memory.

use std::collections::BTreeMap;

use flocker_model::{ByteCount, InvalidName, MountPath, TmpfsOptions, VolumeLayout};

use super::Keys;
use super::forms::one_or_more;
use crate::fields::Field;
use crate::phrase::quote;
use crate::quantity::Refusal;
use crate::report::{Finding, Report};
use crate::source::Located;
use crate::volumes::Data;

/// Reads a path or a list of paths, each with options behind a colon.
pub(super) fn read_tmpfs(
    keys: &Keys<'_>,
    (data, shm_size): (&Data, Option<ByteCount>),
    report: &mut Report,
) -> BTreeMap<MountPath, TmpfsOptions> {
    let Some(field) = keys.field("tmpfs") else {
        return BTreeMap::new();
    };
    let mut mounts: BTreeMap<MountPath, TmpfsOptions> = BTreeMap::new();
    for item in one_or_more(&field, report) {
        let item = Field::item(format!("a file system in memory of {}", keys.owner), item);
        let Some(read) = item.parsed("a path", parse, report) else {
            continue;
        };
        let (path, options) = read.value;
        let path = Located {
            value: path,
            span: read.span,
        };
        let place = Place {
            owner: keys.owner,
            data,
            has_shm_size: shm_size.is_some(),
            is_taken: mounts.contains_key(&path.value),
        };
        if let Some(finding) = place.refuse(&path) {
            report.error(|| finding);
            continue;
        }
        mounts.insert(path.value, options);
    }
    mounts
}

fn parse(text: &str) -> Result<(MountPath, TmpfsOptions), Refusal> {
    let (path, options) = text.split_once(':').unwrap_or((text, ""));
    let path = path.parse::<MountPath>().map_err(|invalid: InvalidName| {
        Refusal::new(
            invalid.problem,
            "write a path inside the container, such as `/tmp`",
        )
    })?;
    let options: TmpfsOptions = options
        .parse()
        .map_err(|invalid: InvalidName| Refusal::new(invalid.problem, OPTIONS))?;
    let pairs = options
        .as_str()
        .split(',')
        .filter_map(|it| it.split_once('='));
    for (name, value) in pairs {
        check_value(name, value)?;
    }
    Ok((path.cleaned(), options))
}

/// Refuses a value that the kernel would refuse when the container starts, after the former one was
/// stopped.
///
/// **Source**: Linux 6.12, `mm/shmem.c`, `shmem_parse_one`.
fn check_value(name: &str, value: &str) -> Result<(), Refusal> {
    let is_number = |text: &str| text.parse::<u32>().is_ok() && !text.starts_with('+');
    let is_amount = |text: &str| {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = &text[digits.len()..];
        let is_unit = unit.is_empty() || unit.len() == 1 && "kmgtpeKMGTPE".contains(unit);
        is_unit && digits.parse::<u64>().is_ok() && !digits.starts_with('+')
    };
    let (is_sound, hint) = match name {
        "size" => (
            is_amount(value) || value.strip_suffix('%').is_some_and(is_number),
            "write a size like `size=64m`, or a part of the node's memory like `size=10%`",
        ),
        "nr_blocks" | "nr_inodes" => (is_amount(value), "write a number like `10k`"),
        "mode" => (
            u32::from_str_radix(value, 8).is_ok_and(|mode| mode <= 0o7777)
                && !value.starts_with('+'),
            "write octal digits, such as `mode=1777`",
        ),
        "uid" | "gid" => (
            is_number(value),
            "write the number: the kernel knows no names of users and groups",
        ),
        _ => (true, ""),
    };
    if is_sound {
        return Ok(());
    }
    let problem = format!("has a {} that the kernel does not take", quote(name));
    Err(Refusal::new(&problem, hint))
}

const OPTIONS: &str = "write options as mount(8) has them, such as `/run:size=64m,mode=1777`";

/// What is known of the place where a file system in memory is to be.
struct Place<'a> {
    owner: &'a str,
    data: &'a Data,
    has_shm_size: bool,
    is_taken: bool,
}

impl Place<'_> {
    /// Says why nothing can be mounted there.
    fn refuse(&self, path: &Located<MountPath>) -> Option<Finding> {
        let shown = quote(path.value.as_str());
        let owner = self.owner;
        let at = |message: String| Finding::at(path.span, message);
        if self.is_taken || self.data.scratch.contains(&path.value) {
            let message = format!("{owner} has the path {shown} twice");
            return Some(at(message).hint("a path is in one of `scratch` and `tmpfs`, once"));
        }
        if let Some(volume) = self.overlapping(&path.value) {
            let message = format!("`tmpfs` of {owner}: {shown} and the volume at {volume} overlap");
            let hint = "one would hide a part of the other; keep them apart, or write `scratch` for \
                        a directory on the node's disk below a volume";
            return Some(at(message).hint(hint));
        }
        if let Some(finding) = self.beside_mounts(path) {
            return Some(finding);
        }
        let first = path.value.components().next().unwrap_or_default();
        if matches!(first, "proc" | "sys") || path.value.as_str() == "/dev" {
            let message = format!("`tmpfs` of {owner}: {shown} is the kernel's");
            return Some(at(message).hint("mount nothing at `/proc`, `/sys` and `/dev`"));
        }
        if self.has_shm_size && path.value.as_str() == "/dev/shm" {
            let message = format!("{owner} has both `shm_size` and a `tmpfs` at `/dev/shm`");
            return Some(at(message).hint("`shm_size` alone sets the size of `/dev/shm`"));
        }
        None
    }

    /// Says why a path does not go with those of the node and with files. A file below it is put there
    /// after it.
    fn beside_mounts(&self, path: &Located<MountPath>) -> Option<Finding> {
        let (shown, owner) = (quote(path.value.as_str()), self.owner);
        let mut host = self.data.host_mounts.keys();
        let mut files = self.data.files.keys();
        let (what, other) = if let Some(other) = host.find(|other| overlap(other, &path.value)) {
            ("the path of the node at", other)
        } else {
            let other = files.find(|file| file.relative(&path.value).is_some())?;
            ("the file", other)
        };
        let other = quote(other.as_str());
        let message = format!("`tmpfs` of {owner}: {shown} and {what} {other} overlap");
        Some(Finding::at(path.span, message).hint("keep the two beside each other"))
    }

    /// Finds a mount point of the volume that is at, above or below a path.
    fn overlapping(&self, path: &MountPath) -> Option<String> {
        let meets = |other: &&MountPath| overlap(other, path);
        let found = match &self.data.volume.as_ref()?.layout {
            VolumeLayout::Whole { mountpoint } => Some(mountpoint).filter(meets),
            VolumeLayout::Directories { directories } => directories.keys().find(meets),
        };
        found.map(|path| quote(path.as_str()))
    }
}

/// Tells whether one of two paths is at or below the other.
pub(crate) fn overlap(one: &MountPath, other: &MountPath) -> bool {
    one.relative(other).is_some() || other.relative(one).is_some()
}
