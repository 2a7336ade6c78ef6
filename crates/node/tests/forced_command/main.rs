//! What the key of another node can do here, tried with OpenSSH's own programs: push, and nothing
//! else.
//!
//! A node that was taken over has its private key, and any SSH client. Every attack is tried twice:
//! with the line of `authorized_keys` that `flocker-node` writes, where it must achieve nothing and
//! leave nothing, and with the bare key, where it must succeed; one that fails there as well would
//! show nothing.
//!
//! Needed on the machine: `sshd`, `ssh`, `sftp`, `scp`, `ssh-keygen`, `ssh-agent` (Debian packages
//! openssh-server and openssh-client), and `setpriv` (util-linux). Three attacks need more: `xauth`,
//! root, and `/dev/net/tun`. Where that is missing they say SKIPPED, which with `CI=true` is a
//! failure.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test reports by panicking, and its fixtures do, too"
)]

mod attacks;
#[expect(dead_code, reason = "the tests that it is written for use more of it")]
#[path = "../../../remote/tests/sshd/fixture.rs"]
mod fixture;
mod pushes;
mod world;

use attacks::{Attack, attacks};
use world::{Access, World};

/// How many attacks there must be at least that every machine can try.
const FEWEST: usize = 39;

#[test]
fn another_nodes_key_allows_to_push_and_nothing_else() {
    let (node, anybody) = (World::new(Access::Peer), World::new(Access::Anybody));
    node.assert_pushes_are_answered();
    let is_ci = std::env::var("CI").as_deref() == Ok("true");
    let mut tried = 0;
    for Attack { name, launch } in attacks() {
        // First where it must succeed: what it needs may not be there.
        match launch(&anybody) {
            Ok(true) => {}
            Ok(false) => panic!("{name} fails where it is allowed: it shows nothing"),
            Err(reason) => {
                assert!(!is_ci, "cannot be tried in CI: {name}: {reason}");
                println!("SKIPPED: {name}: {reason}");
                continue;
            }
        }
        let before = node.files();
        let reached = launch(&node).unwrap_or_else(|reason| panic!("{name}: {reason}"));
        assert!(!reached, "{name} succeeded");
        node.assert_only_receive_ran(name);
        node.assert_nothing_runs();
        assert_eq!(node.files(), before, "{name} left something");
        tried += 1;
    }
    println!("{tried} attacks were tried");
    assert!(tried >= FEWEST, "only {tried} attacks were tried");
    node.assert_pushes_are_answered();
}
