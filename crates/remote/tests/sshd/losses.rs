//! Connections that go away.

use std::time::Duration;

use flocker_remote::ssh::{
    CommandError, ConnectOptions, Connection, ConnectionLost, RemoteCommand, SessionError,
};
use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fixture::{Server, shell, within_deadline};

/// Notices a dead host within two seconds.
fn impatient() -> ConnectOptions {
    ConnectOptions {
        keepalive_interval: Duration::from_millis(500),
        keepalive_count: 3,
        ..ConnectOptions::default()
    }
}

async fn connect(server: &Server) -> Connection {
    within_deadline(Connection::connect(&server.destination(), &impatient()))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_server_killed_during_an_upload_is_an_error_at_once() {
    let server = Server::start();
    // Nobody would miss the host for an hour: only the end of the connection tells.
    let patient = ConnectOptions {
        keepalive_interval: Duration::from_secs(3600),
        ..impatient()
    };
    let connection = within_deadline(Connection::connect(&server.destination(), &patient))
        .await
        .unwrap();
    let uploading = {
        let connection = connection.clone();
        tokio::spawn(async move {
            connection
                .upload(&shell("cat >/dev/null"), tokio::io::repeat(0))
                .await
        })
    };
    let receiving = async {
        while server.descendants_named("cat").is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within_deadline(receiving).await;
    server.signal_sessions(Signal::SIGKILL);
    let error = within_deadline(uploading).await.unwrap().unwrap_err();
    assert!(
        matches!(
            error,
            CommandError::Session(SessionError::ConnectionLost { .. })
        ),
        "{error:?}"
    );
    assert!(connection.is_closed());
    let error = connection
        .exec(&RemoteCommand::new("true"))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("the connection is gone"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_killed_during_a_download_is_not_the_end_of_the_output() {
    let server = Server::start();
    let connection = connect(&server).await;
    let mut session = connection.exec(&shell("cat /dev/zero")).await.unwrap();
    let mut some = vec![0; 5_000_000];
    within_deadline(session.stdout.read_exact(&mut some))
        .await
        .unwrap();
    server.signal_sessions(Signal::SIGKILL);
    let error = within_deadline(tokio::io::copy(&mut session.stdout, &mut tokio::io::sink()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionAborted);
    assert!(within_deadline(session.exit.wait()).await.is_err());
}

#[tokio::test]
async fn a_silent_host_is_noticed_while_nothing_happens() {
    let server = Server::start();
    let connection = connect(&server).await;
    let session = connection.exec(&RemoteCommand::new("cat")).await.unwrap();
    let (exit, stdin) = (session.exit, session.stdin);
    server.signal_sessions(Signal::SIGSTOP);
    let error = within_deadline(exit.wait()).await.unwrap_err();
    drop(stdin);
    let SessionError::ConnectionLost { source, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(source, ConnectionLost::Silent);
}

#[tokio::test]
async fn a_silent_host_is_noticed_while_data_is_sent() {
    let server = Server::start();
    let connection = connect(&server).await;
    let mut session = connection.exec(&shell("cat >/dev/null")).await.unwrap();
    let chunk = vec![0; 1 << 20];
    within_deadline(session.stdin.write_all(&chunk))
        .await
        .unwrap();
    server.signal_sessions(Signal::SIGSTOP);
    let error = within_deadline(async {
        loop {
            if let Err(error) = session.stdin.write_all(&chunk).await {
                return error;
            }
        }
    })
    .await;
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    let error = within_deadline(session.exit.wait()).await.unwrap_err();
    let SessionError::ConnectionLost { source, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(source, ConnectionLost::Silent);
}

#[tokio::test]
async fn a_quiet_but_living_connection_stays() {
    let server = Server::start();
    let connection = connect(&server).await;
    // Several times as long as a dead host would be tolerated.
    let session = connection.exec(&shell("sleep 4; echo done")).await.unwrap();
    let mut output = String::new();
    let mut stdout = session.stdout;
    within_deadline(stdout.read_to_string(&mut output))
        .await
        .unwrap();
    assert_eq!(output, "done\n");
    assert!(
        within_deadline(session.exit.wait())
            .await
            .unwrap()
            .success()
    );
}

#[tokio::test]
async fn a_reader_that_pauses_longer_than_a_dead_host_may_loses_nothing() {
    let server = Server::start();
    let connection = connect(&server).await;
    let mut session = connection
        .exec(&shell("head -c 100000000 /dev/zero"))
        .await
        .unwrap();
    let mut some = vec![0; 1_000_000];
    within_deadline(session.stdout.read_exact(&mut some))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    let rest = within_deadline(tokio::io::copy(&mut session.stdout, &mut tokio::io::sink()))
        .await
        .unwrap();
    assert_eq!(rest, 99_000_000);
    assert!(
        within_deadline(session.exit.wait())
            .await
            .unwrap()
            .success()
    );
}

#[tokio::test]
async fn closing_ends_what_still_runs() {
    let server = Server::start();
    let connection = connect(&server).await;
    let session = connection.exec(&shell("sleep 1000")).await.unwrap();
    let exit = session.exit;
    connection.close().await;
    let error = within_deadline(exit.wait()).await.unwrap_err();
    assert!(matches!(
        error,
        SessionError::ConnectionLost {
            source: ConnectionLost::Here,
            ..
        }
    ));
    assert!(connection.exec(&RemoteCommand::new("true")).await.is_err());
}
