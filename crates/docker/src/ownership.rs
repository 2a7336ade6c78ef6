//! Telling our containers from everybody else's.

use std::collections::HashMap;

use bollard::models::{ContainerCreateBody, ContainerInspectResponse};
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, RemoveContainerOptions,
};
use flocker_model::ApplicationName;
use thiserror::Error;

use crate::connection::{Docker, RequestFailed, found, status_of};
use crate::naming::{LABEL_APPLICATION, LABEL_ROLE, Role, container_name, namespace_name};

/// Something under a name of ours that Flocker did not make.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "a container named {name} exists that flocker did not create (no label \
     {LABEL_APPLICATION}={application}); rename or remove it: docker rename {name} OTHER-NAME"
)]
pub struct NotOurs {
    /// The container's name.
    pub name: String,
    /// The application whose name it takes.
    pub application: ApplicationName,
}

/// Why a container of ours cannot be looked at.
#[derive(Debug, Error)]
pub enum LookupError {
    /// Its name is somebody else's.
    #[error(transparent)]
    NotOurs(#[from] NotOurs),
    /// A request failed.
    #[error(transparent)]
    Request(#[from] RequestFailed),
}

/// Labels as Docker gives them.
pub(crate) type Labels = HashMap<String, String>;

/// Returns the labels of an inspected container.
pub(crate) fn labels_of(container: &ContainerInspectResponse) -> Option<&Labels> {
    container.config.as_ref()?.labels.as_ref()
}

/// Checks that a container that has a name of ours is the one that we would have made.
pub(crate) fn check_ours(
    container: &ContainerInspectResponse,
    application: &ApplicationName,
    role: Role,
) -> Result<(), NotOurs> {
    let label = |key: &str| labels_of(container)?.get(key).map(String::as_str);
    let ours = label(LABEL_APPLICATION) == Some(application.as_str())
        && label(LABEL_ROLE) == Some(role.as_str());
    if ours {
        Ok(())
    } else {
        let name = container.name.as_deref().unwrap_or_default();
        Err(NotOurs {
            name: name.trim_start_matches('/').to_owned(),
            application: application.clone(),
        })
    }
}

/// Tells whether a container runs.
pub(crate) fn is_running(container: &ContainerInspectResponse) -> bool {
    container
        .state
        .as_ref()
        .and_then(|state| state.running)
        .unwrap_or(false)
}

/// The only requests that name a container: each goes through the check that it is ours.
impl Docker {
    /// Looks at one of an application's containers; `None` when it does not exist.
    pub(crate) async fn inspect_ours(
        &self,
        application: &ApplicationName,
        role: Role,
    ) -> Result<Option<ContainerInspectResponse>, LookupError> {
        let name = match role {
            Role::Application => container_name(application),
            Role::Network => namespace_name(application),
        };
        let answer = self
            .client
            .inspect_container(&name, None::<InspectContainerOptions>)
            .await;
        let container = found(answer)
            .map_err(|source| RequestFailed::new(format!("inspect container {name}"), source))?;
        if let Some(container) = &container {
            check_ours(container, application, role)?;
        }
        Ok(container)
    }

    /// Creates a container; one that another process of ours has just created will do as well.
    pub(crate) async fn create_unless_there(
        &self,
        name: &str,
        body: ContainerCreateBody,
    ) -> Result<(), RequestFailed> {
        let options = CreateContainerOptions {
            name: Some(name.to_owned()),
            ..CreateContainerOptions::default()
        };
        match self.client.create_container(Some(options), body).await {
            Ok(_) => Ok(()),
            Err(error) if status_of(&error) == Some(409) => Ok(()),
            Err(source) => Err(RequestFailed::new(
                format!("create container {name}"),
                source,
            )),
        }
    }

    /// Removes a container that has been checked to be ours. Its volumes stay, should it have any.
    pub(crate) async fn run_remove(&self, name: &str, running: bool) -> Result<(), RequestFailed> {
        let options = RemoveContainerOptions {
            force: running,
            v: false,
            ..RemoveContainerOptions::default()
        };
        let answer = self.client.remove_container(name, Some(options)).await;
        found(answer)
            .map(|_| ())
            .map_err(|source| RequestFailed::new(format!("remove container {name}"), source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::ContainerConfig;

    fn container(labels: &[(&str, &str)]) -> ContainerInspectResponse {
        ContainerInspectResponse {
            name: Some("/flocker-trac".to_owned()),
            config: Some(ContainerConfig {
                labels: Some(
                    labels
                        .iter()
                        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                        .collect(),
                ),
                ..ContainerConfig::default()
            }),
            ..ContainerInspectResponse::default()
        }
    }

    #[test]
    fn only_both_labels_make_a_container_ours() {
        let trac: ApplicationName = "trac".parse().unwrap();
        let ours = container(&[
            ("flocker.application", "trac"),
            ("flocker.role", "application"),
        ]);
        assert_eq!(check_ours(&ours, &trac, Role::Application), Ok(()));
        for labels in [
            &[][..],
            &[("flocker.application", "trac")],
            &[("flocker.application", "trac"), ("flocker.role", "network")],
            &[
                ("flocker.application", "x"),
                ("flocker.role", "application"),
            ],
        ] {
            let error = check_ours(&container(labels), &trac, Role::Application).unwrap_err();
            assert_eq!(error.name, "flocker-trac", "{labels:?}");
        }
    }
}
