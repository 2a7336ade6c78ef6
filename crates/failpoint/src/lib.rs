//! Named places at which a test holds a program that is at work, so that it can take the power,
//! kill a process or pull a cable at exactly that moment.
//!
//! A place is only a name. Without the feature `enabled`, reaching one does nothing at all. With
//! it, a file of that name in the directory `armed` holds whoever reaches the place first: the file
//! moves to the directory `reached`, and the program goes on when it is gone from there. So any
//! process on the machine can be held, however it was started, and whoever holds it sees that it
//! is there.

/// Whether places hold anybody in this build.
pub const ENABLED: bool = cfg!(feature = "enabled");

/// Says that the program is at the place of this name: words of letters, digits, dots and hyphens.
///
/// Returns at once unless a test has armed the place.
#[cfg(not(feature = "enabled"))]
#[inline]
#[expect(clippy::unused_async, reason = "with the feature it waits")]
pub async fn reach(_place: impl FnOnce() -> String + Send) {}

/// Says that the program is at the place of this name: words of letters, digits, dots and hyphens.
///
/// Returns at once unless a test has armed the place.
#[cfg(feature = "enabled")]
pub async fn reach(place: impl FnOnce() -> String + Send) {
    enabled::reach(&enabled::directory(), &place()).await;
}

#[cfg(feature = "enabled")]
mod enabled {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    /// Where the operator's side says which places are armed; on nodes, where sudo and systemd let
    /// no variable through, it is always the default.
    const VARIABLE: &str = "FLOCKER_FAILPOINTS";
    const DEFAULT: &str = "/run/flocker-failpoints";
    /// How often a held program looks whether it may go on.
    const INTERVAL: Duration = Duration::from_millis(20);

    pub(super) fn directory() -> PathBuf {
        std::env::var_os(VARIABLE).map_or_else(|| PathBuf::from(DEFAULT), PathBuf::from)
    }

    pub(super) async fn reach(directory: &Path, place: &str) {
        let held = directory.join("reached").join(place);
        // One of several that arrive at once is held: whose rename succeeds.
        if fs::rename(directory.join("armed").join(place), &held).is_err() {
            return;
        }
        while held.exists() {
            tokio::time::sleep(INTERVAL).await;
        }
    }

    #[cfg(test)]
    mod tests {
        use std::future::Future as _;
        use std::pin::pin;
        use std::task::{Context, Waker};

        use super::*;

        #[tokio::test]
        async fn only_the_first_at_an_armed_place_is_held_until_it_is_let_go() {
            let directory = tempfile::tempdir().unwrap();
            for name in ["armed", "reached"] {
                fs::create_dir(directory.path().join(name)).unwrap();
            }
            reach(directory.path(), "a.before").await;
            fs::write(directory.path().join("armed/a.before"), "").unwrap();
            let mut first = pin!(reach(directory.path(), "a.before"));
            let mut context = Context::from_waker(Waker::noop());
            assert!(first.as_mut().poll(&mut context).is_pending());
            reach(directory.path(), "a.before").await;
            fs::remove_file(directory.path().join("reached/a.before")).unwrap();
            first.await;
        }
    }
}
