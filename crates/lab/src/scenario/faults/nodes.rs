//! The two nodes of a move, by their roles in it.

use super::super::site::{Site, SiteError};
use super::case::Role;
use crate::ssh::Output;

/// The two nodes of a move.
#[derive(Debug, Clone, Copy)]
pub(super) struct Nodes<'a> {
    pub(super) site: &'a Site,
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

    pub(super) async fn run(&self, role: Role, command: &str) -> Result<Output, SiteError> {
        self.site.run(self.number(role), command).await
    }

    pub(super) async fn check(&self, role: Role, command: &str) -> Result<String, SiteError> {
        self.site.check(self.number(role), command).await
    }

    pub(super) async fn power_cut(&self, role: Role) -> Result<(), SiteError> {
        self.site.power_cut(self.number(role)).await
    }

    pub(super) async fn power_on(&self, role: Role) -> Result<(), SiteError> {
        self.site.power_on(self.number(role)).await
    }

    /// Pulls a node's network cable or plugs it in again.
    pub(super) async fn cut_link(&self, role: Role, cut: bool) -> Result<(), SiteError> {
        if let Site::Lab(lab) = self.site {
            lab.nodes()[self.number(role)].cut_link(cut).await?;
        }
        Ok(())
    }

    /// Lets a node's packets vanish, or lets them through again.
    pub(super) async fn stall_link(&self, role: Role, stall: bool) -> Result<(), SiteError> {
        if let Site::Lab(lab) = self.site {
            lab.nodes()[self.number(role)].stall_link(stall).await?;
        }
        Ok(())
    }

    /// Waits until a node answers whose link was away.
    pub(super) async fn reconnect(&self, role: Role) -> Result<(), SiteError> {
        if let Site::Lab(lab) = self.site {
            let node = &lab.nodes()[self.number(role)];
            // What the lab's own connection has lost is lost.
            node.forget_connection();
            node.wait_for_ssh().await?;
        }
        Ok(())
    }
}
