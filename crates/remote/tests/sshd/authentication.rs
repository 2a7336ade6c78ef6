//! Logging in.

use std::fs;

use flocker_remote::ssh::{ConnectOptions, Connection, Environment, Login, SshOptions, SshServer};
use insta::assert_snapshot;

use crate::fixture::{Agent, Server, make_key, rendered, set_mode, shell, within_deadline};

fn with_agent(server: &Server, agent: &Agent) -> Environment {
    let mut environment = server.environment();
    let socket = agent.socket.display().to_string();
    environment
        .variables
        .insert("SSH_AUTH_SOCK".to_owned(), socket);
    environment
}

#[tokio::test]
async fn every_type_of_key_file_logs_in() {
    let server = Server::start();
    for kind in ["ed25519", "rsa", "ecdsa"] {
        let key = server.path(&format!("key_{kind}"));
        make_key(&key, kind, "");
        fs::copy(key.with_extension("pub"), server.path("authorized_keys")).unwrap();
        let options = SshOptions {
            identity_files: vec![key],
            ..server.options()
        };
        let destination = server.destination_with(&options, &server.environment());
        let connection = within_deadline(Connection::connect(
            &destination,
            &ConnectOptions::default(),
        ))
        .await
        .unwrap_or_else(|error| panic!("{kind}: {}", rendered(&error)));
        let done = within_deadline(connection.run(&shell("echo in")))
            .await
            .unwrap();
        assert_eq!(done.stdout, b"in\n", "{kind}");
    }
}

#[tokio::test]
async fn an_old_style_pem_key_logs_in() {
    let server = Server::start();
    let key = server.path("pem");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "rsa", "-m", "PEM", "-N", "", "-f"])
        .arg(&key)
        .status()
        .unwrap();
    assert!(made.success());
    fs::copy(key.with_extension("pub"), server.path("authorized_keys")).unwrap();
    let options = SshOptions {
        identity_files: vec![key],
        ..server.options()
    };
    let destination = server.destination_with(&options, &server.environment());
    within_deadline(Connection::connect(
        &destination,
        &ConnectOptions::default(),
    ))
    .await
    .unwrap();
}

#[tokio::test]
async fn the_agent_logs_in_with_every_type_of_key() {
    let server = Server::start();
    for kind in ["ed25519", "rsa", "ecdsa"] {
        let directory = tempfile::tempdir().unwrap();
        let agent = Agent::start(directory.path());
        let key = directory.path().join("held");
        make_key(&key, kind, "");
        agent.add(&key);
        fs::copy(key.with_extension("pub"), server.path("authorized_keys")).unwrap();
        let options = SshOptions {
            identity_files: Vec::new(),
            ..server.options()
        };
        let destination = server.destination_with(&options, &with_agent(&server, &agent));
        within_deadline(Connection::connect(
            &destination,
            &ConnectOptions::default(),
        ))
        .await
        .unwrap_or_else(|error| panic!("{kind}: {}", rendered(&error)));
    }
}

#[tokio::test]
async fn an_encrypted_key_is_used_through_the_agent_or_explained() {
    let server = Server::start();
    let agent = Agent::start(server.directory.path());
    // The agent gets the key before it is encrypted.
    agent.add(&server.path("id"));
    let encrypted = std::process::Command::new("ssh-keygen")
        .args(["-q", "-p", "-P", "", "-N", "secret", "-f"])
        .arg(server.path("id"))
        .status()
        .unwrap();
    assert!(encrypted.success());
    fs::remove_file(server.path("id.pub")).unwrap();

    // The public half is readable in the encrypted file, so the agent's key
    // counts as the named one.
    let mut destination = server.destination_with(&server.options(), &with_agent(&server, &agent));
    destination.identities_only = true;
    within_deadline(Connection::connect(
        &destination,
        &ConnectOptions::default(),
    ))
    .await
    .unwrap();

    let refusal = server.refusal(&server.destination()).await;
    assert_snapshot!(server.redact(&rendered(&refusal)), @r#"
    error: cannot connect to 127.0.0.1:PORT (USER@127.0.0.1 port PORT): logging in failed
    caused by: no key was accepted (DIR/id: encrypted: run `ssh-add` on it, so that the agent can use it)
    hint: load a key with `ssh-add`, or name one with IdentityFile in ~/.ssh/config
    "#);
}

#[tokio::test]
async fn a_failure_lists_what_was_tried_and_why_it_failed() {
    let server = Server::start();
    make_key(&server.path("other"), "ed25519", "");
    make_key(&server.path("open"), "ed25519", "");
    set_mode(&server.path("open"), 0o644);
    fs::write(server.path("garbage"), "not a key").unwrap();
    set_mode(&server.path("garbage"), 0o600);
    let options = SshOptions {
        identity_files: ["missing", "open", "garbage", "id.pub", "other"]
            .map(|name| server.path(name))
            .to_vec(),
        ..server.options()
    };
    let mut environment = server.environment();
    environment.variables.insert(
        "SSH_AUTH_SOCK".to_owned(),
        server.path("nobody").display().to_string(),
    );
    let refusal = server
        .refusal(&server.destination_with(&options, &environment))
        .await;
    assert_snapshot!(server.redact(&rendered(&refusal)), @r"
    error: cannot connect to 127.0.0.1:PORT (USER@127.0.0.1 port PORT): logging in failed
    caused by: no key was accepted (agent at DIR/nobody: no connection (No such file or directory (os error 2)); DIR/missing: no such file; DIR/open: mode 0644 lets others read it: run `chmod 600` on it; DIR/garbage: not a private key (Could not read key); DIR/id.pub: holds only a public key, and the agent does not have the private one; DIR/other, ssh-ed25519 SHA256:<other>: refused by the host)
    hint: add one of these keys to ~USER/.ssh/authorized_keys on the node, or log in as another user; if a key is there, a rule of sshd refuses USER, such as AllowUsers, AllowGroups, DenyUsers, DenyGroups or PermitRootLogin: on the node, `sshd -T -C user=USER,host=127.0.0.1,addr=127.0.0.1 | grep -E 'users|groups|permit'` shows it
    ");
}

#[tokio::test]
async fn having_no_key_at_all_is_explained() {
    let server = Server::start();
    let options = SshOptions {
        identity_files: Vec::new(),
        ..server.options()
    };
    let refusal = server
        .refusal(&server.destination_with(&options, &server.environment()))
        .await;
    assert_snapshot!(server.redact(&rendered(&refusal)), @r#"
    error: cannot connect to 127.0.0.1:PORT (USER@127.0.0.1 port PORT): logging in failed
    caused by: no key was accepted (there was none to offer)
    hint: load a key with `ssh-add`, or name one with IdentityFile in ~/.ssh/config
    "#);
}

#[tokio::test]
async fn a_host_that_counts_attempts_is_explained() {
    let server = Server::start();
    let agent = Agent::start(server.directory.path());
    for number in 0..8 {
        let key = server.path(&format!("extra{number}"));
        make_key(&key, "ed25519", "");
        agent.add(&key);
    }
    let refusal = server
        .refusal(&server.destination_with(
            &SshOptions {
                identity_files: Vec::new(),
                ..server.options()
            },
            &with_agent(&server, &agent),
        ))
        .await;
    let text = rendered(&refusal);
    assert!(text.contains("IdentitiesOnly"), "{text}");
    assert!(text.matches("refused by the host").count() >= 5, "{text}");

    // Naming the right key puts it first, so that it is reached in time.
    agent.add(&server.path("id"));
    let destination = server.destination_with(&server.options(), &with_agent(&server, &agent));
    within_deadline(Connection::connect(
        &destination,
        &ConnectOptions::default(),
    ))
    .await
    .unwrap();
}

#[tokio::test]
async fn a_host_that_wants_passwords_is_explained() {
    let server = Server::start_with(&crate::fixture::ServerSettings {
        extra: "PubkeyAuthentication no\nMatch all\nPasswordAuthentication yes",
        ..Default::default()
    });
    let refusal = server.refusal(&server.destination()).await;
    assert_snapshot!(server.redact(&rendered(&refusal)), @r#"
    error: cannot connect to 127.0.0.1:PORT (USER@127.0.0.1 port PORT): logging in failed
    caused by: no key was accepted (DIR/id, ssh-ed25519 SHA256:<id>: refused by the host); the host only allows password
    hint: Flocker logs in with keys only: allow PubkeyAuthentication in the host's sshd_config
    "#);
}

/// The setting keeps an account out whose key is authorised: the server says no more than that it
/// refuses the key.
#[tokio::test]
async fn a_host_that_allows_only_other_users_is_explained() {
    let server = Server::start_with(&crate::fixture::ServerSettings {
        extra: "AllowUsers nobody-here",
        ..Default::default()
    });
    let refusal = server.refusal(&server.destination()).await;
    assert_eq!(refusal.from, Some([127, 0, 0, 1].into()));
    assert_snapshot!(server.redact(&rendered(&refusal)), @r"
    error: cannot connect to 127.0.0.1:PORT (USER@127.0.0.1 port PORT): logging in failed
    caused by: no key was accepted (DIR/id, ssh-ed25519 SHA256:<id>: refused by the host)
    hint: add one of these keys to ~USER/.ssh/authorized_keys on the node, or log in as another user; if a key is there, a rule of sshd refuses USER, such as AllowUsers, AllowGroups, DenyUsers, DenyGroups or PermitRootLogin: on the node, `sshd -T -C user=USER,host=127.0.0.1,addr=127.0.0.1 | grep -E 'users|groups|permit'` shows it
    ");
}

/// What the server says of its settings agrees with whom it lets in.
#[tokio::test]
async fn the_servers_own_rules_tell_whom_it_refuses() {
    let user = Environment::observe().user;
    let (alone, elsewhere) = (
        format!("AllowUsers {user}"),
        format!("DenyUsers {user}@10.*"),
    );
    let blocked = format!("Match Address 127.0.0.0/8\nDenyUsers {user}\nMatch all");
    for (extra, expected) in [
        ("", None),
        (alone.as_str(), None),
        (elsewhere.as_str(), None),
        (
            "AllowUsers alice\nAllowUsers bob",
            Some("AllowUsers alice bob"),
        ),
        (
            "AllowGroups no-group-here",
            Some("AllowGroups no-group-here"),
        ),
        ("DenyGroups *", Some("DenyGroups *")),
        (blocked.as_str(), Some("DenyUsers USER")),
    ] {
        let server = Server::start_with(&crate::fixture::ServerSettings {
            extra,
            ..Default::default()
        });
        let sshd = SshServer {
            config_file: Some(server.path("sshd_config")),
            ..SshServer::find().unwrap()
        };
        let login = Login {
            user: &user,
            address: [127, 0, 0, 1].into(),
            authorized_keys: &server.path("authorized_keys"),
        };
        let told = within_deadline(sshd.observe_refusal(login)).await;
        let told = told.map(|refusal| server.redact(&refusal.to_string()));
        assert_eq!(told.as_deref(), expected, "{extra}");
        let (destination, options) = (server.destination(), ConnectOptions::default());
        let connected = within_deadline(Connection::connect(&destination, &options)).await;
        assert_eq!(connected.is_ok(), expected.is_none(), "{extra}");
    }
}
