//! Directory trees of the machine that become volumes.

use std::path::{Path, PathBuf};

use flocker_model::ByteCount;
use flocker_remote::protocol::StepFailure;
use flocker_zfs::{TreeSize, copy_tree, measure_tree};

use super::entries::{is_directory, make};
use super::marker::write_marker;
use crate::failure::{OrFailure as _, failure_of};
use crate::import_source::ImportSource;

/// Follows every symbolic link on the way to a directory.
pub(super) async fn resolve(path: &Path) -> Result<PathBuf, StepFailure> {
    let cannot = || format!("cannot open {}", path.display());
    let resolved = tokio::fs::canonicalize(path).await.or_failed_to(cannot())?;
    let found = tokio::fs::metadata(&resolved)
        .await
        .or_failed_to(cannot())?;
    if found.is_dir() {
        return Ok(resolved);
    }
    Err(failure_of(format!("{} is not a directory", path.display())))
}

/// Looks through a directory tree.
pub(super) async fn measure(root: &Path) -> Result<TreeSize, StepFailure> {
    let root = root.to_owned();
    let measured = tokio::task::spawn_blocking(move || measure_tree(&root)).await;
    let measured = measured.or_failed_to("a directory cannot be looked through")?;
    measured.or_failure()
}

/// Copies trees into a volume that is being imported, whose top is `root`.
pub(super) async fn import(
    sources: &[ImportSource],
    root: &Path,
    mut tell: impl FnMut(ByteCount) + Send,
) -> Result<(), StepFailure> {
    let mut before = ByteCount::ZERO;
    for ImportSource { into, directory } in sources {
        let target = match into {
            None => root.to_owned(),
            Some(name) => {
                write_marker(root)?;
                let target = root.join(name.as_str());
                if !is_directory(&target)? {
                    make(&target, 0o755)?;
                }
                target
            }
        };
        let mut copied = ByteCount::ZERO;
        let tell = |bytes: ByteCount| {
            copied = bytes;
            tell(before.saturating_add(bytes));
        };
        copy_tree(directory, &target, tell).await.or_failure()?;
        before = before.saturating_add(copied);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use flocker_model::DIRECTORIES_MARKER;

    use super::*;

    fn source(into: Option<&str>, directory: &Path) -> ImportSource {
        ImportSource {
            into: into.map(|name| name.parse().unwrap()),
            directory: directory.to_owned(),
        }
    }

    #[tokio::test]
    async fn several_sources_become_directories_with_the_marker() {
        let (from, volume) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(from.path().join("row"), "1").unwrap();
        let sources = ["etc", "data"].map(|name| source(Some(name), from.path()));
        // Twice: an interrupted import begins with what is there.
        for _ in 0..2 {
            import(&sources, volume.path(), |_| {}).await.unwrap();
        }
        for file in [DIRECTORIES_MARKER, "etc/row", "data/row"] {
            assert!(volume.path().join(file).exists(), "{file}");
        }
    }

    #[tokio::test]
    async fn one_source_becomes_the_volume_itself() {
        let (from, volume) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(from.path().join("row"), "1").unwrap();
        let sources = [source(None, from.path())];
        import(&sources, volume.path(), |_| {}).await.unwrap();
        assert!(volume.path().join("row").exists());
        assert!(!volume.path().join(DIRECTORIES_MARKER).exists());
    }

    #[tokio::test]
    async fn a_link_to_a_directory_is_followed_and_a_file_refused() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().canonicalize().unwrap().join(name);
        std::fs::create_dir(at("real")).unwrap();
        std::fs::write(at("file"), "").unwrap();
        std::os::unix::fs::symlink(at("real"), at("link")).unwrap();
        assert_eq!(resolve(&at("link")).await.unwrap(), at("real"));
        let file = resolve(&at("file")).await.unwrap_err();
        assert!(
            file.message.ends_with("file is not a directory"),
            "{file:?}"
        );
        let missing = resolve(&at("missing")).await.unwrap_err();
        assert!(missing.causes[0].contains("No such file"), "{missing:?}");
    }
}
