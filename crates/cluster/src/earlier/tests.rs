use std::collections::BTreeMap;

use flocker_config::{NoSurroundings, Parsed, Source, parse_beside};
use flocker_model::{
    ByteCount, Contact, Epoch, NodeId, NodeObservation, NodeState, PoolHealth, PoolState,
    RememberedApplication, VolumeRole,
};
use flocker_plan::{Goal, Scope, plan};

use super::*;

/// A Compose file with one volume, which may get a second one.
fn compose(volumes: &str, names: &str) -> String {
    format!(
        "name: shop\nservices: {{db: {{image: postgres, restart: always, volumes: [{volumes}]}}}}\n\
         volumes: {{{names}}}\n"
    )
}

fn before() -> Parsed {
    read(&compose("'pgdata:/var/lib/postgresql/data'", "pgdata: "))
}

fn after() -> Parsed {
    let volumes =
        "'pgdata:/var/lib/postgresql/data', 'wal:/wal', '/srv/extra:/extra', './conf:/conf'";
    read(&compose(volumes, "pgdata: , wal: "))
}

fn read(text: &str) -> Parsed {
    let source = |name, text: &'static str| Source {
        name,
        bytes: text.as_bytes(),
    };
    let text = Source {
        name: "compose.yaml",
        bytes: text.as_bytes(),
    };
    let nodes = source("deployment.yml", "nodes: {10.0.0.1: [db]}\n");
    let parsed = parse_beside(text, nodes, &NoSurroundings, BTreeMap::new());
    parsed.unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn machine() -> NodeState {
    let pool = PoolState {
        dataset: "tank/flocker".to_owned(),
        health: PoolHealth::Usable,
        available: ByteCount::mebibytes(1024),
        sync_disabled: None,
    };
    NodeState {
        contact: Contact::from_ssh_connection("10.0.0.9 50000 10.0.0.1 22"),
        ..NodeState::fresh(NodeId(uuid::Uuid::nil()), "1", pool)
    }
}

/// Gives a machine the volume, empty so far.
fn with_volume(mut machine: NodeState, mounted: Option<&str>, import: Option<&str>) -> NodeState {
    let copy = VolumeCopy {
        role: VolumeRole::Owned {
            epoch: Epoch::FIRST,
        },
        snapshots: BTreeMap::new(),
        newest_snapshot: None,
        written: ByteCount::ZERO,
        referenced: ByteCount::ZERO,
        maximum_size: None,
        mounted: mounted.map(str::to_owned),
        resumable: false,
        is_first_copy: false,
        deployment: None,
        key_needed: None,
        held_by: Vec::new(),
        import: import.map(str::to_owned),
    };
    machine.volumes.insert("db".parse().unwrap(), copy);
    machine
}

/// Has the machine remember what ran.
fn with_memory(mut machine: NodeState, ran: &Parsed) -> NodeState {
    for (name, application) in &ran.deployment.applications {
        let remembered = RememberedApplication {
            specification: ContainerSpecification::new(name, application),
            links: BTreeMap::new(),
            volume: Some(Epoch::FIRST),
            retired: false,
            dependencies: BTreeSet::new(),
        };
        let memory = &mut machine.remembered.applications;
        memory.insert(name.clone(), remembered);
    }
    machine
}

fn warned(wanted: &Parsed, machine: NodeState) -> Vec<LeftBehind> {
    let machine = NodeObservation::Seen(Box::new(machine));
    let observed = Observed {
        nodes: BTreeMap::from([("10.0.0.1".parse().unwrap(), machine)]),
        ..Observed::default()
    };
    let goal = Goal::new(&wanted.deployment, Scope::Cluster);
    let plan = plan(&goal, &observed);
    assert!(plan.blocked.is_empty(), "{plan}");
    left_behind(&plan, &observed, &wanted.earlier_data)
}

fn text(warnings: &[LeftBehind]) -> String {
    let texts: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    texts.join("\n\n")
}

#[test]
fn a_new_volume_is_warned_about_in_words_and_in_json() {
    let found = warned(&before(), machine());
    insta::assert_snapshot!(text(&found));
    let json: Vec<Value> = found.iter().map(LeftBehind::to_json).collect();
    insta::assert_snapshot!(json!(json));
}

#[test]
fn a_new_directory_of_a_volume_is_warned_about() {
    let mounted = with_volume(machine(), Some("/flocker/db"), None);
    let mounted = with_memory(mounted, &before());
    insta::assert_snapshot!(text(&warned(&after(), mounted.clone())));
    assert_eq!(warned(&before(), mounted.clone()), [], "nothing is new");
    let known = with_memory(mounted, &after());
    assert_eq!(warned(&after(), known), [], "nor once it has run");

    let down = with_memory(with_volume(machine(), None, None), &before());
    insta::assert_snapshot!(text(&warned(&after(), down)));
}

#[test]
fn a_directory_that_an_import_left_out_is_warned_about() {
    let import = |from| with_volume(machine(), None, Some(from));
    let part = import("conf=/srv/conf, pgdata=docker-volume:shop_pgdata");
    insta::assert_snapshot!(text(&warned(&after(), part)));
    let all =
        import("conf=/srv/conf, pgdata=docker-volume:shop_pgdata, wal=docker-volume:shop_wal");
    assert_eq!(warned(&after(), all), []);
}
