//! `Match` in `ssh_config`, whose conditions a real `ssh` evaluates.

use std::fs;

use flocker_remote::ssh::{Destination, Environment, SshOptions, resolve_destination};
use insta::assert_snapshot;

use crate::fixture::{Server, resolve_at_once, within_deadline};
use crate::proxies::works;

/// The environment of an operator who has `ssh`.
fn environment(server: &Server) -> Environment {
    let mut environment = server.environment();
    let path = std::env::var("PATH").unwrap();
    environment.variables.insert("PATH".to_owned(), path);
    environment
}

/// Only this file is read.
fn options(server: &Server, configuration: &str) -> SshOptions {
    fs::write(server.path("config"), configuration).unwrap();
    SshOptions {
        config_file: Some(server.path("config")),
        ..SshOptions::default()
    }
}

async fn resolve(server: &Server, name: &str, configuration: &str) -> Destination {
    let options = options(server, configuration);
    let environment = environment(server);
    within_deadline(resolve_destination(name, &options, &environment))
        .await
        .unwrap()
}

fn warnings(server: &Server, destination: &Destination) -> String {
    server.redact(&destination.warnings.join("\n"))
}

#[tokio::test]
async fn settings_below_match_lead_to_the_host() {
    let server = Server::start();
    let configuration = format!(
        "Match originalhost db* exec \"test %n = db1\"\n HostName 127.0.0.1\n Port {port}\n\
         Match final host 127.0.0.*\n IdentityFile {key}\n IdentitiesOnly yes\n\
         Match final all\n UserKnownHostsFile {hosts}\n\
         Host *\n Compression no\n",
        port = server.port,
        key = server.path("id").display(),
        hosts = server.path("known_hosts").display(),
    );
    let destination = resolve(&server, "db1", &configuration).await;
    assert_eq!(destination.warnings, Vec::<String>::new());
    works(&destination).await;
}

#[tokio::test]
async fn a_condition_that_does_not_hold_leaves_its_settings_out() {
    let server = Server::start();
    let configuration = "Match exec \"false\"\n User kim\n Port 1\nMatch user kim\n Port 2\n\
                         Match !host *.example.com\n HostName %h.example.com\n";
    let destination = resolve(&server, "db1", configuration).await;
    let expected = Destination {
        host: "db1.example.com".to_owned(),
        ..resolve_at_once("db1", &options(&server, ""), &server.environment())
    };
    assert_eq!(
        Destination {
            agent: None,
            ..destination
        },
        expected
    );
}

#[tokio::test]
async fn a_condition_sees_the_user_and_port_of_the_login() {
    let server = Server::start();
    let configuration =
        "Match user kim\n Port 2\nMatch exec \"test %r%p = ann23\"\n HostName 10.0.0.5\n";
    let reached = async |name: &str| {
        let found = resolve(&server, name, configuration).await;
        format!("{}@{}:{}", found.user, found.host, found.port)
    };
    assert_eq!(reached("kim@db1").await, "kim@db1:2");
    assert_eq!(reached("kim@db1:3").await, "kim@db1:3");
    assert_eq!(reached("ann@db1").await, "ann@db1:22");
    assert_eq!(reached("ssh://ann@db1:23").await, "ann@10.0.0.5:23");

    let options = SshOptions {
        user: Some("kim".to_owned()),
        ..options(&server, configuration)
    };
    let environment = environment(&server);
    let found = resolve_destination("db1", &options, &environment).await;
    assert_eq!(found.unwrap().port, 2);
}

#[tokio::test]
async fn a_jump_host_below_match_leads_to_the_host() {
    let (gate, server) = (Server::start(), Server::start());
    let user = server.environment().user;
    let configuration = format!(
        "Match originalhost gate exec \"true\"\n HostName 127.0.0.1\n Port {gate_port}\n User {user}\n\
         IdentityFile {gate_key}\n IdentitiesOnly yes\n UserKnownHostsFile {gate_hosts}\n BatchMode yes\n\
         Match originalhost db1\n HostName 127.0.0.1\n Port {port}\n ProxyJump gate\n\
         IdentityFile {key}\n UserKnownHostsFile {hosts}\n",
        gate_port = gate.port,
        gate_key = gate.path("id").display(),
        gate_hosts = gate.path("known_hosts").display(),
        port = server.port,
        key = server.path("id").display(),
        hosts = server.path("known_hosts").display(),
    );
    let destination = resolve(&server, "db1", &configuration).await;
    works(&destination).await;
    drop(gate);
    server.refusal(&destination).await;
}

#[tokio::test]
async fn ssh_is_not_run_where_no_condition_is_evaluated() {
    let server = Server::start();
    // Nothing below `Match` is a setting that Flocker follows, as in the files of some distributions.
    let configuration = "Host db9\n Port 2\nHost db1\n User kim\n\
                         Match final all\n ForwardX11Trusted yes\n GSSAPIAuthentication yes\n";
    let options = options(&server, configuration);
    let destination = resolve_at_once("db1", &options, &environment(&server));
    assert_eq!(destination.user, "kim");
    assert_eq!(destination.warnings, Vec::<String>::new());
}

#[tokio::test]
async fn without_an_answer_each_block_that_is_left_out_is_named() {
    let server = Server::start();
    let blocks = "Match user kim\n Port 2\nMatch exec \"true\"\n User kim\n";
    let nowhere = resolve_at_once("db1", &options(&server, blocks), &server.environment());
    assert_snapshot!(warnings(&server, &nowhere), @"DIR/config:1, DIR/config:3: these Match blocks are ignored: only `ssh` evaluates conditions, and there is no `ssh` in PATH; install the OpenSSH client, or write the settings below `Host` with the node's name");
    assert_eq!(nowhere.port, 22);

    let mistaken = format!("{blocks}Host db9\n Bogus yes\n");
    let mistaken = resolve(&server, "db1", &mistaken).await;
    let told = warnings(&server, &mistaken);
    let problem = "DIR/config: line 6: Bad configuration option: bogus";
    assert!(told.contains(problem), "{told}");
    // The rest is the wording of this release of OpenSSH.
    let rest = " DIR/config: terminating, 1 bad configuration options";
    assert_snapshot!(told.replace(rest, ""), @"DIR/config:1, DIR/config:3: these Match blocks are ignored: `ssh -G -F DIR/config -- db1` fails (DIR/config: line 6: Bad configuration option: bogus); make that command work, or write the settings below `Host` with the node's name");
    assert_eq!(mistaken.port, 22);
}

#[tokio::test]
async fn a_setting_that_is_not_followed_names_the_command_that_prints_it() {
    let server = Server::start();
    let configuration = "Match host db1\n StrictHostKeyChecking no\n";
    let destination = resolve(&server, "db1", configuration).await;
    assert_snapshot!(warnings(&server, &destination), @"`ssh -G -F DIR/config -- db1`: StrictHostKeyChecking no is treated as accept-new: a changed host key is still refused");
}
