//! Making the fault happen, and making it go away.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::process::Child;

use super::super::failure::Failure;
use super::super::site::SiteError;
use super::case::{Fault, Place, Role};
use super::nodes::Nodes;

/// Where `flocker-node` looks for places at which it is held.
///
/// Source: `flocker_failpoint`.
const PLACES: &str = "/run/flocker-failpoints";

/// What makes places armed from a boot's beginning, since what is in `/run` does not outlive the one
/// before.
///
/// Source: `tmpfiles.d(5)`.
const NEXT_BOOT: &str = "/etc/tmpfiles.d/flocker-failpoints.conf";

/// How long a move may take until it is at a place.
pub(super) const PLACE_PATIENCE: Duration = Duration::from_secs(300);

/// What fills a pool: a dataset to which all that is free is promised.
const FILLER: &str = "tank/filler";

/// Kills the operator's program, and waits until it is gone.
pub(super) async fn kill(operator: &mut Child) -> Result<(), SiteError> {
    let killed = operator.kill().await;
    killed.map_err(|source| SiteError::Run {
        program: "flocker-cluster".to_owned(),
        source,
    })
}

impl Nodes<'_> {
    /// Has whoever comes to the place first be held there.
    pub(super) async fn arm(&self, place: Place) -> Result<(), SiteError> {
        let name = place.name;
        let command =
            format!("mkdir -p {PLACES}/armed {PLACES}/reached && touch {PLACES}/armed/{name}");
        self.check(place.role, &command).await.map(drop)
    }

    /// Has whoever comes to the place first after the node's next boot be held there.
    pub(super) async fn arm_next_boot(&self, place: Place) -> Result<(), SiteError> {
        let name = place.name;
        let command = format!(
            "printf '%s\n' 'd {PLACES}/armed' 'd {PLACES}/reached' 'f {PLACES}/armed/{name}' \
             >{NEXT_BOOT} && sync"
        );
        self.check(place.role, &command).await.map(drop)
    }

    /// Arms nothing in later boots.
    pub(super) async fn disarm_next_boot(&self, role: Role) -> Result<(), SiteError> {
        let command = format!("rm {NEXT_BOOT} && sync");
        self.check(role, &command).await.map(drop)
    }

    /// Waits until somebody is held at the place.
    pub(super) async fn wait_until_held(&self, place: Place) -> Result<(), Failure> {
        let (name, attempts) = (place.name, PLACE_PATIENCE.as_millis() / 200);
        // Reading what nobody writes waits without a process, of which each takes an emulated
        // processor some hundredths of a second.
        let command = format!(
            "exec {{nobody}}<> <(:); for ((i = 0; i < {attempts}; i++)); do \
             [ ! -e {PLACES}/reached/{name} ] || exit 0; read -r -t 0.2 -u $nobody; done; exit 1"
        );
        let output = self.run(place.role, &command).await?;
        if output.success() {
            return Ok(());
        }
        let expected = format!("the move to come to {name}");
        Err(Failure::unexpected(expected, "it did not"))
    }

    /// Lets go whoever is held, and arms nothing any more.
    pub(super) async fn let_go(&self, place: Place) -> Result<(), SiteError> {
        let command = format!("rm -rf {PLACES}");
        self.check(place.role, &command).await.map(drop)
    }

    /// Kills whatever of ours is at work on a node.
    pub(super) async fn kill_agent(&self, role: Role) -> Result<(), SiteError> {
        // Not the guard of the network, which is at work on nothing.
        let command = "processes=$(pgrep --list-full --exact flocker-node | \
             grep -v guard-network | cut -d ' ' -f 1) && kill -KILL $processes";
        self.check(role, command).await.map(drop)
    }

    /// Makes the fault happen to the move that is held at `place`.
    pub(super) async fn strike(
        &self,
        fault: Fault,
        place: Place,
        operator: &mut Child,
    ) -> Result<(), SiteError> {
        match fault {
            Fault::KillAgent => self.kill_agent(place.role).await?,
            Fault::KillOperator => kill(operator).await?,
            Fault::PowerCutSource => self.power_cut(Role::Source).await?,
            Fault::PowerCutTarget => self.power_cut(Role::Target).await?,
            Fault::CutLink => self.cut_link(Role::Target, true).await?,
            Fault::StallLink => self.stall_link(Role::Target, true).await?,
            Fault::FillTargetPool => self.fill_pool(Role::Target).await?,
            Fault::FillSourcePool => self.fill_pool(Role::Source).await?,
            Fault::PowerCutBoth => {
                tokio::try_join!(self.power_cut(Role::Source), self.power_cut(Role::Target))?;
            }
            Fault::KillOperatorAndTarget => {
                kill(operator).await?;
                self.power_cut(Role::Target).await?;
            }
            Fault::KillDocker => {
                let command = "systemctl kill --signal=KILL docker.service";
                self.check(place.role, command).await?;
            }
            Fault::ReexecSystemd => {
                self.check(place.role, "systemctl daemon-reexec").await?;
            }
            Fault::ClockJump => {
                for (role, to) in [(Role::Source, "1 hour"), (Role::Target, "1 hour ago")] {
                    self.check(role, &format!("date --set '{to}'")).await?;
                }
            }
        }
        Ok(())
    }

    async fn fill_pool(&self, role: Role) -> Result<(), SiteError> {
        let command = format!(
            "zfs create -o mountpoint=none {FILLER} && zfs set \
             refreservation=$(zfs get -Hp -o value available {FILLER}) {FILLER}"
        );
        self.check(role, &command).await.map(drop)
    }

    /// Tells whether the node on which the move is held still answers after the fault.
    pub(super) const fn answers(fault: Fault, role: Role) -> bool {
        let is_cut_off = fault.is_of_the_link() && matches!(role, Role::Target);
        !fault.cuts_power_of(role) && !is_cut_off
    }

    /// Makes the fault go away.
    pub(super) async fn lift(&self, fault: Fault) -> Result<(), SiteError> {
        match fault {
            Fault::KillAgent | Fault::KillOperator | Fault::ReexecSystemd => {}
            Fault::PowerCutSource => self.power_on(Role::Source).await?,
            Fault::PowerCutTarget | Fault::KillOperatorAndTarget => {
                self.power_on(Role::Target).await?;
            }
            Fault::PowerCutBoth => {
                tokio::try_join!(self.power_on(Role::Source), self.power_on(Role::Target))?;
            }
            Fault::CutLink => self.cut_link(Role::Target, false).await?,
            Fault::StallLink => self.stall_link(Role::Target, false).await?,
            Fault::FillTargetPool => self.empty_pool(Role::Target).await?,
            Fault::FillSourcePool => self.empty_pool(Role::Source).await?,
            Fault::KillDocker => {
                for role in [Role::Source, Role::Target] {
                    // Waits for the start that systemd has begun, where it has.
                    self.check(role, "systemctl start docker.service").await?;
                }
            }
            Fault::ClockJump => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                let now = now.unwrap_or_default().as_secs();
                for role in [Role::Source, Role::Target] {
                    self.check(role, &format!("date --set @{now}")).await?;
                }
            }
        }
        if fault.is_of_the_link() {
            self.reconnect(Role::Target).await?;
        }
        Ok(())
    }

    async fn empty_pool(&self, role: Role) -> Result<(), SiteError> {
        self.check(role, &format!("zfs destroy {FILLER}"))
            .await
            .map(drop)
    }
}
