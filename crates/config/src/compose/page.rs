//! The table of Compose's keys in `docs/configuration.md`, compared with what the code does.

use std::collections::BTreeSet;

use super::APPLICATION;
use super::tests::SERVICE;
use crate::application::KEYS;

const PAGE: &str = include_str!("../../../../docs/configuration.md");

/// Taken, as in Compose or in a form that the row tells.
const TAKEN: &str = "taken";
/// Taken, and warned about.
const WARNED: &str = "warned about";
/// A mistake, because the key has another name here.
const RENAMED: &str = "another key";
/// A mistake, with what to do instead.
const REFUSED: &str = "refused";

/// Reads the rows below the heading: the key, what becomes of it, and the sentence.
fn rows() -> Vec<(&'static str, &'static str, &'static str)> {
    let section = PAGE
        .split("\n## ")
        .find(|part| part.starts_with("Compose's keys"));
    let lines = section.unwrap_or_default().lines();
    let rows = lines.filter_map(|line| {
        let row = line.strip_prefix("| `")?.strip_suffix(" |")?;
        let (key, rest) = row.split_once("` | ")?;
        let (outcome, sentence) = rest.split_once(" | ")?;
        Some((key, outcome, sentence))
    });
    rows.collect()
}

/// Says what the row of a key of Compose must be; one of ours may say more in its own words.
fn wanted(key: &str, sentence: &str) -> (&'static str, String) {
    let Some(foreign) = APPLICATION.iter().find(|foreign| foreign.key() == key) else {
        let warned = ["mem_swappiness", "oom_kill_disable"];
        let outcome = if warned.contains(&key) { WARNED } else { TAKEN };
        return (outcome, sentence.to_owned());
    };
    match foreign.counterpart() {
        (Some(name), "") => (RENAMED, format!("write `{name}`")),
        (Some(name), note) => (RENAMED, format!("write `{name}`; {note}")),
        (None, hint) => (REFUSED, hint.to_owned()),
    }
}

#[test]
fn every_key_of_compose_has_a_row_that_says_what_is_done() {
    let rows = rows();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for (key, outcome, sentence) in rows {
        assert!(seen.insert(key), "`{key}` has two rows");
        let (outcome_here, sentence_here) = wanted(key, sentence);
        if (outcome, sentence) != (outcome_here, &sentence_here) || sentence.is_empty() {
            wrong.push(format!("| `{key}` | {outcome_here} | {sentence_here} |"));
        }
    }
    let missing = SERVICE.split_whitespace().filter(|key| !seen.contains(key));
    wrong.extend(missing.map(|key| {
        let (outcome, sentence) = wanted(key, "...");
        format!("| `{key}` | {outcome} | {sentence} |")
    }));
    let wrong = wrong.join("\n");
    assert!(wrong.is_empty(), "docs/configuration.md must say:\n{wrong}");
    let all: BTreeSet<&str> = SERVICE.split_whitespace().collect();
    let others: Vec<_> = seen.difference(&all).collect();
    assert!(others.is_empty(), "Compose has no key {others:?}");
}

#[test]
fn every_key_of_an_application_has_a_row() {
    let is_row = |line: &str, key: &str| {
        let cell = line
            .strip_prefix("| ")
            .and_then(|row| row.split(" | ").next());
        let mut keys = cell.unwrap_or_default().split(", ");
        keys.any(|one| one == format!("`{key}`"))
    };
    let sections = PAGE.split("\n## Compose's keys").next().unwrap_or_default();
    for key in KEYS.keys {
        assert!(sections.lines().any(|line| is_row(line, key)), "{key}");
    }
}
