//! The user's `ssh_config` and the name of a node: a destination, or an error that names a line. And
//! what an SSH server says of its own settings: what refuses a login is in that.
//!
//! Input: the node's name on the first line, and then the file, or what `ssh -G` prints; or the server's
//! settings.

#![no_main]

use std::path::{Path, PathBuf};

use flocker_fuzz::{at_once, file, first_line};
use flocker_remote::ssh::{
    Destination, DestinationError, Environment, Login, SshAnswer, SshOptions, find_refusal,
    resolve_answered, resolve_destination,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    check_server(input);
    let (name, configuration) = first_line(input);
    check_answer(name, configuration);
    // Other files are not to be read: some of them never end.
    if configuration.to_ascii_lowercase().contains("include") && configuration.contains('/') {
        return;
    }
    let path = file("config", configuration.as_bytes());
    match resolve(name, path.clone()) {
        Ok(destination) => check_destination(name, path, &destination),
        Err(DestinationError::BadConfig { source, .. }) => {
            check_location(&source.location, configuration);
        }
        Err(DestinationError::BadProxy { location, .. }) => {
            check_location(&location, configuration);
        }
        Err(DestinationError::BadName { name: refused }) => assert_eq!(refused, name),
        // An included file may have a name that no file can have, but this one can be read.
        Err(DestinationError::UnreadableConfig { file, .. }) => assert_ne!(file, path),
    }
});

fn resolve(name: &str, configuration: PathBuf) -> Result<Destination, DestinationError> {
    let options = SshOptions {
        config_file: Some(configuration),
        ..SshOptions::default()
    };
    // Without a PATH no `ssh` is asked, which would run the commands of `Match exec`.
    at_once(resolve_destination(name, &options, &environment()))
}

fn environment() -> Environment {
    Environment {
        home: "/home/operator".into(),
        user: "operator".to_owned(),
        variables: [("SSH_AUTH_SOCK".to_owned(), "/run/agent".to_owned())].into(),
    }
}

fn resolve_printed(
    name: &str,
    settings: &str,
    defaults: &str,
) -> Result<Destination, DestinationError> {
    let answer = SshAnswer {
        command: "ssh -G".to_owned(),
        settings: settings.to_owned(),
        defaults: defaults.to_owned(),
    };
    resolve_answered(name, &answer, &SshOptions::default(), &environment())
}

/// Defaults change nothing, and an error names the command or the node.
fn check_answer(name: &str, printed: &str) {
    match resolve_printed(name, printed, "") {
        Ok(destination) => {
            assert_eq!(destination.name, name);
            assert_ne!(destination.port, 0);
            let plain = resolve_printed(name, printed, printed).unwrap();
            assert_eq!(plain, resolve_printed(name, "", "").unwrap());
            assert!(plain.warnings.is_empty());
        }
        Err(DestinationError::BadConfig { source, .. }) => assert_eq!(source.location, "`ssh -G`"),
        Err(DestinationError::BadProxy { location, .. }) => assert_eq!(location, "`ssh -G`"),
        Err(DestinationError::BadName { name: refused }) => assert_eq!(refused, name),
        Err(error @ DestinationError::UnreadableConfig { .. }) => {
            panic!("{error}: no file is read")
        }
    }
}

fn check_destination(name: &str, configuration: PathBuf, destination: &Destination) {
    assert_eq!(destination.name, name);
    assert_ne!(destination.port, 0);
    assert_eq!(&resolve(name, configuration).unwrap(), destination);
    // What the name itself says wins over any file.
    let forced = format!("somebody@{name}");
    if !name.contains(['@', '/'])
        && let Ok(forced) = resolve(&forced, file("config", b"User else\nPort 1\n"))
    {
        assert_eq!(forced.user, "somebody");
    }
}

/// Every word of a refusal was said by the server.
fn check_server(input: &str) {
    let login = Login {
        user: "flocker",
        address: [10, 0, 0, 7].into(),
        authorized_keys: Path::new("/var/lib/flocker/ssh/authorized_keys"),
    };
    let groups = ["flocker".to_owned(), "storage".to_owned()];
    if let Some(refusal) = find_refusal(input, login, &groups) {
        assert_eq!(refusal.user, login.user);
        assert!(!refusal.value.is_empty());
        assert!(refusal.value.split(' ').all(|word| input.contains(word)));
    }
}

/// `FILE:LINE`, of a line that is there.
fn check_location(location: &str, configuration: &str) {
    let (_, line) = location.rsplit_once(':').unwrap();
    let line: usize = line.parse().unwrap();
    assert!(
        (1..=configuration.lines().count()).contains(&line),
        "{location}"
    );
}
