//! The reference meaning of every action: what it makes of what was observed.
//!
//! Fakes and the model checker are built on it, so that a plan which is right here is right by
//! definition, and a real executor that differs is wrong.

mod containers;
mod memory;
mod pushes;
mod volumes;

use std::collections::BTreeMap;

use flocker_model::{ImageDetails, ImageId, ImageReference, NodeName, NodeState, Observed};
use thiserror::Error;

use crate::{Action, ImageSource, StepId, Yield, account};
use memory::remember;

/// An action whose expected state is not what it finds; nothing was done, but that a start is
/// remembered by then.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{node} refuses to {action}: {reason}")]
pub struct Refusal {
    /// The node.
    pub node: NodeName,
    /// The action.
    pub action: String,
    /// What was found instead.
    pub reason: String,
}

/// Does `action` on `node`; `yields` has what earlier steps yielded.
///
/// # Errors
///
/// Refuses what a real node refuses: an action whose expected state does not hold.
pub fn simulate(
    observed: &mut Observed,
    (node, action): (&NodeName, &Action),
    yields: &BTreeMap<StepId, Yield>,
) -> Result<Yield, Refusal> {
    let refuse = |reason: String| Refusal {
        node: node.clone(),
        action: action.to_string(),
        reason,
    };
    match action {
        Action::PushVolume { .. } | Action::PushImage { .. } => {
            pushes::push(observed, node, action).map_err(refuse)?;
            Ok(Yield::Nothing)
        }
        _ => {
            let state = seen(observed, node).map_err(refuse)?;
            if matches!(action, Action::StartApplication { .. }) {
                remember(&mut state.remembered, action);
            }
            let yielded = on_one_node(state, action, yields).map_err(refuse)?;
            remember(&mut state.remembered, action);
            Ok(yielded)
        }
    }
}

/// Does an action that concerns one node alone.
fn on_one_node(
    state: &mut NodeState,
    action: &Action,
    yields: &BTreeMap<StepId, Yield>,
) -> Result<Yield, String> {
    match action {
        Action::AdmitMembers { members } => state.members.clone_from(members),
        Action::RecordDeployment { applied, members } => {
            state.members.clone_from(members);
            state.applied = Some(applied.clone());
        }
        Action::EnsureImage { image, from } => {
            let copy = brought(state, image, from);
            state.images.insert(image.identity(), copy);
        }
        Action::CheckImage { specification } => {
            let images = &state.images;
            let image = images.get(&specification.image.identity());
            let image = image.ok_or("the image is missing")?;
            account(specification, &image.volumes)
                .map_err(|unaccounted| unaccounted.problem(&specification.image))?;
        }
        Action::CreateVolume { .. }
        | Action::ResizeVolume { .. }
        | Action::ReleaseVolume { .. }
        | Action::AcquireVolume { .. }
        | Action::PromoteVolume { .. }
        | Action::RecordOwner { .. }
        | Action::SetVolumeAside { .. }
        | Action::PruneSnapshots { .. } => return volumes::on_volume(state, action, yields),
        Action::StopApplication { .. }
        | Action::RemoveApplication { .. }
        | Action::StartApplication { .. }
        | Action::SetLinks { .. }
        | Action::AwaitHealth { .. }
        | Action::AwaitCompletion { .. } => containers::on_container(state, action)?,
        Action::HoldPorts { ports } => {
            state.network.get_or_insert_default().held.extend(ports);
        }
        Action::SwitchRoutes { ports, .. } => state.network.get_or_insert_default().lead(ports),
        Action::ProgramNetwork { network } => state.network = Some(network.clone()),
        Action::PushVolume { .. } | Action::PushImage { .. } => {}
    }
    Ok(Yield::Nothing)
}

/// Returns a node's state for changing.
fn seen<'a>(observed: &'a mut Observed, node: &NodeName) -> Result<&'a mut NodeState, String> {
    match observed.nodes.get_mut(node) {
        Some(flocker_model::NodeObservation::Seen(state)) => Ok(state),
        _ => Err(format!("{node} cannot be reached")),
    }
}

/// Returns the copy that a node gets. Of a registry's image it gets the one for its own machine,
/// whose identity only the registry knows.
fn brought(state: &NodeState, image: &ImageReference, from: &ImageSource) -> ImageDetails {
    match from {
        ImageSource::Operator(copy) => copy.details.clone(),
        ImageSource::Registry(found) => {
            let platform = found.as_ref().and_then(|found| found.platform.clone());
            ImageDetails {
                platform: platform.or_else(|| state.platform.clone()),
                ..ImageId(image.with_tag()).into()
            }
        }
    }
}
