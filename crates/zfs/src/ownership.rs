//! The property that says who owns a volume: owner, epoch and hand-off in one.
//!
//! One property, because `zfs set` of several is not atomic when it fails: ZFS then sets each by
//! itself, and keeps those that it can set. An owner without its epoch could claim another's.
//!
//! **Source**: `zfs_set_prop_nvlist` (`OpenZFS`): "If this fails, we still want to set as many
//! properties as we can, so try setting them individually."
//!
//! Earlier releases had three properties, which are still read. The one property alone counts where
//! it is set, whatever the three say: they are cleared after it, by a command of their own, which a
//! crash may prevent.

use std::fmt;

use flocker_model::{Epoch, NodeId, SnapshotGuid};
use uuid::Uuid;

use crate::command::CommandFailed;
use crate::handoff::set;
use crate::listing::{ListedDataset, Property};

/// Who owns a volume.
pub(crate) const OWNERSHIP: &str = "flocker:ownership";

/// In earlier releases, the node that owns the volume.
const OLD_OWNER: &str = "flocker:owner";
/// In earlier releases, the owner's epoch.
const OLD_EPOCH: &str = "flocker:epoch";
/// In earlier releases, on the copy that was released: the snapshot that the next owner must hold.
const OLD_HANDOFF: &str = "flocker:handoff";

/// How an absent user property is written, so that clearing one needs no second command.
pub(crate) const NONE: &str = "-";

/// Who owns a volume, as one of its copies says.
///
/// Written `owner=UUID,epoch=3`, and on the copy that was released with `,handoff=GUID`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ownership {
    /// The owner.
    pub(crate) owner: NodeId,
    /// The owner's epoch.
    pub(crate) epoch: Epoch,
    /// On the copy that was released: the snapshot that the next owner must hold.
    pub(crate) handoff: Option<SnapshotGuid>,
}

impl fmt::Display for Ownership {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "owner={},epoch={}", self.owner, self.epoch)?;
        match self.handoff {
            Some(guid) => write!(formatter, ",handoff={guid}"),
            None => Ok(()),
        }
    }
}

impl Ownership {
    /// The ownership of a volume that was not handed off.
    pub(crate) const fn new(owner: NodeId, epoch: Epoch) -> Self {
        Self {
            owner,
            epoch,
            handoff: None,
        }
    }

    /// Writes it as a property.
    pub(crate) fn property(self) -> (&'static str, String) {
        (OWNERSHIP, self.to_string())
    }

    /// Reads what a dataset says; `None` if that is nothing. Fails with what is wrong, as the end of
    /// a sentence.
    pub(crate) fn of(listed: &ListedDataset) -> Result<Option<Self>, String> {
        let Some(found) = listed.property(OWNERSHIP) else {
            return Self::of_old(listed);
        };
        let text = set_here(OWNERSHIP, found)?;
        match Self::parse(text) {
            Some(ownership) => Ok(Some(ownership)),
            None => Err(format!("has an unreadable `{OWNERSHIP}`: `{text}`")),
        }
    }

    /// Reads the value of the property; `None` for any but the exact text.
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split(',');
        let mut field = |name: &str| fields.next()?.strip_prefix(name)?.strip_prefix('=');
        let owner = NodeId(Uuid::parse_str(field("owner")?).ok()?);
        let epoch = Epoch(field("epoch")?.parse().ok()?);
        let handoff = field("handoff").and_then(|guid| guid.parse().ok());
        let parsed = Self {
            owner,
            epoch,
            handoff: handoff.map(SnapshotGuid),
        };
        // So that nothing is read as less than it says.
        (parsed.to_string() == text).then_some(parsed)
    }

    /// Reads the three properties of earlier releases.
    fn of_old(listed: &ListedDataset) -> Result<Option<Self>, String> {
        let (owner, epoch) = match (listed.property(OLD_OWNER), listed.property(OLD_EPOCH)) {
            (None, None) => return Ok(None),
            (Some(_), None) => return Err(format!("has `{OLD_OWNER}` but no `{OLD_EPOCH}`")),
            (None, Some(_)) => return Err(format!("has `{OLD_EPOCH}` but no `{OLD_OWNER}`")),
            (Some(owner), Some(epoch)) => {
                (set_here(OLD_OWNER, owner)?, set_here(OLD_EPOCH, epoch)?)
            }
        };
        let owner = Uuid::parse_str(owner)
            .map(NodeId)
            .map_err(|_| format!("has an `{OLD_OWNER}` that is no node's id: `{owner}`"))?;
        let epoch = epoch
            .parse()
            .map(Epoch)
            .map_err(|_| format!("has an `{OLD_EPOCH}` that is no number: `{epoch}`"))?;
        let handoff = listed
            .property(OLD_HANDOFF)
            .filter(|found| found.is_local());
        let handoff = match handoff.map(|found| (found, found.value.parse())) {
            None => None,
            Some((_, Ok(guid))) => Some(SnapshotGuid(guid)),
            Some((found, Err(_))) => {
                return Err(format!(
                    "has a `{OLD_HANDOFF}` that is no snapshot's guid: `{}`",
                    found.value
                ));
            }
        };
        Ok(Some(Self {
            owner,
            epoch,
            handoff,
        }))
    }
}

/// Tells whether a dataset has properties of earlier releases.
pub(crate) fn has_old_form(listed: &ListedDataset) -> bool {
    let old = [OLD_OWNER, OLD_EPOCH, OLD_HANDOFF];
    let mut found = old.iter().filter_map(|name| listed.property(name));
    found.any(Property::is_local)
}

/// Writes the properties of earlier releases as absent.
pub(crate) fn without_old_form() -> [(&'static str, String); 3] {
    [OLD_OWNER, OLD_EPOCH, OLD_HANDOFF].map(|name| (name, NONE.to_owned()))
}

/// Says who owns a volume, together with further properties.
///
/// Where earlier releases said it as well, that is cleared, so that none of them believes it should
/// it be installed again; only afterwards, so that no failure leaves neither.
pub(crate) async fn set_ownership(
    dataset: &str,
    ownership: Ownership,
    (others, has_old_form): (&[(&'static str, String)], bool),
) -> Result<(), CommandFailed> {
    let mut properties = vec![ownership.property()];
    properties.extend_from_slice(others);
    set(dataset, &properties).await?;
    if has_old_form {
        clear_old_form(dataset).await;
    }
    Ok(())
}

/// Clears the properties of earlier releases. A failure is only logged: they do not count.
pub(crate) async fn clear_old_form(dataset: &str) {
    if let Err(error) = set(dataset, &without_old_form()).await {
        tracing::info!(%error, "properties of an earlier release stay on {dataset}");
    }
}

/// Returns the value of a property that was set on the dataset itself.
fn set_here<'a>(name: &str, property: &'a Property) -> Result<&'a str, String> {
    if property.is_local() {
        return Ok(&property.value);
    }
    Err(match property.source.as_str() {
        "received" => format!("got `{name}` from a `zfs receive` that was not Flocker's"),
        source => format!("was not made by Flocker: `{name}` is {source}"),
    })
}

#[cfg(test)]
mod tests;
