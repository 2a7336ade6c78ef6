//! The executors on machines in memory, and what these and real ones must have in common.

mod cluster;
mod fake;
mod interrupted;
mod simulated;
mod wish;
