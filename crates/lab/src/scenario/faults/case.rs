//! What can happen, and when: the axes of the fault matrix.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// The node's agent that is at work gets SIGKILL
    KillAgent,
    /// `flocker-cluster` gets SIGKILL
    KillOperator,
    /// The node that had the application loses its power
    PowerCutSource,
    /// The node that gets the application loses its power
    PowerCutTarget,
    /// The target's network cable is pulled
    CutLink,
    /// The target's packets vanish, with the cable plugged in
    StallLink,
    /// The target's pool becomes full
    FillTargetPool,
}

impl Fault {
    /// Whether it happens to the network between the nodes.
    pub(super) const fn is_of_the_link(self) -> bool {
        matches!(self, Self::CutLink | Self::StallLink)
    }
}

/// When it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Moment {
    /// Half of the first copy was sent
    FirstPush,
    /// The copy is complete but for the last changes; the application runs
    BetweenRounds,
    /// The application was stopped
    AfterStop,
    /// Nothing of the last changes was sent
    #[value(name = "last-delta-0")]
    LastDelta0,
    /// Half of them were
    #[value(name = "last-delta-50")]
    LastDelta50,
    /// Nearly all of them were
    #[value(name = "last-delta-99")]
    LastDelta99,
    /// The target has everything and has not said so
    AnswerLost,
    /// Nobody owns the volume
    Released,
    /// The target owns it; the application runs nowhere
    Acquired,
    /// It runs; its ports lead to where it was
    Started,
    /// All but tidying up is done
    Cleanup,
}

/// One of the two nodes of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The node that had the application.
    Source,
    /// The node that gets it.
    Target,
}

/// Where a node is held so that it is just this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) role: Role,
    /// The name of the place in `flocker-node`.
    pub(super) name: &'static str,
}

impl Moment {
    /// Where the move is held.
    pub(super) const fn place(self) -> Place {
        let (role, name) = match self {
            Self::FirstPush => (Role::Source, "push-volume.ahead.at-50"),
            Self::BetweenRounds => (Role::Source, "push-volume.ahead.after"),
            Self::AfterStop => (Role::Source, "stop-application.after"),
            Self::LastDelta0 => (Role::Source, "push-volume.last.at-0"),
            Self::LastDelta50 => (Role::Source, "push-volume.last.at-50"),
            Self::LastDelta99 => (Role::Source, "push-volume.last.at-99"),
            Self::AnswerLost => (Role::Target, "receive-volume.after"),
            Self::Released => (Role::Source, "release-volume.after"),
            Self::Acquired => (Role::Target, "acquire-volume.after"),
            Self::Started => (Role::Target, "start-application.after"),
            Self::Cleanup => (Role::Source, "remove-application.before"),
        };
        Place { role, name }
    }

    /// Whether the target must not have a copy yet.
    pub(super) const fn is_first_copy(self) -> bool {
        matches!(self, Self::FirstPush)
    }

    /// Where it is held before that, because the place is passed earlier as well.
    pub(super) const fn place_before(self) -> Option<Place> {
        match self {
            Self::AnswerLost => Some(Self::AfterStop.place()),
            _ => None,
        }
    }
}

/// One fault at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    pub(super) fault: Fault,
    pub(super) moment: Moment,
}

impl Case {
    /// Every fault at every moment.
    pub fn all() -> Vec<Self> {
        let faults = Fault::value_variants().iter();
        faults
            .flat_map(|fault| {
                let moments = Moment::value_variants().iter();
                moments.map(|moment| Self {
                    fault: *fault,
                    moment: *moment,
                })
            })
            .collect()
    }

    /// Cases without end, the same ones for the same seed.
    pub fn random(seed: u64) -> impl Iterator<Item = Self> {
        let mut generator = fastrand::Rng::with_seed(seed);
        let all = Self::all();
        std::iter::from_fn(move || generator.choice(all.iter().copied()))
    }

    /// Every fault and every moment, once or twice.
    pub fn smoke() -> Vec<Self> {
        let (faults, moments) = (Fault::value_variants(), Moment::value_variants());
        let count = faults.len().max(moments.len());
        let at = |index: usize| Self {
            fault: faults[index % faults.len()],
            moment: moments[index % moments.len()],
        };
        (0..count).map(at).collect()
    }
}

impl fmt::Display for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |value: Option<clap::builder::PossibleValue>| {
            value.map_or_else(String::new, |value| value.get_name().to_owned())
        };
        let fault = name(self.fault.to_possible_value());
        let moment = name(self.moment.to_possible_value());
        write!(formatter, "{fault}@{moment}")
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (fault, moment) = text
            .split_once('@')
            .ok_or("a case is FAULT@MOMENT, for example kill-agent@released")?;
        Ok(Self {
            fault: Fault::from_str(fault, false)?,
            moment: Moment::from_str(moment, false)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_has_each_fault_at_each_moment_once() {
        let all = Case::all();
        assert_eq!(all.len(), 7 * 11);
        let mut names: Vec<String> = all.iter().map(ToString::to_string).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all.len());
    }

    #[test]
    fn the_smoke_run_has_every_fault_and_every_moment() {
        let smoke = Case::smoke();
        for fault in Fault::value_variants() {
            assert!(smoke.iter().any(|case| case.fault == *fault), "{fault:?}");
        }
        for moment in Moment::value_variants() {
            assert!(
                smoke.iter().any(|case| case.moment == *moment),
                "{moment:?}"
            );
        }
    }

    #[test]
    fn a_seed_gives_the_same_cases_again() {
        let cases = |seed| Case::random(seed).take(20).collect::<Vec<_>>();
        assert_eq!(cases(7), cases(7));
        assert_ne!(cases(7), cases(8));
    }

    #[test]
    fn a_cases_name_leads_back_to_it() {
        for case in Case::all() {
            assert_eq!(case.to_string().parse(), Ok(case));
        }
        assert!("kill-agent".parse::<Case>().is_err());
        assert!("kill-agent@nine".parse::<Case>().is_err());
    }
}
