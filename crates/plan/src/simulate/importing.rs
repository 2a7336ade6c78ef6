//! Scenarios of data that is brought in or taken out.

use std::collections::BTreeMap;

use flocker_model::{
    ApplicationName, DeploymentId, Epoch, ImportContent, NodeName, Observed, SnapshotState,
    VolumeCopy, VolumeRole,
};

use super::pushes::{cut, fresh_guid};
use super::seen;
use super::volumes::empty_copy;
use crate::{Action, PushKind};

/// Does an action that makes a new snapshot, whose identity no node has.
pub(super) fn on_volume(
    observed: &mut Observed,
    node: &NodeName,
    action: &Action,
) -> Result<(), String> {
    match action {
        Action::ImportVolume {
            application,
            epoch,
            content,
            deployment,
        } => import(observed, (node, application), (*epoch, content, deployment)),
        Action::SnapshotVolume { application, epoch } => {
            cut(observed, (node, application), (*epoch, PushKind::Ahead)).map(|_| ())
        }
        _ => Ok(()),
    }
}

/// Makes a volume that ends with its first snapshot.
fn import(
    observed: &mut Observed,
    (node, application): (&NodeName, &ApplicationName),
    (epoch, content, deployment): (Epoch, &ImportContent, &Option<DeploymentId>),
) -> Result<(), String> {
    let fresh = fresh_guid(observed);
    let state = seen(observed, node)?;
    let from = content.to_string();
    let first = VolumeRole::Owned { epoch };
    match state.volumes.get(application) {
        Some(copy) if copy.role == first && copy.import.as_ref() == Some(&from) => return Ok(()),
        Some(copy) if copy.unfinished_import() == Some(&from) => {}
        Some(_) => return Err("a dataset is in the way".to_owned()),
        None => {}
    }
    let snapshot = SnapshotState {
        name: format!("flocker-{epoch}-{fresh}"),
        created: fresh.0,
    };
    let copy = VolumeCopy {
        snapshots: BTreeMap::from([(fresh, snapshot)]),
        newest_snapshot: Some(fresh),
        deployment: deployment.clone(),
        import: Some(from),
        ..empty_copy(first)
    };
    state.volumes.insert(application.clone(), copy);
    Ok(())
}
