//! flocker-config.
