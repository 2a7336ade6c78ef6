//! Which of Docker's events are of interest.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::query_parameters::EventsOptions;
use flocker_model::ApplicationName;

use crate::naming::container_name;

/// How far back events are asked for, so that none falls between two requests.
const EVENT_OVERLAP: Duration = Duration::from_secs(1);

/// Asks for the events of an application's container after which another look is worth while.
///
/// The past second is asked for, too: the daemon begins to send when it has read the request, and
/// the first look must not slip in between.
pub(crate) fn event_options(application: &ApplicationName, events: &[&str]) -> EventsOptions {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .saturating_sub(EVENT_OVERLAP);
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    EventsOptions {
        since: Some(format!("{}.{:09}", now.as_secs(), now.subsec_nanos())),
        until: None,
        filters: Some(HashMap::from([
            ("type".to_owned(), texts(&["container"])),
            ("event".to_owned(), texts(events)),
            ("container".to_owned(), vec![container_name(application)]),
        ])),
    }
}
