//! WordPress and MariaDB are deployed from the Compose file in `examples/`, and move.

use super::super::failure::{Failure, expect};
use super::super::report::Stopped;
use super::super::wait::{PATIENCE, eventually};
use super::Migration;
use super::official::Place;
use super::stacks::Stack;

pub(super) const WORDPRESS: Stack = Stack {
    front: "wordpress",
    database: "db",
    files: &[
        (
            "compose.yaml",
            include_str!("../../../../../examples/wordpress/compose.yaml"),
        ),
        (
            "db_password.txt",
            include_str!("../../../../../examples/wordpress/db_password.txt"),
        ),
        (
            "uploads.ini",
            include_str!("../../../../../examples/wordpress/uploads.ini"),
        ),
    ],
    replaced: &[
        ("wordpress:6-apache", "flocker/wordpress"),
        ("mariadb:11", "flocker/mariadb"),
        ("cpus: '1.5'", "cpus: '1.0'"),
    ],
};

/// The external port of the site.
const PORT: u16 = 8080;

/// Where visitors' files are.
const UPLOADS: &str = "/var/www/html/wp-content/uploads";

impl Migration<'_> {
    pub(super) async fn compose_file(&mut self) -> Result<(), Stopped> {
        let archives = [self.archive("wordpress"), self.archive("mariadb")];
        let name = "a Compose file of WordPress and its database is deployed, with the files in the \
                    other order";
        self.check(name, async {
            let deploy = self
                .deploy_stack(&WORDPRESS, Place::First, &archives)
                .await?;
            deploy.expect_exit(0)?;
            let (first, second) = (self.layouts.first, self.layouts.second);
            deploy.expect_line(&format!("Deployed `wordpress` to {first}."))?;
            deploy.expect_line(&format!("Deployed `db` to {second}."))
        })
        .await?;
        let title = self.memory.fresh("Site");
        let name = "it finds its database by name, and is installed";
        self.check(name, self.install(&title)).await?;
        self.check(
            "its page is served through both nodes",
            self.site_is_there(&title),
        )
        .await?;
        let upload = format!("mkdir -p {UPLOADS} && echo {title} >{UPLOADS}/picture.txt");
        self.check("a visitor sends a file", async {
            self.inside(Place::First, "wordpress", &upload)
                .await
                .map(drop)
        })
        .await?;
        let name = "both move, each to where the other was";
        self.check(name, async {
            let deploy = self
                .deploy_stack(&WORDPRESS, Place::Second, &archives)
                .await?;
            deploy.expect_exit(0)?;
            deploy.expect_line(&self.moved_line("wordpress", Place::Second))?;
            deploy.expect_line(&self.moved_line("db", Place::First))
        })
        .await?;
        let name = "the page is as it was, and so is the file";
        self.check(name, async {
            self.site_is_there(&title).await?;
            let read = format!("cat {UPLOADS}/picture.txt");
            let found = self.inside(Place::Second, "wordpress", &read).await?;
            expect(found.trim() == title, &title, found)
        })
        .await?;
        let name = "Docker made no volume of its own";
        self.check(name, self.expect_no_docker_volumes()).await
    }

    /// Fills in the form with which a new site begins.
    async fn install(&self, title: &str) -> Result<(), Failure> {
        let address = self.layouts.second;
        eventually("WordPress wants to be installed", PATIENCE, async || {
            let page = (PORT, "/wp-admin/install.php");
            self.clients
                .expect_page(address, page, "weblog_title")
                .await
                .map(drop)
        })
        .await?;
        let url = format!("http://{address}:{PORT}/wp-admin/install.php?step=2");
        let fields = format!(
            "weblog_title={title}&user_name=admin&admin_password=it-moves&admin_password2=it-moves\
             &pw_weak=1&admin_email=admin%40example.com"
        );
        let arguments = [
            "--silent",
            "--show-error",
            "--noproxy",
            "*",
            "--max-time",
            "300",
            "--data",
            &fields,
            &url,
        ];
        let output = self.clients.run("curl", &arguments).await?;
        let is_done = output.stdout.contains("Success");
        expect(is_done, "WordPress is installed", output.stdout)
    }

    async fn site_is_there(&self, title: &str) -> Result<(), Failure> {
        eventually("the page has its title", PATIENCE, async || {
            for address in self.site.addresses() {
                let heading = format!("<h1>{title}</h1>");
                self.clients
                    .expect_page(address, (PORT, "/"), &heading)
                    .await?;
            }
            Ok(())
        })
        .await
    }
}
