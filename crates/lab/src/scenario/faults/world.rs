//! What both nodes are like after a case, and what must be true of it.

use flocker_model::{ApplicationName, ContainerStatus, NodeState, VolumeRole};

use super::super::failure::{Failure, expect, expect_same};
use super::super::site::{Site, SiteError};

/// What must be left as it was: one line for each thing of ours, without what tells two moves
/// apart. Datasets with their holds and mounts, mounts that ZFS does not know of, containers, units,
/// processes, and places that hold somebody.
const TRACES: &str = r"
zfs list -H -o name,mounted,receive_resume_token -r tank
zfs list -H -o name,userrefs -t snapshot -r tank | sed 's/@.*\t/@\t/'
findmnt --noheadings --list --output TARGET,SOURCE | grep -i flocker
docker ps --all --format 'container {{.Names}} {{.State}}'
systemctl list-units --all --plain --no-legend 'flocker*' | tr -s ' ' | cut -d ' ' -f 1-4
ls /run/systemd/system | grep flocker
pgrep --list-full --exact flocker-node
nft list set ip flocker held | grep elements
fuser /run/flocker/lock 2>/dev/null
true
";

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

/// The traces that a move leaves on both nodes: first those of the source, then those of the target.
#[derive(Debug)]
pub(super) struct Traces(Vec<String>);

impl Traces {
    /// Looks at both nodes after a move from `source`.
    pub(super) async fn observe(site: &Site, source: usize) -> Result<Self, SiteError> {
        let mut traces = Vec::new();
        for node in [source, 1 - source] {
            traces.push(site.check(node, TRACES).await?);
        }
        Ok(Self(traces))
    }

    /// I5: nothing is there that is not there after a move that nothing disturbed.
    pub(super) fn expect_same(&self, later: &Self) -> Result<(), Failure> {
        self.0
            .iter()
            .zip(&later.0)
            .try_for_each(|(before, after)| expect_same(before, after))
    }
}
