//! Volumes as earlier releases and interrupted programs left them.

use std::collections::BTreeMap;

use flocker_model::{ApplicationName, Deployment, Epoch, NodeMemory, VolumeCopy, VolumeRole};
use flocker_plan::{Action, Plan, PushKind, SettingAside, check, plan_setting_aside};

use crate::cluster::{Cluster, database, deployment, name, node_name, show};

fn on(node: &str) -> Deployment {
    deployment(
        &[("db", database())],
        &[("1", &[]), ("2", &[]), ("3", &[]), (node, &["db"])],
    )
}

/// Plans to set a node's copy aside.
fn set_aside(cluster: &Cluster, node: &str) -> Plan {
    let setting_aside = SettingAside {
        application: name("db"),
        node: node_name(node),
        only_copy: false,
        at: 1_795_402_590,
    };
    let plan = plan_setting_aside(&setting_aside, &cluster.observed);
    let plan = plan.unwrap_or_else(|refused| panic!("{refused}"));
    assert_eq!(check(&plan, &cluster.observed), []);
    plan
}

/// The dataset of a first copy that `zfs receive` had just made when its program died.
fn beginning() -> VolumeCopy {
    let mut other = Cluster::running(1, &deployment(&[("db", database())], &[("1", &["db"])]));
    VolumeCopy {
        role: VolumeRole::Foreign {
            problem: "is the beginning of a copy, and does not say which node owns the volume"
                .to_owned(),
        },
        snapshots: BTreeMap::new(),
        newest_snapshot: None,
        mounted: None,
        resumable: true,
        is_first_copy: true,
        deployment: None,
        ..other.copy("1", "db").clone()
    }
}

#[test]
fn the_beginning_of_a_first_copy_blocks_a_new_volume_until_it_is_set_aside() {
    let mut cluster = Cluster::new(3);
    cluster.machine("2").volumes.insert(name("db"), beginning());
    for node in ["1", "2"] {
        let refused = cluster.plan(&on(node));
        assert_eq!(refused.blocked.len(), 1, "{refused}");
        let told = show(&refused);
        let dataset = "dataset tank/flocker/_receiving:db on 1.1.1.2, where its volume would be";
        for part in [dataset, "volume resolve db --set-aside 1.1.1.2"] {
            assert!(told.contains(part), "{told}");
        }
    }
    let nothing = set_aside(&cluster, "1");
    assert!(nothing.steps().is_empty());
    let told = show(&nothing);
    let expected = "Nothing was set aside: 1.1.1.1 has no copy of `db`.";
    assert!(told.contains(expected), "{told}");
    let plan = set_aside(&cluster, "2");
    let told = show(&plan);
    let expected = "aside as tank/flocker/_set-aside:db-0-1795402590.";
    assert!(told.contains(expected), "{told}");
    cluster.finish(&plan);
    cluster.deploy(&on("2"));
}

#[test]
fn a_push_replaces_the_beginning_of_a_first_copy() {
    let mut cluster = Cluster::running(3, &on("1"));
    cluster.write();
    cluster.machine("2").volumes.insert(name("db"), beginning());
    assert!(cluster.plan(&on("1")).is_empty());
    cluster.deploy(&on("2"));
    assert!(!cluster.copy("2", "db").is_first_copy);
    // Nothing is left to prune, either.
    assert!(cluster.plan(&on("2")).is_empty());
}

#[test]
fn a_parent_that_does_not_sync_is_told() {
    let mut cluster = Cluster::running(3, &on("1"));
    cluster.machine("2").pool.sync_disabled = Some("tank".to_owned());
    let plan = cluster.plan(&on("1"));
    assert!(plan.is_empty() && plan.blocked.is_empty(), "{plan}");
    let notes: Vec<String> = plan.notes.iter().map(ToString::to_string).collect();
    let expected = "1.1.1.2: dataset tank has sync=disabled: a power cut loses acknowledged \
        writes in the datasets below it (run `zfs set sync=standard tank` on this node).";
    assert!(
        notes.len() == 1 && notes[0].starts_with(expected),
        "{notes:?}"
    );
}

/// What a copy says of its owner: the owner's machine, the epoch, and whether it was handed off.
#[derive(Debug, Clone, Copy)]
struct Says(&'static str, u64, bool);

impl Says {
    /// Returns what an earlier release left of a write of `after` that set this many properties.
    fn then(self, after: Self, count: usize) -> Self {
        Self(
            if count > 0 { after.0 } else { self.0 },
            if count > 1 { after.1 } else { self.1 },
            if count > 2 { after.2 } else { self.2 },
        )
    }

    /// Has a machine's copy say it.
    fn by(self, cluster: &mut Cluster, number: &str) {
        let Self(owner, epoch, is_handed_off) = self;
        let (id, epoch) = (cluster.machine(owner).id, Epoch(epoch));
        let copy = cluster.copy(number, "db");
        copy.role = if owner == number {
            VolumeRole::Owned { epoch }
        } else {
            let handoff = copy.newest_own().filter(|_| is_handed_off);
            VolumeRole::Replica {
                owner: id,
                epoch,
                handoff,
            }
        };
    }
}

/// A write of an earlier release: what it is called, when it comes, and whose copy says what.
struct Write {
    name: &'static str,
    cluster: Cluster,
    by: &'static str,
    before: Says,
    after: Says,
}

/// A move from 1 to 2 up to a step.
fn moved_until(is_last: impl Fn(&Action) -> bool) -> Cluster {
    let mut cluster = Cluster::running(3, &on("1"));
    cluster.write();
    let made = cluster.plan(&on("2"));
    cluster.begin_until(&made, is_last);
    cluster
}

fn writes() -> [Write; 4] {
    let is_last_push = |action: &Action| {
        let kind = PushKind::Last;
        matches!(action, Action::PushVolume { kind: found, .. } if *found == kind)
    };
    let is_release = |action: &Action| matches!(action, Action::ReleaseVolume { .. });
    let mut moved = Cluster::running(3, &on("1"));
    moved.write();
    moved.deploy(&on("2"));
    // 3 owned it last, and is lost; 1 was promoted.
    let mut promoted = Cluster::running(3, &on("1"));
    for node in ["2", "3"] {
        promoted.write();
        promoted.deploy(&on(node));
    }
    Says("1", 1003, false).by(&mut promoted, "1");
    let lost = promoted.machine("3");
    lost.volumes.clear();
    lost.containers.clear();
    lost.remembered = NodeMemory::default();
    [
        Write {
            name: "release",
            cluster: moved_until(is_last_push),
            by: "1",
            before: Says("1", 1, false),
            after: Says("2", 2, true),
        },
        Write {
            name: "acquire",
            cluster: moved_until(is_release),
            by: "2",
            before: Says("1", 1, false),
            after: Says("2", 2, false),
        },
        Write {
            name: "promote",
            cluster: moved.clone(),
            by: "1",
            before: Says("2", 2, true),
            after: Says("1", 1002, false),
        },
        Write {
            name: "record owner",
            cluster: promoted,
            by: "2",
            before: Says("3", 3, true),
            after: Says("1", 1003, false),
        },
    ]
}

/// Deploys; what cannot be is refused as a whole, with what to do about it.
fn deploy_or_refuse(cluster: &Cluster, wanted: &str) {
    let mut cluster = cluster.clone();
    let plan = cluster.plan(&on(wanted));
    if plan.blocked.is_empty() {
        cluster.deploy(&on(wanted));
        return;
    }
    let db: ApplicationName = name("db");
    let mut actions = plan.steps().iter().map(|step| &step.action);
    assert!(
        actions.all(|action| action.application() != Some(&db)),
        "{plan}"
    );
    assert!(
        plan.blocked.iter().all(|it| !it.hint().is_empty()),
        "{plan}"
    );
}

/// Three properties said who owns a volume, and ZFS may have set only the first ones. Whatever is
/// left of that either converges or is for the operator to decide, and never has a second owner.
#[test]
fn every_prefix_of_an_earlier_releases_write_converges_or_is_refused() {
    for write in writes() {
        for count in 0..=3 {
            let mut cluster = write.cluster.clone();
            let says = write.before.then(write.after, count);
            says.by(&mut cluster, write.by);
            for wanted in ["1", "2"] {
                println!("{} {count}, wanted on {wanted}", write.name);
                deploy_or_refuse(&cluster, wanted);
            }
        }
    }
}
