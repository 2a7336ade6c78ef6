//! Nobody but root and the container finds out an application's password.

use super::super::failure::{Failure, expect};
use super::super::layouts::DATABASE_PASSWORD;
use super::super::report::Stopped;
use super::{FIRST, Migration, SECOND};

/// What a search says once it has looked everywhere.
pub(super) const SEARCHED: &str = "searched";

/// Where programs leave things. Volumes are the applications' own affair.
const PLACES: &str = "/run /etc /var /tmp /home /boot /opt /root /usr/local";

impl Migration<'_> {
    /// On each node, after everything that a deploy does was done to it.
    pub(super) async fn secrets(&mut self) -> Result<(), Stopped> {
        let name = "root finds the password where applications' records are";
        self.check(name, self.expect_record()).await?;
        let name = "nobody else finds it in any file";
        self.check(name, self.expect_no_readable_file()).await?;
        let name = "it is in no process's arguments, nor in an environment that others may read";
        self.check(name, self.expect_no_process()).await?;
        let name = "it is in no unit, and in nothing that was logged";
        self.check(name, self.expect_no_log()).await?;
        let name = "`flocker-node observe --json` leaves it out";
        self.check(name, self.expect_not_observed()).await?;
        let name = "`flocker-cluster plan` leaves it out";
        self.check(name, self.expect_not_planned()).await?;
        self.own_secrets().await
    }

    /// The search finds what is there: without this, finding nothing would show nothing.
    async fn expect_record(&self) -> Result<(), Failure> {
        let command = format!(
            "grep --recursive --files-with-matches {} /var/lib/flocker",
            pattern()
        );
        for node in [FIRST, SECOND] {
            let found = self.site.check(node, &command).await?;
            expect(
                found.contains("/var/lib/flocker/applications/"),
                "an application's record among the files",
                found,
            )?;
        }
        Ok(())
    }

    /// Searched as a user who may read what everybody may, so that the modes of directories count.
    async fn expect_no_readable_file(&self) -> Result<(), Failure> {
        let search = format!(
            "grep --recursive --files-with-matches --devices=skip {} {PLACES} 2>/dev/null",
            pattern()
        );
        self.expect_nothing_found(&as_nobody(&to_the_end(&search)))
            .await
    }

    async fn expect_no_process(&self) -> Result<(), Failure> {
        // Each file by itself: one that is gone by then must not end the search.
        let arguments = format!(
            "for file in /proc/[0-9]*/cmdline; do \
             tr '\\0' ' ' 2>/dev/null <$file | grep {} && echo $file; done",
            pattern()
        );
        self.expect_nothing_found(&to_the_end(&arguments)).await?;
        let environments = format!(
            "grep --text --files-with-matches {} /proc/[0-9]*/environ 2>/dev/null",
            pattern()
        );
        self.expect_nothing_found(&as_nobody(&to_the_end(&environments)))
            .await
    }

    async fn expect_no_log(&self) -> Result<(), Failure> {
        let command = format!(
            "{{ journalctl --no-pager --all --output=export; dmesg; \
             systemctl show --all 'flocker*' --property=ExecStart,ExecStartPre,Environment; \
             systemctl cat 'flocker-*'; }} 2>/dev/null | grep --text {}",
            pattern()
        );
        self.expect_nothing_found(&to_the_end(&command)).await
    }

    async fn expect_not_observed(&self) -> Result<(), Failure> {
        let command = "flocker-node observe --json";
        for node in [FIRST, SECOND] {
            let state = self.site.check(node, command).await?;
            expect(
                state.contains("POSTGRES_PASSWORD") && !state.contains(DATABASE_PASSWORD),
                "the variable without its value",
                state,
            )?;
        }
        Ok(())
    }

    /// Everything but one application would be removed, and that one made again: a plan with much
    /// in it.
    async fn expect_not_planned(&self) -> Result<(), Failure> {
        for options in [&[][..], &["--json"], &["-vv"]] {
            let layout = self.layouts.one_node();
            let said = self.cluster.plan(&layout, options).await?;
            said.expect_nothing_of(DATABASE_PASSWORD)?;
        }
        Ok(())
    }

    /// Runs a search on each node, which must come to its end and find nothing.
    async fn expect_nothing_found(&self, command: &str) -> Result<(), Failure> {
        for node in [FIRST, SECOND] {
            let output = self.site.run(node, command).await?;
            expect(
                output.stdout.trim() == SEARCHED,
                format!("nothing on {}", self.site.address(node)),
                output.stdout,
            )?;
        }
        Ok(())
    }
}

/// Finds the password, and not the command that looks for it.
fn pattern() -> String {
    let (rest, last) = DATABASE_PASSWORD.split_at(DATABASE_PASSWORD.len() - 1);
    format!("'{rest}[{last}]'")
}

/// Has a search say that it was made: one that could not begin finds nothing as well.
pub(super) fn to_the_end(search: &str) -> String {
    format!("{{ {search}; }}; echo {SEARCHED}")
}

/// Runs a command as a user without rights.
fn as_nobody(command: &str) -> String {
    let command = command.replace('\'', r"'\''");
    format!("setpriv --reuid 65534 --regid 65534 --clear-groups sh -c '{command}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_finds_the_password_and_not_itself() {
        let pattern = pattern();
        assert!(!pattern.contains(DATABASE_PASSWORD), "{pattern}");
        let said = |text: &str| {
            let search = format!("printf '%s' \"$1\" | grep {pattern}");
            let searched = std::process::Command::new("sh")
                .args(["-c", &to_the_end(&search), "sh", text])
                .output();
            String::from_utf8(searched.unwrap().stdout).unwrap()
        };
        let there = format!("a{DATABASE_PASSWORD}b");
        assert_eq!(said(&there), format!("{there}\n{SEARCHED}\n"));
        assert_eq!(said(&pattern), format!("{SEARCHED}\n"));
    }
}
