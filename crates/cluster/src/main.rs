//! `flocker-cluster`: see the library of the same name.

use std::process::ExitCode;

fn main() -> ExitCode {
    flocker_cluster::main()
}
