//! A path that an image declares as `VOLUME` is part of the application's volume, or scratch, or the
//! deploy is refused.

use super::super::cluster::BLOCKED;
use super::super::failure::{Failure, expect};
use super::super::fingerprint::Fingerprint;
use super::super::layouts::DATABASE_PASSWORD;
use super::super::report::Stopped;
use super::super::wait::{PATIENCE, eventually};
use super::official::{Applications, Place};
use super::{FIRST, Migration, SECOND};

/// The image declares `/data` as a volume, which is not below the mount point.
const CACHE: &str = "
cache:
  image: flocker/redis
  volume: /elsewhere
  routes: [{external: 6380, internal: 6379}]
";

/// Two mount points in one dataset.
const SESSIONS: &str = "
sessions:
  image: flocker/redis
  volumes: [/data, /etc/extra]
  routes: [6379]
";

/// The external port of [`CACHE`].
const CACHE_PORT: u16 = 6380;
/// The external port of [`SESSIONS`].
const SESSIONS_PORT: u16 = 6379;

/// The content of a file at the second mount point of [`SESSIONS`].
const EXTRA: &str = "kept beside the database";

/// The most likely database of all: its image declares `/var/lib/postgresql/data`, which is below the
/// mount point.
fn official_database() -> String {
    format!(
        "official-db:\n  image: flocker/postgres\n  volume: /var/lib/postgresql\n  environment: \
         {{POSTGRES_USER: trac, POSTGRES_PASSWORD: {DATABASE_PASSWORD}}}\n  routes: [5432]\n"
    )
}

/// The same without a place for the path that the image declares, or with `scratch`.
fn cache(is_scratch: bool) -> String {
    let scratch = if is_scratch {
        "  scratch: [/data]\n"
    } else {
        ""
    };
    format!("{CACHE}{scratch}")
}

impl Migration<'_> {
    pub(super) async fn image_volumes(&mut self) -> Result<(), Stopped> {
        let before = Fingerprint::observe(self.site);
        let before = self.check("the nodes can be looked at", before).await?;
        let name = "an image's volume outside of the application's volume is refused";
        self.check(name, self.refuse_cache()).await?;
        let name = "nothing was touched before that";
        self.check(name, async {
            before.expect_same(&Fingerprint::observe(self.site).await?)
        })
        .await?;

        let both = format!("{}{SESSIONS}", cache(true));
        let applications = Applications {
            name: "image-volumes",
            text: &both,
            names: &["cache", "sessions"],
        };
        let layout = applications.on(Place::First, self.layouts);
        let line = format!("Deployed `cache` to {}.", self.layouts.first);
        let deploy = self.deploy_with_line(&layout, &[], &line);
        let name = "with `scratch` it is deployed, beside an application with two mount points";
        self.check(name, deploy).await?;
        let name = "both answer through both nodes";
        self.check(name, async {
            self.redis_everywhere(CACHE_PORT, "PING", "+PONG").await?;
            self.redis_everywhere(SESSIONS_PORT, "PING", "+PONG").await
        })
        .await?;
        self.several_volumes(applications).await?;
        let name = "Docker made no volume of its own";
        self.check(name, self.expect_no_docker_volumes()).await
    }

    async fn refuse_cache(&self) -> Result<(), Failure> {
        let applications = Applications {
            name: "refused",
            text: &cache(false),
            names: &["cache"],
        };
        let layout = applications.on(Place::First, self.layouts);
        let transcript = self.cluster.deploy(&layout, &[]).await?;
        transcript.expect_exit(BLOCKED)?;
        let words = ["`cache`", "/data", "flocker/redis", "volumes", "scratch"];
        transcript.expect_narration(&words)
    }

    /// An application with two mount points moves with what is in both.
    async fn several_volumes(&mut self, applications: Applications<'_>) -> Result<(), Stopped> {
        let (site, report) = (self.site, self.report);
        let row = self.memory.fresh("session");
        let set = format!("SET session {row}");
        let name = "a row and a file are written, one at each mount point";
        let write = format!("echo {EXTRA} >/etc/extra/file");
        report
            .check(site, name, async {
                self.redis_everywhere(SESSIONS_PORT, &set, "+OK").await?;
                self.inside(Place::First, "sessions", &write).await
            })
            .await?;

        let layout = applications.on_both(&["cache"], &["sessions"], self.layouts);
        let line = self.moved_line("sessions", Place::Second);
        let deploy = self.deploy_with_line(&layout, &[], &line);
        self.check("the one with two mount points moves", deploy)
            .await?;
        let name = "the row and the file are there";
        self.check(name, async {
            self.redis_everywhere(SESSIONS_PORT, "GET session", &row)
                .await?;
            let read = "cat /etc/extra/file";
            let extra = self.inside(Place::Second, "sessions", read).await?;
            expect(extra.trim() == EXTRA, EXTRA, extra)?;
            self.redis_everywhere(CACHE_PORT, "PING", "+PONG").await
        })
        .await?;
        let name = "both mount points are directories of its one dataset";
        self.check(
            name,
            self.expect_one_dataset("sessions", &["/data", "/etc/extra"]),
        )
        .await
    }

    /// Each of these paths of a container on the second node is a directory of the volume.
    async fn expect_one_dataset(&self, name: &str, paths: &[&str]) -> Result<(), Failure> {
        let format = "{{range .Mounts}}{{.Type}} {{.Source}} {{.Destination}}{{println}}{{end}}";
        let command = format!("docker inspect --format '{format}' flocker-{name}");
        let mounts = self.site.check(SECOND, &command).await?;
        let volume = format!("bind /flocker/{name}/");
        for path in paths {
            let is_there = mounts
                .lines()
                .any(|mount| mount.starts_with(&volume) && mount.ends_with(&format!(" {path}")));
            expect(is_there, format!("{path} in /flocker/{name}"), &mounts)?;
        }
        Ok(())
    }

    pub(super) async fn parent_mount(&mut self) -> Result<(), Stopped> {
        let applications = Applications {
            name: "official-db",
            text: &official_database(),
            names: &["official-db"],
        };
        let layout = applications.on(Place::First, self.layouts);
        let line = format!("Deployed `official-db` to {}.", self.layouts.first);
        let deploy = self.deploy_with_line(&layout, &[], &line);
        let name = "a database whose volume is the parent of its image's volume is deployed";
        self.check(name, deploy).await?;
        let row = self.memory.fresh("row");
        let name = "it takes a row";
        self.check(name, async {
            self.database_answers().await?;
            self.insert(self.layouts.second, &row).await
        })
        .await?;
        let name = "its data is in the volume";
        self.check(name, self.expect_data_directory(FIRST)).await?;
        for (place, node) in [(Place::Second, SECOND), (Place::First, FIRST)] {
            let layout = applications.on(place, self.layouts);
            let line = self.moved_line("official-db", place);
            let deploy = self.deploy_with_line(&layout, &[], &line);
            self.check("it moves", deploy).await?;
            self.check("the row is there", self.expect_row(&row))
                .await?;
            let name = "and its data is in the volume";
            self.check(name, self.expect_data_directory(node)).await?;
        }
        let name = "Docker made no volume of its own";
        self.check(name, self.expect_no_docker_volumes()).await
    }

    async fn database_answers(&self) -> Result<(), Failure> {
        eventually("the database answers", PATIENCE, async || {
            for address in self.site.addresses() {
                self.clients.sql(address, "SELECT 1").await?;
            }
            Ok(())
        })
        .await
    }

    async fn expect_row(&self, row: &str) -> Result<(), Failure> {
        self.database_answers().await?;
        for address in self.site.addresses() {
            let statement = "SELECT value FROM flocker_rows";
            let found = self.clients.sql(address, statement).await?;
            expect(found == row, format!("the row {row} at {address}"), found)?;
        }
        Ok(())
    }

    /// The directory that the image declares as a volume is one of the application's dataset.
    async fn expect_data_directory(&self, node: usize) -> Result<(), Failure> {
        let command = "test -s /flocker/official-db/data/PG_VERSION";
        Ok(self.site.check(node, command).await.map(drop)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_second_cache_has_scratch() {
        assert!(!cache(false).contains("scratch"));
        assert!(cache(true).ends_with("\n  scratch: [/data]\n"));
        assert!(official_database().contains(": /var/lib/postgresql\n"));
    }
}
