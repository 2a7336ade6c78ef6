//! What a deploy cannot take down, because the machine that may run it was not looked at.

use flocker_model::{NodeName, Observed};

use crate::Goal;
use crate::survey::unseen_reason;

/// A machine that the deployment omits, that was not looked at, and that may run what it was once given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftRunning {
    /// The machine.
    pub node: NodeName,
    /// Why it was not looked at.
    pub reason: String,
    /// A node that was looked at and remembers it.
    pub says: Option<NodeName>,
}

/// Lists the machines because of which not everything is as `goal` says, although its plan was carried
/// out.
///
/// A machine that was omitted and looked at once, by a deploy that succeeded, runs nothing since.
pub fn left_running(goal: &Goal<'_>, observed: &Observed) -> Vec<LeftRunning> {
    let was_emptied = |node: &NodeName| {
        let members = observed.identities().map(|(_, _, members)| members);
        let mut known = members.flat_map(|members| members.named(node)).peekable();
        known.peek().is_some() && known.all(|member| member.emptied)
    };
    let omitted = observed
        .nodes
        .iter()
        .filter(|(node, _)| !goal.deployment.nodes.contains_key(*node) && !was_emptied(node));
    omitted
        .filter_map(|(node, observation)| {
            let mut seen = observed.seen();
            let says = seen.find(|(_, state)| state.members.named(node).next().is_some());
            Some(LeftRunning {
                node: node.clone(),
                reason: unseen_reason(observation)?,
                says: says.map(|(name, _)| name.clone()),
            })
        })
        .collect()
}
