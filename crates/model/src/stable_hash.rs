//! A hash that every release computes alike.

/// Hashes bytes by FNV-1a. The result never changes, which the standard library's hasher does not
/// promise.
///
/// **Source**: draft-eastlake-fnv, 64-bit parameters.
pub fn stable_hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// **Source**: the test vectors of draft-eastlake-fnv.
    #[test]
    fn the_hash_is_that_of_its_specification() {
        assert_eq!(stable_hash(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(stable_hash(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(stable_hash(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
