//! The fate of writes that a machine has not flushed when its power is cut.
//!
//! QEMU hands a machine's writes to the host, whose memory outlives QEMU: after it is killed, the disk
//! has all of them, flushed or not. A real disk may lose what is in its own cache. Such a disk is made by
//! putting nbdkit between QEMU and the file. Its filter `cache` keeps writes in a file of its own, which
//! is gone with it, and hands them on when the machine flushes.
//!
//! **Source**: `nbdkit-cache-filter(1)`, `cache=writeback`; `qemu-block-drivers(7)`, NBD.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::node::{Node, NodeError};
use crate::recipe::ROOT_DISK_BYTES;

/// How large the file of a disk may become: as the larger disk of a node, with all of qcow2's tables. A
/// file that is served does not grow, and holes cost nothing.
const ROOM: u64 = ROOT_DISK_BYTES + (1 << 30);

/// The fate of writes that were not flushed when the power is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Unflushed {
    /// They are on the disk for the most part.
    #[default]
    Kept,
    /// They are lost, all of them.
    Lost,
}

/// Where the disk in `file` is served.
pub(crate) fn socket(file: &Path) -> PathBuf {
    file.with_extension("nbd")
}

/// Where the process is written that serves it.
fn process_id(file: &Path) -> PathBuf {
    file.with_extension("nbd.pid")
}

/// Everything after `nbdkit`.
fn arguments(file: &Path) -> [OsString; 9] {
    let mut served = OsString::from("file=");
    served.push(file);
    [
        "--unix".into(),
        socket(file).into(),
        "--pidfile".into(),
        process_id(file).into(),
        "--filter=cache".into(),
        "file".into(),
        served,
        "cache=writeback".into(),
        // As small as the guests' own: more than was written is not lost.
        "cache-min-block-size=4K".into(),
    ]
}

impl Node {
    /// Serves the disks, if the machine expects that.
    pub(crate) async fn serve_disks(&self) -> Result<(), NodeError> {
        for file in self.served_disks() {
            make_room(&file).map_err(self.failed("give the disk room"))?;
            // Nobody listens there after a power cut.
            match fs::remove_file(socket(&file)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(self.failed("remove the disk's socket")(error));
                }
                _ => {}
            }
            let mut command = Command::from(self.namespace.resident_command("nbdkit"));
            command.args(arguments(&file));
            self.run("serve a disk (package nbdkit)", command).await?;
        }
        Ok(())
    }

    /// Lists the processes that serve the disks, by their numbers in the lab's namespace.
    pub(crate) fn disk_servers(&self) -> Result<Vec<String>, NodeError> {
        let read = |file: &PathBuf| {
            let text = fs::read_to_string(process_id(file));
            let text = text.map_err(self.failed("find what serves the disk"))?;
            Ok(text.trim().to_owned())
        };
        self.served_disks().iter().map(read).collect()
    }

    fn served_disks(&self) -> Vec<PathBuf> {
        let machine = self.machine();
        match self.hardware.unflushed {
            Unflushed::Kept => Vec::new(),
            Unflushed::Lost => vec![machine.root_disk(), machine.pool_disk()],
        }
    }
}

fn make_room(file: &Path) -> io::Result<()> {
    let file = File::options().write(true).open(file)?;
    if file.metadata()?.len() < ROOM {
        file.set_len(ROOM)?;
    }
    Ok(())
}
