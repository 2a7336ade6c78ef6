//! Keeps newly installed servers off: the tests start their own, and the machine asked for none.

use std::path::Path;

use super::apt::{InstallError, privileged, write_as_root};
use super::packages::Package;
use crate::process::program_exists;
use crate::terminal;

/// Where Debian's package scripts ask whether they may start a service (invoke-rc.d(8)).
const POLICY: &str = "/usr/sbin/policy-rc.d";
const MARK: &str = "# Written by `cargo xtask` of Flocker.";

/// While this exists, package scripts start no services.
#[derive(Debug)]
pub(super) struct QuietServices {
    is_ours: bool,
}

impl QuietServices {
    /// Begins to refuse, unless the machine's owner has a policy already.
    pub(super) fn begin() -> Result<Self, InstallError> {
        let found = std::fs::read_to_string(POLICY).unwrap_or_default();
        let is_ours = !Path::new(POLICY).exists() || found.contains(MARK);
        if is_ours {
            write_as_root(
                Path::new(POLICY),
                &render_policy(std::process::id()),
                "0755",
            )?;
        }
        Ok(Self { is_ours })
    }

    /// Stops refusing.
    pub(super) fn end(self) -> Result<(), InstallError> {
        if !self.is_ours {
            return Ok(());
        }
        privileged("rm")
            .args([POLICY])
            .run()
            .map_err(InstallError::Apt)
    }
}

/// The policy refuses only while this process lives, so that one left behind by a killed process
/// does no harm.
fn render_policy(process: u32) -> String {
    format!("#!/bin/sh\n{MARK}\n[ -d /proc/{process} ] && exit 101\nexit 0\n")
}

/// Keeps the services of packages just installed from starting at the next boot.
pub(super) fn disable(packages: &[&Package]) {
    if !program_exists("systemctl") {
        return;
    }
    for service in packages.iter().flat_map(|package| package.services) {
        // Not every release of a package has every service.
        if privileged("systemctl")
            .args(["disable", "--quiet", service])
            .succeeds()
        {
            terminal::line(&format!(
                "{service} stays off; `systemctl enable {service}` turns it on"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::render_policy;

    fn answer(process: u32) -> Option<i32> {
        let script = render_policy(process);
        let status = Command::new("sh").args(["-c", &script]).status();
        status.unwrap().code()
    }

    #[test]
    fn refuses_only_while_its_process_lives() {
        assert_eq!(answer(std::process::id()), Some(101));
        assert_eq!(answer(u32::MAX), Some(0));
    }
}
