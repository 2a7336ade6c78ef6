//! The bridge network and the namespaces on it.

use std::collections::BTreeSet;

use bollard::models::{ContainerCreateBody, NetworkCreateRequest};
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, KillContainerOptions,
};
use flocker_docker::{
    Change, Docker, DockerSettings, LookupError, NamespaceError, NetworkError, container_name,
    namespace_name,
};

use crate::daemon::{
    IMAGE, SERVER, application, connect, docker_command, settings, start, stranger,
};
use flocker_model::{ApplicationName, NetworkIdentity};

#[tokio::test]
async fn the_network_is_made_once_with_the_addresses_that_are_asked_for() {
    let Some(settings) = settings() else { return };
    let subnet = "10.213.0.0/24".parse().unwrap();
    let settings = DockerSettings {
        network: "flocker-once".to_owned(),
        bridge: "fl-once".to_owned(),
        subnet: Some(subnet),
        ..settings
    };
    let docker = Docker::connect(settings.clone()).await.unwrap();
    assert_eq!(docker.observe_network().await.unwrap(), None);
    let made = docker.ensure_network().await.unwrap();
    assert_eq!(made.change, Change::Changed);
    assert_eq!(made.subnet, subnet);
    assert_eq!(made.gateway.octets(), [10, 213, 0, 1]);
    let found = docker.ensure_network().await.unwrap();
    assert_eq!(found.change, Change::Unchanged);
    assert_eq!(found.id, made.id);

    let elsewhere = DockerSettings {
        subnet: Some("10.214.0.0/24".parse().unwrap()),
        ..settings
    };
    let elsewhere = Docker::connect(elsewhere).await.unwrap();
    let error = elsewhere.ensure_network().await.unwrap_err();
    assert!(matches!(error, NetworkError::Different { .. }), "{error:?}");
}

#[tokio::test]
async fn a_network_of_somebody_else_is_refused() {
    let Some(settings) = settings() else { return };
    let name = "flocker-taken".to_owned();
    let request = NetworkCreateRequest {
        name: name.clone(),
        ..NetworkCreateRequest::default()
    };
    stranger().await.create_network(request).await.unwrap();
    let settings = DockerSettings {
        network: name,
        ..settings
    };
    let docker = Docker::connect(settings).await.unwrap();
    let error = docker.ensure_network().await.unwrap_err();
    insta::assert_snapshot!(error, @"a docker network named flocker-taken exists that flocker did not create; remove it (docker network rm flocker-taken), or give flocker's network another name in node.toml");
}

#[tokio::test]
async fn a_namespace_stays_until_its_process_dies() {
    let Some(docker) = connect().await else {
        return;
    };
    let application = "namespace-stays".parse().unwrap();
    let network = docker.ensure_network().await.unwrap();
    let made = docker
        .ensure_namespace(&application, &NetworkIdentity::default())
        .await
        .unwrap();
    assert_eq!(made.change, Change::Changed);
    assert_eq!(
        made.address.octets()[..2],
        network.subnet.address.octets()[..2]
    );
    let found = docker
        .ensure_namespace(&application, &NetworkIdentity::default())
        .await
        .unwrap();
    assert_eq!(found.change, Change::Unchanged);
    assert_eq!(found.pid, made.pid);
    let observed = docker.observe_containers().await.unwrap();
    let namespace = observed[&application].namespace.clone().unwrap();
    assert_eq!(namespace.running, Some((made.pid, made.address)));

    stranger()
        .await
        .kill_container(&namespace_name(&application), None::<KillContainerOptions>)
        .await
        .unwrap();
    let again = docker
        .ensure_namespace(&application, &NetworkIdentity::default())
        .await
        .unwrap();
    assert_eq!(again.change, Change::Changed);
    assert_eq!(again.container, made.container);
    assert_ne!(again.pid, made.pid);

    let removed = docker.remove_namespace(&application).await.unwrap();
    assert_eq!(removed, Change::Changed);
    let removed = docker.remove_namespace(&application).await.unwrap();
    assert_eq!(removed, Change::Unchanged);
}

/// What programs in an application's container get for the name `localhost`: those that want any
/// address that the machine can use, and those that want IPv6 first.
fn localhost_in(application: &ApplicationName) -> BTreeSet<String> {
    let name = container_name(application);
    let mut addresses = BTreeSet::new();
    for database in ["ahosts", "hosts"] {
        let output = docker_command()
            .args(["exec", &name, "getent", database, "localhost"])
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        let found = String::from_utf8(output.stdout).unwrap();
        let words = found.lines().filter_map(|line| line.split(' ').next());
        addresses.extend(words.map(str::to_owned));
    }
    addresses
}

#[tokio::test]
async fn localhost_is_ipv4_alone_where_links_are() {
    let Some(docker) = connect().await else {
        return;
    };
    let specification = application("localhost", SERVER);
    let application = &specification.application;
    let ipv4 = BTreeSet::from(["127.0.0.1".to_owned()]);
    docker
        .ensure_namespace(application, &NetworkIdentity::default())
        .await
        .unwrap();
    docker
        .ensure_container(&specification, None, &[])
        .await
        .unwrap();
    start(application).await;
    assert_eq!(localhost_in(application), ipv4);

    // Docker writes the file anew whenever it starts the namespace.
    docker
        .stop_container(application, std::time::Duration::ZERO)
        .await
        .unwrap();
    stranger()
        .await
        .kill_container(&namespace_name(application), None::<KillContainerOptions>)
        .await
        .unwrap();
    let again = docker
        .ensure_namespace(application, &NetworkIdentity::default())
        .await
        .unwrap();
    assert_eq!(again.change, Change::Changed);
    start(application).await;
    assert_eq!(localhost_in(application), ipv4);

    // Of what an earlier release started, too, without making anything anew.
    let inspected = stranger()
        .await
        .inspect_container(&again.container, None::<InspectContainerOptions>)
        .await
        .unwrap();
    let path = inspected.hosts_path.unwrap();
    std::fs::write(&path, "127.0.0.1 localhost\n::1 localhost ip6-localhost\n").unwrap();
    assert_ne!(localhost_in(application), ipv4);
    let found = docker
        .ensure_namespace(application, &NetworkIdentity::default())
        .await
        .unwrap();
    assert_eq!(found.change, Change::Unchanged);
    assert_eq!(localhost_in(application), ipv4);
}

#[tokio::test]
async fn a_namespace_that_is_in_use_is_not_taken_away() {
    let Some(docker) = connect().await else {
        return;
    };
    let specification = application("namespace-used", SERVER);
    let application = &specification.application;
    docker
        .ensure_namespace(application, &NetworkIdentity::default())
        .await
        .unwrap();
    docker
        .ensure_container(&specification, None, &[])
        .await
        .unwrap();
    start(application).await;
    let error = docker.remove_namespace(application).await.unwrap_err();
    assert!(matches!(error, NamespaceError::InUse { .. }), "{error:?}");
}

#[tokio::test]
async fn containers_of_somebody_else_are_never_touched() {
    let Some(docker) = connect().await else {
        return;
    };
    let specification = application("foreign", SERVER);
    let application = &specification.application;
    let names = [namespace_name(application), container_name(application)];
    for name in &names {
        let options = CreateContainerOptions {
            name: Some(name.clone()),
            ..CreateContainerOptions::default()
        };
        let body = ContainerCreateBody {
            image: Some(IMAGE.to_owned()),
            cmd: Some(vec!["sh".to_owned()]),
            ..ContainerCreateBody::default()
        };
        stranger()
            .await
            .create_container(Some(options), body)
            .await
            .unwrap();
    }
    let error = docker
        .ensure_namespace(application, &NetworkIdentity::default())
        .await
        .unwrap_err();
    insta::assert_snapshot!(error, @"a container named flocker.network-foreign exists that flocker did not create (no label flocker.application=foreign); rename or remove it: docker rename flocker.network-foreign OTHER-NAME");
    assert!(docker.remove_namespace(application).await.is_err());
    assert!(docker.remove_container(application).await.is_err());
    assert!(
        docker
            .stop_container(application, std::time::Duration::ZERO)
            .await
            .is_err()
    );
    assert!(matches!(
        docker.watch_start(application).await,
        Err(LookupError::NotOurs(_))
    ));
    let observed = docker.observe_containers().await.unwrap();
    assert!(!observed.contains_key(application));
    for name in &names {
        let none = None::<bollard::query_parameters::InspectContainerOptions>;
        assert!(stranger().await.inspect_container(name, none).await.is_ok());
    }
}
