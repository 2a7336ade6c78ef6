use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{Port, RoutePort};
use nix::libc;

use super::*;
use crate::Target;
use crate::netlink::{push, push_nested};
use crate::ruleset::{Ruleset, plan_container_ruleset, plan_node_ruleset};
use crate::table_state::{ChainState, ElementState, SetState};

/// A message of the kernel's, about IPv4.
fn message(number: i32, parts: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut attributes = vec![2, 0, 0, 0];
    for (kind, value) in parts {
        push(&mut attributes, *kind, value);
    }
    let length = u32::try_from(16 + attributes.len()).unwrap();
    let kind = u16::try_from((libc::NFNL_SUBSYS_NFTABLES << 8) | number).unwrap();
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.resize(16, 0);
    message.extend(attributes);
    message
}

fn text(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

fn number(number: u32) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

fn nested(parts: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut nested = Vec::new();
    for (kind, value) in parts {
        push_nested(&mut nested, *kind, value);
    }
    nested
}

fn chain(name: &str, state: &ChainState) -> Vec<u8> {
    let mut parts = vec![(1, text(TABLE)), (3, text(name))];
    if let Some(base) = &state.base {
        let priority = base.priority.cast_unsigned();
        parts.push((4, nested(&[(1, number(base.hook)), (2, number(priority))])));
        parts.push((5, number(base.policy)));
        parts.push((7, text(&base.kind)));
    }
    let mut messages = message(libc::NFT_MSG_NEWCHAIN, &parts);
    for rule in &state.rules {
        let names = rule.expressions.iter();
        let expressions: Vec<_> = names.map(|name| (1, nested(&[(1, text(name))]))).collect();
        let comment = text(&rule.comment);
        let length = u8::try_from(comment.len()).unwrap();
        let parts = [
            (1, text(TABLE)),
            (2, text(name)),
            (4, nested(&expressions)),
            (7, [&[0, length], comment.as_slice()].concat()),
        ];
        messages.extend(message(libc::NFT_MSG_NEWRULE, &parts));
    }
    messages
}

fn set(name: &str, state: &SetState) -> Vec<u8> {
    let layout = state.layout;
    let parts = [
        (1, text(TABLE)),
        (2, text(name)),
        (3, number(layout.flags)),
        (4, number(layout.key_type)),
        (5, number(layout.key_length)),
        (6, number(layout.data_type)),
        (7, number(layout.data_length)),
    ];
    let mut messages = message(libc::NFT_MSG_NEWSET, &parts);
    let elements = state.elements.iter().map(|(key, state)| {
        let ElementState { end, data } = state;
        let mut element = vec![(1, nested(&[(1, key.clone())]))];
        for (kind, value) in [(2, data), (10, end)] {
            if !value.is_empty() {
                element.push((kind, nested(&[(1, value.clone())])));
            }
        }
        (1, nested(&element))
    });
    let elements: Vec<_> = elements.collect();
    let parts = [(1, text(TABLE)), (2, text(name)), (3, nested(&elements))];
    messages.extend(message(libc::NFT_MSG_NEWSETELEM, &parts));
    messages
}

/// What the kernel answers about a table.
fn answers(ruleset: &Ruleset) -> Vec<u8> {
    let state = ruleset.expected_state();
    let chains = state.chains.iter().map(|(name, state)| chain(name, state));
    let sets = state.sets.iter().map(|(name, state)| set(name, state));
    chains.chain(sets).flatten().collect()
}

fn port(number: u16) -> Port {
    Port::new(number).unwrap()
}

fn route(text: &str) -> RoutePort {
    text.parse().unwrap()
}

fn routing(digest: &str) -> RoutingTable {
    let target = |last: u8, number| Target {
        address: [172, 30, 0, last].into(),
        port: port(number),
    };
    RoutingTable {
        bridge: "flocker0".to_owned(),
        routes: BTreeMap::from([
            (route("5432"), target(2, 5432)),
            (route("192.168.77.11:8080"), target(3, 80)),
        ]),
        from: BTreeMap::from([
            (
                route("5432"),
                BTreeSet::from(["10.0.0.0/8".parse().unwrap()]),
            ),
            (
                route("192.168.77.11:8080"),
                BTreeSet::from(["10.1.2.3".parse().unwrap()]),
            ),
        ]),
        links: BTreeMap::from([(port(30_001).into(), target(2, 5432))]),
        wires: BTreeMap::from([("30002/udp".parse().unwrap(), target(2, 53))]),
        peers: BTreeSet::from([[192, 168, 77, 12].into()]),
        held: BTreeSet::from([route("53/udp"), route("192.168.77.11:8080")]),
        digest: digest.to_owned(),
    }
}

#[test]
fn a_nodes_table_is_read_only_when_it_is_whole() {
    let table = routing("00ff");
    let answers = answers(&plan_node_ruleset(&table));
    assert_eq!(read_routing(&answers), Some(table.clone()));
    assert_eq!(read_links(&answers), None);
    // No part can be left out unseen: no chain, rule or set, and no elements.
    let mut rest = answers.as_slice();
    let mut at = 0;
    while let Some((length, _)) = rest.split_first_chunk::<4>() {
        let length = u32::from_ne_bytes(*length) as usize;
        let without = [&answers[..at], &answers[at + length..]].concat();
        assert_ne!(read_routing(&without).as_ref(), Some(&table), "{at}");
        at += length;
        rest = &answers[at..];
    }
}

#[test]
fn a_table_that_could_not_be_written_again_is_not_read() {
    for digest in ["", "no\ttext", &"0".repeat(65)] {
        let answers = answers(&plan_node_ruleset(&routing(digest)));
        assert_eq!(read_routing(&answers), None, "{digest:?}");
    }
}

#[test]
fn a_containers_table_is_read_back() {
    let at_localhost = ContainerLinks::from([(port(5432).into(), port(30_001))]);
    let mut elsewhere_too = at_localhost.clone();
    let elsewhere = route("127.1.0.5:5432").try_into().unwrap();
    elsewhere_too.insert(elsewhere, port(30_002));
    for links in [at_localhost, elsewhere_too] {
        let ruleset = plan_container_ruleset([172, 30, 0, 1].into(), &links);
        let answers = answers(&ruleset);
        assert_eq!(read_links(&answers), Some(links));
        assert_eq!(read_routing(&answers), None);
    }
}
