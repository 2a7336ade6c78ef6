//! A plan as one JSON document, for programs.

use std::borrow::Cow;
use std::fmt::Write as _;

use flocker_model::printable;
use flocker_plan::{Action, Plan, Step};
use serde_json::{Value, json};

use crate::earlier::LeftBehind;
use crate::printer::application_json;

/// Writes a plan's steps and outcomes in one line, without the values of environments
/// and the contents of files.
///
/// # Errors
///
/// When something in an action cannot be written as JSON.
pub(crate) fn render_plan(plan: &Plan, left: &[LeftBehind]) -> serde_json::Result<String> {
    let steps: Vec<Value> = plan
        .steps()
        .iter()
        .map(step_json)
        .collect::<Result<_, _>>()?;
    let mut outcomes = Vec::new();
    for (name, outcome) in &plan.outcomes {
        let mut value = application_json(name, outcome);
        value["result"]["done_after"] = json!(outcome.done_after);
        outcomes.push(value);
    }
    let mut document = json!({ "steps": steps, "outcomes": outcomes });
    let left = left.iter().map(LeftBehind::to_json);
    let warnings: Vec<Value> = notes_json(plan, true).chain(left).collect();
    let notes: Vec<Value> = notes_json(plan, false).collect();
    for (key, values) in [("warnings", warnings), ("notes", notes)] {
        if !values.is_empty() {
            document[key] = json!(values);
        }
    }
    Ok(escaped(&document.to_string()))
}

/// Writes the notes that are warnings, or those that are not.
fn notes_json(plan: &Plan, are_warnings: bool) -> impl Iterator<Item = Value> {
    let notes = plan.notes.iter();
    let notes = notes.filter(move |note| note.note.is_warning() == are_warnings);
    notes.map(|note| {
        let mut value = json!(note);
        value["message"] = json!(note.to_string());
        value
    })
}

/// Writes a step for programs and, as `text` and `why`, for people.
fn step_json(step: &Step) -> serde_json::Result<Value> {
    let action = serde_json::to_value(without_secrets(&step.action))?;
    Ok(json!({
        "id": step.id, "node": step.node, "text": step.action.to_string(), "action": action,
        "after": step.after, "why": step.why,
    }))
}

/// Leaves out the values of environments and the contents of files: nodes are sent them, and a plan
/// ends where others may read it.
fn without_secrets(action: &Action) -> Action {
    let mut action = action.clone();
    match &mut action {
        Action::StartApplication { specification, .. } | Action::CheckImage { specification } => {
            specification.withhold_secrets();
        }
        // One by one, so that whoever adds an action has to decide.
        Action::AdmitMembers { .. }
        | Action::PushImage { .. }
        | Action::EnsureImage { .. }
        | Action::CreateVolume { .. }
        | Action::ResizeVolume { .. }
        | Action::PushVolume { .. }
        | Action::ReleaseVolume { .. }
        | Action::AcquireVolume { .. }
        | Action::PromoteVolume { .. }
        | Action::RecordOwner { .. }
        | Action::SetVolumeAside { .. }
        | Action::StopApplication { .. }
        | Action::RemoveApplication { .. }
        | Action::SetLinks { .. }
        | Action::AwaitHealth { .. }
        | Action::AwaitCompletion { .. }
        | Action::HoldPorts { .. }
        | Action::SwitchRoutes { .. }
        | Action::ProgramNetwork { .. }
        | Action::ImportVolume { .. }
        | Action::SnapshotVolume { .. }
        | Action::PruneSnapshots { .. }
        | Action::RecordDeployment { .. } => {}
    }
    action
}

/// Escapes in JSON's own way what a terminal would act on: it is JSON that says the same.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        let mut buffer = [0; 4];
        if let Cow::Borrowed(_) = printable(character.encode_utf8(&mut buffer)) {
            text.push(character);
            continue;
        }
        let mut units = [0; 2];
        for unit in character.encode_utf16(&mut units) {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\u{unit:04x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use flocker_config::Source;
    use flocker_model::{
        ByteCount, Contact, NodeId, NodeObservation, NodeState, Observed, PoolHealth, PoolState,
    };
    use flocker_plan::{Goal, Scope, plan};

    use super::*;

    const SECRET: &str = "correct-horse-battery-staple";

    /// A machine on which nothing of ours ever was.
    fn fresh_machine() -> NodeState {
        let pool = PoolState {
            dataset: "tank/flocker".to_owned(),
            health: PoolHealth::Usable,
            available: ByteCount::mebibytes(1024),
            sync_disabled: None,
        };
        NodeState {
            contact: Contact::from_ssh_connection("10.0.0.9 50000 10.0.0.1 22"),
            ..NodeState::fresh(NodeId(uuid::Uuid::nil()), "1", pool)
        }
    }

    /// Plans the first deploy of an application with a password.
    fn first_deploy() -> Plan {
        let application = format!(
            "db: {{image: postgres, volume: /data, routes: [5432], command: [\"run\\u202Etxt\"], \
             environment: {{PASSWORD: {SECRET}}}}}\n"
        );
        let source = |bytes| Source {
            name: "a file",
            bytes,
        };
        let deployment = flocker_config::parse(
            source(application.as_bytes()),
            source(b"nodes: {10.0.0.1: [db]}\n"),
        );
        let deployment = deployment.unwrap_or_else(|wrong| panic!("{wrong}"));
        let machine = NodeObservation::Seen(Box::new(fresh_machine()));
        let observed = Observed {
            nodes: BTreeMap::from([("10.0.0.1".parse().unwrap(), machine)]),
            ..Observed::default()
        };
        let goal = Goal::new(&deployment, Scope::Cluster);
        let plan = plan(&goal, &observed);
        assert!(plan.blocked.is_empty(), "{plan}");
        plan
    }

    #[test]
    fn a_plan_as_json_has_every_step_and_no_secret() {
        let plan = first_deploy();
        let text = render_plan(&plan, &[]).unwrap();
        assert!(!text.contains(SECRET), "{text}");
        assert_eq!(text.matches("\"PASSWORD\":\"(withheld)\"").count(), 2);
        let file = serde_json::to_string(&plan).unwrap();
        assert_eq!(
            file.matches(SECRET).count(),
            2,
            "they are there to be left out"
        );

        let read: Value = serde_json::from_str(&text).unwrap();
        let steps = read["steps"].as_array().unwrap();
        assert_eq!(steps.len(), plan.steps().len());
        let start = steps
            .iter()
            .find(|step| step["text"] == "start db")
            .unwrap();
        assert_eq!(start["node"], "10.0.0.1");
        assert_eq!(start["why"], "it is placed here");
        assert!(start["action"]["start-application"].is_object(), "{start}");
        let first = start["after"][0].as_u64().unwrap();
        assert!(first < start["id"].as_u64().unwrap(), "{start}");
        let note = &read["notes"][0];
        assert_eq!(note["note"], "new-volume");
        assert_eq!(note["application"], "db");
        let outcome = &read["outcomes"][0];
        assert_eq!(outcome["application"], "db");
        assert_eq!(outcome["result"]["outcome"], "deployed");
        assert!(outcome["result"]["done_after"][0].is_u64(), "{outcome}");
    }

    #[test]
    fn a_plan_as_json_has_nothing_in_it_that_a_terminal_acts_on() {
        let text = render_plan(&first_deploy(), &[]).unwrap();
        assert_eq!(flocker_model::one_line(&text), text);
        let read: Value = serde_json::from_str(&text).unwrap();
        let steps = read["steps"].as_array().unwrap();
        let start = steps
            .iter()
            .find(|step| step["text"] == "start db")
            .unwrap();
        let command = &start["action"]["start-application"]["specification"]["command"];
        assert_eq!(command[0], "run\u{202e}txt");
    }

    #[test]
    fn nothing_to_do_is_a_document_as_well() {
        let text = render_plan(&Plan::default(), &[]).unwrap();
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read, json!({ "steps": [], "outcomes": [] }));
    }
}
