//! Nodes that cannot reach each other.

use flocker_model::{Contact, LoginRefusal, LoginSetting, NodeName};
use flocker_plan::{Action, Plan};
use insta::assert_snapshot;

use crate::cluster::{Cluster, database, deployment, name, node_name, port};

fn on(node: &str) -> flocker_model::Deployment {
    let nodes: Vec<(&str, &[&str])> = ["1", "2"]
        .map(|number| (number, if number == node { &["db"][..] } else { &[] }))
        .to_vec();
    deployment(&[("db", database())], &nodes)
}

/// What stands in the way of a plan, and the hints.
fn refusals(plan: &Plan) -> String {
    let told = plan.blocked.iter();
    let told = told.map(|blocked| format!("{blocked}\nhint: {}", blocked.hint()));
    told.collect::<Vec<_>>().join("\n")
}

fn refuses(setting: LoginSetting, value: &str) -> LoginRefusal {
    LoginRefusal {
        user: "flocker".to_owned(),
        setting,
        value: value.to_owned(),
    }
}

#[test]
fn a_push_to_a_node_that_refuses_peers_is_blocked() {
    let mut cluster = Cluster::running(2, &on("1"));
    cluster.write();
    let mut told = Vec::new();
    for (setting, value) in [
        (LoginSetting::AllowUsers, "alice bob"),
        (LoginSetting::DenyGroups, "flocker"),
        (LoginSetting::AuthorizedKeysFile, ".ssh/authorized_keys"),
    ] {
        cluster.machine("2").refuses_peers = Some(refuses(setting, value));
        told.push(refusals(&cluster.plan(&on("2"))));
    }
    assert_snapshot!(told.join("\n"), @r"
    the sshd of 1.1.1.2 refuses other nodes, which log in as `flocker` to push: it has `AllowUsers alice bob`
    hint: in /etc/ssh/sshd_config on 1.1.1.2 write `AllowUsers alice bob flocker` in its place, reload sshd there, and deploy again; `flocker` can do nothing but push volumes and images
    the sshd of 1.1.1.2 refuses other nodes, which log in as `flocker` to push: it has `DenyGroups flocker`
    hint: in /etc/ssh/sshd_config on 1.1.1.2 take the group of `flocker` out of it, reload sshd there, and deploy again; `flocker` can do nothing but push volumes and images
    the sshd of 1.1.1.2 refuses other nodes, which log in as `flocker` to push: it has `AuthorizedKeysFile .ssh/authorized_keys`
    hint: in /etc/ssh/sshd_config on 1.1.1.2 write `Include /etc/ssh/sshd_config.d/*.conf` as the first line, so that sshd finds Flocker's settings, reload sshd there, and deploy again; `flocker` can do nothing but push volumes and images
    ");
    // Nothing is pushed there.
    assert!(cluster.plan(&on("1")).blocked.is_empty());
}

#[test]
fn a_node_that_refuses_peers_still_sends_its_volume() {
    let mut cluster = Cluster::running(2, &on("1"));
    cluster.write();
    cluster.machine("1").refuses_peers = Some(refuses(LoginSetting::AllowUsers, "alice"));
    assert!(cluster.plan(&on("2")).blocked.is_empty());
}

/// Two nodes that are named by host names and were reached at these addresses.
fn behind_nat(addresses: [[u8; 4]; 2]) -> (Cluster, flocker_model::Deployment) {
    let mut cluster = Cluster::new(2);
    let mut wanted = on("1");
    for (number, address) in ["1", "2"].into_iter().zip(addresses) {
        let name: NodeName = name(&format!("node{number}.example.com"));
        cluster.machine(number).contact = Some(Contact {
            address: address.into(),
            ssh_port: port(22),
        });
        let seen = cluster.observed.nodes.remove(&node_name(number));
        let placed = wanted.nodes.remove(&node_name(number));
        let named = seen.map(|seen| (name.clone(), seen));
        cluster.observed.nodes.extend(named);
        wanted.nodes.extend(placed.map(|placed| (name, placed)));
    }
    (cluster, wanted)
}

#[test]
fn nodes_with_one_address_are_refused() {
    let (cluster, wanted) = behind_nat([[10, 0, 2, 15]; 2]);
    assert_snapshot!(refusals(&cluster.plan(&wanted)), @r#"
    node1.example.com, node2.example.com have the same address 10.0.2.15, at which other nodes reach only one of them
    hint: write the address at which other nodes reach each of them in its own /etc/flocker/node.toml: `address = "ADDRESS"`
    "#);
}

#[test]
fn a_loopback_address_is_refused_with_several_nodes() {
    let (cluster, mut wanted) = behind_nat([[127, 0, 0, 1], [10, 0, 0, 2]]);
    assert_snapshot!(refusals(&cluster.plan(&wanted)), @r#"
    the address of node1.example.com is 127.0.0.1, at which no other node reaches it
    hint: write the address at which other nodes reach node1.example.com in /etc/flocker/node.toml there: `address = "ADDRESS"`
    "#);
    // Alone, the node is reached by nobody else.
    wanted.nodes.pop_last();
    assert!(cluster.plan(&wanted).blocked.is_empty());
}

#[test]
fn an_address_in_the_settings_wins() {
    let (mut cluster, wanted) = behind_nat([[10, 0, 2, 15]; 2]);
    for (state, address) in cluster
        .states_mut()
        .zip([[203, 0, 113, 1], [203, 0, 113, 2]])
    {
        state.address = Some(address.into());
    }
    assert!(cluster.plan(&wanted).blocked.is_empty());
}

#[test]
fn an_address_in_the_settings_wins_over_a_name() {
    let mut cluster = Cluster::new(2);
    cluster.machine("2").address = Some([203, 0, 113, 2].into());
    let plan = cluster.plan(&on("1"));
    let admitted = plan.steps().iter().find_map(|step| match &step.action {
        Action::AdmitMembers { members } => Some(members),
        _ => None,
    });
    let members = admitted.expect("the first deploy introduces the nodes");
    let address = |number| {
        let named = members.named(&node_name(number)).next();
        named.unwrap().contact.address.to_string()
    };
    assert_eq!([address("1"), address("2")], ["1.1.1.1", "203.0.113.2"]);
}
