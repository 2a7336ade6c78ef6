//! Quantities with their unit in the type.

use std::fmt;
use std::num::NonZeroU16;

use serde::{Deserialize, Serialize};

/// A number of bytes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct ByteCount(u64);

impl ByteCount {
    /// No bytes at all.
    pub const ZERO: Self = Self(0);

    /// Makes a count of `bytes` bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Makes a count of `mebibytes` × 2²⁰ bytes.
    pub const fn mebibytes(mebibytes: u64) -> Self {
        Self(mebibytes << 20)
    }

    /// Returns the count in bytes.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Adds two counts, staying at the largest one rather than wrapping.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for ByteCount {
    /// Writes the count as people read it, with binary units and one decimal: `1.5 GiB`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if self.0 < 1024 {
            return write!(formatter, "{} B", self.0);
        }
        let mut tenths = u128::from(self.0) * 10 / 1024;
        let mut unit = 0;
        while tenths >= 10240 && unit + 1 < UNITS.len() {
            tenths /= 1024;
            unit += 1;
        }
        write!(formatter, "{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    }
}

/// The number of a port, 1 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Port(NonZeroU16);

impl Port {
    /// Makes a port; `None` for 0.
    pub const fn new(port: u16) -> Option<Self> {
        match NonZeroU16::new(port) {
            Some(port) => Some(Self(port)),
            None => None,
        }
    }

    /// Returns the port's number.
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Display for Port {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A limit on processor time, in thousandths of one processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CpuMillis(u32);

impl CpuMillis {
    /// Makes a limit of `millis` thousandths of one processor.
    pub const fn new(millis: u32) -> Self {
        Self(millis)
    }

    /// Returns the limit in thousandths of one processor.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for CpuMillis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{:03} CPU", self.0 / 1000, self.0 % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_counts_read_like_people_write_them() {
        let rendered: Vec<String> = [
            0,
            1023,
            1024,
            1536,
            10 << 20,
            (3 << 30) + (1 << 29),
            u64::MAX,
        ]
        .into_iter()
        .map(|bytes| ByteCount::new(bytes).to_string())
        .collect();
        assert_eq!(
            rendered,
            [
                "0 B", "1023 B", "1.0 KiB", "1.5 KiB", "10.0 MiB", "3.5 GiB", "15.9 EiB"
            ]
        );
    }

    #[test]
    fn port_zero_is_no_port() {
        assert_eq!(Port::new(0), None);
        assert_eq!(Port::new(65535).map(Port::get), Some(65535));
    }
}
