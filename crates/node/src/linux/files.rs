//! Files that containers are given, below a directory that only root gets through.
//!
//! Each configuration of an application has a directory of its own, named by the digest of its
//! files: a container goes on to see those that it was made with.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use flocker_docker::BindMount;
use flocker_model::{ContainerFile, Digest, MountPath};
use flocker_remote::protocol::{Change, StepFailure};

use super::changed;
use super::directories::UNFINISHED;
use super::entries::{make, make_all, remove_left_over};
use crate::failure::OrFailure as _;

type Files = BTreeMap<MountPath, ContainerFile>;

/// Makes sure of the files below `root`, the directory of their application.
pub(super) fn ensure(root: &Path, files: &Files) -> Result<Vec<BindMount>, StepFailure> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let directory = root.join(Digest::of(files).as_str());
    if !is_complete(&directory, files) {
        let unfinished = root.join(format!("{UNFINISHED}files"));
        remove_left_over(&unfinished)?;
        make_all(root)?;
        make(&unfinished, 0o700)?;
        for (index, (target, file)) in files.iter().enumerate() {
            let written = write(&path_of(&unfinished, index), file);
            written.or_failed_to(format!("cannot write the file for {target}"))?;
        }
        // Something of that name is damaged.
        remove_left_over(&directory)?;
        fs::rename(&unfinished, &directory)
            .and_then(|()| File::open(root)?.sync_all())
            .or_failed_to(format!("cannot make {}", directory.display()))?;
    }
    let binds = files.keys().enumerate().map(|(index, target)| BindMount {
        source: path_of(&directory, index),
        target: target.clone(),
        read_only: true,
    });
    Ok(binds.collect())
}

/// Removes everything below `root` but these files.
pub(super) fn forget_others(root: &Path, files: &Files) -> Result<Change, StepFailure> {
    let failed = || format!("cannot remove what is in {}", root.display());
    if files.is_empty() {
        return match fs::remove_dir_all(root) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(changed(false)),
            removed => removed.or_failed_to(failed()).map(|()| changed(true)),
        };
    }
    let kept = Digest::of(files);
    let mut anything = false;
    for entry in fs::read_dir(root).or_failed_to(failed())? {
        let entry = entry.or_failed_to(failed())?;
        if entry.file_name() != kept.as_str() {
            fs::remove_dir_all(entry.path()).or_failed_to(failed())?;
            anything = true;
        }
    }
    Ok(changed(anything))
}

/// Returns where the file with this number is: paths of containers may be longer than names may be.
fn path_of(directory: &Path, index: usize) -> PathBuf {
    directory.join(index.to_string())
}

/// Tells whether all files are there as they should be.
fn is_complete(directory: &Path, files: &Files) -> bool {
    let is_there = |(index, file): (usize, &ContainerFile)| {
        let path = path_of(directory, index);
        let Ok(found) = fs::symlink_metadata(&path) else {
            return false;
        };
        found.is_file()
            && (found.uid(), found.gid()) == (file.uid, file.gid)
            && found.mode() & 0o7777 == file.mode.bits()
            && fs::read(&path).is_ok_and(|bytes| bytes == file.contents.reveal())
    };
    files.values().enumerate().all(is_there)
}

/// Writes a file that has its contents before anybody but root may read it.
fn write(path: &Path, wanted: &ContainerFile) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(wanted.contents.reveal())?;
    fchown(&file, Some(wanted.uid), Some(wanted.gid))?;
    // After the owner, who would lose permissions with it.
    file.set_permissions(Permissions::from_mode(wanted.mode.bits()))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use flocker_model::FileMode;

    use super::*;

    /// One file, which belongs to whoever runs the test.
    fn files(contents: &[u8], root: &Path) -> Files {
        let found = fs::metadata(root).unwrap();
        let file = ContainerFile {
            uid: found.uid(),
            gid: found.gid(),
            mode: FileMode::new(0o440).unwrap(),
            ..ContainerFile::new(contents.to_vec().into())
        };
        BTreeMap::from([("/etc/nginx/nginx.conf".parse().unwrap(), file)])
    }

    #[test]
    fn a_file_has_contents_owner_and_mode_and_is_behind_a_closed_directory() {
        let base = tempfile::tempdir().unwrap();
        let root = base.path().join("web");
        let wanted = files(b"\xfflisten", base.path());
        let binds = ensure(&root, &wanted).unwrap();
        let [bind] = binds.as_slice() else {
            panic!("{binds:?}");
        };
        assert!(bind.read_only);
        assert_eq!(bind.target.as_str(), "/etc/nginx/nginx.conf");
        assert_eq!(fs::read(&bind.source).unwrap(), b"\xfflisten");
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
        assert_eq!(mode(&bind.source), 0o440);
        assert_eq!(mode(&root), 0o700);
        let before = fs::metadata(&bind.source).unwrap().ino();
        assert_eq!(ensure(&root, &wanted).unwrap(), binds);
        assert_eq!(fs::metadata(&bind.source).unwrap().ino(), before);
    }

    #[test]
    fn a_damaged_file_is_written_again() {
        let base = tempfile::tempdir().unwrap();
        let root = base.path().join("web");
        let wanted = files(b"a", base.path());
        let binds = ensure(&root, &wanted).unwrap();
        fs::remove_file(&binds[0].source).unwrap();
        ensure(&root, &wanted).unwrap();
        assert_eq!(fs::read(&binds[0].source).unwrap(), b"a");
        fs::remove_file(&binds[0].source).unwrap();
        fs::write(&binds[0].source, "b").unwrap();
        ensure(&root, &wanted).unwrap();
        assert_eq!(fs::read(&binds[0].source).unwrap(), b"a");
    }

    /// A container that was made with other files may have to be started again.
    #[test]
    fn former_files_stay_until_they_are_forgotten() {
        let base = tempfile::tempdir().unwrap();
        let root = base.path().join("web");
        let (former, present) = (files(b"a", base.path()), files(b"b", base.path()));
        let before = ensure(&root, &former).unwrap();
        let after = ensure(&root, &present).unwrap();
        assert_eq!(fs::read(&before[0].source).unwrap(), b"a");
        assert_eq!(forget_others(&root, &present).unwrap(), Change::Changed);
        assert!(!before[0].source.exists());
        assert_eq!(fs::read(&after[0].source).unwrap(), b"b");
        assert_eq!(forget_others(&root, &present).unwrap(), Change::Unchanged);
        assert_eq!(
            forget_others(&root, &Files::new()).unwrap(),
            Change::Changed
        );
        assert!(!root.exists());
        assert_eq!(
            forget_others(&root, &Files::new()).unwrap(),
            Change::Unchanged
        );
    }
}
