//! Plans for the situations that people meet, as text.

mod access;
mod changes;
mod cluster;
mod dependencies;
mod forgetting;
mod images;
mod importing;
mod interruptions;
mod layouts;
mod limits;
mod membership;
mod mounts;
mod moves;
mod new_volumes;
mod obstacles;
mod resolving;
mod restoring;
mod sharing;
mod volumes;
