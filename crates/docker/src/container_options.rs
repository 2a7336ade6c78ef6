//! The options that Docker is given as they are: pure.
//!
//! **Source**: Docker Engine API, `ContainerCreate`.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    ContainerCreateBody, DeviceMapping, DeviceRequest, HostConfig, HostConfigCgroupnsModeEnum,
    ResourcesBlkioWeightDevice, ResourcesUlimits, ThrottleDevice,
};
use flocker_model::{
    ByteCount, ContainerOptions, DeviceRate, GpuRequest, GpuSelection, HostNamespace, IpcMode,
    IsolationOptions, LimitOptions, NamespaceMode, NetworkIdentity, SecurityOption, Upmost,
};

/// No limit, as Docker writes it.
const UNLIMITED: i64 = -1;

/// Adds an application's options to its container.
pub(crate) fn add_options(
    options: &ContainerOptions,
    body: ContainerCreateBody,
) -> ContainerCreateBody {
    let process = &options.process;
    let host = body.host_config.unwrap_or_default();
    let host = add_limits(&options.limits, host);
    let host = add_isolation(&options.isolation, host);
    // Flocker's own labels are never among the application's.
    let mut labels = body.labels.unwrap_or_default();
    labels.extend(to_map(&options.labels).unwrap_or_default());
    ContainerCreateBody {
        entrypoint: process.entrypoint.clone(),
        user: process.user.as_ref().map(ToString::to_string),
        working_dir: process.working_dir.as_ref().map(ToString::to_string),
        tty: process.tty.then_some(true),
        open_stdin: process.stdin_open.then_some(true),
        labels: Some(labels),
        host_config: Some(HostConfig {
            group_add: to_list(&process.group_add),
            init: process.init,
            annotations: to_map(&options.annotations),
            ..host
        }),
        ..body
    }
}

/// Adds what belongs to the network of an application to the container that holds that.
pub(crate) fn add_identity(
    identity: &NetworkIdentity,
    body: ContainerCreateBody,
) -> ContainerCreateBody {
    let hosts = &identity.extra_hosts;
    let hosts = hosts
        .iter()
        .map(|host| format!("{}:{}", host.name, host.address));
    let hosts: Vec<String> = hosts.collect();
    ContainerCreateBody {
        hostname: identity
            .hostname
            .as_ref()
            .map(ToString::to_string)
            .or(body.hostname),
        domainname: identity.domainname.as_ref().map(ToString::to_string),
        host_config: Some(HostConfig {
            extra_hosts: (!hosts.is_empty()).then_some(hosts),
            dns: to_list(&identity.dns),
            dns_search: to_list(&identity.dns_search),
            dns_options: to_list(&identity.dns_opt),
            sysctls: to_map(&identity.sysctls),
            ..body.host_config.unwrap_or_default()
        }),
        ..body
    }
}

fn add_limits(limits: &LimitOptions, host: HostConfig) -> HostConfig {
    let block = &limits.blkio_config;
    let ulimits: Vec<ResourcesUlimits> = limits
        .ulimits
        .iter()
        .map(|(name, limit)| ResourcesUlimits {
            name: Some(name.to_string()),
            soft: Some(limit.soft()),
            hard: Some(limit.hard()),
        })
        .collect();
    let weights: Vec<ResourcesBlkioWeightDevice> = block
        .weight_device
        .iter()
        .map(|(path, weight)| ResourcesBlkioWeightDevice {
            path: Some(path.to_string()),
            weight: Some(usize::from(*weight)),
        })
        .collect();
    HostConfig {
        memory_reservation: limits.mem_reservation.map(count),
        memory_swappiness: limits.mem_swappiness.map(i64::from),
        // Without one of its own, the limit of memory counts swap, too.
        memory_swap: limits
            .memswap_limit
            .map(|limit| upmost(limit, count))
            .or(host.memory_swap),
        cpu_shares: limits.cpu_shares.map(i64::from),
        cpuset_cpus: limits.cpuset.as_ref().map(ToString::to_string),
        pids_limit: limits.pids_limit.map(|limit| upmost(limit, i64::from)),
        shm_size: limits.shm_size.map(count),
        ulimits: (!ulimits.is_empty()).then_some(ulimits),
        oom_score_adj: limits.oom_score_adj.map(i64::from),
        oom_kill_disable: limits.oom_kill_disable.then_some(true),
        cgroup_parent: limits.cgroup_parent.as_ref().map(ToString::to_string),
        storage_opt: to_map(&limits.storage_opt),
        blkio_weight: block.weight,
        blkio_weight_device: (!weights.is_empty()).then_some(weights),
        blkio_device_read_bps: rates(&block.device_read_bps),
        blkio_device_write_bps: rates(&block.device_write_bps),
        blkio_device_read_iops: rates(&block.device_read_iops),
        blkio_device_write_iops: rates(&block.device_write_iops),
        ..host
    }
}

fn add_isolation(isolation: &IsolationOptions, host: HostConfig) -> HostConfig {
    let devices: Vec<DeviceMapping> = isolation
        .devices
        .iter()
        .map(|device| DeviceMapping {
            path_on_host: Some(device.source.to_string()),
            path_in_container: Some(device.target.to_string()),
            cgroup_permissions: Some(device.permissions.clone()),
        })
        .collect();
    let requests = device_requests(isolation);
    let shows_system = |option: &SecurityOption| option.as_str() == SecurityOption::SYSTEM_PATHS;
    let shows_all = isolation.security_opt.iter().any(shows_system);
    let security = isolation.security_opt.iter();
    HostConfig {
        devices: (!devices.is_empty()).then_some(devices),
        device_cgroup_rules: to_list(&isolation.device_cgroup_rules),
        device_requests: (!requests.is_empty()).then_some(requests),
        cap_add: to_list(&isolation.cap_add),
        cap_drop: to_list(&isolation.cap_drop),
        privileged: isolation.privileged.then_some(true),
        security_opt: to_list(security.filter(|option| !shows_system(option))),
        masked_paths: shows_all.then(Vec::new),
        readonly_paths: shows_all.then(Vec::new),
        sysctls: to_map(&isolation.sysctls),
        readonly_rootfs: isolation.read_only.then_some(true),
        tmpfs: to_map(&isolation.tmpfs),
        userns_mode: isolation.userns_mode.map(of_node),
        pid_mode: isolation.pid.map(of_node),
        ipc_mode: isolation.ipc.map(|mode| {
            let mode = match mode {
                IpcMode::Host => "host",
                IpcMode::Private => "private",
                IpcMode::Shareable => "shareable",
            };
            mode.to_owned()
        }),
        cgroupns_mode: isolation.cgroup.map(|mode| match mode {
            NamespaceMode::Host => HostConfigCgroupnsModeEnum::HOST,
            NamespaceMode::Private => HostConfigCgroupnsModeEnum::PRIVATE,
        }),
        runtime: isolation.runtime.as_ref().map(ToString::to_string),
        ..host
    }
}

fn of_node(namespace: HostNamespace) -> String {
    match namespace {
        HostNamespace::Host => "host".to_owned(),
    }
}

/// Asks for devices by name, and for graphics processors.
fn device_requests(isolation: &IsolationOptions) -> Vec<DeviceRequest> {
    let by_name = to_list(&isolation.cdi_devices).map(|names| DeviceRequest {
        driver: Some("cdi".to_owned()),
        device_ids: Some(names),
        ..DeviceRequest::default()
    });
    let gpus = isolation.gpus.iter().map(gpu_request);
    by_name.into_iter().chain(gpus).collect()
}

fn gpu_request(gpu: &GpuRequest) -> DeviceRequest {
    let (count, device_ids) = match &gpu.selection {
        GpuSelection::All => (Some(-1), None),
        GpuSelection::Count(count) => (Some(i64::from(*count)), None),
        GpuSelection::Devices(names) => (None, Some(names.clone())),
    };
    let mut capabilities: Vec<String> = gpu.capabilities.iter().cloned().collect();
    capabilities.push("gpu".to_owned());
    DeviceRequest {
        driver: gpu.driver.clone(),
        count,
        device_ids,
        capabilities: Some(vec![capabilities]),
        options: to_map(&gpu.options),
    }
}

fn rates(rates: &[DeviceRate]) -> Option<Vec<ThrottleDevice>> {
    let rate = |rate: &DeviceRate| ThrottleDevice {
        path: Some(rate.path.to_string()),
        rate: Some(count(rate.rate)),
    };
    let rates: Vec<_> = rates.iter().map(rate).collect();
    (!rates.is_empty()).then_some(rates)
}

fn count(bytes: ByteCount) -> i64 {
    i64::try_from(bytes.get()).unwrap_or(i64::MAX)
}

fn upmost<T>(limit: Upmost<T>, number: impl FnOnce(T) -> i64) -> i64 {
    match limit {
        Upmost::Unlimited => UNLIMITED,
        Upmost::At(limit) => number(limit),
    }
}

/// Writes the items out; none at all is what Docker does by itself.
fn to_list<T: ToString>(items: impl IntoIterator<Item = T>) -> Option<Vec<String>> {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    (!items.is_empty()).then_some(items)
}

fn to_map<K: ToString, V: ToString>(map: &BTreeMap<K, V>) -> Option<HashMap<String, String>> {
    let pairs = map
        .iter()
        .map(|(key, value)| (key.to_string(), value.to_string()));
    (!map.is_empty()).then(|| pairs.collect())
}

#[cfg(test)]
mod tests;
