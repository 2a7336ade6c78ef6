//! The commands of `flocker-cluster volume`.

use std::fmt::Display;

use flocker_model::ImportContent;
use flocker_plan::{
    Exporting, Importing, Promotion, SettingAside, is_imported, plan_exporting, plan_importing,
    plan_promotion, plan_setting_aside,
};
use flocker_remote::clock::Clock;

use crate::arguments::{Common, Export, Import, Promote, Resolve};
use crate::decision::{Decision, run};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::import_file::check_readable;
use crate::printer::Printer;

/// Runs `flocker-cluster volume promote`.
pub(crate) async fn promote(arguments: &Promote) -> Exit {
    let promotion = Promotion {
        application: arguments.application.clone(),
        node: arguments.node.clone(),
        accept_loss_since: arguments.accept_loss_since,
        with_changes: arguments.with_changes,
    };
    let decision = Decision {
        application: &arguments.application,
        node: &arguments.node,
        must_see_all: true,
        plan: &|observed| {
            plan_promotion(&promotion, observed)
                .map_err(|refusal| refused(&refusal, refusal.is_unreachable(), refusal.hint()))
        },
        is_done: None,
        export: None,
    };
    run(&decision, &arguments.common).await
}

/// Runs `flocker-cluster volume resolve`.
pub(crate) async fn resolve(arguments: &Resolve) -> Exit {
    let setting_aside = SettingAside {
        application: arguments.application.clone(),
        node: arguments.node.clone(),
        only_copy: arguments.only_copy,
        at: Clock::default().seconds(),
    };
    let decision = Decision {
        application: &arguments.application,
        node: &arguments.node,
        must_see_all: false,
        plan: &|observed| {
            plan_setting_aside(&setting_aside, observed)
                .map_err(|refusal| refused(&refusal, refusal.is_unreachable(), refusal.hint()))
        },
        is_done: None,
        export: None,
    };
    run(&decision, &arguments.common).await
}

/// Runs `flocker-cluster volume import`.
pub(crate) async fn import(arguments: &Import) -> Exit {
    let content = match ImportContent::try_from(arguments.from.clone()) {
        Ok(content) => content,
        Err(error) => {
            let failure = Failure::new(Exit::CommandLine, error.to_string());
            return refuse(&failure, &arguments.common);
        }
    };
    if let ImportContent::Stream(file) = &content
        && let Err(failure) = check_readable(file)
    {
        return refuse(&failure, &arguments.common);
    }
    let importing = Importing {
        application: arguments.application.clone(),
        node: arguments.node.clone(),
        content,
        lost: arguments.lost.iter().cloned().collect(),
        at: Clock::default().seconds(),
    };
    let decision = Decision {
        application: &arguments.application,
        node: &arguments.node,
        // The planner refuses for machines that were not seen, too.
        must_see_all: false,
        plan: &|observed| {
            plan_importing(&importing, observed)
                .map_err(|refusal| refused(&refusal, refusal.is_unreachable(), refusal.hint()))
        },
        is_done: Some(&|observed| is_imported(&importing, observed)),
        export: None,
    };
    run(&decision, &arguments.common).await
}

/// Runs `flocker-cluster volume export`.
pub(crate) async fn export(arguments: &Export) -> Exit {
    if let Err(failure) = arguments.to.check(arguments.common.json) {
        return refuse(&failure, &arguments.common);
    }
    let exporting = Exporting {
        application: arguments.application.clone(),
        node: arguments.node.clone(),
    };
    let decision = Decision {
        application: &arguments.application,
        node: &arguments.node,
        must_see_all: false,
        plan: &|observed| {
            plan_exporting(&exporting, observed)
                .map_err(|refusal| refused(&refusal, refusal.is_unreachable(), refusal.hint()))
        },
        is_done: None,
        export: Some(&arguments.to),
    };
    run(&decision, &arguments.common).await
}

/// Says why nothing was tried.
fn refuse(failure: &Failure, common: &Common) -> Exit {
    Printer::new(common.json, common.verbose > 0).failure(failure);
    failure.exit
}

/// Puts a planner's refusal into the words of this program.
fn refused(refusal: &impl Display, is_unreachable: bool, hint: String) -> Failure {
    let exit = if is_unreachable {
        Exit::Unreachable
    } else {
        Exit::Blocked
    };
    Failure::new(exit, refusal.to_string()).hint(hint)
}
