//! Everything that can be set, as Docker is told it.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{BlockIo, DeviceMapping, ExtraHost, LabelName, ProcessOptions, Ulimit};

use super::*;

fn json(body: &ContainerCreateBody) -> String {
    // Through a value, whose maps are ordered.
    serde_json::to_string_pretty(&serde_json::to_value(body).unwrap()).unwrap()
}

/// Reads what a test writes; only sound texts are written here.
fn read<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn set<T: std::str::FromStr<Err: std::fmt::Debug> + Ord>(texts: &[&str]) -> BTreeSet<T> {
    texts.iter().map(|text| read(text)).collect()
}

fn process() -> ProcessOptions {
    ProcessOptions {
        entrypoint: Some(vec!["/entry".to_owned(), "-v".to_owned()]),
        user: Some(read("999:998")),
        group_add: vec![read("video"), read("44")],
        working_dir: Some(read("/srv")),
        init: Some(true),
        tty: true,
        stdin_open: true,
    }
}

fn limits() -> LimitOptions {
    let rate = || {
        vec![DeviceRate {
            path: read("/dev/sda"),
            rate: ByteCount::mebibytes(1),
        }]
    };
    LimitOptions {
        mem_reservation: Some(ByteCount::mebibytes(64)),
        mem_swappiness: Some(10),
        memswap_limit: Some(Upmost::Unlimited),
        cpu_shares: Some(512),
        cpuset: Some(read("0-1")),
        pids_limit: Some(Upmost::At(100)),
        shm_size: Some(ByteCount::mebibytes(256)),
        ulimits: BTreeMap::from([
            (read("nofile"), Ulimit::new(1024, 65536).unwrap()),
            (read("memlock"), Ulimit::new(-1, -1).unwrap()),
        ]),
        oom_score_adj: Some(-500),
        oom_kill_disable: true,
        blkio_config: BlockIo {
            weight: Some(300),
            weight_device: BTreeMap::from([(read("/dev/sda"), 400)]),
            device_read_bps: rate(),
            device_write_bps: rate(),
            device_read_iops: rate(),
            device_write_iops: rate(),
        },
        cgroup_parent: Some(read("batch.slice")),
        storage_opt: BTreeMap::from([("size".to_owned(), "120G".to_owned())]),
    }
}

fn isolation() -> IsolationOptions {
    IsolationOptions {
        devices: BTreeSet::from([DeviceMapping {
            source: read("/dev/dri"),
            target: read("/dev/dri"),
            permissions: "rw".to_owned(),
        }]),
        cdi_devices: set(&["vendor.com/gpu=0"]),
        device_cgroup_rules: set(&["c 1:3 rwm"]),
        gpus: vec![
            GpuRequest {
                driver: Some("nvidia".to_owned()),
                selection: GpuSelection::Count(1),
                capabilities: set(&["utility"]),
                options: BTreeMap::new(),
            },
            GpuRequest {
                driver: None,
                selection: GpuSelection::Devices(vec!["GPU-1".to_owned()]),
                capabilities: BTreeSet::new(),
                options: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            },
        ],
        cap_add: set(&["SYS_NICE"]),
        cap_drop: set(&["ALL"]),
        privileged: true,
        security_opt: set(&["no-new-privileges:true", "systempaths=unconfined"]),
        sysctls: BTreeMap::from([(read("kernel.shmmax"), "65536".to_owned())]),
        read_only: true,
        tmpfs: BTreeMap::from([
            (read("/tmp"), read("")),
            (read("/run"), read("size=64m,mode=1777")),
        ]),
        userns_mode: Some(HostNamespace::Host),
        runtime: Some(read("runsc")),
        ipc: Some(IpcMode::Shareable),
        pid: Some(HostNamespace::Host),
        cgroup: Some(NamespaceMode::Private),
    }
}

fn identity() -> NetworkIdentity {
    let host = |name, address| ExtraHost {
        name: read(name),
        address: read(address),
    };
    NetworkIdentity {
        hostname: Some(read("db1")),
        domainname: Some(read("example.org")),
        extra_hosts: vec![
            host("host.docker.internal", "host-gateway"),
            host("six", "fd00::1"),
        ],
        dns: vec![read("1.1.1.1")],
        dns_search: vec![read("corp.example")],
        dns_opt: vec![read("ndots:2")],
        sysctls: BTreeMap::from([(read("net.core.somaxconn"), "1024".to_owned())]),
    }
}

#[test]
fn every_option_reaches_docker() {
    let label = |text: &str| -> LabelName { read(text) };
    let options = ContainerOptions {
        process: process(),
        limits: limits(),
        isolation: isolation(),
        network: identity(),
        labels: BTreeMap::from([(label("a.b"), "c".to_owned())]),
        annotations: BTreeMap::from([(label("d"), "e".to_owned())]),
    };
    insta::assert_snapshot!(json(&add_options(&options, ContainerCreateBody::default())));
}

#[test]
fn the_network_container_has_names_and_name_servers() {
    let body = ContainerCreateBody {
        hostname: Some("web".to_owned()),
        ..ContainerCreateBody::default()
    };
    insta::assert_snapshot!(json(&add_identity(&identity(), body.clone())));
    let unset = add_identity(&NetworkIdentity::default(), body.clone());
    assert_eq!(unset.hostname, body.hostname);
    assert_eq!(unset.host_config, Some(HostConfig::default()));
}

#[test]
fn all_processors_are_asked_for_by_minus_one() {
    let gpu = GpuRequest {
        driver: None,
        selection: GpuSelection::All,
        capabilities: BTreeSet::new(),
        options: BTreeMap::new(),
    };
    let request = gpu_request(&gpu);
    assert_eq!(request.count, Some(-1));
    assert_eq!(request.capabilities, Some(vec![vec!["gpu".to_owned()]]));
}

#[test]
fn options_that_are_unset_change_nothing() {
    let body = ContainerCreateBody {
        labels: Some(HashMap::from([("flocker.role".to_owned(), "x".to_owned())])),
        host_config: Some(HostConfig {
            memory: Some(1),
            memory_swap: Some(1),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    assert_eq!(
        add_options(&ContainerOptions::default(), body.clone()),
        body
    );
}
