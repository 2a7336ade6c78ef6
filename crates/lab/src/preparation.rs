//! Nodes that were booted and prepared once, and saved.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};
use std::{fs, io, process};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::process::Command;

use crate::accelerator::Accelerator;
use crate::cache::{Cache, CacheError, Claim, Slot};
use crate::digest::{CacheKey, DigestError, KeyBuilder};
use crate::identity::NodeIndex;
use crate::image::{Image, ImageError};
use crate::instance::{Instance, InstanceError, InstanceSpecification};
use crate::machine::{Hardware, Machine, Start};
use crate::namespace::Lifetime;
use crate::node::{Node, NodeError};
use crate::operator::{Key, KeyError};
use crate::progress::Progress;
use crate::recipe::Recipe;
use crate::ssh::SshError;
use crate::stage::{Stage, StageError};
use crate::unflushed::Unflushed;

/// The size of the disk with the pool `tank`, as QEMU reads it.
const POOL_SIZE: &str = "8G";

/// How many saved nodes are kept whatever their age.
const KEPT_STATES: usize = 12;
/// How long a saved node beyond these stays that nobody asks for: longer than any lab that was
/// made from it is in use.
const IDLE_STATE: Duration = Duration::from_secs(12 * 3600);

/// A lab's nodes cannot be made ready.
#[derive(Debug, thiserror::Error)]
pub enum PreparationError {
    /// The cache is unusable.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// Something that goes into them is unreadable.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// There is no image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// There is no operator's key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// There is no network to boot it on.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// It did not boot.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// It booted, but not well.
    #[error("prepare {node} after its first boot")]
    FirstBoot {
        /// Which node.
        node: NodeIndex,
        /// Which command failed, and how.
        #[source]
        source: SshError,
    },
    /// A stage failed on it.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// QEMU cannot be asked for its version.
    #[error("run `qemu-system-x86_64` (package qemu-system-x86)")]
    Qemu(#[source] io::Error),
}

/// A node as it was saved: its disks, its memory, and its host keys.
#[derive(Debug, Clone)]
pub(crate) struct Saved {
    key: CacheKey,
    directory: PathBuf,
}

impl Saved {
    pub(crate) fn state(&self) -> PathBuf {
        self.directory.join("state")
    }

    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.directory.join("known_hosts")
    }

    /// Gives a machine disks that begin as the saved ones.
    pub(crate) async fn lay_over(&self, node: &Node) -> Result<(), NodeError> {
        let saved = Machine {
            index: node.index,
            hardware: &node.hardware,
            directory: &self.directory,
        };
        let machine = node.machine();
        overlay(node, &saved.root_disk(), "qcow2", &machine.root_disk()).await?;
        overlay(node, &saved.pool_disk(), "qcow2", &machine.pool_disk()).await
    }
}

/// All that is needed to prepare nodes.
pub(crate) struct Workshop<'a> {
    pub(crate) cache: &'a Cache,
    pub(crate) progress: &'a Progress,
    pub(crate) hardware: Hardware,
    pub(crate) key: Key,
    recipe: &'a Recipe,
    image: Image,
    /// What a saved state depends on besides the image.
    context: CacheKey,
}

impl<'a> Workshop<'a> {
    /// Makes the image if there is none.
    pub(crate) async fn open(
        cache: &'a Cache,
        recipe: &'a Recipe,
        memory_mebibytes: u32,
        progress: &'a Progress,
    ) -> Result<Self, PreparationError> {
        let image = Image::ensure(cache, recipe, progress).await?;
        let key = Key::ensure(cache, progress).await?;
        let hardware = Hardware {
            accelerator: Accelerator::detect(cache, &image.kernel(), progress).await,
            memory_mebibytes,
            kernel: image.kernel(),
            initial_ram_disk: image.initial_ram_disk(),
            kernel_parameters: image.kernel_parameters()?,
            // A saved state fits machines with other disks, too.
            unflushed: Unflushed::Kept,
            authorized_key: key.public_line()?,
        };
        let context = context(&image, &hardware).await?;
        Ok(Self {
            cache,
            progress,
            hardware,
            key,
            recipe,
            image,
            context,
        })
    }

    /// Prepares several nodes, as many at a time as there are processors.
    pub(crate) async fn prepare_all(
        &self,
        nodes: &[NodeIndex],
        stages: &[Stage],
    ) -> Result<Vec<Saved>, PreparationError> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        stream::iter(nodes)
            .map(|index| self.prepare(*index, stages))
            .buffered(processors)
            .try_collect()
            .await
    }

    async fn prepare(&self, index: NodeIndex, stages: &[Stage]) -> Result<Saved, PreparationError> {
        let mut saved = self.boot(index).await?;
        for stage in stages {
            saved = self.perform(index, &saved, stage).await?;
        }
        Ok(saved)
    }

    /// Boots a node for the first time.
    async fn boot(&self, index: NodeIndex) -> Result<Saved, PreparationError> {
        let key = KeyBuilder::new("boot")
            .key("context", &self.context)
            .text("node", &index.hostname())
            .finish();
        let slot = match self.cache.claim("states", &key, self.progress).await? {
            Claim::Ready(directory) => return Ok(Saved { key, directory }),
            Claim::Build(slot) => slot,
        };
        let step = self
            .progress
            .step(format!("booting {index} for the first time"));
        let instance = self.instance(index)?;
        let node = self.node(&instance, index, slot.directory());
        overlay(
            &node,
            &self.image.root_disk(),
            "raw",
            &node.machine().root_disk(),
        )
        .await?;
        let mut create = Command::new("qemu-img");
        create.args(["create", "-q", "-f", "qcow2"]);
        create.arg(node.machine().pool_disk()).arg(POOL_SIZE);
        node.run("create the pool's disk (package qemu-utils)", create)
            .await?;
        node.start_machine(Start::Cold).await?;
        node.meet(&slot.directory().join("known_hosts")).await?;
        step.detail(&format!("{index} answers; waiting for all its services"));
        let first_boot = self.recipe.file("first-boot");
        let script = fs::read_to_string(&first_boot);
        let script = script.map_err(CacheError::at("read", &first_boot))?;
        node.check(&script)
            .await
            .map_err(|source| PreparationError::FirstBoot {
                node: index,
                source,
            })?;
        let directory = save(&node, slot).await?;
        Ok(Saved { key, directory })
    }

    async fn perform(
        &self,
        index: NodeIndex,
        parent: &Saved,
        stage: &Stage,
    ) -> Result<Saved, PreparationError> {
        let key = KeyBuilder::new("stage")
            .key("parent", &parent.key)
            .key("stage", &stage.key()?)
            .finish();
        let slot = match self.cache.claim("states", &key, self.progress).await? {
            Claim::Ready(directory) => return Ok(Saved { key, directory }),
            Claim::Build(slot) => slot,
        };
        let _step = self
            .progress
            .step(format!("preparing {index}: {}", stage.name()));
        let instance = self.instance(index)?;
        instance.home.learn(&parent.known_hosts())?;
        let node = self.node(&instance, index, slot.directory());
        parent.lay_over(&node).await?;
        node.resume(&parent.state()).await?;
        stage.perform(&node, self.cache, self.progress).await?;
        let (from, to) = (parent.known_hosts(), slot.directory().join("known_hosts"));
        fs::copy(&from, &to).map_err(CacheError::at("copy", &from))?;
        let directory = save(&node, slot).await?;
        // Each build of flocker-node makes states that no later one asks for.
        let idle_since = SystemTime::now().checked_sub(IDLE_STATE);
        self.cache.prune(
            "states",
            KEPT_STATES,
            idle_since.unwrap_or(SystemTime::UNIX_EPOCH),
        )?;
        Ok(Saved { key, directory })
    }

    /// A private network for one node, which lasts as long as this process.
    fn instance(&self, index: NodeIndex) -> Result<Instance, InstanceError> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("preparing-{index}-{}-{number}", process::id());
        let specification = InstanceSpecification {
            name: &name,
            nodes: &[index],
            lifetime: Lifetime::Attached,
        };
        Instance::create(self.cache, specification, &self.key)
    }

    pub(crate) fn node(&self, instance: &Instance, index: NodeIndex, directory: &Path) -> Node {
        Node {
            index,
            hardware: self.hardware.clone(),
            directory: directory.to_owned(),
            namespace: instance.namespace.clone(),
            home: instance.home.clone(),
        }
    }
}

async fn save(node: &Node, slot: Slot) -> Result<PathBuf, PreparationError> {
    node.save(&slot.directory().join("state")).await?;
    let machine = node.machine();
    let log = node.directory.join("ssh.log");
    for leftover in [
        machine.monitor(),
        machine.console(),
        machine.process_id(),
        log,
    ] {
        // QEMU has removed most of them itself.
        let _ = fs::remove_file(leftover);
    }
    Ok(slot.finish()?)
}

/// A saved state fits only the same QEMU and the same machine.
async fn context(image: &Image, hardware: &Hardware) -> Result<CacheKey, PreparationError> {
    let version = Command::new("qemu-system-x86_64").arg("--version").output();
    let version = version.await.map_err(PreparationError::Qemu)?;
    let machine = Machine {
        index: NodeIndex::FIRST,
        hardware,
        directory: Path::new("/"),
    };
    Ok(KeyBuilder::new("machine")
        .key("image", &image.key)
        .text("version", &String::from_utf8_lossy(&version.stdout))
        .text(
            "arguments",
            &machine.render_arguments(Start::Cold).join("\n"),
        )
        .text("pool", POOL_SIZE)
        .finish())
}

async fn overlay(node: &Node, base: &Path, format: &str, disk: &Path) -> Result<(), NodeError> {
    let mut command = Command::new("qemu-img");
    command
        .args(["create", "-q", "-f", "qcow2", "-F", format, "-b"])
        .args([base, disk]);
    node.run("create a disk (package qemu-utils)", command)
        .await
}
