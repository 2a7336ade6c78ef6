//! What stops a command before anything is done: the whole program, and where it gets as far as a node
//! a real OpenSSH server in the place of that.
//!
//! Needed on the machine: what the tests of the transport need.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test reports by panicking, and its fixtures do, too"
)]

mod closed_output;
mod configuration;
#[expect(dead_code, reason = "the tests that it is written for use more of it")]
#[path = "../../../remote/tests/sshd/fixture.rs"]
mod fixture;
mod host_key;
mod other_operator;

use std::fs;
use std::process::{Command, Output};

use fixture::Server;

/// Runs a command whose only node is the server.
fn command(server: &Server, words: &[&str]) -> Output {
    fs::write(server.path("config"), "").unwrap();
    Command::new(env!("CARGO_BIN_EXE_flocker-cluster"))
        .args(words)
        .args(["--port", &server.port.to_string(), "--ssh-config"])
        .arg(server.path("config"))
        .arg("--known-hosts")
        .arg(server.path("known_hosts"))
        .arg("--identity")
        .arg(server.path("id"))
        .env("HOME", server.directory.path())
        .env_remove("SSH_AUTH_SOCK")
        .output()
        .unwrap()
}

/// Deploys to the server, which is all of the cluster.
fn deploy(server: &Server) -> Output {
    let file = |name: &str, text: &str| {
        fs::write(server.path(name), text).unwrap();
        server.path(name).to_str().unwrap().to_owned()
    };
    let application = file("application.yml", "web: {image: busybox}\n");
    let deployment = file("deployment.yml", "nodes: {127.0.0.1: [web]}\n");
    command(server, &["deploy", &application, &deployment])
}
