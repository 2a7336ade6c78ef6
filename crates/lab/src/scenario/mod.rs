//! Scenarios: what an operator and the clients of applications do with a
//! cluster, and what they must find.
//!
//! A scenario is one program that is given a [`Site`], so that the same one runs
//! on nodes of a lab and on any others, such as those of NixOS's test driver.
//! Everything is asked from outside the nodes and through real clients; commands
//! on nodes only look.

mod boot;
mod clients;
mod cluster;
mod container_images;
mod demo;
mod failure;
mod faults;
mod fingerprint;
mod layouts;
mod migration;
mod parts;
mod plain;
mod report;
mod site;
mod three_nodes;
mod wait;

pub use boot::run_boot;
pub use container_images::{ContainerImages, ContainerImagesError};
pub use demo::{DEMO_LAB, DemoError, run_demo};
pub use faults::{
    Campaign, Case, Cases, Choice, DisturbedMove, Fault, FaultsReport, InterruptedRestore, Moment,
    OperatorMoment, OtherSource, Outage, RestoreMoment, Tried, run_faults,
};
pub use migration::{Chapter, run_migration};
pub use parts::{Parts, PartsError};
pub use plain::PlainNodes;
pub use report::{Counts, Report};
pub use site::{Site, SiteError};
pub use three_nodes::run_three_nodes;
