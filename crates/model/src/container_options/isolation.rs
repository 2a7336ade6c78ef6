//! The rights of a container, and the devices that it sees.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::checked::checked_text;
use super::devices::{CdiDevice, DeviceMapping, DeviceRule, GpuRequest};
use crate::MountPath;

/// The rights of a container, and the devices that it sees.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IsolationOptions {
    /// Device files of the node.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub devices: BTreeSet<DeviceMapping>,
    /// Devices by their names.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub cdi_devices: BTreeSet<CdiDevice>,
    /// Further devices that it may use.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub device_cgroup_rules: BTreeSet<DeviceRule>,
    /// Graphics processors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<GpuRequest>,
    /// Capabilities beside Docker's own choice.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub cap_add: BTreeSet<Capability>,
    /// Capabilities of Docker's choice that it lacks.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub cap_drop: BTreeSet<Capability>,
    /// Whether it may do everything that the node may.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub privileged: bool,
    /// Options of `AppArmor`, seccomp and the like.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub security_opt: BTreeSet<SecurityOption>,
    /// Kernel parameters of the container itself; those of its network are in [`NetworkIdentity`].
    ///
    /// [`NetworkIdentity`]: super::NetworkIdentity
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<ContainerSysctl, String>,
    /// Whether its root file system cannot be written.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// File systems in memory, by their mount points.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tmpfs: BTreeMap<MountPath, TmpfsOptions>,
    /// Whose users it has, if not those of Docker's choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userns_mode: Option<HostNamespace>,
    /// Docker's runtime for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<RuntimeName>,
    /// Whose shared memory and message queues it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipc: Option<IpcMode>,
    /// Whose processes it sees, if not only its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<HostNamespace>,
    /// Whose control groups it sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<NamespaceMode>,
}

/// The node's namespace, in the place of one of the container's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostNamespace {
    /// The node's.
    Host,
}

/// Whose namespace a container is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NamespaceMode {
    /// The node's.
    Host,
    /// Its own.
    Private,
}

/// Whose shared memory and message queues a container has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IpcMode {
    /// The node's.
    Host,
    /// Its own, without a `/dev/shm` that others could share.
    Private,
    /// Its own, which other containers may share.
    Shareable,
}

checked_text! {
    /// A capability of Linux, as Docker writes it: `NET_ADMIN`, or `ALL`.
    Capability, "capability", read_capability
}

checked_text! {
    /// An option of a security module, with a `=` between name and value.
    SecurityOption, "security option", read_security_option
}

checked_text! {
    /// A kernel parameter that each container has for itself, outside of its network.
    ContainerSysctl, "kernel parameter", read_container_sysctl
}

checked_text! {
    /// Options of a file system in memory: `size=64m,mode=1777`, or nothing.
    TmpfsOptions, "options", read_tmpfs_options
}

checked_text! {
    /// The name of a runtime that Docker's configuration on the node has.
    RuntimeName, "runtime", read_runtime
}

impl SecurityOption {
    /// Hides nothing of `/proc` and `/sys`. Docker's programs act on it, and its daemon does not know it.
    pub const SYSTEM_PATHS: &str = "systempaths=unconfined";
}

/// **Source**: `capabilities(7)`, Linux 6.12.
const CAPABILITIES: &[&str] = &[
    "ALL",
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
];

impl Capability {
    /// Every capability that there is.
    pub const ALL: &[&str] = CAPABILITIES;
}

fn read_capability(text: &str) -> Result<String, &'static str> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
    if CAPABILITIES.contains(&name) {
        Ok(name.to_owned())
    } else {
        Err("is not a capability of Linux")
    }
}

/// **Source**: Docker's reference, `docker run --security-opt`; the daemon's `parseSecurityOpt`.
fn read_security_option(text: &str) -> Result<String, &'static str> {
    let (name, value) = match text.split_once(['=', ':']) {
        Some((name, value)) => (name, value),
        None if text == "no-new-privileges" => (text, "true"),
        None => return Err("is not a security option that Docker knows"),
    };
    let is_boolean = matches!(value, "true" | "false");
    match name {
        "no-new-privileges" | "writable-cgroups" if !is_boolean => {
            Err("is neither `true` nor `false`")
        }
        "systempaths" if value != "unconfined" => Err("can only be `systempaths=unconfined`"),
        "apparmor" | "label" if value.is_empty() => Err("has no value"),
        "seccomp" if !matches!(value, "unconfined" | "builtin") && !value.starts_with('{') => {
            Err("names a file, which Docker does not read")
        }
        "no-new-privileges" | "writable-cgroups" | "systempaths" | "apparmor" | "label"
        | "seccomp" => Ok(format!("{name}={value}")),
        _ => Err("is not a security option that Docker knows"),
    }
}

/// **Source**: Docker's reference, "Configure namespaced kernel parameters (sysctls) at runtime".
fn read_container_sysctl(text: &str) -> Result<String, &'static str> {
    const KERNEL: [&str; 9] = [
        "domainname",
        "msgmax",
        "msgmnb",
        "msgmni",
        "sem",
        "shm_rmid_forced",
        "shmall",
        "shmmax",
        "shmmni",
    ];
    let name = text.replace('/', ".");
    let is_sound = |name: &str| {
        let sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        !name.is_empty() && name.chars().all(sign)
    };
    let is_own = match name.split_once('.') {
        Some(("kernel", rest)) => KERNEL.contains(&rest),
        Some(("fs", rest)) => rest.strip_prefix("mqueue.").is_some_and(is_sound),
        _ => false,
    };
    if is_own {
        Ok(name)
    } else {
        Err("is a kernel parameter of the whole node")
    }
}

/// **Source**: `tmpfs(5)`, `mount(8)`; moby's `mount.MergeTmpfsOptions`.
fn read_tmpfs_options(text: &str) -> Result<String, &'static str> {
    const FLAGS: &[&str] = &[
        "async",
        "atime",
        "defaults",
        "dev",
        "diratime",
        "dirsync",
        "exec",
        "mand",
        "noatime",
        "nodev",
        "nodiratime",
        "noexec",
        "nomand",
        "norelatime",
        "nostrictatime",
        "nosuid",
        "relatime",
        "remount",
        "ro",
        "rw",
        "strictatime",
        "suid",
        "sync",
    ];
    const VALUES: &[&str] = &[
        "size",
        "mode",
        "uid",
        "gid",
        "nr_inodes",
        "nr_blocks",
        "mpol",
    ];
    let is_known = |option: &str| match option.split_once('=') {
        Some((name, value)) => VALUES.contains(&name) && !value.is_empty(),
        None => FLAGS.contains(&option),
    };
    if text.is_empty() || text.split(',').all(is_known) {
        Ok(text.to_owned())
    } else {
        Err("has an option that file systems in memory do not have")
    }
}

fn read_runtime(text: &str) -> Result<String, &'static str> {
    let sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/');
    if text.is_empty() {
        Err("is empty")
    } else if text.chars().all(sign) {
        Ok(text.to_owned())
    } else {
        Err("has other characters than letters, digits, `.`, `_`, `-` and `/`")
    }
}
