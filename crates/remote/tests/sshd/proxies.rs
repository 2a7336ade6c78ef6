//! Reaching a node through another program.

use std::fs;

use flocker_remote::ssh::{ConnectOptions, Connection, Destination, SshOptions};
use insta::assert_snapshot;

use crate::fixture::{
    Agent, Server, ServerSettings, rendered, resolve_at_once, shell, within_deadline,
};

/// Passes bytes on, where no `nc` may be.
const PIPE: &str = "bash -c 'exec 3<>/dev/tcp/%h/%p; cat <&3 & exec cat >&3'";

/// The address of a server that is reached in this way.
fn through(server: &Server, configuration: &str) -> Destination {
    let options = server.options();
    fs::write(server.path("config"), configuration).unwrap();
    server.destination_with(&options, &server.environment())
}

pub(crate) async fn works(destination: &Destination) {
    let options = ConnectOptions::default();
    let connection = within_deadline(Connection::connect(destination, &options))
        .await
        .unwrap_or_else(|error| panic!("{}", rendered(&error)));
    let done = within_deadline(connection.run(&shell("echo in"))).await;
    assert_eq!(done.unwrap().stdout, b"in\n");
}

#[tokio::test]
async fn a_proxy_command_leads_to_the_host() {
    let server = Server::start();
    // A program that says which way it went.
    let went = server.path("went");
    let note = format!("bash -c 'echo %h:%p by %r >{}; ", went.display());
    let configuration = format!("ProxyCommand {}\n", PIPE.replace("bash -c '", &note));
    works(&through(&server, &configuration)).await;
    let user = server.environment().user;
    let expected = format!("127.0.0.1:{} by {user}\n", server.port);
    assert_eq!(fs::read_to_string(went).unwrap(), expected);
}

#[tokio::test]
async fn a_jump_host_leads_to_the_host() {
    let (gate, server) = (Server::start(), Server::start());
    let user = server.environment().user;
    // Nothing answers at the host's own name here: only the gate resolves it.
    let configuration = format!(
        "Host gate\n HostName 127.0.0.1\n Port {gate_port}\n User {user}\n IdentityFile {gate_key}\n\
         IdentitiesOnly yes\n UserKnownHostsFile {gate_hosts}\n BatchMode yes\n\
         Host db1\n HostName 127.0.0.1\n Port {port}\n ProxyJump gate\n",
        gate_port = gate.port,
        gate_key = gate.path("id").display(),
        gate_hosts = gate.path("known_hosts").display(),
        port = server.port,
    );
    let options = server.options();
    fs::write(server.path("config"), configuration).unwrap();
    let environment = server.environment();
    let destination = resolve_at_once("db1", &options, &environment);
    works(&destination).await;

    // The gate is what is asked: without it, there is no way.
    drop(gate);
    let refusal = server.refusal(&destination).await;
    let text = rendered(&refusal);
    assert!(
        text.contains("`ProxyJump gate` leads nowhere; it wrote: "),
        "{text}"
    );
    assert!(text.contains("Connection refused"), "{text}");
    assert!(text.contains("hint: make `ssh db1` work"), "{text}");
}

#[tokio::test]
async fn the_host_behind_a_proxy_must_still_be_the_right_one() {
    let (server, other) = (Server::start(), Server::start());
    let configuration = format!(
        "ProxyCommand {}\n",
        PIPE.replace("%p", &other.port.to_string())
    );
    let refusal = server.refusal(&through(&server, &configuration)).await;
    assert_eq!(
        refusal.step,
        flocker_remote::ssh::ConnectStep::HostKey,
        "{}",
        rendered(&refusal)
    );
}

#[tokio::test]
async fn a_proxy_that_fails_is_explained() {
    let server = Server::start();
    let destination = through(
        &server,
        "ProxyCommand sh -c 'echo no way today >&2; exit 1'\n",
    );
    let refusal = server.refusal(&destination).await;
    assert_snapshot!(server.redact(&rendered(&refusal)), @r"
    error: cannot connect to 127.0.0.1:PORT (USER@127.0.0.1 port PORT): the way through a proxy failed
    caused by: `ProxyCommand sh -c 'echo no way today >&2; exit 1'` leads nowhere; it wrote: no way today
    hint: make `ssh ssh://127.0.0.1:PORT` work, which goes the same way
    ");
}

/// The key alone opens nothing there: only an authority's word does.
#[tokio::test]
async fn a_certificate_logs_in() {
    let authority = tempfile::tempdir().unwrap();
    let ca = authority.path().join("ca");
    crate::fixture::make_key(&ca, "ed25519", "");
    let trusting = format!("TrustedUserCAKeys {}.pub", ca.display());
    let server = Server::start_with(&ServerSettings {
        extra: &trusting,
        ..ServerSettings::default()
    });
    fs::write(server.path("authorized_keys"), "").unwrap();
    let user = server.environment().user;
    for kind in ["ed25519", "rsa", "ecdsa"] {
        let key = server.path(&format!("key_{kind}"));
        crate::fixture::make_key(&key, kind, "");
        let options = SshOptions {
            identity_files: vec![key.clone()],
            ..server.options()
        };
        let environment = server.environment();
        let refused = server.destination_with(&options, &environment);
        server.refusal(&refused).await;

        let signed = std::process::Command::new("ssh-keygen")
            .args(["-q", "-I", "test", "-n", &user, "-s"])
            .arg(&ca)
            .arg(key.with_extension("pub"))
            .status()
            .unwrap();
        assert!(signed.success());
        // Beside the key, as `ssh-keygen` writes it.
        works(&server.destination_with(&options, &environment)).await;

        // Elsewhere, where a setting names it.
        let beside = server.path(&format!("key_{kind}-cert.pub"));
        let elsewhere = server.path(&format!("elsewhere_{kind}"));
        fs::rename(beside, &elsewhere).unwrap();
        let setting = format!("CertificateFile {}\n", elsewhere.display());
        fs::write(server.path("config"), setting).unwrap();
        works(&server.destination_with(&options, &environment)).await;

        // The key itself may be in an agent.
        let held = tempfile::tempdir().unwrap();
        let agent = Agent::start(held.path());
        agent.add(&key);
        let options = SshOptions {
            identity_files: Vec::new(),
            ..options
        };
        let mut environment = environment;
        let socket = agent.socket.display().to_string();
        environment
            .variables
            .insert("SSH_AUTH_SOCK".to_owned(), socket);
        works(&server.destination_with(&options, &environment)).await;
    }
}
