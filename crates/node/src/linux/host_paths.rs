//! Paths of the node that containers are given as they are.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use flocker_model::{ApplicationName, HostPath, MountPath};
use flocker_remote::protocol::StepFailure;

use crate::failure::{failed_to, failure_of};

/// Makes sure that a path of the node exists and does not lead to one of `own`, Flocker's directories.
pub(super) fn check_host_path(
    own: &[PathBuf],
    application: &ApplicationName,
    path: &HostPath,
) -> Result<PathBuf, StepFailure> {
    let path = PathBuf::from(path.as_str());
    let shown = path.display();
    let resolved = match path.canonicalize() {
        Ok(resolved) => resolved,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(StepFailure {
                hint: Some(format!(
                    "make {shown} on this node, or place `{application}` on a node that has it"
                )),
                ..failure_of(format!(
                    "`{application}` is given {shown}, which does not exist on this node"
                ))
            });
        }
        Err(error) => return Err(failed_to(format!("cannot look at {shown}"), &error)),
    };
    let is_own = |own: &PathBuf| {
        let own = own.canonicalize();
        own.is_ok_and(|own| resolved.starts_with(own))
    };
    if resolved == Path::new("/") || own.iter().any(is_own) {
        return Err(failure_of(format!(
            "`{application}` is given {shown}, which leads to {}, a directory of Flocker's or the \
             whole node",
            resolved.display()
        )));
    }
    Ok(path)
}

/// Makes sure that a device that a container is given exists: Docker looks only when it starts it.
pub(super) fn check_device(
    application: &ApplicationName,
    device: &MountPath,
) -> Result<(), StepFailure> {
    match Path::new(device.as_str()).try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => Err(StepFailure {
            hint: Some(format!("place `{application}` on a node that has it")),
            ..failure_of(format!(
                "`{application}` is given the device {device}, which does not exist on this node"
            ))
        }),
        Err(error) => Err(failed_to(format!("cannot look at {device}"), &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_the_node_lacks_is_refused() {
        let application = "plex".parse().unwrap();
        let check = |path: &str| check_device(&application, &path.parse().unwrap());
        check("/dev/null").unwrap();
        let refused = check("/dev/flocker-test-gone").unwrap_err();
        assert_eq!(
            refused.message,
            "`plex` is given the device /dev/flocker-test-gone, which does not exist on this node"
        );
    }

    #[test]
    fn a_path_of_the_node_must_exist_and_not_be_flockers() {
        let root = tempfile::tempdir().unwrap();
        let below = |name: &str| root.path().join(name);
        std::fs::create_dir(below("flocker")).unwrap();
        std::fs::write(below("file"), "").unwrap();
        for (link, to) in [("ours", "flocker"), ("theirs", "file"), ("gone", "nothing")] {
            std::os::unix::fs::symlink(below(to), below(link)).unwrap();
        }
        std::os::unix::fs::symlink("/", below("root")).unwrap();
        let application = "agent".parse().unwrap();
        let check = |name: &str| {
            let path = below(name).to_str().unwrap().parse().unwrap();
            check_host_path(&[below("flocker")], &application, &path)
        };
        assert_eq!(check("file").unwrap(), below("file"));
        assert_eq!(check("theirs").unwrap(), below("theirs"));
        for name in ["ours", "root", "flocker"] {
            let refused = check(name).unwrap_err();
            assert!(refused.message.contains("which leads to"), "{refused:?}");
        }
        for name in ["nothing", "gone"] {
            let refused = check(name).unwrap_err();
            assert!(refused.message.contains("does not exist"), "{refused:?}");
        }
    }
}
