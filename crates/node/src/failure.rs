//! Putting errors into the words that the operator reads.

use std::error::Error;

use flocker_remote::protocol::StepFailure;

/// Puts an error and everything below it into words.
pub(crate) fn failure(error: &(dyn Error + 'static)) -> StepFailure {
    let message = error.to_string();
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        // Some errors repeat what they carry.
        if *causes.last().unwrap_or(&message) != text {
            causes.push(text);
        }
        next = cause.source();
    }
    StepFailure {
        message,
        causes,
        hint: None,
        stale: is_stale(error),
    }
}

/// Makes a failure of a sentence alone.
pub(crate) fn failure_of(message: impl Into<String>) -> StepFailure {
    StepFailure {
        message: message.into(),
        causes: Vec::new(),
        hint: None,
        stale: false,
    }
}

/// Says what was being done when an error came.
pub(crate) fn failed_to(what: impl Into<String>, error: &(dyn Error + 'static)) -> StepFailure {
    let inner = failure(error);
    let mut causes = vec![inner.message];
    causes.extend(inner.causes);
    StepFailure {
        message: what.into(),
        causes,
        hint: inner.hint,
        stale: inner.stale,
    }
}

/// Tells whether the volume was found in another state than the plan expects.
fn is_stale(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<flocker_zfs::Stale>() {
            return true;
        }
        next = error.source();
    }
    false
}

/// Adds the words of [`failure`] to every result.
pub(crate) trait OrFailure<T> {
    /// Puts the error into words as it is.
    fn or_failure(self) -> Result<T, StepFailure>;
    /// Puts the error into words as the cause of `what`.
    fn or_failed_to(self, what: impl Into<String>) -> Result<T, StepFailure>;
}

impl<T, E: Error + 'static> OrFailure<T> for Result<T, E> {
    fn or_failure(self) -> Result<T, StepFailure> {
        self.map_err(|error| failure(&error))
    }

    fn or_failed_to(self, what: impl Into<String>) -> Result<T, StepFailure> {
        self.map_err(|error| failed_to(what, &error))
    }
}

#[cfg(test)]
mod tests {
    use flocker_zfs::{
        AcquireError, CreateError, Found, OpenError, ReceiveError, ReleaseError, SetAsideError,
        Stale,
    };

    use super::*;

    #[test]
    fn a_volume_in_another_state_is_told_apart_however_it_is_wrapped() {
        let stale = || Stale {
            application: "web".parse().unwrap(),
            expected: "an owned volume".to_owned(),
            found: Found::Absent,
        };
        let wrapped: [&(dyn Error + 'static); 7] = [
            &stale(),
            &OpenError::from(stale()),
            &CreateError::from(stale()),
            &ReleaseError::from(stale()),
            &AcquireError::from(stale()),
            &ReceiveError::from(stale()),
            &SetAsideError::from(stale()),
        ];
        for error in wrapped {
            let failure = failure(error);
            assert!(failure.stale, "{error:?}");
            assert_eq!(failure.causes, [""; 0], "said once");
        }
        assert!(!failure(&std::io::Error::other("full")).stale);
    }
}
