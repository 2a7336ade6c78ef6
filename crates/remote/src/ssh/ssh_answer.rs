//! Settings as `ssh -G` prints them. OpenSSH evaluates the conditions of `Match`, which may run
//! commands, or depend on what other blocks say.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use thiserror::Error;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::client_config::{Entry, Place, Placed};
use super::command::shell_quote;
use super::destination::{Environment, SshOptions, WrittenName};
use super::error_output::ErrorOutput;
use super::settings::UNDERSTOOD;

#[cfg(test)]
mod tests;

/// How long `ssh -G` may take. A command after `exec` may wait for a network.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much of its output is read. It prints less than 10 KiB.
const MAXIMUM_OUTPUT: u64 = 1 << 20;

/// What `ssh -G` prints about one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshAnswer {
    /// The command, for people to repeat.
    pub command: String,
    /// What it prints.
    pub settings: String,
    /// What it prints if it reads no file: the defaults of this `ssh`.
    pub defaults: String,
}

/// There is no [`SshAnswer`]. The text continues a sentence about a block that is ignored.
#[derive(Debug, Error)]
pub(super) enum Unanswered {
    #[error(
        "only `ssh` evaluates conditions, and there is no `ssh` in PATH; install the OpenSSH client, or write the settings below `Host` with the node's name"
    )]
    NoProgram,
    #[error(
        "only `ssh` evaluates conditions, and `ssh` reads {}, because it does not look at HOME; name the file with --ssh-config", file.display()
    )]
    OtherHome {
        /// The file that `ssh` reads.
        file: PathBuf,
    },
    #[error(
        "`{command}` fails ({problem}); make that command work, or write the settings below `Host` with the node's name"
    )]
    Failed { command: String, problem: String },
    #[error(
        "`{command}` takes longer than {seconds} s, perhaps because of a command after `exec`; make it faster, or write the settings below `Host` with the node's name"
    )]
    Late { command: String, seconds: u64 },
}

/// Asks `ssh` for the settings of a host.
pub(super) async fn observe_answer(
    written: &WrittenName,
    options: &SshOptions,
    environment: &Environment,
) -> Result<SshAnswer, Unanswered> {
    let path = environment.variables.get("PATH");
    let program = path.and_then(|path| find_program(path));
    let program = program.ok_or(Unanswered::NoProgram)?;
    if options.config_file.is_none()
        && let Some(home) = account_home()
        && !is_same_directory(&home, &environment.home)
    {
        let file = home.join(".ssh/config");
        return Err(Unanswered::OtherHome { file });
    }
    let file = options.config_file.as_deref();
    ask(
        &program,
        &arguments(written, options, file),
        &arguments(written, options, Some(Path::new("none"))),
        PATIENCE,
    )
    .await
}

fn find_program(path: &str) -> Option<PathBuf> {
    let is_program = |file: &PathBuf| {
        fs::metadata(file)
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join("ssh"))
        .find(is_program)
}

/// The home directory that `ssh` uses: the one in the password database.
fn account_home() -> Option<PathBuf> {
    let account = nix::unistd::User::from_uid(nix::unistd::getuid());
    Some(account.ok()??.dir)
}

fn is_same_directory(one: &Path, other: &Path) -> bool {
    one == other
        || matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}

/// The arguments of `ssh` for a host. `none` is no file.
///
/// Source: `ssh(1)`.
fn arguments(written: &WrittenName, options: &SshOptions, file: Option<&Path>) -> Vec<OsString> {
    let mut arguments = vec![OsString::from("-G")];
    if let Some(file) = file {
        arguments.extend(["-F".into(), file.into()]);
    }
    if let Some(user) = written.user.as_ref().or(options.user.as_ref()) {
        arguments.extend(["-l".into(), user.into()]);
    }
    if let Some(port) = written.port.or(options.port) {
        arguments.extend(["-p".into(), port.to_string().into()]);
    }
    arguments.extend(["--".into(), written.host.as_str().into()]);
    arguments
}

async fn ask(
    program: &Path,
    arguments: &[OsString],
    for_defaults: &[OsString],
    patience: Duration,
) -> Result<SshAnswer, Unanswered> {
    let command = show(arguments);
    let both = async { tokio::try_join!(run(program, arguments), run(program, for_defaults),) };
    let Ok(printed) = tokio::time::timeout(patience, both).await else {
        let seconds = patience.as_secs();
        return Err(Unanswered::Late { command, seconds });
    };
    let (settings, defaults) = printed?;
    Ok(SshAnswer {
        command,
        settings,
        defaults,
    })
}

/// The command as it is typed.
fn show(arguments: &[OsString]) -> String {
    let words: Vec<_> = std::iter::once("ssh".into())
        .chain(arguments.iter().map(|argument| argument.to_string_lossy()))
        .collect();
    shell_quote(&words)
}

/// Runs the program, and returns what it prints.
async fn run(program: &Path, arguments: &[OsString]) -> Result<String, Unanswered> {
    let failed = |problem: String| Unanswered::Failed {
        command: show(arguments),
        problem,
    };
    let (status, printed, errors) = run_to_end(program, arguments)
        .await
        .map_err(|error| failed(error.to_string()))?;
    if status.success() {
        return Ok(printed);
    }
    let errors = errors.read().await;
    Err(failed(if errors.is_empty() {
        status.to_string()
    } else {
        errors
    }))
}

/// The end of the program is the end of its output. Commands that it starts have another output, and
/// may hold on to its standard error.
async fn run_to_end(
    program: &Path,
    arguments: &[OsString],
) -> io::Result<(ExitStatus, String, ErrorOutput)> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let missing = || io::Error::other("it has no standard streams");
    let errors = ErrorOutput::keep(child.stderr.take().ok_or_else(missing)?);
    let mut output = child
        .stdout
        .take()
        .ok_or_else(missing)?
        .take(MAXIMUM_OUTPUT);
    let mut printed = Vec::new();
    output.read_to_end(&mut printed).await?;
    drop(output);
    let status = child.wait().await?;
    Ok((
        status,
        String::from_utf8_lossy(&printed).into_owned(),
        errors,
    ))
}

/// Reads what `ssh -G` prints as the entries of a file that holds for one host. Defaults are left out:
/// they are not settings, and Flocker has its own.
///
/// Each line is a keyword and a value without quotes.
///
/// Source: `dump_client_config` of OpenSSH.
pub(super) fn read_answer(answer: &SshAnswer) -> Vec<Placed> {
    let defaults = by_keyword(&answer.defaults);
    let mut entries = Vec::new();
    for (keyword, values) in by_keyword(&answer.settings) {
        if defaults.get(&keyword) == Some(&values) {
            continue;
        }
        entries.extend(values.into_iter().map(|value| Placed {
            place: Place::Output(answer.command.clone()),
            entry: Entry::Setting {
                arguments: read_value(&keyword, value),
                keyword: keyword.clone(),
            },
        }));
    }
    entries
}

/// The values of each keyword that matters, in the order in which they are printed.
fn by_keyword(text: &str) -> BTreeMap<String, Vec<&str>> {
    let mut found: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for line in text.lines() {
        let Some((keyword, value)) = line.split_once(' ') else {
            continue;
        };
        let keyword = keyword.to_ascii_lowercase();
        if UNDERSTOOD.contains(&keyword.as_str()) {
            found.entry(keyword).or_default().push(value);
        }
    }
    found
}

fn read_value(keyword: &str, value: &str) -> Vec<String> {
    match keyword {
        // A name with a space in it cannot be told from two.
        "userknownhostsfile" | "globalknownhostsfile" => {
            value.split_whitespace().map(str::to_owned).collect()
        }
        // Its tokens are expanded, so that a percent sign is one.
        "hostname" => vec![value.replace('%', "%%")],
        _ => vec![value.to_owned()],
    }
}
