//! Looks at volumes: one process, however many there are.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use flocker_model::{ApplicationName, PoolProblem, VolumeCopy, VolumeRole};
use thiserror::Error;

use crate::command::{Argv, CommandFailed};
use crate::dataset::{NAMELESS_PART, OWNED_PART, Record, UNFINISHED_IMPORT};
use crate::kernel::{self, KernelFailed};
use crate::listing::{ListedDataset, MalformedListing, PROPERTIES, parse_listing};
use crate::mountinfo::{Mount, mount_of, parse_mountinfo};
use crate::names::Place;
use crate::{Zfs, ZfsSettings};

/// Volumes could not be looked at.
#[derive(Debug, Error)]
pub enum ObserveError {
    /// The `zfs` command failed.
    #[error(transparent)]
    Command(#[from] CommandFailed),
    /// ZFS in the kernel did not answer.
    #[error(transparent)]
    Kernel(#[from] KernelFailed),
    /// The pool cannot be looked at: what is on it is unknown, which is not the same as absent.
    #[error("pool {pool} {problem}, so that it is not known which volumes are there")]
    Pool {
        /// Its name.
        pool: String,
        /// What is wrong with it.
        problem: PoolProblem,
    },
    /// The command's output has another form than expected.
    #[error("cannot understand what ZFS says of the volumes; look at the properties by hand")]
    Malformed(#[source] MalformedListing),
    /// The table of mounts could not be read.
    #[error("cannot read /proc/self/mountinfo")]
    Mounts(#[source] io::Error),
    /// The directory that volumes are mounted in could not be looked through.
    #[error("cannot look through {}, where volumes are mounted", path.display())]
    Places {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

/// What is at an application's four possible places.
#[derive(Debug, Default)]
pub(crate) struct Records {
    /// At its own name.
    pub(crate) volume: Option<Record>,
    /// A volume that is being made.
    pub(crate) creating: Option<Record>,
    /// A first copy that is being received.
    pub(crate) receiving: Option<Record>,
    /// A volume that is being imported.
    pub(crate) importing: Option<Record>,
}

impl Zfs {
    /// Looks at every volume and replica on this node.
    ///
    /// A first copy that is still being received is shown as a replica if it says whose, and as a
    /// dataset that is no volume otherwise. An import that is not finished is no volume either. What
    /// is deeper than a volume, and what has a name that no application can have, is left out.
    ///
    /// # Errors
    /// Fails when the pool is not there, or ZFS does not answer in its documented form.
    pub async fn observe_volumes(
        &self,
    ) -> Result<BTreeMap<ApplicationName, VolumeCopy>, ObserveError> {
        self.check_pool().await?;
        let root = &self.settings().dataset;
        if !kernel::exists(root).await? {
            self.check_imported().await?;
            return Ok(BTreeMap::new());
        }
        // Two levels: the volumes, and their snapshots.
        let listed = list(&["-d", "2"], std::slice::from_ref(root)).await?;
        let mut sorted = self.sort_out(&listed, &mounts().await?);
        self.forgive_log_resets(&mut sorted).await?;
        Ok(shown(sorted))
    }

    /// Looks at one application's volume or replica.
    ///
    /// # Errors
    /// As [`Zfs::observe_volumes`].
    pub async fn observe_volume(
        &self,
        application: &ApplicationName,
    ) -> Result<Option<VolumeCopy>, ObserveError> {
        let records = self.read_all(application).await?;
        Ok(records.shown(application).map(|(_, record)| record.copy))
    }

    /// Reads what is at an application's own name.
    pub(crate) async fn read(
        &self,
        application: &ApplicationName,
    ) -> Result<Option<Record>, ObserveError> {
        Ok(self.read_all(application).await?.volume)
    }

    /// Reads what is at an application's four possible places, in one process at most.
    pub(crate) async fn read_all(
        &self,
        application: &ApplicationName,
    ) -> Result<Records, ObserveError> {
        self.check_pool().await?;
        let names = Place::all(application).map(|place| place.dataset(self.settings()));
        let names = kernel::existing(names.to_vec()).await?;
        if names.is_empty() {
            self.check_imported().await?;
            return Ok(Records::default());
        }
        let listed = list(&["-d", "1"], &names).await?;
        let mut sorted = self.sort_out(&listed, &mounts().await?);
        self.forgive_log_resets(&mut sorted).await?;
        Ok(sorted.remove(application).unwrap_or_default())
    }

    /// Makes sure that the pool can be asked.
    pub(crate) async fn check_pool(&self) -> Result<(), ObserveError> {
        let reachable = self.check_reachable().await;
        reachable.map_err(|problem| self.without_pool(problem))
    }

    /// Makes sure that there still is a pool, so that a dataset that is not there is absent.
    async fn check_imported(&self) -> Result<(), ObserveError> {
        if kernel::exists(self.settings().pool()).await? {
            return Ok(());
        }
        Err(self.without_pool(PoolProblem::NotImported))
    }

    /// Says what is wrong with the pool.
    fn without_pool(&self, problem: PoolProblem) -> ObserveError {
        ObserveError::Pool {
            pool: self.settings().pool().to_owned(),
            problem,
        }
    }

    /// Sorts listed datasets by application, and remembers which were mounted for writing.
    fn sort_out(
        &self,
        listed: &BTreeMap<String, ListedDataset>,
        mounts: &[Mount],
    ) -> BTreeMap<ApplicationName, Records> {
        let sorted = sort_out(self.settings(), listed, mounts);
        for application in sorted.keys() {
            let datasets = Place::all(application).map(|place| place.dataset(self.settings()));
            let is_written =
                |dataset: &String| mount_of(mounts, dataset).is_some_and(|mount| mount.writable);
            if datasets.iter().any(is_written) {
                self.remember_replayed(application);
            }
        }
        sorted
    }
}

impl Records {
    /// Returns what planners are told of, and where it is: the volume, an import that is not
    /// finished, or a first copy that is being received.
    pub(crate) fn shown(self, application: &ApplicationName) -> Option<(Place, Record)> {
        let application = application.clone();
        if let Some(volume) = self.volume {
            return Some((Place::Volume(application), volume));
        }
        if let Some(mut record) = self.importing {
            // Whatever it has by now: it is no volume before it has a volume's name.
            let problem = UNFINISHED_IMPORT.to_owned();
            record.copy.role = VolumeRole::Foreign { problem };
            return Some((Place::Importing(application), record));
        }
        let mut part = self.receiving?;
        part.copy.is_first_copy = true;
        let problem = match part.copy.role {
            VolumeRole::Replica { .. } => None,
            _ if part.resume_token.is_some() => Some(NAMELESS_PART),
            VolumeRole::Owned { .. } => Some(OWNED_PART),
            VolumeRole::Foreign { .. } => None,
        };
        if let Some(problem) = problem.map(str::to_owned) {
            part.copy.role = VolumeRole::Foreign { problem };
        }
        Some((Place::Receiving(application), part))
    }
}

/// Sorts listed datasets by application: pure.
pub(crate) fn sort_out(
    settings: &ZfsSettings,
    listed: &BTreeMap<String, ListedDataset>,
    mounts: &[Mount],
) -> BTreeMap<ApplicationName, Records> {
    let mut sorted: BTreeMap<ApplicationName, Records> = BTreeMap::new();
    for (dataset, listed) in listed {
        let Some(place) = Place::parse(&settings.dataset, dataset) else {
            continue;
        };
        let application = place.application();
        let mut record = Record::new(settings, application, listed);
        record.copy.mounted =
            mount_of(mounts, dataset).map(|mount| mount.path.to_string_lossy().into_owned());
        let records = sorted.entry(application.clone()).or_default();
        match place {
            Place::Volume(_) => records.volume = Some(record),
            Place::Creating(_) => records.creating = Some(record),
            Place::Receiving(_) => records.receiving = Some(record),
            Place::Importing(_) => records.importing = Some(record),
        }
    }
    sorted
}

/// Returns what planners are told of each application.
pub(crate) fn shown(
    sorted: BTreeMap<ApplicationName, Records>,
) -> BTreeMap<ApplicationName, VolumeCopy> {
    sorted
        .into_iter()
        .filter_map(|(application, records)| {
            let (_, record) = records.shown(&application)?;
            Some((application, record.copy))
        })
        .collect()
}

/// Lists datasets and their snapshots to a depth.
pub(crate) async fn list(
    depth: &[&str],
    names: &[String],
) -> Result<BTreeMap<String, ListedDataset>, ObserveError> {
    let mut argv = Argv::new(&["zfs", "get", "-Hp"]);
    for &word in depth {
        argv.push(word);
    }
    for word in [
        "-t",
        "filesystem,volume,snapshot",
        "-o",
        "name,property,value,source",
        PROPERTIES,
    ] {
        argv.push(word);
    }
    for name in names {
        argv.push(name);
    }
    parse_listing(&argv.read().await?.stdout).map_err(ObserveError::Malformed)
}

/// Reads the table of mounts.
pub(crate) async fn mounts() -> Result<Vec<Mount>, ObserveError> {
    let table = tokio::fs::read("/proc/self/mountinfo")
        .await
        .map_err(ObserveError::Mounts)?;
    Ok(parse_mountinfo(&String::from_utf8_lossy(&table)))
}

#[cfg(test)]
mod tests {
    use flocker_model::NodeId;
    use uuid::Uuid;

    use super::*;

    /// Shows a dataset with a first copy's name that has these properties.
    fn first_copy(rows: &[&str]) -> VolumeCopy {
        let settings = ZfsSettings {
            dataset: "tank/flocker".to_owned(),
            mount_root: PathBuf::from("/flocker"),
            node: NodeId(Uuid::from_u128(10)),
        };
        let common = ["type\tfilesystem\t-", "written\t0\t-"];
        let rows = common.iter().chain(rows);
        let rows: Vec<String> = rows
            .map(|row| format!("tank/flocker/_receiving:web\t{row}\n"))
            .collect();
        let listed = parse_listing(&rows.concat()).unwrap();
        let mut found = shown(sort_out(&settings, &listed, &[]));
        found.remove(&"web".parse().unwrap()).unwrap()
    }

    /// A crash right after `zfs receive` has made its dataset leaves none of its properties.
    #[test]
    fn the_beginning_of_a_first_copy_is_seen() {
        let begun = first_copy(&["receive_resume_token\t1-abc\t-"]);
        assert!(begun.is_nameless_part());
        let problem = NAMELESS_PART.to_owned();
        assert_eq!(begun.role, VolumeRole::Foreign { problem });
        // Something else has that name, and no transfer into it can be continued.
        let other = first_copy(&[]);
        assert!(other.is_first_copy && !other.is_nameless_part());
        assert!(matches!(other.role, VolumeRole::Foreign { .. }));
    }

    #[test]
    fn a_first_copy_owns_nothing() {
        let owner = Uuid::from_u128(10);
        let part = first_copy(&[
            &format!("flocker:ownership\towner={owner},epoch=3\tlocal"),
            "mountpoint\t/flocker/web\tlocal",
        ]);
        let problem = OWNED_PART.to_owned();
        assert_eq!(part.role, VolumeRole::Foreign { problem });
    }
}
