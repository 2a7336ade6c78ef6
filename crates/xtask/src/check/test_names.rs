//! Which functions are tests that run, by the source text alone.

use super::rust_source::without_comment;
use crate::test::PART_OF_ANOTHER_TEST;

/// What makes a function a test, up to where arguments may follow.
const TEST_ATTRIBUTES: [&str; 2] = ["#[test", "#[tokio::test"];

/// The macro that makes a test of each function that it names, after two words of its own.
const SUITE: &str = "suite! {";
const SUITE_WORDS: usize = 2;

/// Names the tests of a file, those of `proptest!` among them.
///
/// A function is none that only tests call, and neither is a process that a test starts, which has
/// the attribute and is ignored. What is ignored for another reason is run by its own tier.
pub(super) fn test_names(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut attributes = Attributes::default();
    let mut suite: Option<usize> = None;
    for line in text.lines().map(|line| without_comment(line).trim()) {
        if let Some(words) = &mut suite {
            for word in line.split(|letter: char| letter == ',' || letter.is_whitespace()) {
                if *words >= SUITE_WORDS {
                    names.extend(is_name(word).then_some(word));
                }
                *words += usize::from(!word.is_empty());
            }
            if line.contains('}') {
                suite = None;
            }
        } else if line.ends_with(SUITE) {
            suite = Some(0);
        } else if !attributes.take(line) && !line.is_empty() {
            let attributes = std::mem::take(&mut attributes);
            names.extend(function_name(line).filter(|_| attributes.make_a_test()));
        }
    }
    names
}

/// The attributes that were read since the last item.
#[derive(Default)]
struct Attributes {
    is_test: bool,
    is_part: bool,
    /// Whether the last one goes on in the next line.
    is_open: bool,
}

impl Attributes {
    /// Reads a line; tells whether it is one of attributes, or a part of one.
    fn take(&mut self, line: &str) -> bool {
        if !self.is_open && !line.starts_with("#[") {
            return false;
        }
        self.is_test |= TEST_ATTRIBUTES.iter().any(|attribute| {
            let arguments = line.strip_prefix(attribute);
            arguments.is_some_and(|rest| rest.starts_with([']', '(']))
        });
        self.is_part |= line.contains(PART_OF_ANOTHER_TEST);
        self.is_open = !line.ends_with(']');
        true
    }

    const fn make_a_test(&self) -> bool {
        self.is_test && !self.is_part
    }
}

/// The name of the function that a line declares.
fn function_name(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    words
        .find(|word| !["pub", "pub(crate)", "pub(super)", "async", "const"].contains(word))
        .filter(|word| *word == "fn")?;
    let end = |name: &str| name.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
    words
        .next()
        .map(|name| &name[..end(name).unwrap_or(name.len())])
}

fn is_name(word: &str) -> bool {
    word.starts_with(|letter: char| letter.is_ascii_lowercase())
        && word
            .chars()
            .all(|letter| letter.is_alphanumeric() || letter == '_')
}

#[cfg(test)]
mod tests {
    use super::{function_name, test_names};

    #[test]
    fn finds_declared_functions_only() {
        assert_eq!(function_name("    async fn moves(a: u8) {"), Some("moves"));
        assert_eq!(function_name("pub(crate) const fn x<T>()"), Some("x"));
        assert_eq!(function_name("    let x = fn_pointer;"), None);
        assert_eq!(function_name("// fn gone()"), None);
        assert_eq!(function_name(""), None);
    }

    #[test]
    fn only_what_a_harness_runs_is_a_test() {
        let text = "
            fn helper() {}
            #[test]
            fn plain() {}
            async fn promised(machines: &impl Machines) {}
            #[tokio::test(flavor = \"multi_thread\")]
            #[should_panic]
            async fn of_a_tier() {}
            proptest! {
                #[test]
                // Why it is.
                fn of_properties(number: u8) {}
            }
            #[test]
            #[ignore = \"a part of another test\"]
            fn a_process() {}
            #[test_case]
            fn of_another_kind() {}
            // #[test]
            fn commented() {}
            #[test]
            #[expect(
                clippy::too_many_lines,
                reason = \"x\"
            )]
            fn with_a_long_attribute() {}
            #[test]
            mod inner {
                fn after_something_else() {}
            }
            suite! {
                crate::run, $fixture,
                of_a_suite
                another_of_it
            }
            fn after_the_suite() {}
        ";
        assert_eq!(
            test_names(text),
            [
                "plain",
                "of_a_tier",
                "of_properties",
                "with_a_long_attribute",
                "of_a_suite",
                "another_of_it",
            ]
        );
    }
}
