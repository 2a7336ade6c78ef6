//! The program's output: results on standard output, everything else on standard error.
//!
//! Much of it comes from nodes, and some of that from programs on them. The printer writes out all
//! characters that a terminal would act on.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use flocker_config::Diagnostics;
use flocker_model::{ApplicationName, NodeName, one_line, printable};
use flocker_plan::{Forgotten, NodeNote, Outcome, Plan, Step, StepId};
use flocker_remote::protocol::Progress;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use self::json::{diagnostics_json, failure_json, note_json};
use crate::earlier::LeftBehind;
use crate::export_file::{ExportFile, Exported};
use crate::failure::Failure;
use crate::plan_json::render_plan;
use crate::program::Transcript;

mod json;

pub(crate) use self::json::application_json;

/// Prints what happens as it happens.
pub(crate) struct Printer {
    json: bool,
    verbose: bool,
    bars: MultiProgress,
    running: BTreeMap<StepId, ProgressBar>,
    /// Keeps all lines, which are not printed then.
    transcript: Option<Transcript>,
}

impl Printer {
    /// Prints for people, or JSON for programs.
    pub(crate) fn new(json: bool, verbose: bool) -> Self {
        // Drawn only where standard error is a terminal; the library sees to that.
        Self {
            json,
            verbose,
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()),
            running: BTreeMap::new(),
            transcript: None,
        }
    }

    /// Prints nothing, and keeps every line in `transcript`.
    pub(crate) fn keeping(transcript: &Transcript) -> Self {
        Self {
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::hidden()),
            transcript: Some(transcript.clone()),
            ..Self::new(false, true)
        }
    }

    /// Tells whether the result is for programs.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints an application's line once it is as wanted.
    pub(crate) fn outcome(&self, name: &ApplicationName, outcome: &Outcome) {
        if self.json {
            self.line(&application_json(name, outcome).to_string());
        } else {
            self.line(&outcome.line(name));
        }
    }

    /// Prints what was written out; where that is standard output itself, only people are told.
    pub(crate) fn exported(
        &self,
        (name, outcome): (&ApplicationName, &Outcome),
        Exported {
            file,
            bytes,
            snapshot,
        }: &Exported,
    ) {
        let line = format!("{} {bytes} are in {file}.", outcome.line(name));
        match file {
            ExportFile::Standard => self.narrate(&outcome.line(name)),
            ExportFile::New(_) if !self.json => self.line(&line),
            ExportFile::New(_) => {
                let mut value = application_json(name, outcome);
                value["result"]["file"] = json!(printable(&file.to_string()));
                value["result"]["bytes"] = json!(bytes.get());
                value["result"]["snapshot"] = json!(snapshot);
                self.line(&value.to_string());
            }
        }
    }

    /// Prints the machines that were given up, and what was lost with them.
    pub(crate) fn forgotten(&self, forgotten: &Forgotten) {
        for machine in &forgotten.machines {
            let name = machine.name.as_str();
            if self.json {
                let its = forgotten
                    .losses
                    .iter()
                    .filter(|loss| loss.node == machine.name);
                let given_up: Vec<&ApplicationName> = its.map(|loss| &loss.application).collect();
                let result =
                    json!({ "outcome": "forgotten", "id": machine.id, "given_up": given_up });
                self.line(&json!({ "node": printable(name), "result": result }).to_string());
            } else {
                self.line(&format!("Forgot {name} (node {}).", machine.id));
            }
        }
    }

    /// Prints the lines of applications that were as wanted already.
    ///
    /// They are left out where something did change, so that a transcript shows what happened.
    pub(crate) fn unchanged(&self, unchanged: &BTreeMap<ApplicationName, Outcome>, alone: bool) {
        if alone || self.verbose || self.json {
            for (name, outcome) in unchanged {
                self.outcome(name, outcome);
            }
        }
        if alone && !self.json {
            self.line("Nothing changed.");
        }
    }

    /// Says that something was done although every application was as wanted.
    pub(crate) fn put_right(&self, unchanged: &BTreeMap<ApplicationName, Outcome>, steps: usize) {
        for (name, outcome) in unchanged {
            self.outcome(name, outcome);
        }
        if !self.json {
            self.line(&format!(
                "Put right what was amiss around them, in {steps} steps; -v shows them."
            ));
        }
    }

    /// Prints a plan that is not carried out.
    ///
    /// # Errors
    ///
    /// When something in it cannot be written as JSON.
    pub(crate) fn plan(&self, plan: &Plan, left: &[LeftBehind]) -> serde_json::Result<()> {
        if self.json {
            self.line(&render_plan(plan, left)?);
        } else if plan.steps().is_empty() {
            self.line("Nothing to do.");
        } else {
            self.line(plan.to_string().trim_end());
        }
        Ok(())
    }

    /// Shows that a step begins.
    pub(crate) fn step_begins(&mut self, step: &Step) {
        let text = format!("{}: {}", step.node, step.action);
        if self.verbose {
            self.narrate(&format!("{} {text} ({})", step.id, step.why));
        }
        self.begins(step.id, &text);
    }

    /// Shows that something begins that may take long.
    pub(crate) fn begins(&mut self, id: StepId, text: &str) {
        if self.transcript.is_some() {
            return;
        }
        let bar = self.bars.add(ProgressBar::new_spinner());
        bar.set_style(
            ProgressStyle::with_template("{spinner} {msg} [{elapsed}]")
                .unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        bar.set_message(one_line(text).into_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        self.running.insert(id, bar);
    }

    /// Shows how far a step is.
    pub(crate) fn step_progresses(&self, node: &NodeName, step: StepId, progress: &Progress) {
        let Some(bar) = self.running.get(&step) else {
            return;
        };
        let done = flocker_model::ByteCount::new(progress.done);
        let text = match progress.total {
            Some(total) => {
                let total = flocker_model::ByteCount::new(total);
                format!("{node}: {} ({done} of {total})", progress.what)
            }
            None if progress.done > 0 => format!("{node}: {} ({done})", progress.what),
            None => format!("{node}: {}", progress.what),
        };
        bar.set_message(one_line(&text).into_owned());
    }

    /// Shows that a step ended.
    pub(crate) fn step_ends(&mut self, step: StepId) {
        if let Some(bar) = self.running.remove(&step) {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
    }

    /// Prints what the operator has to know although nothing failed.
    pub(crate) fn note(&self, note: &NodeNote) {
        if self.json {
            self.line(&note_json(note).to_string());
        }
        let kind = if note.note.is_warning() {
            "warning"
        } else {
            "note"
        };
        self.narrate(&format!("{kind}: {note}"));
    }

    /// Prints what begins without the data that it had in Compose.
    pub(crate) fn left_behind(&self, left: &LeftBehind) {
        if self.json {
            self.line(&json!({ "warning": left.to_json() }).to_string());
        }
        self.narrate(&left.to_string());
    }

    /// Prints a failure.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.json {
            self.line(&failure_json(failure).to_string());
        }
        self.narrate(&failure.to_string());
    }

    /// Prints what is wrong with the configuration files; as JSON, a line for each mistake.
    pub(crate) fn diagnostics(&self, diagnostics: &Diagnostics) {
        if self.json {
            for line in diagnostics_json(diagnostics) {
                self.line(&line.to_string());
            }
        }
        self.narrate(diagnostics.to_string().trim_end());
    }

    /// Tells people who want to know more.
    pub(crate) fn detail(&self, text: &str) {
        if self.verbose {
            self.narrate(text);
        }
    }

    /// Tells people what is going on.
    pub(crate) fn narrate(&self, text: &str) {
        match &self.transcript {
            Some(transcript) => transcript.keep(text),
            None => self.bars.suspend(|| write_line(io::stderr().lock(), text)),
        }
    }

    /// Prints a line of the result.
    pub(crate) fn line(&self, text: &str) {
        match &self.transcript {
            Some(transcript) => transcript.keep(text),
            None => self.bars.suspend(|| write_line(io::stdout().lock(), text)),
        }
    }
}

/// Writes a line for whoever still reads.
///
/// Who reads may go away first: `deploy … | head -1`. `println!` would end the program then, between
/// two steps of a deploy and without its return, so errors are dropped: what was begun on the nodes
/// goes on, and the exit code tells how it ended.
fn write_line(mut output: impl Write, text: &str) {
    let _ = writeln!(output, "{}", printable(text));
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::write_line;

    /// A pipe whose reader is gone.
    struct Closed;

    impl io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn a_reader_that_is_gone_is_no_failure() {
        write_line(Closed, "Deployed `web` to node1.");
        let mut read = Vec::new();
        write_line(&mut read, "a title: \u{1b}]0;mine\u{7}");
        assert_eq!(read, b"a title: \\u{1b}]0;mine\\u{7}\n");
    }
}
