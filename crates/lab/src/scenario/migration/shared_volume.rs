//! Two applications of one node see one volume, and move with it.

use super::super::failure::{Failure, expect, expect_same};
use super::super::report::Stopped;
use super::super::wait::{PATIENCE, eventually};
use super::official::{Applications, Place};
use super::{Migration, SECOND};

/// A web server with a volume, and another server that sees it at a path of its own.
const APPLICATIONS: &str = "
pages:
  image: flocker/web
  volume: /var/www/html
  routes: [{external: 8091, internal: 80}]
editor:
  image: flocker/web
  scratch: [/var/www/html]
  volumes: [{application: pages, target: /srv/pages}]
reader:
  image: flocker/web
  volumes_from: ['pages:ro']
";

const NAMES: [&str; 3] = ["pages", "editor", "reader"];

/// The external port of the web server.
const PORT: u16 = 8091;

impl Migration<'_> {
    pub(super) async fn shared_volume(&mut self) -> Result<(), Stopped> {
        let all = Applications {
            name: "shared-volume",
            text: APPLICATIONS,
            names: &NAMES,
        };
        let layout = all.on(Place::First, self.layouts);
        let line = format!("Deployed `editor` to {}.", self.layouts.first);
        let deploy = self.deploy_with_line(&layout, &[], &line);
        let name = "three applications that see one volume are deployed";
        self.check(name, deploy).await?;
        let written = self.memory.fresh("Page");
        let name = "each sees what the others write";
        self.check(name, self.write_pages(Place::First, &written))
            .await?;
        let name = "one that may only read cannot write";
        self.check(name, self.expect_read_only(Place::First))
            .await?;

        let layout = all.on(Place::Second, self.layouts);
        let line = self.moved_line("pages", Place::Second);
        let name = "the volume moves with all three";
        self.check(name, async {
            let transcript = self.deploy_with_line(&layout, &[], &line).await?;
            for other in ["editor", "reader"] {
                transcript.expect_line(&self.moved_line(other, Place::Second))?;
            }
            Ok(())
        })
        .await?;
        let name = "all three see what was written before";
        self.check(name, self.expect_pages(Place::Second, &written))
            .await?;
        let name = "nothing of them is left on the first node";
        self.check(name, self.expect_gone(Place::First)).await?;
        let name = "a second deploy does nothing";
        self.check(name, async {
            let transcript = self.cluster.deploy(&layout, &[]).await?;
            transcript.expect_exit(0)?;
            transcript.expect_last_line("Nothing changed.")
        })
        .await?;
        let name = "the volume is one dataset on the second node";
        self.check(name, self.expect_one_mount()).await?;
        let name = "Docker made no volume of its own";
        self.check(name, self.expect_no_docker_volumes()).await
    }

    /// Writes a file in each of the two that may write.
    async fn write_pages(&self, place: Place, text: &str) -> Result<(), Failure> {
        let write = format!("echo {text} >/srv/pages/from-editor.html");
        self.inside(place, "editor", &write).await?;
        let write = format!("echo {text} >/var/www/html/from-pages.html");
        self.inside(place, "pages", &write).await?;
        self.expect_pages(place, text).await
    }

    /// Each application sees both files, and so do clients of every node.
    async fn expect_pages(&self, place: Place, text: &str) -> Result<(), Failure> {
        let both = format!("{text}\n{text}\n");
        for (name, directory) in [
            ("pages", "/var/www/html"),
            ("editor", "/srv/pages"),
            ("reader", "/var/www/html"),
        ] {
            let read = format!("cat {directory}/from-editor.html {directory}/from-pages.html");
            expect_same(&both, &self.inside(place, name, &read).await?)?;
        }
        eventually("the page is served", PATIENCE, async || {
            for address in self.site.addresses() {
                let page = (PORT, "/from-editor.html");
                self.clients.expect_page(address, page, text).await?;
            }
            Ok(())
        })
        .await
    }

    async fn expect_read_only(&self, place: Place) -> Result<(), Failure> {
        let write =
            "if touch /var/www/html/no 2>/dev/null; then echo written; else echo refused; fi";
        let found = self.inside(place, "reader", write).await?;
        expect_same("refused\n", &found)
    }

    /// Neither containers nor the mounted volume are left.
    async fn expect_gone(&self, place: Place) -> Result<(), Failure> {
        let list = "docker ps --all --format '{{.Names}}' | grep -E 'pages|editor|reader' || true; \
                    findmnt --noheadings --output TARGET /flocker/pages || true";
        let left = self.site.check(place.node(), list).await?;
        expect(left.trim().is_empty(), "nothing", left)
    }

    async fn expect_one_mount(&self) -> Result<(), Failure> {
        let list = "findmnt --noheadings --list --output TARGET --types zfs | grep /flocker/";
        let mounted = self.site.check(SECOND, list).await?;
        expect_same("/flocker/pages\n", &mounted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_application_is_placed() {
        for name in NAMES {
            assert!(APPLICATIONS.contains(&format!("\n{name}:\n")));
        }
    }
}
