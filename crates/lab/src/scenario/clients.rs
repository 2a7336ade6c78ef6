//! The applications' clients: a database client, a browser, and a bare TCP
//! connection, all of them outside the nodes.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::time::timeout;

use super::failure::{Failure, expect};
use super::layouts::DATABASE_PASSWORD;
use super::site::Site;
use crate::ssh::Output;

/// Longer than any client of these waits by itself.
const PROGRAM_PATIENCE: Duration = Duration::from_secs(120);

/// How soon a port must say that nobody is there.
const REFUSAL_SECONDS: u32 = 10;

/// Speaks with the ledger: writes one line, prints what it answers up to the
/// word that ends it. Arguments: ADDRESS PORT LINE END.
const LEDGER: &str = r#"
exec 3<>"/dev/tcp/$0/$1" || exit 7
printf '%s\n' "$2" >&3
while read -r -t 30 line <&3; do
    [ "$line" != "$3" ] || exit 0
    printf '%s\n' "$line"
    [ -n "$3" ] || exit 0
done
exit 8
"#;

/// Sends a command to Redis and prints the answer, of a text the text itself. Arguments: ADDRESS PORT
/// COMMAND.
///
/// Source: Redis's protocol specification, inline commands, simple and bulk strings.
const REDIS: &str = r#"
exec 3<>"/dev/tcp/$0/$1" || exit 7
printf '%s\r\n' "$2" >&3
read -r -t 30 line <&3 || exit 8
case $line in '$'[0-9]*) read -r -t 30 line <&3 || exit 8 ;; esac
printf '%s\n' "${line%$'\r'}"
"#;

/// An HTTP answer.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) status: String,
    pub(super) body: String,
}

/// Clients of the applications on a site.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clients<'a> {
    pub(super) site: &'a Site,
}

impl Clients<'_> {
    /// Runs a statement in trac's database.
    pub(super) async fn sql(&self, address: Ipv4Addr, statement: &str) -> Result<String, Failure> {
        let host = format!("--host={address}");
        let arguments = [
            "PGCONNECT_TIMEOUT=30",
            &format!("PGPASSWORD={DATABASE_PASSWORD}"),
            "psql",
            "--no-psqlrc",
            "--quiet",
            "--no-align",
            "--tuples-only",
            "--set=ON_ERROR_STOP=1",
            &host,
            "--port=5432",
            "--username=trac",
            "--dbname=trac",
            "--command",
            statement,
        ];
        let output = self.run("env", &arguments).await?;
        let said = output.stderr.trim();
        expect(
            output.success(),
            format!("psql at {address} to do `{statement}`"),
            said,
        )?;
        Ok(output.stdout.trim_end().to_owned())
    }

    /// Fetches a page, whatever its status.
    pub(super) async fn fetch(
        &self,
        address: Ipv4Addr,
        port: u16,
        path: &str,
    ) -> Result<Page, Failure> {
        let url = format!("http://{address}:{port}{path}");
        let arguments = [
            "--silent",
            "--show-error",
            "--noproxy",
            "*",
            "--max-time",
            "100",
            "--write-out",
            "\n%{http_code}",
            &url,
        ];
        let output = self.run("curl", &arguments).await?;
        let said = output.stderr.trim();
        expect(output.success(), format!("an answer from {url}"), said)?;
        let (body, status) = output.stdout.rsplit_once('\n').unwrap_or_default();
        Ok(Page {
            status: status.to_owned(),
            body: body.to_owned(),
        })
    }

    /// Fetches a page that has to be there and to contain a text.
    pub(super) async fn expect_page(
        &self,
        address: Ipv4Addr,
        (port, path): (u16, &str),
        text: &str,
    ) -> Result<Page, Failure> {
        let page = self.fetch(address, port, path).await?;
        let url = format!("http://{address}:{port}{path}");
        let beginning: String = page.body.chars().take(300).collect();
        expect(
            page.status == "200" && page.body.contains(text),
            format!("{url} to answer 200 with `{text}`"),
            format!("{} and {beginning:?}…", page.status),
        )?;
        Ok(page)
    }

    /// Makes sure that nobody answers on a port, and that this is said at once.
    pub(super) async fn expect_refused(&self, address: Ipv4Addr, port: u16) -> Result<(), Failure> {
        let arguments = [
            &REFUSAL_SECONDS.to_string(),
            "bash",
            "-c",
            r#"exec 3<>"/dev/tcp/$0/$1""#,
            &address.to_string(),
            &port.to_string(),
        ];
        let output = self.run("timeout", &arguments).await?;
        let answer = match output.status.code() {
            Some(0) => "a connection".to_owned(),
            Some(124) => "no answer".to_owned(),
            _ => output.stderr.trim().to_owned(),
        };
        expect(
            answer.contains("Connection refused"),
            format!("{address} to refuse connections to port {port} within {REFUSAL_SECONDS} s"),
            answer,
        )
    }

    /// Writes a line into the ledger, which answers when it is on the disk.
    pub(super) async fn write_ledger(&self, address: Ipv4Addr, line: &str) -> Result<(), Failure> {
        let answer = self.ask_ledger(address, line, "").await?;
        let expected = format!("ok {line}");
        expect(answer == expected, format!("`{expected}`"), answer)
    }

    /// Reads all lines of the ledger.
    pub(super) async fn read_ledger(&self, address: Ipv4Addr) -> Result<Vec<String>, Failure> {
        let answer = self.ask_ledger(address, ".list", ".end").await?;
        Ok(answer.lines().map(str::to_owned).collect())
    }

    async fn ask_ledger(
        &self,
        address: Ipv4Addr,
        line: &str,
        end: &str,
    ) -> Result<String, Failure> {
        let address = address.to_string();
        let arguments = ["60", "bash", "-c", LEDGER, &address, "7000", line, end];
        let output = self.run("timeout", &arguments).await?;
        expect(
            output.success(),
            format!("an answer of the ledger at {address} to `{line}`"),
            format!("{}, {:?}", output.status, output.stderr.trim()),
        )?;
        Ok(output.stdout.trim_end().to_owned())
    }

    /// Sends a command to a Redis.
    pub(super) async fn ask_redis(
        &self,
        address: Ipv4Addr,
        port: u16,
        command: &str,
    ) -> Result<String, Failure> {
        let (host, port) = (address.to_string(), port.to_string());
        let arguments = ["60", "bash", "-c", REDIS, &host, &port, command];
        let output = self.run("timeout", &arguments).await?;
        expect(
            output.success(),
            format!("an answer of Redis at {address}:{port} to `{command}`"),
            format!("{}, {:?}", output.status, output.stderr.trim()),
        )?;
        Ok(output.stdout.trim_end().to_owned())
    }

    /// Runs a program as a client outside of the nodes.
    pub(super) async fn run(&self, program: &str, arguments: &[&str]) -> Result<Output, Failure> {
        let mut command = self.site.operator_command(program);
        command.args(arguments);
        let ended = timeout(PROGRAM_PATIENCE, self.site.operate(program, command)).await;
        match ended {
            Ok(output) => Ok(output?),
            Err(_) => Err(Failure::Endless {
                what: format!("{program} {}", arguments.join(" ")),
                patience: PROGRAM_PATIENCE,
            }),
        }
    }
}
