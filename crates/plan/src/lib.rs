//! Decides what to do, given what is wanted and what was seen; does nothing itself.
//!
//! [`plan`] is pure and deterministic. The same code serves `flocker-cluster plan`, `deploy`,
//! `flocker-node apply`, and the model checker. [`plan_restore`] plans what a node does by itself at a
//! boot, and [`plan_return`] what is started again after a deploy that failed; both by what nodes
//! remember.
//!
//! What only the operator may decide is planned by [`plan_promotion`], [`plan_setting_aside`],
//! [`plan_importing`], [`plan_exporting`] and [`plan_forgetting`], when it was asked for and never otherwise.

mod accounting;
mod action;
mod action_text;
mod blocked;
mod check;
mod contested;
mod first_copies;
mod forgetting;
mod goal;
mod importing;
mod layout;
mod left_running;
mod link_ports;
mod naming;
mod network;
mod note;
mod outcome;
mod planner;
mod promotion;
mod remembered;
mod replaced;
mod setting_aside;
mod simulate;
mod steps;
mod survey;

pub use accounting::{Accounted, Unaccounted, account};
pub use action::{Action, Handoff, ImageSource, PushKind, RegistryImage, StopKind, Yield};
pub use blocked::{
    Blocked, BlockedKind, CopyDescription, Doubt, UnfitCopy, Unseen, about_login, is_about_a_login,
};
pub use check::{Violation, check, check_starts};
pub use forgetting::{Forgetting, Forgotten, Loss, NotForgotten, WhyNotForgotten, plan_forgetting};
pub use goal::{Goal, Scope};
pub use importing::{
    Clearing, Exporting, Importing, NotExported, NotImported, WhyNotExported, WhyNotImported,
    is_imported, plan_exporting, plan_importing,
};
pub use layout::{HiddenData, Shown};
pub use left_running::{LeftRunning, left_running};
pub use link_ports::{LINK_PORT_RANGE, LinkPorts};
pub use note::{NodeNote, Note};
pub use outcome::{Outcome, OutcomeKind};
pub use planner::{plan, plan_restore, plan_return, registry_questions};
pub use promotion::{NotPromoted, Promotion, WhyNotPromoted, plan_promotion};
pub use replaced::forgotten_machines;
pub use setting_aside::{NotSetAside, SettingAside, WhyNotSetAside, plan_setting_aside};
pub use simulate::{Refusal, simulate};
pub use steps::{Plan, Step, StepId};
