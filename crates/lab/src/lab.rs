//! A running lab: nodes on a private network, and the operator beside them.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::cache::{Cache, CacheError};
use crate::identity::{NodeIndex, NodeIndexError};
use crate::instance::{Instance, InstanceError, InstanceSpecification, labs_directory};
use crate::machine::Hardware;
use crate::namespace::{self, Leash, Lifetime, Namespace};
use crate::node::{Node, NodeError};
use crate::operator::OperatorHome;
use crate::preparation::{PreparationError, Saved, Workshop};
use crate::progress::Progress;
use crate::recipe::Recipe;
use crate::stage::Stage;
use crate::unflushed::Unflushed;

/// What a lab is like.
#[derive(Debug, Clone)]
pub struct LabSpecification {
    /// How many nodes, from 1.
    pub nodes: usize,
    /// The memory of each.
    pub memory_mebibytes: u32,
    /// What they are.
    pub recipe: Recipe,
    /// What is done to each before the lab starts, once.
    pub stages: Vec<Stage>,
    /// The fate of writes that were not flushed when the power is cut.
    pub unflushed: Unflushed,
}

impl Default for LabSpecification {
    /// Two Debian nodes on which nothing was done.
    fn default() -> Self {
        Self {
            nodes: 2,
            memory_mebibytes: 1280,
            recipe: Recipe::debian(),
            stages: Vec::new(),
            unflushed: Unflushed::Kept,
        }
    }
}

/// A lab does not start, or cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// So many nodes are not possible.
    #[error(transparent)]
    Nodes(#[from] NodeIndexError),
    /// The cache is unusable.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// Its nodes cannot be prepared.
    #[error(transparent)]
    Preparation(#[from] PreparationError),
    /// Its network cannot be made.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// A node does not start.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// There is no such lab.
    #[error("no lab named `{0}` is running; `flocker-lab up` starts one")]
    NotRunning(String),
    /// A lab is running, but what is written about it makes no sense.
    #[error("read {}; end the lab with `flocker-lab down`", .path.display())]
    Record {
        /// Where it is written.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: io::Error,
    },
    /// A lab could not be ended.
    #[error("end the lab in {}", .path.display())]
    End {
        /// Its directory.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
}

/// A running lab. Unless it was opened by name, it ends when this is dropped,
/// and also when this process is killed.
#[derive(Debug)]
pub struct Lab {
    directory: PathBuf,
    namespace: Namespace,
    home: OperatorHome,
    nodes: Vec<Node>,
    /// Last, so that it is dropped when nobody needs the rest any more.
    leash: Option<Leash>,
}

/// What another process has to know about a lab.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    namespace: Namespace,
    home: OperatorHome,
    hardware: Hardware,
    nodes: Vec<NodeIndex>,
}

impl Lab {
    /// Starts a lab that lives no longer than the returned value.
    ///
    /// The first lab of a kind takes minutes, because the image and the nodes'
    /// states have to be made; later ones take seconds.
    ///
    /// # Errors
    /// When something that it needs is missing or fails.
    pub async fn start(
        specification: &LabSpecification,
        progress: &Progress,
    ) -> Result<Self, LabError> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("attached-{}-{number}", process::id());
        Self::start_as(&name, specification, Lifetime::Attached, progress).await
    }

    /// Starts a lab that lives until [`Lab::end`], which any process can call
    /// after [`Lab::open`].
    ///
    /// # Errors
    /// As [`Lab::start`], and when a lab of that name is running.
    pub async fn start_detached(
        name: &str,
        specification: &LabSpecification,
        progress: &Progress,
    ) -> Result<Self, LabError> {
        let mut lab = Self::start_as(name, specification, Lifetime::Detached, progress).await?;
        if let Some(leash) = lab.leash.take() {
            leash.let_go();
        }
        Ok(lab)
    }

    /// Finds a lab that another process has started.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn open(name: &str) -> Result<Self, LabError> {
        let directory = labs_directory(&Cache::open()?).join(name);
        if !namespace::is_alive(&directory) {
            return Err(LabError::NotRunning(name.to_owned()));
        }
        let path = directory.join("lab.json");
        let failed = |source| LabError::Record {
            path: path.clone(),
            source,
        };
        let text = fs::read_to_string(&path).map_err(failed)?;
        let record: Record = serde_json::from_str(&text).map_err(|error| failed(error.into()))?;
        let nodes = record.nodes.iter().map(|index| Node {
            index: *index,
            hardware: record.hardware.clone(),
            directory: directory.join(index.hostname()),
            namespace: record.namespace.clone(),
            home: record.home.clone(),
        });
        Ok(Self {
            nodes: nodes.collect(),
            directory,
            namespace: record.namespace,
            home: record.home,
            leash: None,
        })
    }

    /// Ends a detached lab of that name, whatever state it is in.
    ///
    /// # Errors
    /// When there is none.
    pub fn end_named(name: &str) -> Result<(), LabError> {
        let path = labs_directory(&Cache::open()?).join(name);
        if !namespace::is_alive(&path) {
            return Err(LabError::NotRunning(name.to_owned()));
        }
        namespace::end(&path).map_err(|source| LabError::End { path, source })
    }

    /// Ends the lab: no process and no file of it is left.
    ///
    /// # Errors
    /// When it cannot be told to.
    pub fn end(self) -> Result<(), LabError> {
        if self.leash.is_some() {
            return Ok(());
        }
        let path = self.directory;
        namespace::end(&path).map_err(|source| LabError::End { path, source })
    }

    /// A node by its number, from 1.
    ///
    /// # Panics
    /// When the lab has fewer nodes.
    pub fn node(&self, number: u8) -> &Node {
        &self.nodes[usize::from(number) - 1]
    }

    /// All nodes, in order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// All nodes' addresses, in order.
    pub fn addresses(&self) -> Vec<Ipv4Addr> {
        self.nodes.iter().map(Node::address).collect()
    }

    /// A command that runs a program outside the nodes but on their network:
    /// `psql`, `curl`, `flocker-cluster`. Its `HOME` has an SSH key that the
    /// nodes accept, and their host keys. It ends with this process.
    pub fn operator_command(&self, program: &str) -> Command {
        let mut command = self.namespace.operator_command(program);
        command.env("HOME", &self.home.directory);
        // OpenSSH's agent would offer keys that no node knows.
        command.env_remove("SSH_AUTH_SOCK");
        let mut command = Command::from(command);
        command.kill_on_drop(true);
        command
    }

    /// The operator's home.
    pub fn home(&self) -> &Path {
        &self.home.directory
    }

    /// The private key that every node accepts for root.
    pub fn key_path(&self) -> PathBuf {
        self.home.key()
    }

    /// The nodes' host keys, as OpenSSH stores them.
    pub fn known_hosts_path(&self) -> PathBuf {
        self.home.known_hosts()
    }

    /// A directory for whatever belongs to the lab and should go with it.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    async fn start_as(
        name: &str,
        specification: &LabSpecification,
        lifetime: Lifetime,
        progress: &Progress,
    ) -> Result<Self, LabError> {
        let indices = NodeIndex::all(specification.nodes)?;
        let cache = Cache::open()?;
        let mut workshop = Workshop::open(
            &cache,
            &specification.recipe,
            specification.memory_mebibytes,
            progress,
        )
        .await?;
        let saved = workshop
            .prepare_all(&indices, &specification.stages)
            .await?;
        workshop.hardware.unflushed = specification.unflushed;
        let _step = progress.step(format!("resuming {} nodes", indices.len()));
        let instance = InstanceSpecification {
            name,
            nodes: &indices,
            lifetime,
        };
        let instance = Instance::create(&cache, instance, &workshop.key)?;
        let resuming = indices
            .iter()
            .zip(&saved)
            .map(|(index, saved)| resume(&workshop, &instance, *index, saved));
        let nodes = try_join_all(resuming).await?;
        let lab = Self {
            directory: instance.directory,
            namespace: instance.namespace,
            home: instance.home,
            nodes,
            leash: Some(instance.leash),
        };
        lab.write_record(&workshop.hardware, indices)?;
        Ok(lab)
    }

    fn write_record(&self, hardware: &Hardware, nodes: Vec<NodeIndex>) -> Result<(), LabError> {
        let record = Record {
            namespace: self.namespace.clone(),
            home: self.home.clone(),
            hardware: hardware.clone(),
            nodes,
        };
        let path = self.directory.join("lab.json");
        let written = serde_json::to_vec_pretty(&record)
            .map_err(io::Error::from)
            .and_then(|text| fs::write(&path, text));
        written.map_err(|source| LabError::Record { path, source })
    }
}

async fn resume(
    workshop: &Workshop<'_>,
    instance: &Instance,
    index: NodeIndex,
    saved: &Saved,
) -> Result<Node, LabError> {
    instance.home.learn(&saved.known_hosts())?;
    let directory = instance.directory.join(index.hostname());
    fs::create_dir_all(&directory).map_err(CacheError::at("create", &directory))?;
    let node = workshop.node(instance, index, &directory);
    saved.lay_over(&node).await?;
    node.resume(&saved.state()).await?;
    Ok(node)
}
