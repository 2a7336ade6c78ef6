//! QEMU's monitor: line JSON over a Unix socket.
//!
//! Source: QEMU's "QMP Protocol Specification".

use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

/// Saving a gigabyte takes a second or two; a minute means a stuck disk.
const PATIENCE: Duration = Duration::from_secs(120);

/// A machine's monitor did not do as told.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// Nobody is there: the machine is off.
    #[error("reach the monitor of a machine that should be running")]
    Gone(#[source] io::Error),
    /// The connection broke during a command: the machine died.
    #[error("lost the monitor during `{command}`; look at the node's console log")]
    Lost {
        /// The command.
        command: String,
        /// How the connection broke.
        #[source]
        source: io::Error,
    },
    /// QEMU says no.
    #[error("the monitor refuses `{command}`: {message}")]
    Refused {
        /// The command.
        command: String,
        /// QEMU's own words.
        message: String,
    },
    /// Nothing came within the deadline.
    #[error("the monitor did not answer `{command}` within {} s", PATIENCE.as_secs())]
    Silent {
        /// The command.
        command: String,
    },
}

/// An open connection to one machine's monitor.
#[derive(Debug)]
pub(crate) struct Monitor {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
    events: Vec<Value>,
}

impl Monitor {
    pub(crate) async fn connect(socket: &Path) -> Result<Self, MonitorError> {
        let stream = UnixStream::connect(socket)
            .await
            .map_err(MonitorError::Gone)?;
        let (reader, writer) = stream.into_split();
        let mut monitor = Self {
            lines: BufReader::new(reader).lines(),
            writer,
            events: Vec::new(),
        };
        // The greeting.
        monitor.receive("connect").await?;
        monitor.execute("qmp_capabilities", json!({})).await?;
        Ok(monitor)
    }

    /// Runs one command and returns what it returns.
    pub(crate) async fn execute(
        &mut self,
        command: &str,
        arguments: Value,
    ) -> Result<Value, MonitorError> {
        let request = json!({ "execute": command, "arguments": arguments });
        let line = format!("{request}\n");
        let written = self.writer.write_all(line.as_bytes()).await;
        written.map_err(|source| lost(command, source))?;
        loop {
            let message = self.receive(command).await?;
            if let Some(returned) = message.get("return") {
                return Ok(returned.clone());
            }
            if let Some(error) = message.get("error") {
                return Err(MonitorError::Refused {
                    command: command.to_owned(),
                    message: error["desc"].as_str().unwrap_or("no reason").to_owned(),
                });
            }
            self.events.push(message);
        }
    }

    /// Waits for an event, also one that came during an earlier command.
    pub(crate) async fn event(
        &mut self,
        name: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value, MonitorError> {
        let matches = |event: &Value| event["event"] == name && wanted(&event["data"]);
        if let Some(position) = self.events.iter().position(&matches) {
            return Ok(self.events.remove(position)["data"].clone());
        }
        loop {
            let message = self.receive(name).await?;
            if matches(&message) {
                return Ok(message["data"].clone());
            }
            self.events.push(message);
        }
    }

    /// Writes the machine's memory and devices to a file. The machine stops.
    pub(crate) async fn save(&mut self, state: &Path) -> Result<(), MonitorError> {
        self.execute("stop", json!({})).await?;
        self.migrate("migrate", &format!("exec:cat >{}", quote(state)))
            .await
    }

    /// Fills a machine that was started with `-incoming defer`, and lets it
    /// run.
    pub(crate) async fn resume(&mut self, state: &Path) -> Result<(), MonitorError> {
        let source = format!("exec:cat <{}", quote(state));
        self.migrate("migrate-incoming", &source).await?;
        self.execute("cont", json!({})).await?;
        Ok(())
    }

    async fn migrate(&mut self, command: &str, uri: &str) -> Result<(), MonitorError> {
        self.execute(
            "migrate-set-capabilities",
            json!({ "capabilities": [{ "capability": "events", "state": true }] }),
        )
        .await?;
        // There is nobody to be considerate to.
        self.execute(
            "migrate-set-parameters",
            json!({ "max-bandwidth": 10_u64 << 30 }),
        )
        .await?;
        self.execute(command, json!({ "uri": uri })).await?;
        let ended = self
            .event("MIGRATION", |data| {
                data["status"] == "completed" || data["status"] == "failed"
            })
            .await?;
        if ended["status"] == "completed" {
            return Ok(());
        }
        let why = self.execute("query-migrate", json!({})).await?;
        Err(MonitorError::Refused {
            command: command.to_owned(),
            message: why["error-desc"].as_str().unwrap_or("it failed").to_owned(),
        })
    }

    async fn receive(&mut self, command: &str) -> Result<Value, MonitorError> {
        let line = match timeout(PATIENCE, self.lines.next_line()).await {
            Ok(Ok(Some(line))) => line,
            Ok(Ok(None)) => {
                return Err(lost(command, io::ErrorKind::UnexpectedEof.into()));
            }
            Ok(Err(source)) => return Err(lost(command, source)),
            Err(_) => {
                return Err(MonitorError::Silent {
                    command: command.to_owned(),
                });
            }
        };
        serde_json::from_str(&line).map_err(|error| lost(command, error.into()))
    }
}

fn lost(command: &str, source: io::Error) -> MonitorError {
    MonitorError::Lost {
        command: command.to_owned(),
        source,
    }
}

/// QEMU hands `exec:` to a shell.
fn quote(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixListener;

    /// A monitor that answers each line with the next of these.
    async fn scripted(answers: &'static [&'static str]) -> (tempfile::TempDir, Monitor) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("monitor");
        let listener = UnixListener::bind(&path).unwrap();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let (reader, mut writer) = stream.into_split();
            writer.write_all(b"{\"QMP\":{}}\n").await.unwrap();
            let mut lines = BufReader::new(reader).lines();
            let mut answers = [r#"{"return":{}}"#].iter().chain(answers);
            while lines.next_line().await.unwrap().is_some() {
                let Some(answer) = answers.next() else { return };
                writer
                    .write_all(format!("{answer}\n").as_bytes())
                    .await
                    .unwrap();
            }
        });
        let monitor = Monitor::connect(&path).await.unwrap();
        (directory, monitor)
    }

    #[tokio::test]
    async fn a_refusal_has_qemus_own_words() {
        let (_directory, mut monitor) =
            scripted(&[r#"{"error":{"class":"GenericError","desc":"no such device"}}"#]).await;
        let error = monitor
            .execute("device_del", json!({"id": "x"}))
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the monitor refuses `device_del`: no such device"
        );
    }

    #[tokio::test]
    async fn an_event_that_came_before_the_answer_is_not_lost() {
        let (_directory, mut monitor) = scripted(&[
            "{\"event\":\"DEVICE_DELETED\",\"data\":{\"device\":\"x\"}}\n{\"return\":{}}",
        ])
        .await;
        monitor
            .execute("device_del", json!({"id": "x"}))
            .await
            .unwrap();
        let data = monitor
            .event("DEVICE_DELETED", |data| data["device"] == "x")
            .await
            .unwrap();
        assert_eq!(data["device"], "x");
    }

    #[tokio::test]
    async fn a_machine_that_dies_is_noticed() {
        let (_directory, mut monitor) = scripted(&[]).await;
        let error = monitor.execute("stop", json!({})).await.unwrap_err();
        assert!(matches!(error, MonitorError::Lost { .. }), "{error}");
    }
}
