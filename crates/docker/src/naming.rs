//! The names and labels by which Docker and systemd know an application.

use flocker_model::ApplicationName;

/// Label with the name of the application that a container belongs to.
pub(crate) const LABEL_APPLICATION: &str = "flocker.application";
/// Label that says which of an application's containers this is.
pub(crate) const LABEL_ROLE: &str = "flocker.role";
/// Label with the digest of the configuration that a container was created from.
pub(crate) const LABEL_CONFIGURATION: &str = "flocker.configuration";
/// Label with the id of the namespace container whose network an application container joined.
pub(crate) const LABEL_NAMESPACE: &str = "flocker.namespace";
/// Label with the directory that is bind mounted into an application container.
pub(crate) const LABEL_VOLUME: &str = "flocker.volume";
/// Label with the version of the way in which containers are made.
pub(crate) const LABEL_FORMAT: &str = "flocker.format";
/// Label on the bridge network.
pub(crate) const LABEL_NETWORK: &str = "flocker.network";

/// Which of an application's containers one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The one that runs the application.
    Application,
    /// The one that holds its network namespace.
    Network,
}

impl Role {
    /// Returns the value of the label.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Network => "network",
        }
    }
}

/// Whether an idempotent operation found something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Everything was as it should be.
    Unchanged,
    /// Something was created, re-created, stopped or removed.
    Changed,
}

impl Change {
    /// Makes `Changed` of `true`.
    pub(crate) const fn when(changed: bool) -> Self {
        if changed {
            Self::Changed
        } else {
            Self::Unchanged
        }
    }
}

/// Returns the name of the container that runs `application`.
pub fn container_name(application: &ApplicationName) -> String {
    format!("flocker-{application}")
}

/// Returns the name of the container that holds the network namespace of `application`.
///
/// It does not begin with `flocker-`, because the application `net-x` would then have the name of
/// the namespace of the application `x`.
pub fn namespace_name(application: &ApplicationName) -> String {
    format!("flocker.network-{application}")
}

/// Returns the name of the container that an image's files are read from for `application`.
pub(crate) fn content_name(application: &ApplicationName) -> String {
    format!("flocker.content-{application}")
}

/// Returns the name of the container that shows whether Docker would make one for `application`.
pub(crate) fn trial_name(application: &ApplicationName) -> String {
    format!("flocker.trial-{application}")
}

/// Returns the name of the systemd unit that runs `application`.
pub fn unit_name(application: &ApplicationName) -> String {
    format!("flocker-{application}.service")
}

/// Finds the application that a unit runs, if it is one of ours by its name.
pub(crate) fn application_of_unit(unit: &str) -> Option<ApplicationName> {
    unit.strip_prefix("flocker-")?
        .strip_suffix(".service")?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_applications_share_a_name_of_any_kind() {
        let names: Vec<ApplicationName> = ["x", "net-x", "network-x", "flocker-x"]
            .into_iter()
            .map(|name| name.parse().unwrap())
            .collect();
        let mut all: Vec<String> = names
            .iter()
            .flat_map(|name| [container_name(name), namespace_name(name)])
            .collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 2 * names.len());
    }

    #[test]
    fn a_unit_name_leads_back_to_its_application() {
        let name: ApplicationName = "pgsql-trac".parse().unwrap();
        assert_eq!(application_of_unit(&unit_name(&name)), Some(name));
        assert_eq!(application_of_unit("flocker.service"), None);
        assert_eq!(application_of_unit("docker.service"), None);
    }
}
