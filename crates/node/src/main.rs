//! flocker-node.
fn main() {}
