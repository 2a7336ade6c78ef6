//! Miniflux and PostgreSQL are deployed from the Compose file in `examples/`, and move.
//!
//! The file has a `.env`, and the reader waits for the database's health check.

use std::net::Ipv4Addr;

use super::super::failure::{Failure, expect};
use super::super::report::Stopped;
use super::super::wait::{PATIENCE, eventually};
use super::Migration;
use super::official::Place;
use super::stacks::Stack;

pub(super) const MINIFLUX: Stack = Stack {
    front: "reader",
    database: "database",
    files: &[
        (
            "compose.yaml",
            include_str!("../../../../../examples/miniflux/compose.yaml"),
        ),
        (
            ".env",
            include_str!("../../../../../examples/miniflux/.env"),
        ),
    ],
    replaced: &[
        ("miniflux/miniflux:2.2.6", "flocker/miniflux"),
        ("postgres:17-alpine", "flocker/postgres"),
        ("start_period: 30s", "start_period: 300s"),
    ],
};

/// The external port of the reader.
const PORT: u16 = 8082;

/// The reader's administrator and password, as `.env` has them.
const LOGIN: &str = "admin:and-another-here";

impl Migration<'_> {
    pub(super) async fn feed_reader(&mut self) -> Result<(), Stopped> {
        let archives = [self.archive("miniflux")];
        let (first, second) = (self.layouts.first, self.layouts.second);
        let name = "a Compose file of Miniflux and its database is deployed, as its `.env` says";
        self.check(name, async {
            let deploy = self
                .deploy_stack(&MINIFLUX, Place::First, &archives)
                .await?;
            deploy.expect_exit(0)?;
            deploy.expect_line(&format!("Deployed `reader` to {first}."))?;
            deploy.expect_line(&format!("Deployed `database` to {second}."))
        })
        .await?;
        let title = self.memory.fresh("Category");
        let name = "the reader keeps a category in its database";
        self.check(name, async {
            let body = format!(r#"{{"title": "{title}"}}"#);
            let category = self.categories(second, Some(&body)).await?;
            expect(category.contains(&title), &title, category)
        })
        .await?;
        let name = "both move, each to where the other was";
        self.check(name, async {
            let deploy = self
                .deploy_stack(&MINIFLUX, Place::Second, &archives)
                .await?;
            deploy.expect_exit(0)?;
            deploy.expect_line(&self.moved_line("reader", Place::Second))?;
            deploy.expect_line(&self.moved_line("database", Place::First))
        })
        .await?;
        let name = "the category is there, through both nodes";
        self.check(name, async {
            for address in self.site.addresses() {
                eventually("the reader lists the category", PATIENCE, async || {
                    let found = self.categories(address, None).await?;
                    expect(found.contains(&title), &title, found)
                })
                .await?;
            }
            Ok(())
        })
        .await?;
        let name = "Docker made no volume of its own for them";
        self.check(name, self.expect_no_docker_volumes()).await
    }

    /// Adds a category, or lists those that exist.
    async fn categories(&self, address: Ipv4Addr, added: Option<&str>) -> Result<String, Failure> {
        let url = format!("http://{address}:{PORT}/v1/categories");
        let mut arguments = vec![
            "--silent",
            "--show-error",
            "--fail",
            "--noproxy",
            "*",
            "--max-time",
            "100",
            "--user",
            LOGIN,
        ];
        arguments.extend(added.map(|body| ["--json", body]).into_iter().flatten());
        arguments.push(&url);
        let output = self.clients.run("curl", &arguments).await?;
        let said = output.stderr.trim();
        expect(output.success(), format!("an answer from {url}"), said)?;
        Ok(output.stdout)
    }
}
