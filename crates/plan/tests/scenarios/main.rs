//! Plans for the situations that people meet, as text.

mod access;
mod changes;
mod cluster;
mod dependencies;
mod images;
mod importing;
mod interruptions;
mod layouts;
mod limits;
mod membership;
mod mounts;
mod moves;
mod obstacles;
mod resolving;
mod restoring;
mod sharing;
mod volumes;
