//! Who this node is: by its own directory, and by the pool that its volumes are in.
//!
//! Volumes are owned by an identity. If a node made a new one up after its directory was lost, the
//! volumes that it owns would look like replicas of an owner that is gone, and a replica elsewhere
//! could take their place. So the dataset of the volumes has the identity, too (`flocker:node`), and a
//! node to which nothing was deployed yet takes it from there.

use flocker_model::{NodeId, PoolState};
use flocker_remote::protocol::StepFailure;
use flocker_zfs::NodeMark;

use crate::failure::{OrFailure as _, failure_of};
use crate::machine::Machine;
use crate::platform::{Platform, Volumes as _};
use crate::store::Store;

/// Finds out who the node is, and makes an identity up if nothing says so.
///
/// `mark` says which node `dataset` belongs to. It is looked at only if nothing was deployed to this
/// node yet: the identity that such a node made up, with the pool out of sight, means nothing to
/// anybody.
pub(crate) async fn settle(
    store: &Store,
    (dataset, mark): (&str, impl Future<Output = NodeMark>),
) -> Result<NodeId, StepFailure> {
    let recorded = store.node_id().or_failure()?;
    if let Some(id) = recorded
        && !store.is_new().or_failure()?
    {
        return Ok(id);
    }
    match (mark.await, recorded) {
        (NodeMark::Node(id), recorded) => {
            if recorded != Some(id) {
                store.set_node_id(id).or_failure()?;
                tracing::warn!("this node takes its identity {id} from the dataset {dataset}");
            }
            Ok(id)
        }
        (NodeMark::Damaged(text), _) => Err(damaged(dataset, &text)),
        (NodeMark::Unknown | NodeMark::Absent, _) => store.make_node_id().or_failure(),
    }
}

impl<P: Platform> Machine<P> {
    /// Makes sure that the pool is this node's, and has it say so.
    pub(crate) async fn keep_identity(
        &self,
        pool: &PoolState,
        mark: &NodeMark,
    ) -> Result<(), StepFailure> {
        match mark {
            NodeMark::Node(id) if *id != self.id => Err(self.not_ours(&pool.dataset, *id)),
            NodeMark::Damaged(text) => Err(damaged(&pool.dataset, text)),
            NodeMark::Node(_) | NodeMark::Unknown => Ok(()),
            NodeMark::Absent => {
                if let Err(failure) = self.volumes.mark_pool().await {
                    // The next look tries again.
                    tracing::info!(?failure, "the pool does not say whose it is");
                }
                Ok(())
            }
        }
    }

    /// Refuses a pool of another node. Which of the two identities is right, only the operator knows.
    fn not_ours(&self, dataset: &str, id: NodeId) -> StepFailure {
        let file = self.store.node_id_path();
        let file = file.display();
        StepFailure {
            hint: Some(format!(
                "if this machine is node {id}, and {file} is from another machine or was made anew, \
                 `echo {id} > {file}` here; if the pool came from another machine that does not need \
                 it back, `zfs set flocker:node={} {dataset}` here: its volumes become replicas on this \
                 node",
                self.id
            )),
            ..failure_of(format!(
                "the dataset {dataset} belongs to node {id}, and this machine is node {} by {file}",
                self.id
            ))
        }
    }
}

/// Refuses a pool that belongs to something that is not a node.
fn damaged(dataset: &str, text: &str) -> StepFailure {
    StepFailure {
        hint: Some(format!(
            "write the identity of this node there, `zfs set flocker:node=ID {dataset}`: \
             `zfs get -r flocker:ownership,flocker:owner {dataset}` shows who owned its volumes"
        )),
        ..failure_of(format!(
            "the property flocker:node of the dataset {dataset} is {text:?}, which is not a node's \
             identity"
        ))
    }
}
