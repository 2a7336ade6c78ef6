//! The text of an application's systemd unit: pure.
//!
//! **Source**: `systemd.unit(5)`, `systemd.service(5)`, `systemd.kill(5)`, `systemd.syntax(7)`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flocker_model::{ApplicationName, RestartPolicy};

use crate::naming::{container_name, unit_name};

/// The first line of every unit that Flocker writes.
pub(crate) const MARKER: &str = "# Written by flocker-node, which replaces it; do not edit.";

/// Seconds that systemd gives `docker stop` beyond the container's own grace.
const STOP_MARGIN: Duration = Duration::from_secs(30);

/// How long a start counts against a limit of restarts.
const COUNTED: &str = "1y";

/// Exit status of the Docker command when the daemon, not the container, is the trouble.
///
/// **Source**: Docker documentation, "docker run", exit status.
const DAEMON_LOST: u8 = 125;

/// Runs its arguments unless the attached program saw the container end well.
///
/// `$$` is systemd's way of writing `$`.
const UNLESS_ENDED: &str = r#"[ "$$EXIT_CODE $$SERVICE_RESULT" = "exited success" ] || exec "$$@""#;

/// Leaves a mark, which is its argument, if the attached program still ran when the unit was told to
/// stop. Systemd runs this after the program has ended by itself, too, without `MAINPID` then.
///
/// **Source**: `systemd.exec(5)`, `$MAINPID`; `systemd.service(5)`, `ExecStop=`.
const MARK_STOPPED: &str = r#"[ -z "$$MAINPID" ] || : >>"$$1""#;

/// Leaves the same mark if the attached program did not end with the container: it was killed, or
/// lost the daemon.
///
/// **Source**: `systemd.exec(5)`, `$EXIT_CODE`, `$EXIT_STATUS`.
const MARK_LOST: &str =
    r#"case "$$EXIT_CODE $$EXIT_STATUS" in "exited 125") ;; "exited "*) exit ;; esac; : >>"$$1""#;

/// Forgets the starts that systemd has counted for the unit, which is the argument, when the unit is
/// told to stop. Systemd would refuse the next start before anything of it runs.
///
/// **Source**: `systemctl(1)`, `reset-failed`: it resets the counter of the limit of starts.
const FORGET_AT_STOP: &str = r#"[ -z "$$MAINPID" ] || exec systemctl reset-failed "$$1""#;

/// Forgets them when the daemon was lost. After other ends this would hide the failure, for which
/// systemd starts the unit again.
const FORGET_AT_LOSS: &str =
    r#"[ "$$EXIT_CODE $$EXIT_STATUS" != "exited 125" ] || exec systemctl reset-failed "$$1""#;

/// Forgets them if the mark, the second argument, has a text: the last attempt could not be prepared.
const FORGET_UNPREPARED: &str = r#"[ ! -s "$$2" ] || exec systemctl reset-failed "$$1""#;

/// The lines of a unit that forget starts which were no attempts of the application's own.
struct ForgetStarts {
    before_prepare: String,
    at_stop: String,
    after_stop: String,
}

impl ForgetStarts {
    fn new(unit: &UnitSpecification) -> Self {
        if !matches!(unit.restart, RestartPolicy::OnFailureUpTo(_)) {
            let none = String::new;
            return Self {
                before_prepare: none(),
                at_stop: none(),
                after_stop: none(),
            };
        }
        let name = unit_name(&unit.application);
        let mark = quoted(&unit.stop_mark.to_string_lossy());
        let line = |key: &str, script: &str, arguments: &str| {
            format!("{key}=-/bin/sh -c '{script}' sh {arguments}\n")
        };
        Self {
            before_prepare: line("ExecStartPre", FORGET_UNPREPARED, &format!("{name} {mark}")),
            at_stop: line("ExecStop", FORGET_AT_STOP, &name),
            after_stop: line("ExecStopPost", FORGET_AT_LOSS, &name),
        }
    }
}

/// Everything that a unit is rendered from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitSpecification {
    /// The application that it runs.
    pub application: ApplicationName,
    /// When the application is started again.
    pub restart: RestartPolicy,
    /// The applications that are started before it, and stopped after it, where both are.
    pub dependencies: BTreeSet<ApplicationName>,
    /// Where its volume is mounted, if it has one.
    pub volume: Option<PathBuf>,
    /// The file that says that the application did not end by itself: it was told to. The program
    /// that prepares a start removes it, or leaves it if the application cannot start.
    pub stop_mark: PathBuf,
    /// How long it may take to stop before it is killed.
    pub stop_grace: Duration,
    /// How long preparing it may take.
    pub start_timeout: Duration,
    /// The `flocker-node` program, an absolute path.
    pub node_program: PathBuf,
    /// The `docker` program, an absolute path.
    pub docker_program: PathBuf,
    /// The Docker daemon's socket.
    pub docker_socket: PathBuf,
}

impl UnitSpecification {
    /// Describes the unit of an application on an ordinary Debian node.
    pub fn new(application: ApplicationName, restart: RestartPolicy) -> Self {
        Self {
            stop_mark: Path::new("/run/flocker/stopped").join(application.as_str()),
            application,
            restart,
            dependencies: BTreeSet::new(),
            volume: None,
            stop_grace: Duration::from_secs(20),
            start_timeout: Duration::from_secs(300),
            node_program: PathBuf::from("/usr/bin/flocker-node"),
            docker_program: PathBuf::from("/usr/bin/docker"),
            docker_socket: PathBuf::from("/run/docker.sock"),
        }
    }
}

/// Renders the unit.
///
/// How it stays up:
/// * `PartOf=docker.service` stops the application in order before Docker stops, and brings it
///   back when Docker is *re*started, whatever its policy. `Requires=` would do so too, but a
///   start that fails because Docker failed is never tried again by systemd.
/// * Start limits are off and the delay between restarts grows instead, so that an application
///   whose node is not ready yet (its pool is being imported) is started as soon as it is. A policy
///   with a number of restarts has a limit, and its first start is one more; the time in which they
///   count is so long that it never ends, as in Docker. Systemd counts every start; so the count
///   begins anew whenever the application did not fail by itself, but was told to stop (Docker was
///   restarted), lost the daemon or could not be prepared.
/// * When the program that is attached to the container dies without the container
///   (`EXIT_CODE` is not `exited`, or Docker went away), the container is stopped before systemd
///   starts it again. After an ordinary end that is left out: it costs time while a volume moves.
/// * `docker start --attach` ends with status 125 when it loses the daemon, which is not the
///   application's own end and so no case for its policy.
/// * A program that ends with status 0 because it was told to, by whoever stops the unit or Docker,
///   looks like one that is done: nothing that systemd keeps of a stopped unit tells them apart. So
///   the unit leaves a mark while it is told to stop, when it knows. Whether the program ended first
///   is decided by systemd, which sees both; where they meet, the mark is left, and the application
///   starts once more rather than never.
/// * Status 143 is a process that ended because it was asked to.
pub fn render_unit(unit: &UnitSpecification) -> String {
    let application = &unit.application;
    let container = container_name(application);
    let docker = format!(
        "{} --host {}",
        quoted(&unit.docker_program.to_string_lossy()),
        quoted(&format!("unix://{}", unit.docker_socket.display()))
    );
    let stop = format!("{docker} stop -t {}", unit.stop_grace.as_secs());
    let mark = quoted(&unit.stop_mark.to_string_lossy());
    let node = quoted(&unit.node_program.to_string_lossy());
    let restart = match unit.restart {
        RestartPolicy::Always => "always",
        RestartPolicy::OnFailure | RestartPolicy::OnFailureUpTo(_) => "on-failure",
        RestartPolicy::Never => "no",
    };
    let start_limit = start_limit(unit.restart);
    let ForgetStarts {
        before_prepare,
        at_stop,
        after_stop,
    } = ForgetStarts::new(unit);
    let start_timeout = unit.start_timeout.as_secs();
    let stop_timeout = unit.stop_grace.saturating_add(STOP_MARGIN).as_secs();
    let mut after = "docker.service zfs-mount.service zfs.target".to_owned();
    for dependency in &unit.dependencies {
        let _ = write!(after, " {}", unit_name(dependency));
    }
    if let Some(volume) = &unit.volume {
        // Systemd makes a unit of every mount; at shutdown this one must outlive the application.
        let _ = write!(after, " {}", mount_unit(volume));
    }
    format!(
        "{MARKER}
[Unit]
Description=Flocker application {application}
Documentation={documentation}
Wants=docker.service
After={after}
PartOf=docker.service
{start_limit}

[Service]
Type=exec
{before_prepare}ExecStartPre={node} prepare {application}
ExecStart={docker} start --attach {container}
ExecStop=-/bin/sh -c '{MARK_STOPPED}' sh {mark}
{at_stop}ExecStop=-{stop} {container}
ExecStopPost=-/bin/sh -c '{UNLESS_ENDED}' sh {stop} {container}
ExecStopPost=-/bin/sh -c '{MARK_LOST}' sh {mark}
{after_stop}Restart={restart}
RestartSec=1
RestartSteps=6
RestartMaxDelaySec=60
TimeoutStartSec={start_timeout}
TimeoutStopSec={stop_timeout}
RestartForceExitStatus={DAEMON_LOST}
SuccessExitStatus=143
SyslogIdentifier={application}
",
        documentation = env!("CARGO_PKG_REPOSITORY"),
    )
}

/// Returns the lines that limit how often systemd starts a unit.
fn start_limit(restart: RestartPolicy) -> String {
    match restart {
        RestartPolicy::OnFailureUpTo(restarts) => {
            let starts = u32::from(restarts.get()) + 1;
            format!("StartLimitIntervalSec={COUNTED}\nStartLimitBurst={starts}")
        }
        _ => "StartLimitIntervalSec=0".to_owned(),
    }
}

/// Quotes an argument of an `Exec…=` line: spaces, quotes, specifiers and variables.
fn quoted(argument: &str) -> String {
    let mut escaped = String::with_capacity(argument.len());
    for character in argument.chars() {
        match character {
            '\\' => escaped.push_str("\\\\"),
            '"' => escaped.push_str("\\\""),
            '%' => escaped.push_str("%%"),
            '$' => escaped.push_str("$$"),
            _ => escaped.push(character),
        }
    }
    if escaped.contains([' ', '\t', '\'', ';', '\\']) {
        format!("\"{escaped}\"")
    } else {
        escaped
    }
}

/// Returns the name of the unit that systemd makes of a mount on `path`.
///
/// **Source**: `systemd.unit(5)`, "String Escaping for Inclusion in Unit Names".
fn mount_unit(path: &Path) -> String {
    let text = path.to_string_lossy();
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
    let mut name = String::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            name.push('-');
        }
        for (position, byte) in part.bytes().enumerate() {
            let plain = byte.is_ascii_alphanumeric()
                || matches!(byte, b':' | b'_')
                || (byte == b'.' && (index, position) != (0, 0));
            if plain {
                name.push(char::from(byte));
            } else {
                // Writing to a string cannot fail.
                let _ = write!(name, "\\x{byte:02x}");
            }
        }
    }
    format!("{name}.mount")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_with_a_volume() {
        let unit = UnitSpecification {
            volume: Some(PathBuf::from("/flocker/pgsql-trac")),
            ..UnitSpecification::new("pgsql-trac".parse().unwrap(), RestartPolicy::Always)
        };
        insta::assert_snapshot!(render_unit(&unit));
    }

    #[test]
    fn a_unit_on_a_machine_with_other_paths() {
        let unit = UnitSpecification {
            node_program: PathBuf::from("/nix/store/100% mine/bin/flocker-node"),
            docker_program: PathBuf::from("/run/current-system/sw/bin/docker"),
            docker_socket: PathBuf::from("/tmp/docker.sock"),
            stop_grace: Duration::from_secs(5),
            ..UnitSpecification::new("trac".parse().unwrap(), RestartPolicy::Never)
        };
        insta::assert_snapshot!(render_unit(&unit));
    }

    #[test]
    fn a_number_of_restarts_is_one_less_than_the_starts() {
        let unit = UnitSpecification {
            dependencies: BTreeSet::from(["db".parse().unwrap(), "web.cache".parse().unwrap()]),
            ..UnitSpecification::new("migrate".parse().unwrap(), "on-failure:5".parse().unwrap())
        };
        let text = render_unit(&unit);
        let lines: Vec<&str> = text.lines().collect();
        for line in [
            "StartLimitIntervalSec=1y",
            "StartLimitBurst=6",
            r#"ExecStop=-/bin/sh -c '[ -z "$$MAINPID" ] || exec systemctl reset-failed "$$1"' sh flocker-migrate.service"#,
            "Restart=on-failure",
            "After=docker.service zfs-mount.service zfs.target flocker-db.service \
             flocker-web.cache.service",
        ] {
            assert!(lines.contains(&line), "{line}: {text}");
        }
    }

    #[test]
    fn mounts_are_named_as_systemd_names_them() {
        for (path, name) in [
            ("/flocker/trac", "flocker-trac.mount"),
            ("/flocker/pgsql-trac", r"flocker-pgsql\x2dtrac.mount"),
            ("/.a/.b", r"\x2ea-.b.mount"),
        ] {
            assert_eq!(mount_unit(Path::new(path)), name);
        }
    }
}
