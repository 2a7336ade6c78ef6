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
    let text = "web:\n  image: busybox\n  imagine: busybox\n  environment: {PW: \"secret$PW\"}\n";
    let application = file("application.yml", text);
    let deployment = file("deployment.yml", "nodes: {127.0.0.1: [web]}\n");
    let refused = Command::new(env!("CARGO_BIN_EXE_flocker-cluster"))
        .args(["plan", "--json"])
        .args([&application, &deployment])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("imagine"), "{said}");
    let told = String::from_utf8(refused.stdout).unwrap();
    assert!(!told.contains("secret"), "{told}");
    let told: Vec<serde_json::Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let lines: Vec<_> = told.iter().map(|it| &it["error"]["line"]).collect();
    assert_eq!(lines, [3, 4], "{told:?}");
    for error in told.iter().map(|it| &it["error"]) {
        assert_eq!(error["exit_code"], 3);
        assert_eq!(error["severity"], "error");
        assert_eq!(error["file"].as_str(), application.to_str());
        assert!(error["column"].is_u64() && error["hint"].is_string());
        let message = error["message"].as_str().unwrap();
        assert!(
            said.contains(message) && !message.contains('\n'),
            "{message}"
        );
    }
}

/// Runs an import that ends before any node is contacted.
fn import(sources: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flocker-cluster"));
    command.args(["volume", "import", "db", "--on", "127.0.0.1"]);
    for source in sources {
        command.args(["--from", source]);
    }
    let refused = command.args(["--port", "1"]).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    (refused.status.code(), said)
}

#[test]
fn import_refuses_sources_that_do_not_go_together() {
    let (code, said) = import(&["docker-volume:db_data", "a=/x"]);
    assert_eq!(code, Some(2), "{said}");
    let (code, said) = import(&["a=/x", "a=/y"]);
    assert_eq!(code, Some(2), "{said}");
}

#[test]
fn import_looks_at_its_file_before_any_node() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    for path in [directory.path(), &missing] {
        let (code, said) = import(&[&format!("stream:{}", path.display())]);
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains("cannot read"), "{said}");
    }
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
