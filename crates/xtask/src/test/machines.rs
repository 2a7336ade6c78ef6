//! Whether virtual machines can run here: not everywhere where all that they need is installed.

use std::fs::OpenOptions;
use std::io;

use nix::unistd::Uid;

use crate::process::Program;

/// What the machines of `vm-images` are made for; Debian calls it amd64.
const ARCHITECTURE: &str = "x86_64";

/// Where programs get the network interfaces of virtual machines.
const TUN: &str = "/dev/net/tun";

/// What was found out about this machine.
struct Probes {
    architecture: &'static str,
    /// What came of opening [`TUN`].
    tun: io::Result<()>,
    /// Whether a network can be made that nobody else is on.
    has_namespaces: bool,
}

/// Says why virtual machines cannot run here, if so.
pub(super) fn why_not() -> Option<String> {
    reason(&observe())
}

fn observe() -> Probes {
    let tun = OpenOptions::new().read(true).write(true).open(TUN);
    // As crates/lab makes its network.
    let user: &[&str] = if Uid::effective().is_root() {
        &[]
    } else {
        &["--user", "--map-root-user"]
    };
    let has_namespaces = Program::new("unshare")
        .args(["--net", "--pid", "--fork"])
        .args(user)
        .args(["true"])
        .succeeds();
    Probes {
        architecture: std::env::consts::ARCH,
        tun: tun.map(drop),
        has_namespaces,
    }
}

fn reason(probes: &Probes) -> Option<String> {
    let Probes {
        architecture,
        tun,
        has_namespaces,
    } = probes;
    if *architecture != ARCHITECTURE {
        return Some(format!(
            "the virtual machines are {ARCHITECTURE}, and this machine is {architecture}"
        ));
    }
    if let Err(error) = tun {
        return Some(format!(
            "{TUN}, which the virtual machines' network needs, cannot be opened: {error}"
        ));
    }
    (!has_namespaces).then(|| {
        "no network can be made for the virtual machines: that takes root, or unprivileged user \
         namespaces"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probes() -> Probes {
        Probes {
            architecture: "x86_64",
            tun: Ok(()),
            has_namespaces: true,
        }
    }

    #[test]
    fn machines_run_where_everything_is_there() {
        assert_eq!(reason(&probes()), None);
    }

    #[test]
    fn what_is_not_there_is_said() {
        for (probes, expected) in [
            (
                Probes {
                    architecture: "aarch64",
                    ..probes()
                },
                "this machine is aarch64",
            ),
            (
                Probes {
                    tun: Err(io::ErrorKind::NotFound.into()),
                    ..probes()
                },
                "/dev/net/tun, which",
            ),
            (
                Probes {
                    has_namespaces: false,
                    ..probes()
                },
                "unprivileged user namespaces",
            ),
        ] {
            let reason = reason(&probes).unwrap();
            assert!(reason.contains(expected), "{reason}");
        }
    }
}
