//! A node that somebody else is changing.

use std::fs;

use flocker_remote::protocol::{Event, FrameWriter, LockHolder, LockPurpose, RefusedReason};
use tempfile::TempDir;

use crate::fixture::{Server, ServerSettings};
use crate::{command, deploy};

/// What a node says whose lock somebody else has, in bytes.
fn refusal(purpose: LockPurpose) -> Vec<u8> {
    let holder = LockHolder {
        purpose,
        operator: "kim@laptop".to_owned(),
        session: "another".to_owned(),
        started: 1_795_402_590_000,
        since: 1_795_402_590,
        process: 4711,
    };
    let reason = RefusedReason::Locked {
        holder: Some(holder),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(async {
        let mut bytes = Vec::new();
        let mut writer = FrameWriter::new(&mut bytes);
        writer.send(&Event::Refused { reason }).await.unwrap();
        bytes
    })
}

/// A server at which every command is answered alike, and the directory with that answer.
fn server() -> (Server, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let answer = directory.path().join("answer");
    fs::write(&answer, refusal(LockPurpose::Deploy)).unwrap();
    let server = Server::start_with(&ServerSettings {
        extra: &format!("ForceCommand cat {}", answer.display()),
        ..ServerSettings::default()
    });
    (server, directory)
}

#[test]
fn every_command_that_changes_something_is_refused_with_who_and_since_when() {
    let (server, _answer) = server();
    let resolve = ["volume", "resolve", "web", "--set-aside", "127.0.0.1"];
    let time = "2026-11-23T02:56:30Z";
    let promote = [
        "volume",
        "promote",
        "web",
        "--on",
        "127.0.0.1",
        "--accept-loss-since",
        time,
    ];
    for refused in [
        deploy(&server),
        command(&server, &resolve),
        command(&server, &promote),
    ] {
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(4), "{said}");
        assert!(refused.stdout.is_empty(), "{refused:?}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(said, @r"
            error: 127.0.0.1: kim@laptop has been changing it since 2026-11-23 02:56:30 UTC (process 4711 on 127.0.0.1)
              hint: run the same command again when that has ended; the lock is gone with its process, so there is nothing to clean up
            nothing was changed on any node
            ");
        }
    }
}
