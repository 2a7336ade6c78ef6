//! What containers' mount points need, seen before anything is touched.

use std::collections::BTreeMap;

use flocker_model::{ApplicationName, ContainerSpecification, MountSource, NodeName, NodeState};

use crate::steps::Because;
use crate::{Action, BlockedKind, NodeNote, StepId, account};

use super::arrival::Obstacle;
use super::state::Planner;

impl Planner<'_> {
    /// Reports containers whose data Docker keeps, and nodes whose containers own nothing in volumes.
    pub(super) fn check_mounts(&mut self) {
        for (node, state) in self.covered() {
            for (name, container) in &state.containers {
                if !container.anonymous_volumes.is_empty() {
                    let kind = BlockedKind::AnonymousVolumes {
                        node: node.clone(),
                        dataset: state
                            .volumes
                            .get(name)
                            .filter(|copy| copy.mounted.is_none())
                            .map(|_| format!("{}/{name}", state.pool.dataset)),
                        paths: self.places_of(name, state),
                    };
                    self.block_application(name, kind);
                }
            }
        }
        for (name, application, place) in self.goal.deployment.placed() {
            let remaps = self
                .observed
                .node(place)
                .is_some_and(|state| state.remaps_users);
            if remaps && application.volume.is_some() && self.goal.covers(place) {
                let node = place.clone();
                self.block_application(name, BlockedKind::UsersRemapped { node });
            }
        }
    }

    /// Finds the directory of the volume that each anonymous volume's data belongs in.
    fn places_of(
        &self,
        name: &ApplicationName,
        state: &NodeState,
    ) -> BTreeMap<String, Option<String>> {
        let wanted = self.wanted(name);
        let remembered = state.remembered.applications.get(name);
        let specification = wanted.or_else(|| Some(remembered?.specification.clone()));
        let volume = state.volumes.get(name).map(|copy| match &copy.mounted {
            Some(path) => path.clone(),
            None => format!("/flocker/{name}"),
        });
        let container = state.containers.get(name).into_iter();
        let paths = container.flat_map(|container| &container.anonymous_volumes);
        paths
            .map(|path| {
                let directory = specification.as_ref().and_then(|specification| {
                    let accounted = account(specification, &[path.clone()].into()).ok()?;
                    let mut mounts = accounted.mounts.into_iter();
                    let mount = mounts.find(|mount| mount.target.as_str() == path)?;
                    match mount.source {
                        MountSource::Volume { directory } => {
                            let path = format!("{}/{directory}", volume.as_ref()?);
                            Some(path.trim_end_matches('/').to_owned())
                        }
                        MountSource::Scratch { .. } | MountSource::Host { .. } => None,
                    }
                });
                (path.clone(), directory)
            })
            .collect()
    }

    /// Describes the container that an application of the deployment is to have.
    fn wanted(&self, name: &ApplicationName) -> Option<ContainerSpecification> {
        let application = self.goal.deployment.applications.get(name)?;
        Some(ContainerSpecification::new(name, application))
    }

    /// Accounts for the volumes that the image declares: here if the image is known, else by a step
    /// once it is on the node, which is returned. Such a step also has the node judge what only it can.
    ///
    /// The step costs one round trip and a container that Docker makes and removes. It runs beside the
    /// first push and never while anything is stopped. An application without options has nothing to
    /// judge: its plan stays without the step, because a small volume is pushed faster than that.
    pub(super) fn account_for_image(
        &mut self,
        node: &NodeName,
        specification: &ContainerSpecification,
        brought: Option<StepId>,
    ) -> Result<Option<StepId>, Obstacle> {
        let image = &specification.image;
        let look = |planner: &mut Self, why| {
            let after: Vec<StepId> = brought.into_iter().collect();
            let action = Action::CheckImage {
                specification: Box::new(specification.clone()),
            };
            let because = Because { after: &after, why };
            Ok(Some(planner.add(node, action, because)))
        };
        let Some(details) = self.image_to_run(node, &image.identity()) else {
            return look(
                self,
                "only now it is known which volumes the image declares",
            );
        };
        let accounted = account(specification, &details.volumes).map_err(|unaccounted| {
            Box::new(BlockedKind::ImageVolumes {
                node: node.clone(),
                image: image.clone(),
                unaccounted,
            })
        })?;
        let notes = accounted.notes(specification).into_iter();
        self.plan.notes.extend(notes.map(|note| NodeNote {
            node: node.clone(),
            note,
        }));
        if specification.is_judged_by_node() {
            return look(
                self,
                "only the node knows whether it can make the container",
            );
        }
        Ok(None)
    }
}
