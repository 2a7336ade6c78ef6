//! A node keeps the passwords of what it runs, and of nothing else.

use std::fs;
use std::path::Path;

use flocker_model::{ContainerFile, Deployment, FileMode, NodeName};
use flocker_plan::plan;
use flocker_remote::protocol::{LockHolder, LockPurpose};

use super::cluster::{Cluster, cluster};
use super::wish::{Wish, application_name, deployment, node_name};

const NODES: usize = 2;

/// Secrets of one application, in its environment and in a file.
fn secrets_of(index: usize) -> [String; 2] {
    [
        format!("environment-xyzzy-{index}"),
        format!("file-plugh-{index}"),
    ]
}

/// Three applications with secrets of their own, the last without a volume, at these places.
fn placed(places: [usize; 3]) -> Deployment {
    let mut deployment = deployment(NODES, &places.map(Wish::at));
    for index in 0..places.len() {
        let name = application_name(index);
        let application = deployment.applications.get_mut(&name).unwrap();
        let [password, key] = secrets_of(index);
        application
            .environment
            .insert("PASSWORD".to_owned(), password.into());
        let file = ContainerFile::new(key.into_bytes().into());
        application.files.insert("/etc/key".parse().unwrap(), file);
    }
    deployment
}

/// Tells whether any file below a directory has `text` in it.
pub(super) fn has(directory: &Path, text: &str) -> bool {
    fs::read_dir(directory).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return has(&path, text);
        }
        let bytes = fs::read(&path).unwrap();
        let mut windows = bytes.windows(text.len());
        windows.any(|window| window == text.as_bytes())
    })
}

/// Looks for every secret in every file of every machine, and in what it says of itself.
async fn assert_kept_where_placed(machines: &Cluster, deployment: &Deployment) {
    let observed = machines.observe().await;
    for node in (0..NODES).map(node_name) {
        let settings = &machines.machine(&node).settings;
        let said = serde_json::to_string(observed.node(&node).unwrap()).unwrap();
        let placed = deployment.nodes[&node].iter();
        let files = placed.map(|name| (name.clone(), 1)).collect();
        assert_eq!(machines.kept_files(&node), files, "files on {node}");
        for (index, name) in (0..3).map(|index| (index, application_name(index))) {
            let is_here = deployment.place_of(&name) == Some(&node);
            for secret in secrets_of(index) {
                let found = has(&settings.state_directory, &secret)
                    || has(&settings.runtime_directory, &secret);
                assert_eq!(found, is_here, "{secret} in a file of {node}");
                assert_eq!(said.contains(&secret), is_here, "{secret}, of {node}");
            }
        }
    }
}

/// Fails unless a deploy has nothing to do.
async fn assert_nothing_to_do(machines: &Cluster, deployment: &Deployment) {
    let again = plan(&cluster(deployment), &machines.observe().await);
    assert!(again.is_empty(), "{again}");
}

#[tokio::test]
async fn a_node_keeps_no_secret_of_what_it_does_not_run() {
    let mut machines = Cluster::new(NODES);
    let first = placed([0, 1, 0]);
    machines.converge(&first).await;
    assert_kept_where_placed(&machines, &first).await;
    // What has moved away is forgotten as well, with its volume or without.
    let second = placed([1, 1, 1]);
    machines.converge(&second).await;
    assert_kept_where_placed(&machines, &second).await;
    // A changed file takes the place of the former one.
    let mut back = placed([0, 0, 0]);
    for application in back.applications.values_mut() {
        for file in application.files.values_mut() {
            file.mode = FileMode::new(0o400).unwrap();
        }
    }
    machines.converge(&back).await;
    assert_kept_where_placed(&machines, &back).await;
}

/// A plan has what a node must be given, and nothing more.
#[tokio::test]
async fn no_step_has_a_secret_of_what_its_node_does_not_run() {
    let machines = Cluster::new(NODES);
    let wanted = placed([0, 1, 0]);
    let made = plan(&cluster(&wanted), &machines.observe().await);
    for step in made.steps() {
        let sent = serde_json::to_string(&step.action).unwrap();
        for index in 0..3 {
            let is_here = wanted.place_of(&application_name(index)) == Some(&step.node);
            for secret in secrets_of(index) {
                assert!(is_here || !sent.contains(&secret), "{step:?}");
            }
        }
    }
}

/// Has a machine remember a deployment in the manner of an earlier release: whole.
fn record_whole(machines: &Cluster, node: &NodeName, deployment: &Deployment) {
    let state = &machines.machine(node).settings.state_directory;
    let record = serde_json::json!({
        "id": deployment.id(), "deployment": deployment, "node": node,
    });
    fs::write(state.join("deployment.json"), record.to_string()).unwrap();
}

#[tokio::test]
async fn a_deploy_removes_the_secrets_that_an_earlier_release_recorded() {
    let mut machines = Cluster::new(NODES);
    let wanted = placed([0, 1, 0]);
    machines.converge(&wanted).await;
    for node in (0..NODES).map(node_name) {
        record_whole(&machines, &node, &wanted);
        let state = &machines.machine(&node).settings.state_directory;
        assert!((0..3).all(|index| has(state, &secrets_of(index)[0])));
    }
    let made = plan(&cluster(&wanted), &machines.observe().await);
    let steps: Vec<String> = made
        .steps()
        .iter()
        .map(|step| step.action.kind().to_owned())
        .collect();
    assert_eq!(steps, ["record-deployment", "record-deployment"]);
    machines.converge(&wanted).await;
    assert_kept_where_placed(&machines, &wanted).await;
    assert_nothing_to_do(&machines, &wanted).await;
}

/// A process that is killed while it writes leaves a file that no record is read from.
#[tokio::test]
async fn an_unfinished_record_goes_when_the_node_is_next_locked() {
    let machines = Cluster::new(1);
    let machine = machines.machine(&node_name(0));
    let state = &machine.settings.state_directory;
    let [secret, _] = secrets_of(0);
    let left = ["deployment.new", "applications/app-0.new"].map(|name| state.join(name));
    for path in &left {
        fs::write(path, &secret).unwrap();
    }
    let holder = LockHolder {
        purpose: LockPurpose::Deploy,
        operator: "ann@laptop".to_owned(),
        session: "s1".to_owned(),
        started: 0,
        since: 0,
        process: 1,
    };
    let _lock = machine.store.lock_node(&holder).unwrap().unwrap();
    assert!(left.iter().all(|path| !path.exists()));
    assert!(!has(state, &secret));
}
