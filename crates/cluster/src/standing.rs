//! Whether an application runs, and where its data is, in words. Pure.

use flocker_model::{
    ApplicationName, ContainerState, ContainerStatus, Health, NodeId, NodeName, Observed,
    UnitState, VolumeCopy, VolumeRole,
};
use flocker_plan::{Action, Plan};

/// The application whose volume an application sees: itself, or the one that shares its volume with it.
///
/// The plan says what it is started with. Otherwise its container does, wherever there is one.
pub(crate) fn volume_owner<'a>(
    name: &'a ApplicationName,
    plan: &'a Plan,
    observed: &'a Observed,
) -> &'a ApplicationName {
    let planned = plan.steps().iter().find_map(|step| match &step.action {
        Action::StartApplication { specification, .. } if specification.application == *name => {
            Some(specification.volume_owner())
        }
        _ => None,
    });
    let seen = || {
        let mut states = observed.seen().map(|(_, state)| state);
        states.find_map(|state| state.volume_seen_by(name))
    };
    planned.unwrap_or_else(seen).unwrap_or(name)
}

/// Says of an application whether it runs, and where the volume that it sees is, as far as that was
/// seen. `owner` is the application whose volume that is.
pub(crate) fn standing(
    name: &ApplicationName,
    owner: &ApplicationName,
    observed: &Observed,
) -> String {
    let running = nodes_with(name, observed, ContainerState::is_up);
    if !running.is_empty() {
        let health = health_of(name, &running, observed);
        return format!("`{name}` runs on {}{health}", list(&running));
    }
    let shared = (owner != name).then_some(owner);
    let data = data_name(name, owner);
    match data_of(owner, observed) {
        Data::Unseen(node) => {
            let node = match node {
                Some(node) => format!("{node}, which owns {data},"),
                None => format!("the node that owns {data}"),
            };
            format!("it is not known whether `{name}` runs: {node} could not be seen")
        }
        Data::Owned(node) => {
            let how = how_it_is_down(name, node, observed);
            format!("`{name}` {how} {node}, which owns {data}")
        }
        Data::HandedOff { from, to } => match shared {
            None => format!(
                "`{name}` does not run: {from} has given its data up to {to}, which has not taken \
                 it yet"
            ),
            Some(owner) => format!(
                "`{name}` does not run: it sees the volume of `{owner}`, which {from} has given up \
                 to {to}, and {to} has not taken it yet"
            ),
        },
        Data::Unclear => match shared {
            None => format!(
                "`{name}` does not run where it was seen, and its copies disagree on who owns its \
                 data"
            ),
            Some(owner) => format!(
                "`{name}` does not run where it was seen: it sees the volume of `{owner}`, whose \
                 copies disagree on who owns it"
            ),
        },
        Data::NoCopy => {
            let text = without_data(name, observed);
            match shared {
                None => text,
                Some(owner) => {
                    format!("{text}; it sees the volume of `{owner}`, of which no copy was seen")
                }
            }
        }
    }
}

/// Names the data of an application, as a part of a sentence about it.
pub(crate) fn data_name(name: &ApplicationName, owner: &ApplicationName) -> String {
    if owner == name {
        "its data".to_owned()
    } else {
        format!("the volume of `{owner}` that it sees")
    }
}

/// Says of an application that runs what its health check says, if that is not that all is well.
fn health_of(name: &ApplicationName, nodes: &[&NodeName], observed: &Observed) -> &'static str {
    let is = |wanted: Health| {
        nodes.iter().any(|node| {
            let state = observed.node(node);
            let container = state.and_then(|state| state.containers.get(name));
            matches!(container.map(|it| &it.status), Some(ContainerStatus::Running { health, .. }) if *health == wanted)
        })
    };
    if is(Health::Unhealthy) {
        " and fails its health check"
    } else if is(Health::Starting) {
        ", and its health check has not passed yet"
    } else {
        ""
    }
}

/// Who owns an application's data, by the copies that were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Data<'a> {
    /// There is no copy of it, as far as that was seen.
    NoCopy,
    /// This node.
    Owned(&'a NodeName),
    /// A node that was not seen, called so if anybody knows its name.
    Unseen(Option<&'a NodeName>),
    /// The one has given it up, the other was seen and has not taken it.
    HandedOff {
        from: &'a NodeName,
        to: &'a NodeName,
    },
    /// The copies contradict each other.
    Unclear,
}

/// Works out who owns an application's data: the node that the copy of the latest epoch names.
fn data_of<'a>(name: &ApplicationName, observed: &'a Observed) -> Data<'a> {
    let copies: Vec<(&NodeName, NodeId, &VolumeCopy)> = observed
        .seen()
        .filter_map(|(node, state)| Some((node, state.id, state.volumes.get(name)?)))
        .collect();
    let claims = || {
        copies.iter().filter_map(|(_, id, copy)| match copy.role {
            VolumeRole::Owned { epoch } => Some((epoch, *id)),
            VolumeRole::Replica { owner, epoch, .. } => Some((epoch, owner)),
            VolumeRole::Foreign { .. } => None,
        })
    };
    let Some((latest, owner)) = claims().max() else {
        return Data::NoCopy;
    };
    if claims().any(|(epoch, other)| epoch == latest && other != owner) {
        return Data::Unclear;
    }
    let Some((to, _)) = observed.seen().find(|(_, state)| state.id == owner) else {
        return Data::Unseen(name_of(owner, observed));
    };
    let owns = |copy: &VolumeCopy| copy.owned_epoch() == Some(latest);
    if copies
        .iter()
        .any(|(node, _, copy)| *node == to && owns(copy))
    {
        return Data::Owned(to);
    }
    let handed_off = |copy: &VolumeCopy| matches!(copy.role, VolumeRole::Replica { epoch, handoff: Some(_), .. } if epoch == latest);
    match copies.iter().find(|(_, _, copy)| handed_off(copy)) {
        Some((from, ..)) => Data::HandedOff { from, to },
        None => Data::Unclear,
    }
}

/// Finds what a machine is called: by its own answer, or else by what others remember.
fn name_of(id: NodeId, observed: &Observed) -> Option<&NodeName> {
    let itself = observed.identities().find(|(_, its, _)| *its == id);
    let remembered = || {
        let mut members = observed.identities().map(|(_, _, members)| members);
        members.find_map(|members| members.get(id))
    };
    itself
        .map(|(name, ..)| name)
        .or_else(|| remembered().map(|member| &member.name))
}

/// Says how an application is down on a node that was seen, up to the node's name.
fn how_it_is_down(name: &ApplicationName, node: &NodeName, observed: &Observed) -> &'static str {
    let state = observed.node(node);
    match state.and_then(|state| state.containers.get(name)) {
        None => "does not run on",
        Some(container) if is_stopped(container) => "is stopped on",
        // It is being started or stopped, or ends again and again.
        Some(_) => "does not run as it should on",
    }
}

/// Tells whether nothing but a plan, or a person, starts a container.
fn is_stopped(container: &ContainerState) -> bool {
    matches!(container.status, ContainerStatus::Stopped { .. })
        && matches!(
            container.unit,
            UnitState::Inactive | UnitState::Failed | UnitState::Missing
        )
}

/// Says how an application is of which no copy of a volume was seen, and that does not run where it
/// was looked for.
fn without_data(name: &ApplicationName, observed: &Observed) -> String {
    let nodes = observed.nodes.iter();
    let unseen: Vec<&NodeName> = nodes
        .filter(|(_, observation)| observation.seen().is_none())
        .map(|(node, _)| node)
        .collect();
    if !unseen.is_empty() {
        let unseen = list(&unseen);
        return format!("it is not known whether `{name}` runs: {unseen} could not be seen");
    }
    match nodes_with(name, observed, |_| true).first() {
        Some(node) => format!("`{name}` {} {node}", how_it_is_down(name, node, observed)),
        None => format!("`{name}` does not run on any node"),
    }
}

/// Lists the nodes that were seen and have such a container of an application.
fn nodes_with<'a>(
    name: &ApplicationName,
    observed: &'a Observed,
    is_such: impl Fn(&ContainerState) -> bool,
) -> Vec<&'a NodeName> {
    observed
        .seen()
        .filter(|(_, state)| state.containers.get(name).is_some_and(&is_such))
        .map(|(node, _)| node)
        .collect()
}

/// Writes names as people list them.
fn list(names: &[&NodeName]) -> String {
    let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    match names.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => names.concat(),
    }
}

#[cfg(test)]
mod tests;
