//! How a deploy may end that was disturbed.

use std::net::Ipv4Addr;

use super::super::cluster::{BLOCKED, FAILED, UNREACHABLE};
use super::super::failure::{Failure, expect};

/// I4: it succeeded, or exited with a code that is documented for such an end and named a node and a
/// cause. A program that panics, or that a signal ends which nobody sent, does neither.
pub(super) fn expect_explained(
    code: Option<i32>,
    said: &str,
    nodes: &[Ipv4Addr],
) -> Result<(), Failure> {
    if code == Some(0) {
        return Ok(());
    }
    let expectation = "an exit code that is documented, and an error that names a node";
    let is_documented = code.is_some_and(|code| [BLOCKED, FAILED, UNREACHABLE].contains(&code));
    let names_a_node = |line: &str| nodes.iter().any(|node| line.contains(&node.to_string()));
    let mut errors = said.lines().filter(|line| line.starts_with("error: "));
    expect(
        is_documented && errors.any(names_a_node),
        expectation,
        format!("{code:?} after:\n{said}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: [Ipv4Addr; 1] = [Ipv4Addr::new(192, 168, 77, 11)];
    const EXPLAINED: &str = "#0 push\nerror: 192.168.77.11: ended\n  caused by: the cable\n";

    #[test]
    fn success_needs_no_words() {
        expect_explained(Some(0), "", &NODES).unwrap();
    }

    #[test]
    fn a_failure_names_a_node() {
        expect_explained(Some(FAILED), EXPLAINED, &NODES).unwrap();
        expect_explained(Some(FAILED), "192.168.77.11: push\nerror: no\n", &NODES).unwrap_err();
        expect_explained(Some(FAILED), "", &NODES).unwrap_err();
    }

    #[test]
    fn a_panic_is_no_explanation() {
        expect_explained(Some(101), EXPLAINED, &NODES).unwrap_err();
        expect_explained(Some(1), EXPLAINED, &NODES).unwrap_err();
        expect_explained(None, EXPLAINED, &NODES).unwrap_err();
    }
}
