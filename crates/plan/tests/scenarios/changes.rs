//! Changes of configuration.

use flocker_model::{ByteCount, ContainerStatus, Health, RestartPolicy, UnitState};
use flocker_plan::OutcomeKind;
use insta::assert_snapshot;

use crate::cluster::{
    Cluster, application, database, deployment, name, port, show, web, with_link, with_route,
    with_volume,
};

#[test]
fn a_changed_image_recreates() {
    let mut changed = database();
    changed.image = name("postgres:18");
    let mut cluster = Cluster::running(1, &deployment(&[("db", database())], &[("1", &["db"])]));
    let after = deployment(&[("db", changed)], &[("1", &["db"])]);
    assert_snapshot!(cluster.deploy(&after));
}

#[test]
fn a_changed_environment_recreates() {
    let mut changed = database();
    changed.environment.insert("A".to_owned(), "1".into());
    let mut cluster = Cluster::running(1, &deployment(&[("db", database())], &[("1", &["db"])]));
    let after = deployment(&[("db", changed)], &[("1", &["db"])]);
    assert_snapshot!(cluster.deploy(&after));
}

#[test]
fn a_new_link_recreates() {
    let place: &[(&str, &[&str])] = &[("1", &["db", "web"])];
    let before = deployment(&[("db", database()), ("web", web())], place);
    let linked = with_link(web(), "db", 5432);
    let after = deployment(&[("db", database()), ("web", linked)], place);
    let mut cluster = Cluster::running(1, &before);
    assert_snapshot!(cluster.deploy(&after));
}

#[test]
fn a_changed_route_touches_no_container() {
    let before = deployment(&[("db", database())], &[("1", &["db"]), ("2", &[])]);
    let mut changed = database();
    changed.routes = [(port(5433).into(), port(5432).into())].into();
    let after = deployment(&[("db", changed)], &[("1", &["db"]), ("2", &[])]);
    let mut cluster = Cluster::running(2, &before);
    assert_snapshot!(cluster.deploy(&after));
}

#[test]
fn a_route_is_taken_away() {
    let place: &[(&str, &[&str])] = &[("1", &["db", "web"]), ("2", &[])];
    let before = deployment(&[("db", database()), ("web", web())], place);
    let mut without = database();
    without.routes.clear();
    let after = deployment(&[("db", without), ("web", web())], place);
    let mut cluster = Cluster::running(2, &before);
    assert_snapshot!(cluster.deploy(&after));
}

#[test]
fn two_applications_exchange_their_ports() {
    let of = |a, b| {
        let on = |number| with_route(application("nginx"), number);
        deployment(&[("a", on(a)), ("b", on(b))], &[("1", &["a", "b"])])
    };
    let mut cluster = Cluster::running(1, &of(80, 81));
    assert_snapshot!(cluster.deploy(&of(81, 80)));
}

#[test]
fn a_successor_answers_before_its_predecessor_stops() {
    let mut cluster = Cluster::running(1, &deployment(&[("blue", web())], &[("1", &["blue"])]));
    let after = deployment(&[("green", web())], &[("1", &["green"])]);
    assert_snapshot!(cluster.deploy(&after));
}

#[test]
fn a_maximum_size_changes_in_place() {
    let mut limited = database();
    if let Some(volume) = &mut limited.volume {
        volume.maximum_size = Some(ByteCount::mebibytes(64));
    }
    let mut cluster = Cluster::running(1, &deployment(&[("db", database())], &[("1", &["db"])]));
    let after = deployment(&[("db", limited)], &[("1", &["db"])]);
    assert_snapshot!(cluster.deploy(&after));
    cluster.copy("1", "db").referenced = ByteCount::mebibytes(32);
    let mut smaller = database();
    if let Some(volume) = &mut smaller.volume {
        volume.maximum_size = Some(ByteCount::mebibytes(16));
    }
    let refused = cluster.plan(&deployment(&[("db", smaller)], &[("1", &["db"])]));
    assert_snapshot!("a_maximum_size_below_what_is_there", show(&refused));
}

#[test]
fn a_limit_goes_with_the_volume() {
    let mut limited = database();
    if let Some(volume) = &mut limited.volume {
        volume.maximum_size = Some(ByteCount::mebibytes(64));
    }
    let on = |node| {
        let applications = [("db", limited.clone())];
        deployment(&applications, &[("1", &[]), ("2", &[]), (node, &["db"])])
    };
    let mut cluster = Cluster::running(2, &on("1"));
    cluster.deploy(&on("2"));
    assert_snapshot!(cluster.deploy(&on("1")));
}

#[test]
fn a_removed_application_keeps_its_volume_and_finds_it_on_another_node() {
    let applications = [("db", database())];
    let mut cluster =
        Cluster::running(2, &deployment(&applications, &[("1", &["db"]), ("2", &[])]));
    let without = deployment(&[], &[("1", &[]), ("2", &[])]);
    assert_snapshot!("a_removed_application", cluster.deploy(&without));
    let again = deployment(&applications, &[("1", &[]), ("2", &["db"])]);
    assert_snapshot!("an_application_added_again", cluster.deploy(&again));
}

#[test]
fn a_volume_is_taken_out_of_the_configuration_and_put_back() {
    let on = |application| deployment(&[("db", application)], &[("1", &["db"])]);
    let mut without = database();
    without.volume = None;
    let mut cluster = Cluster::running(1, &on(database()));
    // Otherwise it would lose sight of its data by a slip.
    assert!(!cluster.plan(&on(without.clone())).blocked.is_empty());
    cluster.deploy(&deployment(&[], &[("1", &[])]));
    assert_snapshot!("a_volume_is_taken_out", cluster.deploy(&on(without)));
    assert_snapshot!("a_volume_is_put_back", cluster.deploy(&on(database())));
}

/// Nothing else is done, and nothing is called changed: what has not passed yet is waited for, and
/// what does not pass is an error of every deploy.
#[test]
fn what_fails_its_health_check_is_not_as_wanted() {
    let wanted = deployment(&[("web", web())], &[("1", &["web"])]);
    let mut cluster = Cluster::running(1, &wanted);
    let mut plan_with = |now: Health| {
        if let Some(container) = cluster.machine("1").containers.get_mut(&name("web"))
            && let ContainerStatus::Running { health, .. } = &mut container.status
        {
            *health = now;
        }
        cluster.plan(&wanted)
    };
    for fine in [Health::Unchecked, Health::Healthy] {
        assert!(plan_with(fine).is_empty());
    }
    for ill in [Health::Starting, Health::Unhealthy] {
        let plan = plan_with(ill);
        assert_eq!(plan.outcomes[&name("web")].kind, OutcomeKind::Unchanged);
        assert_snapshot!("a_health_check_is_awaited", show(&plan));
    }
}

#[test]
fn what_ended_by_itself_is_not_started_again() {
    let mut job = with_volume(application("job"));
    job.restart = RestartPolicy::OnFailure;
    let wanted = deployment(&[("job", job)], &[("1", &["job"])]);
    let mut cluster = Cluster::running(1, &wanted);
    let end = |cluster: &mut Cluster, exit_code, unit| {
        if let Some(container) = cluster.machine("1").containers.get_mut(&name("job")) {
            container.status = ContainerStatus::Stopped { exit_code };
            container.unit = unit;
        }
    };
    end(&mut cluster, 0, UnitState::Inactive);
    assert!(cluster.plan(&wanted).is_empty());
    end(&mut cluster, 1, UnitState::Failed);
    assert_snapshot!("what_failed", show(&cluster.plan(&wanted)));
    // Stopped by Flocker: no unit is left.
    end(&mut cluster, 0, UnitState::Missing);
    assert!(!cluster.plan(&wanted).is_empty());
}
