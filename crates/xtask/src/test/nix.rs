//! The flake: its files are looked at, and what it says is evaluated, without a Nix store and
//! without the network.
//!
//! Always against a stand-in for nixpkgs (`nix/stub`), which knows just what the flake names, and
//! against nixpkgs itself where `NIXPKGS_EVAL` names a directory with it. Nothing is built.

mod evaluator;
mod files;
mod flake;
mod python;

use std::path::PathBuf;

use super::outcome::{Count, Outcome};
use crate::terminal;
use crate::workspace;
use evaluator::Evaluator;
use flake::Flake;

/// Names a directory with nixpkgs.
const NIXPKGS: &str = "NIXPKGS_EVAL";

/// What became of one check: why it failed, if it did.
type Checked = Result<(), String>;

/// Runs every check.
pub(super) fn run() -> Outcome {
    let evaluator = match Evaluator::new() {
        Ok(evaluator) => evaluator,
        Err(why) => return Outcome::failed(why),
    };
    let mut outcome = Outcome::default();
    for (name, checked) in [
        ("every Nix file can be parsed", files::parse(&evaluator)),
        ("Nix files are formatted", files::check_format()),
        ("nothing in Nix files is unused", files::check_dead_code()),
        ("test scripts pass ruff", python::check_lints()),
        ("test scripts are formatted", python::check_format()),
        ("test scripts pass ty", python::check_types()),
        ("Cargo.lock is current", flake::check_cargo_lock()),
    ] {
        outcome = outcome.and(told(name, checked));
    }
    let stub = workspace::root().join("nix/stub").display().to_string();
    let with_stub = Flake::new(&evaluator, &stub);
    outcome
        .and(evaluate("the stand-in for nixpkgs", &with_stub))
        .and(evaluate_with_nixpkgs(&evaluator))
}

fn evaluate_with_nixpkgs(evaluator: &Evaluator) -> Outcome {
    let Some(tree) = std::env::var_os(NIXPKGS).map(PathBuf::from) else {
        return Outcome::skipped_with_leave(format!(
            "set {NIXPKGS} to a directory with nixpkgs to evaluate the flake with it; with the \
             stand-in it was evaluated"
        ));
    };
    if !tree.join("nixos/lib/eval-config.nix").is_file() {
        return Outcome::failed(format!("{NIXPKGS}={} is not nixpkgs", tree.display()));
    }
    terminal::line("Copying nixpkgs into the store for evaluation.");
    match evaluator.add(&tree) {
        Ok(path) => evaluate("nixpkgs", &Flake::new(evaluator, &path)),
        Err(why) => Outcome::failed(why),
    }
}

/// Evaluates the flake with what `what` is.
fn evaluate(what: &str, flake: &Flake<'_>) -> Outcome {
    let name = format!("every output evaluates with {what}");
    let mut outcome = told(&name, flake.check_outputs());
    match flake.find_true() {
        Ok(names) => {
            for name in names {
                outcome = outcome.and(told(&format!("{what}: {name}"), Ok(())));
            }
        }
        Err(why) => outcome = outcome.and(told(what, Err(why))),
    }
    match flake.find_unevaluable() {
        Ok(configurations) => {
            for configuration in configurations {
                let name = format!("{what}: {} is refused", configuration.name);
                outcome = outcome.and(told(&name, flake.check_refusal(&configuration)));
            }
        }
        Err(why) => outcome = outcome.and(told(what, Err(why))),
    }
    outcome
}

/// Shows and counts one check.
fn told(name: &str, checked: Checked) -> Outcome {
    match checked {
        Ok(()) => {
            terminal::line(&format!("ok      {name}"));
            Outcome::of(Count::one_passed())
        }
        Err(why) => {
            terminal::line(&format!("FAILED  {name}\n{why}"));
            Outcome::failed(format!("{name}: {}", summary(&why)))
        }
    }
}

/// The part of a program's output that says what is wrong: from its last `error` on.
fn summary(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let last_error = lines
        .iter()
        .rposition(|line| line.trim_start().starts_with("error"));
    let from = last_error.unwrap_or(lines.len().saturating_sub(3));
    let found: Vec<&str> = lines
        .into_iter()
        .skip(from)
        .take(6)
        .map(str::trim)
        .collect();
    found.join(" / ")
}

#[cfg(test)]
mod tests {
    use super::{summary, workspace};

    #[test]
    fn the_readmes_node_is_one_that_is_evaluated() {
        let read = |path: &str| std::fs::read_to_string(workspace::root().join(path)).unwrap();
        let plain = read("nix/evaluation/plain.nix").replace("lib.mkDefault ", "");
        let readme = read("README.md");
        let (_, node) = readme.split_once("and in `node1.nix`").unwrap();
        let (_, block) = node.split_once("```nix\n").unwrap();
        let (block, _) = block.split_once("```").unwrap();
        let mut checked = 0;
        for line in block.lines() {
            // A key is shortened there, and comments say what people have to know.
            let line = line.split(" #").next().unwrap_or_default();
            let line = line.trim().replace("...", "");
            assert!(plain.contains(&line), "`{line}` is not in\n{plain}");
            checked += usize::from(line.contains(" = ") && line.ends_with(';'));
        }
        assert_eq!(checked, 4, "{block}");
    }

    #[test]
    fn what_is_wrong_is_what_the_last_error_says() {
        let text = "warning: dirty\nerror:\n   … while evaluating\n\n   error: not true:\n     \
                    one\n     two\n";
        assert_eq!(summary(text), "error: not true: / one / two");
        assert_eq!(summary("a\nb\nc\nd\n"), "b / c / d");
        assert_eq!(summary(""), "");
    }
}
