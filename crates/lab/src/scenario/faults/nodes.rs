//! The two nodes of a move, by their roles in it.

use super::super::site::{Site, SiteError};
use super::case::Role;
use crate::lab::Lab;
use crate::node::Node;
use crate::ssh::Output;

/// The two nodes of a move.
#[derive(Debug, Clone, Copy)]
pub(super) struct Nodes<'a> {
    pub(super) site: &'a Site,
    pub(super) lab: &'a Lab,
    /// The number of the source, 0 or 1.
    pub(super) source: usize,
}

impl Nodes<'_> {
    pub(super) fn number(&self, role: Role) -> usize {
        match role {
            Role::Source => self.source,
            Role::Target => 1 - self.source,
        }
    }

    pub(super) fn node(&self, role: Role) -> &Node {
        &self.lab.nodes()[self.number(role)]
    }

    pub(super) async fn run(&self, role: Role, command: &str) -> Result<Output, SiteError> {
        self.site.run(self.number(role), command).await
    }

    pub(super) async fn check(&self, role: Role, command: &str) -> Result<String, SiteError> {
        self.site.check(self.number(role), command).await
    }
}
