//! What can happen, and when: the axes of the fault matrix, and what is tried beside it.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;

use super::interrupted_restore::{InterruptedRestore, Outage, RestoreMoment};
use super::killed_operator::OperatorMoment;

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
    /// The source's pool becomes full
    FillSourcePool,
    /// Both nodes lose their power
    PowerCutBoth,
    /// `flocker-cluster` gets SIGKILL, and the target loses its power
    KillOperatorAndTarget,
    /// Docker gets SIGKILL on the node that is at work
    KillDocker,
    /// systemd executes itself anew on the node that is at work, and drops all connections
    ReexecSystemd,
    /// The source's clock jumps an hour ahead, and the target's an hour back
    ClockJump,
}

impl Fault {
    /// Whether it happens to the network between the nodes.
    pub(super) const fn is_of_the_link(self) -> bool {
        matches!(self, Self::CutLink | Self::StallLink)
    }

    /// Whether the operator's program gets a signal that it cannot survive.
    pub(super) const fn kills_operator(self) -> bool {
        matches!(self, Self::KillOperator | Self::KillOperatorAndTarget)
    }

    /// Whether a node loses its power.
    pub(super) const fn cuts_power_of(self, role: Role) -> bool {
        match role {
            Role::Source => matches!(self, Self::PowerCutSource | Self::PowerCutBoth),
            Role::Target => matches!(
                self,
                Self::PowerCutTarget | Self::PowerCutBoth | Self::KillOperatorAndTarget
            ),
        }
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

/// One fault at one moment of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DisturbedMove {
    pub(super) fault: Fault,
    pub(super) moment: Moment,
}

/// What is tried on a pair of nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// Two operators at once, of whom the first is killed.
    TwoOperators,
    /// The machine that has the volume is lost, is given up, and comes back.
    LostOwner,
    /// A move is disturbed.
    Move(DisturbedMove),
    /// The operator's program is killed at a moment of its own.
    Operator(OperatorMoment),
    /// A node brings back what ran there, and is disturbed.
    Restore(InterruptedRestore),
}

/// The names of the cases that are at no moment.
const TWO_OPERATORS: &str = "two-operators";
const LOST_OWNER: &str = "lost-owner";

impl Case {
    /// Every fault at every moment, and the rest.
    pub fn all() -> Vec<Self> {
        let faults = Fault::value_variants().iter();
        let moves = faults.flat_map(|fault| {
            let moments = Moment::value_variants().iter();
            moments.map(|moment| {
                Self::Move(DisturbedMove {
                    fault: *fault,
                    moment: *moment,
                })
            })
        });
        let operators = OperatorMoment::value_variants().iter().copied();
        [Self::TwoOperators, Self::LostOwner]
            .into_iter()
            .chain(moves)
            .chain(operators.map(Self::Operator))
            .chain(InterruptedRestore::all().map(Self::Restore))
            .collect()
    }

    /// Cases without end, the same ones for the same seed.
    pub fn random(seed: u64) -> impl Iterator<Item = Self> {
        let mut generator = fastrand::Rng::with_seed(seed);
        let all = Self::all();
        std::iter::from_fn(move || generator.choice(all.iter().copied()))
    }

    /// Every fault and every moment, and one of each other kind.
    pub fn smoke() -> Vec<Self> {
        let moments = Moment::value_variants().iter().cycle();
        let faults = Fault::value_variants().iter().copied();
        let moves = faults.zip(moments).map(|(fault, moment)| {
            Self::Move(DisturbedMove {
                fault,
                moment: *moment,
            })
        });
        let restore = InterruptedRestore {
            outage: Outage::KillRestore,
            moment: RestoreMoment::Ready,
        };
        let rest = [
            Self::LostOwner,
            Self::Restore(restore),
            Self::TwoOperators,
            Self::Operator(OperatorMoment::ReleaseAnswered),
        ];
        rest.into_iter().chain(moves).collect()
    }

    /// Whether only a lab can do it, which has hands on its nodes' cables and switches.
    pub(super) const fn needs_lab(self) -> bool {
        match self {
            Self::TwoOperators | Self::Operator(_) => false,
            Self::LostOwner | Self::Restore(_) => true,
            Self::Move(disturbed) => disturbed.fault.is_of_the_link(),
        }
    }

    /// What holds when it went well.
    pub(super) fn promise(self) -> String {
        match self {
            Self::TwoOperators => {
                format!("{self}: the second is refused until the first is gone")
            }
            Self::LostOwner => {
                format!("{self}: it is replaced only on purpose, and stays away when it is back")
            }
            Self::Move(_) | Self::Operator(_) => {
                format!("{self}: nothing is lost, doubled, stranded or left over")
            }
            Self::Restore(_) => {
                format!("{self}: it comes back with all its data, and nobody has to see to it")
            }
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TwoOperators => formatter.write_str(TWO_OPERATORS),
            Self::LostOwner => formatter.write_str(LOST_OWNER),
            Self::Move(DisturbedMove { fault, moment }) => {
                write!(formatter, "{}@{}", name(fault), name(moment))
            }
            Self::Operator(moment) => {
                write!(formatter, "{}@{}", name(&Fault::KillOperator), name(moment))
            }
            Self::Restore(InterruptedRestore { outage, moment }) => {
                write!(formatter, "{}@{}", name(outage), name(moment))
            }
        }
    }
}

/// What something is called on the command line.
fn name(value: &impl ValueEnum) -> String {
    let value = value.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// One case, or those of a fault at all its moments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cases(Vec<Case>);

impl FromStr for Cases {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let mut cases = Case::all();
        let of_the_fault = format!("{text}@");
        cases.retain(|case| {
            let name = case.to_string();
            name == text || name.starts_with(&of_the_fault)
        });
        if cases.is_empty() {
            return Err(
                "a case is FAULT@MOMENT, for example kill-agent@released, or \
                        two-operators, or lost-owner; FAULT alone is all its moments",
            );
        }
        Ok(Self(cases))
    }
}

impl IntoIterator for Cases {
    type Item = Case;
    type IntoIter = std::vec::IntoIter<Case>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_has_each_fault_at_each_moment_and_no_case_twice() {
        let all = Case::all();
        let moves = all.iter().filter(|case| matches!(case, Case::Move(_)));
        assert_eq!(moves.count(), 13 * 11);
        let mut names: Vec<String> = all.iter().map(ToString::to_string).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all.len());
    }

    #[test]
    fn the_smoke_run_has_every_fault_and_every_moment() {
        let smoke: Vec<String> = Case::smoke().iter().map(ToString::to_string).collect();
        let has = |part: &str| {
            smoke
                .iter()
                .any(|name| name.split('@').any(|it| it == part))
        };
        let faults = Fault::value_variants().iter();
        let faults = faults.filter_map(ValueEnum::to_possible_value);
        let moments = Moment::value_variants().iter();
        let moments = moments.filter_map(ValueEnum::to_possible_value);
        for part in faults.chain(moments) {
            assert!(has(part.get_name()), "{part:?}");
        }
        assert!(has(TWO_OPERATORS) && has(LOST_OWNER));
        assert!(has("release-answered") && has("kill-restore"));
    }

    #[test]
    fn a_seed_gives_the_same_cases_again() {
        let cases = |seed| Case::random(seed).take(20).collect::<Vec<_>>();
        assert_eq!(cases(7), cases(7));
        assert_ne!(cases(7), cases(8));
    }

    #[test]
    fn a_name_leads_to_its_case_and_a_fault_to_all_its_moments() {
        let named = |text: &str| text.parse::<Cases>().map(|Cases(cases)| cases);
        for case in Case::all() {
            assert_eq!(named(&case.to_string()), Ok(vec![case]));
        }
        assert_eq!(named("cut-link").unwrap().len(), 11);
        for wrong in ["", "kill", "kill-agent@", "kill-agent@nine"] {
            named(wrong).unwrap_err();
        }
    }
}
