//! Units in memory.

use std::collections::BTreeMap;
use std::time::Duration;

use flocker_docker::UnitSpecification;
use flocker_model::{ApplicationName, UnitState};
use flocker_remote::protocol::{Change, StepFailure};

use super::{Host, Mutation, changed};
use crate::failure::failure_of;
use crate::platform::Units;

/// What systemd knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Systemd {
    units: BTreeMap<ApplicationName, (UnitSpecification, UnitState)>,
}

impl Systemd {
    pub(crate) fn state(&self, application: &ApplicationName) -> UnitState {
        let unit = self.units.get(application);
        unit.map_or(UnitState::Missing, |(_, state)| *state)
    }

    /// Does what a unit does about its mark when it is told to stop, or prepares a start.
    fn mark(&self, application: &ApplicationName, stopped: bool) {
        let Some((unit, _)) = self.units.get(application) else {
            return;
        };
        if stopped {
            std::fs::write(&unit.stop_mark, "").unwrap();
        } else if unit.stop_mark.exists() {
            std::fs::remove_file(&unit.stop_mark).unwrap();
        }
    }

    pub(crate) fn set(&mut self, application: &ApplicationName, wanted: UnitState) {
        if let Some((_, state)) = self.units.get_mut(application) {
            *state = wanted;
        }
    }
}

/// The units of a machine in memory.
#[derive(Debug, Clone)]
pub(crate) struct FakeUnits {
    pub(crate) host: Host,
}

impl Units for FakeUnits {
    async fn observe(&self) -> Result<BTreeMap<ApplicationName, UnitState>, StepFailure> {
        let observed = self.host.act(|state| {
            let units = state.running.units.units.iter();
            Ok(units
                .map(|(name, (_, state))| (name.clone(), *state))
                .collect())
        });
        observed.await
    }

    async fn ensure(&self, unit: &UnitSpecification) -> Result<Change, StepFailure> {
        let ensured = self.host.act(|state| {
            let units = &mut state.running.units.units;
            let before = units.get(&unit.application);
            let active = before.map_or(UnitState::Inactive, |(_, state)| *state);
            let known = units.insert(unit.application.clone(), (unit.clone(), active));
            Ok(changed(known.is_none_or(|(known, _)| known != *unit)))
        });
        ensured.await
    }

    async fn start(
        &self,
        application: &ApplicationName,
        _patience: Duration,
    ) -> Result<(), StepFailure> {
        let started = self.host.act(|state| {
            if state.running.units.state(application) == UnitState::Missing {
                return Err(failure_of("there is no such unit"));
            }
            state.start_container(application)?;
            state.running.units.mark(application, false);
            state.running.units.set(application, UnitState::Active);
            Ok(())
        });
        started.await
    }

    async fn stop(
        &self,
        application: &ApplicationName,
        _patience: Duration,
    ) -> Result<Change, StepFailure> {
        let stopped = self.host.act(|state| {
            let units = &mut state.running.units;
            let before = units.state(application);
            units.set(application, UnitState::Inactive);
            let active = matches!(before, UnitState::Active | UnitState::Activating);
            if active {
                units.mark(application, true);
                if !self.host.faults.breaks(Mutation::LeaveContainersRunning) {
                    state.end_container(application);
                }
            }
            Ok(changed(active))
        });
        stopped.await
    }

    async fn forget_failed_restore(&self) -> Result<(), StepFailure> {
        // Nothing depends on it, so nothing remembers it; the call can fail like any other.
        self.host.act(|_| Ok(())).await
    }

    async fn remove(&self, application: &ApplicationName) -> Result<Change, StepFailure> {
        let removed = self.host.act(|state| {
            let removed = state.running.units.units.remove(application);
            Ok(changed(removed.is_some()))
        });
        removed.await
    }
}
