//! What to tell the kernel, so that a table becomes what it should be.

use crate::docker_firewall::Edit;
use crate::ruleset::{Chain, Rule, Ruleset, Set};
use crate::table_state::TableState;

/// One message of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Operation<'a> {
    /// Make the table if it is missing.
    EnsureTable,
    /// Take all rules out of a chain.
    FlushChain(String),
    /// Remove an empty chain.
    DeleteChain(String),
    /// Remove a set that no rule uses any more.
    DeleteSet(String),
    /// Make a chain if it is missing.
    EnsureChain(&'a Chain),
    /// Make a set if it is missing.
    EnsureSet(&'a Set),
    /// Take all elements out of a set.
    FlushSet(&'a Set),
    /// Put the elements into a set.
    AddElements(&'a Set),
    /// Put a rule at the end of a chain.
    AppendRule(&'a Chain, &'a Rule),
    /// Change a chain of Docker's, so that our packets pass its firewall.
    EditDockerChain(&'static str, Edit),
}

/// Works out the messages that turn `found` into `desired`; none when they are equal.
///
/// The table and its chains are kept where they can be, with all rules and elements replaced: a
/// packet of an open connection that finds no chain to translate it goes out untranslated, and is
/// answered with a reset.
pub(crate) fn plan_transaction<'a>(
    found: Option<&TableState>,
    desired: &'a Ruleset,
) -> Vec<Operation<'a>> {
    let expected = desired.expected_state();
    if found == Some(&expected) {
        return Vec::new();
    }
    let mut operations = vec![Operation::EnsureTable];
    if let Some(found) = found {
        operations.extend(clear(found, &expected));
    }
    operations.extend(desired.sets.iter().map(Operation::EnsureSet));
    for set in &desired.sets {
        operations.push(Operation::FlushSet(set));
        operations.push(Operation::AddElements(set));
    }
    operations.extend(desired.chains.iter().map(Operation::EnsureChain));
    for chain in &desired.chains {
        let rules = chain.rules.iter();
        operations.extend(rules.map(|rule| Operation::AppendRule(chain, rule)));
    }
    operations
}

/// Takes out all rules, and those chains and sets that cannot stay.
fn clear<'a>(found: &TableState, expected: &TableState) -> Vec<Operation<'a>> {
    let flush = found.chains.keys().cloned().map(Operation::FlushChain);
    let foreign_chains = found.chains.iter().filter(|(name, chain)| {
        expected
            .chains
            .get(*name)
            .is_none_or(|expected| expected.base != chain.base)
    });
    let foreign_sets = found.sets.iter().filter(|(name, set)| {
        expected
            .sets
            .get(*name)
            .is_none_or(|expected| expected.layout != set.layout)
    });
    let chains = foreign_chains.map(|(name, _)| Operation::DeleteChain(name.clone()));
    let sets = foreign_sets.map(|(name, _)| Operation::DeleteSet(name.clone()));
    flush.chain(chains).chain(sets).collect()
}
