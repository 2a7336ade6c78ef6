//! One running node, and what can be done to it from outside.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;
use std::net::Ipv4Addr;
use tokio::process::Command;
use tokio::time::sleep;

use crate::identity::NodeIndex;
use crate::machine::{Hardware, Machine, Start};
use crate::monitor::{Monitor, MonitorError};
use crate::namespace::Namespace;
use crate::operator::OperatorHome;
use crate::ssh::SshError;

/// How long a node may take to boot. A translated one that shares two
/// processors with a compiler takes up to three minutes.
const BOOT_PATIENCE: Duration = Duration::from_secs(420);

/// A node did not start, stop or change as told.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A program is missing, or a socket is gone.
    #[error("{action} for {node}")]
    Run {
        /// What was tried.
        action: &'static str,
        /// For which node.
        node: NodeIndex,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// QEMU or one of its tools failed.
    #[error("{action} for {node} failed: {said}")]
    Failed {
        /// What was tried.
        action: &'static str,
        /// For which node.
        node: NodeIndex,
        /// What the program said.
        said: String,
    },
    /// QEMU did not obey.
    #[error("{node}")]
    Monitor {
        /// Which node.
        node: NodeIndex,
        /// What went wrong on its monitor.
        #[source]
        source: MonitorError,
    },
    /// SSH does not answer.
    #[error("{node} does not answer over SSH within {} s: {last}; see {}", BOOT_PATIENCE.as_secs(), .console.display())]
    Silent {
        /// Which node.
        node: NodeIndex,
        /// The last answer of `ssh`.
        last: String,
        /// The log of its serial console.
        console: PathBuf,
    },
    /// A command on the node failed.
    #[error(transparent)]
    Ssh(#[from] SshError),
}

/// One node of a lab. All that is known of it is on disk, so that another
/// process can reach it in the same way.
#[derive(Debug, Clone)]
pub struct Node {
    pub(crate) index: NodeIndex,
    pub(crate) hardware: Hardware,
    /// Disks, sockets and logs.
    pub(crate) directory: PathBuf,
    pub(crate) namespace: Namespace,
    pub(crate) home: OperatorHome,
}

impl Node {
    /// Which node it is.
    pub fn index(&self) -> NodeIndex {
        self.index
    }

    /// The host name.
    pub fn name(&self) -> String {
        self.index.hostname()
    }

    /// The address on the lab's network.
    pub fn address(&self) -> Ipv4Addr {
        self.index.address()
    }

    /// The log of the serial console, which grows over restarts.
    pub fn console_log(&self) -> PathBuf {
        self.machine().console_log()
    }

    /// The socket of the serial console, with a root shell behind it.
    pub fn console_socket(&self) -> PathBuf {
        self.machine().console()
    }

    /// Takes the power away. The node may lose writes that it has not flushed
    /// to its disks; with [`Unflushed::Lost`](crate::Unflushed::Lost), it loses all of them.
    ///
    /// # Errors
    /// When the machine is not running.
    pub async fn power_cut(&self) -> Result<(), NodeError> {
        let path = self.machine().process_id();
        let pid = std::fs::read_to_string(&path).map_err(self.failed("find the machine"))?;
        let servers = self.disk_servers()?;
        // The number is one of the lab's own namespace, where nothing else can
        // have it.
        let mut command = Command::from(self.namespace.resident_command("kill"));
        command.args(["-KILL", pid.trim()]).args(servers);
        self.run("cut the power", command).await?;
        while Monitor::connect(&self.machine().monitor()).await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
        self.forget_connection();
        std::fs::remove_file(&path).map_err(self.failed("forget the machine"))
    }

    /// Switches the node on and waits until it answers over SSH.
    ///
    /// # Errors
    /// When QEMU does not start or the node does not answer.
    pub async fn power_on(&self) -> Result<(), NodeError> {
        self.switch_on().await?;
        self.wait_for_ssh().await
    }

    /// Switches the node on and returns at once.
    ///
    /// # Errors
    /// When QEMU does not start.
    pub async fn switch_on(&self) -> Result<(), NodeError> {
        self.forget_connection();
        self.start_machine(Start::Cold).await
    }

    /// Whether the machine is switched on.
    pub async fn is_on(&self) -> bool {
        Monitor::connect(&self.machine().monitor()).await.is_ok()
    }

    /// Pulls the network cable or plugs it in again.
    ///
    /// # Errors
    /// When the machine is not running.
    pub async fn cut_link(&self, cut: bool) -> Result<(), NodeError> {
        self.order("set_link", json!({ "name": "link", "up": !cut }))
            .await
    }

    /// Makes the node's packets vanish, in both directions and with the cable plugged in, or lets
    /// them through again.
    ///
    /// # Errors
    /// When the lab has ended.
    pub async fn stall_link(&self, stalled: bool) -> Result<(), NodeError> {
        let mut command = Command::from(self.namespace.operator_command("ip"));
        command.args(["link", "set", &self.index.tap()]);
        command.args(if stalled {
            &["nomaster"][..]
        } else {
            &["master", "lab0"]
        });
        self.run("take the node off the network, or put it there", command)
            .await
    }

    /// Stops the node's processor, as an overloaded host does, until
    /// [`Node::go_on`].
    ///
    /// # Errors
    /// When the machine is not running.
    pub async fn stall(&self) -> Result<(), NodeError> {
        self.order("stop", json!({})).await
    }

    /// Lets a stalled node go on.
    ///
    /// # Errors
    /// When the machine is not running.
    pub async fn go_on(&self) -> Result<(), NodeError> {
        self.order("cont", json!({})).await
    }

    /// Waits until the node answers over SSH, however it came to run.
    ///
    /// # Errors
    /// When it does not within minutes.
    pub async fn wait_for_ssh(&self) -> Result<(), NodeError> {
        self.wait_for(async || self.connect(None).await).await
    }

    /// Waits until a node answers that nobody has seen before, and stores its
    /// host keys. Nobody else is on its network.
    pub(crate) async fn meet(&self, known_hosts: &Path) -> Result<(), NodeError> {
        self.wait_for(async || self.connect(Some(known_hosts)).await)
            .await?;
        let learnt = self.home.learn(known_hosts);
        learnt.map_err(|error| self.failed("store the host keys")(io::Error::other(error)))
    }

    async fn wait_for(
        &self,
        answers: impl AsyncFn() -> Result<(), SshError>,
    ) -> Result<(), NodeError> {
        let began = Instant::now();
        loop {
            let last = match answers().await {
                Ok(()) => return Ok(()),
                Err(SshError::Unreachable { said, .. }) => said,
                Err(error) => return Err(error.into()),
            };
            if began.elapsed() > BOOT_PATIENCE {
                return Err(NodeError::Silent {
                    node: self.index,
                    last,
                    console: self.console_log(),
                });
            }
            if !self.is_on().await {
                return Err(NodeError::Failed {
                    action: "wait until SSH answers",
                    node: self.index,
                    said: format!("the machine is off; see {}", self.console_log().display()),
                });
            }
            sleep(Duration::from_millis(250)).await;
        }
    }

    /// Gives the node an additional read-only disk, which appears as
    /// `/dev/disk/by-id/virtio-NAME`.
    ///
    /// # Errors
    /// When QEMU refuses it.
    pub async fn attach_disk(&self, name: &str, image: &Path) -> Result<(), NodeError> {
        let mut monitor = self.monitor().await?;
        let file = json!({
            "node-name": name,
            "driver": "raw",
            "read-only": true,
            "file": { "driver": "file", "filename": image.display().to_string() },
        });
        let device = json!({
            "driver": "virtio-blk-pci", "id": format!("{name}-device"), "drive": name, "serial": name,
        });
        for (command, arguments) in [("blockdev-add", file), ("device_add", device)] {
            let done = monitor.execute(command, arguments).await;
            done.map_err(self.refused())?;
        }
        Ok(())
    }

    /// Takes a disk away that [`Node::attach_disk`] gave.
    ///
    /// # Errors
    /// When there is none or the node holds on to it.
    pub async fn detach_disk(&self, name: &str) -> Result<(), NodeError> {
        let device = format!("{name}-device");
        let mut monitor = self.monitor().await?;
        let asked = monitor.execute("device_del", json!({ "id": device })).await;
        asked.map_err(self.refused())?;
        let gone = monitor.event("DEVICE_DELETED", |data| data["device"] == *device);
        gone.await.map_err(self.refused())?;
        let deleted = monitor
            .execute("blockdev-del", json!({ "node-name": name }))
            .await;
        deleted.map(drop).map_err(self.refused())
    }

    /// Starts the machine from a saved state, and sets its clock.
    pub(crate) async fn resume(&self, state: &Path) -> Result<(), NodeError> {
        self.start_machine(Start::Incoming).await?;
        let mut monitor = self.monitor().await?;
        monitor.resume(state).await.map_err(self.refused())?;
        drop(monitor);
        self.wait_for_ssh().await?;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        // Two labs that start from one state must not draw the same numbers.
        let stir = "head -c 256 /dev/hwrng >/dev/urandom";
        self.check(&format!("date -u -s @{} >/dev/null; {stir}", now.as_secs()))
            .await?;
        Ok(())
    }

    /// Saves the machine's state and switches it off.
    pub(crate) async fn save(&self, state: &Path) -> Result<(), NodeError> {
        self.check("sync").await?;
        let mut monitor = self.monitor().await?;
        monitor.save(state).await.map_err(self.refused())?;
        match monitor.execute("quit", json!({})).await {
            // It may be gone before it has answered.
            Ok(_) | Err(MonitorError::Lost { .. }) => {}
            Err(error) => return Err(self.refused()(error)),
        }
        while self.is_on().await {
            sleep(Duration::from_millis(20)).await;
        }
        self.forget_connection();
        Ok(())
    }

    pub(crate) fn machine(&self) -> Machine<'_> {
        Machine {
            index: self.index,
            hardware: &self.hardware,
            directory: &self.directory,
        }
    }

    pub(crate) async fn start_machine(&self, start: Start) -> Result<(), NodeError> {
        self.serve_disks().await?;
        let mut command = Command::from(self.namespace.resident_command("qemu-system-x86_64"));
        command.args(self.machine().render_arguments(start));
        self.run("start QEMU (package qemu-system-x86)", command)
            .await
    }

    pub(crate) async fn run(
        &self,
        action: &'static str,
        mut command: Command,
    ) -> Result<(), NodeError> {
        let output = command.stdin(Stdio::null()).output().await;
        let output = output.map_err(self.failed(action))?;
        if output.status.success() {
            return Ok(());
        }
        Err(NodeError::Failed {
            action,
            node: self.index,
            said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }

    /// The socket of the SSH connection that later commands share.
    pub(crate) fn shared_connection(&self) -> PathBuf {
        self.directory.join("ssh")
    }

    pub(crate) fn forget_connection(&self) {
        // Absent when no connection was shared.
        let _ = std::fs::remove_file(self.shared_connection());
    }

    async fn monitor(&self) -> Result<Monitor, NodeError> {
        let connected = Monitor::connect(&self.machine().monitor()).await;
        connected.map_err(self.refused())
    }

    async fn order(&self, command: &str, arguments: serde_json::Value) -> Result<(), NodeError> {
        let done = self.monitor().await?.execute(command, arguments).await;
        done.map(drop).map_err(self.refused())
    }

    fn refused(&self) -> impl Fn(MonitorError) -> NodeError + use<> {
        let node = self.index;
        move |source| NodeError::Monitor { node, source }
    }

    pub(crate) fn failed(
        &self,
        action: &'static str,
    ) -> impl FnOnce(io::Error) -> NodeError + use<> {
        let node = self.index;
        move |source| NodeError::Run {
            action,
            node,
            source,
        }
    }
}
