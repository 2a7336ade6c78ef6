//! The files of the package, as they will be on the node.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::process::Program;
use crate::workspace;

/// Where the packaging's own files are.
const PACKAGING: &str = "crates/node/packaging";

/// One file: where it comes from, where it goes, and its mode.
struct Entry {
    source: &'static str,
    target: &'static str,
    mode: u32,
}

const fn entry(source: &'static str, target: &'static str, mode: u32) -> Entry {
    Entry {
        source,
        target,
        mode,
    }
}

/// The files that come from the packaging directory.
const ENTRIES: [Entry; 11] = [
    entry(
        "flocker.service",
        "usr/lib/systemd/system/flocker.service",
        0o644,
    ),
    entry(
        "flocker.network.service",
        "usr/lib/systemd/system/flocker.network.service",
        0o644,
    ),
    entry(
        "tmpfiles.conf",
        "usr/lib/tmpfiles.d/flocker-node.conf",
        0o644,
    ),
    entry("node.toml", "etc/flocker/node.toml", 0o644),
    entry("sshd.conf", "etc/ssh/sshd_config.d/flocker.conf", 0o644),
    entry("sudoers", "etc/sudoers.d/flocker", 0o440),
    entry("copyright", "usr/share/doc/flocker-node/copyright", 0o644),
    entry("postinst", "DEBIAN/postinst", 0o755),
    entry("prerm", "DEBIAN/prerm", 0o755),
    entry("postrm", "DEBIAN/postrm", 0o755),
    entry("conffiles", "DEBIAN/conffiles", 0o644),
];

/// What the program writes about itself: its arguments for that, and where it goes.
const WRITTEN: [(&[&str], &str); 2] = [
    (&["manual"], "usr/share/man/man8/flocker-node.8"),
    (
        &["completions", "bash"],
        "usr/share/bash-completion/completions/flocker-node",
    ),
];

/// Directories that have no file in them.
const DIRECTORIES: [&str; 2] = ["var/lib/flocker", "var/lib/flocker/ssh"];

/// Puts everything into an empty directory, which is made anew.
pub(super) fn stage(staged: &Path, program: &Path, control: &str) -> io::Result<()> {
    if staged.exists() {
        fs::remove_dir_all(staged)?;
    }
    let packaging = workspace::root().join(PACKAGING);
    for entry in &ENTRIES {
        let contents = fs::read(packaging.join(entry.source))?;
        write(&staged.join(entry.target), &contents, entry.mode)?;
    }
    for (arguments, target) in WRITTEN {
        let output = Command::new(program).args(arguments).output()?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            return Err(io::Error::other(format!(
                "{} {}: {text}",
                program.display(),
                arguments.join(" ")
            )));
        }
        write(&staged.join(target), &output.stdout, 0o644)?;
    }
    compress_manual(staged)?;
    for directory in DIRECTORIES {
        fs::create_dir_all(staged.join(directory))?;
    }
    strip(program, &staged.join("usr/bin/flocker-node"))?;
    write(&staged.join("DEBIAN/control"), control.as_bytes(), 0o644)?;
    set_directory_modes(staged)
}

/// Copies a program without what only debuggers read.
///
/// **Source**: Debian Policy, section 10.1.
fn strip(program: &Path, target: &Path) -> io::Result<()> {
    write(target, &[], 0o755)?;
    Program::new("strip")
        .args(["--strip-unneeded", "-o"])
        .args([target, program])
        .run()
        .map_err(io::Error::other)
}

/// **Source**: Debian Policy, section 12.1: pages are compressed with `gzip -9`; `-n` leaves the
/// time out, so that equal contents make an equal file.
fn compress_manual(staged: &Path) -> io::Result<()> {
    Program::new("gzip")
        .args(["-9", "-n"])
        .args([staged.join("usr/share/man/man8/flocker-node.8")])
        .run()
        .map_err(io::Error::other)
}

fn write(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, contents)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// The packager's umask must not end up in the package.
fn set_directory_modes(directory: &Path) -> io::Result<()> {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            set_directory_modes(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::{ENTRIES, PACKAGING, stage};
    use crate::workspace;

    #[test]
    fn stages_every_file_with_its_mode() {
        let directory = tempfile::tempdir().unwrap();
        // It writes what it was asked for, as flocker-node does.
        let program = Path::new("/bin/echo");
        let staged = directory.path().join("staged");
        stage(&staged, program, "Package: x\n").unwrap();
        for entry in &ENTRIES {
            let mode = staged
                .join(entry.target)
                .metadata()
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o7777, entry.mode, "{}", entry.target);
        }
        assert!(staged.join("usr/bin/flocker-node").is_file());
        assert!(
            staged
                .join("usr/share/man/man8/flocker-node.8.gz")
                .is_file()
        );
        let completions = staged.join("usr/share/bash-completion/completions/flocker-node");
        assert_eq!(
            std::fs::read_to_string(completions).unwrap(),
            "completions bash\n"
        );
    }

    #[test]
    fn every_file_below_etc_is_a_conffile() {
        let listed = workspace::root().join(PACKAGING).join("conffiles");
        let listed = std::fs::read_to_string(listed).unwrap();
        let expected: Vec<_> = ENTRIES
            .iter()
            .filter(|entry| entry.target.starts_with("etc/"))
            .map(|entry| format!("/{}", entry.target))
            .collect();
        assert_eq!(listed.lines().collect::<Vec<_>>(), expected);
    }
}
