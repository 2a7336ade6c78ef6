//! Unpacks the archive of one directory into an empty one.

use std::fs::{self, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Component, Path};

use tar::{Archive, EntryType};
use thiserror::Error;

/// Why an archive cannot be unpacked.
#[derive(Debug, Error)]
pub enum UnpackError {
    /// It is another thing than a directory.
    #[error("it is not a directory")]
    NotADirectory,
    /// It cannot be read, or the disk refuses what is in it.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Unpacks `archive`, whose names begin at the directory itself (`./`, `./a`), into the empty
/// directory `into`: owners, modes, times, links and extended attributes as they are in it.
///
/// The directory itself gets the owner and mode of the first entry. Devices and sockets are left out,
/// as nothing can have made them in a directory of data.
///
/// # Errors
/// When the archive is not of a directory, names something outside of it, or cannot be written.
pub(crate) fn unpack(archive: impl Read, into: &Path) -> Result<(), UnpackError> {
    let mut archive = Archive::new(archive);
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(true);
    archive.set_preserve_mtime(true);
    archive.set_unpack_xattrs(true);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let is_root = entry
            .path()?
            .components()
            .all(|part| matches!(part, Component::CurDir | Component::RootDir));
        let kind = entry.header().entry_type();
        if is_root {
            if kind != EntryType::Directory {
                return Err(UnpackError::NotADirectory);
            }
            let header = entry.header();
            let number = |value: u64| u32::try_from(value).map_err(io::Error::other);
            chown(
                into,
                Some(number(header.uid()?)?),
                Some(number(header.gid()?)?),
            )?;
            fs::set_permissions(into, Permissions::from_mode(header.mode()?))?;
            continue;
        }
        if matches!(kind, EntryType::Block | EntryType::Char | EntryType::Fifo) {
            continue;
        }
        if !entry.unpack_in(into)? {
            let path = entry.path()?.display().to_string();
            let outside = format!("{path} leads out of the directory");
            return Err(io::Error::other(outside).into());
        }
    }
    Ok(())
}

/// Returns the text of the first file of an archive; empty if there is none.
pub(crate) fn first_file(archive: &[u8]) -> String {
    let mut text = Vec::new();
    let mut archive = Archive::new(archive);
    let first = archive
        .entries()
        .ok()
        .and_then(|mut entries| entries.next());
    if let Some(Ok(mut entry)) = first {
        // What cannot be read to its end says nothing.
        if entry.read_to_end(&mut text).is_err() {
            text.clear();
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use tar::{Builder, Header};

    use super::*;

    fn header(kind: EntryType, mode: u32, size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        let directory = tempfile::tempdir().unwrap();
        // Whoever runs the tests owns what they make.
        let owner = fs::metadata(directory.path()).unwrap();
        header.set_uid(u64::from(owner.uid()));
        header.set_gid(u64::from(owner.gid()));
        header
    }

    #[test]
    fn a_directory_is_unpacked_with_modes_and_links() {
        let mut builder = Builder::new(Vec::new());
        let mut root = header(EntryType::Directory, 0o2750, 0);
        builder.append_data(&mut root, "./", io::empty()).unwrap();
        let mut file = header(EntryType::Regular, 0o640, 5);
        builder
            .append_data(&mut file, "./a/b", &b"hello"[..])
            .unwrap();
        let mut link = header(EntryType::Symlink, 0o777, 0);
        builder.append_link(&mut link, "./link", "a/b").unwrap();
        let mut hard = header(EntryType::Link, 0o640, 0);
        builder.append_link(&mut hard, "./hard", "./a/b").unwrap();
        let archive = builder.into_inner().unwrap();

        let into = tempfile::tempdir().unwrap();
        unpack(archive.as_slice(), into.path()).unwrap();
        let at = |name: &str| into.path().join(name);
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
        assert_eq!(mode(into.path()), 0o2750);
        assert_eq!(mode(&at("a/b")), 0o640);
        assert_eq!(fs::read(at("link")).unwrap(), b"hello");
        let inode = |name: &str| fs::metadata(at(name)).unwrap().ino();
        assert_eq!(inode("hard"), inode("a/b"));
    }

    #[test]
    fn nothing_is_written_outside_of_the_directory() {
        let mut builder = Builder::new(Vec::new());
        let mut link = header(EntryType::Symlink, 0o777, 0);
        builder.append_link(&mut link, "./out", "/tmp").unwrap();
        let mut file = header(EntryType::Regular, 0o640, 1);
        builder
            .append_data(&mut file, "./out/flocker-escaped", &b"x"[..])
            .unwrap();
        let archive = builder.into_inner().unwrap();
        let into = tempfile::tempdir().unwrap();
        assert!(unpack(archive.as_slice(), into.path()).is_err());
        assert!(!Path::new("/tmp/flocker-escaped").exists());
    }

    #[test]
    fn a_file_is_no_volume() {
        let mut builder = Builder::new(Vec::new());
        let mut file = header(EntryType::Regular, 0o640, 1);
        builder.append_data(&mut file, ".", &b"x"[..]).unwrap();
        let archive = builder.into_inner().unwrap();
        let into = tempfile::tempdir().unwrap();
        assert!(matches!(
            unpack(archive.as_slice(), into.path()),
            Err(UnpackError::NotADirectory)
        ));
    }
}
