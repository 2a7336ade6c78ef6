//! Files with mistakes in them.

use std::fs;
use std::process::Command;

#[test]
fn mistakes_in_a_file_are_told_to_programs_as_well() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let application = file("application.yml", "web: {imagine: busybox}\n");
    let deployment = file("deployment.yml", "nodes: {127.0.0.1: [web]}\n");
    let refused = Command::new(env!("CARGO_BIN_EXE_flocker-cluster"))
        .args(["plan", "--json"])
        .args([&application, &deployment])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("imagine"), "{said}");
    let read: serde_json::Value = serde_json::from_slice(&refused.stdout).unwrap();
    let error = &read["error"];
    assert_eq!(error["exit_code"], 3);
    assert_eq!(error["message"].as_str(), Some(said.trim_end()));
}

/// Before any node is contacted.
#[test]
fn plan_refuses_names_that_docker_refuses() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let names = [
        "redis@sha256:aaaa",
        "redis@sha256:ABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCD",
        "redis::7",
        "a:b:c/d",
        "-redis",
    ];
    let deployment = file("deployment.yml", "nodes: {127.0.0.1: [web]}\n");
    for name in names {
        let text = format!("web: {{image: \"{name}\"}}\n");
        let application = file("application.yml", &text);
        let refused = Command::new(env!("CARGO_BIN_EXE_flocker-cluster"))
            .arg("plan")
            .args([&application, &deployment])
            .output()
            .unwrap();
        assert_eq!(refused.status.code(), Some(3), "{name}: {refused:?}");
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(said.contains("application.yml:1:"), "{name}: {said}");
    }
}
