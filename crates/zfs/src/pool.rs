//! Whether the pool can take volumes.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use flocker_model::{ByteCount, NodeId, PoolHealth, PoolProblem, PoolState};
use uuid::Uuid;

use crate::command::{Argv, CommandFailed};
use crate::dataset::{is_encrypted, key_needed};
use crate::output::parse_bytes;
use crate::{Zfs, kernel};

/// The node that a dataset of volumes belongs to.
const NODE: &str = "flocker:node";

/// Where the kernel keeps a directory for each pool that is imported.
const KERNEL_POOLS: &str = "/proc/spl/kstat/zfs";

impl Zfs {
    /// Looks at the pool, and at which node it belongs to. Never fails: a pool that cannot be looked at
    /// is unusable, and why.
    ///
    /// **Source**: `zpoolprops(7)`, properties `health` and `readonly`.
    pub async fn observe_pool(&self) -> (PoolState, NodeMark) {
        let looked = self.look_at_pool().await;
        let mark = looked
            .as_ref()
            .map_or(NodeMark::Unknown, |parent| parent.mark.clone());
        let looked = looked.and_then(|parent| match parent.key_needed {
            Some(dataset) => Err(PoolProblem::KeyNotLoaded { dataset }),
            None => Ok((parent.available, parent.sync_disabled)),
        });
        let (health, (available, sync_disabled)) = match looked {
            Ok(new_volumes) => (PoolHealth::Usable, new_volumes),
            Err(problem) => (PoolHealth::Unusable { problem }, (ByteCount::ZERO, None)),
        };
        let state = PoolState {
            dataset: self.settings().dataset.clone(),
            health,
            available,
            sync_disabled,
        };
        (state, mark)
    }

    /// Writes down that the pool belongs to this node.
    ///
    /// # Errors
    /// Fails when the dataset of the volumes does not exist yet, or cannot be written to.
    pub async fn mark_pool(&self) -> Result<(), CommandFailed> {
        let mut argv = Argv::new(&["zfs", "set"]);
        argv.push_assignments(&[(NODE, self.settings().node.to_string())]);
        argv.push(self.settings().dataset.clone());
        argv.change().await.map(drop)
    }

    /// Returns what new volumes get from the dataset above them, in a pool that works.
    async fn look_at_pool(&self) -> Result<Parent, PoolProblem> {
        let other = |error: CommandFailed| PoolProblem::Other {
            what: format!("cannot be looked at: {error}"),
        };
        self.check_reachable().await?;
        let properties = self.pool_properties().await.map_err(other)?;
        // The pool is asked first: below one that fails a dataset's properties may never come.
        match parse_health(&properties) {
            PoolHealth::Usable => {}
            PoolHealth::Unusable { problem } => return Err(problem),
        }
        self.parent().await.map_err(other)
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
        check_pool_reachable(self.settings().pool()).await
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

    /// Asks the nearest dataset that exists above a new volume what that may take, and whether it
    /// will be encrypted and whether ZFS keeps its writes: it inherits that.
    pub(crate) async fn parent(&self) -> Result<Parent, CommandFailed> {
        let mut name = self.settings().dataset.as_str();
        while let Some((parent, _)) = name.rsplit_once('/') {
            // Should the kernel not answer, the command below says why.
            if kernel::exists(name).await.unwrap_or(true) {
                break;
            }
            name = parent;
        }
        let mut argv = Argv::new(&["zfs", "get", "-Hp", "-o", "property,value,source"]);
        argv.push(format!(
            "available,encryption,encryptionroot,keystatus,sync,{NODE}"
        ));
        argv.push(name);
        let written = argv.read().await?.stdout;
        // No room is a reason to refuse volumes, and an answer that makes no sense is another one.
        let unreadable = || argv.unreadable(&written, "a number of bytes");
        let parent = parse_parent(name, &written).ok_or_else(unreadable)?;
        if name == self.settings().dataset {
            return Ok(parent);
        }
        // What is above the volumes' dataset may be another node's.
        let mark = NodeMark::Unknown;
        Ok(Parent { mark, ..parent })
    }
}

/// Which node the dataset of the volumes belongs to, by its property `flocker:node`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeMark {
    /// The dataset does not exist yet, or cannot be looked at.
    Unknown,
    /// It does not say.
    Absent,
    /// This node.
    Node(NodeId),
    /// It says something that no node is called.
    Damaged(String),
}

/// Reads which node a dataset of volumes belongs to, for a node that does not know yet who it is.
pub async fn read_node_mark(dataset: &str) -> NodeMark {
    let pool = dataset.split_once('/').map_or(dataset, |(pool, _)| pool);
    if check_pool_reachable(pool).await.is_err() || !kernel::exists(dataset).await.unwrap_or(false)
    {
        return NodeMark::Unknown;
    }
    let mut argv = Argv::new(&["zfs", "get", "-Hp", "-o", "property,value,source", NODE]);
    argv.push(dataset);
    match argv.read().await {
        Ok(written) => parse_mark(&written.stdout),
        Err(_) => NodeMark::Unknown,
    }
}

/// Makes sure that asking about a pool's datasets is of use, and gets an answer.
async fn check_pool_reachable(pool: &str) -> Result<(), PoolProblem> {
    let path = Path::new(KERNEL_POOLS).join(pool);
    let state = tokio::fs::read_to_string(path.join("state")).await;
    match reachable(state) {
        // A kernel module that does not tell, but has the pool.
        Err(PoolProblem::NotImported) if path.is_dir() => Ok(()),
        known => known,
    }
}

/// What a new volume gets from the dataset above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parent {
    /// Bytes that it may take.
    available: ByteCount,
    /// Whether it will be encrypted.
    pub(crate) encrypted: bool,
    /// The dataset whose key has to be loaded first, if it is not.
    key_needed: Option<String>,
    /// The dataset that has `sync=disabled`, if it gets that.
    sync_disabled: Option<String>,
    /// The node that it belongs to.
    mark: NodeMark,
}

/// Reads what `zfs get -Hp -o property,value,source` writes of the dataset `name`.
fn parse_parent(name: &str, output: &str) -> Option<Parent> {
    let properties: BTreeMap<&str, (&str, &str)> = rows(output)
        .map(|(property, value, source)| (property, (value, source)))
        .collect();
    let value = |name: &str| properties.get(name).map(|(value, _)| *value);
    let sync_disabled = match properties.get("sync") {
        Some(("disabled", source)) => {
            let from = source.strip_prefix("inherited from ");
            Some(from.unwrap_or(name).to_owned())
        }
        _ => None,
    };
    Some(Parent {
        available: parse_bytes(value("available")?)?,
        encrypted: is_encrypted(value("encryption")),
        key_needed: key_needed(value),
        sync_disabled,
        mark: parse_mark(output),
    })
}

/// Reads the rows of a table of properties, their values, and where these come from.
fn rows(output: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    output.lines().filter_map(|line| {
        let mut columns = line.split('\t');
        let (name, value) = (columns.next()?, columns.next()?);
        Some((name, value, columns.next().unwrap_or_default()))
    })
}

/// Reads the node from a table of properties. A node that is inherited is another's: its volumes are
/// somewhere above.
fn parse_mark(output: &str) -> NodeMark {
    let found = rows(output)
        .find(|(name, _, source)| *name == NODE && matches!(*source, "local" | "received"));
    let Some((_, value, _)) = found else {
        return NodeMark::Absent;
    };
    Uuid::parse_str(value).map_or_else(
        |_| NodeMark::Damaged(value.to_owned()),
        |id| NodeMark::Node(NodeId(id)),
    )
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

    /// Reads rows with a space between columns, for the dataset `tank/flocker`.
    fn parent(rows: &str) -> Option<Parent> {
        parse_parent("tank/flocker", &rows.replace(' ', "\t").replace('~', " "))
    }

    #[test]
    fn a_new_volume_is_encrypted_as_its_parent_and_needs_its_key() {
        let encryption = |rows: &str| {
            let parent = parent(rows).unwrap();
            assert_eq!(parent.available, ByteCount::new(5));
            (parent.encrypted, parent.key_needed)
        };
        let plain = "available 5 -\nencryption off -\nencryptionroot - -\nkeystatus - -\n";
        assert_eq!(encryption(plain), (false, None));
        let loaded = "available 5 -\nencryption aes-256-gcm -\nencryptionroot tank/enc -\n\
            keystatus available -\n";
        assert_eq!(encryption(loaded), (true, None));
        let locked = "available 5 -\nencryption aes-256-gcm -\nencryptionroot tank/enc -\n\
            keystatus unavailable -\n";
        assert_eq!(encryption(locked), (true, Some("tank/enc".to_owned())));
        // A pool that knows no encryption.
        assert_eq!(encryption("available 5 -\n"), (false, None));
        assert_eq!(parent("encryption off -\n"), None);
        assert_eq!(parent("available - -\n"), None);
    }

    #[test]
    fn a_parent_that_does_not_sync_is_named() {
        let disabled_on = |sync: &str| {
            let rows = format!("available 5 -\nsync {sync}\n");
            parent(&rows).unwrap().sync_disabled
        };
        let named = |name: &str| Some(name.to_owned());
        assert_eq!(disabled_on("disabled local"), named("tank/flocker"));
        assert_eq!(disabled_on("disabled inherited~from~tank"), named("tank"));
        assert_eq!(disabled_on("standard default"), None);
        assert_eq!(disabled_on("always inherited~from~tank"), None);
    }

    #[test]
    fn a_dataset_belongs_to_the_node_that_it_names_itself() {
        let id = "6a0b1f9e-7d53-4c56-9a51-0a8d3c1b2e4f";
        let mark = |rows: &str| parse_mark(&rows.replace(' ', "\t"));
        let node = NodeMark::Node(NodeId(id.parse().unwrap()));
        assert_eq!(mark(&format!("flocker:node {id} local\n")), node);
        assert_eq!(mark(&format!("flocker:node {id} received\n")), node);
        let inherited = format!("flocker:node\t{id}\tinherited from tank\n");
        assert_eq!(parse_mark(&inherited), NodeMark::Absent);
        assert_eq!(mark("flocker:node - -\n"), NodeMark::Absent);
        assert_eq!(mark("available 5 -\n"), NodeMark::Absent);
        let damaged = NodeMark::Damaged("tank".to_owned());
        assert_eq!(mark("flocker:node tank local\n"), damaged);
        let whole = parse_parent(
            "tank/flocker",
            &format!("available\t5\t-\nflocker:node\t{id}\tlocal\n"),
        );
        assert_eq!(whole.unwrap().mark, node);
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
