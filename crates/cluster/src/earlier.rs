//! Data that applications had in Compose: who makes a new volume is told what it begins without.

use std::collections::BTreeSet;

use flocker_config::EarlierData;
use flocker_plan::{Action, Plan};

use crate::printer::Printer;

/// Warns for each volume that the plan creates. A volume that exists is not warned about again.
pub(crate) fn warn_of_earlier_data(plan: &Plan, earlier: &[EarlierData], printer: &Printer) {
    let actions = plan.steps().iter().map(|step| &step.action);
    let created = actions.filter_map(|action| match action {
        Action::CreateVolume { application, .. } => Some(application.as_str()),
        _ => None,
    });
    for data in of_new_volumes(&created.collect(), earlier) {
        printer.narrate(&data.to_string());
    }
}

/// Chooses what concerns the applications whose volumes are created.
fn of_new_volumes<'e>(
    created: &BTreeSet<&str>,
    earlier: &'e [EarlierData],
) -> Vec<&'e EarlierData> {
    let earlier = earlier.iter();
    earlier
        .filter(|data| created.contains(data.application.as_str()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_new_volume_is_warned_about() {
        let earlier = ["db", "web"].map(|application| EarlierData {
            application: application.to_owned(),
            message: "the volume begins empty".to_owned(),
            hint: "bring the data in".to_owned(),
        });
        let created = |names: &[&'static str]| names.iter().copied().collect();
        assert_eq!(of_new_volumes(&created(&["db"]), &earlier), [&earlier[0]]);
        assert!(of_new_volumes(&created(&["other"]), &earlier).is_empty());
    }
}
