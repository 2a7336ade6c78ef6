//! What the kernel says of sockets, as text, and of its firewall, over netlink: every list ends,
//! and nothing is read beyond what was said.

#![no_main]

use flocker_model::Protocol;
use flocker_net::answers::{accepts_redirected, drops_forwarded, read_links, read_routing};
use flocker_net::{legacy_rules_obstruct, parse_socket_table};
use libfuzzer_sys::fuzz_target;
use netlink::attributes::{Attribute, attributes, push};
use netlink::message::Reply;

// What tables are made of is nothing that others than the library need.
#[expect(dead_code, reason = "requests are not made here")]
#[path = "../../net/src/netlink"]
mod netlink {
    pub(crate) mod attributes;
    pub(crate) mod message;

    pub(crate) fn replies(datagram: &[u8]) -> Vec<message::Reply> {
        message::parse_replies(datagram)
    }
}

/// Deeper than any message of the kernel's; only what reads them stops there.
const DEPTH: usize = 8;

fuzz_target!(|input: &[u8]| {
    let table = String::from_utf8_lossy(input);
    for protocol in Protocol::ALL {
        check_sockets(protocol, &table);
    }
    let is_about_them = table.contains("FORWARD DROP") || table.contains("DOCKER-USER");
    assert!(!legacy_rules_obstruct(&table) || is_about_them);
    let replies = netlink::replies(input);
    let lengths = replies.iter().map(|reply: &Reply| reply.attributes().len());
    assert!(lengths.sum::<usize>() <= input.len());
    for reply in &replies {
        check_attributes(reply.attributes(), DEPTH);
    }
    check_attributes(input, DEPTH);
    check_tables(input);
});

/// Each socket is in the list.
fn check_sockets(protocol: Protocol, table: &str) {
    let listeners = parse_socket_table(protocol, table);
    assert!(listeners.len() <= table.lines().count());
    for listener in listeners {
        assert_eq!(listener.port.protocol, protocol);
        let port = format!(":{:04X}", listener.port.port.get());
        assert!(
            table
                .to_ascii_uppercase()
                .contains(port.trim_start_matches([':', '0']))
        );
    }
}

/// What is taken for a table of ours could be written again, and is all there.
fn check_tables(input: &[u8]) {
    let says = |text: &str| {
        let mut windows = input.windows(text.len());
        windows.any(|window| window == text.as_bytes())
    };
    let routing = read_routing(input);
    let links = read_links(input);
    assert!(routing.is_none() || links.is_none(), "both kinds at once");
    if let Some(table) = routing {
        assert_eq!(table.validate(), Ok(()));
        let marker = format!("digest={} bridge={} rules=", table.digest, table.bridge);
        assert!(says(&marker), "{marker}");
        let routed = table.routes.keys().map(|route| route.port);
        let inner = table.links.keys().chain(table.wires.keys()).copied();
        for port in routed.chain(inner) {
            let bytes = port.port.get().to_be_bytes();
            assert!(input.windows(2).any(|window| window == bytes));
        }
    }
    if links.is_some() {
        assert!(says("gateway=") && says("redirect-own"));
    }
    assert!(!accepts_redirected(input) || says("bitwise"));
    let drops = drops_forwarded(input, "forward", "flocker0");
    assert!(!drops || says("immediate") || says("reject"));
}

fn check_attributes(payload: &[u8], depth: usize) {
    let found: Vec<Attribute<'_>> = attributes(payload).collect();
    let mut written = Vec::new();
    for attribute in &found {
        push(&mut written, attribute.kind, attribute.value);
        let number = attribute.number();
        assert_eq!(number.is_some(), attribute.value.len() >= 4);
        if let Some(text) = attribute.text() {
            assert!(!text.contains('\0') && attribute.value.starts_with(text.as_bytes()));
        }
        if depth > 0 {
            check_attributes(attribute.value, depth - 1);
        }
    }
    assert!(
        written.len() <= payload.len() + 3,
        "only padding may be missing at the end"
    );
    assert!(attributes(&written).eq(found));
}
