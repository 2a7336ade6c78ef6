//! Options that Docker is given as they are, seen from inside the container.

use std::time::Duration;

use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::InspectContainerOptions;
use flocker_docker::{Change, ContainerMounts, Docker, container_name, namespace_name};
use flocker_model::{
    ApplicationName, ByteCount, ContainerOptions, ContainerSpecification, ExtraHost,
    IsolationOptions, LimitOptions, NetworkIdentity, ProcessOptions, Ulimit, Upmost,
};

use crate::daemon::{SERVER, application, connect, import_image, start, stranger};

const PATIENCE: Duration = Duration::from_secs(120);

/// Reads what a test writes; only sound texts are written here.
fn read<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

/// Starts an application, and returns what it has printed.
async fn run(docker: &Docker, specification: &ContainerSpecification) -> Vec<String> {
    let name = &specification.application;
    let identity = &specification.options.network;
    docker.ensure_namespace(name, identity).await.unwrap();
    let made = docker.ensure_container(specification, None, &[]).await;
    assert_eq!(made.unwrap(), Change::Changed);
    let watch = docker.watch_start(name).await.unwrap();
    start(name).await;
    let steady = Duration::from_millis(500);
    watch.wait_until_stable(steady, PATIENCE).await.unwrap();
    docker.observe_output(name).await.unwrap()
}

async fn inspect(name: &str) -> ContainerInspectResponse {
    let client = stranger().await;
    let inspected = client.inspect_container(name, None::<InspectContainerOptions>);
    inspected.await.unwrap()
}

async fn remove(docker: &Docker, name: &ApplicationName) {
    docker.stop_container(name, Duration::ZERO).await.unwrap();
    docker.remove_container(name).await.unwrap();
    docker.remove_namespace(name).await.unwrap();
}

/// Where a process sees who it is and what it may.
const LOOK: &str = "cat /proc/self/status | while read name value rest; do case $name in \
    Uid:|Gid:|Groups:|CapBnd:|NoNewPrivs:) echo $name $value $rest;; esac; done; pwd; ulimit -n; \
    echo data >/run/file && cat /run/file; echo no 2>/dev/null >/file || echo read-only; \
    cat /proc/sys/kernel/shmmax /proc/self/oom_score_adj; sleep 1000";

/// Options that leave a process with little.
fn restricted() -> ContainerOptions {
    ContainerOptions {
        process: ProcessOptions {
            entrypoint: Some(vec!["sh".to_owned(), "-c".to_owned()]),
            user: Some(read("1234:2345")),
            group_add: vec![read("44")],
            working_dir: Some(read("/srv/work")),
            ..ProcessOptions::default()
        },
        limits: LimitOptions {
            pids_limit: Some(Upmost::At(50)),
            shm_size: Some(ByteCount::mebibytes(16)),
            ulimits: [(read("nofile"), Ulimit::new(100, 200).unwrap())].into(),
            oom_score_adj: Some(300),
            ..LimitOptions::default()
        },
        isolation: IsolationOptions {
            cap_drop: [read("ALL")].into(),
            cap_add: [read("NET_BIND_SERVICE")].into(),
            security_opt: [read("no-new-privileges:true")].into(),
            sysctls: [(read("kernel.shmmax"), "65536".to_owned())].into(),
            read_only: true,
            tmpfs: [(read("/run"), read("size=1m,mode=1777"))].into(),
            ..IsolationOptions::default()
        },
        labels: [(read("com.example.team"), "web".to_owned())].into(),
        ..ContainerOptions::default()
    }
}

#[tokio::test]
async fn the_process_is_what_the_options_say() {
    let Some(docker) = connect().await else {
        return;
    };
    let mut specification = application("optional", LOOK);
    *specification.options = restricted();
    specification.command = Some(vec![LOOK.to_owned()]);
    let output = run(&docker, &specification).await;
    let fields: Vec<String> = output
        .iter()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        fields,
        [
            "Uid: 1234 1234 1234 1234",
            "Gid: 2345 2345 2345 2345",
            "Groups: 44 2345",
            "CapBnd: 0000000000000400",
            "NoNewPrivs: 1",
            "/srv/work",
            "100",
            "data",
            "read-only",
            "65536",
            "300",
        ]
    );
    let name = &specification.application;
    let inspected = inspect(&container_name(name)).await;
    let labels = inspected.config.and_then(|config| config.labels).unwrap();
    assert_eq!(labels["com.example.team"], "web");
    assert_eq!(labels["flocker.role"], "application");
    let host = inspected.host_config.unwrap();
    assert_eq!(host.shm_size, Some(16 << 20));
    assert_eq!(host.pids_limit, Some(50));
    // As it is found, it is what is wanted.
    assert!(docker.has_container(&specification, None).await.unwrap());
    remove(&docker, name).await;
}

#[tokio::test]
async fn names_are_looked_up_as_the_options_say() {
    let Some(docker) = connect().await else {
        return;
    };
    let look = "hostname; cat /etc/hosts; cat /etc/resolv.conf; cat /proc/sys/net/core/somaxconn; \
                cat /proc/sys/kernel/domainname; sleep 1000";
    let mut specification = application("named", look);
    let host = |name: &str, address: &str| ExtraHost {
        name: read(name),
        address: read(address),
    };
    specification.options.network = NetworkIdentity {
        hostname: Some(read("db1")),
        domainname: Some(read("example.org")),
        extra_hosts: vec![
            host("mail", "10.9.8.7"),
            host("node", "host-gateway"),
            host("six", "fd00::5"),
        ],
        dns: vec![read("9.9.9.9")],
        dns_search: vec![read("corp.example")],
        dns_opt: vec![read("ndots:3")],
        sysctls: [(read("net.core.somaxconn"), "777".to_owned())].into(),
    };
    let output = run(&docker, &specification).await;
    assert_eq!(output[0], "db1");
    let words: Vec<String> = output
        .iter()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let has = |line: &str| assert!(words.iter().any(|found| found == line), "{line}: {words:?}");
    has("10.9.8.7 mail");
    has("fd00::5 six");
    has("127.0.0.1 localhost");
    assert!(
        words.iter().any(|line| line.ends_with(" node")),
        "{words:?}"
    );
    assert!(
        !words
            .iter()
            .any(|line| line.starts_with("::1") && line.contains(" localhost"))
    );
    has("search corp.example");
    has("options ndots:3");
    has("777");
    let name = &specification.application;
    let namespace = inspect(&namespace_name(name)).await;
    assert_eq!(
        namespace.config.unwrap().domainname.as_deref(),
        Some("example.org")
    );
    // Docker's own name server asks it.
    let servers = namespace.host_config.unwrap().dns;
    assert_eq!(servers, Some(vec!["9.9.9.9".to_owned()]));
    remove(&docker, name).await;
}

#[tokio::test]
async fn a_network_is_made_anew_for_other_names_once_the_application_is_stopped() {
    let Some(docker) = connect().await else {
        return;
    };
    let mut specification = application("renamed", "hostname; sleep 1000");
    let name = &specification.application.clone();
    assert_eq!(run(&docker, &specification).await, ["renamed"]);
    let before = inspect(&namespace_name(name)).await.id;
    specification.options.network.hostname = Some(read("other"));
    let identity = specification.options.network.clone();
    let refused = docker.ensure_namespace(name, &identity).await.unwrap_err();
    insta::assert_snapshot!(refused, @"the network of renamed must be re-created and its container still runs; stop it first: systemctl stop flocker-renamed");
    docker.stop_container(name, Duration::ZERO).await.unwrap();
    assert_eq!(run(&docker, &specification).await, ["other"]);
    assert_ne!(inspect(&namespace_name(name)).await.id, before);
    remove(&docker, name).await;
}

/// An image's own entry point goes together with its command.
#[tokio::test]
async fn an_entry_point_is_replaced_or_cleared() {
    let Some(docker) = connect().await else {
        return;
    };
    let image = "flocker-test/entry:1";
    let changes = [
        "ENTRYPOINT [\"sh\", \"-c\", \"echo image $0; sleep 1000\"]",
        "CMD [\"command\"]",
    ];
    import_image(image, changes.map(str::to_owned).to_vec(), |_| ()).await;
    let with = |entrypoint: Option<&[&str]>, command: Option<&[&str]>| {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let mut specification = application("entry", SERVER);
        specification.image = read(image);
        specification.command = command.map(words);
        specification.options.process.entrypoint = entrypoint.map(words);
        specification
    };
    for (entrypoint, command, printed) in [
        (None, None, "image command"),
        (None, Some(&["other"] as &[&str]), "image other"),
        (
            Some(&["sh", "-c", "echo own $0; sleep 1000"] as &[&str]),
            None,
            "own sh",
        ),
        (
            Some(&[]),
            Some(&["sh", "-c", "echo cleared; sleep 1000"]),
            "cleared",
        ),
    ] {
        let specification = with(entrypoint, command);
        let output = run(&docker, &specification).await;
        assert_eq!(output, [printed]);
        remove(&docker, &specification.application).await;
    }
}

#[tokio::test]
async fn a_tmpfs_stands_for_a_volume_of_the_image() {
    let Some(docker) = connect().await else {
        return;
    };
    let image = "flocker-test/memory:1";
    import_image(image, vec!["VOLUME /cache".to_owned()], |_| ()).await;
    let mut specification = application("memory", SERVER);
    specification.image = read(image);
    specification.options.isolation.tmpfs = [(read("/cache"), read("size=1m"))].into();
    specification.options.isolation.read_only = true;
    run(&docker, &specification).await;
    let name = &specification.application;
    let observed = docker.observe_containers().await.unwrap();
    let container = observed[name].application.as_ref().unwrap();
    assert!(container.anonymous_volumes.is_empty(), "{container:?}");
    remove(&docker, name).await;
}

/// Docker makes a volume at each path that no mount covers exactly.
#[tokio::test]
async fn a_tmpfs_above_a_volume_of_the_image_stands_for_it() {
    let Some(docker) = connect().await else {
        return;
    };
    let image = "flocker-test/memory-above:1";
    import_image(image, vec!["VOLUME /cache/db".to_owned()], |_| ()).await;
    let mut specification = application("memory-above", SERVER);
    specification.image = read(image);
    specification.options.isolation.tmpfs = [(read("/cache"), read("size=1m"))].into();
    let name = &specification.application;
    let identity = NetworkIdentity::default();
    docker.ensure_namespace(name, &identity).await.unwrap();
    let memory = [(read("/cache/db"), read("size=1m"))];
    let mounts = ContainerMounts {
        memory: &memory,
        ..ContainerMounts::default()
    };
    let ensured = docker.ensure_container(&specification, None, mounts).await;
    ensured.unwrap();
    start(name).await;
    let observed = docker.observe_containers().await.unwrap();
    let container = observed[name].application.as_ref().unwrap();
    assert!(container.anonymous_volumes.is_empty(), "{container:?}");
    remove(&docker, name).await;
}

#[tokio::test]
async fn a_terminal_and_an_init_are_given() {
    let Some(docker) = connect().await else {
        return;
    };
    let mut specification = application(
        "terminal",
        "cat /proc/1/comm; test -t 1 && echo a terminal; sleep 1000",
    );
    specification.options.process.init = Some(true);
    specification.options.process.tty = true;
    specification.options.process.stdin_open = true;
    let output = run(&docker, &specification).await;
    assert_eq!(output, ["docker-init", "a terminal"]);
    remove(&docker, &specification.application).await;
}
