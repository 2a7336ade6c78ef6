//! The table of what was tried, and what came of it.

use std::cell::RefCell;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use flocker_model::render_utc;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::super::failure::Failure;
use super::super::report::{Report, heading, say};
use super::super::site::Site;
use super::{Case, Faults};

/// A case that was tried.
#[derive(Debug, Serialize, Deserialize)]
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
    These {
        /// In the order in which they are begun.
        cases: Vec<Case>,
        /// What the order was made from, if it is not their own.
        seed: Option<u64>,
    },
    /// Cases at random.
    Random {
        /// What they are made from.
        seed: u64,
        /// How long new ones are begun.
        time: Duration,
    },
}

impl Choice {
    /// These cases, in their own order or in one that is made from a seed: what a case leaves is what
    /// the next one finds.
    pub fn these(mut cases: Vec<Case>, seed: Option<u64>) -> Self {
        if let Some(seed) = seed {
            fastrand::Rng::with_seed(seed).shuffle(&mut cases);
        }
        Self::These { cases, seed }
    }

    /// A seed that was not used before.
    pub fn fresh_seed() -> u64 {
        fastrand::u64(..)
    }

    fn cases(&self) -> Box<dyn Iterator<Item = Case>> {
        match self {
            Self::These { cases, .. } => Box::new(cases.clone().into_iter()),
            Self::Random { seed, time } => {
                let (began, time) = (Instant::now(), *time);
                Box::new(Case::random(*seed).take_while(move |_| began.elapsed() < time))
            }
        }
    }

    const fn seed(&self) -> Option<u64> {
        match self {
            Self::These { seed, .. } => *seed,
            Self::Random { seed, .. } => Some(*seed),
        }
    }
}

/// All cases that were tried.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct FaultsReport {
    /// When the first was begun.
    pub date: String,
    /// The commit that was tried, or the first of them, as far as the environment tells.
    pub commit: Option<String>,
    /// Names all that programs and nodes were built of; nothing if nobody can get that again.
    pub source: Option<String>,
    /// What random cases, or the order of chosen ones, were made from.
    pub seed: Option<u64>,
    /// How many pairs of nodes there were, each with cases of its own.
    pub pairs: usize,
    /// How many records were acknowledged, all of which are there if no case failed.
    pub acknowledged: usize,
    /// The cases, in the order in which they ended.
    pub cases: Vec<Tried>,
}

impl FaultsReport {
    fn begin(seed: Option<u64>, pairs: usize) -> Self {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            date: render_utc(elapsed.map_or(0, |elapsed| elapsed.as_secs())),
            commit: std::env::var("FLOCKER_COMMIT").ok(),
            source: std::env::var("FLOCKER_SOURCE").ok(),
            seed,
            pairs,
            ..Self::default()
        }
    }
}

/// What is to be tried, and what was tried before.
#[derive(Debug)]
pub struct Campaign {
    choice: Choice,
    table: FaultsReport,
}

/// What was tried before says nothing of what is there now.
#[derive(Debug, Error)]
#[error(
    "that table is of commit {}, and this is {}, built of something else or of changes that are not \
     committed; begin a new one",
    told(earlier.as_deref()),
    told(now.as_deref())
)]
pub struct OtherSource {
    earlier: Option<String>,
    now: Option<String>,
}

/// Names a commit.
fn told(commit: Option<&str>) -> &str {
    commit.unwrap_or("unknown")
}

impl Campaign {
    /// Begins with nothing.
    pub fn begin(choice: Choice, pairs: usize) -> Self {
        let table = FaultsReport::begin(choice.seed(), pairs);
        Self { choice, table }
    }

    /// Goes on where an earlier run ended whose programs and nodes were built of the same: cases that
    /// were green then are not tried again.
    ///
    /// # Errors
    /// Fails when they were built of something else, or when that is not known of this run.
    pub fn resume(self, earlier: FaultsReport) -> Result<Self, OtherSource> {
        let now = self.table.source.as_ref();
        if now.is_none() || now != earlier.source.as_ref() {
            return Err(OtherSource {
                earlier: earlier.commit,
                now: self.table.commit,
            });
        }
        let mut table = earlier;
        table.cases.retain(|tried| tried.failure.is_none());
        let is_green = |case: &Case| {
            let name = case.to_string();
            table.cases.iter().any(|tried| tried.case == name)
        };
        let choice = match self.choice {
            Choice::These { mut cases, seed } => {
                cases.retain(|case| !is_green(case));
                Choice::These { cases, seed }
            }
            random @ Choice::Random { .. } => random,
        };
        Ok(Self { choice, table })
    }
}

/// What pairs of nodes share that try cases at the same time.
struct Shared<'a> {
    cluster: &'a Path,
    told: &'a dyn Fn(&FaultsReport),
    report: Report,
    cases: RefCell<Box<dyn Iterator<Item = Case>>>,
    table: RefCell<FaultsReport>,
}

/// Tries cases on pairs of nodes on which nothing runs yet: on each pair one after another.
///
/// A case that fails is followed by others only if `deploy` still succeeds. After each case `told`
/// is shown the table as far as it is: all of them take hours.
pub async fn run_faults(
    pairs: &[Site],
    cluster: &Path,
    campaign: Campaign,
    told: &dyn Fn(&FaultsReport),
) -> (Report, FaultsReport) {
    let Campaign { choice, table } = campaign;
    if let Some(seed) = choice.seed() {
        say(&format!("the cases of --seed {seed}"));
    }
    let shared = Shared {
        cluster,
        told,
        report: Report::default(),
        cases: RefCell::new(choice.cases()),
        table: RefCell::new(table),
    };
    join_all(pairs.iter().map(|site| shared.try_on(site))).await;
    if let Choice::These { .. } = choice {
        let left = shared.cases.into_inner();
        left.for_each(|case| shared.report.skip(&case.to_string()));
    }
    (shared.report, shared.table.into_inner())
}

impl Shared<'_> {
    /// Takes one case after another that nobody has taken yet.
    async fn try_on(&self, site: &Site) {
        heading("faults: a move that nothing disturbs");
        let began = async {
            let mut faults = Faults::new(site, self.cluster)?;
            faults.begin().await?;
            Ok(faults)
        };
        let name = "the ledger moves";
        let Ok(mut faults) = self.report.check(site, name, began).await else {
            return;
        };
        let take = || self.cases.borrow_mut().next();
        while let Some(case) = take() {
            if case.needs_lab() && matches!(site, Site::Plain(_)) {
                self.report.skip(&format!(
                    "{case}: only a lab has hands on its nodes' cables and switches"
                ));
            } else if self.try_case(&mut faults, case).await.is_err() {
                say("deploy no longer succeeds, so that no other case can be tried there");
                break;
            }
        }
    }

    /// Tries a case; fails when no other can be tried after it.
    async fn try_case(&self, faults: &mut Faults<'_>, case: Case) -> Result<(), Failure> {
        heading(&format!("faults: {case}"));
        let began = Instant::now();
        let before = faults.acknowledged.len();
        let (course, outcome) = faults.run(case).await;
        let tried = Tried {
            case: case.to_string(),
            first_exit: course.first_exit,
            deploys: course.deploys,
            seconds: began.elapsed().as_secs_f32(),
            failure: outcome.as_ref().err().map(Failure::to_string),
        };
        say(&format!(
            "{case}: first exit {:?}, then {} deploys, {:.0} s",
            tried.first_exit, tried.deploys, tried.seconds
        ));
        self.note(tried, faults.acknowledged.len().saturating_sub(before));
        let is_failed = outcome.is_err();
        let promise = case.promise();
        let checked = self.report.check(faults.site, &promise, async { outcome });
        let _ = checked.await;
        if is_failed {
            faults.start_over().await?;
        }
        Ok(())
    }

    /// Writes down what came of a case, and how many records were acknowledged during it.
    fn note(&self, tried: Tried, acknowledged: usize) {
        let mut table = self.table.borrow_mut();
        table.cases.push(tried);
        table.acknowledged += acknowledged;
        (self.told)(&table);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Cases;
    use super::*;

    fn table(source: &str) -> FaultsReport {
        let tried = |case: &str, failure: Option<&str>| Tried {
            case: case.to_owned(),
            first_exit: Some(5),
            deploys: 1,
            seconds: 1.0,
            failure: failure.map(str::to_owned),
        };
        FaultsReport {
            commit: Some("abc".to_owned()),
            source: Some(source.to_owned()),
            cases: vec![
                tried("kill-agent@released", None),
                tried("two-operators", Some("both went on")),
            ],
            ..FaultsReport::default()
        }
    }

    fn campaign(source: Option<&str>) -> Campaign {
        let cases = ["kill-agent@released", "two-operators", "lost-owner"];
        let cases = cases.map(|case| case.parse::<Cases>().unwrap());
        let cases = cases.into_iter().flatten().collect();
        let mut campaign = Campaign::begin(Choice::these(cases, None), 2);
        campaign.table.commit = Some("def".to_owned());
        campaign.table.source = source.map(str::to_owned);
        campaign
    }

    #[test]
    fn what_failed_or_was_not_tried_is_left_to_do() {
        let resumed = campaign(Some("1 2")).resume(table("1 2")).unwrap();
        let left: Vec<_> = resumed
            .choice
            .cases()
            .map(|case| case.to_string())
            .collect();
        assert_eq!(left, ["two-operators", "lost-owner"]);
        assert_eq!(resumed.table.cases.len(), 1);
    }

    #[test]
    fn a_seed_gives_the_same_order_again() {
        let order = |seed| Choice::these(Case::all(), seed).cases().collect::<Vec<_>>();
        assert_eq!(order(None), Case::all());
        assert_eq!(order(Some(7)), order(Some(7)));
        assert_ne!(order(Some(7)), order(Some(8)));
        assert_eq!(Choice::these(Case::all(), Some(7)).seed(), Some(7));
    }

    #[test]
    fn what_is_built_of_something_else_begins_anew() {
        let refused = campaign(Some("1 3")).resume(table("1 2")).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "that table is of commit abc, and this is def, built of something else or of changes \
             that are not committed; begin a new one"
        );
        assert!(campaign(None).resume(table("1 2")).is_err());
    }
}
