//! People do what they are told to do about what stands in a deploy's way.

use std::collections::BTreeSet;

use flocker_model::{Application, ApplicationName, Deployment, NodeName, Observed};
use flocker_plan::{
    Blocked, BlockedKind, CopyDescription, Plan, Promotion, SettingAside, plan_promotion,
    plan_setting_aside,
};

use crate::invariants::{Broken, Invariant};
use crate::mutation::Made;
use crate::run::{Run, cluster};

impl Run<'_> {
    /// Runs the command that resolves what stands in the way; tells whether there is one, and
    /// whether there was reason for it.
    pub(crate) fn mend(
        &mut self,
        deployment: &Deployment,
        blocked: &Blocked,
    ) -> Result<bool, Broken> {
        let Some(name) = &blocked.application else {
            return Ok(false);
        };
        if !self.world.mendable.contains(name) {
            return Ok(false);
        }
        let observed = self.world.gather(deployment, &self.unreachable);
        let planned = match &blocked.kind {
            BlockedKind::ReplicaWritten { replica }
            | BlockedKind::NothingInCommon { replica, .. } => {
                set_aside(name, &replica.node, &observed)
            }
            BlockedKind::ForeignDataset { node, .. } => set_aside(name, node, &observed),
            BlockedKind::HandoffLost { from, .. } => promote(name, from, &observed),
            _ => return Ok(false),
        };
        let plan = match planned {
            Ok(plan) => plan,
            // With a machine away, it may have to come back first.
            Err(_) if !self.unreachable.is_empty() => return Ok(false),
            Err(refusal) => {
                let how = format!("{blocked}, and the way out is none: {refusal}");
                return Err(Broken::new(Invariant::Converges, how));
            }
        };
        self.tell(|| "volume".to_owned());
        let made = Made::unchanged(plan);
        self.inspect(&made, &observed)?;
        let driven = self.drive(&made, false)?;
        if driven.failed {
            let how = format!("{blocked}, and the way out failed:\n{}", made.plan);
            return Err(Broken::new(Invariant::Converges, how));
        }
        Ok(true)
    }

    /// Deploys once without the applications that would no longer see their data, and without what sees
    /// their volumes, so that they may run without the data.
    pub(crate) fn deploy_without_hidden(
        &mut self,
        deployment: &Deployment,
        blocked: &[Blocked],
    ) -> Result<(), Broken> {
        let hidden = blocked.iter().filter(|blocked| hides_data(blocked));
        let hidden: BTreeSet<&ApplicationName> = hidden
            .filter_map(|blocked| blocked.application.as_ref())
            .collect();
        if hidden.is_empty() {
            return Ok(());
        }
        let mut without = deployment.clone();
        let sees_it = |application: &Application| {
            let shared = application.shared.as_ref();
            shared.is_some_and(|shared| hidden.contains(&shared.application))
        };
        let applications = &deployment.applications;
        for placed in without.nodes.values_mut() {
            placed.retain(|name| {
                !hidden.contains(name) && !applications.get(name).is_some_and(sees_it)
            });
        }
        self.tell(|| format!("deploy without {hidden:?}"));
        let observed = self.world.gather(&without, &self.unreachable);
        let made = self.plan(&cluster(&without), &observed)?;
        // Another thing may have to be mended first.
        if made.plan.blocked.is_empty() {
            self.drive(&made, false)?;
        }
        Ok(())
    }
}

/// Tells whether an application is refused because it would no longer see its data.
pub(crate) const fn hides_data(blocked: &Blocked) -> bool {
    matches!(blocked.kind, BlockedKind::DataHidden { .. })
}

/// Plans `volume resolve NAME --set-aside NODE`.
fn set_aside(name: &ApplicationName, node: &NodeName, observed: &Observed) -> Result<Plan, String> {
    let setting_aside = SettingAside {
        application: name.clone(),
        node: node.clone(),
        only_copy: false,
        at: 0,
    };
    plan_setting_aside(&setting_aside, observed).map_err(|refusal| refusal.to_string())
}

/// Plans `volume promote NAME --on NODE --accept-loss-since TIME`, with the time that the hint has.
fn promote(
    name: &ApplicationName,
    copy: &CopyDescription,
    observed: &Observed,
) -> Result<Plan, String> {
    let promotion = Promotion {
        application: name.clone(),
        node: copy.node.clone(),
        accept_loss_since: copy.taken.ok_or("there is no whole snapshot")?,
    };
    plan_promotion(&promotion, observed).map_err(|refusal| refusal.to_string())
}
