//! `cargo xtask`: the commands that developers and CI use on this repository.
//!
//! It installs what a machine misses before anything that needs it is compiled, so it must itself
//! build in seconds on a machine that has a Rust toolchain and nothing else.

mod arguments;
mod check;
mod deb;
mod failpoints;
mod install;
mod lab;
mod markdown;
mod nix_image;
mod process;
mod programs;
mod reproduce;
mod simulate;
mod still_compiling;
mod terminal;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::{Arguments, Command};

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Check => check::run(),
        Command::Test(selection) => Ok(test::run(&selection)),
        Command::Install(selection) => install::run(&selection),
        Command::Deb { program } => deb::run(program),
        Command::Lab { arguments } => lab::run_lab(&arguments),
        Command::Faults { arguments } => lab::run_faults(&arguments),
        Command::Reproduce { names } => reproduce::run(&names),
        Command::Simulate(seeds) => simulate::run(&seeds),
        Command::Demo { arguments } => lab::run_demo(&arguments),
    };
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            terminal::failure(failure.as_ref());
            ExitCode::FAILURE
        }
    }
}
