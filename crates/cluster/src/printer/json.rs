//! The results of the program as JSON, for other programs.

use flocker_config::{Diagnostic, Diagnostics, Severity};
use flocker_model::{ApplicationName, printable};
use flocker_plan::{NodeNote, Outcome, OutcomeKind};
use serde_json::json;

use crate::exit::Exit;
use crate::failure::Failure;

/// Writes a failure. JSON leaves some of what a terminal acts on as it is, so that is written out
/// before: afterwards it would no longer be JSON.
pub(super) fn failure_json(failure: &Failure) -> serde_json::Value {
    let causes: Vec<_> = failure
        .causes
        .iter()
        .map(|cause| printable(cause))
        .collect();
    let error = json!({
        "message": printable(&failure.message), "causes": causes,
        "hint": failure.hint.as_deref().map(printable), "exit_code": failure.exit.code(),
    });
    json!({ "error": error })
}

/// Writes the mistakes of configuration files, each with its place. The lines of the files are left out,
/// because there may be passwords in them.
pub(super) fn diagnostics_json(diagnostics: &Diagnostics) -> Vec<serde_json::Value> {
    let mut lines: Vec<_> = diagnostics.list.iter().map(diagnostic_json).collect();
    if diagnostics.omitted > 0 {
        let message = format!("{} more mistakes are not shown", diagnostics.omitted);
        lines.push(failure_json(&Failure::new(Exit::Configuration, message)));
    }
    lines
}

fn diagnostic_json(diagnostic: &Diagnostic) -> serde_json::Value {
    let Diagnostic {
        severity,
        message,
        file,
        place,
        related,
        hint,
    } = diagnostic;
    let related: Vec<_> = related
        .iter()
        .map(|place| {
            json!({
                "file": printable(&place.file), "line": place.line, "column": place.column,
                "note": place.note.as_deref().map(printable),
            })
        })
        .collect();
    let mut mistake = json!({
        "severity": severity, "message": printable(message),
        "file": printable(place.as_ref().map_or(file, |place| &place.file)),
        "line": place.as_ref().map(|place| place.line),
        "column": place.as_ref().map(|place| place.column),
        "related": related, "hint": hint.as_deref().map(printable),
    });
    match severity {
        Severity::Error => {
            mistake["exit_code"] = json!(Exit::Configuration.code());
            json!({ "error": mistake })
        }
        Severity::Warning => json!({ "warning": mistake }),
    }
}

/// Writes a note: what it is about as data, and in words.
pub(super) fn note_json(note: &NodeNote) -> serde_json::Value {
    let mut value = json!(note);
    value["message"] = json!(printable(&note.to_string()));
    if note.note.is_warning() {
        json!({ "warning": value })
    } else {
        json!({ "note": value })
    }
}

/// Writes what happens to an application.
pub(crate) fn application_json(name: &ApplicationName, outcome: &Outcome) -> serde_json::Value {
    json!({ "application": name, "result": outcome_json(outcome) })
}

/// Writes an outcome without the names of a plan's steps, which mean nothing outside it.
fn outcome_json(outcome: &Outcome) -> serde_json::Value {
    let kind = match &outcome.kind {
        OutcomeKind::Deployed => "deployed",
        OutcomeKind::Redeployed { .. } => "redeployed",
        OutcomeKind::Changed => "changed",
        OutcomeKind::Started => "started",
        OutcomeKind::Stopped { .. } => "stopped",
        OutcomeKind::Promoted { .. } => "promoted",
        OutcomeKind::SetAside { .. } => "set-aside",
        OutcomeKind::NothingSetAside => "nothing-set-aside",
        OutcomeKind::Imported { .. } => "imported",
        OutcomeKind::Exported => "exported",
        OutcomeKind::Unchanged => "unchanged",
    };
    let from = match &outcome.kind {
        OutcomeKind::Redeployed { from } => Some(from),
        _ => None,
    };
    let mut value = json!({ "outcome": kind, "node": outcome.node, "from": from });
    if let OutcomeKind::SetAside { dataset } = &outcome.kind {
        value["dataset"] = json!(dataset);
    }
    if let OutcomeKind::Imported { from } = &outcome.kind {
        value["source"] = json!(printable(from));
    }
    value
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use flocker_model::{NodeName, StopGracePeriod};
    use flocker_plan::Note;

    use super::*;

    #[test]
    fn a_failure_as_json_has_nothing_in_it_that_a_terminal_acts_on() {
        let hostile = "\u{1b}]0;title\u{7} \u{9b}2J \u{202e}evil\nerror: fake";
        let failure = Failure::new(Exit::StepFailed, hostile)
            .caused_by(&std::io::Error::other(hostile))
            .hint(hostile);
        let text = failure_json(&failure).to_string();
        assert_eq!(flocker_model::one_line(&text), text);
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        let shown = "\\u{1b}]0;title\\u{7} \\u{9b}2J \\u{202e}evil\nerror: fake";
        assert_eq!(read["error"]["causes"][0], shown);
        assert_eq!(read["error"]["exit_code"], 5);
    }

    #[test]
    fn an_application_that_was_killed_is_told_in_words_and_in_json() {
        let note = NodeNote {
            node: NodeName::try_from("node1".to_owned()).unwrap(),
            note: Note::Killed {
                application: "slow".parse().unwrap(),
                grace: StopGracePeriod::DEFAULT,
            },
        };
        insta::assert_snapshot!(note_json(&note), @r#"{"warning":{"application":"slow","grace":30,"message":"node1: `slow` did not stop within 30 s and was killed: what it had not written by then is lost (raise `stop_grace_period` to give it more time)","node":"node1","note":"killed"}}"#);
    }

    #[test]
    fn an_outcome_as_json_says_what_happened_and_where() {
        let node = |name: &str| NodeName::try_from(name.to_owned()).unwrap();
        let written = |kind| {
            outcome_json(&Outcome {
                kind,
                node: node("node2"),
                done_after: BTreeSet::new(),
            })
        };
        let dataset = "tank/flocker/_set-aside:db-2-1795402590".to_owned();
        assert_eq!(
            written(OutcomeKind::SetAside {
                dataset: dataset.clone()
            }),
            json!({ "outcome": "set-aside", "node": "node2", "from": null, "dataset": dataset })
        );
        let from = node("node1");
        assert_eq!(
            written(OutcomeKind::Redeployed { from }),
            json!({ "outcome": "redeployed", "node": "node2", "from": "node1" })
        );
        assert_eq!(
            written(OutcomeKind::Stopped { volume_kept: true }),
            json!({ "outcome": "stopped", "node": "node2", "from": null })
        );
    }
}
