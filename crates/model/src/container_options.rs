//! What a container is given beside its image, data and ports, as Docker takes it.
//!
//! Every field that is unset is left out of the JSON text, because the digest of a
//! [`ContainerSpecification`] covers that text: see there.
//!
//! [`ContainerSpecification`]: crate::ContainerSpecification

mod checked;
mod devices;
mod isolation;
mod limits;
mod network;
mod process;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use devices::{
    BlockIo, CdiDevice, DeviceMapping, DeviceRate, DeviceRule, GpuRequest, GpuSelection,
};
pub use isolation::{
    Capability, ContainerSysctl, HostNamespace, IpcMode, IsolationOptions, NamespaceMode,
    RuntimeName, SecurityOption, TmpfsOptions,
};
pub use limits::{CgroupParent, CpuSet, LimitOptions, Ulimit, UlimitName, Upmost};
pub use network::{
    ExtraHost, HostAddress, HostName, NetworkIdentity, NetworkSysctl, ResolverOption, SearchDomain,
};
pub use process::{ContainerUser, ProcessOptions, WorkingDirectory};

use checked::checked_text;

/// Everything that Flocker passes on to Docker as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ContainerOptions {
    /// How the process is run.
    #[serde(default, skip_serializing_if = "is_default")]
    pub process: ProcessOptions,
    /// How much it may use.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: LimitOptions,
    /// Its rights, and the devices that it sees.
    #[serde(default, skip_serializing_if = "is_default")]
    pub isolation: IsolationOptions,
    /// Its names, and where it looks names up.
    #[serde(default, skip_serializing_if = "is_default")]
    pub network: NetworkIdentity,
    /// Labels of the container.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<LabelName, String>,
    /// Annotations that the container's runtime is given.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<LabelName, String>,
}

impl ContainerOptions {
    /// Tells whether nothing is set.
    pub fn is_unset(&self) -> bool {
        is_default(self)
    }
}

/// Tells whether nothing of a group is set, so that it is left out of the JSON text.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

checked_text! {
    /// The name of a label or annotation.
    ///
    /// Names that begin with `flocker.` are Flocker's own.
    LabelName, "label", read_label_name
}

fn read_label_name(text: &str) -> Result<String, &'static str> {
    if text.is_empty() {
        Err("is empty")
    } else if text.starts_with("flocker.") {
        Err("begins with `flocker.`, which is for Flocker's own labels")
    } else if text.contains('=') || text.chars().any(char::is_control) {
        Err("has a `=` or a control character in it")
    } else {
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests;
