//! The files beside the application configuration and the environment, to which a Compose file refers.

use std::collections::VecDeque;
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

    fn texts(&self, beside: &str, path: &str) -> Vec<(String, String)> {
        small_texts(&resolve(beside, path))
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
        // A link to nothing is listed, and is missed when it is read.
        if path.is_file() || (path.is_symlink() && !path.exists()) {
            files.push(format!("{prefix}{name}"));
        } else if path.is_dir() && depth > 0 {
            list(&path, &format!("{prefix}{name}/"), depth - 1, files);
        }
    }
}

/// The entries of a directory with data that are looked at, and the bytes of one text and of all.
const MAXIMUM_ENTRIES: usize = 1000;
const MAXIMUM_TEXT: u64 = 64 * 1024;
const MAXIMUM_TEXTS: u64 = 1024 * 1024;

/// Reads the small texts in a directory, and then in those inside of it. Logs are left out.
fn small_texts(directory: &Path) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    let (mut entries, mut bytes) = (0, 0);
    let mut open = VecDeque::from([(directory.to_owned(), String::new())]);
    while let Some((directory, prefix)) = open.pop_front() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let (path, Ok(name)) = (entry.path(), entry.file_name().into_string()) else {
                continue;
            };
            entries += 1;
            if entries > MAXIMUM_ENTRIES {
                open.clear();
                break;
            }
            // Of the entry itself: a link may lead out of the data, or around.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let is_small = metadata.len() <= MAXIMUM_TEXT.min(MAXIMUM_TEXTS - bytes);
            if metadata.is_dir() {
                open.push_back((path, format!("{prefix}{name}/")));
            } else if metadata.is_file()
                && is_small
                && path.extension().is_none_or(|extension| extension != "log")
                && let Ok(text) = fs::read_to_string(path)
            {
                bytes = (bytes + metadata.len()).min(MAXIMUM_TEXTS);
                texts.push((format!("{prefix}{name}"), text));
            }
        }
    }
    texts.sort();
    texts
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
        std::os::unix::fs::symlink("nothing", directory.path().join("conf/link")).unwrap();
        assert_eq!(Beside.files(file, "conf"), ["b", "link"]);
        assert!(Beside.files(file, "none").is_empty());
        fs::write(directory.path().join("conf/large"), vec![b' '; 100_000]).unwrap();
        fs::write(directory.path().join("conf/a.log"), "x").unwrap();
        fs::write(directory.path().join("conf/binary"), b"\xff").unwrap();
        let text = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        assert_eq!(
            Beside.texts(file, "."),
            [text(".env", "A=b"), text("conf/b", "")]
        );
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
