//! The command lines in README.md and in the pages of `docs`. The tests of both programs have this.

use std::fs;
use std::path::Path;

use clap::{Command, Parser};

/// What stands for a time in the documents, and a time.
const TIME: (&str, &str) = ("TIME", "2026-11-23T02:56:30Z");

/// Makes sure that a program understands every command line of its own in the documents; tells how
/// many there are. Of those that end after one word it has to have that command, or that option.
pub(crate) fn check<P: Parser>(program: &str) -> usize {
    let mut checked = 0;
    for line in documents().iter().flat_map(|text| lines(program, text)) {
        if let [_, word] = line.split(' ').collect::<Vec<_>>()[..] {
            assert!(is_there(&P::command(), word), "{line}");
        } else if let Err(error) = P::try_parse_from(line.replace(TIME.0, TIME.1).split(' ')) {
            panic!("{line}\n{error}");
        }
        checked += 1;
    }
    checked
}

fn documents() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let pages = fs::read_dir(root.join("docs")).unwrap();
    let pages = pages.map(|entry| entry.unwrap().path());
    let is_page = |path: &Path| path.extension().is_some_and(|it| it == "md");
    std::iter::once(root.join("README.md"))
        .chain(pages.filter(|path| is_page(path)))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect()
}

/// The command lines of a program: in blocks, with a prompt or without, and between backticks. One
/// that is the program's name alone is none.
fn lines(program: &str, document: &str) -> Vec<String> {
    let in_blocks = document.lines().filter_map(|line| {
        let line = line.strip_prefix("$ ").or(line.strip_prefix("    "))?;
        line.split(" #").next()
    });
    let unfenced = document.replace("```", "");
    let in_text = unfenced.split('`').skip(1).step_by(2);
    in_blocks
        .chain(in_text)
        .map(|text| text.split_whitespace().collect::<Vec<_>>())
        .filter(|words| words.len() > 1 && words[0] == program)
        .map(|words| words.join(" "))
        .collect()
}

fn is_there(command: &Command, word: &str) -> bool {
    match word.strip_prefix("--") {
        None => command.find_subcommand(word).is_some(),
        Some(option) => command
            .get_subcommands()
            .flat_map(Command::get_arguments)
            .any(|argument| argument.get_long() == Some(option)),
    }
}
