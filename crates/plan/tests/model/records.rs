//! What is written on volumes.

/// What was written to one copy of a volume: how much, and a fingerprint of all of it, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Records {
    count: usize,
    fingerprint: u64,
}

impl Records {
    /// Adds a record at the end.
    pub(crate) fn add(&mut self, record: u64) {
        self.count += 1;
        let mixed = (self.fingerprint ^ record).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.fingerprint = mixed ^ (mixed >> 29);
    }

    /// Tells how many there are.
    pub(crate) fn count(self) -> usize {
        self.count
    }
}
