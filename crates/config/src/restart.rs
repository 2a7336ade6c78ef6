//! The key `restart`: when an application is started again after it has ended.

use std::num::NonZeroU16;

use flocker_model::RestartPolicy;

use crate::dollar::Purpose;
use crate::fields::Field;
use crate::phrase::quote;
use crate::report::{Finding, Report};
use crate::suggest::nearest;

/// Reads a restart policy, in our words or Compose's.
///
/// `no` is taken whether it is in quotes or not: YAML's versions disagree on what it is, and here it
/// can mean only one thing.
pub(crate) fn read_restart(field: &Field<'_>, report: &mut Report) -> Option<RestartPolicy> {
    if let Some(text) = field.value.text() {
        field.read_dollars(text, Purpose::Flocker, report)?;
    }
    let text = field.value.text();
    let policy = match text {
        Some("no") => Some(RestartPolicy::Never),
        Some(text) => text.parse().ok(),
        None => None,
    };
    if policy.is_none() {
        report.error(|| {
            let Some(text) = text else {
                return field
                    .wrong_type("`always`, `on-failure` or `never`")
                    .hint(field.line("always"));
            };
            let message = format!("{}: {} is not a restart policy", field.what, quote(text));
            Finding::at(field.span(), message).hint(restart_hint(text))
        });
    }
    policy
}

/// Answers the policies of other programs, and misspellings of ours.
fn restart_hint(text: &str) -> String {
    match text {
        "false" | "none" => "write `never`".to_owned(),
        "yes" | "true" | "any" => "write `always`".to_owned(),
        "unless-stopped" => "write `always`; an application that was stopped by hand is started \
                             again by the next deploy and the next boot"
            .to_owned(),
        "on-failure:0" => "write `on-failure` for any number of attempts".to_owned(),
        text if text.starts_with("on-failure:") => {
            let most = NonZeroU16::MAX;
            format!("write a number of attempts from 1 to {most}: `on-failure:5`")
        }
        other => match nearest(other, ["always", "on-failure", "never"]) {
            Some(guess) => format!("did you mean `{guess}`?"),
            None => "it is one of `always`, `on-failure`, `on-failure:5` and `never`".to_owned(),
        },
    }
}
