//! Finds what is in the places of volumes before anything has to be mounted there.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use flocker_model::{ApplicationName, Obstacle, Obstruction};

use crate::Zfs;
use crate::mount::run_blocking;
use crate::mountinfo::{Mount, mounted_at};
use crate::names::Place;
use crate::observe::{ObserveError, mounts};

impl Zfs {
    /// Lists the places of volumes, whether the volume exists or not, that something else is in:
    /// [`Volume::mount`](crate::Volume::mount) would refuse to hide it.
    ///
    /// # Errors
    /// Fails when the table of mounts or the directory of all volumes cannot be read.
    pub async fn observe_obstructions(
        &self,
    ) -> Result<BTreeMap<ApplicationName, Obstruction>, ObserveError> {
        let table = mounts().await?;
        let zfs = self.clone();
        let found = run_blocking(move || zfs.obstructions(&table)).await;
        found.map_err(|cause| ObserveError::Places {
            path: self.settings().mount_root.clone(),
            cause,
        })
    }

    /// Looks into every directory that is a volume's place by its name.
    fn obstructions(&self, table: &[Mount]) -> io::Result<BTreeMap<ApplicationName, Obstruction>> {
        let entries = match fs::read_dir(&self.settings().mount_root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            entries => entries?,
        };
        let mut obstructions = BTreeMap::new();
        for entry in entries {
            let name = entry?.file_name();
            let Some(application) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let path = self.mountpoint_of(&application);
            if let Some(by) = self.obstacle(&application, (&path, table))? {
                let path = path.to_string_lossy().into_owned();
                obstructions.insert(application, Obstruction { path, by });
            }
        }
        Ok(obstructions)
    }

    /// Finds what is in one place, unless it is the application's own dataset.
    fn obstacle(
        &self,
        application: &ApplicationName,
        (path, table): (&Path, &[Mount]),
    ) -> io::Result<Option<Obstacle>> {
        if let Some(mount) = mounted_at(table, path) {
            let own = Place::all(application).map(|place| place.dataset(self.settings()));
            let is_own = mount.kind == "zfs" && own.contains(&mount.source);
            return Ok((!is_own).then(|| Obstacle::Mount {
                source: mount.source.clone(),
                kind: mount.kind.clone(),
            }));
        }
        let is_free = match fs::read_dir(path) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => false,
            // Gone since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(error),
        };
        Ok((!is_free).then_some(Obstacle::Files))
    }
}
