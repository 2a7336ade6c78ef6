//! Values that only the operator's machine has: from its files, variables and commands.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use flocker_config::{NoValue, ValueSource, Values};
use flocker_model::{ContainerFile, FileContents};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::timeout;

/// How long a command may take; it may ask the operator for a passphrase.
const PATIENCE: Duration = Duration::from_secs(120);

/// Gets each value once. Commands run one after the other, so that no two ask for something at once.
///
/// Paths are relative to `directory`, and commands run there.
pub(crate) async fn resolve(wanted: BTreeSet<ValueSource>, directory: &Path) -> Values {
    let mut values = Values::new();
    for source in wanted {
        let value = match &source {
            ValueSource::File(path) => read_file(&directory.join(path)).await,
            ValueSource::Variable(name) => read_variable(name),
            ValueSource::Command(words) => run_command(words, directory, PATIENCE).await,
        };
        values.insert(source, value);
    }
    values
}

/// Says why there is no value.
fn no_value(problem: impl Into<String>, hint: Option<&str>) -> NoValue {
    NoValue {
        problem: problem.into(),
        hint: hint.map(str::to_owned),
    }
}

async fn read_file(path: &Path) -> Result<FileContents, NoValue> {
    let unreadable = |error: std::io::Error| match error.kind() {
        ErrorKind::IsADirectory => no_value("is a directory", Some("name each file by itself")),
        ErrorKind::NotFound => no_value(
            "does not exist",
            Some("a path is relative to the directory of the application configuration"),
        ),
        _ => no_value(format!("cannot be read: {error}"), None),
    };
    let file = File::open(path).await.map_err(unreadable)?;
    read_bounded(file).await.map_err(unreadable)?
}

fn read_variable(name: &str) -> Result<FileContents, NoValue> {
    let hint = "export it in the shell that runs flocker-cluster";
    let value = std::env::var_os(name);
    let value = value.ok_or_else(|| no_value("is not set", Some(hint)))?;
    Ok(value.into_vec().into())
}

/// Runs a command without a shell, and takes what it prints. Its input and its messages are the
/// operator's.
async fn run_command(
    words: &[String],
    directory: &Path,
    patience: Duration,
) -> Result<FileContents, NoValue> {
    let [program, arguments @ ..] = words else {
        return Err(no_value("is empty", None));
    };
    let unusable = |error: std::io::Error| no_value(format!("cannot be run: {error}"), None);
    let directory = std::path::absolute(directory).map_err(unusable)?;
    // With a slash in its name it is a file, and otherwise it is looked for in PATH.
    let program = if program.contains('/') {
        directory.join(program).into_os_string()
    } else {
        OsStr::new(program).to_owned()
    };
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(unusable)?;
    let output = child.stdout.take();
    let run = async {
        let printed = match output {
            Some(output) => read_bounded(output).await.map_err(unusable)?,
            None => Ok(Vec::new().into()),
        };
        if printed.is_err() {
            // It has more to say than anybody reads.
            let _ = child.start_kill();
        }
        let status = child.wait().await.map_err(unusable)?;
        match status.success() {
            true => printed,
            false if printed.is_err() => printed,
            false => Err(no_value(
                format!("failed: {status}"),
                Some("what it wrote to standard error is shown above"),
            )),
        }
    };
    let Ok(value) = timeout(patience, run).await else {
        let problem = format!("has not ended within {} s", patience.as_secs());
        return Err(no_value(problem, None));
    };
    value
}

/// Reads what fits into a file of a container.
async fn read_bounded(
    reader: impl AsyncRead + Unpin,
) -> std::io::Result<Result<FileContents, NoValue>> {
    let maximum = ContainerFile::MAXIMUM_SIZE;
    let mut bytes = Vec::new();
    let mut reader = reader.take(maximum as u64 + 1);
    reader.read_to_end(&mut bytes).await?;
    Ok(if bytes.len() > maximum {
        let hint = "large files belong into the image, or into the volume";
        Err(no_value("has more than 1 MiB", Some(hint)))
    } else {
        Ok(bytes.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(source: ValueSource, directory: &Path) -> Result<Vec<u8>, String> {
        let mut values = resolve(BTreeSet::from([source.clone()]), directory).await;
        let value = values.remove(&source).unwrap();
        value
            .map(|contents| contents.reveal().to_vec())
            .map_err(|refusal| refusal.problem)
    }

    fn command(words: &[&str]) -> ValueSource {
        ValueSource::Command(words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[tokio::test]
    async fn a_file_is_relative_to_the_configuration() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        std::fs::write(path.join("pw.txt"), b"xyzzy\xff\n").unwrap();
        let file = |name: &str| ValueSource::File(name.to_owned());
        assert_eq!(get(file("./pw.txt"), path).await.unwrap(), b"xyzzy\xff\n");
        let problem = get(file("gone.txt"), path).await.unwrap_err();
        assert_eq!(problem, "does not exist");
        assert_eq!(get(file("."), path).await.unwrap_err(), "is a directory");
        std::fs::write(path.join("large"), vec![0; (1 << 20) + 1]).unwrap();
        let problem = get(file("large"), path).await.unwrap_err();
        assert_eq!(problem, "has more than 1 MiB");
    }

    #[tokio::test]
    async fn a_variable_that_is_not_set_has_no_value() {
        let variable = |name: &str| ValueSource::Variable(name.to_owned());
        let here = Path::new(".");
        assert!(!get(variable("PATH"), here).await.unwrap().is_empty());
        let problem = get(variable("FLOCKER_TEST_UNSET"), here).await;
        assert_eq!(problem.unwrap_err(), "is not set");
    }

    #[tokio::test]
    async fn a_command_runs_beside_the_configuration_and_without_a_shell() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        std::fs::write(path.join("a b"), "xyzzy").unwrap();
        let printed = get(command(&["cat", "a b"]), path).await.unwrap();
        assert_eq!(printed, b"xyzzy");
        let printed = get(command(&["printf", "%s", "$HOME;"]), path).await;
        assert_eq!(printed.unwrap(), b"$HOME;");
    }

    #[tokio::test]
    async fn a_command_that_fails_has_no_value() {
        let here = Path::new(".");
        let problem = get(command(&["sh", "-c", "echo xyzzy; exit 3"]), here).await;
        assert_eq!(problem.unwrap_err(), "failed: exit status: 3");
        let problem = get(command(&["./flocker-has-no-such-program"]), here).await;
        assert!(problem.unwrap_err().starts_with("cannot be run: "));
        let problem = get(command(&["cat", "/dev/zero"]), here).await;
        assert_eq!(problem.unwrap_err(), "has more than 1 MiB");
        let words = ["sleep", "60"].map(str::to_owned);
        let endless = run_command(&words, here, Duration::from_millis(1)).await;
        assert_eq!(endless.unwrap_err().problem, "has not ended within 0 s");
    }
}
