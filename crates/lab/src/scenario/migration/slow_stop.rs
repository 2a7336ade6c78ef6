//! An application may take its time to stop. The deploy says so if it had to be killed.

use super::super::failure::{Failure, expect, expect_same};
use super::super::report::Stopped;
use super::super::wait::{PATIENCE, eventually};
use super::Migration;
use super::official::{Applications, Place};

/// Both take 8 s to stop: the first has the default grace period, the second a shorter one.
const APPLICATIONS: &str = "
patient:
  image: flocker/slow-stop
  volume: /var/lib/slow-stop
  environment: {SLOW_STOP_SECONDS: \"8\"}
  stop_signal: SIGUSR1
hasty:
  image: flocker/slow-stop
  volume: /var/lib/slow-stop
  environment: {SLOW_STOP_SECONDS: \"8\"}
  stop_grace_period: 2s
";

const NAMES: [&str; 2] = ["patient", "hasty"];

impl Migration<'_> {
    pub(super) async fn slow_stop(&mut self) -> Result<(), Stopped> {
        let both = Applications {
            name: "slow-stop",
            text: APPLICATIONS,
            names: &NAMES,
        };
        let layout = both.on(Place::First, self.layouts);
        let line = format!("Deployed `patient` to {}.", self.layouts.first);
        let deploy = self.deploy_with_line(&layout, &[], &line);
        let name = "two applications that take 8 s to stop are deployed";
        self.check(name, deploy).await?;
        let name = "both have started";
        self.check(name, self.expect_logs(Place::First, ["started\n"; 2]))
            .await?;

        let layout = both.on(Place::Second, self.layouts);
        let name =
            "both move, and the deploy says that the one with a grace period of 2 s was killed";
        self.check(name, async {
            let line = self.moved_line("hasty", Place::Second);
            let transcript = self.deploy_with_line(&layout, &[], &line).await?;
            transcript.expect_narration(&["hasty", "killed"])?;
            let narration = transcript.narration();
            let patient = narration
                .lines()
                .find(|line| line.contains("patient") && line.contains("killed"));
            expect(patient.is_none(), "no word of `patient`", narration)
        })
        .await?;
        let name = "the other one got its own stop signal and saved, and both run";
        let logs = ["started\nsaved USR1\nstarted\n", "started\nstarted\n"];
        self.check(name, self.expect_logs(Place::Second, logs))
            .await?;

        let layout = both.on_both(&["hasty"], &["patient"], self.layouts);
        let name = "`--json` says it as well";
        self.check(name, async {
            let transcript = self.cluster.deploy(&layout, &["--json"]).await?;
            transcript.expect_exit(0)?;
            transcript.expect_output("killed")
        })
        .await
    }

    /// The logs of both applications become these.
    async fn expect_logs(&self, place: Place, logs: [&str; 2]) -> Result<(), Failure> {
        for (name, log) in NAMES.into_iter().zip(logs) {
            let what = format!("the log of `{name}` is complete");
            let command = format!("cat /flocker/{name}/log");
            eventually(&what, PATIENCE, async || {
                expect_same(log, &self.site.check(place.node(), &command).await?)
            })
            .await?;
        }
        Ok(())
    }
}
