//! What systemd says of units: pure.
//!
//! **Source**: `org.freedesktop.systemd1(5)`, `ListUnitsByPatterns()` and `ActiveState`.

use std::collections::BTreeMap;

use flocker_model::{ApplicationName, UnitState};

use crate::naming::application_of_unit;

/// A unit as systemd lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedUnit<'a> {
    /// Its name, such as `flocker-web.service`.
    pub name: &'a str,
    /// Whether there is a file for it: `loaded`, `not-found`, …
    pub load_state: &'a str,
    /// What it is doing: `active`, `failed`, …
    pub active_state: &'a str,
}

/// Reads which units of ours there are: those that have a file in the directory `files`, whether
/// systemd lists them or not, and those that it lists.
///
/// Systemd drops what is stopped from its list, and lists units that others only mention.
pub fn read_units<'a>(
    files: impl IntoIterator<Item = &'a str>,
    listed: impl IntoIterator<Item = ListedUnit<'a>>,
) -> BTreeMap<ApplicationName, UnitState> {
    let files = files.into_iter().filter_map(application_of_unit);
    let mut units: BTreeMap<_, _> = files.map(|name| (name, UnitState::Inactive)).collect();
    for unit in listed {
        if let Some(application) = application_of_unit(unit.name)
            && unit.load_state != "not-found"
        {
            units.insert(application, parse_state(unit.active_state));
        }
    }
    units
}

/// Understands `ActiveState`.
fn parse_state(state: &str) -> UnitState {
    match state {
        "active" | "reloading" | "refreshing" => UnitState::Active,
        "activating" => UnitState::Activating,
        "deactivating" => UnitState::Deactivating,
        "failed" => UnitState::Failed,
        // "inactive" and "maintenance".
        _ => UnitState::Inactive,
    }
}
