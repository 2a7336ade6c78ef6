//! Plans for the situations that people meet, as text.

mod access;
mod changes;
mod cluster;
mod images;
mod importing;
mod interruptions;
mod membership;
mod mounts;
mod moves;
mod obstacles;
mod resolving;
mod restoring;
