//! How an application's process is asked to end.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::InvalidName;

/// The signals by their numbers on Linux.
///
/// **Source**: `signal(7)`, standard signals on x86 and ARM.
const SIGNALS: [(&str, u8); 31] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
];

/// The first and the last real-time signal that programs may use.
///
/// **Source**: `signal(7)`, real-time signals; glibc keeps 32 and 33 for itself.
const REAL_TIME: std::ops::RangeInclusive<u8> = 34..=64;

/// The signal that asks a process to end.
///
/// Written as Docker writes it: `SIGINT`, or `SIGRTMIN+3` for a real-time signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StopSignal(u8);

impl StopSignal {
    /// Returns the signal's number.
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl FromStr for StopSignal {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let named = || {
            let found = SIGNALS.iter().find(|(known, _)| *known == name);
            found.map(|(_, number)| *number)
        };
        let offset = |text: &str| text.parse::<u8>().ok();
        let real_time = || match name {
            "RTMIN" => Some(*REAL_TIME.start()),
            "RTMAX" => Some(*REAL_TIME.end()),
            _ => {
                let above = name.strip_prefix("RTMIN+").and_then(offset);
                let below = name.strip_prefix("RTMAX-").and_then(offset);
                let above = above.and_then(|above| REAL_TIME.start().checked_add(above));
                above.or_else(|| REAL_TIME.end().checked_sub(below?))
            }
        };
        let numbered = || {
            let digits = text.chars().all(|c| c.is_ascii_digit());
            digits.then(|| text.parse::<u8>().ok()).flatten()
        };
        let number = named().or_else(real_time).or_else(numbered);
        number
            .filter(|number| (1..=31).contains(number) || REAL_TIME.contains(number))
            .map(Self)
            .ok_or_else(|| InvalidName {
                kind: "signal",
                name: text.to_owned(),
                problem: "is not a signal of Linux",
            })
    }
}

impl TryFrom<String> for StopSignal {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<StopSignal> for String {
    fn from(signal: StopSignal) -> Self {
        signal.to_string()
    }
}

impl fmt::Display for StopSignal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SIGNALS.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => write!(formatter, "SIG{name}"),
            None => write!(formatter, "SIGRTMIN+{}", self.0 - REAL_TIME.start()),
        }
    }
}

/// How long a process may take to end before it is killed, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StopGracePeriod(u32);

impl StopGracePeriod {
    /// What holds where nothing is said.
    pub const DEFAULT: Self = Self(30);
    /// The longest period that can be asked for: one day.
    pub const MAXIMUM: Self = Self(24 * 60 * 60);

    /// A number of seconds; one that is longer than the maximum is refused.
    pub fn from_seconds(seconds: u32) -> Option<Self> {
        (seconds <= Self::MAXIMUM.0).then_some(Self(seconds))
    }

    /// Returns the number of seconds.
    pub const fn seconds(self) -> u32 {
        self.0
    }
}

impl From<StopGracePeriod> for Duration {
    fn from(period: StopGracePeriod) -> Self {
        Self::from_secs(u64::from(period.0))
    }
}

impl fmt::Display for StopGracePeriod {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} s", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_read_as_docker_reads_them() {
        let read = |text: &str| text.parse::<StopSignal>().map(|signal| signal.to_string());
        for (text, signal) in [
            ("SIGINT", "SIGINT"),
            ("quit", "SIGQUIT"),
            ("9", "SIGKILL"),
            ("SIGRTMIN+3", "SIGRTMIN+3"),
            ("rtmax-1", "SIGRTMIN+29"),
            ("37", "SIGRTMIN+3"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(signal), "{text}");
        }
        for text in ["", "SIG", "0", "32", "65", "SIGFOO", "RTMIN+31", "+9", "-1"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_signal_reads_back_as_itself() {
        for number in (1..=31).chain(REAL_TIME) {
            let signal = StopSignal(number);
            assert_eq!(signal.to_string().parse(), Ok(signal));
        }
    }
}
