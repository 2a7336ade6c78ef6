//! Starting and stopping applications: volume, network namespace, container, unit.

use std::path::PathBuf;
use std::time::Duration;

use flocker_docker::{UnitSpecification, Units};
use flocker_failpoint::reach;
use flocker_model::{
    ApplicationName, ContainerLinks, ContainerSpecification, ContainerStatus, Epoch, UnitState,
};
use flocker_net::{NetworkNamespace, ensure_links};
use flocker_remote::protocol::{Change, Progress, StepFailure};

use crate::execute::ProgressSender;
use crate::failure::OrFailure as _;
use crate::machine::Machine;
use crate::store::ApplicationRecord;

/// How long an application may take to stop before it is killed.
const STOP_GRACE: Duration = Duration::from_secs(30);
/// How long systemd may take over it in all.
const STOP_PATIENCE: Duration = Duration::from_secs(90);
/// How long a start may take until the container runs.
const START_PATIENCE: Duration = Duration::from_secs(300);
/// How long a container must run to count as started rather than as ending in a loop.
const STEADY: Duration = Duration::from_millis(500);

/// Makes everything ready that an application's first instruction may rely on, in an order in
/// which nothing can be used before it is there: volume, namespace, links, container.
///
/// Run by the planner's step, and again by the unit before each start, so that a restart after a
/// crash of the application, of Docker or of the machine finds the same.
pub(crate) async fn make_ready(
    machine: &Machine,
    record: &ApplicationRecord,
    epoch: Option<Epoch>,
) -> Result<(), StepFailure> {
    let name = &record.specification.application;
    let path = match (&record.specification.mountpoint, epoch) {
        (None, _) => None,
        (Some(_), Some(epoch)) => {
            let volume = machine.zfs.open_owned(name, epoch).await.or_failure()?;
            Some(volume.mount().await.or_failure()?.1)
        }
        (Some(_), None) => {
            let volume = machine.zfs.open_owned_now(name).await.or_failure()?;
            Some(volume.mount().await.or_failure()?.1)
        }
    };
    let network = machine.docker.ensure_network().await.or_failure()?;
    let namespace = machine.docker.ensure_namespace(name).await.or_failure()?;
    let links = record.links.clone();
    let process = namespace.pid;
    tokio::task::spawn_blocking(move || program_links(process, network.gateway, &links))
        .await
        .or_failed_to("the container's links were not programmed")??;
    let path = path.as_ref().map(flocker_zfs::MountedVolume::path);
    machine
        .docker
        .ensure_container(&record.specification, path)
        .await
        .or_failure()?;
    // A namespace that was made anew may have another address than the table says.
    if machine.store.network().or_failure()?.is_some() {
        machine.change_network(|_| {}).await?;
    }
    Ok(())
}

/// Programs the links inside the namespace that `process` holds.
fn program_links(
    process: u32,
    gateway: std::net::Ipv4Addr,
    links: &ContainerLinks,
) -> Result<Change, StepFailure> {
    let namespace = NetworkNamespace::of_process(process).or_failure()?;
    match ensure_links(&namespace, gateway, links).or_failure()? {
        flocker_net::Change::Unchanged => Ok(Change::Unchanged),
        flocker_net::Change::Changed => Ok(Change::Changed),
    }
}

/// Starts an application, made anew where its configuration differs.
pub(super) async fn start(
    machine: &Machine,
    (specification, links, volume): (ContainerSpecification, ContainerLinks, Option<Epoch>),
    progress: &ProgressSender,
) -> Result<Change, StepFailure> {
    let name = specification.application.clone();
    let tell = |what: &str| {
        let what = format!("{what} {name}");
        // Nobody may be listening any more.
        let _ = progress.send(Progress {
            what,
            done: 0,
            total: None,
        });
    };
    let record = ApplicationRecord {
        specification,
        links,
    };
    take_down_if_different(machine, &record).await?;
    machine.store.set_application(&record).or_failure()?;
    tell("make ready");
    make_ready(machine, &record, volume).await?;
    let unit = unit_specification(machine, &record);
    machine.units.ensure_units(&[unit]).await.or_failure()?;
    tell("start");
    reach(|| "start-application.ready".to_owned()).await;
    let watch = machine.docker.watch_start(&name).await.or_failure()?;
    machine
        .units
        .start(&name, START_PATIENCE)
        .await
        .or_failure()?;
    watch
        .wait_until_stable(STEADY, START_PATIENCE)
        .await
        .or_failure()?;
    Ok(Change::Changed)
}

/// Stops a container that was made from something else, so that it can be made again.
async fn take_down_if_different(
    machine: &Machine,
    record: &ApplicationRecord,
) -> Result<(), StepFailure> {
    let name = &record.specification.application;
    let found = machine.docker.observe_containers().await.or_failure()?;
    let Some(container) = found.get(name).and_then(|found| found.application.as_ref()) else {
        return Ok(());
    };
    let runs = matches!(container.status, ContainerStatus::Running { .. });
    if container.configuration != record.specification.digest() {
        stop(machine, name).await?;
    } else if runs && !is_looked_after(&machine.units, name).await? {
        // It runs without anybody looking after it.
        machine
            .docker
            .stop_container(name, STOP_GRACE)
            .await
            .or_failure()?;
    }
    Ok(())
}

/// Tells whether systemd looks after an application, or is about to.
async fn is_looked_after(units: &Units, name: &ApplicationName) -> Result<bool, StepFailure> {
    let states = units.observe().await.or_failure()?;
    let state = states.get(name);
    Ok(matches!(
        state,
        Some(UnitState::Active | UnitState::Activating)
    ))
}

/// Describes an application's unit.
fn unit_specification(machine: &Machine, record: &ApplicationRecord) -> UnitSpecification {
    let specification = &record.specification;
    let name = &specification.application;
    let volume: Option<PathBuf> = specification
        .mountpoint
        .as_ref()
        .map(|_| machine.zfs.mountpoint_of(name));
    UnitSpecification {
        volume,
        stop_grace: STOP_GRACE,
        start_timeout: START_PATIENCE,
        node_program: machine.settings.node_program.clone(),
        docker_program: machine.settings.docker_program.clone(),
        docker_socket: machine.settings.docker_socket.clone(),
        ..UnitSpecification::new(name.clone(), specification.restart)
    }
}

/// Stops an application and unmounts its volume.
pub(super) async fn stop(machine: &Machine, name: &ApplicationName) -> Result<Change, StepFailure> {
    let unit = machine.units.stop(name, STOP_PATIENCE).await.or_failure()?;
    let container = machine
        .docker
        .stop_container(name, STOP_GRACE)
        .await
        .or_failure()?;
    // A unit that is left says that the application ended by itself, which some may.
    machine.units.remove(name).await.or_failure()?;
    reach(|| "stop-application.stopped".to_owned()).await;
    let volume = machine.zfs.unmount(name).await.or_failure()?;
    let anything = unit == flocker_docker::Change::Changed
        || container == flocker_docker::Change::Changed
        || volume == flocker_zfs::Change::Changed;
    Ok(if anything {
        Change::Changed
    } else {
        Change::Unchanged
    })
}

/// Removes a stopped application's container, namespace and unit; never its volume.
pub(super) async fn remove(
    machine: &Machine,
    name: &ApplicationName,
) -> Result<Change, StepFailure> {
    machine.units.remove(name).await.or_failure()?;
    machine.docker.remove_container(name).await.or_failure()?;
    machine.docker.remove_namespace(name).await.or_failure()?;
    machine.store.remove_application(name).or_failure()?;
    Ok(Change::Changed)
}

/// Sets what `localhost` reaches inside a running container.
pub(super) async fn set_links(
    machine: &Machine,
    name: &ApplicationName,
    links: ContainerLinks,
) -> Result<Change, StepFailure> {
    let network = machine.docker.ensure_network().await.or_failure()?;
    let namespace = machine.docker.ensure_namespace(name).await.or_failure()?;
    if let Some(mut record) = machine.store.application(name).or_failure()? {
        record.links.clone_from(&links);
        machine.store.set_application(&record).or_failure()?;
    }
    tokio::task::spawn_blocking(move || program_links(namespace.pid, network.gateway, &links))
        .await
        .or_failed_to("the container's links were not programmed")?
}
