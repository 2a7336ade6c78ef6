//! Containers by Docker's API, and their systemd units over D-Bus.
//!
//! Each application has two containers. The *namespace container* (`flocker.network-<application>`)
//! runs nothing but a program that sleeps; it holds the network namespace, so that an
//! application's address and links exist before its first instruction and outlive its restarts.
//! The *application container* (`flocker-<application>`) joins that namespace, and is started and
//! watched by the systemd unit `flocker-<application>.service`.
//!
//! [`Docker`] talks to the Docker daemon, [`Units`] to systemd. Neither ever touches a container,
//! network or unit that Flocker did not make: everything of ours carries labels or our name, and
//! something else under our name is an error, never a target.

mod completion;
mod connection;
mod container;
mod container_body;
mod container_options;
mod events;
mod health;
mod health_body;
mod hosts;
mod image;
mod image_content;
mod image_user;
mod import_sources;
mod namespace;
mod naming;
mod network;
mod observation;
pub mod output;
mod ownership;
mod pause;
mod registry;
mod start_watch;
mod trial;
mod unit;
mod unit_file;
mod unit_reload;
mod unit_state;
mod units;
mod unpack;

pub use completion::CompletionError;
pub use connection::{ConnectError, Docker, DockerSettings, RequestFailed};
pub use container::ContainerError;
pub use container_body::{BindMount, ContainerMounts};
pub use health::HealthError;
pub use hosts::HostsError;
pub use image::{ImageError, ImageProgress};
pub use image_content::{ContentError, ImageContent};
pub use import_sources::{DockerVolume, Writer};
pub use namespace::{NamespaceError, NamespaceState};
pub use naming::{Change, container_name, namespace_name, unit_name};
pub use network::{InvalidSubnet, Ipv4Subnet, NetworkError, NetworkState};
pub use observation::{
    ApplicationContainer, ContainerObservation, EngineObservation, NamespaceContainer,
};
pub use ownership::{LookupError, NotOurs};
pub use pause::UnsupportedArchitecture;
pub use start_watch::{Ended, StartError, StartWatch};
pub use unit::{UnitSpecification, render_unit};
pub use unit_file::UnitFileError;
pub use units::{UnitError, UnitFailure, UnitSettings, Units};
