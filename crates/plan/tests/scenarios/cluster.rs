//! A few machines, what is deployed on them, and plans as text.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{
    Application, ApplicationName, ByteCount, Contact, ContainerStatus, Deployment, ImageId, NodeId,
    NodeMemory, NodeName, NodeObservation, NodeState, Observed, OperatorImage, OperatorStore,
    PoolHealth, PoolProblem, PoolState, PoollessNode, Port, SshIdentity, UnitState, VolumeCopy,
    VolumeLayout,
};
use flocker_plan::{
    Action, Goal, Plan, Scope, StepId, Yield, check, check_starts, plan, plan_restore, simulate,
};

/// Reads a name that is written here.
pub(crate) fn name<T: TryFrom<String>>(text: &str) -> T {
    T::try_from(text.to_owned()).unwrap_or_else(|_| panic!("`{text}` is not a name"))
}

/// Makes a port.
pub(crate) fn port(number: u16) -> Port {
    Port::new(number).unwrap_or_else(|| panic!("{number} is not a port"))
}

/// An application with nothing but an image.
pub(crate) fn application(image: &str) -> Application {
    Application::new(name(image))
}

/// The same with a volume.
pub(crate) fn with_volume(mut application: Application) -> Application {
    application.volume = Some(flocker_model::VolumeSpecification {
        layout: VolumeLayout::Whole {
            mountpoint: name("/data"),
        },
        maximum_size: None,
    });
    application
}

/// The same with a port that answers everywhere.
pub(crate) fn with_route(mut application: Application, number: u16) -> Application {
    application
        .routes
        .insert(port(number).into(), port(number).into());
    application
}

/// The same with a link.
pub(crate) fn with_link(mut application: Application, target: &str, number: u16) -> Application {
    application.links.insert(flocker_model::Link {
        target: name(target),
        port: port(number),
        local_port: port(number),
        protocol: flocker_model::Protocol::Tcp,
        address: flocker_model::LoopbackAddress::LOCALHOST,
    });
    application
}

/// A small database: volume and route.
pub(crate) fn database() -> Application {
    with_route(with_volume(application("postgres")), 5432)
}

/// A small web server: no volume.
pub(crate) fn web() -> Application {
    with_route(application("nginx"), 80)
}

/// Puts applications on nodes: `("1", &["db"])` is `db` on 1.1.1.1.
pub(crate) fn deployment(
    applications: &[(&str, Application)],
    placed: &[(&str, &[&str])],
) -> Deployment {
    Deployment {
        applications: applications
            .iter()
            .map(|(text, application)| (name(text), application.clone()))
            .collect(),
        nodes: placed
            .iter()
            .map(|(node, placed)| {
                (
                    node_name(node),
                    placed.iter().map(|text| name(text)).collect(),
                )
            })
            .collect(),
    }
}

/// Names a machine by its last number.
pub(crate) fn node_name(number: &str) -> NodeName {
    name(&format!("1.1.1.{number}"))
}

/// The seed's first example.
pub(crate) fn seed(database_on: &str) -> Deployment {
    let trac = with_link(
        with_link(
            with_route(with_volume(application("clusterhq/trac")), 443),
            "pgsql-trac",
            5432,
        ),
        "elasticsearch-trac",
        5000,
    );
    let search = with_route(with_volume(application("clusterhq/elasticsearch")), 9200);
    let kibana = with_link(
        with_route(with_volume(application("clusterhq/kibana")), 8443),
        "elasticsearch-trac",
        9200,
    );
    let database = with_route(with_volume(application("clusterhq/postgresql")), 5432);
    let mut seed = deployment(
        &[
            ("trac", trac),
            ("pgsql-trac", database),
            ("elasticsearch-trac", search),
            ("kibana-trac", kibana),
        ],
        &[
            ("1", &["trac"]),
            ("2", &["elasticsearch-trac", "kibana-trac"]),
        ],
    );
    if let Some(placed) = seed.nodes.get_mut(&node_name(database_on)) {
        placed.insert(name("pgsql-trac"));
    }
    seed
}

/// Machines as they are seen.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    pub(crate) observed: Observed,
    /// What machines remember of which nothing else is seen.
    unseen: BTreeMap<NodeName, NodeMemory>,
}

impl Cluster {
    /// Machines 1.1.1.1 to 1.1.1.`count` on which nothing of ours ever was.
    pub(crate) fn new(count: u8) -> Self {
        let mut cluster = Self {
            observed: Observed::default(),
            unseen: BTreeMap::new(),
        };
        for number in 1..=count {
            cluster.join(number);
        }
        cluster
    }

    /// Adds a machine.
    pub(crate) fn join(&mut self, number: u8) {
        let node = node_name(&number.to_string());
        let id = NodeId(uuid::Uuid::from_u128(u128::from(number)));
        let pool = PoolState {
            dataset: "tank/flocker".to_owned(),
            health: PoolHealth::Usable,
            available: ByteCount::mebibytes(1024),
            sync_disabled: None,
        };
        let state = NodeState {
            contact: node.as_address().map(|address| Contact {
                address,
                ssh_port: port(22),
            }),
            ssh: SshIdentity {
                public_key: format!("ssh-ed25519 {node}"),
                host_keys: vec![],
            },
            listening: BTreeSet::from([port(22).into()]),
            ..NodeState::fresh(id, "0.1.0", pool)
        };
        let seen = NodeObservation::Seen(Box::new(state));
        self.observed.nodes.insert(node, seen);
    }

    /// Makes a cluster in which a deployment is as wanted.
    pub(crate) fn running(count: u8, deployment: &Deployment) -> Self {
        let mut cluster = Self::new(count);
        cluster.deploy(deployment);
        cluster
    }

    /// Gives the operator's machine an archive of an image.
    pub(crate) fn operator_has(&mut self, image: &str) {
        let details = ImageId(image.to_owned()).into();
        let store = OperatorStore::Archive;
        self.add_operator_image(image, OperatorImage { store, details });
    }

    /// Gives the operator's machine a copy of an image.
    pub(crate) fn add_operator_image(&mut self, image: &str, copy: OperatorImage) {
        let images = &mut self.observed.operator_images;
        images.entry(name(image)).or_default().push(copy);
    }

    /// Gives a machine an image, in the place of another of that name.
    pub(crate) fn has_image(&mut self, number: &str, image: &str, id: &str) {
        let id = ImageId(id.to_owned());
        self.machine(number).images.insert(name(image), id.into());
    }

    /// Returns a machine for changing.
    pub(crate) fn machine(&mut self, number: &str) -> &mut NodeState {
        match self.observed.nodes.get_mut(&node_name(number)) {
            Some(NodeObservation::Seen(state)) => state,
            _ => panic!("there is no machine {number}"),
        }
    }

    /// Returns all machines for changing.
    pub(crate) fn states_mut(&mut self) -> impl Iterator<Item = &mut NodeState> {
        self.observed
            .nodes
            .values_mut()
            .filter_map(|found| match found {
                NodeObservation::Seen(state) => Some(state.as_mut()),
                _ => None,
            })
    }

    /// Returns a machine's copy of a volume for changing.
    pub(crate) fn copy(&mut self, number: &str, application: &str) -> &mut VolumeCopy {
        let application: ApplicationName = name(application);
        let copy = self.machine(number).volumes.get_mut(&application);
        copy.unwrap_or_else(|| panic!("{application} has no copy on {number}"))
    }

    /// Loses sight of a machine.
    pub(crate) fn lose(&mut self, number: &str) {
        let reason = "no route to host".to_owned();
        self.observed
            .nodes
            .insert(node_name(number), NodeObservation::Unreachable { reason });
    }

    /// Takes a machine's pool out of reach; the machine answers as before.
    pub(crate) fn lose_pool(&mut self, number: &str, problem: PoolProblem) {
        let state = self.machine(number);
        let poolless = PoollessNode {
            id: state.id,
            version: state.version.clone(),
            pool: state.pool.pool().to_owned(),
            problem,
            members: state.members.clone(),
        };
        let remembered = std::mem::take(&mut state.remembered);
        self.unseen.insert(node_name(number), remembered);
        let lost = NodeObservation::WithoutPool(Box::new(poolless));
        self.observed.nodes.insert(node_name(number), lost);
    }

    /// Somebody else changes a machine, which does not let itself be looked at meanwhile.
    pub(crate) fn occupy(&mut self, number: &str) {
        let reason = "somebody has been changing it".to_owned();
        self.observed
            .nodes
            .insert(node_name(number), NodeObservation::Unusable { reason });
    }

    /// Cuts a machine's power and boots it.
    pub(crate) fn reboot(&mut self, number: &str) {
        let state = self.machine(number);
        state.network = None;
        for container in state.containers.values_mut() {
            container.status = ContainerStatus::Stopped { exit_code: 137 };
            container.unit = UnitState::Missing;
            container.links = None;
        }
        for copy in state.volumes.values_mut() {
            copy.mounted = None;
        }
    }

    /// Applications write to their volumes.
    pub(crate) fn write(&mut self) {
        for observation in self.observed.nodes.values_mut() {
            if let NodeObservation::Seen(state) = observation {
                for copy in state.volumes.values_mut() {
                    if copy.mounted.is_some() {
                        copy.written = ByteCount::mebibytes(1);
                        copy.referenced = copy.referenced.saturating_add(copy.written);
                    }
                }
            }
        }
    }

    /// Plans a deployment of every node.
    pub(crate) fn plan(&self, deployment: &Deployment) -> Plan {
        self.plan_in(deployment, Scope::Cluster)
    }

    /// Plans what one machine can do alone.
    pub(crate) fn plan_alone(&self, deployment: &Deployment, number: &str) -> Plan {
        let node = node_name(number);
        let mut alone = self.clone();
        for (other, observation) in &mut alone.observed.nodes {
            if *other != node {
                *observation = NodeObservation::NotAsked;
            }
        }
        alone.plan_in(deployment, Scope::Node(node))
    }

    /// Plans what a machine brings back by itself.
    pub(crate) fn plan_restore(&self, number: &str) -> Plan {
        let node = node_name(number);
        let mut alone = self.clone();
        for (other, observation) in &mut alone.observed.nodes {
            if *other != node {
                *observation = NodeObservation::NotAsked;
            }
        }
        let seen = self.observed.node(&node).map(|state| &state.remembered);
        let memory = seen.or_else(|| self.unseen.get(&node));
        let memory = memory.cloned().unwrap_or_default();
        let made = plan_restore(&node, &memory, &alone.observed);
        let violations = check(&made, &alone.observed);
        assert!(violations.is_empty(), "{violations:?}\n{made}");
        made
    }

    fn plan_in(&self, deployment: &Deployment, scope: Scope) -> Plan {
        self.plan_for(&Goal::new(deployment, scope))
    }

    /// Plans a deployment of every node in which volumes may be new whatever indicates that they exist.
    pub(crate) fn plan_with_new_volumes(&self, deployment: &Deployment) -> Plan {
        self.plan_for(&Goal {
            new_volumes: true,
            ..Goal::new(deployment, Scope::Cluster)
        })
    }

    fn plan_for(&self, goal: &Goal<'_>) -> Plan {
        let made = plan(goal, &self.observed);
        let mut violations = check(&made, &self.observed);
        violations.extend(check_starts(&made, (goal.deployment, &self.observed)));
        assert!(violations.is_empty(), "{violations:?}\n{made}");
        made
    }

    /// Does the first steps of a plan.
    pub(crate) fn begin(&mut self, made: &Plan, count: usize) {
        let mut yields: BTreeMap<StepId, Yield> = BTreeMap::new();
        for step in made.steps().iter().take(count) {
            let yielded = simulate(&mut self.observed, (&step.node, &step.action), &yields);
            let yielded = yielded.unwrap_or_else(|refusal| panic!("{refusal}\n{made}"));
            yields.insert(step.id, yielded);
        }
    }

    /// Does a whole plan.
    pub(crate) fn finish(&mut self, made: &Plan) {
        self.begin(made, made.steps().len());
    }

    /// Does the steps of a plan up to the first that `is_last` accepts.
    pub(crate) fn begin_until(&mut self, made: &Plan, is_last: impl Fn(&Action) -> bool) {
        let last = made.steps().iter().position(|step| is_last(&step.action));
        let last = last.unwrap_or_else(|| panic!("there is no such step in\n{made}"));
        self.begin(made, last + 1);
    }

    /// Deploys; a second time must do nothing. Returns the plan as text.
    pub(crate) fn deploy(&mut self, deployment: &Deployment) -> String {
        let made = self.plan(deployment);
        assert!(made.blocked.is_empty(), "{made}");
        self.finish(&made);
        let again = self.plan(deployment);
        assert!(again.is_empty(), "the second time:\n{again}");
        show(&made)
    }
}

/// Writes a plan, what it amounts to, and what the operator is told to do about what stands in its
/// way.
pub(crate) fn show(made: &Plan) -> String {
    let outcomes = made.outcomes.iter();
    let hints = made.blocked.iter();
    let lines: Vec<String> = outcomes
        .map(|(name, outcome)| outcome.line(name))
        .chain(hints.map(|blocked| format!("hint: {}", blocked.hint())))
        .collect();
    format!("{made}\n{}", lines.join("\n"))
}
