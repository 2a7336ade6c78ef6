//! The virtual machine that a node is, as QEMU's arguments. Pure.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::accelerator::Accelerator;
use crate::identity::{NodeIndex, OPERATOR_ADDRESS, PREFIX_LENGTH};
use crate::unflushed::{Unflushed, socket};

/// What all nodes of a lab have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hardware {
    /// What runs the guests' instructions.
    pub accelerator: Accelerator,
    /// Memory of each node.
    pub memory_mebibytes: u32,
    /// The kernel that QEMU loads.
    pub kernel: PathBuf,
    /// Its initial RAM disk.
    pub initial_ram_disk: PathBuf,
    /// What the image's kernel has to be told.
    #[serde(default)]
    pub kernel_parameters: String,
    /// The fate of writes that were not flushed when the power is cut.
    #[serde(default)]
    pub unflushed: Unflushed,
    /// The line for root's `authorized_keys`.
    pub authorized_key: String,
}

/// One node's machine. Its disks, sockets and log are in `directory`.
#[derive(Debug, Clone)]
pub(crate) struct Machine<'a> {
    pub(crate) index: NodeIndex,
    pub(crate) hardware: &'a Hardware,
    pub(crate) directory: &'a Path,
}

/// How a machine begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// By booting.
    Cold,
    /// By waiting for a saved state on the monitor.
    Incoming,
}

impl Machine<'_> {
    pub(crate) fn root_disk(&self) -> PathBuf {
        self.directory.join("root.qcow2")
    }

    pub(crate) fn pool_disk(&self) -> PathBuf {
        self.directory.join("pool.qcow2")
    }

    pub(crate) fn monitor(&self) -> PathBuf {
        self.directory.join("monitor")
    }

    pub(crate) fn console(&self) -> PathBuf {
        self.directory.join("console")
    }

    pub(crate) fn console_log(&self) -> PathBuf {
        self.directory.join("console.log")
    }

    pub(crate) fn process_id(&self) -> PathBuf {
        self.directory.join("pid")
    }

    /// The kernel's command line: what every node needs, and who this one is.
    /// `init` in the image's recipe reads the `lab.` words.
    fn render_kernel_command_line(&self) -> String {
        let index = self.index;
        let mut words = vec![
            "console=ttyS0 quiet loglevel=4 panic=10 net.ifnames=0 tsc=nowatchdog".to_owned(),
            // Under emulation a second may pass without an instruction.
            "nowatchdog rcupdate.rcu_cpu_stall_suppress=1 mitigations=off".to_owned(),
            format!("lab.hostname={}", index.hostname()),
            format!("lab.machine_id={}", index.machine_id()),
            format!("lab.hostid={}", index.host_id()),
            format!("lab.address={}/{PREFIX_LENGTH}", index.address()),
            format!("lab.gateway={OPERATOR_ADDRESS}"),
            format!(
                "lab.key={}",
                encode_base64(self.hardware.authorized_key.as_bytes())
            ),
        ];
        if !self.hardware.kernel_parameters.is_empty() {
            words.push(self.hardware.kernel_parameters.clone());
        }
        words.join(" ")
    }

    /// Everything after `qemu-system-x86_64`. Source: qemu-system(1).
    ///
    /// The addresses on the PCI bus are given, so that a state saved by one
    /// machine fits the next whatever was plugged in and out meanwhile.
    pub(crate) fn render_arguments(&self, start: Start) -> Vec<String> {
        let mut arguments: Vec<String> = Vec::new();
        let mut add = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        let text = |path: &Path| escape_commas(path);
        add("-name", self.index.hostname());
        add("-machine", "pc,usb=off,vmport=off,hpet=off".to_owned());
        add("-m", self.hardware.memory_mebibytes.to_string());
        add("-rtc", "base=utc".to_owned());
        add("-display", "none".to_owned());
        add("-kernel", self.hardware.kernel.display().to_string());
        add(
            "-initrd",
            self.hardware.initial_ram_disk.display().to_string(),
        );
        add("-append", self.render_kernel_command_line());
        for (id, path, slot) in [
            ("root", self.root_disk(), "4"),
            ("pool", self.pool_disk(), "5"),
        ] {
            add("-drive", render_drive(id, &path, self.hardware.unflushed));
            add("-device", format!("virtio-blk-pci,drive={id},addr={slot}"));
        }
        let tap = self.index.tap();
        add(
            "-netdev",
            format!("tap,id=link,ifname={tap},script=no,downscript=no"),
        );
        let mac = self.index.hardware_address();
        add(
            "-device",
            format!("virtio-net-pci,netdev=link,id=card,mac={mac},addr=3,romfile="),
        );
        add("-device", "virtio-rng-pci,addr=6".to_owned());
        // Memory that the guest has freed is neither kept here nor saved.
        add(
            "-device",
            "virtio-balloon-pci,addr=7,free-page-reporting=on".to_owned(),
        );
        let (console, log) = (self.console(), self.console_log());
        add(
            "-chardev",
            format!(
                "socket,id=serial,path={},server=on,wait=off,logfile={},logappend=on",
                text(&console),
                text(&log)
            ),
        );
        add("-serial", "chardev:serial".to_owned());
        add(
            "-qmp",
            format!("unix:{},server=on,wait=off", text(&self.monitor())),
        );
        add("-pidfile", self.process_id().display().to_string());
        if start == Start::Incoming {
            add("-incoming", "defer".to_owned());
        }
        arguments.extend(self.hardware.accelerator.arguments().map(str::to_owned));
        arguments.extend(["-nodefaults", "-no-user-config", "-daemonize"].map(str::to_owned));
        arguments
    }
}

/// `writeback`: the file has all writes that the guest has flushed. A killed process may lose the others, and
/// loses them all where the disk is served.
fn render_drive(id: &str, path: &Path, unflushed: Unflushed) -> String {
    let disk = match unflushed {
        Unflushed::Kept => format!("file={},format=qcow2", escape_commas(path)),
        Unflushed::Lost => format!(
            "driver=qcow2,file.driver=nbd,file.server.type=unix,file.server.path={}",
            escape_commas(&socket(path))
        ),
    };
    format!("if=none,id={id},{disk},cache=writeback,discard=unmap")
}

/// QEMU splits its options at commas; a doubled one stands for itself.
fn escape_commas(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

/// Source: RFC 4648, section 4.
fn encode_base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for group in bytes.chunks(3) {
        let mut padded = [0; 3];
        padded[..group.len()].copy_from_slice(group);
        let [first, second, third] = padded.map(usize::from);
        let sextets = [
            first >> 2,
            (first << 4 | second >> 4) & 63,
            (second << 2 | third >> 6) & 63,
            third & 63,
        ];
        for (position, sextet) in sextets.into_iter().enumerate() {
            let letter = if position <= group.len() {
                ALPHABET[sextet]
            } else {
                b'='
            };
            encoded.push(char::from(letter));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hardware(accelerator: Accelerator) -> Hardware {
        Hardware {
            accelerator,
            memory_mebibytes: 1280,
            kernel: "/cache/images/0/kernel".into(),
            initial_ram_disk: "/cache/images/0/initrd".into(),
            kernel_parameters: String::new(),
            unflushed: Unflushed::Kept,
            authorized_key: "ssh-ed25519 AAAA lab".to_owned(),
        }
    }

    fn rendered(accelerator: Accelerator, start: Start) -> String {
        let machine = Machine {
            index: NodeIndex::try_from(1).unwrap(),
            hardware: &hardware(accelerator),
            directory: Path::new("/cache/labs/a,b/node1"),
        };
        let arguments = machine.render_arguments(start);
        let mut lines = String::new();
        for argument in arguments {
            let separator = if argument.starts_with('-') { "\n" } else { " " };
            lines.push_str(separator);
            lines.push_str(&argument);
        }
        lines
    }

    #[test]
    fn a_translated_machine_that_boots() {
        insta::assert_snapshot!(rendered(Accelerator::Tcg, Start::Cold));
    }

    #[test]
    fn a_native_machine_that_resumes() {
        insta::assert_snapshot!(rendered(Accelerator::Kvm, Start::Incoming));
    }

    #[test]
    fn an_image_has_the_last_word_on_the_kernels_command_line() {
        let hardware = Hardware {
            kernel_parameters: "init=/nix/store/x/init".to_owned(),
            ..hardware(Accelerator::Tcg)
        };
        let machine = Machine {
            index: NodeIndex::FIRST,
            hardware: &hardware,
            directory: Path::new("/"),
        };
        let line = machine.render_kernel_command_line();
        assert!(line.ends_with(" init=/nix/store/x/init"), "{line}");
    }

    #[test]
    fn base64_as_in_the_rfc() {
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode_base64(plain.as_bytes()), encoded);
        }
    }
}
