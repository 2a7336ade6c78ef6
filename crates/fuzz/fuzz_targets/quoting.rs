//! Text that other programs take apart: shells, OpenSSH's server and systemd read back exactly what
//! was meant, by readers that are written here from their documentation.
//!
//! Input: words, one to a line.

#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use flocker_docker::{UnitSpecification, render_unit};
use flocker_model::RestartPolicy;
use flocker_remote::ssh::{AuthorizedKey, PublicKey, render_authorized_key, shell_quote};
use libfuzzer_sys::fuzz_target;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

static PUBLIC_KEY: LazyLock<PublicKey> = LazyLock::new(|| PublicKey::from_openssh(KEY).unwrap());

fuzz_target!(|input: &str| {
    let words: Vec<&str> = input.split('\n').collect();
    if !input.contains('\0') {
        assert_eq!(read_as_shell(&shell_quote(&words)), words);
    }
    check_authorized_key(&words);
    check_unit(&words);
});

/// **Source**: POSIX.1-2024, Shell Command Language, section 2.2: what is not quoted must not be
/// special.
fn read_as_shell(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let word = words.last_mut().unwrap();
        match character {
            '\'' => word.extend(characters.by_ref().take_while(|quoted| *quoted != '\'')),
            '\\' => word.extend(characters.next()),
            ' ' => words.push(String::new()),
            plain => {
                assert!(
                    !"|&;<>()$`\"\t\n*?[#~%!{}^".contains(plain),
                    "{plain:?} in {line}"
                );
                word.push(plain);
            }
        }
    }
    words
}

/// **Source**: `sshd(8)`, "`AUTHORIZED_KEYS` FILE FORMAT": `\"` is the only escape.
fn check_authorized_key(words: &[&str]) {
    let authorized = AuthorizedKey {
        key: &PUBLIC_KEY,
        command: words[0],
        comment: words.get(1).copied().unwrap_or_default(),
    };
    let Ok(line) = render_authorized_key(&authorized) else {
        return;
    };
    let line = line.strip_suffix('\n').unwrap();
    assert!(!line.contains(['\n', '\r', '\0']), "{line:?}");
    let mut rest = line.strip_prefix("restrict,command=\"").unwrap();
    let mut command = String::new();
    while !rest.starts_with('"') {
        if let Some(after) = rest.strip_prefix("\\\"") {
            command.push('"');
            rest = after;
        } else {
            let mut characters = rest.chars();
            command.push(characters.next().unwrap());
            rest = characters.as_str();
        }
    }
    assert_eq!(command, authorized.command);
    let key = format!("\" {KEY}");
    assert!(rest.starts_with(&key), "{rest}");
}

/// Settings have absolute paths without control characters.
fn check_unit(words: &[&str]) {
    let path = |index: usize| {
        let word = words.get(index).copied().unwrap_or_default();
        PathBuf::from(format!("/{}", word.replace(char::is_control, "")))
    };
    let unit = UnitSpecification {
        node_program: path(0),
        docker_program: path(1),
        docker_socket: path(2),
        volume: words.get(3).map(|_| path(3)),
        stop_mark: path(4),
        ..UnitSpecification::new("web".parse().unwrap(), RestartPolicy::Always)
    };
    let text = render_unit(&unit);
    let value = |key: &str| {
        let mut found = text.lines().filter_map(|line| line.strip_prefix(key));
        let value = found.next().unwrap();
        assert_eq!(found.next(), None, "{text}");
        value
    };
    let node = unit.node_program.to_str().unwrap();
    assert_eq!(
        read_as_systemd(value("ExecStartPre=")),
        [node, "prepare", "web"]
    );
    let docker = unit.docker_program.to_str().unwrap();
    let host = format!("unix://{}", unit.docker_socket.display());
    let start = [docker, "--host", &host, "start", "--attach", "flocker-web"];
    assert_eq!(read_as_systemd(value("ExecStart=")), start);
    let mut lines = text.lines();
    let told = lines.find_map(|line| line.strip_prefix("ExecStop=-/bin/sh "));
    let mark = unit.stop_mark.to_str();
    assert_eq!(
        read_as_systemd(told.unwrap()).last().map(String::as_str),
        mark
    );
    let after = value("After=");
    assert!(
        after
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || byte == b' '),
        "{after}"
    );
}

/// **Source**: `systemd.service(5)`, "COMMAND LINES", and `systemd.unit(5)`, "SPECIFIERS".
fn read_as_systemd(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, quote) {
            (end, Some(open)) if end == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (blank, None) if blank.is_ascii_whitespace() => words.extend(word.take()),
            ('\\' | '%' | '$', _) => {
                // Each is written twice or, before a quote, escapes it; anything else means more.
                let next = characters.next().unwrap();
                assert!(
                    next == character || character == '\\' && next == '"',
                    "{line}"
                );
                word.get_or_insert_default().push(next);
            }
            (plain, _) => word.get_or_insert_default().push(plain),
        }
    }
    assert_eq!(quote, None, "{line}");
    words.extend(word);
    words
}
