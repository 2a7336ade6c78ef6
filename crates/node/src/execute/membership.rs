//! Which machines may push here, and what is remembered.

use flocker_model::{AppliedDeployment, Members};
use flocker_remote::protocol::{Change, StepFailure};
use flocker_remote::ssh::{PublicKey, render_peer};

use crate::failure::OrFailure as _;
use crate::machine::Machine;
use crate::places::reach;
use crate::platform::{Platform, Units as _};

/// Lets these machines push volumes and images to this one, and nothing else; as a part of a step of
/// this name.
pub(super) async fn admit(
    machine: &Machine<impl Platform>,
    (step, members): (&str, &Members),
) -> Result<Change, StepFailure> {
    let lines = render_authorized_keys(machine, members)?;
    machine.store.set_authorized_keys(&lines).or_failure()?;
    reach(|| format!("{step}.keys-written")).await;
    machine.store.set_members(members).or_failure()?;
    Ok(Change::Changed)
}

/// Remembers a deployment as applied in full.
pub(super) async fn record(
    machine: &Machine<impl Platform>,
    applied: &AppliedDeployment,
    members: &Members,
) -> Result<Change, StepFailure> {
    admit(machine, ("record-deployment", members)).await?;
    reach(|| "record-deployment.admitted".to_owned()).await;
    machine.store.set_applied(applied).or_failure()?;
    reach(|| "record-deployment.remembered".to_owned()).await;
    // A boot in the middle of a move may have left it failed, which would stay in the lists that
    // people look at.
    machine.units.forget_failed_restore().await?;
    Ok(Change::Changed)
}

/// Writes the keys of the remembered machines anew if they are not what this release would write: the
/// release before it left out the node's own.
pub(crate) fn refresh_keys(machine: &Machine<impl Platform>) {
    if let Err(failure) = try_to_refresh_keys(machine) {
        tracing::warn!(?failure, "the keys of other nodes stay as they are");
    }
}

fn try_to_refresh_keys(machine: &Machine<impl Platform>) -> Result<(), StepFailure> {
    let members = machine.store.members().or_failure()?;
    if members.is_empty() {
        return Ok(());
    }
    let lines = render_authorized_keys(machine, &members)?;
    if !machine.store.has_authorized_keys(&lines) {
        machine.store.set_authorized_keys(&lines).or_failure()?;
    }
    Ok(())
}

/// Renders one line for each peer, and one for this node: it asks at its own address whether a clone of it
/// runs there.
fn render_authorized_keys(
    machine: &Machine<impl Platform>,
    members: &Members,
) -> Result<String, StepFailure> {
    let mut lines = String::from("# Written by flocker-node, which replaces it; do not edit.\n");
    let peers = members.iter();
    let peers = peers.map(|member| (member.id, &member.name, &member.ssh.public_key));
    // Those that were given up are let in to be told so, and to nothing else.
    let forgotten = members.all_forgotten();
    let forgotten = forgotten.map(|gone| (gone.id, &gone.name, &gone.public_key));
    for (id, name, public_key) in peers.chain(forgotten) {
        let what = format!("the key of {name} is not one");
        let key = PublicKey::from_openssh(public_key).or_failed_to(what)?;
        let program = &machine.settings.receive_command;
        let line = render_peer(&key, program, (id, name));
        lines.push_str(&line.or_failure()?);
    }
    Ok(lines)
}
