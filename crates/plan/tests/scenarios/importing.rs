//! Data from outside becomes a volume, and volumes are taken out.

use flocker_model::{
    ContainerStatus, ImportContent, ImportPart, Obstacle, Obstruction, PoolProblem, VolumeRole,
};
use flocker_plan::{Exporting, Importing, Plan, check, plan_exporting, plan_importing};
use insta::assert_snapshot;

use crate::cluster::{Cluster, database, deployment, name, node_name, show};

fn content(sources: &[&str]) -> ImportContent {
    let parts: Result<Vec<ImportPart>, _> = sources.iter().map(|text| text.parse()).collect();
    let content = parts.and_then(ImportContent::try_from);
    content.unwrap_or_else(|error| panic!("{error}"))
}

/// Plans an import, or says why not as the operator reads it.
fn import(cluster: &Cluster, node: &str, sources: &[&str]) -> Result<Plan, String> {
    let importing = Importing {
        application: name("db"),
        node: node_name(node),
        content: content(sources),
    };
    match plan_importing(&importing, &cluster.observed) {
        Ok(plan) => {
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
    let again = import(&cluster, "1", &["docker-volume:db_data"]).unwrap();
    assert!(again.is_empty(), "{again}");
    let line = again.outcomes[&name("db")].line(&name("db"));
    assert_snapshot!(line, @"docker-volume:db_data was imported as the volume of `db` on 1.1.1.1 before; nothing was copied again.");

    cluster.operator_has("postgres");
    let moved = cluster.plan(&on("2"));
    assert!(moved.blocked.is_empty(), "{moved}");
    assert_snapshot!("a_deploy_after_an_import", show(&moved));
    cluster.finish(&moved);
    let role = cluster.copy("2", "db").role.clone();
    assert!(matches!(role, VolumeRole::Owned { .. }), "{role:?}");
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
