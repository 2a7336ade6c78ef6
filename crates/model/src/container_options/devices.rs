//! Devices of the node that a container is given.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::checked::checked_text;
use crate::{ByteCount, MountPath};

/// A device file of the node that a container sees.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeviceMapping {
    /// Where the node has it: a device, or a directory of devices.
    pub source: MountPath,
    /// Where the container sees it.
    pub target: MountPath,
    /// May the container read, write or make it: some of `rwm`.
    pub permissions: String,
}

checked_text! {
    /// A device by the name that the Container Device Interface gives it: `vendor.com/gpu=0`.
    CdiDevice, "device", read_cdi_device
}

checked_text! {
    /// A rule for devices as control groups have it: `c 1:3 rwm`.
    DeviceRule, "rule for devices", read_device_rule
}

/// Graphics processors that a container asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuRequest {
    /// The driver, such as `nvidia`; Docker chooses one by the capabilities if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Which of them.
    pub selection: GpuSelection,
    /// What the driver must be able to do, beside `gpu`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub capabilities: BTreeSet<String>,
    /// Options of the driver.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

/// Which graphics processors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GpuSelection {
    /// All of the node.
    All,
    /// As many.
    Count(u32),
    /// Those of these names.
    Devices(Vec<String>),
}

/// How much a container may use disks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BlockIo {
    /// Its weight against other containers, from 10 to 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u16>,
    /// Its weight for single disks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub weight_device: BTreeMap<MountPath, u16>,
    /// The most bytes that it may read in a second.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub device_read_bps: Vec<DeviceRate>,
    /// The most bytes that it may write in a second.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub device_write_bps: Vec<DeviceRate>,
    /// How often it may read in a second.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub device_read_iops: Vec<DeviceRate>,
    /// How often it may write in a second.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub device_write_iops: Vec<DeviceRate>,
}

/// The most that may be done with a disk in a second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRate {
    /// The disk's device file on the node.
    pub path: MountPath,
    /// Bytes, or operations.
    pub rate: ByteCount,
}

/// **Source**: Container Device Interface Specification, "Kind requirements" and "CDI JSON".
fn read_cdi_device(text: &str) -> Result<String, &'static str> {
    let is_name = |text: &str| {
        let sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(sign)
    };
    let parts = text
        .split_once('/')
        .and_then(|(vendor, rest)| Some((vendor, rest.split_once('=')?)));
    match parts {
        Some((vendor, (class, name)))
            if is_name(vendor) && is_name(class) && is_name(&name.replace(':', "-")) =>
        {
            Ok(text.to_owned())
        }
        _ => Err("is neither a path nor a name like `vendor.com/gpu=0`"),
    }
}

/// **Source**: Docker's reference, `docker run --device-cgroup-rule`.
fn read_device_rule(text: &str) -> Result<String, &'static str> {
    let is_number =
        |text: &str| text == "*" || (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
    let words: Vec<&str> = text.split(' ').collect();
    let is_sound = match words.as_slice() {
        [kind, numbers, permissions] => {
            matches!(*kind, "a" | "b" | "c")
                && matches!(numbers.split_once(':'), Some((major, minor))
                    if is_number(major) && is_number(minor))
                && is_permissions(permissions)
        }
        _ => false,
    };
    if is_sound {
        Ok(text.to_owned())
    } else {
        Err("is not a rule like `c 1:3 rwm`")
    }
}

impl DeviceMapping {
    /// What may be done with a device where nothing is said.
    pub const ALL_PERMISSIONS: &str = "rwm";

    /// Tells whether `text` says what a container may do with a device.
    pub fn is_permissions(text: &str) -> bool {
        is_permissions(text)
    }
}

fn is_permissions(text: &str) -> bool {
    let is_once = |c: char| matches!(c, 'r' | 'w' | 'm') && text.matches(c).count() == 1;
    !text.is_empty() && text.chars().all(is_once)
}
