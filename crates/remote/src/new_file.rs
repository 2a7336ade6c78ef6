//! Files that are there whole or not at all, and once.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Creates a file with its content in one step, unless there is one.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] if there is one, whoever made it and however short a time ago;
/// else why it cannot be written.
pub fn write_new(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let temporary = temporary_beside(path);
    // Somebody of that number died and left it over.
    let _ = fs::remove_file(&temporary);
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary)?;
        // The mode above is subject to the umask.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.write_all(content)?;
        file.sync_all()?;
        // Unlike a rename, a link never replaces what is there.
        fs::hard_link(&temporary, path)
    })();
    let _ = fs::remove_file(&temporary);
    written?;
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => File::open(directory)?.sync_all(),
        _ => Ok(()),
    }
}

/// Returns a name that nobody else writes to.
fn temporary_beside(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".new-{}-{count}", std::process::id()));
    PathBuf::from(temporary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_writers_at_once_one_wins_and_nothing_is_left_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("id");
        let wins: Vec<String> = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..8)
                .map(|number| {
                    let (path, text) = (&path, format!("writer {number}"));
                    scope.spawn(move || write_new(path, text.as_bytes(), 0o600).map(|()| text))
                })
                .collect();
            let results = writers.into_iter().map(|writer| writer.join().unwrap());
            results.filter_map(Result::ok).collect()
        });
        assert_eq!(wins, [fs::read_to_string(&path).unwrap()]);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
