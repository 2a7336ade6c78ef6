//! Whether KVM works here, found out by using it.
//!
//! `/dev/kvm` may exist and still run no stock guest: a paravirtual-only KVM
//! lets QEMU spin for ever or abort setting a register. So a kernel is booted
//! for a moment; only its own first lines on the serial port count.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::cache::Cache;
use crate::progress::Progress;

/// How long a guest may take to reach the end of its kernel's start. KVM
/// needs about one second; half a minute of spinning teaches nothing more.
const PATIENCE: Duration = Duration::from_secs(5);

/// What runs the guests' instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accelerator {
    /// The processor itself.
    Kvm,
    /// QEMU's translator: about ten times slower, but it works everywhere.
    Tcg,
}

impl fmt::Display for Accelerator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Kvm => "KVM",
            Self::Tcg => "TCG",
        })
    }
}

impl Accelerator {
    /// Finds out what works, and remembers it until the machine is booted
    /// again. `FLOCKER_LAB_ACCELERATOR` (`kvm` or `tcg`) overrides it.
    pub async fn detect(cache: &Cache, kernel: &Path, progress: &Progress) -> Self {
        match std::env::var("FLOCKER_LAB_ACCELERATOR").as_deref() {
            Ok("kvm") => return Self::Kvm,
            Ok("tcg") => return Self::Tcg,
            _ => {}
        }
        if !Path::new("/dev/kvm").exists() {
            return Self::Tcg;
        }
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let remembered = cache.root().join("accelerator");
        let known = fs::read_to_string(&remembered).unwrap_or_default();
        match known.strip_prefix(boot.as_str()) {
            Some("kvm") if !boot.is_empty() => return Self::Kvm,
            Some("tcg") if !boot.is_empty() => return Self::Tcg,
            _ => {}
        }
        let _step = progress.step("finding out whether KVM really works here");
        let found = if boots_with_kvm(kernel).await {
            Self::Kvm
        } else {
            progress.say("  /dev/kvm runs no guest, so instructions are translated (TCG)");
            Self::Tcg
        };
        let word = if found == Self::Kvm { "kvm" } else { "tcg" };
        if let Err(error) = fs::write(&remembered, format!("{boot}{word}")) {
            tracing::debug!(%error, "the next lab tries KVM again");
        }
        found
    }

    /// QEMU's arguments for it.
    pub(crate) fn arguments(self) -> [&'static str; 6] {
        match self {
            Self::Kvm => ["-accel", "kvm", "-cpu", "host", "-smp", "2"],
            // A plain processor model boots faster than `max`, whose features
            // the kernel tries out one by one. What Docker, ZFS and systemd
            // run does not fit into the 256 MiB of translations that are the
            // rule, and all of them are made again whenever they are full.
            Self::Tcg => [
                "-accel",
                "tcg,thread=multi,tb-size=1024",
                "-cpu",
                "Nehalem",
                "-smp",
                "1",
            ],
        }
    }
}

async fn boots_with_kvm(kernel: &Path) -> bool {
    match tokio::time::timeout(PATIENCE, reaches_root_mount(kernel)).await {
        Ok(Ok(reached)) => reached,
        Ok(Err(error)) => {
            tracing::debug!(%error, "QEMU could not be tried");
            false
        }
        Err(_) => false,
    }
}

/// Boots the kernel without any disk. It has run to its end when it complains
/// that it has nothing to mount.
async fn reaches_root_mount(kernel: &Path) -> io::Result<bool> {
    let mut child = Command::new("qemu-system-x86_64")
        .args(["-nodefaults", "-no-user-config", "-display", "none"])
        .args(["-machine", "pc", "-m", "256", "-no-reboot"])
        .args(["-accel", "kvm", "-cpu", "host", "-serial", "stdio"])
        .args(["-append", "console=ttyS0 panic=-1"])
        .arg("-kernel")
        .arg(kernel)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let Some(console) = child.stdout.take() else {
        return Ok(false);
    };
    let mut lines = BufReader::new(console).split(b'\n');
    let mut reached = false;
    while let Some(line) = lines.next_segment().await? {
        reached |= String::from_utf8_lossy(&line).contains("Unable to mount root fs");
        if reached {
            break;
        }
    }
    child.kill().await?;
    Ok(reached)
}
