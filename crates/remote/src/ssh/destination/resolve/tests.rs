use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use insta::assert_snapshot;

use super::super::super::client_config::{Entry, Placed, parse_client_config};
use super::super::super::ssh_answer::{SshAnswer, Unanswered};
use super::super::name::parse_name;
use super::{
    Destination, DestinationError, Environment, HostKeyPolicy, SshOptions, UnknownHost, gather,
    plan_destination, read_name, resolve_answered,
};

mod answered;

fn environment() -> Environment {
    Environment {
        home: "/home/ann".into(),
        user: "ann".to_owned(),
        variables: BTreeMap::from(
            [
                ("SSH_AUTH_SOCK", "/run/agent"),
                ("XDG_RUNTIME_DIR", "/run/user/7"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        ),
    }
}

fn plan_with(name: &str, config: &str, options: &SshOptions) -> String {
    rendered(plan_from_file(name, config, options))
}

/// Where there is no `ssh`.
fn plan_from_file(
    name: &str,
    config: &str,
    options: &SshOptions,
) -> Result<Destination, DestinationError> {
    let written = read_name(name)?;
    let entries = parse_client_config(Path::new("config"), config);
    let mut settings = gather(name, &entries, &written.host)?;
    settings.warn_of_left_out(&Unanswered::NoProgram);
    plan_destination((name, written), settings, options, &environment())
}

fn rendered(resolved: Result<Destination, DestinationError>) -> String {
    match resolved {
        Ok(destination) => show(&destination),
        Err(error) => {
            let mut text = format!("error: {error}");
            if let Some(cause) = std::error::Error::source(&error) {
                let _ = write!(text, "\ncaused by: {cause}");
            }
            text
        }
    }
}

fn plan(name: &str, config: &str) -> String {
    plan_with(name, config, &SshOptions::default())
}

fn show(destination: &Destination) -> String {
    let Destination {
        name,
        host,
        port,
        user,
        identities,
        identities_only,
        agent,
        certificates,
        proxy,
        host_key,
        warnings,
    } = destination;
    let mut text = format!("{name}: {user}@{host} port {port}\n");
    for identity in identities {
        let kind = if identity.named { "key" } else { "perhaps key" };
        let _ = writeln!(text, "{kind} {}", identity.path.display());
    }
    for certificate in certificates {
        let _ = writeln!(text, "certificate {}", certificate.display());
    }
    if let Some(proxy) = proxy {
        let _ = writeln!(text, "through {} {:?}", proxy.program, proxy.arguments);
    }
    let only = if *identities_only {
        " for these only"
    } else {
        ""
    };
    match agent {
        Some(agent) => {
            let _ = writeln!(text, "agent {}{only}", agent.display());
        }
        None => text.push_str("no agent\n"),
    }
    if let HostKeyPolicy::KnownHosts(files) = host_key {
        for file in files.user_files.iter().chain(&files.global_files) {
            let _ = writeln!(text, "known {}", file.display());
        }
        let _ = writeln!(
            text,
            "unknown: {:?}, alias {:?}",
            files.unknown, files.alias
        );
    }
    for warning in warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    text
}

#[test]
fn an_address_alone_gets_the_defaults_of_ssh() {
    assert_snapshot!(plan("10.0.0.1", ""), @r#"
    10.0.0.1: ann@10.0.0.1 port 22
    perhaps key /home/ann/.ssh/id_rsa
    perhaps key /home/ann/.ssh/id_ecdsa
    perhaps key /home/ann/.ssh/id_ed25519
    agent /run/agent
    known /home/ann/.ssh/known_hosts
    known /home/ann/.ssh/known_hosts2
    known /etc/ssh/ssh_known_hosts
    known /etc/ssh/ssh_known_hosts2
    unknown: Refuse, alias None
    "#);
}

#[test]
fn the_first_value_wins_and_keys_collect() {
    let config = r#"
# comment
Host db1 db2 # trailing
    HostName %h.example.com
    User = admin
    Port=2222
    IdentityFile "~/keys/with space"
    IdentityFile %d/.ssh/%h_%r
    IdentitiesOnly yes
    UserKnownHostsFile ~/.ssh/%n.known /dev/null
    StrictHostKeyChecking accept-new
    HostKeyAlias one
    IdentityAgent ${XDG_RUNTIME_DIR}/agent
Host *
    User nobody
    Port 1
    IdentityFile ~/.ssh/id_all
    GlobalKnownHostsFile none
"#;
    assert_snapshot!(plan("db1", config), @r#"
    db1: admin@db1.example.com port 2222
    key /home/ann/keys/with space
    key /home/ann/.ssh/db1.example.com_admin
    key /home/ann/.ssh/id_all
    agent /run/user/7/agent for these only
    known /home/ann/.ssh/db1.known
    known /dev/null
    unknown: AcceptNew, alias Some("one")
    "#);
    assert_snapshot!(plan("db3", config), @r#"
    db3: nobody@db3 port 1
    key /home/ann/.ssh/id_all
    agent /run/agent
    known /home/ann/.ssh/known_hosts
    known /home/ann/.ssh/known_hosts2
    unknown: Refuse, alias None
    "#);
}

#[test]
fn the_name_wins_over_options_and_these_over_the_file() {
    let config = "User file\nPort 1\nIdentityFile /file\nUserKnownHostsFile /file_known\n";
    let options = SshOptions {
        identity_files: vec!["/option".into(), "/file".into()],
        known_hosts: Some("/option_known".into()),
        user: Some("option".to_owned()),
        port: Some(2),
        unknown_host: Some(UnknownHost::AcceptNew),
        ..SshOptions::default()
    };
    assert_snapshot!(plan_with("name@host:3", config, &options), @r#"
    name@host:3: name@host port 3
    key /option
    key /file
    agent /run/agent
    known /option_known
    known /etc/ssh/ssh_known_hosts
    known /etc/ssh/ssh_known_hosts2
    unknown: AcceptNew, alias None
    "#);
    assert_snapshot!(plan_with("host", config, &options), @r#"
    host: option@host port 2
    key /option
    key /file
    agent /run/agent
    known /option_known
    known /etc/ssh/ssh_known_hosts
    known /etc/ssh/ssh_known_hosts2
    unknown: AcceptNew, alias None
    "#);
}

#[test]
fn negated_patterns_and_match_blocks() {
    let config = "Host *.lan !old.lan\n Port 1\nMatch user bob\n Port 2\nMatch user al\n Compression no\nMatch all\n Port 3\n";
    assert_snapshot!(plan("new.lan", config), @r"
    new.lan: ann@new.lan port 1
    perhaps key /home/ann/.ssh/id_rsa
    perhaps key /home/ann/.ssh/id_ecdsa
    perhaps key /home/ann/.ssh/id_ed25519
    agent /run/agent
    known /home/ann/.ssh/known_hosts
    known /home/ann/.ssh/known_hosts2
    known /etc/ssh/ssh_known_hosts
    known /etc/ssh/ssh_known_hosts2
    unknown: Refuse, alias None
    warning: config:3: this Match block is ignored: only `ssh` evaluates conditions, and there is no `ssh` in PATH; install the OpenSSH client, or write the settings below `Host` with the node's name
    ");
    assert_snapshot!(plan("old.lan", config), @r"
    old.lan: ann@old.lan port 3
    perhaps key /home/ann/.ssh/id_rsa
    perhaps key /home/ann/.ssh/id_ecdsa
    perhaps key /home/ann/.ssh/id_ed25519
    agent /run/agent
    known /home/ann/.ssh/known_hosts
    known /home/ann/.ssh/known_hosts2
    known /etc/ssh/ssh_known_hosts
    known /etc/ssh/ssh_known_hosts2
    unknown: Refuse, alias None
    warning: config:3: this Match block is ignored: only `ssh` evaluates conditions, and there is no `ssh` in PATH; install the OpenSSH client, or write the settings below `Host` with the node's name
    ");
}

#[test]
fn what_cannot_be_followed_is_an_error_with_its_place() {
    assert_snapshot!(plan("db1", "Host db1\n ProxyJump gate,-gate2\n"), @"error: config:2: `ProxyJump gate,-gate2` does not lead to `db1`: `-gate2` does not name a host");
    assert_snapshot!(plan("`reboot`@db1", "ProxyCommand nc %h %p\n"), @r#"error: config:1: `ProxyCommand nc %h %p` does not lead to ``reboot`@db1`: a shell would act on a character in "`reboot`""#);
    assert_snapshot!(plan("db1", "\nPort ssh\n"), @r#"
    error: the SSH configuration for `db1` cannot be used
    caused by: config:2: Port cannot be `ssh`: it must be a number from 1 to 65535
    "#);
    assert_snapshot!(plan("db1", "IdentitiesOnly maybe\n"), @r#"
    error: the SSH configuration for `db1` cannot be used
    caused by: config:1: IdentitiesOnly cannot be `maybe`: it must be yes or no
    "#);
    assert_snapshot!(plan("db1", "StrictHostKeyChecking perhaps\n"), @r#"
    error: the SSH configuration for `db1` cannot be used
    caused by: config:1: StrictHostKeyChecking cannot be `perhaps`: it must be yes, ask, accept-new or no
    "#);
    assert_snapshot!(plan("db1;reboot", ""), @r#"error: `db1;reboot` does not name a node: write HOST, USER@HOST, HOST:PORT or an alias from ~/.ssh/config"#);
}

/// The lines that say how a host is reached.
fn way(name: &str, config: &str, options: &SshOptions) -> String {
    let text = plan_with(name, config, options);
    let way = |line: &&str| line.starts_with("through") || line.starts_with("error");
    text.lines().filter(way).collect::<Vec<_>>().join("\n")
}

#[test]
fn proxies_are_run_as_ssh_runs_them() {
    let none = SshOptions::default();
    let options = SshOptions {
        config_file: Some("/etc/flocker ssh".into()),
        port: Some(2222),
        ..SshOptions::default()
    };
    let jump = "Host db1\n ProxyJump gate\n HostName 10.0.0.5\n";
    assert_snapshot!(way("db1", jump, &none), @r#"through ssh ["-W", "[10.0.0.5]:22", "--", "gate"]"#);
    assert_snapshot!(way("db1", jump, &options), @r#"through ssh ["-F", "/etc/flocker ssh", "-W", "[10.0.0.5]:2222", "--", "gate"]"#);
    let jumps = "ProxyJump a@one:22, two, ssh://kim@three:2200";
    assert_snapshot!(way("db1", jumps, &none), @r#"through ssh ["-J", "a@one:22, two", "-l", "kim", "-p", "2200", "-W", "[db1]:22", "--", "three"]"#);
    let command = "ProxyCommand=nc -X 5 'a b' %h %p # %% %n\nProxyJump gate\n";
    assert_snapshot!(way("root@db1", command, &none), @r#"through /bin/sh ["-c", "exec nc -X 5 'a b' db1 22 # % db1"]"#);
    assert_eq!(way("db1", "ProxyJump none\nProxyJump gate\n", &none), "");
    assert_eq!(way("db2", "Host db1\n ProxyJump gate\n", &none), "");
}

#[test]
fn certificates_collect() {
    let config = "CertificateFile ~/.ssh/%n-cert.pub\nCertificateFile none\n";
    let text = plan("db1", config);
    assert!(
        text.contains("certificate /home/ann/.ssh/db1-cert.pub\n"),
        "{text}"
    );
    assert_eq!(text.matches("certificate").count(), 1, "{text}");
}

#[test]
fn every_match_block_that_is_ignored_is_named() {
    let config = "Match host 10.0.0.* exec \"true\"\n User deploy\n Port 2222\n\
                  Match final all\n CertificateFile ~/.ssh/other\n\
                  Match user kim\n Compression yes\n";
    let text = plan("10.0.0.1", config);
    let warnings: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("warning"))
        .collect();
    assert_snapshot!(warnings.join("\n"), @"warning: config:1, config:4: these Match blocks are ignored: only `ssh` evaluates conditions, and there is no `ssh` in PATH; install the OpenSSH client, or write the settings below `Host` with the node's name");
}

/// The places of the blocks that are left out for `db1`.
fn left_out(entries: &[Placed]) -> String {
    let settings = gather("db1", entries, "db1").unwrap();
    let places: Vec<_> = settings.left_out.iter().map(ToString::to_string).collect();
    places.join(" ")
}

#[test]
fn a_file_included_below_match_is_left_out_with_it() {
    let included = |text: &str| {
        let mut entries = parse_client_config(Path::new("outer"), "Match user kim\n");
        let place = entries[0].place.clone();
        let border = |entry| Placed {
            place: place.clone(),
            entry,
        };
        entries.push(border(Entry::IncludeBegin));
        entries.extend(parse_client_config(Path::new("inner"), text));
        entries.push(border(Entry::IncludeEnd));
        entries
    };
    for (text, expected) in [
        ("User a\n", "outer:1"),
        ("Host db1\n User a\n", "outer:1"),
        (
            "Host db2\n User a\nHost db1\nMatch exec x\n User b\n",
            "outer:1",
        ),
        // Nothing in it is for this host, or matters to Flocker.
        ("Host db2\n User a\n", ""),
        ("Compression no\n", ""),
    ] {
        assert_eq!(left_out(&included(text)), expected, "{text}");
    }
    let mut after = included("Host db2\n");
    after.extend(parse_client_config(Path::new("outer"), "Port 2\n"));
    assert_eq!(left_out(&after), "outer:1");
}

#[test]
fn settings_that_weaken_security_are_not_followed_all_the_way() {
    assert_snapshot!(plan("db1", "IdentityAgent none\nStrictHostKeyChecking no\n"), @r#"
    db1: ann@db1 port 22
    perhaps key /home/ann/.ssh/id_rsa
    perhaps key /home/ann/.ssh/id_ecdsa
    perhaps key /home/ann/.ssh/id_ed25519
    no agent
    known /home/ann/.ssh/known_hosts
    known /home/ann/.ssh/known_hosts2
    known /etc/ssh/ssh_known_hosts
    known /etc/ssh/ssh_known_hosts2
    unknown: AcceptNew, alias None
    warning: config:2: StrictHostKeyChecking no is treated as accept-new: a changed host key is still refused
    "#);
}

#[test]
fn names_can_be_written_as_for_ssh() {
    let mut table = String::new();
    for name in [
        "1.1.1.1",
        "db1.example.com",
        "root@db1",
        "db1:2222",
        "ssh://root@db1:22",
        "a@realm@db1",
        "fe80::1",
        "root@[fe80::1]:2222",
        "[fe80::1]",
        "",
        "@db1",
        "db1:",
        "db1:0",
        "db1:99999",
        "-oProxyCommand=x",
        "-l@db1",
        "a b",
        "[fe80::1",
        "[fe80::1]x",
        "db1/x",
        "db*",
        "db#1",
        "db1,db2",
    ] {
        let parsed = parse_name(name).map(|parsed| (parsed.user, parsed.host, parsed.port));
        let _ = writeln!(table, "{name:?} -> {parsed:?}");
    }
    assert_snapshot!(table, @r#"
    "1.1.1.1" -> Some((None, "1.1.1.1", None))
    "db1.example.com" -> Some((None, "db1.example.com", None))
    "root@db1" -> Some((Some("root"), "db1", None))
    "db1:2222" -> Some((None, "db1", Some(2222)))
    "ssh://root@db1:22" -> Some((Some("root"), "db1", Some(22)))
    "a@realm@db1" -> Some((Some("a@realm"), "db1", None))
    "fe80::1" -> Some((None, "fe80::1", None))
    "root@[fe80::1]:2222" -> Some((Some("root"), "fe80::1", Some(2222)))
    "[fe80::1]" -> Some((None, "fe80::1", None))
    "" -> None
    "@db1" -> None
    "db1:" -> None
    "db1:0" -> None
    "db1:99999" -> None
    "-oProxyCommand=x" -> None
    "-l@db1" -> None
    "a b" -> None
    "[fe80::1" -> None
    "[fe80::1]x" -> None
    "db1/x" -> None
    "db*" -> None
    "db#1" -> None
    "db1,db2" -> None
    "#);
}
