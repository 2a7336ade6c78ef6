//! The operator's program, and what it said.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::failure::{Failure, expect};
use super::layouts::Layout;
use super::site::{Site, SiteError};
use crate::ssh::Output;

/// How long a deploy may take: emulated nodes take a minute for a large image.
const DEPLOY_PATIENCE: Duration = Duration::from_secs(900);

/// The exit code of `flocker-cluster` when something stands in the way.
pub(super) const BLOCKED: i32 = 4;
/// The exit code when a step failed.
pub(super) const FAILED: i32 = 5;
/// The exit code for a node that cannot be reached.
pub(super) const UNREACHABLE: i32 = 6;

/// `flocker-cluster` on the operator's machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cluster<'a> {
    pub(super) site: &'a Site,
    pub(super) program: &'a Path,
}

/// What a run of `flocker-cluster` said, and how it ended.
#[derive(Debug)]
pub(super) struct Transcript(Output);

impl Cluster<'_> {
    /// Deploys a layout. How it ends is the caller's business.
    pub(super) async fn deploy(
        &self,
        layout: &Layout,
        options: &[&str],
    ) -> Result<Transcript, Failure> {
        let what = format!("deploy {} {}", options.join(" "), layout.name);
        self.operate(what, self.command(layout, options)?).await
    }

    /// Deploys a layout with Docker's configuration in this directory.
    pub(super) async fn deploy_as(
        &self,
        layout: &Layout,
        options: &[&str],
        docker: &Path,
    ) -> Result<Transcript, Failure> {
        let what = format!("deploy {} {}", options.join(" "), layout.name);
        let mut command = self.command(layout, options)?;
        command.env("DOCKER_CONFIG", docker);
        self.operate(what, command).await
    }

    /// Shows what deploying a layout would do.
    pub(super) async fn plan(
        &self,
        layout: &Layout,
        options: &[&str],
    ) -> Result<Transcript, Failure> {
        let what = format!("plan {}", layout.name);
        self.operate(what, self.subcommand("plan", layout, options)?)
            .await
    }

    /// Runs what a message told the operator to run, without the program's name.
    pub(super) async fn obey(&self, arguments: &[String]) -> Result<Transcript, Failure> {
        let mut command = self.site.operator_command(&self.program.to_string_lossy());
        command.args(arguments);
        self.operate(arguments.join(" "), command).await
    }

    async fn operate(&self, what: String, command: Command) -> Result<Transcript, Failure> {
        let program = self.program.display().to_string();
        let ended = timeout(DEPLOY_PATIENCE, self.site.operate(&program, command)).await;
        match ended {
            Ok(output) => Ok(Transcript(output?)),
            Err(_) => Err(Failure::Endless {
                what: format!("flocker-cluster {what}"),
                patience: DEPLOY_PATIENCE,
            }),
        }
    }

    /// The command that deploys a layout, whose files are written.
    pub(super) fn command(&self, layout: &Layout, options: &[&str]) -> Result<Command, SiteError> {
        self.subcommand("deploy", layout, options)
    }

    fn subcommand(
        &self,
        name: &str,
        layout: &Layout,
        options: &[&str],
    ) -> Result<Command, SiteError> {
        let files = layout.write(self.site)?;
        let program = self.program.display().to_string();
        let mut command = self.site.operator_command(&program);
        command.arg(name).args(options).args(&files);
        Ok(command)
    }

    /// Deploys a layout, which has to succeed and to print exactly these lines,
    /// in whatever order.
    pub(super) async fn expect_deploy(
        &self,
        layout: &Layout,
        options: &[&str],
        lines: &[String],
    ) -> Result<Transcript, Failure> {
        let transcript = self.deploy(layout, options).await?;
        transcript.expect_exit(0)?;
        transcript.expect_lines(lines)?;
        Ok(transcript)
    }
}

impl Transcript {
    /// Standard error.
    pub(super) fn narration(&self) -> &str {
        &self.0.stderr
    }

    pub(super) fn expect_exit(&self, code: i32) -> Result<(), Failure> {
        expect(
            self.0.status.code() == Some(code),
            format!("exit code {code}"),
            self.render(),
        )
    }

    /// The exit code, if nothing killed it.
    pub(super) fn code(&self) -> Option<i32> {
        self.0.status.code()
    }

    /// Whether it exited with 0.
    pub(super) fn succeeded(&self) -> bool {
        self.0.success()
    }

    pub(super) fn expect_last_line(&self, line: &str) -> Result<(), Failure> {
        let last = self.0.stdout.lines().last();
        expect(last == Some(line), format!("`{line}`"), self.render())
    }

    /// Standard output has this line.
    pub(super) fn expect_line(&self, line: &str) -> Result<(), Failure> {
        let is_there = self.0.stdout.lines().any(|got| got == line);
        expect(is_there, format!("the line `{line}`"), self.render())
    }

    /// Standard output contains this text.
    pub(super) fn expect_output(&self, text: &str) -> Result<(), Failure> {
        let is_there = self.0.stdout.contains(text);
        let expected = format!("`{text}` on standard output");
        expect(is_there, expected, self.render())
    }

    pub(super) fn expect_lines(&self, lines: &[String]) -> Result<(), Failure> {
        let mut expected = lines.to_vec();
        let mut got: Vec<&str> = self.0.stdout.lines().collect();
        expected.sort();
        got.sort_unstable();
        expect(
            got == expected,
            format!("the lines {expected:#?}"),
            self.render(),
        )
    }

    /// The arguments of the one command of `flocker-cluster` that the messages tell the operator to
    /// run, which is between backticks and begins so.
    pub(super) fn advice(&self, beginning: &str) -> Result<Vec<String>, Failure> {
        let text: Vec<&str> = self.narration().split_whitespace().collect();
        let text = text.join(" ");
        let start = format!("`flocker-cluster {beginning}");
        let advice = text.split_once(&start).and_then(|(_, rest)| {
            let (rest, _) = rest.split_once('`')?;
            Some(format!("{beginning}{rest}"))
        });
        let expected = format!("advice to run {start}…`");
        let advice = advice.ok_or_else(|| Failure::unexpected(expected, self.render()))?;
        Ok(advice.split(' ').map(str::to_owned).collect())
    }

    pub(super) fn expect_narration(&self, words: &[&str]) -> Result<(), Failure> {
        let missing: Vec<_> = words
            .iter()
            .filter(|word| !self.narration().contains(**word))
            .collect();
        expect(
            missing.is_empty(),
            format!("standard error to name {missing:?}"),
            self.render(),
        )
    }

    /// It succeeded, said something, and a text is in none of it.
    pub(super) fn expect_nothing_of(&self, secret: &str) -> Result<(), Failure> {
        self.expect_exit(0)?;
        let Output { stdout, stderr, .. } = &self.0;
        let is_there = stdout.contains(secret) || stderr.contains(secret);
        expect(
            !stdout.is_empty() && !is_there,
            "a plan without secrets",
            self.render(),
        )
    }

    fn render(&self) -> String {
        let Output {
            status,
            stdout,
            stderr,
        } = &self.0;
        format!("{status}\n  standard output:\n{stdout}  standard error:\n{stderr}")
    }
}

impl Layout {
    /// Writes both files where the operator has them.
    fn write(&self, site: &Site) -> Result<[PathBuf; 2], SiteError> {
        let directory = site.directory();
        let write = |kind: &str, text: &str| {
            let path = directory.join(format!("{}-{kind}.yml", self.name));
            let written =
                std::fs::create_dir_all(&directory).and_then(|()| std::fs::write(&path, text));
            written
                .map(|()| path.clone())
                .map_err(|source| SiteError::Write { path, source })
        };
        Ok([
            write("application", &self.applications)?,
            write("deployment", &self.deployment)?,
        ])
    }
}

#[cfg(test)]
mod tests {
    use std::process::ExitStatus;

    use super::*;

    fn said(stderr: &str) -> Transcript {
        Transcript(Output {
            status: ExitStatus::default(),
            stdout: String::new(),
            stderr: stderr.to_owned(),
        })
    }

    #[test]
    fn advice_is_found_wherever_its_lines_are_broken() {
        let said =
            said("error: `db`: lost\n  hint: `flocker-cluster volume\n    resolve db` helps");
        let advice = said.advice("volume resolve ").unwrap();
        assert_eq!(advice, ["volume", "resolve", "db"]);
        said.advice("volume promote ").unwrap_err();
    }
}
