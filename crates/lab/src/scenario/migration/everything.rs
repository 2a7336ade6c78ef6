//! What must be true all the time: everything that was acknowledged is there,
//! through every node.

use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::super::failure::{Failure, expect};
use super::super::wait::{PATIENCE, eventually};
use super::{FIRST, Migration, SECOND};

/// Trac's port, and its front page.
const TRAC: (u16, &str) = (8080, "/wiki");
/// The log page's port.
const LOG_PAGE: u16 = 8081;

/// Connects to the database's port at each of `$addresses`, from the node and from within `$container`,
/// which has Python.
const CONNECT: &str = r#"
set -e
for address in $addresses; do
    timeout 30 bash -c 'exec 3<>"/dev/tcp/$0/5432"' "$address"
done
docker exec "$container" python3 -c '
import socket, sys
for address in sys.argv[1:]:
    socket.create_connection((address, 5432), timeout=30).close()
' $addresses
"#;

/// What clients were told is kept.
#[derive(Debug, Default)]
pub(super) struct Memory {
    names: u32,
    /// Rows in trac's database.
    pub(super) rows: Vec<String>,
    /// Wiki pages that were asked for, of which trac's log has a line each.
    pub(super) pages: Vec<String>,
    /// Lines in the ledger.
    pub(super) lines: Vec<String>,
}

impl Memory {
    /// A name that nothing else has.
    pub(super) fn fresh(&mut self, kind: &str) -> String {
        self.names += 1;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        format!("{kind}{:x}x{}", now.as_millis(), self.names)
    }
}

impl Migration<'_> {
    /// Inserts a row through a node.
    pub(super) async fn insert(&self, address: Ipv4Addr, row: &str) -> Result<(), Failure> {
        let statement = format!(
            "SET client_min_messages = warning; \
             CREATE TABLE IF NOT EXISTS flocker_rows (value text PRIMARY KEY); \
             INSERT INTO flocker_rows VALUES ('{row}')"
        );
        self.clients.sql(address, &statement).await.map(drop)
    }

    /// Inserts a row through each node, and remembers it.
    pub(super) async fn insert_everywhere(&mut self) -> Result<(), Failure> {
        for address in self.site.addresses() {
            let row = self.memory.fresh("row");
            self.insert(address, &row).await?;
            self.memory.rows.push(row);
        }
        Ok(())
    }

    /// Every row is there, through every node.
    pub(super) async fn rows_everywhere(&self) -> Result<(), Failure> {
        for address in self.site.addresses() {
            let statement = "SELECT value FROM flocker_rows ORDER BY value";
            let found = self.clients.sql(address, statement).await?;
            expect_all(&format!("rows at {address}"), &self.memory.rows, &found)?;
        }
        Ok(())
    }

    /// Asks trac once for a page of which nobody has ever heard, so that its log
    /// gets a line that no other has, and remembers it.
    pub(super) async fn visit(&mut self, address: Ipv4Addr) -> Result<(), Failure> {
        let page = self.memory.fresh("Page");
        let path = format!("/wiki/{page}");
        self.clients
            .expect_page(address, (TRAC.0, &path), &page)
            .await?;
        self.memory.pages.push(page);
        Ok(())
    }

    /// Asks trac through each node, once.
    pub(super) async fn visit_everywhere(&mut self) -> Result<(), Failure> {
        for address in self.site.addresses() {
            self.visit(address).await?;
        }
        Ok(())
    }

    /// Trac's page is served through every node.
    pub(super) async fn trac_everywhere(&self) -> Result<(), Failure> {
        for address in self.site.addresses() {
            let page = self.clients.expect_page(address, TRAC, "</html>").await?;
            expect(
                page.body.contains("Trac"),
                format!("a page of Trac at {address}"),
                page.body,
            )?;
        }
        Ok(())
    }

    /// The log page shows the line of the last remembered page through every
    /// node, and finds the line of each exactly once.
    pub(super) async fn log_everywhere(&self) -> Result<(), Failure> {
        let Some(last) = self.memory.pages.last() else {
            return Ok(());
        };
        for address in self.site.addresses() {
            let line = format!("GET /wiki/{last}");
            self.clients
                .expect_page(address, (LOG_PAGE, "/"), &line)
                .await?;
        }
        for page in &self.memory.pages {
            let path = format!("/lines.json?q={page}");
            let found = self
                .clients
                .expect_page(self.site.address(FIRST), (LOG_PAGE, &path), "\"total\": 1,")
                .await?;
            drop(found);
        }
        Ok(())
    }

    /// Every line of the ledger is there, through every node.
    pub(super) async fn ledger_everywhere(&self) -> Result<(), Failure> {
        for address in self.site.addresses() {
            let found = self.clients.read_ledger(address).await?.join("\n");
            expect_all(
                &format!("lines of the ledger at {address}"),
                &self.memory.lines,
                &found,
            )?;
        }
        Ok(())
    }

    /// The example's applications answer through every node, with all their data.
    pub(super) async fn example_works(&self, patience: Duration) -> Result<(), Failure> {
        eventually("the rows are there", patience, async || {
            self.rows_everywhere().await
        })
        .await?;
        eventually("trac serves its page", patience, async || {
            self.trac_everywhere().await
        })
        .await?;
        eventually("the log page shows trac's lines", patience, async || {
            self.log_everywhere().await
        })
        .await
    }

    /// As [`Migration::example_works`], and the ledger as well.
    pub(super) async fn everything_works(&self, patience: Duration) -> Result<(), Failure> {
        self.example_works(patience).await?;
        eventually("the ledger has its lines", patience, async || {
            self.ledger_everywhere().await
        })
        .await
    }

    /// What is new goes all the way: a row, a page, and its line in the log.
    pub(super) async fn new_things_work(&mut self) -> Result<(), Failure> {
        self.insert_everywhere().await?;
        self.visit_everywhere().await?;
        self.example_works(PATIENCE).await
    }

    /// The database's port answers at every address, from both nodes and from a container on each,
    /// wherever the database is.
    pub(super) async fn routed_from_within(&self) -> Result<(), Failure> {
        let addresses = self.site.addresses();
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let addresses = addresses.join(" ");
        for (node, container) in [(FIRST, "flocker-trac"), (SECOND, "flocker-kibana-trac")] {
            let command = format!("addresses='{addresses}' container={container}; {CONNECT}");
            self.site.check(node, &command).await?;
        }
        Ok(())
    }

    /// Which container trac runs in, and since when.
    pub(super) async fn trac_container(&self) -> Result<String, Failure> {
        let command = "docker inspect --format '{{.Id}} {{.State.StartedAt}}' flocker-trac";
        Ok(self.site.check(FIRST, command).await?)
    }

    /// Trac runs in this container, since then.
    pub(super) async fn expect_trac_container(&self, before: &str) -> Result<(), Failure> {
        let now = self.trac_container().await?;
        expect(now == before, before, now)
    }
}

/// Fails unless each of `wanted` is a line of `found`.
fn expect_all(what: &str, wanted: &[String], found: &str) -> Result<(), Failure> {
    let missing: Vec<_> = wanted
        .iter()
        .filter(|one| !found.lines().any(|line| line == **one))
        .collect();
    expect(
        missing.is_empty(),
        format!("all {what}"),
        format!("{missing:?} is missing in {found:?}"),
    )
}
