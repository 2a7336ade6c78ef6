//! The images of the virtual machines, built beside the tests that need none.

use super::{TierName, obstacle};
use crate::lab;
use crate::process::{Beside, Program};
use crate::terminal;

/// The images that are being built, if any are.
///
/// A cold build takes minutes, of which most is waiting: for a mirror, and for one of the
/// processors. It needs the lab, which is why that is the first thing to be compiled.
#[derive(Debug, Default)]
pub(super) enum Images {
    /// Nobody builds them; who needs them does so itself.
    #[default]
    NotBegun,
    /// They are being built.
    Begun(Beside),
    /// Whoever needs them has waited for them.
    Awaited,
}

impl Images {
    /// Begins to build the images as soon as that is possible, or waits for them as late as that is.
    pub(super) fn begin_or_wait(&mut self, next: TierName, all: &[TierName]) {
        let wanted = all.iter().any(|tier| tier.needs_machines());
        let leaves_time = next >= TierName::Unit && !next.needs_machines();
        let can_run = || obstacle(TierName::Vm).is_none();
        *self = match std::mem::take(self) {
            Self::NotBegun if wanted && leaves_time && can_run() => begin(),
            Self::Begun(building) if next.needs_machines() => {
                terminal::heading("the virtual machines' images");
                if !building.succeeded() {
                    terminal::line("They were not built; whoever needs them tries again.");
                }
                Self::Awaited
            }
            before => before,
        };
    }
}

/// Begins to build; should that fail, it is told by whoever needs the images.
fn begin() -> Images {
    terminal::heading("what the virtual machines run");
    lab::build_lab()
        .ok()
        .and_then(|lab| {
            Program::new(&lab)
                .args(["image", "--containers"])
                .run_beside()
                .ok()
        })
        .map_or(Images::Awaited, Images::Begun)
}
