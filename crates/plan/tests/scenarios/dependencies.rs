//! Applications that start after others.

use flocker_model::{
    Application, CheckSettings, ContainerStatus, DependencyCondition, Deployment, Health,
    HealthCheck, Observed, RestartPolicy, UnitState,
};
use flocker_plan::{Action, Goal, OutcomeKind, Plan, Scope, check_starts, plan};
use insta::assert_snapshot;

use crate::cluster::{Cluster, application, database, deployment, name, show, web, with_link};

use DependencyCondition::{Completed, Healthy, Started};

/// The same with a dependency.
fn after(mut application: Application, on: &str, condition: DependencyCondition) -> Application {
    application.depends_on.insert(name(on), condition);
    application
}

/// The same with a health check of the configuration's.
fn checked(mut application: Application) -> Application {
    application.health_check = Some(HealthCheck::Enabled(CheckSettings::default()));
    application
}

/// Something that is done once.
fn job() -> Application {
    let mut job = application("migrate");
    job.restart = RestartPolicy::Never;
    job
}

/// A web server that waits for its database to be so.
fn site(condition: DependencyCondition, on: [&str; 2]) -> Deployment {
    let web = after(with_link(web(), "db", 5432), "db", condition);
    let applications = [("db", database()), ("web", web)];
    deployment(
        &applications,
        &[("1", &[]), ("2", &[]), (on[0], &["db"]), (on[1], &["web"])],
    )
}

/// The same with both on one node.
fn site_on(condition: DependencyCondition, node: &str) -> Deployment {
    let web = after(with_link(web(), "db", 5432), "db", condition);
    let applications = [("db", database()), ("web", web)];
    deployment(
        &applications,
        &[("1", &[]), ("2", &[]), (node, &["db", "web"])],
    )
}

/// Sets how an application is that was started.
fn set(cluster: &mut Cluster, node: &str, application: &str, to: (ContainerStatus, UnitState)) {
    if let Some(container) = cluster.machine(node).containers.get_mut(&name(application)) {
        (container.status, container.unit) = to;
    }
}

fn running(health: Health) -> (ContainerStatus, UnitState) {
    let since = "2014-08-01T00:00:00Z".to_owned();
    (
        ContainerStatus::Running { since, health },
        UnitState::Active,
    )
}

fn ended(exit_code: i64) -> (ContainerStatus, UnitState) {
    let unit = if exit_code == 0 {
        UnitState::Inactive
    } else {
        UnitState::Failed
    };
    (ContainerStatus::Stopped { exit_code }, unit)
}

/// Lists what a plan does to an application, in a word for each step.
fn kinds<'p>(made: &'p Plan, application: &str) -> Vec<&'p str> {
    let steps = made.steps().iter();
    let own = steps.filter(|step| step.action.application() == Some(&name(application)));
    own.map(|step| step.action.kind()).collect()
}

#[test]
fn a_start_waits_for_its_dependency_on_another_node() {
    let mut cluster = Cluster::new(2);
    assert_snapshot!(cluster.deploy(&site(Started, ["2", "1"])));
}

#[test]
fn a_start_waits_for_the_health_of_its_dependency() {
    let mut cluster = Cluster::new(2);
    assert_snapshot!(cluster.deploy(&site(Healthy, ["2", "1"])));
}

#[test]
fn a_start_waits_for_the_end_of_a_job() {
    let web = after(web(), "job", Completed);
    let wanted = deployment(
        &[
            ("job", after(job(), "db", Healthy)),
            ("db", database()),
            ("web", web),
        ],
        &[("1", &["job", "web"]), ("2", &["db"])],
    );
    let mut cluster = Cluster::new(2);
    assert_snapshot!(cluster.deploy(&wanted));
}

#[test]
fn what_runs_and_is_healthy_is_not_waited_for() {
    let wanted = site(Healthy, ["2", "1"]);
    let mut cluster = Cluster::running(2, &wanted);
    set(&mut cluster, "2", "db", running(Health::Healthy));
    set(&mut cluster, "1", "web", ended(1));
    let made = cluster.plan(&wanted);
    assert_eq!(kinds(&made, "db"), [""; 0], "{made}");
    assert_eq!(kinds(&made, "web"), ["start-application"], "{made}");
    // It was restarted by hand, and its check has not passed since.
    set(&mut cluster, "2", "db", running(Health::Starting));
    let made = cluster.plan(&wanted);
    assert_eq!(kinds(&made, "db"), ["await-health"], "{made}");
    let start = made
        .steps()
        .iter()
        .find(|step| step.action.kind() == "start-application");
    assert_eq!(start.unwrap().after.len(), 1, "{made}");
}

/// The links lead to the new place, and the dependent has to reconnect.
#[test]
fn a_dependent_stays_up_while_its_dependency_moves() {
    let cluster = Cluster::running(2, &site_on(Healthy, "1"));
    let made = cluster.plan(&site(Healthy, ["2", "1"]));
    assert_eq!(
        made.outcomes[&name("web")].kind,
        OutcomeKind::Unchanged,
        "{made}"
    );
    assert_eq!(kinds(&made, "web"), [""; 0], "{made}");
}

/// The dependent is moved last, so that nothing of the other's move is a part of its own pause.
#[test]
fn a_dependent_moves_once_its_dependency_has() {
    let mut cluster = Cluster::running(2, &site_on(Healthy, "1"));
    assert_snapshot!(cluster.deploy(&site_on(Healthy, "2")));
}

#[test]
fn dependents_are_stopped_first() {
    let mut cluster = Cluster::running(2, &site(Started, ["1", "2"]));
    // Not in the configuration any more: the nodes remember.
    assert_snapshot!(cluster.deploy(&deployment(&[], &[("1", &[]), ("2", &[])])));
}

#[test]
fn a_job_that_is_done_is_not_done_again() {
    let web = after(web(), "job", Completed);
    let on = |job: Application| {
        let applications = [("job", job), ("web", web.clone())];
        deployment(&applications, &[("1", &["job", "web"])])
    };
    let mut cluster = Cluster::running(1, &on(job()));
    assert!(cluster.plan(&on(job())).is_empty());
    set(&mut cluster, "1", "web", ended(0));
    let made = cluster.plan(&on(job()));
    assert_eq!(kinds(&made, "job"), [""; 0], "{made}");
    // One that failed is tried again; one that nobody waits for is not.
    set(&mut cluster, "1", "job", ended(1));
    let made = cluster.plan(&on(job()));
    assert_eq!(
        kinds(&made, "job"),
        ["start-application", "await-completion"],
        "{made}"
    );
    let alone = deployment(&[("job", job())], &[("1", &["job"])]);
    assert_eq!(kinds(&cluster.plan(&alone), "job"), [""; 0]);
    // A changed one, too.
    set(&mut cluster, "1", "job", ended(0));
    let mut changed = job();
    changed.image = name("migrate:2");
    let made = cluster.plan(&on(changed));
    assert!(kinds(&made, "job").contains(&"await-completion"), "{made}");
}

#[test]
fn a_configured_check_is_a_part_of_being_deployed() {
    let wanted = deployment(
        &[("db", checked(database()))],
        &[("1", &["db"]), ("2", &[])],
    );
    let mut cluster = Cluster::new(2);
    let made = cluster.plan(&wanted);
    let step = made
        .steps()
        .iter()
        .find(|step| matches!(step.action, Action::AwaitHealth { .. }));
    let outcome = &made.outcomes[&name("db")];
    assert!(outcome.done_after.contains(&step.unwrap().id), "{made}");
    // It is seen to stay up once, and its ports do not wait for that.
    let goal = Goal::new(&wanted, Scope::Cluster);
    assert!(made.settling(&goal, &cluster.observed).is_empty());
    let routed = made
        .steps()
        .iter()
        .filter(|step| step.action.kind() == "switch-routes");
    for route in routed {
        assert!(!route.after.contains(&step.unwrap().id), "{made}");
    }
    cluster.deploy(&wanted);
    let moved = deployment(
        &[("db", checked(database()))],
        &[("1", &[]), ("2", &["db"])],
    );
    assert_snapshot!(show(&cluster.plan(&moved)));
}

/// What is placed nowhere was allowed to be so by `required: false`.
#[test]
fn what_is_not_placed_is_not_waited_for() {
    let mut wanted = site(Healthy, ["2", "1"]);
    wanted
        .nodes
        .insert(crate::cluster::node_name("2"), [].into());
    let mut cluster = Cluster::new(2);
    cluster.deploy(&wanted);
}

#[test]
fn one_node_alone_does_not_wait_for_others() {
    let wanted = site(Healthy, ["2", "1"]);
    let cluster = Cluster::new(2);
    let made = cluster.plan_alone(&wanted, "1");
    assert_eq!(kinds(&made, "db"), [""; 0], "{made}");
}

#[test]
fn a_boot_starts_dependencies_first_and_does_not_wait_for_them() {
    // By name, and by its link, it would come first.
    let first = after(application("app"), "db", Healthy);
    let db = with_link(database(), "app", 80);
    let wanted = deployment(&[("app", first), ("db", db)], &[("1", &["app", "db"])]);
    let mut cluster = Cluster::running(1, &wanted);
    cluster.reboot("1");
    assert_snapshot!(show(&cluster.plan_restore("1")));
}

/// The rules are stated apart from the planner: they find a plan that was made without dependencies.
#[test]
fn starts_out_of_order_are_found() {
    let observed: Observed = Cluster::new(2).observed;
    for condition in [Started, Healthy, Completed] {
        let mut wanted = site(condition, ["2", "1"]);
        if let Some(db) = wanted.applications.get_mut(&name("db")) {
            db.restart = RestartPolicy::Never;
        }
        let mut without = wanted.clone();
        for application in without.applications.values_mut() {
            application.depends_on.clear();
            // Neither does a link have it wait.
            application.links.clear();
        }
        let goal = Goal::new(&without, Scope::Cluster);
        let made = plan(&goal, &observed);
        let found = check_starts(&made, (&wanted, &observed));
        assert_eq!(found.len(), 1, "{found:?}\n{made}");
    }
}
