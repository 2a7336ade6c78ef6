//! What the operator alone decides: a replica in the place of a lost owner, a copy out of use.

use flocker_model::{
    ByteCount, CopyClaim, Deployment, Epoch, PoolHealth, PoolProblem, SnapshotGuid, SnapshotState,
    VolumeRole,
};
use flocker_plan::{
    Action, Plan, Promotion, SettingAside, check, plan_promotion, plan_setting_aside,
};
use insta::assert_snapshot;

use crate::cluster::{Cluster, database, deployment, name, node_name, show};

/// When copies are set aside.
const NOW: u64 = 1_795_402_590;

/// When machines are looked at: times are small in these tests.
const LOOKED: u64 = 11_526;

fn on(node: &str) -> Deployment {
    deployment(
        &[("db", database())],
        &[("1", &[]), ("2", &[]), ("3", &[]), (node, &["db"])],
    )
}

/// The volume went from 1 to 2 and on to 3: 1 has an older replica, 2 a newer one.
fn moved_twice() -> Cluster {
    let mut cluster = Cluster::running(3, &on("1"));
    for node in ["2", "3"] {
        cluster.write();
        cluster.deploy(&on(node));
    }
    cluster.write();
    cluster.observed.at = Some(LOOKED);
    cluster
}

/// When a node's copy was taken.
fn taken(cluster: &mut Cluster, node: &str) -> u64 {
    let copy = cluster.copy(node, "db");
    let newest = copy.snapshots.values().map(|snapshot| snapshot.created);
    newest.max().unwrap_or_default()
}

/// What somebody does to a cluster behind Flocker's back.
type Damage<'a> = &'a dyn Fn(&mut Cluster);

/// Plans a promotion, or says why not as the operator reads it.
fn promote(cluster: &Cluster, node: &str, since: u64) -> Result<Plan, String> {
    let promotion = Promotion {
        application: name("db"),
        node: node_name(node),
        accept_loss_since: since,
    };
    match plan_promotion(&promotion, &cluster.observed) {
        Ok(plan) => Ok(checked(cluster, plan)),
        Err(refusal) => Err(format!("error: {refusal}\n  hint: {}", refusal.hint())),
    }
}

/// Plans to set a copy aside, or says why not as the operator reads it.
fn set_aside(cluster: &Cluster, node: &str) -> Result<Plan, String> {
    let setting_aside = SettingAside {
        application: name("db"),
        node: node_name(node),
        only_copy: false,
        at: NOW,
    };
    match plan_setting_aside(&setting_aside, &cluster.observed) {
        Ok(plan) => Ok(checked(cluster, plan)),
        Err(refusal) => Err(format!("error: {refusal}\n  hint: {}", refusal.hint())),
    }
}

fn checked(cluster: &Cluster, plan: Plan) -> Plan {
    let violations = check(&plan, &cluster.observed);
    assert!(violations.is_empty(), "{violations:?}\n{plan}");
    plan
}

/// Writes what stands in a deploy's way with what to do about it.
fn obstacles(plan: &Plan) -> String {
    let lines = plan
        .blocked
        .iter()
        .map(|blocked| format!("error: {blocked}\n  hint: {}", blocked.hint()));
    lines.collect::<Vec<_>>().join("\n")
}

/// The owner is lost, its newest replica is promoted, and the owner comes back.
fn owner_came_back() -> Cluster {
    let mut cluster = moved_twice();
    let lost = cluster.observed.nodes[&node_name("3")].clone();
    cluster.lose("3");
    let since = taken(&mut cluster, "2");
    let plan = promote(&cluster, "2", since).unwrap_or_else(|refusal| panic!("{refusal}"));
    cluster.finish(&plan);
    cluster.observed.nodes.insert(node_name("3"), lost);
    cluster
}

#[test]
fn a_lost_owner_and_back_again() {
    let mut cluster = moved_twice();
    let lost = cluster.observed.nodes[&node_name("3")].clone();
    cluster.lose("3");
    assert_snapshot!(
        "a_deploy_with_a_lost_owner",
        obstacles(&cluster.plan(&on("3")))
    );
    let since = taken(&mut cluster, "2");
    let promotion = promote(&cluster, "2", since).unwrap();
    assert_snapshot!("a_replica_takes_its_place", show(&promotion));
    cluster.finish(&promotion);
    let again = promote(&cluster, "2", since).unwrap();
    assert_eq!(again.steps(), [], "the second time does nothing");
    let alone = deployment(&[("db", database())], &[("1", &[]), ("2", &["db"])]);
    cluster.finish(&cluster.plan(&alone));

    cluster.observed.nodes.insert(node_name("3"), lost);
    assert_snapshot!("the_owner_came_back", obstacles(&cluster.plan(&on("2"))));
    let aside = set_aside(&cluster, "3").unwrap();
    assert_snapshot!("its_copy_is_set_aside", show(&aside));
    cluster.finish(&aside);
    let again = set_aside(&cluster, "3").unwrap();
    assert_eq!(again.steps(), [], "the second time does nothing");
    cluster.deploy(&on("2"));
    cluster.write();
    cluster.deploy(&on("3"));
}

/// Also when the one who took its place is away, as long as anybody is there who saw that.
#[test]
fn a_lost_owner_is_none_any_more_for_those_who_saw_its_successor() {
    let mut cluster = moved_twice();
    let lost = cluster.observed.nodes[&node_name("3")].clone();
    cluster.lose("3");
    let promotion = promote(&cluster, "2", 0).unwrap();
    // Whoever dies in between is told the second time.
    cluster.begin_until(&promotion, |action| {
        matches!(action, Action::PromoteVolume { .. })
    });
    let rest = promote(&cluster, "2", 0).unwrap();
    assert_snapshot!("the_others_are_told_of_the_owner", show(&rest));
    cluster.finish(&rest);
    cluster.observed.nodes.insert(node_name("3"), lost);
    cluster.lose("2");
    assert_snapshot!(
        "a_deploy_without_the_promoted_owner",
        obstacles(&cluster.plan(&on("3")))
    );
}

#[test]
fn an_owner_that_is_only_busy_is_not_to_be_brought_back() {
    let mut cluster = moved_twice();
    cluster.occupy("3");
    let mut shown = vec![("deploy", obstacles(&cluster.plan(&on("3"))))];
    let alone = deployment(&[("db", database())], &[("1", &[]), ("2", &["db"])]);
    shown.push(("deploy elsewhere", obstacles(&cluster.plan(&alone))));
    shown.push((
        "set the newest replica aside",
        set_aside(&cluster, "2").unwrap_err(),
    ));
    cluster.lose("1");
    cluster.machine("2").volumes.clear();
    shown.push(("no copy in sight", obstacles(&cluster.plan(&alone))));

    let mut cluster = moved_twice();
    cluster.occupy("1");
    shown.push((
        "set the only owner aside",
        set_aside(&cluster, "3").unwrap_err(),
    ));

    let mut cluster = owner_came_back();
    let later = cluster.copy("2", "db").role.clone();
    assert_eq!(
        later,
        VolumeRole::Owned {
            epoch: Epoch(1_003)
        }
    );
    cluster.copy("1", "db").role = VolumeRole::Replica {
        owner: cluster.machine("2").id,
        epoch: Epoch(1_003),
        handoff: None,
    };
    cluster.occupy("2");
    shown.push((
        "all that knows of the later owner",
        set_aside(&cluster, "1").unwrap_err(),
    ));
    for (what, text) in &shown {
        assert!(
            !text.contains("bring the owner back") && !text.contains("bring 1.1.1.3 back"),
            "{what}: {text}"
        );
    }
    let shown: Vec<String> = shown
        .into_iter()
        .map(|(what, text)| format!("{what}\n{text}"))
        .collect();
    assert_snapshot!(shown.join("\n\n"));
}

#[test]
fn what_unseen_machines_did_meanwhile_is_outranked() {
    let mut cluster = moved_twice();
    cluster.lose("2");
    cluster.lose("3");
    // It knows that 2 owned the volume in epoch 2, and nothing of 3.
    let plan = promote(&cluster, "1", 0).unwrap();
    cluster.finish(&plan);
    let promoted = cluster.copy("1", "db").owned_epoch();
    assert!(promoted > Some(Epoch(900)), "{promoted:?}");
}

#[test]
fn an_owner_whose_properties_are_damaged_is_not_lost() {
    let mut cluster = moved_twice();
    cluster.copy("3", "db").role = VolumeRole::Foreign {
        problem: "has no owner in its properties".to_owned(),
    };
    // It still runs, and its clients write.
    let mut shown = vec![obstacles(&cluster.plan(&on("3")))];
    shown.push(promote(&cluster, "2", 0).unwrap_err());
    cluster.reboot("3");
    let aside = set_aside(&cluster, "3").unwrap();
    cluster.finish(&aside);
    shown.push(obstacles(&cluster.plan(&on("3"))));
    assert_snapshot!(shown.join("\n\n"));
    let plan = promote(&cluster, "2", 0).unwrap();
    cluster.finish(&plan);
    cluster.deploy(&on("3"));
}

#[test]
fn a_wrong_clock_is_told() {
    let mut cluster = moved_twice();
    cluster.lose("3");
    for snapshot in cluster.copy("2", "db").snapshots.values_mut() {
        snapshot.created = LOOKED + 300;
    }
    let refusal = promote(&cluster, "2", NOW).unwrap_err();
    assert!(
        refusal.contains("03:17:06 UTC, 5 min in the future by the clock here"),
        "{refusal}"
    );
}

#[test]
fn how_old_a_replica_is_is_told_by_flockers_own_snapshot() {
    let mut cluster = moved_twice();
    cluster.lose("3");
    // Another program took one of the replica since.
    let copy = cluster.copy("2", "db");
    copy.newest_snapshot = Some(SnapshotGuid(99));
    let text = obstacles(&cluster.plan(&on("3")));
    assert!(
        text.contains("Flocker's newest taken at 1970-01-01 00:00:02 UTC, 3 h 12 min ago"),
        "{text}"
    );
}

/// What a pool says that was imported so.
fn read_only() -> PoolHealth {
    let problem = PoolProblem::ReadOnly;
    PoolHealth::Unusable { problem }
}

#[test]
fn promotions_that_are_refused() {
    let mut cluster = moved_twice();
    let mut refusals = Vec::new();
    let mut refuse = |what: &str, cluster: &Cluster, (node, since)| {
        let refusal = promote(cluster, node, since).unwrap_err();
        refusals.push(format!("{what}\n{refusal}"));
    };
    refuse("the owner is there", &cluster, ("2", 0));
    cluster.lose("3");
    refuse("it was lost", &cluster, ("3", 0));
    refuse("another has a newer replica", &cluster, ("1", 0));
    refuse("more would be lost", &cluster, ("2", NOW));
    let whole = cluster.copy("2", "db").clone();
    let mut with = |what: &str, change: Damage<'_>| {
        let mut cluster = cluster.clone();
        *cluster.copy("2", "db") = whole.clone();
        change(&mut cluster);
        refuse(what, &cluster, ("2", 0));
    };
    with("it was written to", &|cluster| {
        cluster.copy("2", "db").written = ByteCount::mebibytes(3);
    });
    with("somebody mounted it", &|cluster| {
        cluster.copy("2", "db").mounted = Some("/mnt".to_owned());
    });
    with("part of a first copy", &|cluster| {
        let copy = cluster.copy("2", "db");
        copy.snapshots.clear();
        copy.newest_snapshot = None;
        copy.resumable = true;
    });
    with("a foreign dataset", &|cluster| {
        cluster.copy("2", "db").role = VolumeRole::Foreign {
            problem: "was not made by Flocker".to_owned(),
        };
    });
    with("the pool is read-only", &|cluster| {
        cluster.machine("2").pool.health = read_only();
    });
    with("the pool is not there", &|cluster| {
        cluster.lose_pool("2", PoolProblem::NotImported);
    });
    with("no copy", &|cluster| {
        cluster.machine("2").volumes.clear();
    });
    with("an older turn's owner", &|cluster| {
        cluster.copy("2", "db").role = VolumeRole::Owned { epoch: Epoch(1) };
        cluster.copy("1", "db").role = VolumeRole::Replica {
            owner: flocker_model::NodeId(uuid::Uuid::from_u128(3)),
            epoch: Epoch(3),
            handoff: None,
        };
    });
    let cluster = owner_came_back();
    refuse(
        "an older turn's owner beside the later one",
        &cluster,
        ("3", 0),
    );
    assert_snapshot!(refusals.join("\n\n"));
}

#[test]
fn a_hand_off_that_only_has_to_be_finished_is_no_loss() {
    let mut cluster = Cluster::running(3, &on("1"));
    let made = cluster.plan(&on("2"));
    cluster.begin_until(&made, |action| {
        matches!(action, flocker_plan::Action::ReleaseVolume { .. })
    });
    assert_snapshot!(promote(&cluster, "1", 0).unwrap_err());
}

#[test]
fn what_was_handed_off_and_lost_is_promoted_where_it_was() {
    let mut cluster = Cluster::running(3, &on("1"));
    cluster.write();
    let made = cluster.plan(&on("2"));
    cluster.begin_until(&made, |action| {
        matches!(action, flocker_plan::Action::ReleaseVolume { .. })
    });
    cluster.machine("2").volumes.clear();
    assert_snapshot!("the_hand_off_is_lost", obstacles(&cluster.plan(&on("2"))));
    let since = taken(&mut cluster, "1");
    let plan = promote(&cluster, "1", since).unwrap();
    cluster.finish(&plan);
    cluster.deploy(&on("2"));
}

/// What a node says that finds this out when it is to acquire the volume is to set its copy aside.
#[test]
fn what_was_changed_after_it_was_handed_off_is_set_aside() {
    let mut cluster = Cluster::running(3, &on("1"));
    cluster.write();
    let made = cluster.plan(&on("2"));
    cluster.begin_until(&made, |action| {
        matches!(action, Action::ReleaseVolume { .. })
    });
    let copy = cluster.copy("2", "db");
    copy.written = ByteCount::mebibytes(3);
    // Another program took one of that, too.
    copy.newest_snapshot = Some(SnapshotGuid(99));
    let since = taken(&mut cluster, "1");
    let told = "`flocker-cluster volume promote db --on 1.1.1.1 --accept-loss-since ";
    assert!(obstacles(&cluster.plan(&on("2"))).contains(told));
    let aside = set_aside(&cluster, "2").unwrap();
    cluster.finish(&aside);
    assert!(obstacles(&cluster.plan(&on("2"))).contains(told));
    let promotion = promote(&cluster, "1", since).unwrap();
    cluster.finish(&promotion);
    cluster.deploy(&on("2"));
}

#[test]
fn setting_aside_that_is_refused() {
    let mut refusals = Vec::new();
    let mut refuse = |what: &str, cluster: &Cluster, node: &str| {
        let refusal = set_aside(cluster, node).unwrap_err();
        refusals.push(format!("{what}\n{refusal}"));
    };
    let mut cluster = moved_twice();
    refuse("the only owner", &cluster, "3");
    cluster.lose("1");
    refuse("the only owner in sight", &cluster, "3");
    refuse("a node that is not there", &cluster, "1");

    let mut cluster = moved_twice();
    cluster.lose("3");
    refuse("the newest replica, without an owner", &cluster, "2");

    let mut cluster = owner_came_back();
    let alone = deployment(&[("db", database())], &[("1", &[]), ("2", &["db"])]);
    let stale = cluster.observed.nodes[&node_name("3")].clone();
    cluster.lose("3");
    cluster.finish(&cluster.plan(&alone));
    cluster.observed.nodes.insert(node_name("3"), stale);
    refuse("the later owner, which runs", &cluster, "2");
    cluster.write();
    cluster.copy("1", "db").role = VolumeRole::Replica {
        owner: cluster.machine("2").id,
        epoch: Epoch(1_003),
        handoff: None,
    };
    cluster.lose("2");
    refuse("all that knows of the later owner", &cluster, "1");

    let mut cluster = moved_twice();
    cluster.copy("3", "db").role = VolumeRole::Foreign {
        problem: "was not made by Flocker".to_owned(),
    };
    refuse(
        "damaged properties below a running application",
        &cluster,
        "3",
    );
    cluster.reboot("3");
    cluster.copy("3", "db").mounted = Some("/mnt".to_owned());
    refuse("a foreign dataset that is mounted", &cluster, "3");
    cluster.machine("3").pool.health = read_only();
    refuse("a pool that is read-only", &cluster, "3");
    cluster.lose_pool("3", PoolProblem::Suspended);
    refuse("a suspended pool", &cluster, "3");
    assert_snapshot!(refusals.join("\n\n"));
}

#[test]
fn what_stands_in_the_way_of_a_move_is_set_aside() {
    let in_the_way: [(&str, Damage<'_>); 4] = [
        ("written to", &|cluster| {
            cluster.copy("1", "db").written = ByteCount::mebibytes(3);
        }),
        ("mounted and written to", &|cluster| {
            cluster.copy("1", "db").written = ByteCount::mebibytes(3);
            cluster.copy("1", "db").mounted = Some("/flocker/db".to_owned());
        }),
        ("nothing in common", &|cluster| {
            let other = SnapshotState {
                name: "other".to_owned(),
                created: 1,
            };
            let copy = cluster.copy("1", "db");
            copy.snapshots = [(SnapshotGuid(77), other)].into();
            copy.newest_snapshot = Some(SnapshotGuid(77));
        }),
        ("foreign", &|cluster| {
            cluster.copy("1", "db").role = VolumeRole::Foreign {
                problem: "was not made by Flocker".to_owned(),
            };
        }),
    ];
    let mut shown = Vec::new();
    for (what, change) in in_the_way {
        let mut cluster = moved_twice();
        change(&mut cluster);
        let blocked = obstacles(&cluster.plan(&on("1")));
        let plan = set_aside(&cluster, "1").unwrap();
        shown.push(format!("{what}\n{blocked}\n{}", show(&plan)));
        cluster.finish(&plan);
        cluster.deploy(&on("1"));
    }
    assert_snapshot!(shown.join("\n\n"));
}

/// The application may run on that node as well, without the volume that it gets only now.
#[test]
fn an_application_that_runs_without_its_volume_is_not_on_a_foreign_dataset() {
    let mut without = database();
    without.volume = None;
    let on = |node, application| {
        deployment(
            &[("db", application)],
            &[("1", &[]), ("2", &[]), (node, &["db"])],
        )
    };
    let mut cluster = Cluster::running(2, &on("1", database()));
    cluster.deploy(&deployment(&[], &[("1", &[]), ("2", &[])]));
    cluster.deploy(&on("2", without));
    let moving = cluster.plan(&on("2", database()));
    cluster.begin_until(&moving, |action| {
        matches!(action, Action::ReleaseVolume { .. })
    });
    cluster.copy("2", "db").role = VolumeRole::Foreign {
        problem: "was not made by Flocker".to_owned(),
    };
    let aside = set_aside(&cluster, "2").unwrap();
    assert_snapshot!(
        "what_stands_in_the_way_below_a_running_application",
        show(&aside)
    );
    cluster.finish(&aside);
    let promotion = promote(&cluster, "1", 0).unwrap();
    cluster.finish(&promotion);
    cluster.deploy(&on("2", database()));
}

#[test]
fn two_owners_of_one_epoch_are_left_to_the_operator() {
    let mut cluster = moved_twice();
    cluster.copy("1", "db").role = VolumeRole::Owned { epoch: Epoch(3) };
    assert_snapshot!(obstacles(&cluster.plan(&on("3"))));
    let plan = set_aside(&cluster, "1").unwrap();
    cluster.finish(&plan);
    assert!(cluster.plan(&on("3")).blocked.is_empty());
}

#[test]
fn a_stale_owner_does_not_start_at_boot_when_a_peer_tells() {
    let mut cluster = owner_came_back();
    cluster.reboot("3");
    let starts = cluster.plan_restore("3");
    assert!(starts.blocked.is_empty(), "nobody was asked: {starts}");
    let later = CopyClaim {
        owner: cluster.machine("2").id,
        epoch: Epoch(1_003),
        newest: Vec::new(),
    };
    let told = [(name("db"), later.clone())].into();
    cluster.observed.claims.insert(node_name("1"), told);
    let plan = cluster.plan_restore("3");
    assert_snapshot!(show(&plan));

    // What a peer knows of this owner or an earlier one is no reason.
    let known = CopyClaim {
        owner: cluster.machine("3").id,
        epoch: Epoch(3),
        newest: Vec::new(),
    };
    let told = [(name("db"), known)].into();
    cluster.observed.claims.insert(node_name("1"), told);
    assert!(cluster.plan_restore("3").blocked.is_empty());
}

#[test]
fn a_volume_does_not_start_while_a_peer_is_not_understood() {
    let mut cluster = moved_twice();
    cluster.reboot("3");
    let reason = "the other side sent something that is not a message of this protocol".to_owned();
    let not_understood = &mut cluster.observed.not_understood;
    not_understood.insert(node_name("1"), reason);
    assert_snapshot!(show(&cluster.plan_restore("3")));
    cluster.observed.not_understood.clear();
    assert!(cluster.plan_restore("3").blocked.is_empty());
}

/// The owner's machine got a new system and with it a new identity: its volume looks like a replica.
#[test]
fn a_copy_with_unsent_writes_blocks_promotion_elsewhere() {
    let mut cluster = moved_twice();
    let owner = cluster.machine("3").id;
    cluster.reboot("3");
    cluster.machine("3").id = flocker_model::NodeId(uuid::Uuid::from_u128(33));
    let copy = cluster.copy("3", "db");
    copy.role = VolumeRole::Replica {
        owner,
        epoch: Epoch(3),
        handoff: None,
    };
    assert!(copy.written > ByteCount::ZERO, "{copy:?}");
    let elsewhere = promote(&cluster, "2", 0).unwrap_err();
    let there = promote(&cluster, "3", 0).unwrap_err();
    assert_snapshot!(format!("{elsewhere}\n\n{there}"));

    // The operator gives up what was written there; it is kept.
    let aside = set_aside(&cluster, "3").unwrap();
    cluster.finish(&aside);
    let promotion = promote(&cluster, "2", 0).unwrap();
    cluster.finish(&promotion);
}

/// A node came back from a backup: a replica has what the owner sent since.
#[test]
fn a_volume_older_than_its_replica_waits_for_the_operator() {
    let mut cluster = moved_twice();
    let sent = SnapshotState {
        name: "flocker-3-000017".to_owned(),
        created: 3,
    };
    let owner = cluster.machine("3").id;
    let replica = cluster.copy("2", "db");
    replica.role = VolumeRole::Replica {
        owner,
        epoch: Epoch(3),
        handoff: None,
    };
    replica.snapshots.insert(SnapshotGuid(17), sent);
    replica.newest_snapshot = Some(SnapshotGuid(17));
    cluster.reboot("3");
    assert_snapshot!(obstacles(&cluster.plan(&on("3"))));
    let mut go_on_with_older = cluster.clone();
    let aside = set_aside(&go_on_with_older, "2").unwrap();
    go_on_with_older.finish(&aside);
    assert!(go_on_with_older.plan(&on("3")).blocked.is_empty());
    let aside = set_aside(&cluster, "3").unwrap();
    cluster.finish(&aside);
    let promotion = promote(&cluster, "2", 0).unwrap();
    cluster.finish(&promotion);
    cluster.deploy(&on("3"));
}

#[test]
fn a_boot_does_not_start_an_older_volume_than_a_peer_has() {
    let mut cluster = moved_twice();
    cluster.reboot("3");
    let claim = |newest| CopyClaim {
        owner: flocker_model::NodeId(uuid::Uuid::from_u128(3)),
        epoch: Epoch(3),
        newest,
    };
    for (newest, starts) in [(vec![], true), (vec![2, 99], true), (vec![3, 17], false)] {
        let told = [(name("db"), claim(newest))].into();
        cluster.observed.claims.insert(node_name("1"), told);
        let plan = cluster.plan_restore("3");
        assert_eq!(plan.blocked.is_empty(), starts, "{plan}");
    }
    cluster.observed.claims.clear();
    cluster.observed.twins.insert([1, 1, 1, 3].into());
    assert_snapshot!(show(&cluster.plan_restore("3")));
}
