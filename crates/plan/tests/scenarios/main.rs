//! Plans for the situations that people meet, as text.

mod changes;
mod cluster;
mod images;
mod interruptions;
mod membership;
mod moves;
mod obstacles;
mod resolving;
mod restoring;
