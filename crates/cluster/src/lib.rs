//! `flocker-cluster`: one command on the operator's machine that brings a cluster into the state that
//! two files describe.

mod arguments;
mod asking;
mod beside;
mod configuration;
mod convert;
mod decision;
mod deploy;
mod docker_endpoint;
mod drive;
mod earlier;
mod ending;
mod exit;
mod export_file;
mod failure;
mod forget;
mod gather;
mod image_archive;
mod images;
mod import_file;
mod logins;
mod plan_json;
mod printer;
mod program;
mod recover;
mod refusal;
mod registries;
mod schedule;
mod session;
mod standing;
mod values;
mod volume;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use tracing_subscriber::EnvFilter;

pub use program::{Operator, Transcript, deploy};

use arguments::{Arguments, Command, Node, Volume};
use deploy::Mode;
use exit::Exit;

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let exit = match arguments.command {
        Command::Deploy(deploy) => {
            let verbose = deploy.common.verbose;
            run(verbose, deploy::run(&deploy, Mode::Deploy))
        }
        Command::Plan(deploy) => {
            let verbose = deploy.common.verbose;
            run(verbose, deploy::run(&deploy, Mode::Show))
        }
        Command::Volume {
            command: Volume::Promote(promote),
        } => run(promote.common.verbose, volume::promote(&promote)),
        Command::Volume {
            command: Volume::Resolve(resolve),
        } => run(resolve.common.verbose, volume::resolve(&resolve)),
        Command::Volume {
            command: Volume::Import(import),
        } => run(import.common.verbose, volume::import(&import)),
        Command::Volume {
            command: Volume::Export(export),
        } => run(export.common.verbose, volume::export(&export)),
        Command::Node {
            command: Node::Forget(forget),
        } => run(forget.common.verbose, forget::run(&forget)),
        Command::Convert(files) => convert::run(&files),
        Command::Completions { shell } => write(|output| {
            clap_complete::generate(shell, &mut Arguments::command(), "flocker-cluster", output);
            Ok(())
        }),
        Command::Manual => {
            write(|output| clap_mangen::Man::new(Arguments::command()).render(output))
        }
    };
    exit.into()
}

/// Runs what speaks to nodes on its own runtime.
fn run(verbose: u8, work: impl Future<Output = Exit>) -> Exit {
    let level = match verbose {
        0 | 1 => "warn",
        2 => "info",
        _ => "debug",
    };
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level)),
        )
        .with_writer(io::stderr)
        // It would panic where standard error is closed.
        .log_internal_errors(false)
        .init();
    let runtime = tokio::runtime::Runtime::new();
    match runtime {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => {
            tracing::error!(%error, "the asynchronous runtime cannot be started");
            Exit::Internal
        }
    }
}

/// Writes generated text to standard output.
fn write(render: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> Exit {
    let mut text = Vec::new();
    let written = render(&mut text).and_then(|()| io::stdout().write_all(&text));
    match written {
        Ok(()) => Exit::Converged,
        Err(_) => Exit::Internal,
    }
}
