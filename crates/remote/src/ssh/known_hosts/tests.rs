use std::path::Path;

use russh::keys::PublicKey;

use super::{KnownHosts, LookupName, Verdict};

const ONE: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
const TWO: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN+Wjn4+4Fcvl2JlKpggT+wCRxpSvtqqpVrQrKN1/A22";

/// Judges key `ONE` presented by a host, against a file.
fn judged(file: &str, host: &str, port: u16) -> String {
    let mut known = KnownHosts::default();
    known.add_file(
        Path::new("kh"),
        &file.replace("ONE", ONE).replace("TWO", TWO),
    );
    let key = PublicKey::from_openssh(ONE).unwrap();
    let verdict = match known.judge(&LookupName::of(host, port), &key) {
        Verdict::Trusted => "trusted".to_owned(),
        Verdict::Revoked(location) => format!("revoked at {location}"),
        Verdict::Changed(others) => {
            let lines: Vec<String> = others.iter().map(|(at, _)| at.to_string()).collect();
            format!("changed: {}", lines.join(" "))
        }
        Verdict::Unknown { authority: None } => "unknown".to_owned(),
        Verdict::Unknown {
            authority: Some(location),
        } => format!("unknown, authority at {location}"),
    };
    match known.skipped.len() {
        0 => verdict,
        skipped => format!("{verdict}, {skipped} skipped"),
    }
}

#[test]
fn names_ports_and_patterns() {
    for (file, host, port, expected) in [
        ("db1 ONE", "db1", 22, "trusted"),
        ("db1 ONE", "DB1", 22, "trusted"),
        ("DB1 ONE", "db1", 22, "trusted"),
        ("db1 ONE", "db2", 22, "unknown"),
        ("db1,10.0.0.1 ONE", "10.0.0.1", 22, "trusted"),
        ("*.lan,!old.lan ONE", "new.lan", 22, "trusted"),
        ("*.lan,!old.lan ONE", "old.lan", 22, "unknown"),
        ("[db1]:2222 ONE", "db1", 2222, "trusted"),
        ("[db1]:2222 ONE", "db1", 22, "unknown"),
        // A key known for the host is good on another port, but one known to
        // be another's is not held against it.
        ("db1 ONE", "db1", 2222, "trusted"),
        ("db1 TWO", "db1", 2222, "unknown"),
        ("@revoked db1 ONE", "db1", 2222, "revoked at kh:1"),
    ] {
        assert_eq!(
            judged(file, host, port),
            expected,
            "{file} for {host}:{port}"
        );
    }
}

#[test]
fn several_keys_and_markers() {
    for (file, expected) in [
        ("db1 TWO\ndb1 ONE", "trusted"),
        ("db1 TWO\n\n# x\ndb1 TWO", "changed: kh:1 kh:4"),
        ("db1 ONE\n@revoked * ONE", "revoked at kh:2"),
        ("@revoked * TWO\ndb1 ONE", "trusted"),
        ("@revoked other ONE\ndb1 ONE", "trusted"),
        ("@cert-authority * ONE", "unknown, authority at kh:1"),
        ("@cert-authority * TWO\ndb1 ONE", "trusted"),
        (
            "db1\ndb1 ssh-ed25519\n@what db1 ONE\ndb1 ONE",
            "trusted, 3 skipped",
        ),
        ("  db1\tONE comment with words", "trusted"),
        ("|1|bad|bad ONE\ndb1 ONE", "trusted, 1 skipped"),
        ("", "unknown"),
    ] {
        assert_eq!(judged(file, "db1", 22), expected, "{file}");
    }
}

#[test]
fn hashed_names() {
    // Made with `ssh-keygen -H` from `db1` and from `[db1]:2222`.
    let plain = hashed("db1");
    assert_eq!(judged(&format!("{plain} ONE"), "db1", 22), "trusted");
    assert_eq!(judged(&format!("{plain} ONE"), "db2", 22), "unknown");
    let with_port = hashed("[db1]:2222");
    assert_eq!(judged(&format!("{with_port} ONE"), "db1", 2222), "trusted");
    assert_eq!(judged(&format!("{with_port} ONE"), "db1", 22), "unknown");
}

/// Hashes a name with OpenSSH's own tool.
fn hashed(name: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("kh");
    std::fs::write(&file, format!("{name} {ONE}\n")).unwrap();
    let done = std::process::Command::new("ssh-keygen")
        .args(["-q", "-H", "-f"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(done.status.success());
    let text = std::fs::read_to_string(&file).unwrap();
    text.split(' ').next().unwrap().to_owned()
}
