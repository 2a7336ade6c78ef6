//! How much a container may use, beside its memory and processors.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::checked::checked_text;
use super::devices::BlockIo;
use super::is_default;
use crate::ByteCount;

/// How much a container may use, beside `memory` and `cpu`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LimitOptions {
    /// The memory that it is left with when memory is scarce.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mem_reservation: Option<ByteCount>,
    /// How readily its memory is swapped, from 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mem_swappiness: Option<u8>,
    /// Memory and swap together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memswap_limit: Option<Upmost<ByteCount>>,
    /// Its weight against other containers where processors are scarce.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_shares: Option<u32>,
    /// The processors that it may run on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpuset: Option<CpuSet>,
    /// The number of its processes and threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pids_limit: Option<Upmost<u32>>,
    /// The size of `/dev/shm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shm_size: Option<ByteCount>,
    /// Limits of each process.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ulimits: BTreeMap<UlimitName, Ulimit>,
    /// How readily it is killed when the node runs out of memory, from -1000 to 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oom_score_adj: Option<i16>,
    /// Whether it waits instead of being killed when it reaches its limit of memory.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub oom_kill_disable: bool,
    /// Its use of disks.
    #[serde(default, skip_serializing_if = "is_default")]
    pub blkio_config: BlockIo,
    /// The control group that its own is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup_parent: Option<CgroupParent>,
    /// Options of Docker's storage driver for its root file system.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub storage_opt: BTreeMap<String, String>,
}

/// A limit that may also be lifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Upmost<T> {
    /// No limit.
    Unlimited,
    /// At most this much.
    At(T),
}

/// The two values of a limit of a process; -1 is no limit, and the first is never above the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(i64, i64)", into = "(i64, i64)")]
pub struct Ulimit {
    soft: i64,
    hard: i64,
}

impl Ulimit {
    /// Makes a limit; `None` if the soft one is above the hard one, or one of them below -1.
    pub fn new(soft: i64, hard: i64) -> Option<Self> {
        let is_ordered = hard == -1 || (soft != -1 && soft <= hard);
        (soft >= -1 && hard >= -1 && is_ordered).then_some(Self { soft, hard })
    }

    /// Returns what the process has at its start.
    pub const fn soft(self) -> i64 {
        self.soft
    }

    /// Returns how far the process may raise it.
    pub const fn hard(self) -> i64 {
        self.hard
    }
}

impl TryFrom<(i64, i64)> for Ulimit {
    type Error = &'static str;

    fn try_from((soft, hard): (i64, i64)) -> Result<Self, Self::Error> {
        Self::new(soft, hard).ok_or("the soft limit is above the hard one")
    }
}

impl From<Ulimit> for (i64, i64) {
    fn from(limit: Ulimit) -> Self {
        (limit.soft, limit.hard)
    }
}

checked_text! {
    /// The name of a limit of a process: `nofile`, `nproc`, …
    UlimitName, "limit", read_ulimit_name
}

checked_text! {
    /// Processors by their numbers: `0-3,5`.
    CpuSet, "set of processors", read_cpu_set
}

checked_text! {
    /// A control group, by its path or, with systemd's driver, the name of a slice.
    CgroupParent, "control group", read_cgroup_parent
}

/// The limits that Docker knows.
///
/// **Source**: `docker/go-units`, `ulimit.go`; `getrlimit(2)`.
const ULIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

impl UlimitName {
    /// Every name that there is.
    pub const ALL: &[&str] = &ULIMITS;
}

fn read_ulimit_name(text: &str) -> Result<String, &'static str> {
    if ULIMITS.contains(&text) {
        Ok(text.to_owned())
    } else {
        Err("is not a limit that Docker knows")
    }
}

fn read_cpu_set(text: &str) -> Result<String, &'static str> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten()
    };
    let is_sound = text.split(',').all(|part| match part.split_once('-') {
        None => number(part).is_some(),
        Some((first, last)) => match (number(first), number(last)) {
            (Some(first), Some(last)) => first <= last,
            _ => false,
        },
    });
    if is_sound {
        Ok(text.to_owned())
    } else {
        Err("is not a set of processors")
    }
}

fn read_cgroup_parent(text: &str) -> Result<String, &'static str> {
    if text.is_empty() {
        Err("is empty")
    } else if text.split('/').any(|part| part == "..") {
        Err("has a `..` in it")
    } else if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        Err("has a space or a control character in it")
    } else {
        Ok(text.to_owned())
    }
}
