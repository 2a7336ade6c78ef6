//! The table of what was tried, and what came of it.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::super::failure::Failure;
use super::super::report::{Report, heading, say};
use super::super::site::Site;
use super::{Case, Faults};

/// A case that was tried.
#[derive(Debug, Serialize)]
pub struct Tried {
    /// The fault and the moment.
    pub case: String,
    /// How the disturbed deploy ended; nothing if it was killed.
    pub first_exit: Option<i32>,
    /// How often `deploy` was run after the fault.
    pub deploys: u32,
    /// How long it all took.
    pub seconds: f32,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}

/// Which cases are tried.
#[derive(Debug, Clone)]
pub enum Choice {
    /// These.
    These(Vec<Case>),
    /// Cases at random.
    Random {
        /// What they are made from.
        seed: u64,
        /// How long new ones are begun.
        time: Duration,
    },
}

impl Choice {
    /// A seed that was not used before.
    pub fn fresh_seed() -> u64 {
        fastrand::u64(..)
    }

    fn cases(&self) -> Box<dyn Iterator<Item = Case>> {
        match self {
            Self::These(cases) => Box::new(cases.clone().into_iter()),
            Self::Random { seed, time } => {
                let (began, time) = (Instant::now(), *time);
                Box::new(Case::random(*seed).take_while(move |_| began.elapsed() < time))
            }
        }
    }

    const fn seed(&self) -> Option<u64> {
        match self {
            Self::These(_) => None,
            Self::Random { seed, .. } => Some(*seed),
        }
    }
}

/// All cases that were tried.
#[derive(Debug, Default, Serialize)]
pub struct FaultsReport {
    /// What random cases were made from.
    pub seed: Option<u64>,
    /// How many records were acknowledged, all of which are there if no case failed.
    pub acknowledged: usize,
    /// The cases, in the order in which they were tried.
    pub cases: Vec<Tried>,
}

/// Tries cases one after another, on two nodes on which nothing runs yet.
///
/// A case that fails is followed by the others only if `deploy` still succeeds.
pub async fn run_faults(site: &Site, cluster: &Path, choice: Choice) -> (Report, FaultsReport) {
    let report = Report::default();
    let mut table = FaultsReport {
        seed: choice.seed(),
        ..FaultsReport::default()
    };
    if let Some(seed) = table.seed {
        say(&format!("the cases of --seed {seed}"));
    }
    heading("faults: a move that nothing disturbs");
    let began = async {
        let mut faults = Faults::new(site, cluster)?;
        faults.begin().await?;
        Ok(faults)
    };
    let name = "the ledger moves there and back";
    let Ok(mut faults) = report.check(site, name, began).await else {
        return (report, table);
    };
    let mut cases = choice.cases();
    while let Some(case) = cases.next() {
        if case.fault.is_of_the_link() && matches!(site, Site::Plain(_)) {
            report.skip(&format!(
                "{case}: only a lab has hands on its nodes' cables"
            ));
            continue;
        }
        heading(&format!("faults: {case}"));
        let began = Instant::now();
        let (course, outcome) = faults.run(case).await;
        let tried = Tried {
            case: case.to_string(),
            first_exit: course.first_exit,
            deploys: course.deploys,
            seconds: began.elapsed().as_secs_f32(),
            failure: outcome.as_ref().err().map(Failure::to_string),
        };
        say(&format!(
            "first exit {:?}, then {} deploys, {:.0} s",
            tried.first_exit, tried.deploys, tried.seconds
        ));
        table.cases.push(tried);
        let is_failed = outcome.is_err();
        let name = format!("{case}: nothing is lost, doubled, stranded or left over");
        let _ = report.check(site, &name, async { outcome }).await;
        if is_failed && faults.start_over().await.is_err() {
            say("deploy no longer succeeds, so that no other case can be tried");
            if let Choice::These(_) = choice {
                cases.for_each(|case| report.skip(&case.to_string()));
            }
            break;
        }
    }
    table.acknowledged = faults.acknowledged.len();
    (report, table)
}
