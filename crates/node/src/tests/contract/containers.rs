//! What containers promise.

use std::time::Duration;

use flocker_docker::{ContainerMounts, ContainerObservation};
use flocker_model::{
    Application, ApplicationName, ContainerSpecification, ContainerStatus, ImageReference,
    NetworkIdentity,
};
use flocker_remote::protocol::Change;

use crate::platform::{Containers, Ends};

/// An image that runs a shell.
const IMAGE: &str = "flocker-test/shell:1";
/// What runs until it is asked to end.
const SERVER: &str = "trap 'exit 0' TERM; sleep 1000 & wait";
const GRACE: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(120);

/// A machine that has [`IMAGE`], and perhaps other tests' containers.
trait Machine {
    type Containers: Containers;

    fn containers(&self) -> &Self::Containers;

    /// Starts an application's container as its unit does.
    fn start(&self, application: &ApplicationName) -> impl Future<Output = ()>;
}

fn application(name: &str) -> ContainerSpecification {
    ContainerSpecification {
        command: Some(["sh", "-c", SERVER].map(str::to_owned).to_vec()),
        ..ContainerSpecification::new(
            &name.parse().unwrap(),
            &Application::new(IMAGE.parse().unwrap()),
        )
    }
}

async fn observe(machine: &impl Machine, name: &ApplicationName) -> ContainerObservation {
    let observed = machine.containers().observe_containers().await.unwrap();
    observed.get(name).cloned().unwrap_or_default()
}

fn runs(observation: &ContainerObservation) -> bool {
    observation
        .application
        .as_ref()
        .is_some_and(|container| matches!(container.status, ContainerStatus::Running { .. }))
}

async fn a_container_is_made_once_and_again_when_it_differs(machine: &impl Machine) {
    let containers = machine.containers();
    let mut specification = application("made");
    let name = specification.application.clone();
    containers
        .ensure_container(&specification, None, ContainerMounts::default())
        .await
        .unwrap_err();
    let process = containers
        .ensure_namespace(&name, &NetworkIdentity::default())
        .await
        .unwrap();
    assert_eq!(
        containers
            .ensure_namespace(&name, &NetworkIdentity::default())
            .await
            .unwrap(),
        process
    );
    for change in [Change::Changed, Change::Unchanged] {
        let ensured = containers
            .ensure_container(&specification, None, ContainerMounts::default())
            .await;
        assert_eq!(ensured.unwrap(), change);
    }
    let first = observe(machine, &name).await;
    let running = first.namespace.as_ref().unwrap().running.unwrap();
    assert_eq!(running.0, process);
    let container = first.application.unwrap();
    assert_eq!(container.configuration, specification.digest());
    specification.environment.insert("A".to_owned(), "b".into());
    let ensured = containers
        .ensure_container(&specification, None, ContainerMounts::default())
        .await;
    assert_eq!(ensured.unwrap(), Change::Changed);
    let second = observe(machine, &name).await.application.unwrap();
    assert_ne!(second.id, container.id);
    assert_eq!(second.configuration, specification.digest());
}

async fn a_namespace_of_another_identity_is_made_anew(machine: &impl Machine) {
    let containers = machine.containers();
    let specification = application("renamed");
    let name = &specification.application;
    let identity = NetworkIdentity::default();
    let named = NetworkIdentity {
        hostname: Some("other".parse().unwrap()),
        ..NetworkIdentity::default()
    };
    let process = containers.ensure_namespace(name, &identity).await.unwrap();
    let ensured = containers
        .ensure_container(&specification, None, ContainerMounts::default())
        .await;
    assert_eq!(ensured.unwrap(), Change::Changed);
    let watch = containers.watch_start(name).await.unwrap();
    machine.start(name).await;
    containers
        .wait_until_steady(watch, Ends::Never, (Duration::ZERO, PATIENCE))
        .await
        .unwrap();
    // Not below a process that uses it.
    containers.ensure_namespace(name, &named).await.unwrap_err();
    containers.stop_container(name, GRACE).await.unwrap();
    let renamed = containers.ensure_namespace(name, &named).await.unwrap();
    assert_ne!(renamed, process);
    assert_eq!(
        containers.ensure_namespace(name, &named).await.unwrap(),
        renamed
    );
    let ensured = containers
        .ensure_container(&specification, None, ContainerMounts::default())
        .await;
    assert_eq!(ensured.unwrap(), Change::Changed, "it joined what is gone");
}

async fn a_volume_is_given_exactly_where_there_is_a_mountpoint(machine: &impl Machine) {
    let containers = machine.containers();
    let mut specification = application("mounted");
    containers
        .ensure_namespace(&specification.application, &NetworkIdentity::default())
        .await
        .unwrap();
    let place = Some(std::path::Path::new("/tmp"));
    containers
        .ensure_container(&specification, place, ContainerMounts::default())
        .await
        .unwrap_err();
    specification.mountpoint = Some("/data".parse().unwrap());
    containers
        .ensure_container(&specification, None, ContainerMounts::default())
        .await
        .unwrap_err();
    containers
        .ensure_container(&specification, place, ContainerMounts::default())
        .await
        .unwrap();
}

async fn what_runs_is_neither_replaced_nor_removed(machine: &impl Machine) {
    let containers = machine.containers();
    let mut specification = application("running");
    let name = specification.application.clone();
    containers
        .ensure_namespace(&name, &NetworkIdentity::default())
        .await
        .unwrap();
    containers
        .ensure_container(&specification, None, ContainerMounts::default())
        .await
        .unwrap();
    let watch = containers.watch_start(&name).await.unwrap();
    machine.start(&name).await;
    containers
        .wait_until_steady(watch, Ends::Never, (Duration::ZERO, PATIENCE))
        .await
        .unwrap();
    assert!(runs(&observe(machine, &name).await));
    specification.environment.insert("A".to_owned(), "b".into());
    containers
        .ensure_container(&specification, None, ContainerMounts::default())
        .await
        .unwrap_err();
    containers.remove_container(&name).await.unwrap_err();
    containers.remove_namespace(&name).await.unwrap_err();
    for change in [Change::Changed, Change::Unchanged] {
        let stopped = containers.stop_container(&name, GRACE).await;
        assert_eq!(stopped.unwrap(), change);
    }
    assert!(!runs(&observe(machine, &name).await));
    for change in [Change::Changed, Change::Unchanged] {
        assert_eq!(containers.remove_container(&name).await.unwrap(), change);
    }
    for change in [Change::Changed, Change::Unchanged] {
        assert_eq!(containers.remove_namespace(&name).await.unwrap(), change);
    }
    assert_eq!(
        observe(machine, &name).await,
        ContainerObservation::default()
    );
}

async fn no_container_is_made_of_an_image_that_is_not_here(machine: &impl Machine) {
    let containers = machine.containers();
    let mut specification = application("imageless");
    specification.image = "flocker-test/nothing:1".parse().unwrap();
    containers
        .ensure_namespace(&specification.application, &NetworkIdentity::default())
        .await
        .unwrap();
    containers
        .ensure_container(&specification, None, ContainerMounts::default())
        .await
        .unwrap_err();
    let missing: ImageReference = "flocker-test/nothing:1".parse().unwrap();
    assert!(
        !containers
            .observe_images()
            .await
            .unwrap()
            .contains_key(&missing.identity())
    );
}

async fn an_image_is_loaded_from_its_own_archive_only(machine: &impl Machine) {
    let containers = machine.containers();
    let image: ImageReference = IMAGE.parse().unwrap();
    let before = containers.observe_images().await.unwrap();
    let archive = containers.export_image(&image);
    containers.import_image(&image, archive).await.unwrap();
    let after = containers.observe_images().await.unwrap();
    let name = image.identity();
    assert_eq!(before.get(&name), after.get(&name));
    let missing: ImageReference = "flocker-test/nothing:1".parse().unwrap();
    let archive = containers.export_image(&image);
    containers
        .import_image(&missing, archive)
        .await
        .unwrap_err();
    let archive = containers.export_image(&missing);
    containers
        .import_image(&missing, archive)
        .await
        .unwrap_err();
}

async fn the_bridge_keeps_its_address(machine: &impl Machine) {
    let containers = machine.containers();
    let gateway = containers.ensure_network().await.unwrap();
    assert_eq!(containers.ensure_network().await.unwrap(), gateway);
}

/// Every test of the suite.
macro_rules! containers_suite {
    ($fixture:path) => {
        crate::tests::contract::suite! {
            crate::tests::contract::run, $fixture,
            a_container_is_made_once_and_again_when_it_differs
            a_namespace_of_another_identity_is_made_anew
            a_volume_is_given_exactly_where_there_is_a_mountpoint
            what_runs_is_neither_replaced_nor_removed
            no_container_is_made_of_an_image_that_is_not_here
            an_image_is_loaded_from_its_own_archive_only
            the_bridge_keeps_its_address
        }
    };
}

/// In memory.
mod fake {
    use flocker_model::{ApplicationName, ImageId};

    use super::{IMAGE, Machine};
    use crate::tests::fake::{FakeContainers, Faults, Host};

    struct InMemory(FakeContainers);

    async fn new() -> Option<InMemory> {
        let host = Host::new(Faults::default());
        host.add_image(IMAGE.parse().unwrap(), ImageId(IMAGE.to_owned()));
        Some(InMemory(FakeContainers { host }))
    }

    impl Machine for InMemory {
        type Containers = FakeContainers;

        fn containers(&self) -> &FakeContainers {
            &self.0
        }

        async fn start(&self, application: &ApplicationName) {
            self.0.host.state().start_container(application).unwrap();
        }
    }

    containers_suite! { new }
}

/// In a real Docker daemon, which the tests of `flocker-docker` know how to start.
#[cfg(feature = "real-machine")]
mod dockerd {
    use flocker_docker::Docker;
    use flocker_model::ApplicationName;

    use super::Machine;
    use crate::tests::contract::daemon;

    struct InDocker(Docker);

    async fn new() -> Option<InDocker> {
        Some(InDocker(daemon::connect().await?))
    }

    impl Machine for InDocker {
        type Containers = Docker;

        fn containers(&self) -> &Docker {
            &self.0
        }

        async fn start(&self, application: &ApplicationName) {
            daemon::start(application).await;
        }
    }

    containers_suite! { new }
}
