//! Copies a directory tree with all that belongs to it, by `rsync`.
//!
//! A copy keeps owners, modes, times, hard links, symbolic links, extended attributes, access control
//! lists, holes and special files. A file is written under another name and renamed when it is whole,
//! so that a second attempt copies only what the first one did not.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use flocker_model::ByteCount;
use thiserror::Error;
use tokio::io::AsyncReadExt as _;

use crate::command::{Argv, collect_tail};
use crate::tree_size::{MeasureError, TreeSize, measure_tree};

/// How many differences are shown of a source that was written to.
const SHOWN: usize = 3;

/// A directory tree was not copied. What came of it is kept.
#[derive(Debug, Error)]
pub enum CopyTreeError {
    /// The program is missing.
    #[error("rsync, which copies the files, could not be run; install it: `apt-get install rsync`")]
    NotInstalled(#[source] io::Error),
    /// The program failed.
    #[error("`{argv}` {status}{}{stderr}", if stderr.is_empty() { "" } else { ": " })]
    Failed {
        /// Its command line.
        argv: String,
        /// How it ended, as the end of a sentence.
        status: String,
        /// The end of its error output.
        stderr: String,
    },
    /// A tree could not be looked through.
    #[error(transparent)]
    Measure(#[from] MeasureError),
    /// The copy differs from its source once all is copied.
    #[error(
        "{} changed while it was copied: {differences}; stop what writes to it, and import again",
        source_tree.display()
    )]
    Changed {
        /// The source.
        source_tree: PathBuf,
        /// The first differences.
        differences: String,
    },
}

/// Makes the directory `into` a copy of the directory `from`, the directory itself included, and
/// compares the two. `tell` is told how many bytes were copied.
///
/// Entries of `into` that `from` lacks are removed.
///
/// # Errors
/// Fails when anything cannot be copied, or when the source was written to meanwhile.
pub async fn copy_tree(
    from: &Path,
    into: &Path,
    tell: impl FnMut(ByteCount) + Send,
) -> Result<(), CopyTreeError> {
    run(
        &rsync(&["--info=progress2", "--no-human-readable"], (from, into)),
        tell,
    )
    .await?;
    let compare = rsync(&["--dry-run", "--itemize-changes"], (from, into));
    let differences = run(&compare, |_| {}).await?;
    let changed = |differences: String| CopyTreeError::Changed {
        source_tree: from.to_owned(),
        differences,
    };
    if !differences.trim().is_empty() {
        let lines: Vec<&str> = differences.lines().take(SHOWN).collect();
        return Err(changed(lines.join(", ")));
    }
    let (source, copy) = (measure(from).await?, measure(into).await?);
    if (source.names, source.bytes) != (copy.names, copy.bytes) {
        return Err(changed(format!(
            "it has {} names and {}, and the copy has {} and {}",
            source.names, source.bytes, copy.names, copy.bytes
        )));
    }
    Ok(())
}

/// Looks through a tree on a thread of its own.
async fn measure(root: &Path) -> Result<TreeSize, CopyTreeError> {
    let tree = root.to_owned();
    let measured = tokio::task::spawn_blocking(move || measure_tree(&tree)).await;
    let ended = |error| MeasureError {
        path: root.to_owned(),
        source: io::Error::other(error),
    };
    Ok(measured.map_err(ended)??)
}

/// Writes the command line.
///
/// **Source**: `rsync(1)`: `-a` is recursive and keeps links, modes, times, owners and devices; `-H`
/// keeps hard links, `-A` access control lists, `-X` extended attributes, `-S` holes.
fn rsync(options: &[&str], (from, into): (&Path, &Path)) -> Argv {
    let mut argv = Argv::new(&["rsync", "-aHAXS", "--numeric-ids", "--delete"]);
    for &option in options {
        argv.push(option);
    }
    argv.push("--");
    // What is in the directory, and the directory's own owner and mode.
    for path in [from, into] {
        argv.push(format!("{}/", path.display()));
    }
    argv
}

/// Runs it; returns what it wrote, but for its progress.
async fn run(argv: &Argv, mut tell: impl FnMut(ByteCount) + Send) -> Result<String, CopyTreeError> {
    tracing::debug!(%argv, "run");
    let mut child = argv
        .command()
        .stdout(Stdio::piped())
        .spawn()
        .map_err(CopyTreeError::NotInstalled)?;
    let (Some(mut output), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(CopyTreeError::NotInstalled(
            io::ErrorKind::BrokenPipe.into(),
        ));
    };
    let stderr = collect_tail(stderr);
    let mut written = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = output.read(&mut buffer).await {
        written.extend_from_slice(buffer.get(..count).unwrap_or_default());
        // Progress replaces its own line.
        while let Some(end) = written.iter().position(|byte| *byte == b'\r') {
            let line: Vec<u8> = written.drain(..=end).collect();
            if let Some(copied) = parse_copied_bytes(&String::from_utf8_lossy(&line)) {
                tell(copied);
            }
        }
    }
    let status = child.wait().await.map_err(CopyTreeError::NotInstalled)?;
    let stderr = stderr.await.unwrap_or_default();
    if status.success() {
        return Ok(String::from_utf8_lossy(&written).into_owned());
    }
    Err(CopyTreeError::Failed {
        argv: argv.to_string(),
        status: match status.code() {
            Some(code) => format!("exited with status {code}"),
            None => format!("was ended by {status}"),
        },
        stderr: stderr.trim().to_owned(),
    })
}

/// Reads how many bytes were copied from a line of progress, such as
/// `     1048576  12%   95.37MB/s    0:00:09 (xfr#1, to-chk=3/7)`; `None` for any other line.
///
/// **Source**: `rsync(1)`, `--info=progress2` and `--no-human-readable`.
pub fn parse_copied_bytes(line: &str) -> Option<ByteCount> {
    let mut words = line.split_whitespace();
    let (bytes, share) = (words.next()?, words.next()?);
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    if !is_number(bytes) || !share.strip_suffix('%').is_some_and(is_number) {
        return None;
    }
    bytes.parse().ok().map(ByteCount::new)
}

#[cfg(test)]
mod tests;
