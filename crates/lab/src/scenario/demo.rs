//! What Flocker does, shown to a person: the README's two deploys, and a row and a
//! page before and after.

use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Instant;

use super::clients::Clients;
use super::failure::Failure;
use super::layouts::DATABASE_PASSWORD;
use super::parts::{Parts, PartsError};
use super::report::say;
use super::site::Site;
use super::wait::{PATIENCE, eventually};
use crate::lab::{Lab, LabError};
use crate::progress::Progress;

/// The name of the demo's lab.
pub const DEMO_LAB: &str = "demo";

const APPLICATION: &str = "examples/trac/application.yml";
const DEPLOYMENT: &str = "examples/trac/deployment.yml";
const DEPLOYMENT_MOVED: &str = "examples/trac/deployment-moved.yml";

/// The row that is shown before and after the move.
const ROW: &str = "I was here before the move";

/// The demo does not go on.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Something that it shows is not there.
    #[error(transparent)]
    Parts(#[from] PartsError),
    /// The nodes do not start.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// The operator's program cannot be run.
    #[error("run {}", .program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A deploy failed.
    #[error("the deploy ended with {0}; {LOOK_AROUND}")]
    Deploy(ExitStatus),
    /// Clients did not find what they should.
    #[error("{what}: {found}; {LOOK_AROUND}")]
    Clients {
        /// What was tried.
        what: &'static str,
        /// What was found.
        found: String,
    },
}

const LOOK_AROUND: &str = "the nodes still run: `cargo xtask lab ssh --name demo node1` looks at \
     one, `cargo xtask lab down --name demo` ends them";

struct Demo<'a> {
    site: &'a Site,
    program: &'a Path,
    began: Instant,
}

/// Brings up two nodes and shows a move on them. They keep running.
///
/// # Errors
/// When something is missing or does not work.
pub async fn run_demo() -> Result<(), DemoError> {
    let began = Instant::now();
    let progress = Progress::on_stderr();
    let parts = Parts::find(&progress).await?;
    match Lab::end_named(DEMO_LAB) {
        Ok(()) => progress.say("ended the nodes of an earlier demo"),
        Err(LabError::NotRunning(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let lab = Lab::start_detached(DEMO_LAB, &parts.lab(), &progress).await?;
    let site = Site::Lab(lab);
    let demo = Demo {
        site: &site,
        program: &parts.cluster,
        began,
    };
    demo.show().await
}

impl Demo<'_> {
    async fn show(&self) -> Result<(), DemoError> {
        let addresses = self.site.addresses();
        self.title(&format!(
            "Two nodes are running, {} and {}, with Docker, ZFS and flocker-node.",
            addresses[0], addresses[1]
        ));
        show_file(APPLICATION);
        show_file(DEPLOYMENT);
        self.title(
            "Trac and its database go to one node, the log server and its page to the other.",
        );
        self.deploy(DEPLOYMENT).await?;
        self.title("A row in the database, written through the first node, read through both:");
        self.insert_row().await?;
        self.show_rows().await?;
        self.title("Trac's page, through both nodes:");
        self.show_pages().await?;

        self.title("Trac needs a node for itself, so its database moves to the other:");
        show_file(DEPLOYMENT_MOVED);
        self.deploy(DEPLOYMENT_MOVED).await?;
        self.title("The same row and the same page, again through both nodes:");
        self.show_rows().await?;
        self.show_pages().await?;
        self.title("The same deploy once more finds nothing to do:");
        self.deploy(DEPLOYMENT_MOVED).await?;
        self.show_next_steps();
        Ok(())
    }

    fn title(&self, text: &str) {
        say(&format!(
            "\n[{:>3} s] {text}",
            self.began.elapsed().as_secs()
        ));
    }

    /// Deploys as a person at a terminal does.
    async fn deploy(&self, deployment: &str) -> Result<(), DemoError> {
        say(&format!(
            "\n$ flocker-cluster deploy {APPLICATION} {deployment}"
        ));
        let mut command = self
            .site
            .operator_command(&self.program.display().to_string());
        command
            .args(["deploy", APPLICATION, deployment])
            .current_dir(root())
            .stdin(Stdio::null());
        let reminder = if io::IsTerminal::is_terminal(&io::stderr()) {
            // Which step it is at is shown there by the program itself.
            Progress::silent()
        } else {
            Progress::on_stderr()
        };
        let _step = reminder.step("deploying");
        let status = command.status().await.map_err(|source| DemoError::Run {
            program: self.program.to_owned(),
            source,
        })?;
        if status.success() {
            return Ok(());
        }
        Err(DemoError::Deploy(status))
    }

    fn clients(&self) -> Clients<'_> {
        Clients { site: self.site }
    }

    async fn insert_row(&self) -> Result<(), DemoError> {
        let address = self.site.address(0);
        let statement = format!("CREATE TABLE demo AS SELECT '{ROW}' AS line");
        show_query(address, &statement);
        eventually("the database is initialised", PATIENCE, async || {
            self.clients().sql(address, "SELECT 1").await
        })
        .await
        .map_err(failed("wait for the database"))?;
        let inserted = self.clients().sql(address, &statement).await;
        inserted.map(drop).map_err(failed("insert a row"))
    }

    async fn show_rows(&self) -> Result<(), DemoError> {
        for address in self.site.addresses() {
            let statement = "SELECT line FROM demo";
            show_query(address, statement);
            let rows = eventually("the database answers", PATIENCE, async || {
                self.clients().sql(address, statement).await
            });
            let rows = rows.await.map_err(failed("read the row"))?;
            say(&rows);
            if rows != ROW {
                return Err(DemoError::Clients {
                    what: "read the row",
                    found: rows,
                });
            }
        }
        Ok(())
    }

    async fn show_pages(&self) -> Result<(), DemoError> {
        for address in self.site.addresses() {
            say(&format!(
                "\n$ curl --silent http://{address}:8080/wiki | grep -A2 '<title>'"
            ));
            let page = eventually("trac serves its page", PATIENCE, async || {
                self.clients()
                    .expect_page(address, (8080, "/wiki"), "<title>")
                    .await
            });
            let page = page.await.map_err(failed("fetch trac's page"))?;
            let title = page
                .body
                .lines()
                .skip_while(|line| !line.contains("<title>"));
            title.take(3).for_each(say);
        }
        Ok(())
    }

    fn show_next_steps(&self) {
        self.title("That was it. The nodes keep running; look around:");
        let first = self.site.address(0);
        let program = self.program.display();
        say(&format!(
            "
  cargo xtask lab ssh --name demo node1
      a shell on a node
  cargo xtask lab ssh --name demo node2 flocker-node observe
      what Flocker sees there
  cargo xtask lab run --name demo curl http://{first}:8081/
      the page with trac's log lines
  cargo xtask lab run --name demo {program} plan {APPLICATION} {DEPLOYMENT}
      what moving back would take; `deploy` does it
  cargo xtask lab power-cut --name demo node2
      and `power-on`: everything comes back by itself
  cargo xtask lab run --name demo bash
      a shell on the nodes' network, for any other client

To end it and remove what it used:

  cargo xtask lab down --name demo"
        ));
    }
}

fn show_file(path: &str) {
    let text = std::fs::read_to_string(root().join(path)).unwrap_or_default();
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    say(&format!("\n$ cat {path}"));
    lines.for_each(say);
}

fn show_query(address: Ipv4Addr, statement: &str) {
    say(&format!(
        "\n$ psql postgresql://trac:{DATABASE_PASSWORD}@{address}/trac -c \"{statement}\""
    ));
}

fn failed(what: &'static str) -> impl FnOnce(Failure) -> DemoError {
    move |failure| DemoError::Clients {
        what,
        found: failure.to_string(),
    }
}

/// The source tree.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
