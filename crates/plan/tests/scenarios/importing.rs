//! Data from outside becomes a volume, and volumes are taken out.

use flocker_model::{
    ContainerStatus, Epoch, ImportContent, ImportPart, Obstacle, Obstruction, PoolProblem,
    SnapshotGuid, SnapshotState, VolumeRole,
};
use flocker_plan::{
    Exporting, Importing, Plan, SettingAside, check, is_imported, plan_exporting, plan_importing,
    plan_setting_aside,
};
use insta::assert_snapshot;

use crate::cluster::{Cluster, database, deployment, name, node_name, show};

/// When the operator asks.
const NOW: u64 = 1_795_402_590;

fn content(sources: &[&str]) -> ImportContent {
    let parts: Result<Vec<ImportPart>, _> = sources.iter().map(|text| text.parse()).collect();
    let content = parts.and_then(ImportContent::try_from);
    content.unwrap_or_else(|error| panic!("{error}"))
}

/// Plans an import, or says why not as the operator reads it.
fn import(cluster: &Cluster, node: &str, sources: &[&str]) -> Result<Plan, String> {
    import_without(cluster, node, (sources, &[]))
}

/// The same while the operator says that machines are lost.
fn import_without(
    cluster: &Cluster,
    node: &str,
    (sources, lost): (&[&str], &[&str]),
) -> Result<Plan, String> {
    let importing = Importing {
        application: name("db"),
        node: node_name(node),
        content: content(sources),
        lost: lost.iter().map(|node| node_name(node)).collect(),
        at: NOW,
    };
    match plan_importing(&importing, &cluster.observed) {
        Ok(plan) => {
            assert!(!is_imported(&importing, &cluster.observed));
            let mut after = cluster.clone();
            after.finish(&plan);
            assert!(is_imported(&importing, &after.observed));
            let violations = check(&plan, &cluster.observed);
            assert!(violations.is_empty(), "{violations:?}\n{plan}");
            Ok(plan)
        }
        Err(refusal) => Err(format!("error: {refusal}\n  hint: {}", refusal.hint())),
    }
}

fn refused(cluster: &Cluster) -> String {
    match import(cluster, "1", &["/srv/db"]) {
        Ok(plan) => panic!("{plan}"),
        Err(refusal) => refusal,
    }
}

/// Plans to set a copy aside, or says why not as the operator reads it.
fn set_aside(cluster: &Cluster, node: &str) -> Result<Plan, String> {
    set_copy_aside(cluster, node, false)
}

/// The same with `--only-copy`.
fn set_only_copy_aside(cluster: &Cluster, node: &str) -> Result<Plan, String> {
    set_copy_aside(cluster, node, true)
}

fn set_copy_aside(cluster: &Cluster, node: &str, only_copy: bool) -> Result<Plan, String> {
    let setting_aside = SettingAside {
        application: name("db"),
        node: node_name(node),
        only_copy,
        at: NOW,
    };
    match plan_setting_aside(&setting_aside, &cluster.observed) {
        Ok(plan) => {
            let violations = check(&plan, &cluster.observed);
            assert!(violations.is_empty(), "{violations:?}\n{plan}");
            Ok(plan)
        }
        Err(refusal) => Err(format!("error: {refusal}\n  hint: {}", refusal.hint())),
    }
}

/// A node that has imported the volume.
fn imported() -> Cluster {
    let mut cluster = Cluster::new(2);
    match import(&cluster, "1", &["stream:-"]) {
        Ok(plan) => cluster.finish(&plan),
        Err(refusal) => panic!("{refusal}"),
    }
    cluster
}

/// Plans an export, or says why not as the operator reads it.
fn export(cluster: &Cluster, node: &str) -> Result<Plan, String> {
    let exporting = Exporting {
        application: name("db"),
        node: node_name(node),
    };
    let plan = plan_exporting(&exporting, &cluster.observed);
    plan.map_err(|refusal| format!("error: {refusal}\n  hint: {}", refusal.hint()))
}

fn on(node: &str) -> flocker_model::Deployment {
    deployment(
        &[("db", database())],
        &[("1", &[]), ("2", &[]), (node, &["db"])],
    )
}

#[test]
fn an_import_makes_a_volume_that_the_next_deploy_moves_to_its_place() {
    let mut cluster = Cluster::new(2);
    let plan = import(&cluster, "1", &["docker-volume:db_data"]).unwrap();
    assert_snapshot!(show(&plan), @r"
      #0 1.1.1.1: import docker-volume:db_data as the volume of db -- the operator brings it in, and no node has a copy of it

    Imported docker-volume:db_data as the volume of `db` on 1.1.1.1.
    ");
    cluster.finish(&plan);
    cluster.operator_has("postgres");
    let moved = cluster.plan(&on("2"));
    assert!(moved.blocked.is_empty(), "{moved}");
    assert_snapshot!("a_deploy_after_an_import", show(&moved));
    cluster.finish(&moved);
    let role = cluster.copy("2", "db").role.clone();
    assert!(matches!(role, VolumeRole::Owned { .. }), "{role:?}");
}

#[test]
fn a_finished_import_is_repeated_once_its_volume_is_set_aside() {
    let mut cluster = imported();
    // A second attempt took another snapshot after the first was cut short.
    let copy = cluster.copy("1", "db");
    let later = SnapshotState {
        name: "flocker-1-000002".to_owned(),
        created: NOW,
    };
    copy.snapshots.insert(SnapshotGuid(99), later);
    copy.newest_snapshot = Some(SnapshotGuid(99));
    for (state, node) in [("an_import_again", "1"), ("an_import_on_another_node", "2")] {
        assert_snapshot!(state, import(&cluster, node, &["stream:-"]).unwrap_err());
    }
    assert_snapshot!(
        "an_import_is_set_aside",
        show(&set_aside(&cluster, "1").unwrap())
    );

    // Its application ran on it, and is not deployed any more.
    cluster.operator_has("postgres");
    cluster.deploy(&on("1"));
    cluster.write();
    cluster.deploy(&deployment(&[], &[("1", &[]), ("2", &[])]));
    assert!(import(&cluster, "1", &["stream:-"]).is_err());
    cluster.finish(&set_aside(&cluster, "1").unwrap());
    let again = import(&cluster, "1", &["stream:-"]).unwrap();
    assert_eq!(again.steps().len(), 1);
}

/// Stops a node's container of the application as `systemctl stop` does, which unmounts the volume.
fn stop_by_hand(cluster: &mut Cluster, node: &str) {
    let Some(container) = cluster.machine(node).containers.get_mut(&name("db")) else {
        panic!("there is no container");
    };
    container.status = ContainerStatus::Stopped { exit_code: 0 };
    cluster.copy(node, "db").mounted = None;
}

#[test]
fn an_import_takes_the_place_of_a_volume_that_a_deploy_made() {
    // The deploy came before the import, and the database filled its empty volume.
    let mut cluster = Cluster::running(2, &on("2"));
    cluster.write();
    assert_snapshot!("a_volume_that_a_deploy_made", refused(&cluster));
    assert_snapshot!(
        "the_only_copy_in_use",
        set_only_copy_aside(&cluster, "2").unwrap_err()
    );
    stop_by_hand(&mut cluster, "2");
    assert_snapshot!("a_volume_that_nothing_uses", refused(&cluster));
    assert!(set_aside(&cluster, "2").is_err(), "only as the only copy");
    let plan = set_only_copy_aside(&cluster, "2").unwrap();
    assert_snapshot!("the_only_copy_is_set_aside", show(&plan));
    cluster.finish(&plan);
    let again = set_only_copy_aside(&cluster, "2").unwrap();
    assert_eq!(again.steps(), [], "the second time does nothing");
    // No deploy makes another empty one meanwhile.
    assert!(!cluster.plan(&on("2")).blocked.is_empty());
    let mut anew = cluster.clone();
    anew.deploy(&deployment(&[], &[("1", &[]), ("2", &[])]));
    anew.deploy(&on("2"));
    cluster.finish(&import(&cluster, "2", &["/srv/db"]).unwrap());
    cluster.deploy(&on("2"));
    cluster.write();
    cluster.deploy(&on("1"));
}

#[test]
fn an_import_takes_the_place_of_a_volume_with_replicas() {
    let mut cluster = Cluster::running(
        3,
        &deployment(
            &[("db", database())],
            &[("1", &["db"]), ("2", &[]), ("3", &[])],
        ),
    );
    for node in ["2", "3"] {
        cluster.write();
        cluster.deploy(&deployment(
            &[("db", database())],
            &[("1", &[]), ("2", &[]), ("3", &[]), (node, &["db"])],
        ));
    }
    stop_by_hand(&mut cluster, "3");
    assert_snapshot!("a_volume_with_replicas", refused(&cluster));
    // In another order, each is the only one.
    for node in ["3", "2", "1"] {
        assert!(import(&cluster, "1", &["/srv/db"]).is_err());
        cluster.finish(&set_only_copy_aside(&cluster, node).unwrap());
    }
    import(&cluster, "1", &["/srv/db"]).unwrap();
}

#[test]
fn the_only_copy_stays_while_a_node_is_unseen() {
    let mut cluster = Cluster::running(2, &on("2"));
    stop_by_hand(&mut cluster, "2");
    let plan = set_only_copy_aside(&cluster, "2").unwrap();
    cluster.lose("1");
    assert_snapshot!(
        "the_only_owner_beside_a_lost_node",
        set_only_copy_aside(&cluster, "2").unwrap_err()
    );
    assert!(!check(&plan, &cluster.observed).is_empty());
    // The lost node is left out of the cluster.
    let alone = deployment(&[("db", database())], &[("2", &["db"])]);
    cluster.finish(&cluster.plan(&alone));
    cluster.observed.nodes.remove(&node_name("1"));
    stop_by_hand(&mut cluster, "2");
    set_only_copy_aside(&cluster, "2").unwrap();

    let mut cluster = Cluster::running(2, &on("1"));
    cluster.write();
    cluster.deploy(&on("2"));
    cluster.occupy("2");
    assert_snapshot!(
        "the_only_replica_beside_a_busy_node",
        set_only_copy_aside(&cluster, "1").unwrap_err()
    );
    cluster.lose("2");
    assert_snapshot!(
        "the_only_replica_beside_a_lost_node",
        set_only_copy_aside(&cluster, "1").unwrap_err()
    );
}

#[test]
fn the_only_volume_is_set_aside_only_as_an_unused_import() {
    type Change<'a> = &'a dyn Fn(&mut Cluster);
    let changes: [(&str, Change<'_>); 4] = [
        ("made by a deploy", &|cluster| {
            cluster.copy("1", "db").import = None;
        }),
        ("of a later epoch", &|cluster| {
            cluster.copy("1", "db").role = VolumeRole::Owned { epoch: Epoch(3) };
        }),
        ("mounted", &|cluster| {
            cluster.copy("1", "db").mounted = Some("/flocker/db".to_owned());
        }),
        ("copied to another node", &|cluster| {
            let owner = cluster.machine("1").id;
            let mut replica = cluster.copy("1", "db").clone();
            replica.role = VolumeRole::Replica {
                owner,
                epoch: Epoch::FIRST,
                handoff: None,
            };
            replica.import = None;
            cluster.machine("2").volumes.insert(name("db"), replica);
        }),
    ];
    for (what, change) in changes {
        let mut cluster = imported();
        change(&mut cluster);
        let refusal = set_aside(&cluster, "1").unwrap_err();
        assert!(
            refusal.contains("no other node owns the volume"),
            "{what}: {refusal}"
        );
    }
    let mut cluster = imported();
    cluster.operator_has("postgres");
    cluster.deploy(&on("1"));
    assert!(set_aside(&cluster, "1").is_err(), "in use");
    let container = cluster.machine("1").containers.get_mut(&name("db"));
    container.unwrap().status = ContainerStatus::Stopped { exit_code: 0 };
    cluster.copy("1", "db").mounted = None;
    assert!(set_aside(&cluster, "1").is_err(), "stopped for a while");
}

#[test]
fn an_export_is_restored_after_its_machines_are_lost() {
    let mut cluster = Cluster::running(2, &on("2"));
    cluster.occupy("2");
    let sources: &[&str] = &["stream:db.zfs"];
    let refusal = import_without(&cluster, "1", (sources, &["2"])).unwrap_err();
    assert_snapshot!("a_node_that_is_not_lost", refusal);
    let mut cluster = Cluster::running(2, &on("2"));
    let returning = cluster.observed.nodes[&node_name("2")].clone();
    cluster.lose("2");
    assert!(import(&cluster, "1", sources).is_err());
    let plan = import_without(&cluster, "1", (sources, &["2"])).unwrap();
    cluster.finish(&plan);
    let Some(epoch) = cluster.copy("1", "db").owned_epoch() else {
        panic!("no owner");
    };
    assert!(epoch > Epoch(1_000_000));
    // It may be given up, and imported anew.
    set_aside(&cluster, "1").unwrap();
    let alone = deployment(&[("db", database())], &[("1", &["db"])]);
    let deployed = cluster.plan(&alone);
    assert!(deployed.blocked.is_empty(), "{deployed}");
    // Should the lost machine come back, its copy is the one that goes.
    cluster.observed.nodes.insert(node_name("2"), returning);
    assert!(!cluster.plan(&on("2")).blocked.is_empty());
    cluster.finish(&set_aside(&cluster, "2").unwrap());
    assert!(cluster.plan(&on("1")).blocked.is_empty());
}

#[test]
fn exports_do_not_pile_up_snapshots() {
    let mut cluster = Cluster::running(2, &on("2"));
    cluster.deploy(&on("1"));
    for _ in 0..3 {
        cluster.write();
        cluster.finish(&export(&cluster, "1").unwrap());
        // What the replica ends with, and the last export.
        let kept = cluster.copy("1", "db").snapshots.len();
        assert!(kept <= 2, "{kept}");
    }
    let base = cluster.copy("2", "db").newest_own().unwrap();
    assert!(cluster.copy("1", "db").snapshots.contains_key(&base));
    cluster.lose("2");
    let unseen = export(&cluster, "1").unwrap();
    assert_eq!(unseen.steps().len(), 1, "{unseen}");
}

#[test]
fn several_sources_become_directories() {
    let cluster = Cluster::new(1);
    let sources = ["etc=/srv/etc", "data=docker-volume:git_data"];
    let plan = import(&cluster, "1", &sources).unwrap();
    assert_snapshot!(show(&plan), @r"
      #0 1.1.1.1: import data=docker-volume:git_data, etc=/srv/etc as the volume of db -- the operator brings it in, and no node has a copy of it

    Imported data=docker-volume:git_data, etc=/srv/etc as the volume of `db` on 1.1.1.1.
    ");
}

#[test]
fn nothing_is_imported_where_a_copy_is_or_may_be() {
    // The volume is on another node.
    let mut running = Cluster::running(2, &on("2"));
    assert_snapshot!("a_volume_elsewhere", refused(&running));
    // Only a replica of it is here.
    running.deploy(&on("1"));
    assert_snapshot!("a_replica_elsewhere", refused(&running));

    let mut cluster = Cluster::running(2, &deployment(&[], &[("1", &[]), ("2", &[])]));
    cluster.lose("2");
    assert_snapshot!("a_node_that_is_away", refused(&cluster));
    let mut cluster = Cluster::new(2);
    cluster.occupy("2");
    assert_snapshot!("a_node_that_is_busy", refused(&cluster));
    let mut cluster = Cluster::new(1);
    cluster.lose("1");
    assert_snapshot!("the_node_is_away", refused(&cluster));
    let mut cluster = Cluster::new(1);
    cluster.lose_pool("1", PoolProblem::Suspended);
    assert_snapshot!("the_pool_is_suspended", refused(&cluster));
}

#[test]
fn nothing_is_imported_where_something_else_is_in_the_way() {
    let mut cluster = Cluster::running(1, &deployment(&[("db", database())], &[("1", &["db"])]));
    // Its volume was destroyed, say.
    let state = cluster.machine("1");
    state.volumes.clear();
    let container = state.containers.get_mut(&name("db")).unwrap();
    container.status = ContainerStatus::Stopped { exit_code: 0 };
    assert_snapshot!("its_container_exists", refused(&cluster));

    let mut cluster = Cluster::new(1);
    let obstruction = Obstruction {
        path: "/flocker/db".to_owned(),
        by: Obstacle::Files,
    };
    cluster
        .machine("1")
        .obstructed
        .insert(name("db"), obstruction);
    assert_snapshot!("files_in_its_place", refused(&cluster));

    let mut cluster = Cluster::new(2);
    cluster.finish(&import(&cluster, "2", &["/srv/my db"]).unwrap());
    let copy = cluster.copy("2", "db");
    let problem = "is an import that is not finished".to_owned();
    copy.role = VolumeRole::Foreign { problem };
    copy.snapshots.clear();
    assert_snapshot!("another_import", refused(&cluster));
    assert_snapshot!(
        "a_deploy_beside_an_import",
        cluster.plan(&on("1")).to_string()
    );
    // The same one goes on.
    let plan = import(&cluster, "2", &["/srv/my db"]).unwrap();
    assert_snapshot!("an_import_goes_on", show(&plan));
    cluster.copy("2", "db").import = None;
    assert_snapshot!("a_foreign_dataset", refused(&cluster));
}

#[test]
fn only_the_owner_exports() {
    let mut cluster = Cluster::running(2, &on("2"));
    assert_snapshot!("the_owner_exports", show(&export(&cluster, "2").unwrap()));
    assert_snapshot!("no_copy", export(&cluster, "1").unwrap_err());
    cluster.deploy(&on("1"));
    assert_snapshot!("a_replica", export(&cluster, "2").unwrap_err());
    cluster.lose("1");
    assert_snapshot!(
        "a_replica_of_who_is_away",
        export(&cluster, "2").unwrap_err()
    );
    assert_snapshot!("the_owner_is_away", export(&cluster, "1").unwrap_err());
}
