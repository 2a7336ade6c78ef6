//! A Docker volume becomes an application's volume, which moves, is written to a file, and comes in
//! again as the volume of another application.

use std::net::Ipv4Addr;

use super::super::cluster::{FAILED, Transcript};
use super::super::failure::{Failure, expect_same};
use super::super::report::Stopped;
use super::super::wait::{PATIENCE, eventually};
use super::Migration;
use super::official::{Applications, Place};

/// Two applications, of which the second gets a copy of the first one's volume.
const SITES: &str = "
site:
  image: flocker/web
  volume: /var/www/html
  routes: [{external: 8091, internal: 80}]
site-copy:
  image: flocker/web
  volume: /var/www/html
  routes: [{external: 8092, internal: 80}]
";

/// The external ports of [`SITES`].
const PORT: u16 = 8091;
const COPY_PORT: u16 = 8092;

/// Makes a Docker volume with a page of the web server's user, and a container that writes to it.
const PREPARE: &str = "docker volume create old-site >/dev/null && \
     root=$(docker volume inspect --format \"{{.Mountpoint}}\" old-site) && \
     chown 33:33 $root && chmod 750 $root && \
     echo \"<title>brought in</title>\" >$root/index.html && \
     chown 33:901 $root/index.html && chmod 640 $root/index.html && \
     ln $root/index.html $root/same.html && ln -s index.html $root/start.html && \
     docker run --detach --name old-site --volume old-site:/data --entrypoint sleep \
     flocker/web 100000 >/dev/null";

/// Lists what came in.
const LIST: &str = "cd /var/www/html && find . | sort | xargs stat -c \"%n %u:%g %a %h %F\"";

/// The output of [`LIST`]. The number of names of the directory is its file system's affair.
const BROUGHT_IN: &str = "./index.html 33:901 640 2 regular file
./same.html 33:901 640 2 regular file
./start.html 0:0 777 1 symbolic link
";

impl Migration<'_> {
    pub(super) async fn bringing_in(&mut self) -> Result<(), Stopped> {
        let (first, second) = (self.layouts.first, self.layouts.second);
        self.check("a Docker volume of the first node is in use", async {
            Ok(self.site.check(Place::First.node(), PREPARE).await?)
        })
        .await?;
        let import = ["site", "--from", "docker-volume:old-site", "--on"];
        let name = "it is not imported while a container may write to it";
        self.check(name, async {
            let transcript = self.volume("import", &import, first).await?;
            transcript.expect_exit(FAILED)?;
            transcript.expect_narration(&["docker", "stop", "old-site"])
        })
        .await?;
        self.check("it becomes the volume of an application", async {
            let stop = "docker stop --time 1 old-site";
            self.site.check(Place::First.node(), stop).await?;
            let transcript = self.volume("import", &import, first).await?;
            transcript.expect_exit(0)?;
            transcript.expect_line(&format!(
                "Imported docker-volume:old-site as the volume of `site` on {first}."
            ))
        })
        .await?;
        let deploy = self.deploy_site(&["site"]);
        let line = format!("Re-deployed site from {first} to {second}.");
        self.check("a deploy moves it to the second node", async {
            deploy.await?.expect_line(&line)
        })
        .await?;
        let name = "the page is served, and every file has its owner, mode and names";
        self.check(name, self.expect_site("site", PORT)).await?;
        self.export_and_import_again().await?;
        let name = "no Docker volume is left once its owner removes it";
        self.check(name, async {
            let remove = "docker rm --volumes old-site && docker volume rm old-site";
            self.site.check(Place::First.node(), remove).await?;
            self.expect_no_docker_volumes().await
        })
        .await
    }

    async fn export_and_import_again(&mut self) -> Result<(), Stopped> {
        let (first, second) = (self.layouts.first, self.layouts.second);
        let file = self.site.directory().join("site.zfs").display().to_string();
        self.check("the volume is written to a file while it is used", async {
            // A former run may have left it.
            let _ = std::fs::remove_file(&file);
            let export = ["site", "--to", &file, "--from"];
            let transcript = self.volume("export", &export, second).await?;
            transcript.expect_exit(0)?;
            let line = format!("Exported the volume of `site` from {second}.");
            transcript.expect_output(&line)
        })
        .await?;
        let name = "the file becomes the volume of another application";
        self.check(name, async {
            let source = format!("stream:{file}");
            let import = ["site-copy", "--from", &source, "--on"];
            let transcript = self.volume("import", &import, first).await?;
            transcript.expect_exit(0)
        })
        .await?;
        self.check("both are deployed, and nothing changed the first", async {
            self.deploy_site(&["site", "site-copy"]).await?;
            self.expect_site("site", PORT).await?;
            self.expect_site("site-copy", COPY_PORT).await
        })
        .await
    }

    /// Runs `flocker-cluster volume`; the node's name comes last.
    async fn volume(
        &self,
        what: &str,
        arguments: &[&str],
        node: Ipv4Addr,
    ) -> Result<Transcript, Failure> {
        let node = node.to_string();
        let words = ["volume", what]
            .into_iter()
            .chain(arguments.iter().copied());
        let words: Vec<String> = words.chain([node.as_str()]).map(str::to_owned).collect();
        self.cluster.obey(&words).await
    }

    /// Deploys these applications on the second node.
    async fn deploy_site(&self, names: &[&str]) -> Result<Transcript, Failure> {
        let sites = Applications {
            name: "site",
            text: SITES,
            names,
        };
        let layout = sites.on(Place::Second, self.layouts);
        let transcript = self.cluster.deploy(&layout, &[]).await?;
        transcript.expect_exit(0)?;
        Ok(transcript)
    }

    async fn expect_site(&self, name: &str, port: u16) -> Result<(), Failure> {
        eventually("the page is served", PATIENCE, async || {
            for address in self.site.addresses() {
                let page = (port, "/start.html");
                self.clients
                    .expect_page(address, page, "brought in")
                    .await?;
            }
            Ok(())
        })
        .await?;
        let listed = self.inside(Place::Second, name, LIST).await?;
        let files: String = listed
            .split_inclusive('\n')
            .filter(|line| !line.starts_with(". "))
            .collect();
        expect_same(BROUGHT_IN, &files)
    }
}
