//! The images of the virtual machines, built beside the tests that need none.

use super::{TierName, obstacle};
use crate::install::Need;
use crate::lab;
use crate::process::{Beside, Program};
use crate::terminal;

/// The images that are being built, if any are.
///
/// A cold build takes minutes, of which most is waiting: for a mirror, and for one of the
/// processors. It needs the lab, most of which the unit tests leave behind.
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
        let needs_machines = |tier: TierName| tier.needs().contains(&Need::Machines);
        let wanted = all.iter().any(|tier| needs_machines(*tier));
        let lab_is_built = all.contains(&TierName::Unit) && next > TierName::Unit;
        let can_run = || obstacle(TierName::Vm).is_none();
        *self = match std::mem::take(self) {
            Self::NotBegun if wanted && lab_is_built && can_run() => begin(),
            Self::Begun(building) if needs_machines(next) => {
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
