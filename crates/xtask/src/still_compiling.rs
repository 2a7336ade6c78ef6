//! Signs of life of a compiler that gives none itself.

use std::io::IsTerminal as _;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use crate::terminal;

/// How long nothing need be said: soon enough that nobody takes it for a hang.
const PERIOD: Duration = Duration::from_secs(10);

/// Says from time to time that something is being compiled, until it is dropped.
///
/// Where standard error is no terminal cargo draws no progress, and is silent for up to a minute while
/// it compiles the last crate.
#[derive(Debug)]
pub(crate) struct StillCompiling {
    /// Nothing is ever sent: when it is dropped, the other end is told.
    _end: Sender<()>,
}

impl StillCompiling {
    /// Begins, if cargo does not draw its progress.
    pub(crate) fn begin() -> Option<Self> {
        if std::io::stderr().is_terminal() {
            return None;
        }
        let (end, ended) = channel();
        std::thread::spawn(move || {
            tell(&ended, PERIOD, |seconds| {
                terminal::line(&format!("still compiling ({seconds} s)"));
            });
        });
        Some(Self { _end: end })
    }
}

/// Says after each period how many seconds it has been, until the end.
fn tell(ended: &Receiver<()>, period: Duration, say: impl Fn(u64)) {
    let begun = Instant::now();
    while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(period) {
        say(begun.elapsed().as_secs());
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn it_is_told_until_the_end_and_not_after_it() {
        let (end, ended) = channel();
        let (end, told) = (Cell::new(Some(end)), Cell::new(0));
        tell(&ended, Duration::from_millis(1), |_| {
            told.set(told.get() + 1);
            if told.get() == 3 {
                drop(end.take());
            }
        });
        assert_eq!(told.get(), 3);
    }
}
