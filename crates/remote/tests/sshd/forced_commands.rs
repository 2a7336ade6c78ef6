//! Keys that may run one command, as nodes give each other.

use std::fs;

use flocker_remote::ssh::{
    AuthorizedKey, ConnectOptions, Connection, Destination, RemoteCommand, ensure_node_key,
    render_authorized_key,
};

use crate::fixture::{Server, within_deadline};

/// Lets a node's key in for one command only, and connects with it.
async fn connect_as_node(server: &Server, command: &str) -> Connection {
    let path = server.path("node_key");
    let key = ensure_node_key(&path).unwrap();
    let line = render_authorized_key(&AuthorizedKey {
        key: &key,
        command,
        comment: "flocker node 1",
    })
    .unwrap();
    fs::write(server.path("authorized_keys"), line).unwrap();
    let user = server.environment().user;
    let place = ("127.0.0.1", server.port);
    let destination = Destination::pinned(place, &user, &path, vec![server.host_key("ed25519")]);
    within_deadline(Connection::connect(
        &destination,
        &ConnectOptions::default(),
    ))
    .await
    .unwrap()
}

#[tokio::test]
async fn the_forced_command_runs_instead_of_ours_and_learns_of_it() {
    let server = Server::start();
    let connection = connect_as_node(
        &server,
        r#"printf '%s\n' "asked: $SSH_ORIGINAL_COMMAND" 'a\b "c"'; cat"#,
    )
    .await;
    let command = RemoteCommand::new("rm").args(["-rf", "/some where"]);
    let done = within_deadline(connection.upload(&command, &b"stream"[..]))
        .await
        .unwrap();
    assert_eq!(
        String::from_utf8(done.stdout).unwrap(),
        "asked: rm -rf '/some where'\na\\b \"c\"\nstream"
    );
}

#[tokio::test]
async fn the_status_of_a_forced_command_is_reported() {
    let server = Server::start();
    let connection = connect_as_node(&server, "cat >/dev/null; exit 5").await;
    let session = within_deadline(connection.exec(&RemoteCommand::new("true")))
        .await
        .unwrap();
    assert_eq!(
        within_deadline(session.wait()).await.unwrap().to_string(),
        "exit status 5"
    );
}

#[tokio::test]
async fn a_hostile_command_or_comment_cannot_add_a_line() {
    let server = Server::start();
    let key = ensure_node_key(&server.path("node_key")).unwrap();
    let hostile = AuthorizedKey {
        key: &key,
        command: "true\" ssh-ed25519 AAAA\nssh-ed25519",
        comment: "",
    };
    assert!(render_authorized_key(&hostile).is_err());
    // A quote alone stays inside the command.
    let connection = connect_as_node(&server, r#"echo 'x",pty,command="y'"#).await;
    let done = within_deadline(connection.run(&RemoteCommand::new("true")))
        .await
        .unwrap();
    assert_eq!(done.stdout, b"x\",pty,command=\"y\n");
}
