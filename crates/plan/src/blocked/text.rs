//! What stands in the way, in words.

use std::fmt;

use flocker_model::{Epoch, Obstacle, VolumeHolder, render_utc};

use super::{Blocked, BlockedKind, CopyDescription, firewall, list};
use crate::naming::machine;

impl fmt::Display for Blocked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(application) = &self.application {
            write!(formatter, "`{application}`: ")?;
        }
        self.kind.fmt(formatter)
    }
}

impl fmt::Display for BlockedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NodeUnreachable { .. }
            | Self::NodeUnusable { .. }
            | Self::SameMachine { .. }
            | Self::OtherMachine { .. }
            | Self::MachineForgotten { .. }
            | Self::NoAddress { .. } => self.fmt_about_nodes(f),
            Self::SharedAddress { .. }
            | Self::AddressOfItself { .. }
            | Self::PeersRefused { .. } => self.fmt_about_access(f),
            Self::PortTaken { node, port } => {
                write!(f, "routed port {port} is in use by a program on {node}")
            }
            Self::FirewallDrops { node, obstacle } => f.write_str(&firewall::text(node, obstacle)),
            Self::LargerThanMaximum {
                node,
                referenced,
                maximum,
            } => write!(
                f,
                "its volume on {node} has {referenced} in it, more than the maximum size of {maximum}"
            ),
            Self::PlaceObstructed { .. }
            | Self::KeyNotLoaded { .. }
            | Self::HeldElsewhere { .. } => self.fmt_about_mounting(f),
            Self::NotEnoughSpace { .. } | Self::PoolUnusable { .. } => self.fmt_about_pool(f),
            Self::ImageVolumes { .. }
            | Self::AnonymousVolumes { .. }
            | Self::UsersRemapped { .. }
            | Self::NotWithItsVolume { .. }
            | Self::LeftOnNode { .. }
            | Self::OtherData { .. }
            | Self::LayoutChanged { .. }
            | Self::DataHidden { .. } => self.fmt_about_mounts(f),
            Self::NeedsOtherNode { node, what } => write!(f, "{what} (on {node})"),
            Self::NoImage { .. } => self.fmt_about_image(f),
            Self::VolumeUnknown { .. }
            | Self::OwnerUnseen { .. }
            | Self::OwnersContradict { .. }
            | Self::Superseded { .. }
            | Self::OwnerDoubted { .. }
            | Self::HandoffLost { .. }
            | Self::OwnerHasNoCopy { .. }
            | Self::VolumeVanished { .. }
            | Self::NodeForgot { .. }
            | Self::MachineUnknown { .. }
            | Self::ForeignDataset { .. }
            | Self::ImportUnfinished { .. }
            | Self::ReplicaWritten { .. }
            | Self::NothingInCommon { .. } => self.fmt_about_copies(f),
        }
    }
}

impl BlockedKind {
    /// Writes what is wrong with a machine.
    fn fmt_about_nodes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NodeUnreachable { node, reason } => {
                write!(f, "{node} cannot be reached: {reason}")
            }
            Self::NodeUnusable { node, reason } => {
                write!(f, "{node} answers, but could not be looked at: {reason}")
            }
            Self::SameMachine { nodes, id } => {
                write!(f, "{} are one machine (node {id})", list(nodes))
            }
            Self::OtherMachine {
                node,
                found,
                former,
                says,
            } => write!(
                f,
                "{node} is another machine now: node {found} answers there, and {says} remembers it as \
                 node {former}, which was not seen and may have volumes"
            ),
            Self::MachineForgotten {
                node, id, at, says, ..
            } => write!(
                f,
                "{node} (node {id}) was forgotten at {}, as {says} remembers: it does not belong to the \
                 cluster any more",
                render_utc(*at)
            ),
            Self::NoAddress { node } => write!(
                f,
                "no IPv4 address is known at which other nodes reach {node}"
            ),
            // Not about a machine.
            _ => Ok(()),
        }
    }

    /// Writes why a volume cannot be mounted, or unmounted.
    fn fmt_about_mounting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PlaceObstructed { node, obstruction } => {
                let path = &obstruction.path;
                match &obstruction.by {
                    Obstacle::Files => write!(
                        f,
                        "its volume is to be mounted at {path} on {node}, where a program wrote files \
                         while it was not mounted"
                    ),
                    Obstacle::Mount { source, kind } => write!(
                        f,
                        "its volume is to be mounted at {path} on {node}, where {source} ({kind}) is"
                    ),
                }
            }
            Self::KeyNotLoaded { node, dataset } => write!(
                f,
                "its volume on {node} is encrypted, and the key of {dataset} is not loaded"
            ),
            Self::HeldElsewhere { node, holders } => {
                let holders: Vec<String> = holders.iter().map(VolumeHolder::to_string).collect();
                write!(
                    f,
                    "its volume on {node} is also mounted by {}, and would stay mounted there when \
                     the application is stopped",
                    holders.join(", ")
                )
            }
            // Not about mounting.
            _ => Ok(()),
        }
    }

    /// Writes what is wrong with a pool.
    fn fmt_about_pool(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotEnoughSpace {
                node,
                pool,
                needed,
                available,
            } => write!(
                f,
                "its volume has {needed} and pool {pool} of {node} has room for {available}"
            ),
            Self::PoolUnusable {
                node,
                pool,
                problem,
                volumes_seen: true,
            } => write!(f, "pool {pool} of {node} {problem}"),
            Self::PoolUnusable {
                node,
                pool,
                problem,
                volumes_seen: false,
            } => write!(
                f,
                "pool {pool} of {node} {problem}, so that it is not known which volumes are there"
            ),
            // Not about a pool.
            _ => Ok(()),
        }
    }

    /// Writes what is wrong with the copies of a volume.
    fn fmt_about_copies(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::VolumeUnknown { unseen } => write!(
                f,
                "no current copy of its volume was seen, and {unseen} was not seen either"
            ),
            Self::HandoffLost { from, to, guid } => write!(
                f,
                "its volume was handed to {to} with snapshot GUID {guid}, which {to} does not have at its end; it was given up by {from}"
            ),
            Self::OwnerHasNoCopy { owner, replica } => write!(
                f,
                "its volume is owned by {owner}, which has no dataset for it; the newest replica is on {replica}"
            ),
            Self::VolumeVanished { node } => write!(
                f,
                "its volume was on {node} when it was last deployed, and no node has a copy of it now"
            ),
            Self::ForeignDataset {
                node,
                dataset,
                newest,
                problem,
            } => {
                let newest = newest.map_or_else(
                    || "it has no snapshot".to_owned(),
                    |guid| format!("newest snapshot GUID {guid}"),
                );
                write!(
                    f,
                    "dataset {dataset} on {node}, where its volume would be, {problem} ({newest})"
                )
            }
            Self::ImportUnfinished { node, from } => write!(
                f,
                "the import of its volume from {from} on {node} is not finished"
            ),
            Self::ReplicaWritten { replica } => {
                write!(f, "the replica of its volume was written to on {replica}")
            }
            Self::NothingInCommon { owner, replica } => write!(
                f,
                "the copies of its volume have no snapshot in common: {owner}; {replica}"
            ),
            _ => self.fmt_about_owners(f),
        }
    }

    /// Writes what is wrong with the owner of a volume.
    fn fmt_about_owners(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnerUnseen {
                owner,
                name,
                answers,
                replica,
            } => {
                let owner = machine(*owner, name.as_ref());
                let how = absence(*answers);
                write!(
                    f,
                    "its volume is owned by {owner}, which {how}; the newest replica is on {replica}"
                )
            }
            Self::OwnersContradict { copies } => {
                let copies: Vec<String> = copies.iter().map(CopyDescription::to_string).collect();
                let copies = copies.join("; ");
                write!(f, "more than one node claims to own its volume: {copies}")
            }
            Self::Superseded {
                copy,
                epoch: Epoch::LAST,
                says,
                ..
            } => write!(
                f,
                "its volume is out of use here: {says} has forgotten {}, as the operator said that it \
                 is gone for good; the copy is {copy}",
                copy.node
            ),
            Self::Superseded {
                copy,
                owner,
                name,
                epoch,
                says,
            } => write!(
                f,
                "its volume has a later owner than {copy}: {says} knows that {} owns it in epoch {epoch}",
                machine(*owner, name.as_ref())
            ),
            Self::OwnerDoubted { doubt } => write!(f, "{doubt}"),
            _ => self.fmt_about_new_volumes(f),
        }
    }

    /// Writes why a volume that would be new may exist.
    fn fmt_about_new_volumes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NodeForgot { node, says } => {
                let evidence = match says {
                    Some(says) => format!("{says} knows it as a node of this one"),
                    None => "it has copies of a cluster's volumes".to_owned(),
                };
                write!(
                    f,
                    "no copy of its volume was seen, and {node} may have had one: {node} remembers no \
                     cluster, although {evidence}"
                )
            }
            Self::MachineUnknown { owner, node, copy } => write!(
                f,
                "no copy of its volume was seen, and a machine that no node remembers may have one: \
                 node {owner}, the owner of the volume of `{copy}` according to the copy on {node}"
            ),
            // Not about copies.
            _ => Ok(()),
        }
    }
}

/// Says that a machine was not seen, and whether it is there all the same.
const fn absence(answers: bool) -> &'static str {
    if answers {
        "answers, but could not be looked at"
    } else {
        "was not seen"
    }
}
