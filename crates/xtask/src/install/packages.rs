//! Which Debian package is needed for what. Add a row when a test needs something new.

/// What a package is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// Listing the repository's files.
    Repository,
    /// Compiling the workspace.
    Build,
    /// Tests in network namespaces.
    Namespaces,
    /// Tests with a Docker daemon of their own.
    Docker,
    /// Tests with an OpenSSH server of their own.
    Ssh,
    /// Nodes in virtual machines, and the clients that talk to them.
    Machines,
    /// Evaluating the flake, and looking at Nix files and test scripts.
    Nix,
    /// Looking at what dependencies are.
    Deny,
}

/// One Debian package.
#[derive(Debug)]
pub(super) struct Package {
    pub(super) name: &'static str,
    pub(super) reason: &'static str,
    pub(super) needs: &'static [Need],
    /// Programs that make the package unnecessary when they are all there already.
    pub(super) programs: &'static [&'static str],
    /// The first Debian release that has the package.
    pub(super) first_release: u32,
    /// Services that the package would start at boot, on a machine that did not ask for them.
    pub(super) services: &'static [&'static str],
}

const fn library(name: &'static str, reason: &'static str) -> Package {
    Package {
        name,
        reason,
        needs: &[Need::Build],
        programs: &[],
        first_release: 0,
        services: &[],
    }
}

const fn program(
    name: &'static str,
    programs: &'static [&'static str],
    needs: &'static [Need],
    reason: &'static str,
) -> Package {
    Package {
        name,
        reason,
        needs,
        programs,
        first_release: 0,
        services: &[],
    }
}

/// The packages, in the order in which they are needed.
pub(super) const PACKAGES: [Package; 33] = [
    program(
        "git",
        &["git"],
        &[Need::Repository, Need::Nix],
        "lists the files that are checked",
    ),
    library(
        "build-essential",
        "the linker, and the C compiler for crate ring",
    ),
    library("pkg-config", "finds the C libraries below"),
    library("libnftnl-dev", "nftables over netlink, for flocker-net"),
    library("libmnl-dev", "netlink sockets, for flocker-net"),
    library(
        "libzfslinux-dev",
        "libzfs_core and libnvpair, for flocker-zfs (contrib)",
    ),
    program(
        "rsync",
        &["rsync"],
        &[Need::Build],
        "copies what `volume import` brings in",
    ),
    program(
        "binutils",
        &["readelf"],
        &[Need::Build],
        "reads what a program links to, for the .deb",
    ),
    program(
        "iproute2",
        &["ip"],
        &[Need::Namespaces, Need::Machines],
        "sets up the networks of tests",
    ),
    program(
        "nftables",
        &["nft"],
        &[Need::Namespaces, Need::Docker, Need::Machines],
        "shows in tests what we programmed",
    ),
    program(
        "iptables",
        &["iptables"],
        &[Need::Namespaces, Need::Docker],
        "Docker's own firewall, beside which ours must work",
    ),
    program(
        "procps",
        &["sysctl"],
        &[Need::Namespaces],
        "reads kernel settings in tests",
    ),
    program(
        "util-linux",
        &["unshare", "nsenter", "setpriv"],
        &[Need::Namespaces, Need::Docker, Need::Ssh, Need::Machines],
        "makes namespaces, and ends what a test started",
    ),
    Package {
        name: "docker.io",
        reason: "the Docker daemon that tests start for themselves",
        needs: &[Need::Docker],
        programs: &["dockerd"],
        first_release: 0,
        services: &["docker.service", "docker.socket", "containerd.service"],
    },
    Package {
        name: "docker-cli",
        reason: "shows in tests what we made in Docker",
        needs: &[Need::Docker],
        programs: &["docker"],
        first_release: 13,
        services: &[],
    },
    program(
        "busybox-static",
        &["busybox"],
        &[Need::Docker, Need::Machines],
        "the smallest image to run",
    ),
    program(
        "systemd",
        &["systemctl"],
        &[Need::Docker],
        "the init system that tests start for themselves",
    ),
    program(
        "dbus",
        &["dbus-daemon"],
        &[Need::Docker],
        "a bus for tests of systemd's interface",
    ),
    Package {
        name: "openssh-server",
        reason: "the server that tests start for themselves",
        needs: &[Need::Ssh],
        programs: &["sshd"],
        first_release: 0,
        services: &["ssh.service", "ssh.socket"],
    },
    program(
        "openssh-client",
        &["ssh", "ssh-keygen", "ssh-agent"],
        &[Need::Ssh, Need::Machines],
        "keys and an agent for tests",
    ),
    program(
        "xauth",
        &["xauth"],
        &[Need::Ssh],
        "what sshd asks before it forwards X11, which tests see refused",
    ),
    program(
        "qemu-system-x86",
        &["qemu-system-x86_64"],
        &[Need::Machines],
        "runs the nodes",
    ),
    program(
        "qemu-utils",
        &["qemu-img"],
        &[Need::Machines],
        "makes the nodes' disks",
    ),
    program(
        "nbdkit",
        &["nbdkit"],
        &[Need::Machines],
        "loses what nodes did not flush in a power cut",
    ),
    program(
        "mmdebstrap",
        &["mmdebstrap"],
        &[Need::Machines, Need::Nix],
        "builds the nodes' file systems",
    ),
    program(
        "debian-archive-keyring",
        &[],
        &[Need::Machines, Need::Nix],
        "verifies what mmdebstrap fetches",
    ),
    program(
        "uidmap",
        &["newuidmap"],
        &[Need::Machines, Need::Nix],
        "lets mmdebstrap work without root",
    ),
    program(
        "e2fsprogs",
        &["mke2fs"],
        &[Need::Machines],
        "makes the nodes' root file system",
    ),
    program(
        "python3",
        &["python3"],
        &[Need::Machines, Need::Nix, Need::Deny],
        "puts container images together, and has pip",
    ),
    program(
        "python3-venv",
        &[],
        &[Need::Nix, Need::Deny],
        "keeps Python programs apart from the machine's",
    ),
    program(
        "curl",
        &["curl"],
        &[Need::Machines],
        "asks web applications through the nodes",
    ),
    program(
        "postgresql-client",
        &["psql"],
        &[Need::Machines],
        "asks the database through the nodes",
    ),
    program(
        "ca-certificates",
        &[],
        &[Need::Machines, Need::Nix, Need::Deny],
        "lets mmdebstrap and pip use mirrors over HTTPS",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::PACKAGES;

    #[test]
    fn each_package_is_listed_once_and_explained() {
        let names: BTreeSet<_> = PACKAGES.iter().map(|package| package.name).collect();
        assert_eq!(names.len(), PACKAGES.len());
        for package in &PACKAGES {
            assert!(!package.reason.is_empty(), "{}", package.name);
            assert!(!package.needs.is_empty(), "{}", package.name);
        }
    }
}
