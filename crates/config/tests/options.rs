//! The options of a container: every form that is taken, and what is said about those that are not.

use flocker_config::{Diagnostics, Parsed, Source, parse_with_warnings};
use flocker_model::{
    ByteCount, Capability, ContainerOptions, ContainerUser, GpuSelection, HostNamespace, IpcMode,
    NamespaceMode, Upmost,
};

fn read(application: &str) -> Result<Parsed, Diagnostics> {
    let source = |name, bytes| Source { name, bytes };
    parse_with_warnings(
        source("application.yml", application.as_bytes()),
        source("deployment.yml", b"nodes: {1.1.1.1: []}"),
    )
}

/// Returns the options of `web`, which has these lines.
fn options(lines: &str) -> ContainerOptions {
    let lines = lines.trim_end().replace('\n', "\n  ");
    let application = format!("web:\n  image: x\n  {lines}\n");
    let parsed = read(&application).unwrap_or_else(|errors| panic!("{application}{errors}"));
    let web = parsed.deployment.applications.into_values().next();
    web.map_or_else(ContainerOptions::default, |web| web.options)
}

/// Returns what is said about lines that are refused, each in an application of its own.
fn refused(lines: &[&str]) -> Diagnostics {
    let one = |(index, line): (usize, &&str)| format!("a{index}:\n  image: x\n  {line}\n");
    let application: String = lines.iter().enumerate().map(one).collect();
    let Err(diagnostics) = read(&application) else {
        panic!("{application} is accepted");
    };
    let errors = diagnostics.list.len();
    assert!(errors >= lines.len(), "{errors}:\n{diagnostics}");
    diagnostics
}

#[test]
fn nothing_is_set_where_nothing_is_said() {
    assert!(options("routes: [80]").is_unset());
    let empty = "\
cap_add:
devices: []
labels: {}
sysctls:
tmpfs:
extra_hosts: []
ulimits:
entrypoint:
blkio_config:
privileged: false
read_only: 'false'
";
    assert!(options(empty).is_unset());
}

#[test]
fn the_process_is_run_as_compose_runs_it() {
    let found = options(
        "entrypoint: [/entry, -v]\nuser: 1000:1000\ngroup_add: [video, 44]\nworking_dir: /\n\
         init: true\ntty: true\nstdin_open: true\n",
    );
    let process = found.process;
    assert_eq!(process.entrypoint.unwrap(), ["/entry", "-v"]);
    assert_eq!(process.user.unwrap().as_str(), "1000:1000");
    let groups: Vec<_> = process
        .group_add
        .iter()
        .map(ContainerUser::as_str)
        .collect();
    assert_eq!(groups, ["video", "44"]);
    assert_eq!(process.working_dir.unwrap().as_str(), "/");
    assert_eq!(
        (process.init, process.tty, process.stdin_open),
        (Some(true), true, true)
    );
    let number = options("user: 999").process.user.unwrap();
    assert_eq!(number.as_str(), "999");
    assert_eq!(options("init: false").process.init, Some(false));
    assert_eq!(
        options("entrypoint: []").process.entrypoint,
        Some(Vec::new())
    );
}

#[test]
fn limits_have_numbers_and_sizes() {
    let found = options(
        "memory: 1G\nmem_reservation: 512M\nmemswap_limit: 2G\ncpu_shares: 512\ncpuset: 0-1\n\
         pids_limit: 200\nshm_size: 256m\noom_score_adj: -500\ncgroup_parent: batch.slice\n\
         ulimits: {nofile: {soft: 1024, hard: 65536}, memlock: -1}\nstorage_opt: {size: 10G}\n\
         blkio_config:\n  weight: 300\n  weight_device: [{path: /dev/sda, weight: 400}]\n  \
         device_read_bps: [{path: /dev/sda, rate: 12mb}]\n  \
         device_write_iops: [{path: /dev/sda, rate: 30}]\n",
    );
    let limits = found.limits;
    assert_eq!(limits.mem_reservation, Some(ByteCount::mebibytes(512)));
    assert_eq!(
        limits.memswap_limit,
        Some(Upmost::At(ByteCount::mebibytes(2048)))
    );
    assert_eq!(limits.cpu_shares, Some(512));
    assert_eq!(limits.cpuset.unwrap().as_str(), "0-1");
    assert_eq!(limits.pids_limit, Some(Upmost::At(200)));
    assert_eq!(limits.shm_size, Some(ByteCount::mebibytes(256)));
    let ulimit = |name: &str| limits.ulimits[&name.parse().unwrap()];
    assert_eq!(
        (ulimit("nofile").soft(), ulimit("nofile").hard()),
        (1024, 65536)
    );
    assert_eq!(
        (ulimit("memlock").soft(), ulimit("memlock").hard()),
        (-1, -1)
    );
    assert_eq!(limits.oom_score_adj, Some(-500));
    assert_eq!(limits.storage_opt["size"], "10G");
    let block = &limits.blkio_config;
    assert_eq!(block.weight, Some(300));
    assert_eq!(block.device_read_bps[0].rate, ByteCount::mebibytes(12));
    assert_eq!(block.device_write_iops[0].rate.get(), 30);
    assert_eq!(
        options("pids_limit: -1").limits.pids_limit,
        Some(Upmost::Unlimited)
    );
    let swap = options("memory: 1G\nmemswap_limit: -1")
        .limits
        .memswap_limit;
    assert_eq!(swap, Some(Upmost::Unlimited));
}

#[test]
fn devices_have_three_forms() {
    let found = options(
        "devices:\n- /dev/dri\n- /dev/ttyUSB0:/dev/modem\n- /dev/sda:r\n- vendor.com/gpu=0\n\
         - {source: /dev/fuse, permissions: rw}\ndevice_cgroup_rules: ['c 1:3 mr']\n\
         gpus: [{driver: nvidia, count: 1, capabilities: [utility]}, {device_ids: ['0', '3']}]\n",
    );
    let isolation = found.isolation;
    let devices: Vec<String> = isolation
        .devices
        .iter()
        .map(|one| format!("{}:{}:{}", one.source, one.target, one.permissions))
        .collect();
    assert_eq!(
        devices,
        [
            "/dev/dri:/dev/dri:rwm",
            "/dev/fuse:/dev/fuse:rw",
            "/dev/sda:/dev/sda:r",
            "/dev/ttyUSB0:/dev/modem:rwm",
        ]
    );
    assert_eq!(isolation.cdi_devices.len(), 1);
    assert_eq!(isolation.gpus[0].selection, GpuSelection::Count(1));
    assert!(
        matches!(&isolation.gpus[1].selection, GpuSelection::Devices(names) if names.len() == 2)
    );
    let all = &options("gpus: all").isolation.gpus[0];
    assert_eq!(all.selection, GpuSelection::All);
}

#[test]
fn isolation_is_as_docker_has_it() {
    let found = options(
        "cap_add: [SYS_NICE, cap_net_admin]\ncap_drop: [ALL]\nprivileged: true\n\
         security_opt: ['no-new-privileges:true', seccomp=unconfined]\nread_only: true\n\
         tmpfs: ['/run:size=64m,mode=1777', /tmp]\nuserns_mode: host\nruntime: runsc\n\
         ipc: shareable\npid: host\ncgroup: private\n\
         sysctls: {net.core.somaxconn: 1024, kernel.shmmax: '65536'}\n",
    );
    let isolation = found.isolation;
    let names: Vec<_> = isolation.cap_add.iter().map(Capability::as_str).collect();
    assert_eq!(names, ["NET_ADMIN", "SYS_NICE"]);
    assert!(isolation.privileged && isolation.read_only);
    let tmpfs: Vec<String> = isolation
        .tmpfs
        .iter()
        .map(|(path, options)| format!("{path}:{options}"))
        .collect();
    assert_eq!(tmpfs, ["/run:size=64m,mode=1777", "/tmp:"]);
    assert_eq!(isolation.userns_mode, Some(HostNamespace::Host));
    assert_eq!(isolation.ipc, Some(IpcMode::Shareable));
    assert_eq!(isolation.pid, Some(HostNamespace::Host));
    assert_eq!(isolation.cgroup, Some(NamespaceMode::Private));
    assert_eq!(isolation.sysctls.len(), 1, "the other one is the network's");
    assert_eq!(found.network.sysctls.len(), 1);
    assert_eq!(options("tmpfs: /tmp").isolation.tmpfs.len(), 1);
    let listed = options("sysctls: [net.core.somaxconn=1024]");
    assert_eq!(listed.network.sysctls, found.network.sysctls);
}

#[test]
fn names_are_given_in_lists_and_mappings() {
    let listed = options(
        "hostname: db1\ndomainname: example.org\ndns: [1.1.1.1, 'fd00::1']\ndns_search: corp.example\n\
         dns_opt: ['ndots:2']\nextra_hosts: ['host.docker.internal:host-gateway', 'six=::1']\n\
         labels: [a=b, flag]\nannotations: {c: d}\n",
    );
    let mapped = options(
        "hostname: db1\ndomainname: example.org\ndns: [1.1.1.1, 'fd00::1']\n\
         dns_search: [corp.example]\ndns_opt: ['ndots:2']\n\
         extra_hosts: {host.docker.internal: host-gateway, six: ['[::1]']}\n\
         labels: {a: b, flag: ''}\nannotations: [c=d]\n",
    );
    assert_eq!(listed, mapped);
    assert_eq!(listed.network.dns.len(), 2);
    let numbers = options("labels: {port: 80, enabled: true, price: 5$$}");
    let values: Vec<&str> = numbers.labels.values().map(String::as_str).collect();
    assert_eq!(values, ["true", "80", "5$"]);
}

#[test]
fn options_of_the_process_that_docker_refuses() {
    insta::assert_snapshot!(refused(&[
        "user: 'a b'",
        "user: [root]",
        "group_add: video",
        "working_dir: srv",
        "tty: maybe",
        "init: [true]",
        "entrypoint: /entry.sh && serve",
        "entrypoint: {a: b}",
        "entrypoint: ${ENTRY}",
    ]));
}

#[test]
fn limits_that_docker_refuses() {
    insta::assert_snapshot!(refused(&[
        "mem_reservation: 1M",
        "memswap_limit: 1G",
        "memory: 1G\n  memswap_limit: 512M",
        "memory: 512M\n  mem_reservation: 1G",
        "cpu_shares: 1",
        "cpuset: '3-1'",
        "pids_limit: many",
        "shm_size: big",
        "ulimits: [nofile]",
        "ulimits: {nofiles: 1}",
        "ulimits: {nofile: {soft: 2, hard: 1}}",
        "ulimits: {nofile: {soft: 2}}",
        "oom_score_adj: 2000",
        "cgroup_parent: ''",
        "storage_opt: 10G",
        "blkio_config: {weight: 5, wait: 1}",
        "blkio_config: {device_read_bps: [{path: /dev/sda}]}",
        "memory_reservation: 1G",
        "memory_limit: 1G",
        "cpu_quota: 50000",
    ]));
}

#[test]
fn devices_and_privileges_that_docker_refuses() {
    insta::assert_snapshot!(refused(&[
        "devices: [dev/dri]",
        "devices: ['/dev/sda:/dev/sda:x']",
        "devices: [{target: /dev/dri}]",
        "device_cgroup_rules: [c 1:3]",
        "gpus: some",
        "gpus: [{count: 1, device_ids: ['0']}]",
        "cap_add: [NET_ADMN]",
        "cap_drop: [EVERYTHING]",
        "security_opt: ['seccomp:profile.json']",
        "security_opt: [quiet]",
        "ipc: 'service:db'",
        "pid: 'container:db'",
        "userns_mode: keep-id",
        "cgroup: shared",
        "runtime: 'a b'",
        "privileged: root",
        "sysctls: {vm.max_map_count: 262144}",
        "sysctls: [net.core.somaxconn]",
        "sysctls: {'net.core somaxconn': 1}",
    ]));
}

#[test]
fn file_systems_in_memory_hide_no_data() {
    insta::assert_snapshot!(refused(&[
        "tmpfs: tmp",
        "tmpfs: '/tmp:huge'",
        "tmpfs: [/tmp, /tmp/]",
        "tmpfs: /proc/x",
        "tmpfs: /dev/shm\n  shm_size: 1G",
        "tmpfs: /data/cache\n  volume: /data",
        "tmpfs: /var\n  volumes: [/var/lib/x]",
        "tmpfs: /cache\n  scratch: [/cache]",
    ]));
}

#[test]
fn names_that_docker_refuses() {
    insta::assert_snapshot!(refused(&[
        "hostname: 'a b'",
        "domainname: a..b",
        "dns: dns.example.org",
        "dns_search: [-x]",
        "dns_opt: ['a b']",
        "extra_hosts: [mail]",
        "extra_hosts: ['mail:example.org']",
        "extra_hosts: {localhost: 10.0.0.1}",
        "labels: {flocker.role: x}",
        "labels: [=x]",
        "labels: {a: [b]}",
        "labels: text",
        "labels: [a=b, a=c]",
        "label_file: labels.txt",
        "uts: host",
    ]));
}

#[test]
fn options_without_effect_are_warned_about() {
    let parsed = read("web: {image: x, mem_swappiness: 10, oom_kill_disable: true}").unwrap();
    insta::assert_snapshot!(parsed.warnings);
}

#[test]
fn data_is_not_kept_where_the_kernel_is() {
    insta::assert_snapshot!(refused(&[
        "volume: /proc",
        "volumes: [\"data:/sys/kernel\"]",
        "scratch: [/dev]",
    ]));
    // Memory that programs share, and what monitoring looks at.
    read("a: {image: x, volumes: [\"data:/dev/shm\", \"/sys:/sys:ro\"]}")
        .unwrap_or_else(|errors| panic!("{errors}"));
}
