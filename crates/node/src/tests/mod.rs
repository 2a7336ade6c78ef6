//! The executors on machines in memory, and what these and real ones must have in common.

mod cluster;
mod complying;
mod contending;
mod contract;
mod ending;
mod fake;
mod forgetting;
mod guarding;
mod hostile;
mod identity;
mod importing;
mod interrupted;
mod keeping;
mod leftover;
mod places;
mod pools;
mod rebooting;
mod resolving;
mod scripts;
mod secrets;
mod serving;
mod sharing;
mod simulated;
mod simulation;
mod wish;

pub(crate) use fake::arrive;
