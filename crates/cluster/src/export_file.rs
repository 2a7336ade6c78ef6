//! The file of this machine that a volume is written to.

use std::fmt;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use flocker_failpoint::reach;
use flocker_model::{ApplicationName, ByteCount, NodeName, SnapshotGuid};
use flocker_remote::protocol::Progress;
use flocker_remote::ssh::{Connection, Output};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::node_command;

/// How much is copied at once.
const CHUNK: usize = 256 * 1024;

/// How much of what a node says of a failure is kept, in bytes.
const SAID: u64 = 8 * 1024;

/// Where a volume is written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ExportFile {
    /// Standard output.
    Standard,
    /// A file that does not exist yet.
    New(PathBuf),
}

/// A volume that was written out.
#[derive(Debug)]
pub(crate) struct Exported {
    /// To what.
    pub(crate) file: ExportFile,
    /// How long the stream is.
    pub(crate) bytes: ByteCount,
    /// The snapshot that it has.
    pub(crate) snapshot: SnapshotGuid,
}

impl FromStr for ExportFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("a file's name is missing".to_owned()),
            "-" => Ok(Self::Standard),
            path => Ok(Self::New(path.into())),
        }
    }
}

impl fmt::Display for ExportFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard => formatter.write_str("-"),
            Self::New(path) => path.display().fmt(formatter),
        }
    }
}

impl ExportFile {
    /// Makes sure that nothing is overwritten, and that no terminal is flooded.
    pub(crate) fn check(&self, json: bool) -> Result<(), Failure> {
        let refuse =
            |message: String, hint: &str| Err(Failure::new(Exit::Blocked, message).hint(hint));
        match self {
            Self::Standard if json => refuse(
                "--json and the stream would both be written to standard output".to_owned(),
                "name a file after --to",
            ),
            Self::Standard if io::stdout().is_terminal() => refuse(
                "the stream is not written to a terminal".to_owned(),
                "name a file after --to, or pipe the output into a program",
            ),
            Self::New(path) if path.symlink_metadata().is_ok() => refuse(
                format!("{} exists, and is not overwritten", path.display()),
                "name another file, or remove this one",
            ),
            Self::Standard | Self::New(_) => Ok(()),
        }
    }

    /// Returns the name that the file has until all of it is there.
    fn partial(path: &Path) -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(".partial");
        name.into()
    }

    /// Writes a snapshot as the node at the other end of `connection` sends it; returns how many
    /// bytes that are. The file has its name only once it is whole and on the disk.
    pub(crate) async fn download(
        &self,
        connection: &Connection,
        (node, application, snapshot): (&NodeName, &ApplicationName, SnapshotGuid),
        tell: impl FnMut(Progress),
    ) -> Result<u64, Failure> {
        let failed = |message: &str| Failure::new(Exit::StepFailed, format!("{node}: {message}"));
        let command = node_command(connection, "export-volume")
            .arg("--")
            .arg(application.as_str())
            .arg(snapshot.to_string());
        let session = connection
            .exec(&command)
            .await
            .map_err(|error| failed("flocker-node cannot be started").caused_by(&error))?;
        drop(session.stdin);
        reach(|| "volume.download.begin".to_owned()).await;
        let (copied, said) = tokio::join!(
            self.copy(session.stdout, (application, tell)),
            what_it_said(session.stderr)
        );
        let copied = copied.map_err(|error| self.unwritten(&error))?;
        let status = session.exit.wait().await;
        let status = status.map_err(|error| {
            failed("the connection was lost while the volume was written").caused_by(&error)
        })?;
        if !status.success() {
            let failure = failed("it could not send the whole volume");
            return Err(failure.caused_by(&io::Error::other(said)));
        }
        self.finish().map_err(|error| self.unwritten(&error))?;
        Ok(copied)
    }

    /// Copies the stream, and waits until it is on the disk.
    async fn copy(
        &self,
        stream: impl AsyncRead + Unpin,
        (application, tell): (&ApplicationName, impl FnMut(Progress)),
    ) -> io::Result<u64> {
        let what = format!("write the volume of {application}");
        match self {
            Self::Standard => {
                let mut output = tokio::io::stdout();
                let copied = copy_counted(stream, &mut output, (&what, tell)).await?;
                output.flush().await?;
                Ok(copied)
            }
            Self::New(path) => {
                // The part that an interrupted export left is overwritten.
                let mut file = File::create(Self::partial(path)).await?;
                let copied = copy_counted(stream, &mut file, (&what, tell)).await?;
                file.flush().await?;
                file.sync_all().await?;
                Ok(copied)
            }
        }
    }

    /// Gives the file its name, unless another has it by now.
    fn finish(&self) -> io::Result<()> {
        let Self::New(path) = self else {
            return Ok(());
        };
        if path.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        std::fs::rename(Self::partial(path), path)?;
        let directory = path.parent().filter(|it| !it.as_os_str().is_empty());
        std::fs::File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    }

    /// Says that it could not be written.
    fn unwritten(&self, error: &io::Error) -> Failure {
        let message = match self {
            Self::Standard => "cannot write the stream to standard output".to_owned(),
            Self::New(path) => format!("cannot write {}", path.display()),
        };
        Failure::new(Exit::StepFailed, message).caused_by(error)
    }
}

/// Copies a stream, telling how far it is.
async fn copy_counted(
    mut stream: impl AsyncRead + Unpin,
    output: &mut (impl AsyncWrite + Unpin),
    (what, mut tell): (&str, impl FnMut(Progress)),
) -> io::Result<u64> {
    let mut buffer = vec![0; CHUNK];
    let mut done = 0;
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Ok(done);
        }
        output
            .write_all(buffer.get(..length).unwrap_or_default())
            .await?;
        done += length as u64;
        tell(Progress {
            what: what.to_owned(),
            done,
            total: None,
        });
    }
}

/// Collects what a node says of a failure.
async fn what_it_said(errors: Output) -> String {
    let mut said = Vec::new();
    // A lost connection is told by the exit status.
    let _ = errors.take(SAID).read_to_end(&mut said).await;
    String::from_utf8_lossy(&said).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_has_its_name_once_it_is_whole_and_none_is_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db.zfs");
        let file: ExportFile = path.to_str().unwrap().parse().unwrap();
        file.check(true).unwrap();
        let application = "db".parse().unwrap();
        let mut told = 0;
        let tell = |progress: Progress| told = progress.done;
        let copied = file.copy(&b"stream"[..], (&application, tell)).await;
        assert_eq!((copied.unwrap(), told), (6, 6));
        assert!(!path.exists());
        file.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"stream");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);

        let refused = file.check(false).unwrap_err();
        assert!(refused.message.ends_with("exists, and is not overwritten"));
        file.copy(&b"other"[..], (&application, |_| {}))
            .await
            .unwrap();
        let taken = file.finish().unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"stream");
    }

    #[test]
    fn a_stream_and_a_result_do_not_share_standard_output() {
        let refused = ExportFile::Standard.check(true).unwrap_err();
        assert!(refused.message.contains("--json"), "{refused}");
    }
}
