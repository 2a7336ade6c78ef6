//! What the operator can do about what stands in the way: one command where there is one.

use std::collections::BTreeSet;

use flocker_model::{ApplicationName, Epoch, NodeName, Obstacle, Obstruction, VolumeHolder};

use super::access::give_address;
use super::mounts::{bring_in, keep_in_sight};
use super::{Blocked, BlockedKind, CopyDescription, firewall};
use crate::naming::{
    NEW_IDENTITY, import_command, load_key, look_at_pool, promote_command, set_aside_command,
};

/// How the operator says that volumes may be made although data may be elsewhere.
const ALLOW_NEW: &str = "deploy with `--new-volumes`";

impl Blocked {
    /// Says what the operator can do next.
    pub fn hint(&self) -> String {
        self.application
            .as_ref()
            .and_then(|application| self.kind.hint_about(application))
            .unwrap_or_else(|| self.kind.hint_without_command())
    }
}

impl BlockedKind {
    /// Says which command resolves what is wrong with the copies of a volume, where there is one.
    fn hint_about(&self, application: &ApplicationName) -> Option<String> {
        let set_aside = |node| set_aside_command(application, node);
        let promote = |replica: &CopyDescription| {
            let taken = replica.taken?;
            Some(promote_command(application, &replica.node, taken))
        };
        Some(match self {
            Self::OwnerUnseen { answers: true, .. } => return None,
            Self::OwnerUnseen { replica, .. } => format!(
                "bring the owner back; if it is lost for good, {} starts from the replica, without \
                 what was written since",
                promote(replica)?
            ),
            Self::OwnersContradict { copies } => contradiction(copies, application),
            Self::Superseded {
                copy,
                epoch: Epoch::LAST,
                ..
            } => begin_anew(&copy.node, above(&copy.dataset)),
            Self::Superseded { copy, says, .. } => format!(
                "with the later owner in reach, {} keeps this copy under another name, out of \
                 use; nothing is destroyed. If {says} is wrong, do that there instead",
                set_aside(&copy.node)
            ),
            Self::OwnerDoubted { doubt } => doubt.hint(Some(application)),
            Self::HandoffLost { from, to, .. } => format!(
                "{} has all that was handed over, and {} makes it the owner again; if the \
                 application had started on {to} before its copy went, find that first: what was \
                 written there is nowhere else",
                from.node,
                promote(from)?
            ),
            Self::OwnerHasNoCopy { owner, replica } => format!(
                "find the dataset on {owner} (is its pool imported?); if it is lost for good, {} \
                 starts from the replica, without what was written since",
                promote(replica)?
            ),
            Self::ForeignDataset { node, .. } => format!(
                "{} keeps it under another name; Flocker neither uses nor destroys what it did \
                 not make",
                set_aside(node)
            ),
            Self::ImportUnfinished { node, from } => format!(
                "{} finishes it; {} gives it up and keeps what it has under another name",
                import_command(application, node, from),
                set_aside(node)
            ),
            Self::ReplicaWritten { replica } | Self::NothingInCommon { replica, .. } => format!(
                "{} keeps the replica under another name; deploy again after that, and the volume \
                 is sent in full",
                set_aside(&replica.node)
            ),
            Self::AnonymousVolumes {
                node,
                dataset,
                paths,
            } => bring_in(application, node, (dataset.as_ref(), paths)),
            Self::DataHidden { volume, hidden, .. } => keep_in_sight(application, volume, hidden),
            _ => return None,
        })
    }

    /// Says how a node comes into reach.
    fn hint_about_node(&self) -> String {
        match self {
            Self::NodeUnreachable { node, .. } => format!(
                "make `ssh {node}` work, or leave {node} out of the deployment if it is gone"
            ),
            Self::NodeUnusable { node, .. } => format!("deploy again once {node} can be looked at"),
            Self::OtherMachine { former, says, .. } => format!(
                "if node {former} has another name or address now, add that to the deployment, with no \
                 applications if it is to run none; if it is gone for good, `flocker-cluster node \
                 forget {former} --via {says}`"
            ),
            Self::MachineForgotten { node, dataset, .. } => begin_anew(node, dataset),
            Self::NoAddress { node } => format!(
                "name {node} by its IPv4 address, reach it over IPv4, or {}",
                give_address(node)
            ),
            _ => format!(
                "name each machine once in the deployment; if they are clones, {NEW_IDENTITY}"
            ),
        }
    }

    /// Says what can be done about the copies of a volume where no command of ours is the way out.
    fn hint_about_copies(&self) -> String {
        match self {
            Self::VolumeUnknown { unseen } => format!(
                "{}; nothing older or empty is used while the volume may be there",
                unseen.hint_or_forget()
            ),
            Self::OwnerUnseen { answers: true, .. } => {
                "deploy again once the owner can be looked at".to_owned()
            }
            Self::VolumeVanished { node } => format!(
                "find the dataset on {node}: is its pool imported, and does `dataset` in \
                 /etc/flocker/node.toml there name the same one as before? To start with an empty \
                 volume instead, deploy once without this application"
            ),
            Self::NodeForgot { node, .. } => format!(
                "check on {node} that /var/lib/flocker is mounted, and that its pool is the one that it \
                 had before; if this application never had a volume, {ALLOW_NEW}"
            ),
            Self::MachineUnknown { .. } => format!(
                "name that machine in the deployment, so that it is looked at; if this application never \
                 had a volume, {ALLOW_NEW}"
            ),
            Self::OwnerUnseen { .. } | Self::OwnerHasNoCopy { .. } | Self::HandoffLost { .. } => {
                "bring the owner and its dataset back; the replica is not whole".to_owned()
            }
            _ => "set the wrong copy aside with `flocker-cluster volume resolve`".to_owned(),
        }
    }

    /// Says what can be done where no command of ours is the way out.
    fn hint_without_command(&self) -> String {
        match self {
            Self::NodeUnreachable { .. }
            | Self::NodeUnusable { .. }
            | Self::SameMachine { .. }
            | Self::OtherMachine { .. }
            | Self::MachineForgotten { .. }
            | Self::NoAddress { .. } => self.hint_about_node(),
            Self::SharedAddress { .. }
            | Self::AddressOfItself { .. }
            | Self::PeersRefused { .. } => self.hint_about_access(),
            Self::VolumeUnknown { .. }
            | Self::OwnerUnseen { .. }
            | Self::OwnersContradict { .. }
            | Self::Superseded { .. }
            | Self::HandoffLost { .. }
            | Self::OwnerHasNoCopy { .. }
            | Self::VolumeVanished { .. }
            | Self::NodeForgot { .. }
            | Self::MachineUnknown { .. }
            | Self::ForeignDataset { .. }
            | Self::ImportUnfinished { .. }
            | Self::ReplicaWritten { .. }
            | Self::NothingInCommon { .. } => self.hint_about_copies(),
            Self::PortTaken { node, port } => {
                format!("route another port, or free port {port} on {node}")
            }
            Self::FirewallDrops { node, obstacle } => firewall::hint(node, obstacle),
            Self::PlaceObstructed { node, obstruction } => clear(node, obstruction),
            Self::NotEnoughSpace { node, pool, .. } => format!(
                "free space on {node}; `zfs list -o space -r {pool}` there shows what has it"
            ),
            Self::LargerThanMaximum { .. } => {
                "raise `maximum_size` in the application configuration".to_owned()
            }
            Self::PoolUnusable {
                node,
                pool,
                problem,
                ..
            } => look_at_pool(node, pool, problem),
            Self::NoImage { .. } => self.hint_about_image(),
            Self::ImageVolumes { .. }
            | Self::UsersRemapped { .. }
            | Self::LayoutChanged { .. }
            | Self::DataHidden { .. }
            | Self::NotWithItsVolume { .. }
            | Self::LeftOnNode { .. }
            | Self::OtherData { .. }
            | Self::AnonymousVolumes { .. } => self.hint_about_mounts(),
            Self::KeyNotLoaded { node, dataset } => load_key(node, dataset),
            Self::HeldElsewhere { node, holders } => let_go(node, holders),
            Self::OwnerDoubted { doubt } => doubt.hint(None),
            Self::NeedsOtherNode { .. } => {
                "run `flocker-cluster deploy`, which speaks with every node".to_owned()
            }
        }
    }
}

/// Says how those that hold a volume let it go, and how they would not have to.
fn let_go(node: &NodeName, holders: &[VolumeHolder]) -> String {
    let end = |holder: &VolumeHolder| match holder.short_container() {
        Some(container) => format!("`docker stop {container}`"),
        None => format!("`kill {}`", holder.process),
    };
    let commands: BTreeSet<String> = holders.iter().map(end).collect();
    let commands: Vec<String> = commands.into_iter().collect();
    format!(
        "{} on {node}, then deploy again; a container that mounts it with \
         `bind-propagation=rslave` lets it go by itself",
        commands.join(" and ")
    )
}

/// Says how a volume's place becomes free.
fn clear(node: &NodeName, obstruction: &Obstruction) -> String {
    let path = &obstruction.path;
    match obstruction.by {
        Obstacle::Files => format!("look at them, and `mv {path} {path}.away` on {node}"),
        Obstacle::Mount { .. } => format!("`umount {path}` on {node}"),
    }
}

/// Says which of several owners is the stale one; where their epochs do not tell, both ways.
fn contradiction(copies: &[CopyDescription], application: &ApplicationName) -> String {
    let owners = || copies.iter().filter(|copy| copy.owned);
    let latest = owners().map(|copy| copy.epoch).max();
    let commands = |is_wanted: &dyn Fn(&CopyDescription) -> bool| -> Vec<String> {
        owners()
            .filter(|copy| is_wanted(copy))
            .map(|copy| set_aside_command(application, &copy.node))
            .collect()
    };
    let is_latest = |copy: &CopyDescription| Some(copy.epoch) == latest;
    if owners().filter(|copy| is_latest(copy)).count() == 1 {
        let stale = commands(&|copy| !is_latest(copy)).join(", then ");
        return format!(
            "the latest epoch is the right one unless you know better: {stale} keeps the older \
             copy under another name, out of use; nothing is destroyed"
        );
    }
    format!(
        "decide which copy is the right one, and keep the other under another name, out of use, \
         with {}; nothing is destroyed",
        commands(&is_latest).join(" or ")
    )
}

/// Returns the dataset above a volume's.
fn above(dataset: &str) -> &str {
    dataset.rsplit_once('/').map_or("", |(above, _)| above)
}

/// Says how a machine that was forgotten becomes a node again. `dataset` is the one that its volumes are
/// below.
fn begin_anew(node: &NodeName, dataset: &str) -> String {
    format!(
        "leave {node} out of the deployment; to use it again as a new node, on {node} stop what runs \
         there, `zfs rename {dataset} {dataset}-forgotten` to keep its old volumes, and \
         `rm -r /var/lib/flocker`"
    )
}
