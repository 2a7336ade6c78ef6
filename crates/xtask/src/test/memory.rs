//! How much memory is left for virtual nodes.

use std::fs;

/// Tells whether so many kibibytes are available; where the machine does not say, they are not.
pub(super) fn is_available(kibibytes: u64) -> bool {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    available(&text).is_some_and(|available| available >= kibibytes)
}

/// Reads how many kibibytes of memory are available.
///
/// **Source**: `proc_meminfo(5)`, `MemAvailable`.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::available;

    #[test]
    fn available_memory_is_read() {
        let text = "MemTotal:       24684032 kB\nMemAvailable:   22361088 kB\n";
        assert_eq!(available(text), Some(22_361_088));
        assert_eq!(available("MemAvailable: much"), None);
        assert_eq!(available(""), None);
    }
}
