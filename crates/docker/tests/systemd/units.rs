//! What systemd makes of our units.

use flocker_docker::{Change, UnitError, UnitSpecification, Units, unit_name};
use flocker_model::{RestartPolicy, UnitState};
use futures_util::StreamExt as _;
use tokio::sync::{Mutex, MutexGuard};
use zbus_systemd::systemd1::ManagerProxy;
use zbus_systemd::zbus::{Connection, connection};

use crate::machine::{Machine, PATIENCE, event_count, events_of, machine, wait_for_event};

/// One test at a time: some of them restart Docker for all.
static ONE: Mutex<()> = Mutex::const_new(());

struct Bench {
    machine: &'static Machine,
    units: Units,
    bus: Connection,
    _one: MutexGuard<'static, ()>,
}

async fn bench() -> Option<Bench> {
    let machine = machine()?;
    let one = ONE.lock().await;
    let settings = machine.settings();
    let address = settings.bus.clone().unwrap();
    let bus = connection::Builder::address(address.as_str())
        .build()
        .await
        .unwrap();
    ManagerProxy::new(&bus)
        .await
        .unwrap()
        .subscribe()
        .await
        .unwrap();
    Some(Bench {
        machine,
        units: Units::connect(settings).await.unwrap(),
        bus,
        _one: one,
    })
}

impl Bench {
    async fn up(&self, name: &str, restart: RestartPolicy) -> UnitSpecification {
        let (unit, started) = self.try_up(name, restart).await;
        started.unwrap();
        unit
    }

    /// Starts an application that ends at once with a status.
    async fn up_briefly(
        &self,
        name: &str,
        restart: RestartPolicy,
        status: i32,
    ) -> UnitSpecification {
        self.machine.end_with(&name.parse().unwrap(), status);
        let (unit, started) = self.try_up(name, restart).await;
        // On a busy machine systemd may hear of the end before it has looked at the start, and
        // then calls the start itself a failure.
        if let Err(error) = started {
            let UnitError::Failed { failure, .. } = &error else {
                panic!("{error:?}");
            };
            assert_eq!(failure.exit_status, status, "{error:?}");
        }
        unit
    }

    async fn try_up(
        &self,
        name: &str,
        restart: RestartPolicy,
    ) -> (UnitSpecification, Result<(), UnitError>) {
        let unit = self.machine.unit(name, restart);
        self.units
            .ensure_units(std::slice::from_ref(&unit))
            .await
            .unwrap();
        let from = event_count();
        let started = self.units.start(&unit.application, PATIENCE).await;
        self.started(&unit, from).await;
        (unit, started)
    }

    /// Waits for a start of the unit; returns the number of the event after it.
    async fn started(&self, unit: &UnitSpecification, from: usize) -> usize {
        let event = format!("flocker-{} start", unit.application);
        tokio::task::spawn_blocking(move || wait_for_event(from, &event))
            .await
            .unwrap()
    }

    async fn state(&self, unit: &UnitSpecification) -> UnitState {
        let states = self.units.observe().await.unwrap();
        states
            .get(&unit.application)
            .copied()
            .unwrap_or(UnitState::Missing)
    }

    /// Waits until the unit is in a state.
    async fn wait_for_state(&self, unit: &UnitSpecification, state: UnitState) {
        let path = ManagerProxy::new(&self.bus)
            .await
            .unwrap()
            .load_unit(unit_name(&unit.application))
            .await
            .unwrap();
        let proxy = zbus_systemd::systemd1::UnitProxy::new(&self.bus, path)
            .await
            .unwrap();
        let mut changes = proxy.receive_active_state_changed().await;
        let reached = async {
            while self.state(unit).await != state {
                changes.next().await;
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.unwrap();
    }

    async fn restart_docker(&self) {
        ManagerProxy::new(&self.bus)
            .await
            .unwrap()
            .restart_unit("docker.service".to_owned(), "replace".to_owned())
            .await
            .unwrap();
    }

    async fn down(&self, unit: &UnitSpecification) {
        self.units.stop(&unit.application, PATIENCE).await.unwrap();
        self.units.remove(&unit.application).await.unwrap();
        assert_eq!(self.state(unit).await, UnitState::Missing);
    }
}

#[tokio::test]
async fn a_unit_is_written_started_stopped_and_forgotten() {
    let Some(bench) = bench().await else { return };
    let unit = bench.machine.unit("whole-life", RestartPolicy::Always);
    let name = &unit.application;
    let all = [unit.clone()];
    assert_eq!(bench.state(&unit).await, UnitState::Missing);
    assert_eq!(
        bench.units.ensure_units(&all).await.unwrap(),
        Change::Changed
    );
    assert_eq!(
        bench.units.ensure_units(&all).await.unwrap(),
        Change::Unchanged
    );
    assert_eq!(bench.state(&unit).await, UnitState::Inactive);
    let from = event_count();
    bench.units.start(name, PATIENCE).await.unwrap();
    bench.started(&unit, from).await;
    assert_eq!(bench.state(&unit).await, UnitState::Active);
    bench.units.start(name, PATIENCE).await.unwrap();

    let stopped = bench.units.stop(name, PATIENCE).await.unwrap();
    assert_eq!(stopped, Change::Changed);
    let stopped = bench.units.stop(name, PATIENCE).await.unwrap();
    assert_eq!(stopped, Change::Unchanged);
    assert_eq!(bench.state(&unit).await, UnitState::Inactive);
    // The container ended well, so it is not stopped a second time.
    assert_eq!(events_of(name, from), ["prepare", "start", "stop"]);

    assert_eq!(bench.units.remove(name).await.unwrap(), Change::Changed);
    assert_eq!(bench.units.remove(name).await.unwrap(), Change::Unchanged);
    assert_eq!(bench.state(&unit).await, UnitState::Missing);
}

#[tokio::test]
async fn an_application_that_cannot_be_prepared_is_reported_and_tried_again() {
    let Some(bench) = bench().await else { return };
    let unit = bench.machine.unit("unready", RestartPolicy::Always);
    let name = &unit.application;
    bench.machine.set_ready(name, false);
    bench
        .units
        .ensure_units(std::slice::from_ref(&unit))
        .await
        .unwrap();
    let from = event_count();
    let error = bench.units.start(name, PATIENCE).await.unwrap_err();
    let UnitError::Failed { failure, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(
        (failure.job.as_str(), failure.result.as_str()),
        ("failed", "exit-code")
    );
    bench.machine.set_ready(name, true);
    bench.started(&unit, from).await;
    bench.down(&unit).await;
}

#[tokio::test]
async fn every_running_application_comes_back_when_docker_is_restarted() {
    let Some(bench) = bench().await else { return };
    let units = [
        bench.up("docker-always", RestartPolicy::Always).await,
        bench
            .up("docker-on-failure", RestartPolicy::OnFailure)
            .await,
        bench.up("docker-never", RestartPolicy::Never).await,
    ];
    let from = event_count();
    bench.restart_docker().await;
    for unit in &units {
        bench.started(unit, from).await;
        bench.wait_for_state(unit, UnitState::Active).await;
        assert_eq!(
            events_of(&unit.application, from),
            ["stop", "prepare", "start"]
        );
    }
    for unit in &units {
        bench.down(unit).await;
    }
}

#[tokio::test]
async fn an_application_that_has_ended_by_itself_stays_down_when_docker_is_restarted() {
    let Some(bench) = bench().await else { return };
    let witness = bench.up("witness", RestartPolicy::Always).await;
    let mut ended = Vec::new();
    for (name, restart, status, state) in [
        ("never-well", RestartPolicy::Never, 0, UnitState::Inactive),
        ("never-badly", RestartPolicy::Never, 5, UnitState::Failed),
        (
            "on-failure-well",
            RestartPolicy::OnFailure,
            0,
            UnitState::Inactive,
        ),
    ] {
        let unit = bench.up_briefly(name, restart, status).await;
        bench.wait_for_state(&unit, state).await;
        ended.push(unit);
    }
    let from = event_count();
    bench.restart_docker().await;
    bench.started(&witness, from).await;
    for unit in &ended {
        assert_eq!(events_of(&unit.application, from), [""; 0]);
        bench.down(unit).await;
    }
    bench.down(&witness).await;
}

/// What has status 0 and a stopped unit may have been told to end.
#[tokio::test]
async fn what_was_told_to_end_leaves_a_mark_and_what_ended_by_itself_none() {
    let Some(bench) = bench().await else { return };
    let is_marked = |unit: &UnitSpecification| unit.stop_mark.exists();
    let stopped = bench.up("told", RestartPolicy::OnFailure).await;
    let with_docker = bench.up("told-docker", RestartPolicy::OnFailure).await;
    let lost = bench.up("lost", RestartPolicy::Never).await;
    let mut ended = Vec::new();
    for (name, restart, status, state) in [
        ("done", RestartPolicy::OnFailure, 0, UnitState::Inactive),
        ("done-badly", RestartPolicy::Never, 5, UnitState::Failed),
    ] {
        let unit = bench.up_briefly(name, restart, status).await;
        bench.wait_for_state(&unit, state).await;
        ended.push(unit);
    }
    for unit in [&stopped, &with_docker, &lost].into_iter().chain(&ended) {
        assert!(!is_marked(unit), "{}", unit.application);
    }

    let name = &stopped.application;
    bench.units.stop(name, PATIENCE).await.unwrap();
    assert!(is_marked(&stopped));
    let killed = unit_name(&lost.application);
    let manager = ManagerProxy::new(&bench.bus).await.unwrap();
    let kill = manager.kill_unit(killed, "main".to_owned(), 9);
    kill.await.unwrap();
    bench.wait_for_state(&lost, UnitState::Failed).await;
    assert!(is_marked(&lost));

    let from = event_count();
    bench.restart_docker().await;
    bench.started(&with_docker, from).await;
    bench.wait_for_state(&with_docker, UnitState::Active).await;
    // Whoever prepared the start removed it.
    assert!(!is_marked(&with_docker));
    let mode = "replace".to_owned();
    let stop = manager.stop_unit("docker.service".to_owned(), mode.clone());
    stop.await.unwrap();
    bench
        .wait_for_state(&with_docker, UnitState::Inactive)
        .await;
    assert!(is_marked(&with_docker));
    for unit in &ended {
        assert!(!is_marked(unit), "{}", unit.application);
    }
    let start = manager.start_unit("docker.service".to_owned(), mode);
    start.await.unwrap();
    for unit in [stopped, with_docker, lost].iter().chain(&ended) {
        bench.down(unit).await;
    }
}

#[tokio::test]
async fn a_failure_is_forgotten_and_an_unknown_unit_has_none() {
    let Some(bench) = bench().await else { return };
    let unit = bench.up_briefly("forgiven", RestartPolicy::Never, 5).await;
    bench.wait_for_state(&unit, UnitState::Failed).await;
    let name = unit_name(&unit.application);
    bench.units.forget_failure(&name).await.unwrap();
    bench.wait_for_state(&unit, UnitState::Inactive).await;
    bench
        .units
        .forget_failure("nobody-has-this.service")
        .await
        .unwrap();
    bench.down(&unit).await;
}

#[tokio::test]
async fn an_application_that_fails_is_started_again() {
    let Some(bench) = bench().await else { return };
    for (name, restart, status) in [
        ("failing", RestartPolicy::OnFailure, 5),
        ("ending", RestartPolicy::Always, 0),
    ] {
        let from = event_count();
        let unit = bench.up_briefly(name, restart, status).await;
        let from = bench.started(&unit, from).await;
        bench.started(&unit, from).await;
        bench.down(&unit).await;
    }
}

#[tokio::test]
async fn an_application_that_has_used_up_its_restarts_stays_down() {
    let Some(bench) = bench().await else { return };
    let once: RestartPolicy = "on-failure:1".parse().unwrap();
    let from = event_count();
    let unit = bench.up_briefly("used-up", once, 5).await;
    let from = bench.started(&unit, from).await;
    bench.started(&unit, from).await;
    bench.wait_for_state(&unit, UnitState::Failed).await;
    // A deploy starts it all the same, with as many restarts as before.
    let from = event_count();
    let unit = bench.up_briefly("used-up", once, 5).await;
    let from = bench.started(&unit, from).await;
    bench.started(&unit, from).await;
    bench.wait_for_state(&unit, UnitState::Failed).await;
    bench.down(&unit).await;
}

/// Systemd counts every start; only those count that follow the application's own failure.
#[tokio::test]
async fn restarts_of_docker_use_no_restarts_of_an_application_up() {
    let Some(bench) = bench().await else { return };
    let once: RestartPolicy = "on-failure:1".parse().unwrap();
    let unit = bench.up("kept-up", once).await;
    for _ in 0..3 {
        let from = event_count();
        bench.restart_docker().await;
        bench.started(&unit, from).await;
        bench.wait_for_state(&unit, UnitState::Active).await;
    }
    // Nor does a node that is not ready for a while.
    bench.machine.set_ready(&unit.application, false);
    let from = event_count();
    bench.restart_docker().await;
    let mut next = from;
    for _ in 0..4 {
        let event = format!("flocker-{} prepare", unit.application);
        next = tokio::task::spawn_blocking(move || wait_for_event(next, &event))
            .await
            .unwrap();
    }
    bench.machine.set_ready(&unit.application, true);
    bench.started(&unit, next).await;
    bench.wait_for_state(&unit, UnitState::Active).await;
    bench.down(&unit).await;
}

#[tokio::test]
async fn a_container_whose_attached_program_dies_is_stopped_before_it_is_started_again() {
    let Some(bench) = bench().await else { return };
    let unit = bench.up("detached", RestartPolicy::Always).await;
    let from = event_count();
    ManagerProxy::new(&bench.bus)
        .await
        .unwrap()
        .kill_unit(unit_name(&unit.application), "main".to_owned(), 9)
        .await
        .unwrap();
    bench.started(&unit, from).await;
    assert_eq!(
        events_of(&unit.application, from),
        ["stop", "prepare", "start"]
    );
    bench.down(&unit).await;
}

#[tokio::test]
async fn every_running_application_comes_back_when_docker_crashes() {
    let Some(bench) = bench().await else { return };
    let units = [
        bench.up("crash-always", RestartPolicy::Always).await,
        bench.up("crash-on-failure", RestartPolicy::OnFailure).await,
        bench.up("crash-never", RestartPolicy::Never).await,
    ];
    let from = event_count();
    ManagerProxy::new(&bench.bus)
        .await
        .unwrap()
        .kill_unit("docker.service".to_owned(), "main".to_owned(), 9)
        .await
        .unwrap();
    for unit in &units {
        bench.started(unit, from).await;
        bench.wait_for_state(unit, UnitState::Active).await;
    }
    for unit in &units {
        bench.down(unit).await;
    }
}

/// The node's own unit, with a script in the place of `flocker-node restore`.
#[tokio::test]
async fn a_restore_that_waits_for_a_key_is_run_again() {
    let Some(bench) = bench().await else {
        return;
    };
    let scripts = bench
        .machine
        .unit("restore", RestartPolicy::Never)
        .node_program;
    let shared = scripts.parent().unwrap();
    let (script, key) = (shared.join("restore"), shared.join("key"));
    let text = format!(
        "if [ -e {key} ]; then echo restored; else echo waits; false; fi >{events} || exit 7\n",
        key = key.display(),
        events = shared.join("events").display()
    );
    std::fs::write(&script, text).unwrap();
    let unit = include_str!("../../../node/packaging/flocker.service")
        .replace(
            "/usr/bin/flocker-node restore",
            &format!("/bin/sh {}", script.display()),
        )
        .replace("ConditionPathExists=/etc/flocker/node.toml\n", "");
    let directory = bench.machine.settings().directory;
    std::fs::write(directory.join("flocker.service"), unit).unwrap();

    let begun = event_count();
    let manager = ManagerProxy::new(&bench.bus).await.unwrap();
    manager.reload().await.unwrap();
    let name = "flocker.service".to_owned();
    manager
        .start_unit(name, "replace".to_owned())
        .await
        .unwrap();
    let once = wait_for_event(begun, "waits");
    let twice = wait_for_event(once, "waits");
    std::fs::write(key, "").unwrap();
    wait_for_event(twice, "restored");
}
