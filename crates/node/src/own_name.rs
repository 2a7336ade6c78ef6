//! Finding out what this node is called in a deployment.

use flocker_model::{Deployment, NodeName};
use flocker_net::observe_local_addresses;
use flocker_remote::protocol::StepFailure;

use crate::failure::{OrFailure as _, failure_of};

/// Finds the one node of `deployment` that has an address or the host name of this machine.
pub(crate) async fn find(deployment: &Deployment) -> Result<NodeName, StepFailure> {
    let addresses = observe_local_addresses().await.or_failure()?;
    let host = nix::unistd::gethostname().or_failed_to("the host name cannot be read")?;
    let host = host.to_string_lossy().into_owned();
    let is_own = |name: &&NodeName| match name.as_address() {
        Some(address) => addresses.iter().any(|local| local.address == address),
        None => name.as_str() == host || name.as_str().split('.').next() == Some(&host),
    };
    let own: Vec<&NodeName> = deployment.nodes.keys().filter(is_own).collect();
    match own.as_slice() {
        [name] => Ok((*name).clone()),
        [] => Err(failure_of(
            "no node of the deployment has an address or the host name of this machine; say which \
             one it is with --node",
        )),
        _ => Err(failure_of(
            "several nodes of the deployment have an address or the host name of this machine; say \
             which one it is with --node",
        )),
    }
}
