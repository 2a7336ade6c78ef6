//! An image's content at the mount point fills a new volume, once. A node whose rules were flushed
//! routes again by itself.

use std::time::Duration;

use super::super::failure::{Failure, expect_same};
use super::super::report::Stopped;
use super::super::wait::{PATIENCE, eventually};
use super::Migration;
use super::official::{Applications, Place};

/// The image has files where the volume goes.
const WEB: &str = "
web:
  image: flocker/web
  volume: /var/www/html
  routes: [{external: 8090, internal: 80}]
";

/// The external port of [`WEB`].
const PORT: u16 = 8090;

/// How long a node may take to route again. It takes seconds on a node that is not emulated.
const REPAIR_PATIENCE: Duration = Duration::from_secs(60);

/// Lists each path at the mount point with its owner, mode and type.
const LIST: &str = "cd /var/www/html && find . | sort | xargs stat -c \"%n %u:%g %a %F\"";

/// The output of [`LIST`] for the image's own files.
const FROM_IMAGE: &str = ". 33:33 750 directory
./cgi-bin 0:0 755 directory
./cgi-bin/edit 0:0 755 regular file
./index.html 33:33 644 regular file
./start.html 0:0 777 symbolic link
./uploads 33:901 2770 directory
./uploads/README 0:0 644 regular file
";

/// Flushes all rules, as Debian's `/etc/nftables.conf` does when its unit is started or reloaded.
const RELOAD_NFTABLES: &str = "if systemctl cat nftables.service >/dev/null 2>&1; then \
     systemctl start nftables && systemctl reload nftables; else nft flush ruleset; fi";

impl Migration<'_> {
    pub(super) async fn first_fill(&mut self) -> Result<(), Stopped> {
        let layout = web(WEB).on(Place::First, self.layouts);
        let line = format!("Deployed `web` to {}.", self.layouts.first);
        let deploy = self.deploy_with_line(&layout, &[], &line);
        let name = "an application whose image has files at the mount point is deployed";
        self.check(name, deploy).await?;
        let name = "the image's page is served through both nodes";
        self.check(
            name,
            self.expect_front_page("came with the image", PATIENCE),
        )
        .await?;
        let name = "the volume has the image's files, with owner and mode";
        self.check(name, self.expect_files(Place::First, FROM_IMAGE))
            .await?;
        let edited = self.memory.fresh("Edit");
        let name = "a file is changed, and one is removed";
        self.check(name, self.edit(&edited)).await?;

        let changed = changed_web();
        let layout = web(&changed).on(Place::First, self.layouts);
        self.check("its container is made again", async {
            let transcript = self.cluster.deploy(&layout, &[]).await?;
            transcript.expect_exit(0)
        })
        .await?;
        self.check(
            "the volume is as it was",
            self.expect_edited(Place::First, &edited),
        )
        .await?;
        let layout = web(&changed).on(Place::Second, self.layouts);
        let line = self.moved_line("web", Place::Second);
        let deploy = self.deploy_with_line(&layout, &[], &line);
        self.check("it moves", deploy).await?;
        self.check(
            "the volume is as it was",
            self.expect_edited(Place::Second, &edited),
        )
        .await?;
        let name = "Docker made no volume of its own";
        self.check(name, self.expect_no_docker_volumes()).await
    }

    /// Replaces the front page through a node that does not run the server, and removes a file.
    async fn edit(&self, text: &str) -> Result<(), Failure> {
        let path = format!("/cgi-bin/edit?{text}");
        let second = self.layouts.second;
        self.clients
            .expect_page(second, (PORT, &path), &format!("edited {text}"))
            .await?;
        let remove = "rm /var/www/html/uploads/README";
        self.inside(Place::First, "web", remove).await.map(drop)
    }

    async fn expect_edited(&self, place: Place, text: &str) -> Result<(), Failure> {
        self.expect_front_page(text, PATIENCE).await?;
        self.expect_files(place, &without_readme()).await
    }

    /// The page is served through every node, under the name that is a symbolic link as well.
    async fn expect_front_page(&self, text: &str, patience: Duration) -> Result<(), Failure> {
        eventually("the page is served", patience, async || {
            for address in self.site.addresses() {
                for path in ["/", "/start.html"] {
                    let page = (PORT, path);
                    self.clients.expect_page(address, page, text).await?;
                }
            }
            Ok(())
        })
        .await
    }

    async fn expect_files(&self, place: Place, expected: &str) -> Result<(), Failure> {
        expect_same(expected, &self.inside(place, "web", LIST).await?)
    }

    /// Goes on with the web server of the chapter before, which is on the second node.
    pub(super) async fn flushed_ruleset(&mut self) -> Result<(), Stopped> {
        let layout = web(&changed_web()).on(Place::Second, self.layouts);
        self.check("a web server runs on the second node", async {
            let transcript = self.cluster.deploy(&layout, &[]).await?;
            transcript.expect_exit(0)
        })
        .await?;
        for (place, address) in [
            (Place::First, self.layouts.first),
            (Place::Second, self.layouts.second),
        ] {
            for (what, command) in [
                ("all rules are flushed", "nft flush ruleset"),
                ("the unit `nftables` is reloaded", RELOAD_NFTABLES),
            ] {
                let name = format!("{what} on {address}");
                let flush = async { Ok(self.site.check(place.node(), command).await?) };
                self.check(&name, flush).await?;
                let name = "its port answers again through both nodes, without a deploy";
                self.check(name, self.expect_front_page("<title>", REPAIR_PATIENCE))
                    .await?;
            }
        }
        let name = "a deploy then says that nothing changed";
        self.check(name, async {
            let transcript = self.cluster.deploy(&layout, &[]).await?;
            transcript.expect_exit(0)?;
            transcript.expect_last_line("Nothing changed.")
        })
        .await
    }
}

/// The web server alone.
fn web(text: &str) -> Applications<'_> {
    Applications {
        name: "web",
        text,
        names: &["web"],
    }
}

/// The same web server with another environment, so that it needs another container.
fn changed_web() -> String {
    format!("{WEB}  environment: {{CHANGED: \"yes\"}}\n")
}

/// The image's files without the one that [`Migration::edit`] removes.
fn without_readme() -> String {
    let kept = FROM_IMAGE.split_inclusive('\n');
    kept.filter(|line| !line.contains("README")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_is_removed() {
        let before = FROM_IMAGE.lines().count();
        assert_eq!(without_readme().lines().count(), before - 1);
    }
}
