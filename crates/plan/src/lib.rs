//! flocker-plan.
