//! What units promise.

use std::time::Duration;

use flocker_docker::UnitSpecification;
use flocker_model::{ApplicationName, RestartPolicy, UnitState};
use flocker_remote::protocol::Change;

use crate::platform::Units;

const PATIENCE: Duration = Duration::from_secs(120);

/// A machine on which units can start, and perhaps other tests' units.
trait Machine {
    type Units: Units;

    fn units(&self) -> &Self::Units;

    /// Describes a unit whose container could be started.
    fn unit(&self, application: &ApplicationName) -> UnitSpecification;
}

async fn state(machine: &impl Machine, name: &ApplicationName) -> UnitState {
    let observed = machine.units().observe().await.unwrap();
    observed.get(name).copied().unwrap_or(UnitState::Missing)
}

async fn a_unit_is_made_started_stopped_and_removed(machine: &impl Machine) {
    let name: ApplicationName = "lived".parse().unwrap();
    let units = machine.units();
    let unit = machine.unit(&name);
    assert_eq!(state(machine, &name).await, UnitState::Missing);
    assert_eq!(
        units.stop(&name, PATIENCE).await.unwrap(),
        Change::Unchanged
    );
    units.start(&name, PATIENCE).await.unwrap_err();
    for change in [Change::Changed, Change::Unchanged] {
        assert_eq!(units.ensure(&unit).await.unwrap(), change);
    }
    assert_eq!(state(machine, &name).await, UnitState::Inactive);
    for _ in 0..2 {
        units.start(&name, PATIENCE).await.unwrap();
        assert_eq!(state(machine, &name).await, UnitState::Active);
    }
    for change in [Change::Changed, Change::Unchanged] {
        assert_eq!(units.stop(&name, PATIENCE).await.unwrap(), change);
        assert_eq!(state(machine, &name).await, UnitState::Inactive);
    }
    for change in [Change::Changed, Change::Unchanged] {
        assert_eq!(units.remove(&name).await.unwrap(), change);
        assert_eq!(state(machine, &name).await, UnitState::Missing);
    }
}

/// Or a program that was told to end would pass for one that has done what it is for.
async fn what_was_told_to_end_is_marked_until_it_is_started_again(machine: &impl Machine) {
    let name: ApplicationName = "marked".parse().unwrap();
    let units = machine.units();
    let unit = machine.unit(&name);
    units.ensure(&unit).await.unwrap();
    for _ in 0..2 {
        units.start(&name, PATIENCE).await.unwrap();
        assert!(!unit.stop_mark.exists());
        units.stop(&name, PATIENCE).await.unwrap();
        assert!(unit.stop_mark.exists());
    }
    units.remove(&name).await.unwrap();
}

async fn another_description_changes_a_unit_and_does_not_restart_it(machine: &impl Machine) {
    let name: ApplicationName = "described".parse().unwrap();
    let units = machine.units();
    let mut unit = machine.unit(&name);
    units.ensure(&unit).await.unwrap();
    units.start(&name, PATIENCE).await.unwrap();
    unit.restart = RestartPolicy::Never;
    assert_eq!(units.ensure(&unit).await.unwrap(), Change::Changed);
    assert_eq!(state(machine, &name).await, UnitState::Active);
    units.stop(&name, PATIENCE).await.unwrap();
    units.remove(&name).await.unwrap();
}

/// Every test of the suite.
macro_rules! units_suite {
    ($fixture:path) => {
        crate::tests::contract::suite! {
            crate::tests::contract::run, $fixture,
            a_unit_is_made_started_stopped_and_removed
            what_was_told_to_end_is_marked_until_it_is_started_again
            another_description_changes_a_unit_and_does_not_restart_it
        }
    };
}

/// In memory.
mod fake {
    use flocker_docker::{ContainerMounts, UnitSpecification};
    use flocker_model::{
        Application, ApplicationName, ContainerSpecification, ImageId, NetworkIdentity,
        RestartPolicy,
    };

    use super::Machine;
    use crate::platform::Containers as _;
    use crate::tests::fake::{FakeContainers, FakeUnits, Faults, Host};

    struct InMemory(FakeUnits, tempfile::TempDir);

    async fn new() -> Option<InMemory> {
        let host = Host::new(Faults::default());
        let image = "shell:1".to_owned();
        host.add_image(image.parse().unwrap(), ImageId(image));
        for name in ["lived", "marked", "described"] {
            let specification = ContainerSpecification::new(
                &name.parse().unwrap(),
                &Application::new("shell:1".parse().unwrap()),
            );
            let containers = FakeContainers { host: host.clone() };
            let name = &specification.application;
            containers
                .ensure_namespace(name, &NetworkIdentity::default())
                .await
                .unwrap();
            let ensured = containers
                .ensure_container(&specification, None, ContainerMounts::default())
                .await;
            ensured.unwrap();
        }
        let marks = tempfile::tempdir().unwrap();
        Some(InMemory(FakeUnits { host: host.clone() }, marks))
    }

    impl Machine for InMemory {
        type Units = FakeUnits;

        fn units(&self) -> &FakeUnits {
            &self.0
        }

        fn unit(&self, application: &ApplicationName) -> UnitSpecification {
            UnitSpecification {
                stop_mark: self.1.path().join(application.as_str()),
                ..UnitSpecification::new(application.clone(), RestartPolicy::Always)
            }
        }
    }

    units_suite! { new }
}

/// In a real systemd, which the tests of `flocker-docker` know how to boot.
#[cfg(feature = "real-machine")]
mod systemd {
    use flocker_docker::{UnitSpecification, Units};
    use flocker_model::{ApplicationName, RestartPolicy};

    use super::Machine;
    use crate::tests::contract::machine;

    struct InSystemd(&'static machine::Machine, Units);

    async fn new() -> Option<InSystemd> {
        let machine = machine::machine()?;
        let units = Units::connect(machine.settings()).await.unwrap();
        Some(InSystemd(machine, units))
    }

    impl Machine for InSystemd {
        type Units = Units;

        fn units(&self) -> &Units {
            &self.1
        }

        fn unit(&self, application: &ApplicationName) -> UnitSpecification {
            self.0.unit(application.as_str(), RestartPolicy::Always)
        }
    }

    units_suite! { new }
}
