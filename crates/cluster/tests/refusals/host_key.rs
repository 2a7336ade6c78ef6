//! A node whose host key is another than it was.

use std::fs;

use crate::deploy;
use crate::fixture::{Server, ServerSettings, make_key};

#[test]
fn a_changed_host_key_stops_the_deploy() {
    let directory = tempfile::tempdir().unwrap();
    let canary = directory.path().join("ran");
    let server = Server::start_with(&ServerSettings {
        // Whatever is run there leaves a trace, and is no flocker-node.
        extra: &format!("ForceCommand touch {}", canary.display()),
        ..ServerSettings::default()
    });
    let other = server.path("other");
    make_key(&other, "ed25519", "");
    let key = fs::read_to_string(other.with_extension("pub")).unwrap();
    server.write_known_hosts(&format!("{} {key}", server.known_name()));

    let refused = deploy(&server);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(6), "{said}");
    assert!(said.contains("ITS HOST KEY HAS CHANGED"), "{said}");
    assert!(said.contains("nothing was changed on any node"), "{said}");
    assert!(!canary.exists(), "something was run on the node");
    assert!(refused.stdout.is_empty(), "{refused:?}");

    // With the key that is on record, the same goes as far as the node.
    server.trust_host_key("ed25519");
    let reached = deploy(&server);
    let said = String::from_utf8_lossy(&reached.stderr);
    assert_eq!(reached.status.code(), Some(6), "{said}");
    assert!(said.contains("flocker-node did not begin"), "{said}");
    assert!(canary.exists(), "nothing was run on the node");
}
