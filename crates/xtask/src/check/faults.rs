//! Each fault of the past can be reproduced, and is in the table of docs/faults.

use std::path::Path;

use super::Repository;
use super::finding::Finding;
use crate::reproduce::{DIRECTORY, all};

/// The table.
const TABLE: &str = "docs/faults/README.md";

pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let table = repository.text(TABLE);
    let mut findings = Vec::new();
    for (name, fault) in all() {
        let path = Path::new(DIRECTORY).join(format!("{name}.patch"));
        if !table.contains(&format!("`{name}`")) {
            findings.push(Finding::new(TABLE, 1, format!("the table lacks `{name}`")));
        }
        match fault {
            Ok(fault) if fault.applies() => {}
            Ok(_) => {
                let message = "the patch does not fit the code any more; make it anew";
                findings.push(Finding::new(path, 1, message));
            }
            Err(why) => findings.push(Finding::new(path, 1, why)),
        }
    }
    findings
}
