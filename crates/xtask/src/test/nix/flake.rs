//! The flake as a whole.

use super::Checked;
use super::evaluator::Evaluator;
use crate::process::Program;
use crate::workspace;

/// The system whose evaluation is asked for by name; all are checked by `nix flake check`.
const SYSTEM: &str = "x86_64-linux";

/// Our flake, with something in the place of nixpkgs that is on this machine.
#[derive(Debug)]
pub(super) struct Flake<'a> {
    evaluator: &'a Evaluator,
    nixpkgs: String,
    root: String,
}

/// A configuration that has to be refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) name: String,
    /// A part of what must be said.
    message: String,
}

impl<'a> Flake<'a> {
    /// `nixpkgs` is a path to what is used in its place.
    pub(super) fn new(evaluator: &'a Evaluator, nixpkgs: &str) -> Self {
        Self {
            evaluator,
            nixpkgs: format!("path:{nixpkgs}"),
            root: workspace::root().display().to_string(),
        }
    }

    /// Whether every package, application, module, machine and test is a derivation, on every
    /// system.
    pub(super) fn check_outputs(&self) -> Checked {
        self.run(
            &["flake", "check", "--no-build", "--all-systems"],
            &self.root,
        )
        .map(drop)
    }

    /// Lists what was found true of the flake and of machines (`nix/evaluation`).
    pub(super) fn find_true(&self) -> Result<Vec<String>, String> {
        let joined = "builtins.concatStringsSep \"\\n\"";
        let text = self.evaluate("passed", &["--apply", joined])?;
        Ok(lines(&text))
    }

    /// Lists the configurations that must not evaluate.
    pub(super) fn find_unevaluable(&self) -> Result<Vec<Refused>, String> {
        Ok(parse_refused(&self.evaluate("messages", &[])?))
    }

    /// Whether a configuration is refused in our words.
    pub(super) fn check_refusal(&self, configuration: &Refused) -> Checked {
        let Refused { name, message } = configuration;
        match self.evaluate(&format!("unevaluable.{name}"), &[]) {
            Ok(_) => Err(format!("error: {name} evaluates, and should not")),
            Err(text) if text.contains(message) => Ok(()),
            Err(text) => Err(format!(
                "error: {name} is refused without `{message}`\n{text}"
            )),
        }
    }

    fn evaluate(&self, attribute: &str, options: &[&str]) -> Result<String, String> {
        let mut arguments = vec!["eval", "--raw"];
        arguments.extend(options);
        let root = &self.root;
        self.run(
            &arguments,
            &format!("{root}#lib.evaluation.{SYSTEM}.{attribute}"),
        )
    }

    fn run(&self, arguments: &[&str], subject: &str) -> Result<String, String> {
        let mut all = arguments.to_vec();
        all.extend(["--offline", "--override-input", "nixpkgs", &self.nixpkgs]);
        all.extend(["--no-write-lock-file", "--quiet", subject]);
        self.evaluator.nix(&all)
    }
}

/// Whether cargo would leave Cargo.lock as it is: Nix takes the dependencies from there.
pub(super) fn check_cargo_lock() -> Checked {
    Program::cargo()
        .args(["metadata", "--locked", "--format-version", "1", "--quiet"])
        .read_or_explain()
        .map(drop)
}

fn lines(text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Reads lines `NAME<tab>MESSAGE`.
fn parse_refused(text: &str) -> Vec<Refused> {
    text.lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, message)| Refused {
            name: name.to_owned(),
            message: message.to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Refused, parse_refused};

    #[test]
    fn reads_what_must_be_refused_and_why() {
        let text = "no-pool\t`pool` must name\nwarning: something\ntypo\tThe option `x' does\n";
        let refused = |name: &str, message: &str| Refused {
            name: name.to_owned(),
            message: message.to_owned(),
        };
        assert_eq!(
            parse_refused(text),
            [
                refused("no-pool", "`pool` must name"),
                refused("typo", "The option `x' does"),
            ]
        );
    }
}
