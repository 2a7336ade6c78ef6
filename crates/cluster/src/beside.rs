//! The files beside the application configuration and the environment, to which a Compose file refers.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use flocker_config::{PathKind, Surroundings};

/// The machine that this program runs on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beside;

impl Surroundings for Beside {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn read(&self, beside: &str, path: &str) -> Result<Option<Vec<u8>>, String> {
        match fs::read(resolve(beside, path)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("cannot be read: {error}")),
        }
    }

    fn kind(&self, beside: &str, path: &str) -> PathKind {
        match fs::metadata(resolve(beside, path)) {
            Ok(metadata) if metadata.is_dir() => PathKind::Directory,
            Ok(metadata) => PathKind::File {
                mode: metadata.mode() & 0o777,
                uid: metadata.uid(),
                gid: metadata.gid(),
            },
            Err(_) => PathKind::Missing,
        }
    }

    fn files(&self, beside: &str, path: &str) -> Vec<String> {
        let mut files = Vec::new();
        list(&resolve(beside, path), "", MAXIMUM_DEPTH, &mut files);
        files.sort();
        files
    }

    fn directory(&self, beside: &str) -> Option<String> {
        let directory = fs::canonicalize(resolve(beside, ".")).ok()?;
        directory.into_os_string().into_string().ok()
    }

    /// Finds the directory among those that the path leads through, also under another name: Compose
    /// writes the name of a symbolic link that the shell has gone through.
    fn below(&self, beside: &str, path: &str) -> Option<String> {
        let identity = |path: &Path| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.dev(), metadata.ino()))
        };
        let directory = identity(&resolve(beside, "."))?;
        let path = Path::new(path);
        let outer = path.ancestors().filter(|outer| outer.parent().is_some());
        let same = outer.filter(|outer| identity(outer) == Some(directory));
        let rest = path.strip_prefix(same.last()?).ok()?;
        rest.to_str().map(str::to_owned)
    }
}

/// The directories inside of each other that are looked into.
const MAXIMUM_DEPTH: usize = 8;

/// Adds the files of a directory; `prefix` is its path from the first one. Names that are not UTF-8
/// cannot be written in a configuration.
fn list(directory: &Path, prefix: &str, depth: usize, files: &mut Vec<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let path = entry.path();
        if path.is_file() {
            files.push(format!("{prefix}{name}"));
        } else if path.is_dir() && depth > 0 {
            list(&path, &format!("{prefix}{name}/"), depth - 1, files);
        }
    }
}

/// Finds a path that counts from the directory of the file called `beside`.
fn resolve(beside: &str, path: &str) -> PathBuf {
    let directory = Path::new(beside).parent();
    directory.unwrap_or(Path::new("")).join(path)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn paths_count_from_the_directory_of_the_file() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(".env"), "A=b").unwrap();
        let file = directory.path().join("compose.yaml");
        let file = file.to_str().unwrap();
        assert_eq!(Beside.read(file, ".env"), Ok(Some(b"A=b".to_vec())));
        assert_eq!(Beside.read(file, "./none"), Ok(None));
        assert!(Beside.read(file, ".").is_err());
        fs::set_permissions(directory.path().join(".env"), Permissions::from_mode(0o640)).unwrap();
        let kind = Beside.kind(file, "./.env");
        assert!(
            matches!(kind, PathKind::File { mode: 0o640, .. }),
            "{kind:?}"
        );
        assert_eq!(Beside.kind(file, "."), PathKind::Directory);
        assert_eq!(Beside.kind(file, "none"), PathKind::Missing);
        fs::create_dir(directory.path().join("conf")).unwrap();
        fs::write(directory.path().join("conf/b"), "").unwrap();
        assert_eq!(Beside.files(file, "."), [".env", "conf/b"]);
        assert!(Beside.files(file, "none").is_empty());
        assert_eq!(resolve("compose.yaml", "./x"), Path::new("./x"));
    }

    #[test]
    fn absolute_paths_below_the_file_are_found() {
        let directory = tempfile::tempdir().unwrap();
        let stack = directory.path().join("stack");
        fs::create_dir(&stack).unwrap();
        let link = directory.path().join("link");
        symlink(&stack, &link).unwrap();
        let file = stack.join("compose.yaml");
        let below = |path: PathBuf| Beside.below(file.to_str()?, path.to_str()?);
        assert_eq!(below(stack.join("none/data")).as_deref(), Some("none/data"));
        assert_eq!(below(link.join("data")).as_deref(), Some("data"));
        assert_eq!(below(stack.clone()).as_deref(), Some(""));
        assert_eq!(below(directory.path().join("stack-2")), None);
        assert_eq!(Beside.below("/compose.yaml", "/etc/hosts"), None);
    }
}
