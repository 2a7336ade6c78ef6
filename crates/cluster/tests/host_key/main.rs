//! A node whose host key is another than it was stops the deploy: the whole program, with a real
//! OpenSSH server in the place of a node.
//!
//! Needed on the machine: what the tests of the transport need.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test reports by panicking, and its fixtures do, too"
)]

#[expect(dead_code, reason = "the tests that it is written for use more of it")]
#[path = "../../../remote/tests/sshd/fixture.rs"]
mod fixture;

use std::fs;
use std::process::{Command, Output};

use fixture::{Server, ServerSettings, make_key};

/// Deploys to the server, which is all of the cluster.
fn deploy(server: &Server) -> Output {
    let file = |name: &str, text: &str| {
        fs::write(server.path(name), text).unwrap();
        server.path(name)
    };
    Command::new(env!("CARGO_BIN_EXE_flocker-cluster"))
        .arg("deploy")
        .args(["--port", &server.port.to_string(), "--ssh-config"])
        .arg(file("config", ""))
        .arg("--known-hosts")
        .arg(server.path("known_hosts"))
        .arg("--identity")
        .arg(server.path("id"))
        .arg(file("application.yml", "web: {image: busybox}\n"))
        .arg(file("deployment.yml", "nodes: {127.0.0.1: [web]}\n"))
        .env("HOME", server.directory.path())
        .env_remove("SSH_AUTH_SOCK")
        .output()
        .unwrap()
}

#[test]
fn a_changed_host_key_stops_the_deploy() {
    let directory = tempfile::tempdir().unwrap();
    let canary = directory.path().join("ran");
    let server = Server::start_with(&ServerSettings {
        // Whatever is run there leaves a trace, and is no flocker-node.
        extra: &format!("ForceCommand touch {}", canary.display()),
        ..ServerSettings::default()
    });
    let other = server.path("other");
    make_key(&other, "ed25519", "");
    let key = fs::read_to_string(other.with_extension("pub")).unwrap();
    server.write_known_hosts(&format!("{} {key}", server.known_name()));

    let refused = deploy(&server);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(6), "{said}");
    assert!(said.contains("ITS HOST KEY HAS CHANGED"), "{said}");
    assert!(said.contains("nothing was changed on any node"), "{said}");
    assert!(!canary.exists(), "something was run on the node");
    assert!(refused.stdout.is_empty(), "{refused:?}");

    // With the key that is on record, the same goes as far as the node.
    server.trust_host_key("ed25519");
    let reached = deploy(&server);
    let said = String::from_utf8_lossy(&reached.stderr);
    assert_eq!(reached.status.code(), Some(6), "{said}");
    assert!(said.contains("flocker-node did not begin"), "{said}");
    assert!(canary.exists(), "nothing was run on the node");
}
