//! Waiting for an application that does one thing and ends.

use std::fmt::Write as _;
use std::time::Duration;

use flocker_model::ApplicationName;
use thiserror::Error;

use crate::connection::Docker;
use crate::start_watch::{Ended, StartError, write_output};

/// How long systemd may take to start an application again that has failed: the longest delay of its
/// unit, and some time to prepare the start.
const UNTIL_NEXT_START: Duration = Duration::from_secs(90);

/// Why an application has not completed.
#[derive(Debug, Error)]
pub enum CompletionError {
    /// It ended with an error, and is not waited for any more.
    #[error("{}", incomplete(last, *times))]
    Failed {
        /// Its last end.
        last: Box<Ended>,
        /// How often it has failed.
        times: u32,
    },
    /// It cannot be watched, or never started.
    #[error(transparent)]
    Watch(#[from] StartError),
}

/// Describes an application that did not do what it is for.
fn incomplete(last: &Ended, times: u32) -> String {
    let application = &last.application;
    let mut text = format!("{application} did not complete: it ended");
    match (&last.problem, last.exit_code) {
        (Some(problem), _) => {
            text.push_str(" with an error of Docker: ");
            text.push_str(problem);
        }
        (None, Some(status)) => {
            // Writing to a string cannot fail.
            let _ = write!(text, " with status {status}");
        }
        (None, None) => {}
    }
    if last.out_of_memory {
        text.push_str(", out of memory (raise its `memory`)");
    }
    if times > 1 {
        let _ = write!(text, ", after {} other failed attempts", times - 1);
    }
    write_output(&mut text, &last.output);
    text
}

impl Docker {
    /// Waits until `application` has ended without an error. One that fails is started again by
    /// systemd or not; after `attempts` failures it is not waited for any more.
    ///
    /// # Errors
    /// When it fails so often, or is not started again.
    pub async fn wait_until_completed(
        &self,
        application: &ApplicationName,
        attempts: u32,
    ) -> Result<(), CompletionError> {
        let mut watch = self.watch_run(application);
        let mut failed: Option<(Box<Ended>, u32)> = None;
        loop {
            match (watch.next_end(UNTIL_NEXT_START).await, failed.take()) {
                (Ok(end), _) if end.succeeded() => return Ok(()),
                (Ok(end), before) => {
                    let times = before.map_or(0, |(_, times)| times).saturating_add(1);
                    let last = Box::new(end);
                    if times >= attempts {
                        return Err(CompletionError::Failed { last, times });
                    }
                    failed = Some((last, times));
                }
                // Nothing starts it again.
                (Err(StartError::Deadline { .. }), Some((last, times))) => {
                    return Err(CompletionError::Failed { last, times });
                }
                (Err(error), _) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_complete_is_told_with_its_last_end() {
        let last = Ended {
            application: "migrate".parse().unwrap(),
            exit_code: Some(3),
            out_of_memory: false,
            problem: None,
            output: vec!["no such table".to_owned()],
        };
        assert_eq!(
            incomplete(&last, 1),
            "migrate did not complete: it ended with status 3; its last output:\n  no such table"
        );
        let silent = Ended {
            output: Vec::new(),
            ..last
        };
        assert_eq!(
            incomplete(&silent, 6),
            "migrate did not complete: it ended with status 3, after 5 other failed attempts; it \
             printed nothing"
        );
    }
}
