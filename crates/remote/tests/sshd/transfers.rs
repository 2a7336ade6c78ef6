//! Moving much data.

use std::fs;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use flocker_remote::ssh::{CommandError, ConnectOptions, Connection, ExitStatus, RemoteCommand};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};

use crate::fixture::{Server, ServerSettings, shell, within_deadline};

const MEGABYTE: u64 = 1_000_000;

fn zeros(length: u64) -> impl AsyncRead + Unpin {
    tokio::io::repeat(0).take(length)
}

#[tokio::test]
async fn three_hundred_megabytes_go_up() {
    let server = Server::start();
    let connection = server.connect().await;
    let done = within_deadline(
        connection.upload(&RemoteCommand::new("wc").arg("-c"), zeros(300 * MEGABYTE)),
    )
    .await
    .unwrap();
    assert_eq!(done.sent, 300 * MEGABYTE);
    assert_eq!(done.stdout, b"300000000\n");
}

#[tokio::test]
async fn three_hundred_megabytes_come_down() {
    let server = Server::start();
    let connection = server.connect().await;
    let mut session = connection
        .exec(&shell("head -c 300000000 /dev/zero"))
        .await
        .unwrap();
    let received = within_deadline(tokio::io::copy(&mut session.stdout, &mut tokio::io::sink()))
        .await
        .unwrap();
    assert_eq!(received, 300 * MEGABYTE);
    assert!(
        within_deadline(session.exit.wait())
            .await
            .unwrap()
            .success()
    );
}

#[tokio::test]
async fn an_upload_to_a_command_that_fails_half_way_fails() {
    let server = Server::start();
    let connection = server.connect().await;
    let error = within_deadline(connection.upload(
        &shell("head -c 20000000 >/dev/null; echo pool is full >&2; exit 28"),
        zeros(300 * MEGABYTE),
    ))
    .await
    .unwrap_err();
    let CommandError::Failed {
        status,
        stderr_tail,
        ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(*status, ExitStatus::Code(28));
    assert_eq!(stderr_tail, "pool is full\n");
    within_deadline(connection.run(&RemoteCommand::new("true")))
        .await
        .unwrap();
}

#[tokio::test]
async fn an_upload_to_a_command_that_stops_reading_is_no_success() {
    let server = Server::start();
    let connection = server.connect().await;
    let error = within_deadline(
        connection.upload(&shell("head -c 1000 >/dev/null"), zeros(300 * MEGABYTE)),
    )
    .await
    .unwrap_err();
    assert!(
        matches!(error, CommandError::InputNotTaken { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_writer_held_up_by_a_closed_window_learns_that_the_command_ended() {
    let server = Server::start();
    let connection = server.connect().await;
    // The command reads nothing, so that the window closes and stays closed.
    let mut session = connection.exec(&shell("sleep 1; exit 9")).await.unwrap();
    let chunk = vec![0; 1 << 20];
    let error = within_deadline(async {
        loop {
            if let Err(error) = session.stdin.write_all(&chunk).await {
                return error;
            }
        }
    })
    .await;
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(
        within_deadline(session.exit.wait()).await.unwrap(),
        ExitStatus::Code(9)
    );
}

/// A source that fails after some data.
struct Failing(u64);

impl AsyncRead for Failing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.0 == 0 {
            return Poll::Ready(Err(io::Error::other("the disk broke")));
        }
        let length = buffer.remaining().min(usize::try_from(self.0).unwrap());
        buffer.put_slice(&vec![0; length]);
        self.0 -= length as u64;
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn an_upload_whose_source_fails_does_not_wait_for_the_command() {
    let server = Server::start();
    let connection = server.connect().await;
    let error = within_deadline(
        connection.upload(&shell("cat >/dev/null; sleep 1000"), Failing(5 * MEGABYTE)),
    )
    .await
    .unwrap_err();
    let CommandError::Input { sent, source, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(
        (*sent, source.to_string().as_str()),
        (5_000_000, "the disk broke")
    );
}

#[tokio::test]
async fn a_slow_reader_holds_the_host_back() {
    let server = Server::start();
    let connection = server.connect().await;
    let mut session = connection
        .exec(&shell("exec head -c 300000000 /dev/zero"))
        .await
        .unwrap();
    let mut first = vec![0; 1_000_000];
    within_deadline(session.stdout.read_exact(&mut first))
        .await
        .unwrap();
    let head = within_deadline(async {
        loop {
            if let [head] = server.descendants_named("head")[..] {
                return head;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    // What the command has produced beyond what was read is held somewhere
    // on the way. It stops growing, far below the whole.
    let produced = within_deadline(async {
        let mut last = 0;
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let produced = bytes_written_by(head);
            if produced == last {
                return produced;
            }
            last = produced;
        }
    })
    .await;
    // 3 MB wait in our queues; the rest are the kernel's socket buffers.
    assert!(produced < 40 * MEGABYTE, "{produced} bytes are on the way");
    let rest = within_deadline(tokio::io::copy(&mut session.stdout, &mut tokio::io::sink()))
        .await
        .unwrap();
    assert_eq!(rest, 299 * MEGABYTE);
    assert!(
        within_deadline(session.exit.wait())
            .await
            .unwrap()
            .success()
    );
}

fn bytes_written_by(process: nix::unistd::Pid) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/io")).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("wchar:"))
        .unwrap();
    line.trim_start_matches("wchar:").trim().parse().unwrap()
}

#[tokio::test]
async fn many_downloads_at_once_survive_new_session_keys() {
    let server = Server::start_with(&ServerSettings {
        extra: "RekeyLimit 20M",
        ..ServerSettings::default()
    });
    let options = ConnectOptions::default();
    let connection = within_deadline(Connection::connect(&server.destination(), &options))
        .await
        .unwrap();
    let downloads: Vec<_> = (0..6)
        .map(|_| {
            let connection = connection.clone();
            tokio::spawn(async move {
                let command = shell("head -c 30000000 /dev/zero");
                let mut session = connection.exec(&command).await.unwrap();
                let received = tokio::io::copy(&mut session.stdout, &mut tokio::io::sink()).await;
                (received.unwrap(), session.exit.wait().await.unwrap())
            })
        })
        .collect();
    for download in downloads {
        let (received, status) = within_deadline(download).await.unwrap();
        assert_eq!((received, status.success()), (30 * MEGABYTE, true));
    }
}

#[tokio::test]
async fn both_directions_at_once_survive_new_session_keys() {
    let server = Server::start();
    let options = ConnectOptions {
        rekey_after: 8_000_000,
        ..ConnectOptions::default()
    };
    let connection = within_deadline(Connection::connect(&server.destination(), &options))
        .await
        .unwrap();
    let session = connection.exec(&RemoteCommand::new("cat")).await.unwrap();
    let (mut stdin, mut stdout) = (session.stdin, session.stdout);
    let sending = tokio::spawn(async move {
        tokio::io::copy(&mut zeros(100 * MEGABYTE), &mut stdin)
            .await
            .unwrap();
        stdin.shutdown().await.unwrap();
    });
    let received = within_deadline(tokio::io::copy(&mut stdout, &mut tokio::io::sink()))
        .await
        .unwrap();
    assert_eq!(received, 100 * MEGABYTE);
    within_deadline(sending).await.unwrap();
    assert!(
        within_deadline(session.exit.wait())
            .await
            .unwrap()
            .success()
    );
}
