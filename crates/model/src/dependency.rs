//! The condition on which one application waits for another before it starts.

use serde::{Deserialize, Serialize};

/// How far an application has to be before one that depends on it starts.
///
/// **Source**: Compose Specification, `depends_on`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DependencyCondition {
    /// It was started.
    Started,
    /// It was started, has stayed up for a while, and its health check passes.
    Healthy,
    /// It has ended without an error.
    Completed,
}
