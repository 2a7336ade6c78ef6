//! Where to run it: the whole of what an operator asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Application, ApplicationName, Digest, NodeName};

/// Both configuration files, validated: applications and their places.
///
/// Made by `flocker-config`, which guarantees that every placed application is defined and placed
/// once, that links have targets, and that no two applications share an external port.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Deployment {
    /// The applications by name, whether placed or not.
    pub applications: BTreeMap<ApplicationName, Application>,
    /// The applications of each node; a node may have none.
    pub nodes: BTreeMap<NodeName, BTreeSet<ApplicationName>>,
}

impl Deployment {
    /// Returns the node that `application` is placed on.
    pub fn place_of(&self, application: &ApplicationName) -> Option<&NodeName> {
        self.nodes
            .iter()
            .find(|(_, placed)| placed.contains(application))
            .map(|(node, _)| node)
    }

    /// Lists the placed applications with their node, in the order of their names.
    pub fn placed(&self) -> impl Iterator<Item = (&ApplicationName, &Application, &NodeName)> {
        self.applications.iter().filter_map(|(name, application)| {
            self.place_of(name).map(|node| (name, application, node))
        })
    }

    /// Lists the applications that are placed and have a volume, each with its node.
    fn places_of_volumes(&self) -> BTreeMap<ApplicationName, NodeName> {
        self.placed()
            .filter(|(_, application, _)| application.volume.is_some())
            .map(|(name, _, node)| (name.clone(), node.clone()))
            .collect()
    }

    /// Fingerprints the deployment: equal files have equal ids.
    pub fn id(&self) -> DeploymentId {
        DeploymentId(Digest::of(self))
    }
}

/// Names one deployment by its content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeploymentId(pub Digest);

impl fmt::Display for DeploymentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The last deployment that was applied in full, as every node of it remembers.
///
/// It has nothing in it that an application was given: a node keeps the passwords of those that it
/// runs, with each of them, and no others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "RecordedDeployment")]
pub struct AppliedDeployment {
    /// Its fingerprint.
    pub id: DeploymentId,
    /// What this node is called in it.
    pub node: NodeName,
    /// The node that each application with a volume was placed on.
    pub volumes: BTreeMap<ApplicationName, NodeName>,
    /// Whether an earlier release wrote the record: with the environments of all applications.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub has_environments: bool,
}

impl AppliedDeployment {
    /// Describes `deployment` for the node that is called `node` in it.
    pub fn new(deployment: &Deployment, node: &NodeName) -> Self {
        Self {
            id: deployment.id(),
            node: node.clone(),
            volumes: deployment.places_of_volumes(),
            has_environments: false,
        }
    }
}

/// The record as this release and earlier ones write it.
#[derive(Deserialize)]
struct RecordedDeployment {
    id: DeploymentId,
    node: NodeName,
    #[serde(default)]
    volumes: BTreeMap<ApplicationName, NodeName>,
    #[serde(default)]
    has_environments: bool,
    /// Earlier releases recorded all of it on every node.
    deployment: Option<Deployment>,
}

impl From<RecordedDeployment> for AppliedDeployment {
    fn from(recorded: RecordedDeployment) -> Self {
        let former = recorded.deployment;
        Self {
            id: recorded.id,
            node: recorded.node,
            has_environments: recorded.has_environments || former.is_some(),
            volumes: match former {
                Some(deployment) => deployment.places_of_volumes(),
                None => recorded.volumes,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_an_earlier_release_is_read_without_its_secrets() {
        let application = |more: &str| {
            format!(
                r#"{{"image":"postgres","command":null,"environment":{{"PASSWORD":"xyzzy"}},
                "routes":{{}},"links":[],"memory":null,"cpu":null,"restart":"always",{more}}}"#
            )
        };
        let text = format!(
            r#"{{"id":"0123","node":"node1","deployment":{{"applications":{{"db":{},"web":{}}},
            "nodes":{{"node1":["web"],"node2":["db"]}}}}}}"#,
            application(r#""volume":{"mountpoint":"/data","maximum_size":null}"#),
            application(r#""volume":null"#),
        );
        let read: AppliedDeployment = serde_json::from_str(&text).unwrap();
        assert!(read.has_environments);
        let volumes = BTreeMap::from([("db".parse().unwrap(), "node2".parse().unwrap())]);
        assert_eq!(read.volumes, volumes);
        let written = serde_json::to_string(&read).unwrap();
        assert!(!written.contains("xyzzy"), "{written}");
        // The operator's side has to learn that the file is to be written again.
        assert_eq!(
            serde_json::from_str::<AppliedDeployment>(&written).unwrap(),
            read
        );
    }

    #[test]
    fn a_record_survives_the_wire() {
        let applied = AppliedDeployment::new(&Deployment::default(), &"node1".parse().unwrap());
        let text = serde_json::to_string(&applied).unwrap();
        assert!(!text.contains("has_environments"), "{text}");
        let read: AppliedDeployment = serde_json::from_str(&text).unwrap();
        assert_eq!(read, applied);
    }
}
