//! Whether the pool can take volumes.

use std::io;
use std::path::Path;

use flocker_model::{ByteCount, PoolHealth, PoolProblem, PoolState};

use crate::command::{Argv, CommandFailed};
use crate::output::parse_bytes;
use crate::{Zfs, kernel};

/// Where the kernel keeps a directory for each pool that is imported.
const KERNEL_POOLS: &str = "/proc/spl/kstat/zfs";

impl Zfs {
    /// Looks at the pool. Never fails: a pool that cannot be looked at is unusable, and why.
    ///
    /// **Source**: `zpoolprops(7)`, properties `health` and `readonly`.
    pub async fn observe_pool(&self) -> PoolState {
        let looked = self.look_at_pool().await;
        let (health, available) = match looked {
            Ok(available) => (PoolHealth::Usable, available),
            Err(problem) => (PoolHealth::Unusable { problem }, ByteCount::ZERO),
        };
        PoolState {
            dataset: self.settings().dataset.clone(),
            health,
            available,
        }
    }

    /// Returns how many bytes a new volume may take of a pool that works.
    async fn look_at_pool(&self) -> Result<ByteCount, PoolProblem> {
        let other = |error: CommandFailed| PoolProblem::Other {
            what: format!("cannot be looked at: {error}"),
        };
        self.check_reachable().await?;
        let properties = self.pool_properties().await.map_err(other)?;
        // The pool is asked first: below one that fails a dataset's properties may never come.
        match parse_health(&properties) {
            PoolHealth::Usable => self.available().await.map_err(other),
            PoolHealth::Unusable { problem } => Err(problem),
        }
    }

    /// Makes sure that asking about the pool's datasets is of use, and gets an answer: whoever asks
    /// for what a suspended pool has not read yet waits in the kernel, where no signal reaches it,
    /// until somebody acts.
    ///
    /// What is read for this is text that the kernel makes without a lock and without any disk.
    /// It does not keep a pool from failing a moment later.
    ///
    /// **Source**: `OpenZFS`, `spa_state_init` and `spa_state_to_name`.
    pub(crate) async fn check_reachable(&self) -> Result<(), PoolProblem> {
        let path = Path::new(KERNEL_POOLS).join(self.settings().pool());
        let state = tokio::fs::read_to_string(path.join("state")).await;
        match reachable(state) {
            // A kernel module that does not tell, but has the pool.
            Err(PoolProblem::NotImported) if path.is_dir() => Ok(()),
            known => known,
        }
    }

    /// Asks `zpool get` about the pool's health.
    async fn pool_properties(&self) -> Result<String, CommandFailed> {
        let mut argv = Argv::new(&[
            "zpool",
            "get",
            "-Hp",
            "-o",
            "property,value",
            "health,readonly",
        ]);
        argv.push(self.settings().pool());
        Ok(argv.read().await?.stdout)
    }

    /// Asks how many bytes a new volume may take, of the nearest dataset above it that exists.
    async fn available(&self) -> Result<ByteCount, CommandFailed> {
        let mut name = self.settings().dataset.as_str();
        while let Some((parent, _)) = name.rsplit_once('/') {
            // Should the kernel not answer, the command below says why.
            if kernel::exists(name).await.unwrap_or(true) {
                break;
            }
            name = parent;
        }
        let argv = Argv::new(&["zfs", "get", "-Hp", "-o", "value", "available", name]);
        let written = argv.read().await?.stdout;
        // No room is a reason to refuse volumes, and an answer that makes no sense is another one.
        parse_bytes(&written).ok_or_else(|| argv.unreadable(&written, "a number of bytes"))
    }
}

/// Tells by what the kernel says of a pool's state whether its datasets can be asked about.
fn reachable(state: io::Result<String>) -> Result<(), PoolProblem> {
    match state {
        Ok(state) if state.trim() == "SUSPENDED" => Err(PoolProblem::Suspended),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Err(PoolProblem::NotImported)
        }
        // Whatever else there is to say, `zpool` says better.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Reads the output of `zpool get -Hp -o property,value health,readonly`. Whatever is not known to
/// be well is unusable, and why.
///
/// **Source**: `zpoolprops(7)`, properties `health` and `readonly`.
pub fn parse_health(output: &str) -> PoolHealth {
    let mut health = None;
    let mut readonly = None;
    for line in output.lines() {
        match line.split_once('\t') {
            Some(("health", value)) => health = Some(value),
            Some(("readonly", value)) => readonly = Some(value),
            _ => {}
        }
    }
    let other = |what: &str| PoolProblem::Other {
        what: what.to_owned(),
    };
    let problem = match (health, readonly) {
        (Some("ONLINE" | "DEGRADED"), Some("off")) => return PoolHealth::Usable,
        (Some("ONLINE" | "DEGRADED"), Some("on")) => PoolProblem::ReadOnly,
        (Some("ONLINE" | "DEGRADED"), _) => other("does not say whether it is read-only"),
        (Some("SUSPENDED"), _) => PoolProblem::Suspended,
        (Some(health), _) => other(&format!("is {health}")),
        (None, _) => other("has no health"),
    };
    PoolHealth::Unusable { problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_writable_working_pool_is_usable() {
        let problem = |output| match parse_health(output) {
            PoolHealth::Usable => "usable".to_owned(),
            PoolHealth::Unusable { problem } => problem.to_string(),
        };
        let outputs = [
            "health\tONLINE\nreadonly\toff\n",
            "health\tDEGRADED\nreadonly\toff\n",
            "health\tONLINE\nreadonly\ton\n",
            "health\tSUSPENDED\nreadonly\toff\n",
            "health\tFAULTED\n",
            "health\tONLINE\n",
            "health\t\tONLINE\nreadonly\toff\n",
            "",
        ];
        let problems: Vec<_> = outputs.into_iter().map(problem).collect();
        assert_eq!(
            problems,
            [
                "usable",
                "usable",
                "is imported read-only",
                "is suspended",
                "is FAULTED",
                "does not say whether it is read-only",
                "is \tONLINE",
                "has no health"
            ]
        );
    }

    /// A pool that waits for its devices must not be asked what only they know.
    #[test]
    fn a_pool_that_is_suspended_or_absent_is_asked_nothing_more() {
        let says = |state: &str| reachable(Ok(state.to_owned()));
        let fails = |kind| reachable(Err(io::Error::from(kind)));
        assert_eq!(says("ONLINE\n"), Ok(()));
        assert_eq!(says("DEGRADED\n"), Ok(()));
        assert_eq!(says("SUSPENDED\n"), Err(PoolProblem::Suspended));
        let absent = Err(PoolProblem::NotImported);
        assert_eq!(fails(io::ErrorKind::NotFound), absent);
        assert_eq!(fails(io::ErrorKind::NotADirectory), absent);
        assert_eq!(fails(io::ErrorKind::PermissionDenied), Ok(()));
    }
}
