//! What both nodes are like after a case, and what must be true of it.

use flocker_model::{ApplicationName, ContainerStatus, NodeState, VolumeRole};

use super::super::failure::{Failure, expect, expect_same};
use super::super::site::{Site, SiteError};
use super::bystanders;

/// What must be left as it was: one line for each thing of ours, without what tells two moves
/// apart. Datasets with their holds and mounts, mounts that ZFS does not know of, containers and
/// their network devices, units, processes, files, rules, and locks that a process has. The locks come
/// first: a lock's file says nothing, as a boot clears it away and the next step makes it again, and
/// `flock` makes those that are missing.
const TRACES: &str = r"
for lock in deploy network volumes; do
    flock --nonblock /run/flocker/$lock.lock true || echo locked: $lock
done
zfs list -H -o name,mounted,receive_resume_token -r tank
zfs list -H -o name,userrefs -t snapshot -r tank | sed 's/@.*\t/@\t/'
findmnt --noheadings --list --output TARGET,SOURCE | grep -i flocker
docker ps --all --format 'container {{.Names}} {{.State}}' | sort
ip -oneline link show master flocker0 | sed 's/.*/device in flocker0/'
systemctl list-units --all --plain --no-legend 'flocker*' | tr -s ' ' | cut -d ' ' -f 1-4
ls /run/systemd/system | grep flocker
pgrep --list-full --exact flocker-node | grep -v guard-network
find /run/flocker /var/lib/flocker | sort
nft list tables | sort
nft --stateless list chain ip filter DOCKER-USER
nft --stateless list table ip flocker |
    sed -E 's/172(\.[0-9]+){3}/CONTAINER/; s/192(\.[0-9]+){3}/NODE/; s/digest=[0-9a-f]+/digest/'
";

/// What is there while a deploy is at work.
const DEPLOY_LOCK: &str = "locked: deploy";

/// What must be among the traces of a move that nothing disturbed, on the source and on the target: a
/// program that is missing, or that shows something else than it did, would leave nothing to compare.
const COMPLETE: [&[&str]; 2] = [
    &["tank/flocker/ledger\tno\t-", "table ip flocker {"],
    &[
        "tank/flocker/ledger\tyes\t-",
        "tank/flocker/ledger@\t1",
        "container flocker-ledger running",
        "container flocker.network-ledger running",
        "device in flocker0",
        "flocker-ledger.service loaded active running",
        "/var/lib/flocker/applications/ledger",
        "table ip flocker",
        "table ip flocker {",
        "oifname",
    ],
];

/// Both nodes as they say they are.
#[derive(Debug)]
pub(super) struct World {
    states: Vec<NodeState>,
}

impl World {
    /// Asks every node.
    pub(super) async fn observe(site: &Site) -> Result<Self, Failure> {
        let mut states = Vec::new();
        for node in 0..site.addresses().len() {
            let text = site.check(node, "flocker-node observe --json").await?;
            let state = serde_json::from_str(&text);
            states.push(state.map_err(|error| {
                let expected = format!("the state of {}", site.address(node));
                Failure::unexpected(expected, error.to_string())
            })?);
        }
        Ok(Self { states })
    }

    /// Which nodes own the application's volume.
    pub(super) fn owners(&self, application: &ApplicationName) -> Vec<usize> {
        self.nodes(|state| {
            let copy = state.volumes.get(application);
            copy.is_some_and(|copy| matches!(copy.role, VolumeRole::Owned { .. }))
        })
    }

    /// Where its container runs.
    pub(super) fn runners(&self, application: &ApplicationName) -> Vec<usize> {
        self.nodes(|state| {
            let container = state.containers.get(application);
            container.is_some_and(|container| {
                matches!(container.status, ContainerStatus::Running { .. })
            })
        })
    }

    fn nodes(&self, is: impl Fn(&NodeState) -> bool) -> Vec<usize> {
        (0..self.states.len())
            .filter(|node| is(&self.states[*node]))
            .collect()
    }

    /// I2, which holds at every moment: one owner at most, and the container only with the owner.
    pub(super) fn expect_no_second_owner(
        &self,
        application: &ApplicationName,
    ) -> Result<(), Failure> {
        let (owners, runners) = (self.owners(application), self.runners(application));
        expect(
            owners.len() <= 1,
            "one owner at most",
            format!("{owners:?}"),
        )?;
        let elsewhere = runners.iter().any(|node| !owners.contains(node));
        expect(
            !elsewhere,
            "the container only where the volume is owned",
            format!("owners {owners:?}, containers {runners:?}"),
        )
    }

    /// The application runs on `node`, and is owned there.
    pub(super) fn expect_at(
        &self,
        application: &ApplicationName,
        node: usize,
    ) -> Result<(), Failure> {
        self.expect_no_second_owner(application)?;
        let (owners, runners) = (self.owners(application), self.runners(application));
        expect(
            owners == [node] && runners == [node],
            format!("{application} on node {node}"),
            format!("owners {owners:?}, containers {runners:?}"),
        )
    }
}

/// What is on both nodes after a move.
#[derive(Debug)]
pub(super) struct Traces {
    /// What the move leaves: on the source, then on the target.
    moves: Vec<String>,
    /// What is none of Flocker's, by node.
    bystanders: Vec<String>,
}

impl Traces {
    /// Looks at both nodes after a move from `source`.
    pub(super) async fn observe(site: &Site, source: usize) -> Result<Self, SiteError> {
        let mut moves = Vec::new();
        for node in [source, 1 - source] {
            moves.push(site.check(node, TRACES).await?);
        }
        let bystanders = bystanders::look(site).await?;
        Ok(Self { moves, bystanders })
    }

    /// Everything that is looked for would be seen.
    pub(super) fn expect_complete(&self) -> Result<(), Failure> {
        self.moves.iter().zip(COMPLETE).try_for_each(|(text, all)| {
            let missing = all.iter().find(|one| !text.contains(**one));
            expect(missing.is_none(), format!("{missing:?}"), text)
        })
    }

    /// Both nodes are locked: what looks for locks would see one that was forgotten.
    pub(super) fn expect_locked(&self) -> Result<(), Failure> {
        let is_locked = |text: &String| text.lines().any(|line| line == DEPLOY_LOCK);
        expect(
            self.moves.iter().all(is_locked),
            format!("`{DEPLOY_LOCK}` on both nodes"),
            self.moves.concat(),
        )
    }

    /// I5 and I6: nothing is there that is not there after a move that nothing disturbed, and what
    /// is not Flocker's is as it was.
    pub(super) fn expect_same(&self, later: &Self) -> Result<(), Failure> {
        let before = self.moves.iter().chain(&self.bystanders);
        let after = later.moves.iter().chain(&later.bystanders);
        before
            .zip(after)
            .try_for_each(|(before, after)| expect_same(before, after))
    }
}
