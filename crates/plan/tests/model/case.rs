//! What a case is made of: machines, applications, and a sequence of goals.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use flocker_model::{
    Application, ApplicationName, ByteCount, DependencyCondition, Deployment, Link,
    LoopbackAddress, NodeName, Port, Protocol, RestartPolicy, Route, RoutePort, ServicePort,
    SharedMount, SharedVolume, VolumeLayout, VolumeSpecification,
};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any};

use crate::random::Random;

/// One run of the model: small numbers that say everything, so that a failing one can be shrunk.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) nodes: usize,
    pub(crate) applications: usize,
    /// What is wanted, one after the other.
    pub(crate) turns: Vec<Turn>,
    /// Decides what is left to chance even when nothing goes wrong: in which order steps are done,
    /// and who writes when.
    pub(crate) seed: u64,
}

/// One goal, and what goes wrong on the way to it.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    /// Decides what is wanted.
    pub(crate) goal: u64,
    pub(crate) faults: Vec<Fault>,
}

/// Something that goes wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    /// How many deploys and steps begin undisturbed before it strikes.
    pub(crate) after: usize,
    /// Decides what it is.
    pub(crate) seed: u64,
}

/// Makes cases.
pub(crate) fn cases() -> impl Strategy<Value = Case> {
    (2..6_usize, 1..9_usize, vec(turns(), 1..6), numbers()).prop_map(
        |(nodes, applications, turns, seed)| Case {
            nodes,
            applications,
            turns,
            seed,
        },
    )
}

/// Makes a goal, and often several things that go wrong.
fn turns() -> impl Strategy<Value = Turn> {
    let faults = (0..16_usize, numbers()).prop_map(|(after, seed)| Fault { after, seed });
    (numbers(), vec(faults, 0..10)).prop_map(|(goal, faults)| Turn { goal, faults })
}

/// Makes numbers of which a smaller one is no simpler.
fn numbers() -> impl Strategy<Value = u64> {
    any::<u64>().no_shrink()
}

/// How the applications are distributed to the machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Distribution {
    /// Each goes anywhere.
    Scattered,
    /// Each goes to the machine after its last: two machines swap theirs, three go round.
    Rotated,
    /// All go to one.
    Gathered,
}

const DISTRIBUTIONS: [Distribution; 4] = [
    Distribution::Scattered,
    Distribution::Scattered,
    Distribution::Rotated,
    Distribution::Gathered,
];

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
    pub(crate) fn goal(&self, seed: u64, before: Option<&Deployment>) -> Deployment {
        let mut random = Random::new(seed);
        let included = self.included(before, &mut random);
        let distribution = random.of(&DISTRIBUTIONS).copied();
        let gathered = random.of(&included).copied().unwrap_or(0);
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
            let anywhere = random.of(&included).copied().unwrap_or(0);
            let last = before.and_then(|before| before.place_of(&name));
            let place = match (distribution, last) {
                (Some(Distribution::Gathered), _) => gathered,
                (Some(Distribution::Rotated), Some(last)) => next_after(last, &included),
                _ => anywhere,
            };
            deployment.applications.insert(name.clone(), application);
            if !random.once_in(6)
                && let Some(placed) = deployment.nodes.get_mut(&node_name(place))
            {
                placed.insert(name);
            }
        }
        self.share(&mut deployment, seed);
        deployment
    }

    /// Lets some applications without a volume see that of another, where that is placed.
    fn share(&self, deployment: &mut Deployment, seed: u64) {
        // By numbers of their own: what else is left to chance does not depend on them.
        let mut random = Random::new(!seed);
        let owners: Vec<ApplicationName> = deployment
            .placed()
            .filter(|(_, application, _)| application.volume.is_some())
            .map(|(name, ..)| name.clone())
            .collect();
        for index in 0..self.applications {
            let name = application_name(index);
            let Some(owner) = random.of(&owners) else {
                continue;
            };
            // A configuration with such a circle is refused.
            if leads_to(deployment, owner, &name) {
                continue;
            }
            let is_placed = deployment.place_of(&name).is_some();
            let place = deployment.place_of(owner).cloned();
            let Some(application) = deployment.applications.get_mut(&name) else {
                continue;
            };
            if !sees_anothers(index) || random.once_in(3) {
                continue;
            }
            let mount = SharedMount {
                directory: None,
                read_only: false,
            };
            application.shared = Some(SharedVolume {
                application: owner.clone(),
                mounts: BTreeMap::from([(crate::case::name("/shared"), mount)]),
            });
            for (node, placed) in &mut deployment.nodes {
                placed.remove(&name);
                if is_placed && Some(node) == place.as_ref() {
                    placed.insert(name.clone());
                }
            }
        }
    }

    /// Chooses the machines of a deployment.
    ///
    /// It has one in common with the deployment before: from others nobody could learn what was
    /// there before.
    fn included(&self, before: Option<&Deployment>, random: &mut Random) -> Vec<usize> {
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
        included
    }

    /// Makes up one application.
    fn application(&self, index: usize, shift: usize, random: &mut Random) -> Application {
        let version = if random.once_in(4) { 2 } else { 1 };
        let sizes = [None, None, Some(ByteCount::mebibytes(64))];
        let differs = random.once_in(12);
        let has_volume = !sees_anothers(index) && !differs;
        let volume = has_volume.then(|| VolumeSpecification {
            layout: VolumeLayout::Whole {
                mountpoint: name("/data"),
            },
            maximum_size: random.of(&sizes).copied().flatten(),
        });
        let outside = 8000 + (index + shift) % self.applications;
        let routes = if random.once_in(5) {
            BTreeMap::new()
        } else {
            BTreeMap::from([route(port(outside), random)])
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
                    protocol: random.of(&Protocol::ALL).copied().unwrap_or_default(),
                    address: loopback(random),
                });
            }
        }
        let restart = match index % 4 {
            1 => RestartPolicy::Never,
            3 => RestartPolicy::OnFailure,
            _ => RestartPolicy::Always,
        };
        // On earlier ones alone, so that there is no circle.
        let mut depends_on = BTreeMap::new();
        if index > 0 && random.once_in(2) {
            let conditions = [
                DependencyCondition::Started,
                DependencyCondition::Healthy,
                DependencyCondition::Completed,
            ];
            let condition = random.of(&conditions).copied();
            let on = application_name(random.below(index));
            depends_on.extend(condition.map(|condition| (on, condition)));
        }
        Application {
            depends_on,
            environment: BTreeMap::from([("SIZE".to_owned(), random.below(3).to_string().into())]),
            volume,
            routes,
            links,
            restart,
            ..Application::new(name(&format!("image-{}:{version}", index % 4)))
        }
    }
}

/// Tells whether an application may see another's volume. It never has one of its own, since a change from
/// one to the other is refused.
const fn sees_anothers(index: usize) -> bool {
    index % 3 == 2
}

/// Tells whether an application is started after another, by what it depends on and whose volume it sees.
fn leads_to(deployment: &Deployment, from: &ApplicationName, to: &ApplicationName) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(name) = open.pop() {
        if name == to {
            return true;
        }
        if let Some(application) = deployment.applications.get(name)
            && seen.insert(name)
        {
            let owner = application
                .shared
                .as_ref()
                .map(|shared| &shared.application);
            open.extend(application.depends_on.keys().chain(owner));
        }
    }
    false
}

/// Makes up what answers on a port: mostly a service of TCP for everybody.
/// An address for a link, most often the one that has no need to be written.
fn loopback(random: &mut Random) -> LoopbackAddress {
    let other = LoopbackAddress::try_from(Ipv4Addr::new(127, 1, 0, 5));
    let other = other.ok().filter(|_| random.once_in(4));
    other.unwrap_or_default()
}

fn route(port: Port, random: &mut Random) -> (RoutePort, Route) {
    let protocol = if random.once_in(4) {
        Protocol::Udp
    } else {
        Protocol::Tcp
    };
    let outside = RoutePort {
        address: random.once_in(8).then_some(Ipv4Addr::LOCALHOST),
        port: ServicePort { protocol, port },
    };
    let mut route = Route::from(self::port(80));
    if random.once_in(8) {
        route.from.insert(Ipv4Addr::LOCALHOST.into());
    }
    (outside, route)
}

/// Finds the machine after `last`, or the first of all.
fn next_after(last: &NodeName, included: &[usize]) -> usize {
    let mut sorted = included.to_vec();
    sorted.sort_unstable();
    let later = sorted.iter().find(|node| node_name(**node) > *last);
    later.or(sorted.first()).copied().unwrap_or(0)
}
