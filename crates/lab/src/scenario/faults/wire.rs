//! How much goes over the wire when a first copy is interrupted.

use super::super::failure::{Failure, expect};
use super::super::site::SiteError;
use super::Faults;
use super::case::{DisturbedMove, Fault, Role};
use super::nodes::Nodes;

/// How large the volume is, nearly all of it incompressible: MiB.
const VOLUME: u64 = 12;

/// What more than the volume may be received: MiB. What was under way when the first attempt ended
/// is lost, and deploys have something to say, too. Without its token the second attempt would send
/// the half again that the first had sent.
const SURPLUS: u64 = 3;

/// How much the network card of a node that nobody has switched off has received: bytes.
const RECEIVED: &str = "cat /sys/class/net/eth0/statistics/rx_bytes";

impl Faults<'_> {
    /// Writes the volume full, on the node where the application is.
    pub(super) async fn make_noise(&self) -> Result<(), SiteError> {
        let dataset = format!("tank/flocker/{}", self.application);
        let command = format!(
            "head --bytes {VOLUME}M /dev/urandom >$(zfs get -Ho value mountpoint {dataset})/noise \
             && sync"
        );
        self.site.check(self.place, &command).await.map(drop)
    }
}

/// What the target had received before a case in which its first copy is interrupted and it goes on.
#[derive(Debug)]
pub(super) struct Before(Option<u64>);

impl Before {
    pub(super) async fn observe(case: DisturbedMove, nodes: Nodes<'_>) -> Result<Self, Failure> {
        let goes_on = matches!(case.fault, Fault::KillAgent | Fault::KillOperator);
        if !(case.moment.is_first_copy() && goes_on) {
            return Ok(Self(None));
        }
        Ok(Self(Some(received(nodes).await?)))
    }

    /// The interrupted copy was completed, and not begun again.
    pub(super) async fn expect_no_second_copy(&self, nodes: Nodes<'_>) -> Result<(), Failure> {
        let Some(before) = self.0 else {
            return Ok(());
        };
        let mebibytes = (received(nodes).await? - before).div_ceil(1 << 20);
        expect(
            (VOLUME..=VOLUME + SURPLUS).contains(&mebibytes),
            format!("a volume of {VOLUME} MiB to be received once"),
            format!("{mebibytes} MiB"),
        )
    }
}

async fn received(nodes: Nodes<'_>) -> Result<u64, Failure> {
    let text = nodes.check(Role::Target, RECEIVED).await?;
    text.trim()
        .parse()
        .map_err(|_| Failure::unexpected("a number of bytes", text))
}
