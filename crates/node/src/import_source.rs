//! Whether directories of this node may be imported: pure.

use std::path::{Path, PathBuf};

use flocker_docker::{DockerVolume, Writer};
use flocker_model::{ByteCount, DirectoryName, PoolState};
use flocker_remote::protocol::StepFailure;

use crate::failure::failure_of;

/// A directory tree to be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImportSource {
    /// The directory of the volume that it becomes; `None` for the volume's root.
    pub(crate) into: Option<DirectoryName>,
    /// Where it is, without symbolic links.
    pub(crate) directory: PathBuf,
}

/// Finds the directory of a Docker volume.
pub(crate) fn directory_of_volume(
    name: &str,
    volume: Option<DockerVolume>,
) -> Result<PathBuf, StepFailure> {
    let refuse = |message: String, hint: String| {
        Err(StepFailure {
            hint: Some(hint),
            ..failure_of(message)
        })
    };
    let Some(volume) = volume else {
        return refuse(
            format!("Docker has no volume `{name}` on this node"),
            "`docker volume ls` on the node lists those that it has".to_owned(),
        );
    };
    if volume.driver != "local" {
        return refuse(
            format!(
                "volume `{name}` belongs to Docker's driver `{}`, which keeps its files out of sight",
                volume.driver
            ),
            format!(
                "copy the files to a directory of the node, and import that: `docker run --rm -v \
                 {name}:/from:ro -v /DIRECTORY:/to IMAGE cp -a /from/. /to/`"
            ),
        );
    }
    match volume.device {
        None => Ok(volume.mountpoint),
        Some(device) => {
            let hint = if device.starts_with('/') {
                format!("import it from where it is: `--from {device}`")
            } else {
                "mount it at a directory of the node by hand, and import that directory".to_owned()
            };
            refuse(
                format!(
                    "volume `{name}` is a mount of {device}, which Docker only makes while a container \
                     uses the volume"
                ),
                hint,
            )
        }
    }
}

/// Refuses trees that are Flocker's own, or that a container may write to while they are copied.
pub(crate) fn check_sources(
    sources: &[ImportSource],
    own: &[&Path],
    writers: &[Writer],
) -> Result<(), StepFailure> {
    for ImportSource { directory, .. } in sources {
        if let Some(own) = own.iter().find(|own| overlap(own, directory)) {
            return Err(StepFailure {
                hint: Some(
                    "the volume of another application comes out with `flocker-cluster volume \
                     export`, and in again as `stream:FILE`"
                        .to_owned(),
                ),
                ..failure_of(if directory.starts_with(own) {
                    format!(
                        "{} is in Flocker's own directory {}",
                        directory.display(),
                        own.display()
                    )
                } else {
                    format!(
                        "{} contains Flocker's own directory {}",
                        directory.display(),
                        own.display()
                    )
                })
            });
        }
        let is_in_use = |writer: &&Writer| {
            let mut directories = writer.directories.iter();
            directories.any(|other| overlap(other, directory))
        };
        if let Some(Writer { container, .. }) = writers.iter().find(is_in_use) {
            let stop = if container.starts_with("flocker-") {
                format!("systemctl stop {container}")
            } else {
                format!("docker stop {container}")
            };
            return Err(StepFailure {
                hint: Some(format!("`{stop}` on the node, and import again")),
                ..failure_of(format!(
                    "container `{container}` runs and may write to {}: a copy made now would mix older \
                     and newer data",
                    directory.display()
                ))
            });
        }
    }
    Ok(())
}

/// Tells whether one path is the other, or below it.
fn overlap(one: &Path, other: &Path) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// Refuses what the pool has no room for; `copied` is there already.
pub(crate) fn check_space(
    (needed, copied): (ByteCount, ByteCount),
    pool: &PoolState,
) -> Result<(), StepFailure> {
    let room = pool.available.saturating_add(copied);
    if needed < room {
        return Ok(());
    }
    Err(StepFailure {
        hint: Some(format!(
            "free space in pool {0}; `zfs list -o space -r {0}` on the node shows what has it",
            pool.pool()
        )),
        ..failure_of(format!(
            "the data has {needed} and pool {} has room for {room}",
            pool.pool()
        ))
    })
}

#[cfg(test)]
mod tests {
    use flocker_model::PoolHealth;

    use super::*;

    fn said(result: Result<impl Sized, StepFailure>) -> String {
        let Err(failure) = result else {
            return "taken".to_owned();
        };
        format!("{}\n{}", failure.message, failure.hint.unwrap_or_default())
    }

    fn volume(driver: &str, device: Option<&str>) -> DockerVolume {
        DockerVolume {
            driver: driver.to_owned(),
            mountpoint: "/var/lib/docker/volumes/db/_data".into(),
            device: device.map(str::to_owned),
        }
    }

    #[test]
    fn a_docker_volume_is_imported_from_its_own_directory() {
        let found = directory_of_volume("db", Some(volume("local", None))).unwrap();
        assert_eq!(found, Path::new("/var/lib/docker/volumes/db/_data"));
        insta::assert_snapshot!(said(directory_of_volume("db", None)));
        insta::assert_snapshot!(said(directory_of_volume(
            "db",
            Some(volume("nfs-plugin", None))
        )));
        let bind = Some(volume("local", Some("/srv/db")));
        insta::assert_snapshot!(said(directory_of_volume("db", bind)));
        let nfs = Some(volume("local", Some(":/export/db")));
        insta::assert_snapshot!(said(directory_of_volume("db", nfs)));
    }

    #[test]
    fn nothing_is_copied_while_a_container_may_write_to_it() {
        let sources = |path: &str| {
            [ImportSource {
                into: None,
                directory: path.into(),
            }]
        };
        let writers = |container: &str, path: &str| {
            [Writer {
                container: container.to_owned(),
                directories: vec![path.into()],
            }]
        };
        let own = [Path::new("/flocker"), Path::new("/var/lib/flocker")];
        let check =
            |source: &str, writers: &[Writer]| said(check_sources(&sources(source), &own, writers));
        assert_eq!(check("/srv/db", &[]), "taken");
        assert_eq!(check("/srv/db", &writers("web", "/srv/web")), "taken");
        assert_eq!(check("/srv/db", &writers("web", "/srv/db2")), "taken");
        for (source, mounted) in [
            ("/srv/db", "/srv"),
            ("/srv/db", "/srv/db/wal"),
            ("/srv", "/srv"),
        ] {
            let text = check(source, &writers("old-db", mounted));
            assert!(text.contains("`old-db` runs"), "{text}");
        }
        insta::assert_snapshot!(check("/srv/db", &writers("old-db", "/srv/db")));
        insta::assert_snapshot!(check("/srv/db", &writers("flocker-db", "/srv/db")));
        insta::assert_snapshot!(check("/flocker/web", &[]));
        assert!(check("/var/lib", &[]).contains("/var/lib/flocker"));
    }

    #[test]
    fn what_the_pool_has_no_room_for_is_refused() {
        let pool = PoolState {
            dataset: "tank/flocker".to_owned(),
            health: PoolHealth::Usable,
            available: ByteCount::mebibytes(10),
            sync_disabled: None,
        };
        let check = |needed, copied| {
            let (needed, copied) = (ByteCount::mebibytes(needed), ByteCount::mebibytes(copied));
            said(check_space((needed, copied), &pool))
        };
        assert_eq!(check(9, 0), "taken");
        assert_eq!(check(100, 95), "taken");
        insta::assert_snapshot!(check(100, 0));
    }
}
