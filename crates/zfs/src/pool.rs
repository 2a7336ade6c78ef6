//! Whether the pool can take volumes.

use flocker_model::{ByteCount, PoolHealth, PoolState};

use crate::command::{Argv, CommandFailed};
use crate::output::parse_bytes;
use crate::{Zfs, kernel};

impl Zfs {
    /// Looks at the pool. Never fails: a pool that cannot be looked at is unusable, and why.
    ///
    /// **Source**: `zpoolprops(7)`, properties `health` and `readonly`.
    pub async fn observe_pool(&self) -> PoolState {
        let (health, available) = match self.pool_properties().await {
            Err(error) => (unusable(&error), ByteCount::ZERO),
            Ok(properties) => match parse_health(&properties) {
                // The pool is asked first: below a suspended one a dataset's properties may never
                // come.
                PoolHealth::Usable => match self.available().await {
                    Ok(available) => (PoolHealth::Usable, available),
                    Err(error) => (unusable(&error), ByteCount::ZERO),
                },
                unusable @ PoolHealth::Unusable { .. } => (unusable, ByteCount::ZERO),
            },
        };
        PoolState {
            dataset: self.settings().dataset.clone(),
            health,
            available,
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
        Ok(argv.run().await?.stdout)
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
        let written = argv.run().await?.stdout;
        // No room is a reason to refuse volumes, and an answer that makes no sense is another one.
        parse_bytes(&written).ok_or_else(|| argv.unreadable(&written, "a number of bytes"))
    }
}

/// Says that the pool could not be looked at.
fn unusable(error: &CommandFailed) -> PoolHealth {
    PoolHealth::Unusable {
        problem: error.to_string(),
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
    let problem = match (health, readonly) {
        (Some("ONLINE" | "DEGRADED"), Some("off")) => return PoolHealth::Usable,
        (Some("ONLINE" | "DEGRADED"), Some("on")) => "is imported read-only".to_owned(),
        (Some("ONLINE" | "DEGRADED"), _) => "does not say whether it is read-only".to_owned(),
        (Some(other), _) => format!("is {other}"),
        (None, _) => "has no health".to_owned(),
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
            PoolHealth::Unusable { problem } => problem,
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
                "is SUSPENDED",
                "is FAULTED",
                "does not say whether it is read-only",
                "is \tONLINE",
                "has no health"
            ]
        );
    }
}
