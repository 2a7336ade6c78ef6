//! Who the host is.

use std::fs;
use std::path::Path;
use std::process::Command;

use flocker_remote::ssh::{ConnectOptions, Connection, Destination, SshOptions, UnknownHost};
use insta::assert_snapshot;

use crate::fixture::{Server, ServerSettings, make_key, rendered, within_deadline};

async fn connects(destination: &Destination) {
    within_deadline(Connection::connect(destination, &ConnectOptions::default()))
        .await
        .unwrap_or_else(|error| panic!("{}", rendered(&error)));
}

fn other_key(server: &Server, kind: &str) -> String {
    let path = server.path("other");
    make_key(&path, kind, "");
    let text = fs::read_to_string(path.with_extension("pub")).unwrap();
    text.trim().to_owned()
}

#[tokio::test]
async fn hashed_names_as_ssh_keygen_writes_them_are_found() {
    let server = Server::start();
    let hashed = Command::new("ssh-keygen")
        .args(["-q", "-H", "-f"])
        .arg(server.path("known_hosts"))
        .output()
        .unwrap();
    assert!(hashed.status.success());
    let text = fs::read_to_string(server.path("known_hosts")).unwrap();
    assert!(
        text.starts_with("|1|") && !text.contains("127.0.0.1"),
        "{text}"
    );
    connects(&server.destination()).await;
}

#[tokio::test]
async fn wildcards_several_names_and_bad_lines_are_no_obstacle() {
    let server = Server::start();
    let key = server.host_key_text("ed25519");
    server.write_known_hosts(&format!(
        "# a comment\n\nthis is not a key\n{0} ssh-ed25519 AAAA-broken\n\
         @unknown-marker {0} {key}\n\tdb1,[127.0.0.*]:{1}   {key} with a comment\n",
        server.known_name(),
        server.port
    ));
    connects(&server.destination()).await;
}

#[tokio::test]
async fn a_host_with_several_keys_presents_the_one_on_record() {
    let server = Server::start_with(&ServerSettings {
        host_keys: &["ed25519", "rsa", "ecdsa"],
        ..Default::default()
    });
    for kind in ["rsa", "ecdsa", "ed25519"] {
        server.trust_host_key(kind);
        connects(&server.destination()).await;
    }
}

#[tokio::test]
async fn an_unknown_host_is_refused() {
    let server = Server::start();
    server.write_known_hosts("");
    let refusal = server.refusal(&server.destination()).await;
    assert_snapshot!(server.redact(&rendered(&refusal)), @r#"
    error: cannot connect to 127.0.0.1:PORT (USER@127.0.0.1 port PORT): verifying its host key failed
    caused by: its host key is not known: ssh-ed25519 SHA256:<host_ed25519>
    hint: compare it with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` run on the node itself; if they agree, accept it with `ssh -o UserKnownHostsFile=DIR/known_hosts -p PORT USER@127.0.0.1 true`
    "#);
    assert_eq!(fs::read_to_string(server.path("known_hosts")).unwrap(), "");
}

#[tokio::test]
async fn an_authority_does_not_vouch_for_a_host() {
    let server = Server::start();
    let key = server.host_key_text("ed25519");
    server.write_known_hosts(&format!("@cert-authority * {key}\n"));
    let refusal = server.refusal(&server.destination()).await;
    let text = server.redact(&rendered(&refusal));
    assert!(text.contains("its host key is not known"), "{text}");
    assert!(
        text.contains("DIR/known_hosts:1 names a certificate authority"),
        "{text}"
    );
}

#[tokio::test]
async fn a_changed_key_is_refused_even_where_new_hosts_are_accepted() {
    let server = Server::start();
    // Of the same type and of another one: both mean that something changed.
    for kind in ["ed25519", "rsa"] {
        let key = other_key(&server, kind);
        let text = format!("unrelated {key}\n{} {key}\n", server.known_name());
        server.write_known_hosts(&text);
        let options = SshOptions {
            unknown_host: Some(UnknownHost::AcceptNew),
            ..server.options()
        };
        let refusal = server
            .refusal(&server.destination_with(&options, &server.environment()))
            .await;
        let shown = server.redact(&rendered(&refusal));
        assert!(shown.contains("DIR/known_hosts:2"), "{shown}");
        if kind == "ed25519" {
            assert_snapshot!(shown, @r#"
            error: cannot connect to 127.0.0.1:PORT (USER@127.0.0.1 port PORT): verifying its host key failed
            caused by: ITS HOST KEY HAS CHANGED: it presents ssh-ed25519 SHA256:<host_ed25519>, but on record is ssh-ed25519 SHA256:<other> at DIR/known_hosts:2
            hint: somebody may be impersonating 127.0.0.1 port PORT. Only if you know that the host was reinstalled, forget the old key with `ssh-keygen -f DIR/known_hosts -R '[127.0.0.1]:PORT'` and accept the new one with `ssh -o UserKnownHostsFile=DIR/known_hosts -p PORT USER@127.0.0.1 true`
            "#);
        }
        assert_eq!(
            fs::read_to_string(server.path("known_hosts")).unwrap(),
            text
        );
        fs::remove_file(server.path("other")).unwrap();
    }
}

#[tokio::test]
async fn a_revoked_key_is_refused_whatever_else_is_on_record() {
    let server = Server::start();
    let key = server.host_key_text("ed25519");
    server.write_known_hosts(&format!(
        "{} {key}\n@revoked * {key}\n",
        server.known_name()
    ));
    let refusal = server.refusal(&server.destination()).await;
    assert_snapshot!(server.redact(&rendered(&refusal)), @r#"
    error: cannot connect to 127.0.0.1:PORT (USER@127.0.0.1 port PORT): verifying its host key failed
    caused by: it presents a revoked host key: ssh-ed25519 SHA256:<host_ed25519> is marked @revoked at DIR/known_hosts:2
    hint: do not connect: whoever answers there holds a key that was withdrawn; give the host a new key
    "#);
}

#[tokio::test]
async fn a_new_host_is_remembered_where_that_is_wanted() {
    let server = Server::start();
    let options = SshOptions {
        unknown_host: Some(UnknownHost::AcceptNew),
        known_hosts: Some(server.path("new/known_hosts")),
        ..server.options()
    };
    let destination = server.destination_with(&options, &server.environment());
    connects(&destination).await;
    let remembered = fs::read_to_string(server.path("new/known_hosts")).unwrap();
    let key = server.host_key_text("ed25519");
    let key_without_comment = key.rsplit_once(" test key").unwrap().0;
    assert_eq!(
        remembered,
        format!("{} {key_without_comment}\n", server.known_name())
    );
    // ssh itself agrees with what was written.
    assert!(ssh_trusts(&server, &server.path("new/known_hosts")));
    // From now on the host is known to everybody.
    connects(&server.destination_with(
        &SshOptions {
            unknown_host: None,
            ..options
        },
        &server.environment(),
    ))
    .await;
}

fn ssh_trusts(server: &Server, known_hosts: &Path) -> bool {
    Command::new("ssh")
        .args(["-F", "none", "-o", "BatchMode=yes", "-p"])
        .arg(server.port.to_string())
        .arg("-i")
        .arg(server.path("id"))
        .arg("-o")
        .arg(format!("UserKnownHostsFile={}", known_hosts.display()))
        .args(["127.0.0.1", "true"])
        .status()
        .unwrap()
        .success()
}

#[tokio::test]
async fn a_pinned_host_needs_exactly_its_keys() {
    let server = Server::start_with(&ServerSettings {
        host_keys: &["rsa", "ed25519"],
        ..Default::default()
    });
    let user = server.environment().user;
    let place = ("127.0.0.1", server.port);
    let id = server.path("id");
    let pinned = |keys| Destination::pinned(place, &user, &id, keys);
    connects(&pinned(vec![server.host_key("rsa")])).await;
    connects(&pinned(vec![server.host_key("ed25519")])).await;

    other_key(&server, "ed25519");
    let other = fs::read_to_string(server.path("other.pub")).unwrap();
    let other = flocker_remote::ssh::PublicKey::from_openssh(other.trim()).unwrap();
    let refusal = server.refusal(&pinned(vec![other])).await;
    assert_snapshot!(server.redact(&rendered(&refusal)), @r#"
    error: cannot connect to 127.0.0.1 (USER@127.0.0.1 port PORT): verifying its host key failed
    caused by: it presents ssh-ed25519 SHA256:<host_ed25519>, which is none of the keys it is pinned to: ssh-ed25519 SHA256:<other>
    hint: if the node was reinstalled, deploy again: its new host key is then collected over the operator's own connection
    "#);
    let refusal = server.refusal(&pinned(Vec::new())).await;
    assert!(rendered(&refusal).contains("none at all"));
}
