//! Starting applications after those that they depend on.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{
    Application, ApplicationName, ContainerStatus, DependencyCondition, HealthCheck, NodeName,
    RestartPolicy,
};

use crate::steps::Because;
use crate::{Action, OutcomeKind, StepId};

use super::need::Need;
use super::state::Planner;

/// The steps after which an application is as others may wait for it to be.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    /// It is started.
    pub(super) started: Option<StepId>,
    /// Its health check has passed.
    healthy: Option<StepId>,
    /// It has ended without an error.
    completed: Option<StepId>,
}

impl Planner<'_> {
    /// Lists the applications that one depends on, as far as they are placed.
    pub(super) fn dependencies_of(
        &self,
        application: &Application,
    ) -> BTreeMap<ApplicationName, DependencyCondition> {
        let deployment = self.goal.deployment;
        let dependencies = application.depends_on.iter();
        dependencies
            .filter(|(name, _)| deployment.place_of(name).is_some())
            .map(|(name, condition)| (name.clone(), *condition))
            .collect()
    }

    /// Lists the steps after which all that an application depends on is as it has to be. What runs
    /// so already takes no step.
    pub(super) fn await_dependencies(&mut self, application: &Application) -> Vec<StepId> {
        let mut steps = Vec::new();
        for (name, condition) in self.dependencies_of(application) {
            // Of what something stands in the way of, nothing is planned that could be waited for.
            if self.skipped.contains(&name) {
                continue;
            }
            steps.extend(match condition {
                DependencyCondition::Started => self.progress_of(&name).started,
                DependencyCondition::Healthy => self.await_healthy(&name),
                DependencyCondition::Completed => self.await_completed(&name),
            });
        }
        steps
    }

    /// Notes that an application is started by a step.
    pub(super) fn note_start(&mut self, name: &ApplicationName, started: StepId) {
        let progress = Progress {
            started: Some(started),
            ..Progress::default()
        };
        self.progress.insert(name.clone(), progress);
    }

    /// Notes that a step waits for an application's health.
    pub(super) fn note_health(&mut self, name: &ApplicationName, step: StepId) {
        self.progress.entry(name.clone()).or_default().healthy = Some(step);
    }

    /// Waits for the health of an application that was just started, where the configuration has a
    /// check for it: until that passes, it is not called deployed.
    pub(super) fn await_configured_check(
        &mut self,
        name: &ApplicationName,
        application: &Application,
    ) {
        if matches!(application.health_check, Some(HealthCheck::Enabled(_))) {
            self.await_healthy(name);
        }
    }

    /// Calls no application done that is waited for and was changed, before it is as it has to be.
    pub(super) fn finish_when_awaited(&mut self) {
        for (name, progress) in &self.progress {
            if let Some(outcome) = self.plan.outcomes.get_mut(name)
                && outcome.kind != OutcomeKind::Unchanged
            {
                outcome.done_after.extend(progress.healthy);
                outcome.done_after.extend(progress.completed);
            }
        }
    }

    /// Tells whether somebody waits until an application has ended without an error, so that one that
    /// has ended with an error is not done.
    pub(super) fn must_complete(&self, name: &ApplicationName) -> bool {
        let mut placed = self.goal.deployment.placed();
        placed.any(|(_, application, _)| {
            application.depends_on.get(name) == Some(&DependencyCondition::Completed)
        })
    }

    /// Starts a job again that has failed and that somebody waits for.
    pub(super) fn need_of_job(&self, name: &ApplicationName, place: &NodeName, need: Need) -> Need {
        let state = self.observed.node(place);
        let status = state
            .and_then(|state| state.containers.get(name))
            .map(|it| &it.status);
        let failed =
            matches!(status, Some(ContainerStatus::Stopped { exit_code }) if *exit_code != 0);
        if need == Need::Nothing && failed && self.must_complete(name) {
            Need::Start
        } else {
            need
        }
    }

    fn progress_of(&self, name: &ApplicationName) -> Progress {
        self.progress.get(name).copied().unwrap_or_default()
    }

    /// Returns the step after which an application is healthy, if it is not already.
    fn await_healthy(&mut self, name: &ApplicationName) -> Option<StepId> {
        let progress = self.progress_of(name);
        if progress.healthy.is_some() {
            return progress.healthy;
        }
        let started = progress.started?;
        let because = Because {
            after: &[started],
            why: "it is deployed once its health check passes",
        };
        let application = name.clone();
        let place = self.goal.deployment.place_of(name)?.clone();
        let step = self.add(&place, Action::AwaitHealth { application }, because);
        self.note_health(name, step);
        Some(step)
    }

    /// Returns the step after which a job is done, if it is not already.
    fn await_completed(&mut self, name: &ApplicationName) -> Option<StepId> {
        let progress = self.progress_of(name);
        let deployment = self.goal.deployment;
        let restart = deployment.applications.get(name)?.restart;
        if progress.completed.is_some() || restart == RestartPolicy::Always {
            return progress.completed.or(progress.started);
        }
        let place = deployment.place_of(name)?;
        if progress.started.is_none() && !self.is_running(name, place) {
            return None;
        }
        let after: Vec<StepId> = progress.started.into_iter().collect();
        let because = Because {
            after: &after,
            why: "another application starts once it is done",
        };
        let application = name.clone();
        let step = self.add(place, Action::AwaitCompletion { application }, because);
        if let Some(start) = progress.started {
            self.plan.expect_completion(start);
        }
        self.progress.entry(name.clone()).or_default().completed = Some(step);
        Some(step)
    }

    /// Tells whether an application was seen to run on a node.
    fn is_running(&self, name: &ApplicationName, node: &NodeName) -> bool {
        let state = self.observed.node(node);
        let container = state.and_then(|state| state.containers.get(name));
        container.is_some_and(|it| matches!(it.status, ContainerStatus::Running { .. }))
    }

    /// Lists the applications that depend on each, by what the nodes remember of when they were
    /// started: those that are taken down may not be in any configuration any more.
    pub(super) fn remembered_dependencies(
        &self,
    ) -> BTreeMap<ApplicationName, BTreeSet<ApplicationName>> {
        let mut dependencies: BTreeMap<ApplicationName, BTreeSet<ApplicationName>> =
            BTreeMap::new();
        for (_, state) in self.observed.seen() {
            for (name, remembered) in &state.remembered.applications {
                let known = dependencies.entry(name.clone()).or_default();
                known.extend(remembered.dependencies.iter().cloned());
            }
        }
        dependencies
    }
}
