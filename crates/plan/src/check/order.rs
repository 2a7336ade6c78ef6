//! Which step comes before which, whatever runs at the same time.

use crate::{Plan, StepId};

/// For each step, the set of those that it waits for, directly or not, one bit each.
pub(super) struct Order(Vec<Vec<u64>>);

impl Order {
    pub(super) fn new(plan: &Plan) -> Self {
        let words = plan.steps().len().div_ceil(64);
        let mut before: Vec<Vec<u64>> = Vec::with_capacity(plan.steps().len());
        for step in plan.steps() {
            let mut set = vec![0; words];
            for earlier in &step.after {
                let index = earlier.index();
                let Some(theirs) = before.get(index) else {
                    continue;
                };
                for (word, more) in set.iter_mut().zip(theirs) {
                    *word |= more;
                }
                set[index / 64] |= 1 << (index % 64);
            }
            before.push(set);
        }
        Self(before)
    }

    /// Tells whether `later` waits for `earlier`.
    pub(super) fn precedes(&self, earlier: StepId, later: StepId) -> bool {
        let index = earlier.index();
        self.0
            .get(later.index())
            .and_then(|set| set.get(index / 64))
            .is_some_and(|word| word >> (index % 64) & 1 == 1)
    }
}
