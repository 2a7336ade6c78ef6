use super::*;
use crate::netlink::{push, push_nested};

/// An attribute of attributes.
fn nested(parts: &[(u16, &[u8])]) -> Vec<u8> {
    let mut nested = Vec::new();
    for (kind, value) in parts {
        push(&mut nested, *kind, value);
    }
    nested
}

pub(crate) fn verdict(code: i32, chain: &str) -> (String, Vec<u8>) {
    let name = [chain.as_bytes(), &[0]].concat();
    let verdict = nested(&[(VERDICT_CODE, &code.to_be_bytes()), (VERDICT_CHAIN, &name)]);
    let mut data = Vec::new();
    push_nested(&mut data, DATA_VERDICT, &verdict);
    let mut immediate = Vec::new();
    push_nested(&mut immediate, IMMEDIATE_DATA, &data);
    ("immediate".to_owned(), immediate)
}

pub(crate) fn rule(handle: u64, chain: &str, expressions: Vec<(String, Vec<u8>)>) -> DumpedRule {
    DumpedRule {
        handle,
        chain: chain.to_owned(),
        comment: String::new(),
        expressions,
    }
}

fn ours(handle: u64, chain: &str) -> DumpedRule {
    let mark = nested(&[(DATA_VALUE, &OWN_MARK.to_ne_bytes())]);
    let expressions = vec![
        (
            "meta".to_owned(),
            nested(&[(META_KEY, &META_MARK.to_be_bytes())]),
        ),
        ("bitwise".to_owned(), nested(&[(BITWISE_MASK, &mark)])),
        ("cmp".to_owned(), nested(&[(COMPARED_DATA, &mark)])),
        ("counter".to_owned(), Vec::new()),
        verdict(1, ""),
    ];
    rule(handle, chain, expressions)
}

fn bare_return(handle: u64) -> DumpedRule {
    rule(
        handle,
        CHAIN,
        vec![("counter".to_owned(), Vec::new()), verdict(-5, "")],
    )
}

/// A rule of an administrator, with a condition.
fn own(handle: u64, code: i32) -> DumpedRule {
    let condition = ("payload".to_owned(), Vec::new());
    rule(handle, CHAIN, vec![condition, verdict(code, "")])
}

fn call(handle: u64) -> DumpedRule {
    rule(handle, FORWARD, vec![verdict(-3, CHAIN)])
}

const DROP: i32 = 0;
const RETURN: i32 = -5;

#[test]
fn our_rule_comes_after_administrators_rules() {
    assert_eq!(plan_edits(&[call(1)]), [(CHAIN, Edit::Append)]);
    assert_eq!(
        plan_edits(&[call(1), bare_return(2)]),
        [(CHAIN, Edit::InsertBefore(2))]
    );
    assert_eq!(
        plan_edits(&[call(1), own(2, DROP), bare_return(3)]),
        [(CHAIN, Edit::InsertBefore(3))]
    );
    let right = [call(1), own(2, DROP), ours(3, CHAIN), bare_return(4)];
    assert_eq!(plan_edits(&right), []);
    assert_eq!(plan_edits(&right[..3]), []);
}

#[test]
fn our_rule_is_moved_from_where_it_was_before() {
    assert_eq!(
        plan_edits(&[ours(2, CHAIN), own(3, DROP), bare_return(4)]),
        [(CHAIN, Edit::Remove(2)), (CHAIN, Edit::InsertBefore(4))]
    );
    assert_eq!(
        plan_edits(&[own(2, DROP), bare_return(3), ours(4, CHAIN)]),
        [(CHAIN, Edit::Remove(4)), (CHAIN, Edit::InsertBefore(3))]
    );
    assert_eq!(
        plan_edits(&[ours(2, CHAIN), ours(3, CHAIN)]),
        [
            (CHAIN, Edit::Remove(2)),
            (CHAIN, Edit::Remove(3)),
            (CHAIN, Edit::Append)
        ]
    );
}

#[test]
fn packets_that_return_early_are_accepted_behind_the_call() {
    let other = rule(9, FORWARD, vec![verdict(-3, "DOCKER")]);
    let users = [own(2, RETURN), ours(3, CHAIN)];
    let with = |forward: &[DumpedRule]| [forward, &users].concat();
    assert_eq!(plan_edits(&with(&[call(1)])), [(FORWARD, Edit::Append)]);
    assert_eq!(
        plan_edits(&with(&[call(1), other.clone()])),
        [(FORWARD, Edit::InsertBefore(9))]
    );
    let right = [call(1), ours(8, FORWARD), other.clone()];
    assert_eq!(plan_edits(&with(&right)), []);
    // Docker puts its call at the top again whenever it starts.
    assert_eq!(
        plan_edits(&with(&[call(1), other.clone(), ours(8, FORWARD)])),
        [(FORWARD, Edit::Remove(8)), (FORWARD, Edit::InsertBefore(9))]
    );
    // Nobody returns early any more.
    assert_eq!(
        plan_edits(&[&right[..], &[ours(3, CHAIN)]].concat()),
        [(FORWARD, Edit::Remove(8))]
    );
    // Without the call nobody returns.
    assert_eq!(plan_edits(&with(&[other])), []);
}
