//! What Docker is told about each container: pure, so that tests can read it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountBindOptions, MountType,
    RestartPolicy, RestartPolicyNameEnum,
};
use flocker_model::{
    ApplicationName, ContainerSpecification, Digest, MountPath, NetworkIdentity, TmpfsOptions,
};

use crate::container_options::{add_identity, add_options};
use crate::health_body::render_check;
use crate::naming::{
    LABEL_APPLICATION, LABEL_CONFIGURATION, LABEL_FORMAT, LABEL_NAMESPACE, LABEL_ROLE,
    LABEL_VOLUME, Role,
};
use crate::ownership::Labels;
use crate::pause::PROGRAM_PATH;

/// The version of everything in this file that a specification's digest does not cover.
///
/// Raise it with any change here that existing containers must be re-created for.
const FORMAT: &str = "1";

/// What a container is created from, beside its specification.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placement<'a> {
    /// Docker's id of the namespace container.
    pub(crate) namespace: &'a str,
    /// The directory that the volume is mounted on, if there is one.
    pub(crate) volume: Option<&'a Path>,
    /// What the container's mount points show, outer ones first.
    pub(crate) mounts: &'a [BindMount],
}

/// A directory, file or socket of the node that a container sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindMount {
    /// The directory or file.
    pub source: PathBuf,
    /// Where the container sees it.
    pub target: MountPath,
    /// Whether the container cannot change it.
    pub read_only: bool,
}

/// The mount points of a container, except the file systems in memory among its options.
#[derive(Debug, Clone, Copy, Default)]
pub struct ContainerMounts<'a> {
    /// Directories and files of the node, outer ones first.
    pub binds: &'a [BindMount],
    /// Further file systems in memory.
    pub memory: &'a [(MountPath, TmpfsOptions)],
}

impl<'a, const COUNT: usize> From<&'a [BindMount; COUNT]> for ContainerMounts<'a> {
    fn from(binds: &'a [BindMount; COUNT]) -> Self {
        Self {
            binds,
            ..Self::default()
        }
    }
}

/// Gives a container further file systems in memory.
pub(crate) fn add_memory(
    memory: &[(MountPath, TmpfsOptions)],
    mut body: ContainerCreateBody,
) -> ContainerCreateBody {
    if !memory.is_empty() {
        let host = body.host_config.get_or_insert_default();
        let more = memory.iter();
        let more = more.map(|(path, options)| (path.to_string(), options.to_string()));
        host.tmpfs.get_or_insert_default().extend(more);
    }
    body
}

/// Makes the labels that tell whether an application container is the one that is wanted.
pub(crate) fn render_labels(
    specification: &ContainerSpecification,
    placement: Placement<'_>,
) -> Labels {
    let volume = placement.volume.map(|path| path.to_string_lossy());
    labels(&[
        (LABEL_APPLICATION, specification.application.as_str()),
        (LABEL_ROLE, Role::Application.as_str()),
        (LABEL_CONFIGURATION, specification.digest().as_str()),
        // Docker stores the id, not the name, of the container whose network is joined: when that
        // one has been replaced, this one could never start again.
        (LABEL_NAMESPACE, placement.namespace),
        (LABEL_VOLUME, volume.as_deref().unwrap_or_default()),
        (LABEL_FORMAT, FORMAT),
    ])
}

/// Describes an application container to Docker.
pub(crate) fn render_container(
    specification: &ContainerSpecification,
    placement: Placement<'_>,
) -> ContainerCreateBody {
    let environment = specification
        .environment
        .iter()
        .map(|(name, value)| format!("{name}={}", value.reveal()))
        .collect();
    let memory = specification
        .memory
        .map(|bytes| i64::try_from(bytes.get()).unwrap_or(i64::MAX));
    let mounts: Vec<Mount> = placement.mounts.iter().map(render_mount).collect();
    let grace = specification.stop_grace_period;
    let body = ContainerCreateBody {
        image: Some(specification.image.with_tag()),
        cmd: specification.command.clone(),
        stop_signal: specification.stop_signal.map(|signal| signal.to_string()),
        stop_timeout: grace.map(|grace| i64::from(grace.seconds())),
        healthcheck: specification.health_check.as_ref().map(render_check),
        env: Some(environment),
        labels: Some(render_labels(specification, placement)),
        host_config: Some(HostConfig {
            network_mode: Some(format!("container:{}", placement.namespace)),
            mounts: (!mounts.is_empty()).then_some(mounts),
            memory,
            // Swap counts too, or the limit would be twice what was asked for.
            memory_swap: memory,
            nano_cpus: specification
                .cpu
                .map(|limit| i64::from(limit.get()) * 1_000_000),
            log_config: Some(bounded_log()),
            restart_policy: Some(never_by_docker()),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    add_options(&specification.options, body)
}

/// Describes the bind mount of a directory.
///
/// A *mount*, not a *bind* (`-v`): Docker makes a missing source directory for the latter, and an
/// application that was started before its volume is mounted would write beside it.
fn render_mount(mount: &BindMount) -> Mount {
    Mount {
        typ: Some(MountType::BIND),
        source: Some(mount.source.to_string_lossy().into_owned()),
        target: Some(mount.target.as_str().to_owned()),
        read_only: mount.read_only.then_some(true),
        bind_options: Some(MountBindOptions {
            create_mountpoint: Some(false),
            ..MountBindOptions::default()
        }),
        ..Mount::default()
    }
}

/// Keeps the last MiB of output beside the journal.
///
/// The journal is where logs are kept: `docker start --attach` copies the output into the unit's.
/// With the driver `journald` every line would be stored there twice, once without the unit's
/// name; with `none`, `docker logs` fails, and nothing could be shown of a container that ends
/// before anything has attached to it. A small ring of the `local` driver costs a bounded amount.
fn bounded_log() -> HostConfigLogConfig {
    let options = [
        ("max-size", "512k"),
        ("max-file", "2"),
        ("compress", "false"),
    ];
    HostConfigLogConfig {
        typ: Some("local".to_owned()),
        config: Some(labels(&options)),
    }
}

/// Leaves restarting to systemd, which knows about volumes.
fn never_by_docker() -> RestartPolicy {
    RestartPolicy {
        name: Some(RestartPolicyNameEnum::NO),
        ..RestartPolicy::default()
    }
}

/// Describes the container that holds the network namespace of `application`.
pub(crate) fn render_namespace(
    application: &ApplicationName,
    identity: &NetworkIdentity,
    (image, network): (&str, &str),
) -> ContainerCreateBody {
    let configuration = if identity.is_unset() {
        // As earlier releases wrote it: an upgrade makes no namespace anew.
        Digest::of(&(FORMAT, image, network))
    } else {
        Digest::of(&(FORMAT, image, network, identity))
    };
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        // Containers that join the namespace take the name over.
        hostname: Some(application.as_str().to_owned()),
        entrypoint: Some(vec![PROGRAM_PATH.to_owned()]),
        // The first process of a container ignores every signal that it does not handle.
        stop_signal: Some("SIGKILL".to_owned()),
        labels: Some(labels(&[
            (LABEL_APPLICATION, application.as_str()),
            (LABEL_ROLE, Role::Network.as_str()),
            (LABEL_CONFIGURATION, configuration.as_str()),
        ])),
        host_config: Some(HostConfig {
            network_mode: Some(network.to_owned()),
            readonly_rootfs: Some(true),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            log_config: Some(HostConfigLogConfig {
                typ: Some("none".to_owned()),
                config: None,
            }),
            restart_policy: Some(never_by_docker()),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    add_identity(identity, body)
}

/// Collects pairs of text.
fn labels(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[cfg(test)]
mod tests;
