//! What becomes of what a node remembers for its next boot.

use std::collections::BTreeSet;

use flocker_model::{NodeMemory, NodeNetwork, RememberedApplication};

use crate::{Action, StopKind};

/// Does to a node's memory what `action` does to it there.
///
/// The node does so before anything else that cannot be undone; what was handed over is retired
/// afterwards, because until then a boot may start it.
pub(super) fn remember(memory: &mut NodeMemory, action: &Action) {
    match action {
        Action::StartApplication {
            specification,
            links,
            volume,
            dependencies,
            ..
        } => {
            let remembered = RememberedApplication {
                specification: (**specification).clone(),
                links: links.clone(),
                volume: *volume,
                retired: false,
                dependencies: dependencies.clone(),
            };
            let name = specification.application.clone();
            memory.applications.insert(name, remembered);
        }
        Action::SetLinks { application, links } => {
            if let Some(remembered) = memory.applications.get_mut(application) {
                remembered.links.clone_from(links);
            }
        }
        // What was started on the volume that is released is of no turn of the node's any more; but
        // it may have been started without that.
        Action::StopApplication {
            application,
            kind: StopKind::ForGood,
        } => memory.retire(application),
        Action::ReleaseVolume { application, .. } => memory.retire_volume(application),
        Action::SetVolumeAside { name, .. } => memory.retire_volume(&name.application),
        Action::RemoveApplication { application } => {
            memory.applications.remove(application);
        }
        Action::SwitchRoutes { ports, .. } => memory.network.get_or_insert_default().lead(ports),
        Action::ProgramNetwork { network } => {
            memory.network = Some(NodeNetwork {
                held: BTreeSet::new(),
                ..network.clone()
            });
        }
        _ => {}
    }
}
