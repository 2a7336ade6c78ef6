//! An application on one node starts once the health check of another node's application passes.

use super::super::failure::{Failure, expect_same};
use super::super::layouts::Layout;
use super::super::report::Stopped;
use super::Migration;
use super::official::{Applications, Place};

const NAMES: [&str; 2] = ["checked", "dependent"];

/// What the check of `checked` runs so that it never passes.
const FAILING: &str = "echo not yet; exit 1";

/// Passes the fourth time.
const SLOW: &str = "n=$$(cat /dev/shm/n || echo 0); echo $$((n + 1)) >/dev/shm/n; test $$n -ge 3";

/// Two applications, the second of which waits for the check of the first.
fn applications(test: &str) -> String {
    format!(
        "
checked:
  image: flocker/slow-stop
  volume: /var/lib/slow-stop
  environment: {{SLOW_STOP_SECONDS: \"0\"}}
  healthcheck:
    test: [CMD-SHELL, \"{test}\"]
    interval: 1s
    timeout: 20s
    retries: 5
dependent:
  image: flocker/slow-stop
  volume: /var/lib/slow-stop
  environment: {{SLOW_STOP_SECONDS: \"0\"}}
  depends_on:
    checked: {{condition: service_healthy}}
"
    )
}

impl Migration<'_> {
    pub(super) async fn dependencies(&mut self) -> Result<(), Stopped> {
        let name = "a check that fails ends the deploy, which says who depends on it";
        let failing = self.each_on_its_node(&applications(FAILING));
        self.check(name, async {
            let transcript = self.cluster.deploy(&failing, &[]).await?;
            transcript.expect_exit(5)?;
            transcript.expect_narration(&[
                "checked runs, and fails its `healthcheck`",
                "not yet",
                "it depends on `checked`, which failed",
            ])
        })
        .await?;
        let name = "the application on the other node was not started";
        self.check(name, async {
            let command = "docker ps --all --quiet --filter name=^flocker-dependent$";
            expect_same("", &self.site.check(Place::Second.node(), command).await?)
        })
        .await?;

        let slow = self.each_on_its_node(&applications(SLOW));
        let line = format!("Deployed `dependent` to {}.", self.layouts.second);
        let deploy = self.deploy_with_line(&slow, &[], &line);
        let name = "a check that passes after some time is waited for";
        self.check(name, deploy).await?;
        let name = "the first application is healthy";
        self.check(name, self.expect_healthy(Place::First)).await?;

        let moved = Applications {
            name: "dependencies-moved",
            text: &applications(SLOW),
            names: &NAMES,
        };
        let layout = moved.on(Place::Second, self.layouts);
        let line = self.moved_line("checked", Place::Second);
        let name = "it moves, and has moved once its check passes there";
        self.check(name, self.deploy_with_line(&layout, &[], &line))
            .await?;
        let name = "it is healthy on its new node";
        self.check(name, self.expect_healthy(Place::Second)).await
    }

    /// The first application on the first node, the second on the second.
    fn each_on_its_node(&self, text: &str) -> Layout {
        let both = Applications {
            name: "dependencies",
            text,
            names: &NAMES,
        };
        both.on_both(&["checked"], &["dependent"], self.layouts)
    }

    async fn expect_healthy(&self, place: Place) -> Result<(), Failure> {
        let command = "docker inspect --format '{{.State.Health.Status}}' flocker-checked";
        let status = self.site.check(place.node(), command).await?;
        expect_same("healthy", status.trim())
    }
}
