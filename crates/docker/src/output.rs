//! Reads what Docker says of containers and systemd of units, without asking either.
//!
//! [`Docker`](crate::Docker) and [`Units`](crate::Units) read by these functions alone. They are
//! public so that they can also be given what neither would say.

use std::collections::BTreeMap;

use bollard::models::ContainerInspectResponse;
use flocker_model::{ApplicationName, Health};

use crate::health::{health_of, last_output};
use crate::naming::Role;
use crate::observation::{ContainerObservation, record};
use crate::ownership::check_ours;
use crate::start_watch::{Ended, Look, look_at};

pub use crate::unit_state::{ListedUnit, read_units};

/// What is made of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadContainer {
    /// What it is to whom, by its labels.
    pub observed: BTreeMap<ApplicationName, ContainerObservation>,
    /// Whether it is the one that runs the application that was asked about.
    pub is_application: bool,
    /// Whether it is the one that holds that application's network namespace.
    pub is_namespace: bool,
    /// Its last start.
    pub run: ReadRun,
    /// What its last health check printed, when that is why it is unhealthy.
    pub unhealthy: Option<String>,
}

/// What is made of a container's last start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadRun {
    /// There was none.
    NotStarted,
    /// It goes on.
    Running {
        /// Since when, as Docker writes it.
        since: String,
    },
    /// It ended.
    Ended(Box<Ended>),
}

/// Reads what Docker answers when it is asked to inspect a container under a name of
/// `application`'s; `None` when it is no such answer. Addresses are those on `network`.
///
/// **Source**: Docker Engine API, `ContainerInspect`.
pub fn read_container(
    answer: &[u8],
    application: &ApplicationName,
    network: &str,
) -> Option<ReadContainer> {
    let container: ContainerInspectResponse = serde_json::from_slice(answer).ok()?;
    let mut observed = BTreeMap::new();
    record(&mut observed, &container, network);
    let is = |role| check_ours(&container, application, role).is_ok();
    let (is_application, is_namespace) = (is(Role::Application), is(Role::Network));
    let state = container.state.clone().unwrap_or_default();
    let unhealthy = (health_of(&state) == Health::Unhealthy).then(|| last_output(state.health));
    let run = match look_at(Some(container), None) {
        Look::NotStarted => ReadRun::NotStarted,
        Look::Running(start) => ReadRun::Running { since: start.at },
        Look::Ended(state) => ReadRun::Ended(Box::new(Ended::new(application, &state, Vec::new()))),
    };
    Some(ReadContainer {
        observed,
        is_application,
        is_namespace,
        run,
        unhealthy,
    })
}

#[cfg(test)]
mod tests {
    use flocker_model::{ContainerStatus, UnitState};

    use super::*;

    const NETWORK: &str = "flocker";

    fn read(role: &str, state: &str) -> ReadContainer {
        let answer = format!(
            r#"{{"Id": "c1", "Name": "/flocker-web", "State": {state},
                "Config": {{"Labels": {{"flocker.application": "web", "flocker.role": "{role}"}}}},
                "NetworkSettings": {{"Networks": {{"flocker": {{"IPAddress": "172.30.0.2"}}}}}}}}"#
        );
        read_container(answer.as_bytes(), &"web".parse().unwrap(), NETWORK).unwrap()
    }

    #[test]
    fn a_container_that_runs_or_ended_is_seen_so_everywhere() {
        let read_running = read(
            "application",
            r#"{"Running": true, "StartedAt": "2026-11-23T02:56:30Z"}"#,
        );
        assert!(read_running.is_application && !read_running.is_namespace);
        let since = "2026-11-23T02:56:30Z".to_owned();
        assert_eq!(read_running.run, ReadRun::Running { since });
        let ended = read(
            "application",
            r#"{"Running": false, "ExitCode": 3, "OOMKilled": true, "StartedAt": "2026-11-23T02:56:30Z"}"#,
        );
        let observed = ended.observed.values().next().unwrap();
        assert_eq!(
            observed.application.as_ref().unwrap().status,
            ContainerStatus::Stopped { exit_code: 3 }
        );
        let ReadRun::Ended(run) = ended.run else {
            panic!("{ended:?}");
        };
        assert_eq!((run.exit_code, run.out_of_memory), (Some(3), true));
        let never = read("application", r#"{"StartedAt": "0001-01-01T00:00:00Z"}"#);
        assert_eq!(never.run, ReadRun::NotStarted);
        let unhealthy = read(
            "application",
            r#"{"Running": true, "Health": {"Status": "unhealthy", "Log": [{"Output": "no"}]}}"#,
        );
        assert_eq!(unhealthy.unhealthy.as_deref(), Some("no"));
    }

    #[test]
    fn a_namespace_has_an_address_only_while_it_runs() {
        let address = |state| {
            let observed = read("network", state).observed;
            observed.into_values().next().unwrap().namespace.unwrap()
        };
        let running = Some((5, "172.30.0.2".parse().unwrap()));
        assert_eq!(address(r#"{"Pid": 5}"#).running, running);
        for state in [
            r#"{"Pid": 0}"#,
            r#"{"Pid": -1}"#,
            "{}",
            r#"{"Pid": 4294967296}"#,
        ] {
            assert_eq!(address(state).running, None, "{state}");
        }
    }

    #[test]
    fn a_unit_without_a_file_or_a_name_of_ours_is_none() {
        let unit = |name, load_state, active_state| ListedUnit {
            name,
            load_state,
            active_state,
        };
        let units = read_units(
            ["flocker-web.service", "web.service", "flocker-.service"],
            [
                unit("flocker-web.service", "loaded", "active"),
                unit("flocker-gone.service", "not-found", "inactive"),
                unit("flocker-db.service", "loaded", "maintenance"),
                unit("flocker-db.socket", "loaded", "active"),
            ],
        );
        let units: Vec<_> = units
            .iter()
            .map(|(name, state)| (name.as_str(), *state))
            .collect();
        assert_eq!(
            units,
            [("db", UnitState::Inactive), ("web", UnitState::Active)]
        );
    }
}
