//! Standard output and standard error that nobody reads any more, as behind `| head -1`.

use std::fs;
use std::io::{PipeWriter, pipe};
use std::process::Command;

/// The end of a pipe whose reader is gone.
fn unread() -> PipeWriter {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    writer
}

#[test]
fn a_reader_that_is_gone_changes_no_exit_code() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let application = file("application.yml", "web: {imagine: busybox}\n");
    let deployment = file("deployment.yml", "nodes: {127.0.0.1: [web]}\n");
    for command in ["deploy", "plan"] {
        let status = Command::new(env!("CARGO_BIN_EXE_flocker-cluster"))
            .args([command, "--json"])
            .args([&application, &deployment])
            .stdout(unread())
            .stderr(unread())
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(3), "{command}: {status}");
    }
}
