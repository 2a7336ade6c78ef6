//! Putting errors into the words that the operator reads.

use std::error::Error;

use flocker_remote::protocol::StepFailure;
use flocker_zfs::{KernelFailed, Stale};

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
        hint: find(error, KernelFailed::hint),
        stale: find(error, |_: &Stale| Some(())).is_some(),
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

/// Asks the first error of a type among an error and its causes: a stale volume, which was found in
/// another state than the plan expects, or one that knows what can be done about it.
fn find<E: Error + 'static, T>(
    error: &(dyn Error + 'static),
    ask: impl Fn(&E) -> Option<T>,
) -> Option<T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return ask(found);
        }
        next = error.source();
    }
    None
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
        AcquireError, Cause, CreateError, Found, OpenError, ReceiveError, ReleaseError,
        SetAsideError, SnapshotError,
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

    #[test]
    fn a_full_pool_is_told_with_what_to_look_at() {
        let error = SnapshotError::from(KernelFailed {
            operation: "snapshot",
            subject: "tank/flocker/db@flocker-1-000002".to_owned(),
            cause: Cause::NO_SPACE,
        });
        let failure = failure(&error);
        assert_eq!(
            failure.message,
            "cannot snapshot tank/flocker/db@flocker-1-000002: No space left on device (os error 28)"
        );
        assert_eq!(failure.causes, [""; 0], "said once");
        assert_eq!(
            failure.hint.unwrap(),
            "free space in pool tank, without which ZFS takes no snapshot and nothing can move; \
             `zfs list -o space -r tank` shows what has it"
        );
    }
}
