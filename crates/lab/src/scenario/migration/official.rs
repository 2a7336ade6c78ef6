//! The chapters on images that are configured as official ones: those declare volumes, start as
//! root, have content at the mount point, and say how they are stopped.
//!
//! These chapters deploy their own applications only, so that the example's are stopped.

use super::super::cluster::Transcript;
use super::super::failure::{Failure, expect};
use super::super::layouts::{Layout, Layouts, render_deployment};
use super::super::wait::{PATIENCE, eventually};
use super::Migration;

/// Where an application is placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// On the first node.
    First,
    /// On the second node.
    Second,
}

/// Applications that are placed together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Applications<'a> {
    /// The beginning of the files' names.
    pub(super) name: &'static str,
    /// The application configuration.
    pub(super) text: &'a str,
    /// The applications in it.
    pub(super) names: &'a [&'a str],
}

impl Applications<'_> {
    /// All of them on one node.
    pub(super) fn on(self, place: Place, layouts: Layouts) -> Layout {
        let (first, second) = match place {
            Place::First => (self.names, &[][..]),
            Place::Second => (&[][..], self.names),
        };
        self.on_both(first, second, layouts)
    }

    /// Some on the first node, some on the second.
    pub(super) fn on_both(self, first: &[&str], second: &[&str], layouts: Layouts) -> Layout {
        Layout {
            name: self.name,
            applications: self.text.to_owned(),
            deployment: render_deployment(&[(layouts.first, first), (layouts.second, second)]),
        }
    }
}

impl Migration<'_> {
    /// Deploys a layout, which has to succeed and to print this line among others.
    pub(super) async fn deploy_with_line(
        &self,
        layout: &Layout,
        options: &[&str],
        line: &str,
    ) -> Result<Transcript, Failure> {
        let transcript = self.cluster.deploy(layout, options).await?;
        transcript.expect_exit(0)?;
        transcript.expect_line(line)?;
        Ok(transcript)
    }

    /// The line of a move.
    pub(super) fn moved_line(&self, application: &str, to: Place) -> String {
        let (first, second) = (self.layouts.first, self.layouts.second);
        let (from, to) = match to {
            Place::First => (second, first),
            Place::Second => (first, second),
        };
        format!("Re-deployed {application} from {from} to {to}.")
    }

    /// Docker has no volume of its own on any node.
    pub(super) async fn expect_no_docker_volumes(&self) -> Result<(), Failure> {
        for (node, address) in self.site.addresses().into_iter().enumerate() {
            let volumes = self.site.check(node, "docker volume ls --quiet").await?;
            let expected = format!("no volume of Docker's own on {address}");
            expect(volumes.is_empty(), expected, volumes)?;
        }
        Ok(())
    }

    /// Runs a command in a container's shell.
    pub(super) async fn inside(
        &self,
        place: Place,
        application: &str,
        command: &str,
    ) -> Result<String, Failure> {
        let command = format!("docker exec flocker-{application} sh -c '{command}'");
        Ok(self.site.check(place.node(), &command).await?)
    }

    /// Asks a Redis through every node, until each answers so.
    pub(super) async fn redis_everywhere(
        &self,
        port: u16,
        command: &str,
        answer: &str,
    ) -> Result<(), Failure> {
        let what = format!("Redis answers `{command}` with `{answer}`");
        eventually(&what, PATIENCE, async || {
            for address in self.site.addresses() {
                let got = self.clients.ask_redis(address, port, command).await?;
                expect(got == answer, format!("`{answer}` from {address}"), got)?;
            }
            Ok(())
        })
        .await
    }
}

impl Place {
    /// The node's number.
    pub(super) const fn node(self) -> usize {
        match self {
            Self::First => super::FIRST,
            Self::Second => super::SECOND,
        }
    }
}
