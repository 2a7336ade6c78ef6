//! How the process is run.

use flocker_model::ProcessOptions;

use super::Keys;
use super::forms::{boolean, checked, checked_items, list};
use crate::command::read_entrypoint;
use crate::report::Report;

const USER: (&str, &str) = (
    "a user",
    "write a name or number, or both of user and group: `\"1000:1000\"`",
);

pub(super) fn read_process(keys: &Keys<'_>, report: &mut Report) -> ProcessOptions {
    let directory = ("a path", "write the path inside the container, from `/` on");
    ProcessOptions {
        entrypoint: keys
            .field("entrypoint")
            .and_then(|field| read_entrypoint(&field, keys.owner, report)),
        user: keys
            .field("user")
            .and_then(|field| checked(&field, USER, report)),
        group_add: read_groups(keys, report),
        working_dir: keys
            .field("working_dir")
            .and_then(|field| checked(&field, directory, report)),
        init: keys.field("init").and_then(|field| boolean(&field, report)),
        tty: is_set(keys, "tty", report),
        stdin_open: is_set(keys, "stdin_open", report),
    }
}

fn read_groups(keys: &Keys<'_>, report: &mut Report) -> Vec<flocker_model::ContainerUser> {
    let Some(field) = keys.field("group_add") else {
        return Vec::new();
    };
    let what = format!("a group of {}", keys.owner);
    let group = (
        "a group",
        "write the name or number of a group: `[video, 44]`",
    );
    checked_items((list(&field, report), &what), group, report)
}

/// Reads a boolean that is `false` where nothing is said.
pub(super) fn is_set(keys: &Keys<'_>, key: &str, report: &mut Report) -> bool {
    let field = keys.field(key);
    field
        .and_then(|field| boolean(&field, report))
        .unwrap_or_default()
}
