//! Finding a node the way `ssh` does.

use std::fs;

use flocker_remote::ssh::{ConnectOptions, Connection, SshOptions};
use insta::assert_snapshot;

use crate::fixture::{Server, rendered, resolve_at_once, within_deadline};

#[tokio::test]
async fn an_alias_from_the_configuration_leads_to_the_host() {
    let server = Server::start();
    let environment = server.environment();
    fs::create_dir(server.path(".ssh")).unwrap();
    fs::create_dir(server.path(".ssh/config.d")).unwrap();
    fs::write(
        server.path(".ssh/config"),
        "Include config.d/*\nHost db?\n  IdentitiesOnly yes\n",
    )
    .unwrap();
    fs::write(
        server.path(".ssh/config.d/cluster"),
        format!(
            "Host db1\n HostName 127.0.0.1\n Port {}\n User {}\n\
             IdentityFile ~/id\n UserKnownHostsFile %d/known_hosts\n",
            server.port, environment.user
        ),
    )
    .unwrap();
    let destination = resolve_at_once("db1", &SshOptions::default(), &environment);
    within_deadline(Connection::connect(
        &destination,
        &ConnectOptions::default(),
    ))
    .await
    .unwrap_or_else(|error| panic!("{}", rendered(&error)));
}

#[tokio::test]
async fn a_key_alias_stands_for_the_host() {
    let server = Server::start();
    let key = server.host_key_text("ed25519");
    server.write_known_hosts(&format!("db1.cluster {key}\n"));
    let options = server.options();
    fs::write(server.path("config"), "HostKeyAlias db1.cluster\n").unwrap();
    let destination = server.destination_with(&options, &server.environment());
    within_deadline(Connection::connect(
        &destination,
        &ConnectOptions::default(),
    ))
    .await
    .unwrap_or_else(|error| panic!("{}", rendered(&error)));
}

#[tokio::test]
async fn a_port_where_nothing_listens_is_explained() {
    let server = Server::start();
    let destination = server.destination();
    let port = server.port;
    drop(server);
    let refusal = within_deadline(Connection::connect(
        &destination,
        &ConnectOptions::default(),
    ))
    .await
    .expect_err("nobody listens");
    let text = rendered(&refusal)
        .replace(&port.to_string(), "PORT")
        .replace(&destination.user, "USER");
    assert_snapshot!(text, @r#"
    error: cannot connect to 127.0.0.1:PORT (USER@127.0.0.1 port PORT): the TCP connection failed
    caused by: no connection to 127.0.0.1:PORT
    caused by: Connection refused (os error 111)
    hint: the host is up, but nothing listens on port PORT: is sshd running there, and on that port?
    "#);
}

#[tokio::test]
async fn something_that_is_not_ssh_is_explained() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let web = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
    });
    let server = Server::start();
    let mut destination = server.destination();
    destination.port = port;
    let refusal = server.refusal(&destination).await;
    web.await.unwrap();
    assert_eq!(
        refusal.step,
        flocker_remote::ssh::ConnectStep::KeyExchange,
        "{}",
        rendered(&refusal)
    );
}

#[tokio::test]
async fn a_host_that_says_nothing_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::start();
    let mut destination = server.destination();
    destination.name = "db1".to_owned();
    destination.port = listener.local_addr().unwrap().port();
    let options = ConnectOptions {
        connect_timeout: std::time::Duration::from_millis(300),
        ..ConnectOptions::default()
    };
    let refusal = within_deadline(Connection::connect(&destination, &options))
        .await
        .expect_err("it never answers");
    let text = rendered(&refusal)
        .replace(&destination.port.to_string(), "PORT")
        .replace(&destination.user, "USER");
    assert_snapshot!(text, @r#"
    error: cannot connect to db1 (USER@127.0.0.1 port PORT): the SSH key exchange failed
    caused by: no answer within 0.3 s
    hint: something accepts connections on port PORT of 127.0.0.1, but is it sshd, and does it respond?
    "#);
}

#[tokio::test]
async fn a_name_without_an_address_is_explained() {
    let server = Server::start();
    let mut destination = server.destination();
    destination.name = "db1".to_owned();
    destination.host = "db1.invalid".to_owned();
    let refusal = server.refusal(&destination).await;
    let text = rendered(&refusal);
    assert!(text.contains("looking up its address failed"), "{text}");
    assert!(text.contains("give `db1` a HostName"), "{text}");
}
