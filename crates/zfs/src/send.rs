//! Sends snapshots.

use flocker_model::{ByteCount, SnapshotGuid};
use thiserror::Error;
use tokio::process::{Child, ChildStdout};
use tokio::task::JoinHandle;

use crate::command::{Argv, CommandFailed, collect_tail, widen};
use crate::send_plan::{DryRun, parse_dry_run, plan_send};
use crate::{Incoming, PlanSendError, SendPlan, StreamFlags, Volume};

/// Sending cannot start.
#[derive(Debug, Error)]
pub enum SendError {
    /// Nothing that may be sent would help the receiver.
    #[error(transparent)]
    Plan(#[from] PlanSendError),
    /// A `zfs` command failed.
    #[error(transparent)]
    Command(#[from] CommandFailed),
    /// The plan was to send nothing.
    #[error("there is nothing to send")]
    Nothing,
}

/// A stream that is being written by `zfs send`.
#[derive(Debug)]
pub struct Sending {
    /// The stream. Its end says nothing; only [`SendCompletion::wait`] tells a whole one.
    pub stream: ChildStdout,
    /// Tells how it ended.
    pub completion: SendCompletion,
}

/// The end of a `zfs send`, which is killed when this is dropped.
#[derive(Debug)]
pub struct SendCompletion {
    argv: Argv,
    child: Child,
    stderr: JoinHandle<String>,
}

impl SendCompletion {
    /// Waits until `zfs send` has ended; to be called when the stream has.
    ///
    /// # Errors
    /// Fails unless it wrote the whole stream.
    pub async fn wait(mut self) -> Result<(), CommandFailed> {
        let status = self
            .child
            .wait()
            .await
            .map_err(|error| self.argv.not_run(error))?;
        let stderr = self.stderr.await.unwrap_or_default();
        if status.success() {
            Ok(())
        } else {
            Err(self.argv.failed(status, &stderr))
        }
    }
}

impl<Role> Volume<Role> {
    /// Decides what to send so that a receiver gets the snapshot `target`.
    ///
    /// # Errors
    /// Fails when the receiver has a copy that has nothing in common with this one, or that went
    /// on by itself.
    pub async fn plan_send(
        &self,
        target: SnapshotGuid,
        incoming: &Incoming,
    ) -> Result<SendPlan, SendError> {
        let resumable = match &incoming.resume_token {
            None => false,
            Some(token) => self.is_resumable(token, incoming.takes).await,
        };
        let own = self.record.ordered_snapshots();
        Ok(plan_send(&own, target, incoming, resumable)?)
    }

    /// Estimates how many bytes a plan sends.
    ///
    /// # Errors
    /// Fails when `zfs send -nvP` does.
    pub async fn estimate(&self, plan: &SendPlan) -> Result<ByteCount, CommandFailed> {
        match self.send_argv(plan, &["-nvP"]) {
            None => Ok(ByteCount::ZERO),
            Some(argv) => Ok(ByteCount::new(dry_run(&argv).await?.bytes.unwrap_or(0))),
        }
    }

    /// Starts to send.
    ///
    /// # Errors
    /// Fails when there is nothing to send, or `zfs` cannot be run.
    pub fn send(&self, plan: &SendPlan) -> Result<Sending, SendError> {
        let argv = self.send_argv(plan, &[]).ok_or(SendError::Nothing)?;
        tracing::debug!(%argv, "run");
        let mut child = argv
            .command()
            .spawn()
            .map_err(|error| argv.not_run(error))?;
        let (Some(stream), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(argv.not_run(std::io::ErrorKind::BrokenPipe.into()).into());
        };
        widen(&stream);
        Ok(Sending {
            stream,
            completion: SendCompletion {
                argv,
                child,
                stderr: collect_tail(stderr),
            },
        })
    }

    /// Tells whether a token is for a snapshot of this volume that is still here, and for a stream
    /// that the receiver takes. What it has of any other is discarded when the next stream comes.
    async fn is_resumable(&self, token: &str, takes: StreamFlags) -> bool {
        // A token comes from another node: it must not pass for an option.
        if token.starts_with('-') {
            return false;
        }
        let resume = SendPlan::Resume {
            token: token.to_owned(),
        };
        let Some(argv) = self.send_argv(&resume, &["-nvP"]) else {
            return false;
        };
        match dry_run(&argv).await {
            Ok(found) => {
                let snapshot = found.to_guid.and_then(|guid| self.record.own_by_guid(guid));
                snapshot.is_some() && found.flags.is_within(takes)
            }
            Err(error) => {
                tracing::info!(%error, "an interrupted transfer cannot be continued");
                false
            }
        }
    }

    /// Writes the command line of a plan.
    fn send_argv(&self, plan: &SendPlan, options: &[&str]) -> Option<Argv> {
        let mut argv = Argv::new(&["zfs", "send"]);
        for &option in options {
            argv.push(option);
        }
        match plan {
            SendPlan::Nothing => return None,
            SendPlan::Full { to, flags } => {
                if let Some(option) = flags.option() {
                    argv.push(option);
                }
                argv.push(self.snapshot_path(to));
            }
            SendPlan::Incremental {
                from_name,
                to,
                flags,
                ..
            } => {
                if let Some(option) = flags.option() {
                    argv.push(option);
                }
                argv.push("-i");
                argv.push(self.snapshot_path(from_name));
                argv.push(self.snapshot_path(to));
            }
            // The token says how blocks are sent.
            SendPlan::Resume { token } => {
                argv.push("-t");
                argv.push(token);
            }
        }
        Some(argv)
    }
}

/// Asks `zfs send` what it would write. It answers on the one output or the other, by version.
async fn dry_run(argv: &Argv) -> Result<DryRun, CommandFailed> {
    let written = argv.read().await?;
    Ok(parse_dry_run(&format!(
        "{}\n{}",
        written.stdout, written.stderr
    )))
}
