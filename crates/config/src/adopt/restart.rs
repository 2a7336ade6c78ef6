//! `restart` of a service, and the restart policy of its `deploy`, which wins.
//!
//! **Source**: Compose Deploy Specification, `restart_policy`: "If `restart_policy` is not set, Compose
//! considers the `restart` field".

use crate::adopt::adoption::Adoption;
use crate::adopt::deploy::leave_out;
use crate::adopt::forms::check_keys;
use crate::adopt::project::Service;
use crate::adopt::service::Application;
use crate::adopt::yaml::{Yaml, key};
use crate::phrase::quote;

/// Gives the application the restart policy of its service.
pub(crate) fn rewrite_restart(
    service: &Service,
    application: &mut Application,
    adoption: &mut Adoption<'_>,
) {
    let is_said = |value: &&Yaml| !value.is_null();
    let restart = service.get("restart").filter(is_said).map(simple_policy);
    let deploy = service.get("deploy");
    let policy = deploy.and_then(|deploy| deploy.get("restart_policy"));
    let owner = quote(&service.name.value);
    let policy = policy
        .filter(is_said)
        .map(|policy| policy_of_deploy(policy, &owner, adoption));
    if let (Some(restart), Some(policy)) = (&restart, &policy)
        && restart.text() != policy.text()
    {
        adoption.warn(
            restart.span,
            format!("`restart` of {owner} is left out"),
            "`restart_policy` in `deploy` decides, as in Compose; keep one of the two",
        );
    }
    let chosen = policy.or(restart).unwrap_or_else(|| {
        adoption.decide(
            service.name.span,
            "Compose starts nothing again where the file sets no `restart`",
        );
        Yaml::string(service.name.span, "never")
    });
    application.set(key(chosen.span, "restart"), chosen, adoption);
}

/// Writes a restart policy of Compose as one of ours.
fn simple_policy(value: &Yaml) -> Yaml {
    match value.text() {
        // Flocker starts an application that was stopped by hand with the next deploy, as
        // `docker compose up` does.
        Some("unless-stopped") => Yaml::string(value.span, "always"),
        Some("no" | "false") => Yaml::string(value.span, "never"),
        _ => value.clone(),
    }
}

const POLICY: &[&str] = &["condition", "delay", "max_attempts", "window"];

fn policy_of_deploy(value: &Yaml, owner: &str, adoption: &mut Adoption<'_>) -> Yaml {
    let what = format!("`restart_policy` of {owner}");
    check_keys(value, (&what, &[POLICY]), adoption);
    for entry in value.entries().into_iter().flatten() {
        if matches!(entry.0.value.as_str(), "delay" | "window") {
            leave_out(entry, owner, "Flocker has its own pauses", adoption);
        }
    }
    let condition = value.text_of("condition").unwrap_or("any");
    let attempts = value.text_of("max_attempts").filter(|count| *count != "0");
    let policy = match (condition, attempts) {
        ("none" | "no", _) => "never".to_owned(),
        ("on-failure", Some(count)) => format!("on-failure:{count}"),
        ("on-failure", None) => "on-failure".to_owned(),
        ("any" | "always" | "unless-stopped", attempts) => {
            if attempts.is_some() {
                adoption.error(
                    value.span,
                    format!("{owner} is to be started again a limited number of times, whatever ended it"),
                    "a number of attempts needs `condition: on-failure`",
                );
            }
            "always".to_owned()
        }
        (other, _) => other.to_owned(),
    };
    Yaml::string(value.span, policy)
}
