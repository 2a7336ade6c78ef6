use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use insta::assert_snapshot;
use tempfile::TempDir;

use super::{
    Environment, SshAnswer, SshOptions, Unanswered, arguments, ask, find_program, observe_answer,
    show,
};
use crate::ssh::destination::WrittenName;

fn written(user: Option<&str>, host: &str, port: Option<u16>) -> WrittenName {
    WrittenName {
        user: user.map(str::to_owned),
        host: host.to_owned(),
        port,
    }
}

#[test]
fn ssh_is_asked_about_the_user_and_port_of_the_login() {
    let none = SshOptions::default();
    let options = SshOptions {
        user: Some("option".to_owned()),
        port: Some(2),
        ..SshOptions::default()
    };
    let file = Some(Path::new("/etc/flocker ssh"));
    let plain = written(None, "db1", None);
    let whole = written(Some("a@realm"), "fe80::1", Some(22));
    let shown = [
        show(&arguments(&plain, &none, None)),
        show(&arguments(&plain, &options, file)),
        show(&arguments(&whole, &options, None)),
    ];
    assert_snapshot!(shown.join("\n"), @r"
    ssh -G -- db1
    ssh -G -F '/etc/flocker ssh' -l option -p 2 -- db1
    ssh -G -l a@realm -p 22 -- fe80::1
    ");
}

/// Runs a shell in the place of `ssh`.
async fn run_script(script: &str, patience: Duration) -> Result<SshAnswer, Unanswered> {
    let arguments = |script: &str| [OsString::from("-c"), script.into()];
    ask(
        Path::new("/bin/sh"),
        &arguments(script),
        &arguments("echo port 22"),
        patience,
    )
    .await
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_answer_is_what_is_printed() {
    let answer = run_script("echo port 23; echo ignored >&2", LONG)
        .await
        .unwrap();
    assert_eq!(answer.settings, "port 23\n");
    assert_eq!(answer.defaults, "port 22\n");
}

#[tokio::test]
async fn a_process_that_stays_behind_does_not_delay_the_answer() {
    // It holds on to standard error, as a command after `exec` may.
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let script = format!("echo port 23; exec >/dev/null; cat <'{}' &", pipe.display());
    let answer = run_script(&script, LONG).await.unwrap();
    assert_eq!(answer.settings, "port 23\n");
    // Its end.
    fs::write(&pipe, "").unwrap();
}

#[tokio::test]
async fn a_failure_has_what_ssh_wrote() {
    let script = "echo 'x line 3: Bad configuration option: bogus' >&2; exit 255";
    let failed = run_script(script, LONG).await.unwrap_err();
    assert_snapshot!(failed.to_string(), @r#"`ssh -c 'echo '\''x line 3: Bad configuration option: bogus'\'' >&2; exit 255'` fails (x line 3: Bad configuration option: bogus); make that command work, or write the settings below `Host` with the node's name"#);
    let failed = run_script("exit 255", LONG).await.unwrap_err();
    assert_snapshot!(failed.to_string(), @"`ssh -c 'exit 255'` fails (exit status: 255); make that command work, or write the settings below `Host` with the node's name");
}

#[tokio::test]
async fn a_command_that_hangs_is_given_up() {
    let late = run_script("exec sleep 600", Duration::from_millis(50)).await;
    assert_snapshot!(late.unwrap_err().to_string(), @"`ssh -c 'exec sleep 600'` takes longer than 0 s, perhaps because of a command after `exec`; make it faster, or write the settings below `Host` with the node's name");
}

/// A directory with a program `ssh` that this test never runs.
fn directory_with_ssh(mode: u32) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("ssh");
    fs::write(&program, "").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(mode)).unwrap();
    (directory, program)
}

#[test]
fn ssh_is_the_first_program_of_this_name_in_the_path() {
    let (document, _) = directory_with_ssh(0o644);
    let (directory, program) = directory_with_ssh(0o755);
    let path = format!(
        "/nowhere:{}:{}",
        document.path().display(),
        directory.path().display()
    );
    assert_eq!(find_program(&path), Some(program));
    assert_eq!(find_program(&document.path().display().to_string()), None);
    assert_eq!(find_program(""), None);
}

#[tokio::test]
async fn ssh_is_not_asked_about_files_that_it_does_not_read() {
    let (directory, _) = directory_with_ssh(0o755);
    let mut environment = Environment {
        home: directory.path().to_owned(),
        ..Environment::default()
    };
    let name = written(None, "db1", None);
    let options = SshOptions::default();
    let unanswered = observe_answer(&name, &options, &environment).await;
    assert!(matches!(unanswered, Err(Unanswered::NoProgram)));

    let path = directory.path().display().to_string();
    environment.variables.insert("PATH".to_owned(), path);
    let unanswered = observe_answer(&name, &options, &environment).await;
    let home = super::account_home().unwrap().display().to_string();
    let text = unanswered.unwrap_err().to_string();
    assert_snapshot!(text.replace(&home, "HOME"), @"only `ssh` evaluates conditions, and `ssh` reads HOME/.ssh/config, because it does not look at HOME; name the file with --ssh-config");
}
