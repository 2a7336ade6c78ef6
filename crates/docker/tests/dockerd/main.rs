//! Everything in `flocker_docker::Docker`, against a real Docker daemon.
//!
//! The daemon is started once for all tests, as root, in namespaces of its own; see [`daemon`].

mod containers;
mod daemon;
mod images;
mod networks;
mod starts;
