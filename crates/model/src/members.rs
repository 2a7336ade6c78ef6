//! The machines of a cluster, as each of its nodes remembers them.

use std::collections::{BTreeMap, BTreeSet, btree_map};

use serde::{Deserialize, Serialize};

use crate::{ApplicationName, Contact, NodeId, NodeName, SshIdentity};

/// One machine that a deployment has used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its identity.
    pub id: NodeId,
    /// What the last deployment that used it called it. Another machine may have that name by now.
    pub name: NodeName,
    /// How its peers reach it.
    pub contact: Contact,
    /// The keys that its peers accept and expect.
    pub ssh: SshIdentity,
    /// Whether a deployment that omits it was applied in full while it was looked at: nothing of ours
    /// runs there since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub emptied: bool,
    /// The applications whose volumes it owned when a deployment was last applied in full while it was
    /// looked at.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub volumes: BTreeSet<ApplicationName>,
}

/// A machine that is gone for good, as the operator said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgottenMachine {
    /// Its identity.
    pub id: NodeId,
    /// What it was called.
    pub name: NodeName,
    /// The key with which it pushed to its peers. It opens nothing any more.
    pub public_key: String,
    /// The applications whose volumes it may have owned. Other nodes tell it that it does not own them
    /// any more.
    pub volumes: BTreeSet<ApplicationName>,
    /// When that was said, in seconds since 1970.
    pub at: u64,
}

/// Every machine that a deployment has used, by its identity; each node keeps a copy.
///
/// Names and addresses may go from one machine to another. What is known of a machine does not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Recorded", into = "Written")]
pub struct Members {
    machines: BTreeMap<NodeId, Member>,
    forgotten: BTreeMap<NodeId, ForgottenMachine>,
}

impl Members {
    /// Knows of no machine.
    pub const fn new() -> Self {
        Self {
            machines: BTreeMap::new(),
            forgotten: BTreeMap::new(),
        }
    }

    /// Tells whether no machine is known, nor was.
    pub fn is_empty(&self) -> bool {
        self.machines.is_empty() && self.forgotten.is_empty()
    }

    /// Counts the machines.
    pub fn len(&self) -> usize {
        self.machines.len()
    }

    /// Returns a machine.
    pub fn get(&self, id: NodeId) -> Option<&Member> {
        self.machines.get(&id)
    }

    /// Tells whether a machine is known.
    pub fn contains(&self, id: NodeId) -> bool {
        self.machines.contains_key(&id)
    }

    /// Lists the machines.
    pub fn iter(&self) -> btree_map::Values<'_, NodeId, Member> {
        self.machines.values()
    }

    /// Lists the machines that were last called `name`; more than one if the name was given to
    /// another.
    pub fn named(&self, name: &NodeName) -> impl Iterator<Item = &Member> {
        self.machines
            .values()
            .filter(move |member| member.name == *name)
    }

    /// Adds a machine, or replaces what was known of it. One that was forgotten stays so.
    pub fn insert(&mut self, member: Member) {
        if !self.forgotten.contains_key(&member.id) {
            self.machines.insert(member.id, member);
        }
    }

    /// Gives a machine up.
    pub fn forget(&mut self, machine: ForgottenMachine) {
        self.machines.remove(&machine.id);
        self.forgotten.insert(machine.id, machine);
    }

    /// Lists the machines that were given up.
    pub fn all_forgotten(&self) -> btree_map::Values<'_, NodeId, ForgottenMachine> {
        self.forgotten.values()
    }

    /// Returns a machine that was given up.
    pub fn forgotten(&self, id: NodeId) -> Option<&ForgottenMachine> {
        self.forgotten.get(&id)
    }

    /// Keeps those machines that `is_kept` accepts.
    pub fn retain(&mut self, mut is_kept: impl FnMut(&Member) -> bool) {
        self.machines.retain(|_, member| is_kept(member));
    }

    /// Knows of no machine from now on.
    pub fn clear(&mut self) {
        *self = Self::new();
    }
}

impl FromIterator<Member> for Members {
    fn from_iter<T: IntoIterator<Item = Member>>(machines: T) -> Self {
        let machines = machines.into_iter();
        Self {
            machines: machines.map(|member| (member.id, member)).collect(),
            forgotten: BTreeMap::new(),
        }
    }
}

impl<'a> IntoIterator for &'a Members {
    type Item = &'a Member;
    type IntoIter = btree_map::Values<'a, NodeId, Member>;

    fn into_iter(self) -> Self::IntoIter {
        self.machines.values()
    }
}

impl IntoIterator for Members {
    type Item = Member;
    type IntoIter = btree_map::IntoValues<NodeId, Member>;

    fn into_iter(self) -> Self::IntoIter {
        self.machines.into_values()
    }
}

/// The machines as this release writes them.
#[derive(Serialize, Deserialize)]
struct Written {
    /// In the order of their identities.
    machines: Vec<Member>,
    /// Those that were given up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    forgotten: Vec<ForgottenMachine>,
}

/// The machines as this release and earlier ones have written them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Recorded {
    /// As now.
    Written(Written),
    /// By their names, as earlier releases wrote them.
    ByName(BTreeMap<NodeName, FormerMember>),
}

/// A machine as an earlier release wrote it.
#[derive(Deserialize)]
struct FormerMember {
    id: NodeId,
    contact: Contact,
    ssh: SshIdentity,
}

impl From<Recorded> for Members {
    fn from(recorded: Recorded) -> Self {
        match recorded {
            Recorded::Written(written) => {
                let mut members: Self = written.machines.into_iter().collect();
                for machine in written.forgotten {
                    members.forget(machine);
                }
                members
            }
            Recorded::ByName(members) => members
                .into_iter()
                .map(|(name, FormerMember { id, contact, ssh })| Member {
                    id,
                    name,
                    contact,
                    ssh,
                    emptied: false,
                    volumes: BTreeSet::new(),
                })
                .collect(),
        }
    }
}

impl From<Members> for Written {
    fn from(members: Members) -> Self {
        Self {
            machines: members.machines.into_values().collect(),
            forgotten: members.forgotten.into_values().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    /// As an earlier release wrote it.
    const FORMER: &str = r#"{"node2": {"id": "00000000-0000-0000-0000-000000000002",
        "contact": {"address": "10.0.0.2", "ssh_port": 22},
        "ssh": {"public_key": "ssh-ed25519 AAAA", "host_keys": []}}}"#;

    fn id(number: u128) -> NodeId {
        NodeId(Uuid::from_u128(number))
    }

    #[test]
    fn the_record_of_an_earlier_release_is_read() {
        let read: Members = serde_json::from_str(FORMER).unwrap();
        let member = read.get(id(2)).unwrap();
        assert_eq!(member.name.as_str(), "node2");
        assert_eq!(member.ssh.public_key, "ssh-ed25519 AAAA");
        let written = serde_json::to_string(&read).unwrap();
        assert_eq!(serde_json::from_str::<Members>(&written).unwrap(), read);
        let nothing: Members = serde_json::from_str("{}").unwrap();
        assert!(nothing.is_empty());
    }

    #[test]
    fn a_forgotten_machine_stays_forgotten() {
        let mut members: Members = serde_json::from_str(FORMER).unwrap();
        let member = members.get(id(2)).unwrap().clone();
        members.forget(ForgottenMachine {
            id: id(2),
            name: member.name.clone(),
            public_key: member.ssh.public_key.clone(),
            volumes: BTreeSet::from(["db".parse().unwrap()]),
            at: 1_795_402_590,
        });
        members.insert(member);
        assert!(!members.contains(id(2)));
        let written = serde_json::to_string(&members).unwrap();
        let read: Members = serde_json::from_str(&written).unwrap();
        assert_eq!(read, members);
        assert_eq!(read.forgotten(id(2)).unwrap().at, 1_795_402_590);
    }

    /// As after a name was given to another machine.
    #[test]
    fn two_machines_of_one_name_are_remembered() {
        let mut members: Members = serde_json::from_str(FORMER).unwrap();
        let member = members.get(id(2)).unwrap().clone();
        let name = member.name.clone();
        members.insert(Member {
            id: id(3),
            ..member
        });
        let written = serde_json::to_string(&members).unwrap();
        let read: Members = serde_json::from_str(&written).unwrap();
        assert_eq!(read.named(&name).count(), 2);
    }
}
