//! Real nodes to try Flocker on: virtual machines with their own kernel, ZFS,
//! Docker and systemd, on a private network, without anything of the host's
//! being changed.
//!
//! ```no_run
//! use flocker_lab::{Lab, LabSpecification, Progress, Stage};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let lab = Lab::start(
//!     &LabSpecification {
//!         stages: vec![
//!             Stage::new("flocker-node")
//!                 .copy("target/debian/flocker-node.deb", "/root/flocker-node.deb")
//!                 .run("apt-get install -y /root/flocker-node.deb"),
//!         ],
//!         ..LabSpecification::default()
//!     },
//!     &Progress::on_stderr(),
//! )
//! .await?;
//! lab.node(1).check("zpool status tank").await?;
//! lab.node(2).power_cut().await?;
//! lab.node(2).power_on().await?;
//! let page = lab
//!     .operator_command("curl")
//!     .arg(format!("http://{}/", lab.addresses()[0]))
//!     .output()
//!     .await?;
//! # drop(page); Ok(()) }
//! ```
//!
//! What takes long is done once. An image is built from a recipe in
//! `vm-images`; each node is booted from it, and its memory and disks are
//! saved; [`Stage`]s go on from there and are saved as well. All of that is
//! cached under digests of what went into it. A lab starts from saved nodes,
//! with disks of its own laid over theirs.

mod accelerator;
mod cache;
mod digest;
mod identity;
mod image;
mod instance;
mod lab;
mod machine;
mod monitor;
mod namespace;
mod node;
mod operator;
mod preparation;
mod progress;
mod recipe;
pub mod scenario;
mod ssh;
mod stage;
mod unflushed;

pub use accelerator::Accelerator;
pub use cache::{Cache, CacheError};
pub use digest::{CacheKey, DigestError, KeyBuilder};
pub use identity::{NodeIndex, NodeIndexError, OPERATOR_ADDRESS, PREFIX_LENGTH};
pub use image::{Image, ImageError, REQUIRED_PACKAGES};
pub use instance::{InstanceError, clean};
pub use lab::{Lab, LabError, LabSpecification};
pub use machine::Hardware;
pub use monitor::MonitorError;
pub use namespace::NamespaceError;
pub use node::{Node, NodeError};
pub use operator::KeyError;
pub use preparation::PreparationError;
pub use progress::{Progress, Step};
pub use recipe::Recipe;
pub use ssh::{Output, SshError};
pub use stage::{Attachment, Stage, StageError};
pub use unflushed::Unflushed;
