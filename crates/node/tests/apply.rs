//! `flocker-node apply` with files that are wrong, which it says on any machine.

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn mistakes_in_a_file_are_told_once_and_exit_with_three() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let application = file("application.yml", "web: {image: busybox, imagine: more}\n");
    let deployment = file("deployment.yml", "nodes: {10.0.0.1: [web]}\n");
    let apply = |application: &Path| {
        Command::new(env!("CARGO_BIN_EXE_flocker-node"))
            .arg("apply")
            .arg(application)
            .arg(&deployment)
            .output()
            .unwrap()
    };
    let wrong = apply(&application);
    let said = String::from_utf8_lossy(&wrong.stderr);
    assert_eq!(wrong.status.code(), Some(3), "{said}");
    assert!(said.starts_with("error: "), "{said}");
    assert!(said.contains("imagine"), "{said}");
    assert!(!said.contains("error: error:"), "{said}");

    let absent = apply(&directory.path().join("absent.yml"));
    let said = String::from_utf8_lossy(&absent.stderr);
    assert_eq!(absent.status.code(), Some(3), "{said}");
    assert!(said.starts_with("error: cannot read "), "{said}");
}
