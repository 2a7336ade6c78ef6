//! The subcommands that run scenarios.

use std::error::Error;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use flocker_lab::scenario::{
    Campaign, Case, Cases, Chapter, Choice, ContainerImages, Counts, FaultsReport, Parts,
    PlainNodes, Site, run_boot, run_demo, run_faults, run_migration, run_three_nodes,
};
use flocker_lab::{Cache, Lab, LabSpecification, Progress};

type Done = Result<ExitCode, Box<dyn Error>>;

/// Which scenarios are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// The lab's nodes themselves
    Boot,
    /// The seed's example, from its first deploy to a power cut
    Migration,
    /// An application that goes around among three nodes
    ThreeNodes,
    /// Moves that are disturbed, every fault and every moment
    Faults,
}

/// What `test` is told.
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// Which scenario
    #[arg(default_value = "migration")]
    scenario: Scenario,
    /// Leave the nodes running as the lab of this name
    #[arg(long, value_name = "NAME")]
    keep: Option<String>,
    /// Where the scenario `migration` begins: only from image-volumes on, chapters need nothing of
    /// those before
    #[arg(long, value_name = "CHAPTER", default_value = "first-deploy")]
    from: Chapter,
    /// Of the scenario `migration` run only the chapters that `cargo xtask test` runs
    #[arg(long)]
    smoke: bool,
}

/// What `scenario` is told.
#[derive(Debug, Args)]
pub(crate) struct OnNodes {
    /// Which scenario
    scenario: Scenario,
    /// A running lab
    #[arg(long, value_name = "NAME", required_unless_present = "node")]
    name: Option<String>,
    /// A node's address; given once for each node
    #[arg(
        long,
        value_name = "ADDRESS",
        conflicts_with = "name",
        requires = "key"
    )]
    node: Vec<Ipv4Addr>,
    /// The private key that the nodes accept for root
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The program `flocker-cluster`
    #[arg(long, value_name = "FILE", env = "FLOCKER_CLUSTER")]
    cluster_program: PathBuf,
    /// A directory with the archives of the container images
    #[arg(long, value_name = "DIRECTORY")]
    images: Option<PathBuf>,
    /// Where the scenario begins, when what is before was done already
    #[arg(long, value_name = "CHAPTER", default_value = "first-deploy")]
    from: Chapter,
}

pub(crate) async fn demo() -> Done {
    run_demo().await?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn test(test: &Test, progress: &Progress) -> Done {
    let start = async |nodes: &LabSpecification| match &test.keep {
        Some(name) => Lab::start_detached(name, nodes, progress)
            .await
            .map(Site::Lab),
        None => Lab::start(nodes, progress).await.map(Site::Lab),
    };
    let counts = match test.scenario {
        Scenario::Boot => run_boot(&start(&LabSpecification::default()).await?).await,
        Scenario::Migration => {
            let parts = Parts::find(progress).await?;
            let site = start(&parts.lab()).await?;
            let chapters = Chapter::chosen(test.from, test.smoke);
            run_migration(&site, &parts.cluster, &parts.images, chapters).await
        }
        Scenario::ThreeNodes => {
            let parts = Parts::find(progress).await?;
            let site = start(&parts.three_nodes_lab()).await?;
            run_three_nodes(&site, &parts.cluster).await
        }
        Scenario::Faults => {
            let parts = Parts::find(progress).await?;
            smoke(&start(&parts.faults_lab()).await?, &parts.cluster).await
        }
    };
    Ok(ended(counts))
}

/// Disturbs moves on one pair of nodes.
async fn smoke(pair: &Site, program: &Path) -> Counts {
    let campaign = Campaign::begin(Choice::these(Case::smoke(), None), 1);
    let (report, _) = run_faults(std::slice::from_ref(pair), program, campaign, &|_| {}).await;
    report.finish()
}

/// What `faults` is told.
#[derive(Debug, Args)]
pub(crate) struct Faults {
    /// These cases only: FAULT@MOMENT, FAULT for all its moments, two-operators, lost-owner
    #[arg(
        long,
        value_name = "CASE",
        value_delimiter = ',',
        conflicts_with = "smoke"
    )]
    cases: Vec<Cases>,
    /// Every fault and every moment of a move, but not each with each, and some of the other cases
    #[arg(long)]
    smoke: bool,
    /// Cases at random, for so many minutes
    #[arg(long, value_name = "MINUTES", conflicts_with_all = ["smoke", "cases"])]
    random: Option<u64>,
    /// What the cases of --random are made from, told when it is not given; or else the order of the
    /// cases
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Write the table to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Leave out what is green in the file of --json, which must be of the same source
    #[arg(long = "continue", requires = "json", conflicts_with = "random")]
    resume: bool,
    /// On so many pairs of nodes at once
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    pairs: u8,
    /// Leave the nodes running as the lab of this name
    #[arg(long, value_name = "NAME")]
    keep: Option<String>,
}

impl Faults {
    /// Which cases are tried.
    fn choice(&self) -> Choice {
        if let Some(minutes) = self.random {
            let seed = self.seed.unwrap_or_else(Choice::fresh_seed);
            let time = Duration::from_secs(60 * minutes);
            return Choice::Random { seed, time };
        }
        let cases = match (self.smoke, self.cases.as_slice()) {
            (true, _) => Case::smoke(),
            (false, []) => Case::all(),
            (false, cases) => cases.iter().cloned().flatten().collect(),
        };
        Choice::these(cases, self.seed)
    }

    /// What is tried, and what was before.
    fn campaign(&self) -> Result<Campaign, Box<dyn Error>> {
        let campaign = Campaign::begin(self.choice(), self.pairs.into());
        match &self.json {
            Some(file) if self.resume => {
                let text = std::fs::read_to_string(file)?;
                Ok(campaign.resume(serde_json::from_str(&text)?)?)
            }
            _ => Ok(campaign),
        }
    }
}

pub(crate) async fn faults(faults: &Faults, progress: &Progress) -> Done {
    let campaign = faults.campaign()?;
    let parts = Parts::find(progress).await?;
    let mut pairs = Vec::new();
    for number in 1..=faults.pairs {
        let lab = match &faults.keep {
            Some(name) => {
                let name = match number {
                    1 => name.clone(),
                    _ => format!("{name}-{number}"),
                };
                Lab::start_detached(&name, &parts.faults_lab(), progress).await?
            }
            None => Lab::start(&parts.faults_lab(), progress).await?,
        };
        pairs.push(Site::Lab(lab));
    }
    let write = |table: &FaultsReport| -> Result<(), Box<dyn Error>> {
        if let Some(file) = &faults.json {
            std::fs::write(file, serde_json::to_string_pretty(table)? + "\n")?;
        }
        Ok(())
    };
    // What cannot be written meanwhile is an error at the end.
    let told = |table: &FaultsReport| drop(write(table));
    let (report, table) = run_faults(&pairs, &parts.cluster, campaign, &told).await;
    write(&table)?;
    Ok(ended(report.finish()))
}

pub(crate) async fn on_nodes(arguments: &OnNodes) -> Done {
    let progress = Progress::on_stderr();
    let site = match (&arguments.name, &arguments.key) {
        (Some(name), _) => Site::Lab(Lab::open(name)?),
        (None, Some(key)) => {
            let directory = std::env::temp_dir();
            let home = directory.join(format!("flocker-scenario-{}", std::process::id()));
            Site::Plain(PlainNodes::connect(arguments.node.clone(), key, home).await?)
        }
        (None, None) => return Err("nodes need a key".into()),
    };
    let program = arguments.cluster_program.canonicalize()?;
    let counts = match arguments.scenario {
        Scenario::Boot => run_boot(&site).await,
        Scenario::ThreeNodes => run_three_nodes(&site, &program).await,
        Scenario::Faults => smoke(&site, &program).await,
        Scenario::Migration => {
            let images = match &arguments.images {
                Some(directory) => ContainerImages::at(directory.clone()),
                None => ContainerImages::ensure(&Cache::open()?, &progress).await?,
            };
            let chapters = Chapter::chosen(arguments.from, false);
            run_migration(&site, &program, &images, chapters).await
        }
    };
    Ok(ended(counts))
}

/// How the program ends.
fn ended(counts: Counts) -> ExitCode {
    if counts.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
