//! Which service owns the data that several have.
//!
//! The choice depends on what services do with the data, so that another reader, another order of
//! items or another volume elsewhere gives the data no other owner.

use std::collections::{BTreeMap, BTreeSet};

use crate::adopt::dependencies::dependencies;
use crate::adopt::mount::{Data, Mount, Origin};
use crate::adopt::ports_of_images::ports_of_image;
use crate::adopt::project::{Project, Service};
use crate::adopt::yaml::Yaml;

/// The service that owns each piece of data.
pub(crate) type Owners = BTreeMap<Data, usize>;

/// Images whose programs show files that others write.
const SHOW_FILES: &[&str] = &["caddy", "httpd", "nginx"];

/// The services that have a piece of data, and whether they can write it.
type Users = BTreeMap<usize, bool>;

/// Chooses an owner for all data.
///
/// A service that only reads the data, or a job that another one waits for, owns it only if nothing
/// else can. An application cannot see another's volume and have one of its own, so that data that is
/// connected by services has one owner if some service has all of it. Among several, one that others
/// depend on comes first, then a server, and then the first in the file.
pub(crate) fn owners(project: &Project, mounts: &[Vec<Mount>]) -> Owners {
    let mut all: BTreeMap<&Data, Users> = BTreeMap::new();
    for (index, mounts) in mounts.iter().enumerate() {
        for mount in mounts {
            if let Origin::Data(data) = &mount.origin {
                let users = all.entry(data).or_default();
                *users.entry(index).or_default() |= !mount.read_only;
            }
        }
    }
    let relations = Relations::of(project);
    let mut owners = Owners::new();
    for group in groups(&all) {
        let members: BTreeSet<usize> = group
            .iter()
            .flat_map(|data| all[data].keys())
            .copied()
            .collect();
        let possible: Vec<BTreeSet<usize>> = group
            .iter()
            .map(|data| relations.possible(&all[data]))
            .collect();
        let has_all = |index: &usize| possible.iter().all(|set| set.contains(index));
        let of_all: Vec<usize> = members.iter().copied().filter(has_all).collect();
        for (data, possible) in group.iter().zip(&possible) {
            let candidates = if of_all.is_empty() {
                possible.iter().copied().collect()
            } else {
                of_all.clone()
            };
            let owner = relations.first(&candidates, &members);
            owners.extend(owner.map(|owner| ((*data).clone(), owner)));
        }
    }
    owners
}

/// Divides data into groups that are connected by services.
fn groups<'d>(all: &BTreeMap<&'d Data, Users>) -> Vec<Vec<&'d Data>> {
    let mut parents: Vec<usize> = (0..all.len()).collect();
    let root = |parents: &mut Vec<usize>, mut at: usize| {
        while parents[at] != at {
            parents[at] = parents[parents[at]];
            at = parents[at];
        }
        at
    };
    let mut first_of: BTreeMap<usize, usize> = BTreeMap::new();
    for (number, users) in all.values().enumerate() {
        for user in users.keys() {
            let first = *first_of.entry(*user).or_insert(number);
            let (one, other) = (root(&mut parents, first), root(&mut parents, number));
            parents[one.max(other)] = one.min(other);
        }
    }
    let mut groups: BTreeMap<usize, Vec<&Data>> = BTreeMap::new();
    for (number, data) in all.keys().enumerate() {
        let group = root(&mut parents, number);
        groups.entry(group).or_default().push(data);
    }
    groups.into_values().collect()
}

/// The relations between services.
struct Relations {
    /// The services that each service depends on, those behind them included.
    needed: Vec<BTreeSet<usize>>,
    /// The jobs: another service waits for their end.
    jobs: BTreeSet<usize>,
    servers: BTreeSet<usize>,
}

impl Relations {
    fn of(project: &Project) -> Self {
        let names = project.services.iter().zip(0..);
        let numbers: BTreeMap<&str, usize> = names
            .map(|(service, index)| (service.name.value.as_str(), index))
            .collect();
        let mut direct: Vec<Vec<usize>> = Vec::new();
        let mut jobs = BTreeSet::new();
        for service in &project.services {
            let mut targets = Vec::new();
            for dependency in dependencies(service) {
                let Some(target) = numbers.get(dependency.name).copied() else {
                    continue;
                };
                targets.push(target);
                jobs.extend(dependency.is_waited_for.then_some(target));
            }
            direct.push(targets);
        }
        let servers = project.services.iter().zip(0..);
        let servers = servers.filter(|(service, _)| is_server(service));
        Self {
            needed: (0..direct.len())
                .map(|start| reached(start, &direct))
                .collect(),
            jobs,
            servers: servers.map(|(_, index)| index).collect(),
        }
    }

    /// Returns the services that may own what `users` have.
    fn possible(&self, users: &Users) -> BTreeSet<usize> {
        let writers = users.iter().filter(|(_, writes)| **writes);
        let writers: BTreeSet<usize> = writers.map(|(index, _)| *index).collect();
        let lasting: BTreeSet<usize> = writers.difference(&self.jobs).copied().collect();
        [lasting, writers]
            .into_iter()
            .find(|set| !set.is_empty())
            .unwrap_or_else(|| users.keys().copied().collect())
    }

    /// Chooses one of several services; `members` have some of the data.
    fn first(&self, candidates: &[usize], members: &BTreeSet<usize>) -> Option<usize> {
        let needs = |one: usize, other: usize| one != other && self.needed[one].contains(&other);
        candidates.iter().copied().min_by_key(|one| {
            let mut others = candidates.iter();
            let is_behind = others.any(|other| needs(*one, *other) && !needs(*other, *one));
            let is_needed = members.iter().any(|other| needs(*other, *one));
            let is_server = self.servers.contains(one);
            (is_behind, !is_needed, !is_server, *one)
        })
    }
}

/// Returns everything that `start` leads to.
fn reached(start: usize, direct: &[Vec<usize>]) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut open = vec![start];
    while let Some(index) = open.pop() {
        for target in &direct[index] {
            if reached.insert(*target) {
                open.push(*target);
            }
        }
    }
    reached
}

/// Tells whether a service runs the server of its image, which keeps data.
fn is_server(service: &Service) -> bool {
    let image = service
        .get("image")
        .and_then(Yaml::text)
        .unwrap_or_default();
    let name = image.rsplit('/').next().unwrap_or(image);
    let name = name.split([':', '@']).next().unwrap_or(name);
    service.get("entrypoint").is_none()
        && !SHOW_FILES.contains(&name)
        && !ports_of_image(image).is_empty()
}
