use flocker_model::{ContainerLinks, LocalPort, Port};

use super::*;
use crate::routing_table::RoutingTable;
use crate::transaction::plan_transaction;

fn port(number: u16) -> Port {
    Port::new(number).unwrap()
}

fn service(text: &str) -> ServicePort {
    text.parse().unwrap()
}

fn route(text: &str) -> flocker_model::RoutePort {
    text.parse().unwrap()
}

fn local(text: &str) -> LocalPort {
    route(text).try_into().unwrap()
}

fn networks(texts: &[&str]) -> BTreeSet<SourceNetwork> {
    let texts = texts.iter();
    texts.map(|text| text.parse().unwrap()).collect()
}

fn target(address: [u8; 4], number: u16) -> Target {
    Target {
        address: address.into(),
        port: port(number),
    }
}

fn table() -> RoutingTable {
    RoutingTable {
        bridge: "flocker0".to_owned(),
        routes: BTreeMap::from([
            (route("80"), target([172, 20, 0, 2], 8000)),
            (route("5432"), target([192, 0, 2, 2], 24001)),
            (route("53/udp"), target([172, 20, 0, 2], 53)),
            (route("192.0.2.1:81"), target([172, 20, 0, 2], 8001)),
            (route("192.0.2.1:5353/udp"), target([172, 20, 0, 2], 53)),
        ]),
        from: BTreeMap::from([
            (route("5432"), networks(&["10.0.0.0/8", "192.0.2.7"])),
            (route("192.0.2.1:5353/udp"), networks(&["0.0.0.0/0"])),
        ]),
        links: BTreeMap::from([(service("40001"), target([172, 20, 0, 3], 9200))]),
        wires: BTreeMap::from([(service("24001/udp"), target([172, 20, 0, 2], 53))]),
        peers: BTreeSet::from([[192, 0, 2, 2].into()]),
        held: BTreeSet::from([route("5432"), route("192.0.2.1:81")]),
        digest: "0123456789abcdef".to_owned(),
    }
}

#[test]
fn a_node() {
    insta::assert_snapshot!(plan_node_ruleset(&table()));
}

#[test]
fn a_node_without_anything() {
    let table = RoutingTable {
        routes: BTreeMap::new(),
        from: BTreeMap::new(),
        links: BTreeMap::new(),
        wires: BTreeMap::new(),
        peers: BTreeSet::new(),
        held: BTreeSet::new(),
        ..table()
    };
    let text = plan_node_ruleset(&table).to_string();
    assert!(!text.contains("element"), "{text}");
}

#[test]
fn a_container() {
    let links =
        ContainerLinks::from([(local("5432"), port(40001)), (local("53/udp"), port(40002))]);
    insta::assert_snapshot!(plan_container_ruleset([172, 20, 0, 1].into(), &links));
}

#[test]
fn a_container_with_links_at_other_addresses() {
    let links = ContainerLinks::from([
        (local("5432"), port(40001)),
        (local("127.1.0.5:5432"), port(40002)),
        (local("127.1.0.6:53/udp"), port(40003)),
    ]);
    insta::assert_snapshot!(plan_container_ruleset([172, 20, 0, 1].into(), &links));
}

#[test]
fn comments_fit_into_the_kernel() {
    let table = RoutingTable {
        bridge: "a".repeat(15),
        digest: "f".repeat(64),
        ..table()
    };
    table.validate().unwrap();
    let ruleset = plan_node_ruleset(&table);
    for rule in ruleset.chains.iter().flat_map(|chain| &chain.rules) {
        assert!(rule.comment.len() < 127, "{}", rule.comment);
    }
}

#[test]
fn what_cannot_be_written_down_is_refused() {
    for digest in ["", "a b", "a=b", &"f".repeat(65)] {
        let table = RoutingTable {
            digest: digest.to_owned(),
            ..table()
        };
        assert!(table.validate().is_err(), "{digest}");
    }
    for list in [&[][..], &["10.0.0.0/8", "10.1.0.0/16"]] {
        let mut table = table();
        table.from.insert(route("80"), networks(list));
        assert!(table.validate().is_err(), "{list:?}");
    }
    for bridge in ["", "two words", "a/b", "sixteen-letters-"] {
        let table = RoutingTable {
            bridge: bridge.to_owned(),
            ..table()
        };
        assert!(table.validate().is_err(), "{bridge}");
    }
}

/// Names operations without their contents.
fn names(operations: &[crate::transaction::Operation<'_>]) -> String {
    use crate::transaction::Operation;
    let names: Vec<_> = operations
        .iter()
        .map(|operation| match operation {
            Operation::EnsureTable => "ensure table".to_owned(),
            Operation::FlushChain(name) => format!("flush chain {name}"),
            Operation::DeleteChain(name) => format!("delete chain {name}"),
            Operation::DeleteSet(name) => format!("delete set {name}"),
            Operation::EnsureChain(chain) => format!("ensure chain {}", chain.name),
            Operation::EnsureSet(set) => format!("ensure set {}", set.name),
            Operation::FlushSet(set) => format!("flush set {}", set.name),
            Operation::AddElements(set) => format!("add elements {}", set.name),
            Operation::AppendRule(chain, _) => format!("append rule to {}", chain.name),
            Operation::EditDockerChain(chain, edit) => format!("edit {chain}: {edit:?}"),
        })
        .collect();
    names.join("\n")
}

#[test]
fn nothing_is_done_to_a_table_that_is_right() {
    let ruleset = plan_node_ruleset(&table());
    assert_eq!(
        plan_transaction(Some(&ruleset.expected_state()), &ruleset),
        []
    );
}

#[test]
fn chains_are_kept_and_never_the_table_deleted() {
    let links = ContainerLinks::from([(local("5432"), port(40001))]);
    let desired = plan_container_ruleset([172, 20, 0, 1].into(), &links);
    let mut found =
        plan_container_ruleset([172, 20, 0, 1].into(), &ContainerLinks::new()).expected_state();
    insta::assert_snapshot!(
        "transaction_for_other_elements",
        names(&plan_transaction(Some(&found), &desired))
    );
    let foreign = found.chains["arriving"].clone();
    found.chains.insert("foreign".to_owned(), foreign);
    found.sets.get_mut("links").unwrap().layout.data_length = 4;
    insta::assert_snapshot!(
        "transaction_for_another_structure",
        names(&plan_transaction(Some(&found), &desired))
    );
}
