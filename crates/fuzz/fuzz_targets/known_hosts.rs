//! A `known_hosts` file and a host: a changed or revoked key is never accepted, a new one is
//! remembered so that it is found again, and nothing of the file is ever lost.
//!
//! Input: the host as the operator wrote it on the first line, and then the file.

#![no_main]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use flocker_fuzz::{at_once, file, first_line};
use flocker_remote::ssh::{
    Environment, HostKeyError, PublicKey, SshOptions, UnknownHost, check_host_key,
    resolve_destination,
};
use libfuzzer_sys::fuzz_target;

const PRESENTED: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
const OTHER: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g";

static KEYS: LazyLock<[PublicKey; 2]> =
    LazyLock::new(|| [PRESENTED, OTHER].map(|key| PublicKey::from_openssh(key).unwrap()));

fuzz_target!(|input: &[u8]| {
    let input = String::from_utf8_lossy(input);
    let (host, known) = first_line(&input);
    let path = file("known_hosts", known.as_bytes());
    let [presented, other] = &*KEYS;
    let strict = |key| judge(host, &path, UnknownHost::Refuse, key);
    let trusting = |key| judge(host, &path, UnknownHost::AcceptNew, key);
    let Some(before) = strict(presented) else {
        return;
    };
    assert_eq!(fs::read(&path).unwrap(), known.as_bytes());
    if is_to_be_refused(known) {
        assert!(before.is_err() && trusting(presented).unwrap().is_err());
    }
    match before {
        Ok(()) => assert!(known.contains("AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3a")),
        Err(HostKeyError::Unknown { .. }) => {
            trusting(presented).unwrap().unwrap();
            strict(presented).unwrap().unwrap();
            let changed = trusting(other).unwrap();
            let refused = matches!(
                changed,
                Err(HostKeyError::Changed { .. } | HostKeyError::Revoked { .. })
            );
            // Somebody may have recorded the other key for all hosts on this port alone.
            assert!(refused || known.contains("AAAAC3NzaC1lZDI1NTE5AAAAIAEC"));
        }
        // Not even by those who trust whom they do not know.
        Err(_) => assert!(trusting(presented).unwrap().is_err()),
    }
    let after = fs::read(&path).unwrap();
    assert!(after.starts_with(known.as_bytes()));
});

/// Whether the key must be refused, by a rule simple enough to be told without Flocker's own reader:
/// it is revoked for every host, or another is recorded for every host and this one nowhere.
fn is_to_be_refused(known: &str) -> bool {
    let has = |line: String| known.lines().any(|known| known == line);
    let (_, blob) = PRESENTED.split_once(' ').unwrap();
    has(format!("@revoked * {PRESENTED}")) || has(format!("* {OTHER}")) && !known.contains(blob)
}

/// `None` for what is no host's name.
fn judge(
    host: &str,
    known_hosts: &Path,
    unknown: UnknownHost,
    key: &PublicKey,
) -> Option<Result<(), HostKeyError>> {
    let options = SshOptions {
        config_file: Some(file("config", b"GlobalKnownHostsFile none\n")),
        known_hosts: Some(known_hosts.to_owned()),
        unknown_host: Some(unknown),
        ..SshOptions::default()
    };
    let environment = Environment {
        home: "/nowhere".into(),
        user: "operator".to_owned(),
        ..Environment::default()
    };
    let destination = at_once(resolve_destination(host, &options, &environment)).ok()?;
    Some(check_host_key(&destination, key))
}
