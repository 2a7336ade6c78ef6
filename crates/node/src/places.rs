//! Where tests hold this program, or end it.
//!
//! Places are called `STEP.MOMENT`: `before` and `after` around each step, and between its effects
//! what has just been done.

#[cfg(not(test))]
pub(crate) use flocker_failpoint::reach;

/// The same for machines in memory: there are many in one process, and those who hold them are
/// there as well.
#[cfg(test)]
pub(crate) async fn reach(place: impl FnOnce() -> String + Send) {
    crate::tests::arrive(place()).await;
}
