//! The node's table comes back when somebody flushes the firewall.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{Digest, Endpoint, LeadingPorts, NodeNetwork, Port};
use flocker_net::{RoutingTable, Target};

use crate::guard::needs_repair;

fn port(number: u16) -> Port {
    Port::new(number).unwrap()
}

/// A port that leads to another node, and one that a deploy holds.
fn network() -> NodeNetwork {
    let endpoint = Endpoint::Remote {
        address: [192, 0, 2, 2].into(),
        port: port(80),
    };
    NodeNetwork {
        ports: LeadingPorts {
            routes: BTreeMap::from([(port(80).into(), endpoint.into())]),
            ..LeadingPorts::default()
        },
        held: BTreeSet::from([port(5432).into()]),
        ..NodeNetwork::default()
    }
}

/// What the kernel has of it.
fn table(network: &NodeNetwork) -> RoutingTable {
    let target = Target {
        address: [192, 0, 2, 2].into(),
        port: port(80),
    };
    RoutingTable {
        bridge: "flocker0".to_owned(),
        routes: BTreeMap::from([(port(80).into(), target)]),
        from: BTreeMap::new(),
        links: BTreeMap::new(),
        wires: BTreeMap::new(),
        peers: BTreeSet::new(),
        held: network.held.clone(),
        digest: Digest::of(network).as_str().to_owned(),
    }
}

#[test]
fn a_table_is_repaired_when_it_is_gone_or_another() {
    let network = network();
    let whole = table(&network);
    assert!(!needs_repair(&network, Some(&whole), None));
    assert!(!needs_repair(&network, Some(&whole), Some(&whole)));
    assert!(needs_repair(&network, None, None));
    assert!(needs_repair(&network, None, Some(&whole)));
    // Somebody took elements out of its maps.
    let mut emptied = whole.clone();
    emptied.routes.clear();
    assert!(needs_repair(&network, Some(&emptied), Some(&whole)));
    // A deploy has remembered what it is about to program, or never came to that.
    let mut meant = network.clone();
    meant.held.clear();
    assert!(needs_repair(&meant, Some(&whole), Some(&whole)));
}

/// With the real kernel.
#[cfg(feature = "real-machine")]
mod kernel {
    use std::process::Command;
    use std::time::Duration;

    use flocker_model::NodeId;
    use flocker_net::FirewallWatch;
    use tempfile::TempDir;

    use super::*;
    use crate::guard::{guard_with, repair};
    use crate::linux::Kernel;
    use crate::machine::Machine;
    use crate::platform::{Platform, Routes as _};
    use crate::settings::Settings;
    use crate::store::Store;
    use crate::tests::contract::routes::kernel::run_in_namespace;
    use crate::tests::fake::{
        FakeContainers, FakeDirectories, FakePeers, FakeUnits, FakeVolumes, Faults, Guids, Host,
        Neighbours,
    };

    /// A machine in memory whose routes are the kernel's.
    #[derive(Debug, Clone)]
    struct WithKernel;

    impl Platform for WithKernel {
        type Volumes = FakeVolumes;
        type Containers = FakeContainers;
        type Directories = FakeDirectories;
        type Units = FakeUnits;
        type Routes = Kernel;
        type Peers = FakePeers;
    }

    fn machine(directory: &TempDir) -> Machine<WithKernel> {
        let faults = Faults::default();
        let host = Host::new(faults.clone());
        let settings = Settings {
            state_directory: directory.path().join("state"),
            runtime_directory: directory.path().join("runtime"),
            ..Settings::default()
        };
        let id = NodeId(uuid::Uuid::nil());
        Machine {
            id,
            store: Store::open(&settings).unwrap(),
            settings,
            clock: flocker_remote::clock::Clock::default(),
            volumes: FakeVolumes {
                host: host.clone(),
                node: id,
                guids: Guids::default(),
            },
            containers: FakeContainers { host: host.clone() },
            directories: FakeDirectories { host: host.clone() },
            units: FakeUnits { host },
            routes: Kernel,
            peers: FakePeers {
                neighbours: Neighbours::default(),
                faults,
            },
        }
    }

    /// Waits until the kernel routes by `wanted`.
    async fn await_table(wanted: &RoutingTable) {
        let mut watch = FirewallWatch::begin().unwrap();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(15);
        while Kernel.observe_routing().await.unwrap().as_ref() != Some(wanted) {
            assert!(tokio::time::Instant::now() < deadline, "it is not repaired");
            let next = tokio::task::spawn_blocking(move || {
                watch.wait(Some(Duration::from_secs(1))).unwrap();
                watch
            });
            watch = next.await.unwrap();
        }
    }

    fn nft(words: &str) {
        let run = Command::new("nft").args(words.split(' ')).status();
        assert!(run.unwrap().success(), "{words}");
    }

    async fn change(machine: &Machine<WithKernel>, wanted: &NodeNetwork) {
        let changed = machine.change_network("test", |network| network.clone_from(wanted));
        changed.await.unwrap();
    }

    async fn guard_while_somebody_flushes() {
        let directory = tempfile::tempdir().unwrap();
        let machine = machine(&directory);
        let watch = FirewallWatch::begin().unwrap();
        let guarded = machine.clone();
        let repair = move || {
            let guarded = guarded.clone();
            async move { repair(&guarded).await }
        };
        tokio::select! {
            ended = guard_with((Kernel, machine.store.clone()), watch, repair) => {
                panic!("{ended:?}")
            }
            () = flush_again_and_again(machine.clone()) => {}
        }
    }

    async fn flush_again_and_again(machine: Machine<WithKernel>) {
        let moving = network();
        change(&machine, &moving).await;
        for flush in [
            "flush ruleset",
            "delete table ip flocker",
            "flush chain ip flocker forward",
            "flush map ip flocker routes",
            "flush set ip flocker held",
        ] {
            await_table(&table(&moving)).await;
            nft(flush);
        }
        await_table(&table(&moving)).await;
        // What a deploy programs meanwhile is what comes back.
        let mut moved = moving;
        moved.held.clear();
        change(&machine, &moved).await;
        nft("flush ruleset");
        await_table(&table(&moved)).await;
        assert_eq!(machine.store.network().unwrap(), Some(moved));
    }

    #[test]
    fn a_flushed_ruleset_repairs_itself() {
        run_in_namespace(guard_while_somebody_flushes());
    }

    #[test]
    fn a_step_after_a_flush_keeps_all_other_ports() {
        run_in_namespace(async {
            let directory = tempfile::tempdir().unwrap();
            let machine = machine(&directory);
            let mut wanted = network();
            change(&machine, &wanted).await;
            nft("flush ruleset");
            wanted.held.insert(port(81).into());
            let held = machine.change_network("hold-ports", |network| {
                network.held.insert(port(81).into());
            });
            held.await.unwrap();
            let found = Kernel.observe_routing().await.unwrap();
            assert_eq!(found, Some(table(&wanted)));
        });
    }

    #[test]
    fn the_guard_waits_where_nothing_was_programmed() {
        run_in_namespace(async {
            let directory = tempfile::tempdir().unwrap();
            let machine = machine(&directory);
            let watch = FirewallWatch::begin().unwrap();
            let repair = || async { panic!("there is nothing to repair") };
            let guarded = guard_with((Kernel, machine.store), watch, repair);
            let ended = tokio::time::timeout(Duration::from_millis(300), guarded).await;
            assert!(ended.is_err(), "it does not end");
        });
    }
}
