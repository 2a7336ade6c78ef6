//! `flocker-node`: what Flocker does on a node. Every run is short-lived, but for the one that
//! guards the node's table and sleeps until somebody changes the firewall.

mod arguments;
mod claims;
mod configuration;
mod copying;
mod execute;
mod export;
mod failure;
mod guard;
mod identity;
mod import_source;
mod linux;
mod local;
mod lock;
mod machine;
mod network;
mod observe;
mod own_name;
mod peer;
mod places;
mod platform;
mod push_messages;
mod receive;
mod report;
mod serve;
mod settings;
mod store;
#[cfg(test)]
mod tests;
mod upload;

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use flocker_model::{
    Contact, Deployment, DeploymentId, Digest, Epoch, Look, NodeId, NodeName, SnapshotGuid,
};
use flocker_remote::protocol::{Listener, StepFailure};
use flocker_zfs::NewImport;
use tracing_subscriber::EnvFilter;

use arguments::{Arguments, Command};
use failure::OrFailure as _;
use linux::{DockerOnDemand, Linux};
use machine::{Disk, Machine};
use places::reach;
use platform::Volumes;
use receive::Receiver;
use upload::uploaded;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(text) = documentation(&arguments.command) {
        let written = text.and_then(|text| io::stdout().write_all(&text));
        return written.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn")),
        )
        .with_writer(io::stderr)
        // It would panic where standard error is closed.
        .log_internal_errors(false)
        .with_ansi(false)
        .without_time()
        .init();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the asynchronous runtime cannot be started");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(run(arguments));
    // Standard input is read on a thread that may never return.
    runtime.shutdown_background();
    match ended {
        Ok(code) => code,
        Err(failure) => {
            report::failure(&failure);
            ExitCode::FAILURE
        }
    }
}

/// What the program says about itself, if that was asked for; it needs nothing of the machine.
fn documentation(command: &Command) -> Option<io::Result<Vec<u8>>> {
    let mut text = Vec::new();
    let rendered = match command {
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut Arguments::command(), "flocker-node", &mut text);
            Ok(())
        }
        Command::Manual => clap_mangen::Man::new(Arguments::command())
            .section("8")
            .render(&mut text),
        _ => return None,
    };
    Some(rendered.map(|()| text))
}

/// Does what was asked.
async fn run(arguments: Arguments) -> Result<ExitCode, StepFailure> {
    if let Command::Receive { from } = arguments.command {
        // A push needs no systemd, and no Docker unless it brings an image.
        let disk = Disk::open(&arguments.settings).await?;
        let images = DockerOnDemand(disk.settings.docker());
        let input = Listener::new(tokio::io::stdin());
        let receiver = Receiver {
            node: disk.id,
            boot: disk.store.boot_id().or_failure()?,
            volumes: &disk.volumes,
            images: &images,
            forgotten: disk.store.forgotten(NodeId(from)).or_failure()?,
        };
        receive::receive(&receiver, NodeId(from), (input, tokio::io::stdout())).await?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Command::Apply {
        application_config,
        deployment_config,
        node,
    } = arguments.command
    {
        let parsed = match configuration::read(&application_config, &deployment_config) {
            Ok(parsed) => parsed,
            Err(why) => return Ok(report::no_deployment(&why)),
        };
        report::diagnostics(&parsed.warnings);
        return apply(&arguments.settings, &parsed.deployment, node).await;
    }
    if let Command::GuardNetwork = arguments.command {
        guard::guard(&arguments.settings).await?;
        return Ok(ExitCode::SUCCESS);
    }
    if is_stream(&arguments.command) {
        return stream(&arguments.settings, arguments.command).await;
    }
    let machine = Machine::connect(&arguments.settings).await?;
    match arguments.command {
        Command::Observe { json } => return observe(&machine, json).await,
        Command::Serve { connection } => {
            let input = Listener::new(tokio::io::stdin());
            serve::serve(&machine, contact(connection), (input, tokio::io::stdout())).await?;
        }
        Command::Prepare { application } => {
            local::prepare(&machine, &application).await?;
        }
        Command::LoadImage { image } => receive::load_image(&machine.containers, &image).await?,
        Command::Apply { .. }
        | Command::GuardNetwork
        | Command::ImportStream { .. }
        | Command::ExportVolume { .. }
        | Command::Receive { .. }
        | Command::Completions { .. }
        | Command::Manual => {}
        Command::Restore => {
            return Ok(report::restored(&local::restore(&machine).await?));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Tells whether a command only puts a volume into a stream, or makes one of it.
const fn is_stream(command: &Command) -> bool {
    matches!(
        command,
        Command::ImportStream { .. } | Command::ExportVolume { .. }
    )
}

/// Puts a volume into a stream, or makes one of it; that needs neither Docker nor systemd.
async fn stream(settings: &Path, command: Command) -> Result<ExitCode, StepFailure> {
    let disk = Disk::open(settings).await?;
    match command {
        Command::ImportStream {
            application,
            from,
            epoch,
            deployment,
        } => {
            let deployment = deployment.map(|id| DeploymentId(Digest::from_recorded(&id)));
            let new = NewImport {
                application,
                from,
                epoch: Epoch(epoch),
                deployment,
            };
            reach(|| "import-stream.before".to_owned()).await;
            let stream = uploaded(tokio::io::stdin());
            let imported = Volumes::import_stream(&disk.volumes, &new, stream).await;
            reach(|| "import-stream.after".to_owned()).await;
            imported?;
        }
        Command::ExportVolume {
            application,
            snapshot,
        } => {
            let wanted = (&application, SnapshotGuid(snapshot));
            export::export(&disk.volumes, wanted, tokio::io::stdout()).await?;
        }
        _ => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes what is local comply with `deployment`, in which this node is called `node`, or must be
/// found if that was not said.
async fn apply(
    settings: &Path,
    deployment: &Deployment,
    node: Option<NodeName>,
) -> Result<ExitCode, StepFailure> {
    let machine = Machine::connect(settings).await?;
    let node = match node {
        Some(node) => node,
        None => own_name::find(deployment, machine.settings.address).await?,
    };
    let complied = local::comply(&machine, deployment, &node).await?;
    Ok(report::complied(&complied))
}

/// Looks at the node and prints what was seen.
async fn observe(machine: &Machine<Linux>, json: bool) -> Result<ExitCode, StepFailure> {
    let state = match machine.observe(contact(None)).await? {
        Look::Whole(state) => state,
        Look::WithoutPool(node) => return Ok(report::without_pool(&node)),
    };
    let set_aside = machine.volumes.observe_set_aside().await.or_failure()?;
    report::state(&state, &set_aside, json);
    Ok(ExitCode::SUCCESS)
}

/// Works out where this node's SSH server was reached, if it was, from the variable
/// `SSH_CONNECTION`, or from its value as an argument: sudo drops the variable.
fn contact(argument: Option<String>) -> Option<Contact> {
    let connection = argument.or_else(|| std::env::var("SSH_CONNECTION").ok())?;
    Contact::from_ssh_connection(&connection)
}
