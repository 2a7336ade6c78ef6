use super::*;
use crate::docker_firewall::tests::{rule, verdict};

const DROP: i32 = 0;
const ACCEPT: i32 = 1;
const JUMP: i32 = -3;

fn table(rules: Vec<DumpedRule>) -> TableRules {
    TableRules {
        rules,
        ..TableRules::default()
    }
}

fn drops(table: &TableRules, by_policy: bool) -> bool {
    let drops = Protocol::ALL.map(|protocol| drops_of(table, by_policy, protocol));
    assert_eq!(drops[0], drops[1], "no rule here is about protocols");
    drops[0]
}

fn drops_of(table: &TableRules, by_policy: bool, protocol: Protocol) -> bool {
    certainly_drops(table, ("forward", by_policy), ("flocker0", protocol))
}

#[test]
fn an_empty_chain_does_what_its_policy_says() {
    assert!(drops(&table(Vec::new()), true));
    assert!(!drops(&table(Vec::new()), false));
}

#[test]
fn a_rule_that_is_not_understood_may_match() {
    let unknown = || ("exthdr".to_owned(), Vec::new());
    let accepts = rule(1, "forward", vec![unknown(), verdict(ACCEPT, "")]);
    let rejects = rule(2, "forward", vec![unknown(), verdict(DROP, "")]);
    assert!(!drops(&table(vec![accepts]), true));
    assert!(drops(&table(vec![rejects.clone()]), true));
    assert!(!drops(&table(vec![rejects]), false));
}

#[test]
fn chains_that_many_rules_call_are_followed_once() {
    let chain = |depth: u32| match depth {
        0 => "forward".to_owned(),
        _ => format!("chain{depth}"),
    };
    let mut rules = Vec::new();
    for depth in 0..12 {
        let next = chain(depth + 1);
        let jump = rule(1, &chain(depth), vec![verdict(JUMP, &next)]);
        rules.extend(std::iter::repeat_n(jump, 100));
    }
    assert!(drops(&table(rules.clone()), true));
    rules.push(rule(1, &chain(12), vec![verdict(ACCEPT, "")]));
    assert!(!drops(&table(rules), true));
}

#[test]
fn chains_that_call_themselves_are_not_followed_for_ever() {
    let rules = vec![
        rule(1, "forward", vec![verdict(JUMP, "loop")]),
        rule(1, "loop", vec![verdict(JUMP, "loop")]),
    ];
    assert!(!drops(&table(rules), true));
}
