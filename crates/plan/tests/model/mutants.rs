//! Breaks the protocol on purpose, and expects the model to notice.

use crate::explore::{Search, seed};
use crate::invariants::Invariant;
use crate::mutation::Mutation;

/// How many cases there may be until the mutation shows.
const CASES: u32 = 4_000;

/// Fails unless a mutation breaks `expected` in some case, and nothing is broken in any of these
/// cases without it; tells how it was caught.
///
/// The rules for plans are left out of account: what comes of the mistake must show in the world.
fn caught(mutation: Mutation, expected: Invariant) -> String {
    let mutated = Search {
        mutation: Some(mutation),
        breaks: Some(expected),
    }
    .explore(seed(), CASES);
    let Some(found) = mutated.counterexample else {
        panic!(
            "{mutation:?} does not break {expected:?} in {} cases",
            mutated.cases
        );
    };
    let sound = Search {
        mutation: None,
        breaks: None,
    }
    .explore(seed(), mutated.cases);
    if let Some(broken) = sound.counterexample {
        panic!("without {mutation:?}, too:\n{}", broken.history);
    }
    format!(
        "{mutation:?} was caught after {} cases: {}",
        mutated.cases, found.broken
    )
}

#[test]
fn the_model_catches_acquire_before_release() {
    println!(
        "{}",
        caught(Mutation::AcquireBeforeRelease, Invariant::OneOwner)
    );
}

#[test]
fn the_model_catches_skip_the_guid_check() {
    println!(
        "{}",
        caught(Mutation::SkipTheGuidCheck, Invariant::RecordsSurvive)
    );
}

#[test]
fn the_model_catches_create_when_unknown() {
    println!(
        "{}",
        caught(
            Mutation::CreateWhenUnknown,
            Invariant::NoNewVolumeBesideAnOldOne
        )
    );
}

#[test]
fn the_model_catches_start_before_mount() {
    println!(
        "{}",
        caught(Mutation::StartBeforeMount, Invariant::RecordsSurvive)
    );
}

#[test]
fn the_model_catches_forget_the_epoch() {
    println!("{}", caught(Mutation::ForgetTheEpoch, Invariant::Converges));
}

#[test]
fn the_model_catches_restore_what_was_applied() {
    println!(
        "{}",
        caught(Mutation::RestoreWhatWasApplied, Invariant::Restores)
    );
}

#[test]
fn the_model_catches_restore_what_was_taken_away() {
    println!(
        "{}",
        caught(Mutation::RestoreWhatWasTakenAway, Invariant::Restores)
    );
}

#[test]
fn the_model_catches_ignore_an_unreachable_node() {
    println!(
        "{}",
        caught(Mutation::IgnoreAnUnreachableNode, Invariant::OneOwner)
    );
}

#[test]
fn the_model_catches_forget_a_sharer() {
    println!(
        "{}",
        caught(Mutation::ForgetASharer, Invariant::RecordsSurvive)
    );
}
