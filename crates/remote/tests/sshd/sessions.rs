//! Commands and how they end.

use flocker_remote::ssh::{CommandError, ExecError, ExitStatus, RemoteCommand};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;

use crate::fixture::{Server, ServerSettings, shell, within_deadline};

#[tokio::test]
async fn streams_are_separate_and_the_status_is_reported() {
    let server = Server::start();
    let connection = server.connect().await;
    let mut session = within_deadline(connection.exec(&shell("echo out; echo err >&2; exit 7")))
        .await
        .unwrap();
    let (mut stdout, mut stderr) = (String::new(), String::new());
    within_deadline(session.stdout.read_to_string(&mut stdout))
        .await
        .unwrap();
    within_deadline(session.stderr.read_to_string(&mut stderr))
        .await
        .unwrap();
    assert_eq!((stdout.as_str(), stderr.as_str()), ("out\n", "err\n"));
    let status = within_deadline(session.exit.wait()).await.unwrap();
    assert_eq!(status, ExitStatus::Code(7));
}

#[tokio::test]
async fn a_signal_is_not_an_exit_status() {
    let server = Server::start();
    let connection = server.connect().await;
    let session = connection.exec(&shell("kill -TERM $$")).await.unwrap();
    let status = within_deadline(session.wait()).await.unwrap();
    assert_eq!(status, ExitStatus::Signal("TERM".to_owned()));
    assert!(!status.success());
}

#[tokio::test]
async fn a_failure_shows_the_command_and_its_last_words() {
    let server = Server::start();
    let connection = server.connect().await;
    let error = within_deadline(connection.run(&shell("echo cannot mount >&2; exit 3")))
        .await
        .unwrap_err();
    let text = server.redact(&error.to_string());
    insta::assert_snapshot!(text, @r#"`sh -c 'echo cannot mount >&2; exit 3'` failed on 127.0.0.1:PORT: exit status 3: cannot mount"#);
    assert!(matches!(error, CommandError::Failed { .. }));
}

#[tokio::test]
async fn arguments_arrive_as_they_were_given() {
    let server = Server::start();
    let connection = server.connect().await;
    let arguments = ["a b", "", "it's", "$HOME `x` \\", "*", "ü\n"];
    let command = RemoteCommand::new("printf").arg("%s|").args(arguments);
    let done = within_deadline(connection.run(&command)).await.unwrap();
    let expected: String = arguments.iter().flat_map(|one| [*one, "|"]).collect();
    assert_eq!(String::from_utf8(done.stdout).unwrap(), expected);

    let error = connection
        .run(&RemoteCommand::new("true").arg("a\0b"))
        .await
        .unwrap_err();
    assert!(matches!(error, CommandError::Exec(ExecError::Nul { .. })));
}

#[tokio::test]
async fn input_ends_when_it_is_shut_down_or_dropped() {
    let server = Server::start();
    let connection = server.connect().await;
    let mut session = connection.exec(&RemoteCommand::new("cat")).await.unwrap();
    session.stdin.write_all(b"hello").await.unwrap();
    session.stdin.shutdown().await.unwrap();
    let mut echoed = Vec::new();
    within_deadline(session.stdout.read_to_end(&mut echoed))
        .await
        .unwrap();
    assert_eq!(echoed, b"hello");
    assert!(
        within_deadline(session.exit.wait())
            .await
            .unwrap()
            .success()
    );

    let session = connection.exec(&RemoteCommand::new("cat")).await.unwrap();
    assert!(within_deadline(session.wait()).await.unwrap().success());
}

#[tokio::test]
async fn a_conversation_goes_back_and_forth() {
    let server = Server::start();
    let connection = server.connect().await;
    let mut session = connection.exec(&RemoteCommand::new("cat")).await.unwrap();
    for number in 0..200_u32 {
        session
            .stdin
            .write_all(&number.to_be_bytes())
            .await
            .unwrap();
        session.stdin.flush().await.unwrap();
        let mut answer = [0; 4];
        within_deadline(session.stdout.read_exact(&mut answer))
            .await
            .unwrap();
        assert_eq!(u32::from_be_bytes(answer), number);
    }
    assert!(within_deadline(session.wait()).await.unwrap().success());
}

#[tokio::test]
async fn sixty_commands_run_one_after_another() {
    let server = Server::start();
    let connection = server.connect().await;
    for number in 0..60 {
        let command = shell(&format!("echo {number}"));
        let done = within_deadline(connection.run(&command)).await.unwrap();
        assert_eq!(done.stdout, format!("{number}\n").into_bytes());
    }
}

#[tokio::test]
async fn more_commands_at_once_than_the_host_allows_take_turns() {
    // sshd's own MaxSessions of 10 is in force.
    let server = Server::start();
    let connection = server.connect().await;
    let commands: Vec<_> = (0..20)
        .map(|number| {
            let connection = connection.clone();
            tokio::spawn(async move {
                let command = shell(&format!(
                    "sleep 0.1; head -c 300000 /dev/zero; exit {number}"
                ));
                let mut session = connection.exec(&command).await.unwrap();
                let mut output = Vec::new();
                session.stdout.read_to_end(&mut output).await.unwrap();
                assert_eq!(output.len(), 300_000);
                assert_eq!(session.exit.wait().await.unwrap(), ExitStatus::Code(number));
            })
        })
        .collect();
    for command in commands {
        within_deadline(command).await.unwrap();
    }
}

#[tokio::test]
async fn a_host_that_refuses_sessions_is_explained() {
    let server = Server::start_with(&ServerSettings {
        extra: "MaxSessions 1",
        ..Default::default()
    });
    let connection = server.connect().await;
    let held = connection.exec(&RemoteCommand::new("cat")).await.unwrap();
    let error = within_deadline(connection.exec(&RemoteCommand::new("true")))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("MaxSessions"), "{error}");
    assert!(within_deadline(held.wait()).await.unwrap().success());
    within_deadline(connection.run(&RemoteCommand::new("true")))
        .await
        .unwrap();
}

#[tokio::test]
async fn dropping_a_session_ends_its_command() {
    let server = Server::start();
    let connection = server.connect().await;
    // The command alone has the other end of this pipe, so that its death is the pipe's end.
    let pipe = server.path("alive");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut alive = pipe::OpenOptions::new().open_receiver(&pipe).unwrap();
    let script = format!(
        "exec 3>{}; echo started; exec cat /dev/zero",
        pipe.display()
    );
    let mut session = connection.exec(&shell(&script)).await.unwrap();
    let mut started = [0; 8];
    within_deadline(session.stdout.read_exact(&mut started))
        .await
        .unwrap();
    let mut nothing = [0; 1];
    let is_alive = alive.try_read(&mut nothing).unwrap_err();
    assert_eq!(is_alive.kind(), std::io::ErrorKind::WouldBlock);
    drop(session);
    let ended = within_deadline(alive.read(&mut nothing)).await.unwrap();
    assert_eq!(ended, 0, "the end of the pipe");
    // The connection is none the worse for it.
    within_deadline(connection.run(&RemoteCommand::new("true")))
        .await
        .unwrap();
}

#[tokio::test]
async fn floods_that_hold_the_connection_up_can_be_dropped() {
    let server = Server::start();
    let connection = server.connect().await;
    for _ in 0..5 {
        let mut sessions = Vec::new();
        for _ in 0..4 {
            let command = shell("read go; exec cat /dev/zero");
            sessions.push(within_deadline(connection.exec(&command)).await.unwrap());
        }
        for session in &mut sessions {
            session.stdin.write_all(b"go\n").await.unwrap();
        }
        // The first one's output is now on its way; that of the others fills
        // all there is to fill.
        let mut some = vec![0; 10_000_000];
        let first = &mut sessions[0].stdout;
        let _ = tokio::time::timeout(
            std::time::Duration::from_millis(500),
            first.read_exact(&mut some),
        )
        .await;
        drop(sessions);
        within_deadline(connection.run(&RemoteCommand::new("true")))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_few_megabytes_can_wait_unread() {
    let server = Server::start();
    let connection = server.connect().await;
    // Many small packets, which must not be counted as if they were full.
    let command =
        shell("for i in $(seq 3000); do echo line $i >&2; done; head -c 3000000 /dev/zero");
    let session = within_deadline(connection.exec(&command)).await.unwrap();
    assert!(
        within_deadline(session.exit.wait())
            .await
            .unwrap()
            .success(),
        "its streams are still held here, unread"
    );
    let (mut stdout, mut stderr) = (session.stdout, session.stderr);
    let mut output = Vec::new();
    stdout.read_to_end(&mut output).await.unwrap();
    assert_eq!(output.len(), 3_000_000);
    output.clear();
    stderr.read_to_end(&mut output).await.unwrap();
    assert_eq!(String::from_utf8(output).unwrap().lines().count(), 3000);
}

#[tokio::test]
async fn dropping_a_connection_ends_it_on_the_host() {
    let server = Server::start();
    let connection = server.connect().await;
    assert!(!server.descendants().is_empty());
    drop(connection);
    within_deadline(async {
        while !server.descendants().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn output_nobody_wants_does_not_hold_a_command_up() {
    let server = Server::start();
    let connection = server.connect().await;
    let session = connection
        .exec(&shell(
            "head -c 50000000 /dev/zero; head -c 50000000 /dev/zero >&2; exit 4",
        ))
        .await
        .unwrap();
    assert_eq!(
        within_deadline(session.wait()).await.unwrap(),
        ExitStatus::Code(4)
    );
}
