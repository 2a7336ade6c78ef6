//! What the subcommands do.

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::{ExitCode, ExitStatus};

use flocker_lab::scenario::ContainerImages;
use flocker_lab::{
    Cache, Image, Lab, LabSpecification, Node, Progress, REQUIRED_PACKAGES, Recipe, clean,
};

use crate::arguments::{Arguments, Command, Up, Which, WhichNode};
use crate::console;
use crate::scenarios;

type Done = Result<ExitCode, Box<dyn Error>>;

pub(crate) async fn run(arguments: Arguments) -> Done {
    let progress = Progress::on_stderr();
    match arguments.command {
        Command::Image { containers } => {
            let cache = Cache::open()?;
            let image = Image::ensure(&cache, &Recipe::debian(), &progress).await?;
            if containers {
                ContainerImages::ensure(&cache, &progress).await?;
            }
            print(&format!("{}\n", image.root_disk().display()))
        }
        Command::Up(asked) => up(&asked, &progress).await,
        Command::Down { lab } => {
            Lab::end_named(&lab.name)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Status { lab } => print(&render_status(&open(&lab)?).await),
        Command::Ssh { node, command } => ssh(&node, &command).await,
        Command::Run { lab, program } => run_as_operator(&open(&lab)?, &program).await,
        Command::PowerCut { node } => {
            find(&node)?.power_cut().await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::PowerOn { node } => {
            let node = find(&node)?;
            let _step = progress.step(format!("booting {}", node.name()));
            node.power_on().await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::CutLink { node } => {
            find(&node)?.cut_link(true).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::RestoreLink { node } => {
            find(&node)?.cut_link(false).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Console { node } => {
            console::attach(&find(&node)?.console_socket()).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Demo => scenarios::demo().await,
        Command::Test(test) => scenarios::test(&test, &progress).await,
        Command::Faults(faults) => scenarios::faults(&faults, &progress).await,
        Command::Scenario(on_nodes) => scenarios::on_nodes(&on_nodes).await,
        Command::Clean => {
            clean(&Cache::open()?)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Packages => print(&format!("{}\n", REQUIRED_PACKAGES.join("\n"))),
    }
}

async fn up(asked: &Up, progress: &Progress) -> Done {
    let default = LabSpecification::default();
    let recipe = match &asked.image {
        Some(image) => Recipe::built(image)?,
        None => default.recipe,
    };
    let specification = LabSpecification {
        nodes: asked.nodes,
        memory_mebibytes: asked.memory,
        recipe,
        stages: default.stages,
        unflushed: default.unflushed,
    };
    let started = Lab::start_detached(&asked.lab.name, &specification, progress).await?;
    print(&render_status(&started).await)
}

fn open(which: &Which) -> Result<Lab, Box<dyn Error>> {
    Ok(Lab::open(&which.name)?)
}

fn find(which: &WhichNode) -> Result<Node, Box<dyn Error>> {
    let lab = open(&which.lab)?;
    let found = lab.nodes().iter().find(|node| node.index() == which.node);
    let found = found.ok_or_else(|| format!("the lab has no {}", which.node))?;
    Ok(found.clone())
}

/// Runs `ssh` with this terminal; a shell when there is no command.
async fn ssh(which: &WhichNode, command: &[String]) -> Done {
    let mut client = find(which)?.ssh_command(&command.join(" "));
    Ok(ended(client.status().await?))
}

async fn run_as_operator(lab: &Lab, program: &[OsString]) -> Done {
    let [program, arguments @ ..] = program else {
        return Err("no program to run".into());
    };
    let mut command = lab.operator_command(&program.to_string_lossy());
    Ok(ended(command.args(arguments).status().await?))
}

/// Ends as the program did.
fn ended(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}

async fn render_status(lab: &Lab) -> String {
    let mut lines = Vec::new();
    for node in lab.nodes() {
        let power = if node.is_on().await { "on" } else { "off" };
        lines.push(format!("{}\t{}\t{power}\n", node.name(), node.address()));
    }
    lines.push(format!("key\t{}\n", lab.key_path().display()));
    lines.concat()
}

fn print(text: &str) -> Done {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}
