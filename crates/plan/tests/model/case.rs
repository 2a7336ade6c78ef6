//! What a case is made of: machines, applications, and a sequence of goals.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{
    Application, ApplicationName, ByteCount, Deployment, Link, NodeName, Port, RestartPolicy,
    VolumeSpecification,
};
use proptest::prelude::{Strategy, any};

use crate::random::Random;

/// One run of the model: small numbers that say everything, so that a failing one can be shrunk.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) nodes: usize,
    pub(crate) applications: usize,
    /// What is wanted, one after the other.
    pub(crate) goals: Vec<u64>,
    /// How often something goes wrong.
    pub(crate) faults: usize,
    /// Decides what goes wrong, and in which order steps are done.
    pub(crate) seed: u64,
}

/// Makes cases.
pub(crate) fn cases() -> impl Strategy<Value = Case> {
    let goals = proptest::collection::vec(any::<u64>(), 1..6);
    (2..6_usize, 1..9_usize, goals, 0..16_usize, any::<u64>()).prop_map(
        |(nodes, applications, goals, faults, seed)| Case {
            nodes,
            applications,
            goals,
            faults,
            seed,
        },
    )
}

/// Reads a name that is written here.
pub(crate) fn name<T: TryFrom<String>>(text: &str) -> T {
    T::try_from(text.to_owned()).unwrap_or_else(|_| panic!("`{text}` is not a name"))
}

/// Makes a port.
pub(crate) fn port(number: usize) -> Port {
    let port = u16::try_from(number).ok().and_then(Port::new);
    port.unwrap_or_else(|| panic!("{number} is not a port"))
}

/// Names the machine at `index`.
pub(crate) fn node_name(index: usize) -> NodeName {
    name(&format!("10.0.0.{}", index + 1))
}

/// Names the application at `index`.
pub(crate) fn application_name(index: usize) -> ApplicationName {
    name(&format!("app-{index}"))
}

impl Case {
    /// Works out what the goal with this seed asks for.
    ///
    /// It has a machine in common with the one before: from others nobody could learn what was
    /// there before.
    pub(crate) fn goal(&self, seed: u64, before: Option<&Deployment>) -> Deployment {
        let mut random = Random::new(seed);
        let mut included: Vec<usize> = (0..self.nodes).filter(|_| !random.once_in(4)).collect();
        if included.is_empty() {
            included.push(random.below(self.nodes));
        }
        let known =
            |node: &usize| before.is_none_or(|before| before.nodes.contains_key(&node_name(*node)));
        if !included.iter().any(known) {
            let common: Vec<usize> = (0..self.nodes).filter(known).collect();
            included.extend(random.of(&common));
        }
        // Ports go round between the applications from goal to goal.
        let shift = random.below(3);
        let mut deployment = Deployment {
            applications: BTreeMap::new(),
            nodes: included
                .iter()
                .map(|node| (node_name(*node), BTreeSet::new()))
                .collect(),
        };
        for index in 0..self.applications {
            let application = self.application(index, shift, &mut random);
            let name = application_name(index);
            deployment.applications.insert(name.clone(), application);
            let place = random.of(&included).copied().unwrap_or(0);
            if !random.once_in(6)
                && let Some(placed) = deployment.nodes.get_mut(&node_name(place))
            {
                placed.insert(name);
            }
        }
        deployment
    }

    /// Makes up one application.
    fn application(&self, index: usize, shift: usize, random: &mut Random) -> Application {
        let version = if random.once_in(4) { 2 } else { 1 };
        let sizes = [None, None, Some(ByteCount::mebibytes(64))];
        let has_volume = (index % 3 != 2) != random.once_in(12);
        let volume = has_volume.then(|| VolumeSpecification {
            mountpoint: name("/data"),
            maximum_size: random.of(&sizes).copied().flatten(),
        });
        let outside = 8000 + (index + shift) % self.applications;
        let routes = if random.once_in(5) {
            BTreeMap::new()
        } else {
            BTreeMap::from([(port(outside), port(80))])
        };
        let mut links = BTreeSet::new();
        if random.once_in(2) {
            let target = random.below(self.applications);
            if target != index {
                let inside = if random.once_in(2) { 80 } else { 81 };
                links.insert(Link {
                    target: application_name(target),
                    port: port(inside),
                    local_port: port(inside),
                });
            }
        }
        let restart = match index % 4 {
            1 => RestartPolicy::Never,
            3 => RestartPolicy::OnFailure,
            _ => RestartPolicy::Always,
        };
        Application {
            image: name(&format!("image-{}:{version}", index % 4)),
            command: None,
            environment: BTreeMap::from([("SIZE".to_owned(), random.below(3).to_string())]),
            volume,
            routes,
            links,
            memory: None,
            cpu: None,
            restart,
        }
    }
}
