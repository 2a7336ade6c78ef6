//! Random clusters and random goals, with every interruption, until they are as wanted.
//!
//! The environment variable `FLOCKER_MODEL_CASES` says how many plans are to be interrupted, and
//! `FLOCKER_MODEL_SEED` what the random numbers depend on.

mod boots;
mod case;
mod damage;
mod drive;
mod explore;
mod invariants;
mod mend;
mod mutants;
mod mutation;
mod partial;
mod random;
mod records;
mod returns;
mod run;
mod world;

use std::sync::OnceLock;

use explore::{Explored, explore_all};
use invariants::Invariant;

/// Explores until enough plans were interrupted, once for all tests.
fn explored() -> &'static Explored {
    static EXPLORED: OnceLock<Explored> = OnceLock::new();
    EXPLORED.get_or_init(explore_all)
}

/// Fails if an invariant was broken.
fn require(invariant: Invariant) {
    if let Some(found) = &explored().counterexample
        && found.broken.invariant == invariant
    {
        panic!("{}", found.history);
    }
}

#[test]
fn every_acknowledged_record_survives() {
    require(Invariant::RecordsSurvive);
}

#[test]
fn never_two_owners() {
    require(Invariant::OneOwner);
}

#[test]
fn never_two_writers_nor_one_on_a_replica() {
    require(Invariant::OneWriter);
}

#[test]
fn never_a_new_volume_where_one_may_exist() {
    require(Invariant::NoNewVolumeBesideAnOldOne);
}

#[test]
fn interrupted_plans_converge() {
    require(Invariant::Converges);
    let explored = explored();
    let found = &explored.counterexample;
    assert!(found.is_none(), "another invariant is broken");
    let Explored {
        cases, interrupted, ..
    } = explored;
    let seconds = explored.took.as_secs_f64();
    println!("in {seconds:.1} s, {cases} cases had {interrupted} interrupted plans");
}

#[test]
fn a_boot_brings_back_what_ran_and_nothing_else() {
    require(Invariant::Restores);
}

#[test]
fn a_return_brings_back_what_was_stopped_as_it_was() {
    require(Invariant::Returns);
}

#[test]
fn nothing_leaks() {
    require(Invariant::NothingLeaks);
}

#[test]
fn a_second_deploy_does_nothing() {
    require(Invariant::SecondDoesNothing);
}

#[test]
fn plans_keep_to_the_rules() {
    require(Invariant::PlansAreSound);
}
