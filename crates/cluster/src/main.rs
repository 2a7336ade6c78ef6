//! flocker-cluster.
fn main() {}
