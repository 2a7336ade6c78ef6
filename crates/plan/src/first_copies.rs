//! First copies of volumes of which nothing can be used yet.

use flocker_model::{ApplicationName, NodeName, Observed, VolumeRole};

/// Finds the beginning of a first copy that does not say whose it is, and what is wrong with it.
pub(crate) fn nameless_part<'a>(
    application: &ApplicationName,
    observed: &'a Observed,
) -> Option<(&'a NodeName, String)> {
    observed.seen().find_map(|(node, state)| {
        let copy = state.volumes.get(application)?;
        match &copy.role {
            VolumeRole::Foreign { problem } if copy.is_nameless_part() => {
                Some((node, problem.clone()))
            }
            _ => None,
        }
    })
}
