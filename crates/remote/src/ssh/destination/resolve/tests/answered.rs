//! What `ssh -G` prints, as a destination.

use insta::assert_snapshot;

use super::{
    Destination, DestinationError, SshAnswer, SshOptions, environment, plan, rendered,
    resolve_answered,
};

/// `ssh -G -F none -- db1` of OpenSSH 9.2, for the user `ann`.
const DEFAULTS: &str = include_str!("openssh-9.2-defaults.txt");

/// What is printed for files that set these keywords.
fn printed(settings: &str) -> String {
    let keyword = |line: &str| line.split(' ').next().map(str::to_owned);
    let is_set = |line: &&str| {
        !settings
            .lines()
            .any(|setting| keyword(setting) == keyword(line))
    };
    let lines = DEFAULTS.lines().filter(is_set).chain(settings.lines());
    lines.collect::<Vec<_>>().join("\n")
}

fn resolve(
    name: &str,
    settings: &str,
    options: &SshOptions,
) -> Result<Destination, DestinationError> {
    let answer = SshAnswer {
        command: "ssh -G -- db1".to_owned(),
        settings: printed(settings),
        defaults: DEFAULTS.to_owned(),
    };
    resolve_answered(name, &answer, options, &environment())
}

fn answered(settings: &str) -> String {
    rendered(resolve("db1", settings, &SshOptions::default()))
}

#[test]
fn defaults_that_ssh_prints_are_not_settings() {
    assert_eq!(answered(""), plan("db1", ""));
}

#[test]
fn settings_that_ssh_evaluated_are_followed() {
    let settings = "user deploy\nport 2222\nhostname 10.0.0.5\nidentityfile ~/.ssh/%n key\n\
                    identityfile ~/.ssh/id_rsa\nidentitiesonly yes\nidentityagent $XDG_RUNTIME_DIR\n\
                    certificatefile none\ncertificatefile ~/.ssh/work-cert.pub\n\
                    userknownhostsfile /home/ann/.ssh/work /dev/null\nglobalknownhostsfile none\n\
                    hostkeyalias one\nstricthostkeychecking false\nproxyjump a@one:22,two\n";
    assert_snapshot!(answered(settings), @r#"
    db1: deploy@10.0.0.5 port 2222
    key /home/ann/.ssh/db1 key
    key /home/ann/.ssh/id_rsa
    certificate /home/ann/.ssh/work-cert.pub
    through ssh ["-J", "a@one:22", "-W", "[10.0.0.5]:2222", "--", "two"]
    agent /run/user/7 for these only
    known /home/ann/.ssh/work
    known /dev/null
    unknown: AcceptNew, alias Some("one")
    warning: `ssh -G -- db1`: StrictHostKeyChecking no is treated as accept-new: a changed host key is still refused
    "#);
}

#[test]
fn the_name_and_options_win_over_what_ssh_prints() {
    let options = SshOptions {
        user: Some("option".to_owned()),
        port: Some(2),
        known_hosts: Some("/option_known".into()),
        ..SshOptions::default()
    };
    let settings = "user option\nport 3\nuserknownhostsfile /other\n";
    assert_snapshot!(rendered(resolve("db1:3", settings, &options)), @r"
    db1:3: option@db1 port 3
    perhaps key /home/ann/.ssh/id_rsa
    perhaps key /home/ann/.ssh/id_ecdsa
    perhaps key /home/ann/.ssh/id_ed25519
    agent /run/agent
    known /option_known
    known /etc/ssh/ssh_known_hosts
    known /etc/ssh/ssh_known_hosts2
    unknown: Refuse, alias None
    ");
}

#[test]
fn an_expanded_host_name_is_not_expanded_again() {
    let text = answered("hostname fe80::1%p2p1\n");
    assert!(
        text.starts_with("db1: ann@fe80::1%p2p1 port 22\n"),
        "{text}"
    );
}

#[test]
fn no_key_file_is_a_setting() {
    assert!(!answered("identityfile none\n").contains("key"));
}

#[test]
fn a_command_that_leads_to_a_host_is_for_a_shell() {
    let text = answered("proxycommand nc -X 5 'a b' %h %p # x\n");
    let way = r#"through /bin/sh ["-c", "exec nc -X 5 'a b' db1 22 # x"]"#;
    assert!(text.contains(way), "{text}");
}

#[test]
fn what_ssh_prints_and_cannot_be_followed_names_the_command() {
    assert_snapshot!(answered("proxyjump -gate\n"), @"error: `ssh -G -- db1`: `ProxyJump -gate` does not lead to `db1`: `-gate` does not name a host");
    assert_snapshot!(answered("port 0\n"), @r"
    error: the SSH configuration for `db1` cannot be used
    caused by: `ssh -G -- db1`: Port cannot be `0`: it must be a number from 1 to 65535
    ");
}
