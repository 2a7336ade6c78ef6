//! Starting and stopping applications: volume, network namespace, container, unit.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use flocker_docker::UnitSpecification;
use flocker_model::{
    ApplicationName, ContainerLinks, ContainerSpecification, ContainerStatus, Epoch,
    NetworkIdentity, RememberedApplication, RestartPolicy, StopGracePeriod, UnitState,
};
use flocker_plan::{Note, StopKind};
use flocker_remote::protocol::{Change, Progress, StepDone, StepFailure};
use tokio::time::Instant;

use crate::execute::ProgressSender;
use crate::execute::containers::{check_before_stopping, ensure_container};
use crate::execute::sharing::{mount, unmount_unused, volume_seen_by};
use crate::failure::OrFailure as _;
use crate::machine::Machine;
use crate::places::reach;
use crate::platform::{
    Containers as _, Directories as _, Ends, Platform, Routes as _, Units as _, Volumes as _,
};

/// How long systemd may take to stop an application, beyond what the application is given.
const STOP_PATIENCE: Duration = Duration::from_secs(60);
/// The signal that a process cannot handle.
const SIGKILL: u8 = 9;
/// The exit code of a container that was killed.
///
/// **Source**: Docker's documentation, `docker run`, exit status: 128 and the signal's number.
const KILLED: i64 = 137;
/// How long a start may take until the container runs.
pub(super) const START_PATIENCE: Duration = Duration::from_secs(300);
/// How long a container must run to count as started rather than as ending in a loop.
///
/// Short, because clients wait meanwhile.
const STEADY: Duration = Duration::from_millis(500);
/// Makes everything ready that an application's first instruction may rely on, in an order in
/// which nothing can be used before it is there: volume, namespace, links, container.
///
/// Run by the planner's step, and again by the unit before each start, so that a restart after a
/// crash of the application, of Docker or of the machine finds the same. `step` names the places on
/// the way.
pub(crate) async fn make_ready(
    machine: &Machine<impl Platform>,
    record: &RememberedApplication,
    (step, epoch): (&str, Option<Epoch>),
) -> Result<(), StepFailure> {
    let name = &record.specification.application;
    let mounted = match record.specification.volume_owner() {
        Some(owner) => Some(mount(machine, (owner, epoch)).await?),
        None => None,
    };
    reach(|| format!("{step}.mounted")).await;
    let identity = &record.specification.options.network;
    program_links(machine, (step, name), (identity, &record.links)).await?;
    reach(|| format!("{step}.linked")).await;
    let path = mounted.as_ref().map(AsRef::as_ref);
    ensure_container(machine, &record.specification, path).await?;
    reach(|| format!("{step}.container-made")).await;
    // A namespace that was made anew may have another address than the table says.
    look_addresses_up_again(machine, step).await
}

/// Puts the containers' present addresses into the node's table, if there is one.
async fn look_addresses_up_again(
    machine: &Machine<impl Platform>,
    step: &str,
) -> Result<(), StepFailure> {
    if machine.store.network().or_failure()?.is_some() {
        machine.change_network(step, |_| {}).await?;
    }
    Ok(())
}

/// Makes sure of an application's network namespace, and programs the links inside.
async fn program_links(
    machine: &Machine<impl Platform>,
    (step, name): (&str, &ApplicationName),
    (identity, links): (&NetworkIdentity, &ContainerLinks),
) -> Result<Change, StepFailure> {
    let gateway = machine.containers.ensure_network().await?;
    reach(|| format!("{step}.bridge-made")).await;
    let process = machine.containers.ensure_namespace(name, identity).await?;
    reach(|| format!("{step}.namespace-made")).await;
    machine.routes.ensure_links(process, gateway, links).await
}

/// Starts an application, made anew where its configuration differs.
pub(super) async fn start(
    machine: &Machine<impl Platform>,
    (record, completes): (RememberedApplication, bool),
    progress: &ProgressSender,
) -> Result<StepDone, StepFailure> {
    let name = record.specification.application.clone();
    let volume = record.volume;
    let tell = |what: &str| {
        let what = format!("{what} {name}");
        // The receiver may have ended.
        let _ = progress.send(Progress {
            what,
            done: 0,
            total: None,
        });
    };
    let notes = take_down_if_different(machine, &record).await?;
    reach(|| "start-application.taken-down".to_owned()).await;
    machine.store.set_application(&record).or_failure()?;
    reach(|| "start-application.remembered".to_owned()).await;
    machine.store.begin_change(&name).or_failure()?;
    tell("make ready");
    make_ready(machine, &record, ("start-application", volume)).await?;
    let unit = unit_specification(machine, &record);
    machine.units.ensure(&unit).await?;
    tell("start");
    reach(|| "start-application.ready".to_owned()).await;
    start_unit(machine, &name, ends_of(&record, completes)).await?;
    reach(|| "start-application.steady".to_owned()).await;
    machine.store.end_change(&name).or_failure()?;
    Ok(StepDone {
        notes,
        ..StepDone::plain(Change::Changed)
    })
}

/// Has systemd start an application's unit, and waits until its container runs or has ended as it may.
async fn start_unit(
    machine: &Machine<impl Platform>,
    name: &ApplicationName,
    ends: Ends,
) -> Result<(), StepFailure> {
    let watch = machine.containers.watch_start(name).await?;
    let started = machine.units.start(name, START_PATIENCE).await;
    reach(|| "start-application.started".to_owned()).await;
    let patience = match &started {
        Ok(()) => START_PATIENCE,
        // Systemd may notice an early end before the start.
        Err(_) if ends == Ends::Anyhow => Duration::ZERO,
        Err(_) => return started,
    };
    let waited = machine
        .containers
        .wait_until_steady(watch, ends, (STEADY, patience))
        .await;
    match (started, waited) {
        (Err(failure), Err(_)) => Err(failure),
        (_, waited) => waited.map(drop),
    }
}

/// Tells how an application may end right after its start. If a later step waits until it has done
/// what it is for, that step judges an attempt that fails and is repeated.
fn ends_of(record: &RememberedApplication, completes: bool) -> Ends {
    match record.specification.restart {
        RestartPolicy::Always => Ends::Never,
        RestartPolicy::OnFailure | RestartPolicy::OnFailureUpTo(_) if completes => Ends::Anyhow,
        _ => Ends::WithoutError,
    }
}

/// Tells how an application may end that is to stay up, or to do all that it is for.
pub(super) fn settled_end_of(record: &RememberedApplication) -> Ends {
    ends_of(record, false)
}

/// Stops a container that was made from something else, so that it can be made again.
async fn take_down_if_different(
    machine: &Machine<impl Platform>,
    record: &RememberedApplication,
) -> Result<Vec<Note>, StepFailure> {
    let name = &record.specification.application;
    let found = machine.containers.observe_containers().await?;
    let Some(container) = found.get(name).and_then(|found| found.application.as_ref()) else {
        return Ok(Vec::new());
    };
    let runs = matches!(container.status, ContainerStatus::Running { .. });
    if container.configuration != record.specification.digest() {
        if runs {
            check_before_stopping(machine, &record.specification).await?;
        }
        return Ok(stop(machine, (name, StopKind::ForNow)).await?.notes);
    }
    if runs && !is_looked_after(machine, name).await? {
        // It runs without anybody looking after it.
        let grace = grace_of(Some(&record.specification));
        let began = Instant::now();
        let stopped = machine
            .containers
            .stop_container(name, grace.into())
            .await?;
        return killed(machine, (name, grace), (stopped, began.elapsed())).await;
    }
    Ok(Vec::new())
}

/// Returns how long an application may take to stop before it is killed.
fn grace_of(specification: Option<&ContainerSpecification>) -> StopGracePeriod {
    let wanted = specification.and_then(|specification| specification.stop_grace_period);
    wanted.unwrap_or(StopGracePeriod::DEFAULT)
}

/// Says so if an application that was just stopped had to be killed.
async fn killed(
    machine: &Machine<impl Platform>,
    (name, grace): (&ApplicationName, StopGracePeriod),
    (stopped, took): (Change, Duration),
) -> Result<Vec<Note>, StepFailure> {
    if stopped == Change::Unchanged {
        return Ok(Vec::new());
    }
    let exit_code = machine.containers.exit_code(name).await?;
    let record = machine.store.application(name).or_failure()?;
    let asked_for = record.and_then(|record| record.specification.stop_signal);
    // What is asked to end by SIGKILL ends in that way whatever it does.
    let is_asked = asked_for.is_some_and(|signal| signal.number() == SIGKILL);
    Ok(if !is_asked && is_killed(exit_code, took, grace) {
        vec![Note::Killed {
            application: name.clone(),
            grace,
        }]
    } else {
        Vec::new()
    })
}

/// Tells whether Docker killed a container because its grace period was over.
///
/// The exit code alone does not tell. The image's own stop signal may be SIGKILL, a program may end with
/// that status itself, and the kernel kills for want of memory; each may happen at any time. So the stop
/// must also have taken as long as Docker waits. If an earlier deploy or an administrator began the stop,
/// the rest of it may be shorter, and the note is missing.
fn is_killed(exit_code: Option<i64>, took: Duration, grace: StopGracePeriod) -> bool {
    exit_code == Some(KILLED) && took >= Duration::from(grace)
}

/// Tells whether systemd looks after an application, or is about to.
async fn is_looked_after(
    machine: &Machine<impl Platform>,
    name: &ApplicationName,
) -> Result<bool, StepFailure> {
    let states = machine.units.observe().await?;
    let state = states.get(name);
    Ok(matches!(
        state,
        Some(UnitState::Active | UnitState::Activating)
    ))
}

/// Describes an application's unit.
fn unit_specification(
    machine: &Machine<impl Platform>,
    record: &RememberedApplication,
) -> UnitSpecification {
    let specification = &record.specification;
    let name = &specification.application;
    let volume: Option<PathBuf> = specification
        .volume_owner()
        .map(|owner| machine.volumes.mountpoint_of(owner));
    UnitSpecification {
        dependencies: record.dependencies.clone(),
        volume,
        stop_mark: machine.store.stop_mark(name),
        stop_grace: grace_of(Some(specification)).into(),
        start_timeout: START_PATIENCE,
        node_program: machine.settings.node_program.clone(),
        docker_program: machine.settings.docker_program.clone(),
        docker_socket: machine.settings.docker_socket.clone(),
        ..UnitSpecification::new(name.clone(), specification.restart)
    }
}

/// Stops an application, and unmounts the volume that it sees once nothing else sees that.
pub(super) async fn stop(
    machine: &Machine<impl Platform>,
    (name, kind): (&ApplicationName, StopKind),
) -> Result<StepDone, StepFailure> {
    if kind == StopKind::ForGood {
        // First of all: whatever this comes to, no boot is to start it again.
        machine.store.retire_application(name).or_failure()?;
    }
    let record = machine.store.application(name).or_failure()?;
    let grace = grace_of(record.as_ref().map(|record| &record.specification));
    let duration = Duration::from(grace);
    let seen = volume_seen_by(machine, name).await?;
    machine.store.begin_change(name).or_failure()?;
    reach(|| "stop-application.begun".to_owned()).await;
    let patience = duration.saturating_add(STOP_PATIENCE);
    let began = Instant::now();
    let unit = machine.units.stop(name, patience).await?;
    reach(|| "stop-application.unit-stopped".to_owned()).await;
    let container = machine.containers.stop_container(name, duration).await?;
    let took = began.elapsed();
    reach(|| "stop-application.container-stopped".to_owned()).await;
    // A unit that is left says that the application ended by itself, which some may.
    machine.units.remove(name).await?;
    machine.store.forget_stop(name).or_failure()?;
    reach(|| "stop-application.unit-removed".to_owned()).await;
    machine.store.end_change(name).or_failure()?;
    reach(|| "stop-application.stopped".to_owned()).await;
    let volume = unmount_unused(machine, (name, seen)).await?;
    let of_any = |changes: &[Change]| {
        if changes.contains(&Change::Changed) {
            Change::Changed
        } else {
            Change::Unchanged
        }
    };
    Ok(StepDone {
        notes: killed(machine, (name, grace), (of_any(&[unit, container]), took)).await?,
        ..StepDone::plain(of_any(&[unit, container, volume]))
    })
}

/// Removes a stopped application's container, namespace and unit; never its volume.
///
/// It is forgotten before its container is gone: what has a container is found by the next deploy,
/// and what is only remembered is not, but might be started at a boot when its volume is back.
pub(super) async fn remove(
    machine: &Machine<impl Platform>,
    name: &ApplicationName,
) -> Result<Change, StepFailure> {
    machine.units.remove(name).await?;
    machine.store.forget_stop(name).or_failure()?;
    reach(|| "remove-application.unit-removed".to_owned()).await;
    machine.store.remove_application(name).or_failure()?;
    reach(|| "remove-application.forgotten".to_owned()).await;
    // Before the container: the next deploy finds what has one, and goes on.
    machine.directories.remove_scratch(name).await?;
    reach(|| "remove-application.scratch-removed".to_owned()).await;
    let none = BTreeMap::new();
    machine.directories.forget_other_files(name, &none).await?;
    reach(|| "remove-application.files-removed".to_owned()).await;
    machine.containers.remove_container(name).await?;
    reach(|| "remove-application.container-removed".to_owned()).await;
    machine.containers.remove_namespace(name).await?;
    reach(|| "remove-application.namespace-removed".to_owned()).await;
    // Its address is free for another container, to which its ports must not lead.
    look_addresses_up_again(machine, "remove-application").await?;
    Ok(Change::Changed)
}

/// Sets what the loopback addresses inside a running container reach.
pub(super) async fn set_links(
    machine: &Machine<impl Platform>,
    name: &ApplicationName,
    links: ContainerLinks,
) -> Result<Change, StepFailure> {
    let mut identity = NetworkIdentity::default();
    if let Some(mut record) = machine.store.application(name).or_failure()? {
        record.links.clone_from(&links);
        machine.store.set_application(&record).or_failure()?;
        identity = record.specification.options.network;
    }
    reach(|| "set-links.remembered".to_owned()).await;
    program_links(machine, ("set-links", name), (&identity, &links)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_outlived_its_grace_period_was_killed() {
        let grace = StopGracePeriod::from_seconds(2).unwrap();
        let after = Duration::from_millis;
        assert!(is_killed(Some(KILLED), after(2000), grace));
        // Its own way to end, or the image's stop signal.
        assert!(!is_killed(Some(KILLED), after(1999), grace));
        assert!(!is_killed(Some(0), after(3000), grace));
        assert!(!is_killed(None, after(3000), grace));
    }
}
