//! A systemd of the tests' own, booted as the first process of its own namespaces.
//!
//! It runs D-Bus and a `docker.service` that does nothing; `docker` and `flocker-node` are scripts
//! that write what they do into a pipe. It ends with the test process, however that ends: a shell
//! between the two waits for the end of its standard input, which is a pipe from here.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flocker_docker::{UnitSettings, UnitSpecification};
use flocker_model::{ApplicationName, RestartPolicy};

/// How long anything is waited for, on a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Everything that the scripts have written, in order.
static EVENTS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static NEW_EVENT: Condvar = Condvar::new();

pub(crate) struct Machine {
    directory: PathBuf,
    /// Holds the pipe whose end ends systemd.
    _process: Child,
}

static MACHINE: LazyLock<Result<Machine, String>> = LazyLock::new(|| {
    for program in ["/lib/systemd/systemd", "/usr/bin/dbus-daemon"] {
        if !std::path::Path::new(program).is_file() {
            return Err(format!("{program} is not installed"));
        }
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let root = status
        .lines()
        .any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"));
    if !root {
        return Err("systemd can only be booted by root".to_owned());
    }
    Ok(boot())
});

fn boot() -> Machine {
    let directory = tempfile::Builder::new()
        .prefix("flocker-systemd-")
        .tempdir()
        .unwrap()
        .keep();
    // The message bus runs as another user.
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["root", "bus", "units", "shared"] {
        std::fs::create_dir(directory.join(name)).unwrap();
    }
    let shared = directory.join("shared");
    for (name, text) in [
        ("docker", include_str!("docker.sh")),
        ("flocker-node", include_str!("node.sh")),
    ] {
        let path = shared.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let events = shared.join("events");
    assert!(
        Command::new("mkfifo")
            .arg(&events)
            .status()
            .unwrap()
            .success()
    );
    std::thread::spawn(move || {
        // Open for writing, too: so the pipe never ends.
        let pipe = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(events)
            .unwrap();
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            lock_events().push(line);
            NEW_EVENT.notify_all();
        }
    });
    let process = Command::new("sh")
        .args(["-c", include_str!("outside.sh"), "sh"])
        .arg(&directory)
        .arg(std::process::id().to_string())
        .arg(include_str!("inside.sh"))
        .stdin(Stdio::piped())
        // An interrupt from the terminal must reach the tests only.
        .process_group(0)
        .spawn()
        .unwrap();
    wait_for_event(0, "booted");
    Machine {
        directory,
        _process: process,
    }
}

fn lock_events() -> MutexGuard<'static, Vec<String>> {
    EVENTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns how many events there have been so far.
pub(crate) fn event_count() -> usize {
    lock_events().len()
}

/// Returns the events of one application since there were `from`.
pub(crate) fn events_of(application: &ApplicationName, from: usize) -> Vec<String> {
    let prefix = format!("flocker-{application} ");
    lock_events()[from..]
        .iter()
        .filter_map(|event| event.strip_prefix(&prefix).map(str::to_owned))
        .collect()
}

/// Waits for an event, beginning with number `from`; returns the number of the one after it.
pub(crate) fn wait_for_event(from: usize, event: &str) -> usize {
    let deadline = Instant::now() + PATIENCE;
    let mut events = lock_events();
    loop {
        if let Some(position) = events[from..].iter().position(|line| line == event) {
            return from + position + 1;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "no `{event}` in {:?}", &events[from..]);
        events = NEW_EVENT
            .wait_timeout(events, left)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
    }
}

/// Returns the machine, or says why there is none.
pub(crate) fn machine() -> Option<&'static Machine> {
    match &*MACHINE {
        Ok(machine) => Some(machine),
        Err(reason) => {
            assert_ne!(
                std::env::var("CI").as_deref(),
                Ok("true"),
                "cannot run in CI: {reason}"
            );
            eprintln!("SKIPPED: {reason}");
            None
        }
    }
}

impl Machine {
    pub(crate) fn settings(&self) -> UnitSettings {
        UnitSettings {
            directory: self.directory.join("units"),
            bus: Some(format!(
                "unix:path={}",
                self.directory.join("bus/system_bus_socket").display()
            )),
        }
    }

    /// Describes a unit that runs the scripts.
    pub(crate) fn unit(&self, name: &str, restart: RestartPolicy) -> UnitSpecification {
        let shared = self.directory.join("shared");
        UnitSpecification {
            stop_mark: shared.join(format!("flocker-{name}.stopped")),
            docker_program: shared.join("docker"),
            node_program: shared.join("flocker-node"),
            ..UnitSpecification::new(name.parse().unwrap(), restart)
        }
    }

    /// Makes the next containers of an application end at once with a status.
    pub(crate) fn end_with(&self, application: &ApplicationName, status: i32) {
        let name = format!("flocker-{application}.status");
        std::fs::write(self.directory.join("shared").join(name), status.to_string()).unwrap();
    }

    /// Makes preparing an application fail, or succeed.
    pub(crate) fn set_ready(&self, application: &ApplicationName, ready: bool) {
        let name = format!("flocker-{application}.unready");
        let path = self.directory.join("shared").join(name);
        if ready {
            std::fs::remove_file(path).unwrap();
        } else {
            std::fs::write(path, "").unwrap();
        }
    }
}
