//! Every example in `docs/configuration.md`, in the order of the page, those in `examples/`, and those
//! in `README.md`.
//!
//! In the page, a block marked `yaml application` or `yaml deployment` is such a file and is checked together
//! with the latest block of the other kind. It must be right, unless a `text` block follows before
//! the next right pair: that one is what is said about it.

use std::fs;
use std::path::Path;

use flocker_config::{Diagnostics, Source, parse_with_values, wanted_values};

const PAGE: &str = include_str!("../../../docs/configuration.md");
const README: &str = include_str!("../../../README.md");

/// A fenced block: what is written behind the fence, and its content.
struct Block {
    info: &'static str,
    content: String,
}

fn blocks(page: &'static str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(info) = line.strip_prefix("```") {
            let content = lines.by_ref().take_while(|line| *line != "```");
            let content = content.flat_map(|line| [line, "\n"]).collect();
            blocks.push(Block { info, content });
        }
    }
    blocks
}

/// Parses and returns everything that is said.
fn diagnose(application: &str, deployment: &str) -> Diagnostics {
    let application = Source {
        name: "application_config.yml",
        bytes: application.as_bytes(),
    };
    let deployment = Source {
        name: "deployment_config.yml",
        bytes: deployment.as_bytes(),
    };
    // Values outside of the files are whatever they should be.
    let parsed = wanted_values(application, deployment).and_then(|wanted| {
        let value = |source| (source, Ok(b"NAME=value".to_vec().into()));
        let values = wanted.into_iter().map(value).collect();
        parse_with_values(application, deployment, values)
    });
    match parsed {
        Ok(parsed) => parsed.warnings,
        Err(diagnostics) => diagnostics,
    }
}

#[test]
fn every_example_is_right_or_has_the_diagnostics_that_are_shown() {
    const NOWHERE: &str = "nodes: {1.1.1.1: []}";
    let blocks = blocks(PAGE);
    let (mut application, mut checked) = (String::new(), 0);
    for (index, block) in blocks.iter().enumerate() {
        let is_followed_by = |info| blocks.get(index + 1).is_some_and(|next| next.info == info);
        let diagnostics = match block.info {
            "yaml application" => {
                application.clone_from(&block.content);
                // Wrong examples are a pair with its output; the first of the pair is not alone.
                let is_part_of_wrong_pair = blocks
                    .get(index + 2)
                    .is_some_and(|block| block.info == "text");
                if is_part_of_wrong_pair {
                    continue;
                }
                diagnose(&application, NOWHERE)
            }
            "yaml deployment" => diagnose(&application, &block.content),
            "text" => continue,
            other => panic!("a block of an unknown kind: {other}"),
        };
        let expected = if is_followed_by("text") {
            blocks[index + 1].content.trim_end()
        } else {
            ""
        };
        assert_eq!(diagnostics.to_string(), expected, "\n{diagnostics}");
        checked += 1;
    }
    assert!(checked >= 14, "only {checked} examples were found");
}

#[test]
fn the_files_in_examples_are_right() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut checked = 0;
    for directory in fs::read_dir(examples).unwrap() {
        let directory = directory.unwrap().path();
        let Ok(application) = fs::read_to_string(directory.join("application.yml")) else {
            continue;
        };
        for file in fs::read_dir(&directory).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with("deployment") {
                let deployment = fs::read_to_string(&path).unwrap();
                let diagnostics = diagnose(&application, &deployment);
                assert!(diagnostics.is_empty(), "{}:\n{diagnostics}", path.display());
                checked += 1;
            }
        }
    }
    assert!(checked >= 2, "only {checked} examples were found");
}

#[test]
fn the_readmes_example_is_right() {
    let blocks = blocks(README);
    let content = |info| {
        let block = blocks.iter().find(|block| block.info == info);
        block.map_or("", |block| block.content.as_str())
    };
    let diagnostics = diagnose(content("yaml application"), content("yaml deployment"));
    assert_eq!(diagnostics.to_string(), "", "\n{diagnostics}");
}
