use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};

use nix::sys::stat::Mode;
use tempfile::TempDir;

use super::*;

/// A tree with one of everything that is easily lost.
fn tree() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o710)).unwrap();
    fs::create_dir(at("data")).unwrap();
    fs::write(at("data/row"), "first").unwrap();
    fs::set_permissions(at("data/row"), fs::Permissions::from_mode(0o4755)).unwrap();
    std::os::unix::fs::chown(at("data/row"), Some(999), Some(998)).unwrap();
    std::os::unix::fs::chown(at("data/row"), Some(999), Some(998)).unwrap();
    fs::hard_link(at("data/row"), at("same-row")).unwrap();
    symlink("/nowhere/at all", at("link")).unwrap();
    nix::unistd::mkfifo(&at("queue"), Mode::S_IRWXU).unwrap();
    let holes = File::create(at("holes")).unwrap();
    holes.write_all_at(b"end", 8 << 20).unwrap();
    File::open(at("data/row"))
        .unwrap()
        .set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_nanos(1_000_000_001))
        .unwrap();
    root
}

#[tokio::test]
async fn a_copy_keeps_owners_modes_times_links_and_holes() {
    let (from, into) = (tree(), tempfile::tempdir().unwrap());
    copy_tree(from.path(), into.path(), |_| {}).await.unwrap();
    let look = |name: &str| fs::symlink_metadata(into.path().join(name)).unwrap();
    assert_eq!(look("").mode() & 0o7777, 0o710);
    let (row, same) = (look("data/row"), look("same-row"));
    assert_eq!((row.uid(), row.gid()), (999, 998));
    let original = fs::metadata(from.path().join("data/row")).unwrap();
    assert_eq!(row.mode(), original.mode());
    assert_eq!((row.mtime(), row.mtime_nsec()), (1, 1));
    assert_eq!(row.ino(), same.ino());
    let link = fs::read_link(into.path().join("link")).unwrap();
    assert_eq!(link, Path::new("/nowhere/at all"));
    assert_eq!(
        look("queue").mode(),
        fs::metadata(from.path().join("queue")).unwrap().mode()
    );
    let holes = look("holes");
    assert_eq!(holes.len(), (8 << 20) + 3);
    assert!(holes.blocks() * 512 < 1 << 20, "{}", holes.blocks());
}

#[tokio::test]
async fn a_second_attempt_copies_only_what_is_missing() {
    let (from, into) = (tree(), tempfile::tempdir().unwrap());
    let big = from.path().join("big");
    fs::write(&big, vec![7; 4 << 20]).unwrap();
    copy_tree(from.path(), into.path(), |_| {}).await.unwrap();
    let whole = fs::metadata(into.path().join("big")).unwrap().ino();
    // As an interruption leaves it.
    fs::remove_file(into.path().join("same-row")).unwrap();
    fs::write(into.path().join(".data.x81hQk"), "half").unwrap();
    let mut told = ByteCount::ZERO;
    let copied = copy_tree(from.path(), into.path(), |bytes| told = bytes).await;
    copied.unwrap();
    assert!(told < ByteCount::new(1 << 20), "{told}");
    assert_eq!(fs::metadata(into.path().join("big")).unwrap().ino(), whole);
    assert!(!into.path().join(".data.x81hQk").exists());
}

#[tokio::test]
async fn a_source_that_cannot_be_read_is_named() {
    let into = tempfile::tempdir().unwrap();
    let missing = into.path().join("missing");
    let refused = copy_tree(&missing, into.path(), |_| {}).await.unwrap_err();
    let text = refused.to_string();
    assert!(
        text.contains("exited with status 23") && text.contains("missing"),
        "{text}"
    );
}

#[test]
fn progress_is_told_from_everything_else() {
    for (line, bytes) in [
        (
            "     1048576  12%   95.37MB/s    0:00:09 (xfr#1, to-chk=3/7)\r",
            Some(1_048_576),
        ),
        ("              0   0%    0.00kB/s    0:00:00\r", Some(0)),
        ("1,048,576  12%\r", None),
        ("sending incremental file list", None),
        (">f+++++++++ 12% row", None),
        ("12", None),
        ("99999999999999999999 1%", None),
    ] {
        assert_eq!(
            parse_copied_bytes(line),
            bytes.map(ByteCount::new),
            "{line}"
        );
    }
}
