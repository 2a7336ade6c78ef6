//! `flocker-lab`: real nodes to try Flocker on, from the command line.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

mod arguments;
mod commands;
mod console;
mod scenarios;

/// What a shell reports for a program that an interrupt ended.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("FLOCKER_LAB_LOG"))
        .with_writer(io::stderr)
        .init();
    let arguments = arguments::Arguments::parse();
    // Whatever the command had running is dropped, and thereby ended, when an
    // interrupt comes first.
    let done = tokio::select! {
        done = commands::run(arguments) => done,
        _ = tokio::signal::ctrl_c() => return ExitCode::from(INTERRUPTED),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            report(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

fn report(error: &dyn Error) {
    let mut stderr = io::stderr().lock();
    // Nobody is left to be told that standard error is closed.
    let _ = writeln!(stderr, "error: {error}");
    let mut cause = error.source();
    while let Some(next) = cause {
        let _ = writeln!(stderr, "caused by: {next}");
        cause = next.source();
    }
}
