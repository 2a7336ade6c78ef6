//! A server, keys and an agent that go away with the test, even a killed one.

use std::fmt::Write;
use std::fs;
use std::future::Future;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use flocker_remote::ssh::{
    ConnectError, ConnectOptions, Connection, Destination, Environment, PublicKey, RemoteCommand,
    SshOptions, resolve_destination,
};
use futures_util::FutureExt as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// Longer than anything here takes, shorter than anybody's patience.
const DEADLINE: Duration = Duration::from_secs(120);

/// Fails a test that hangs.
pub(crate) async fn within_deadline<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("the test hangs")
}

/// A child process that dies with this one. The kernel kills it when the
/// thread that started it ends, which for a test is when the test ends.
pub(crate) fn dying_with_us(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]);
    command
}

/// `sshd` with a directory of its own.
pub(crate) struct Server {
    pub(crate) directory: TempDir,
    pub(crate) port: u16,
    process: Child,
}

/// Lines to add to the server's configuration.
#[derive(Default)]
pub(crate) struct ServerSettings<'a> {
    pub(crate) extra: &'a str,
    /// Types of host keys; `ed25519` if empty.
    pub(crate) host_keys: &'a [&'a str],
    /// A directory in whose place the server sees its own directory `home`.
    pub(crate) covered: Option<&'a Path>,
}

impl Server {
    /// Starts a server that lets the key `id` in and is in `known_hosts`.
    pub(crate) fn start() -> Self {
        Self::start_with(&ServerSettings::default())
    }

    pub(crate) fn start_with(settings: &ServerSettings<'_>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let kinds = match settings.host_keys {
            [] => &["ed25519"],
            kinds => kinds,
        };
        for kind in kinds {
            make_key(&directory.path().join(format!("host_{kind}")), kind, "");
        }
        make_key(&directory.path().join("id"), "ed25519", "");
        fs::copy(
            directory.path().join("id.pub"),
            directory.path().join("authorized_keys"),
        )
        .unwrap();
        let (port, process) = start_sshd(directory.path(), kinds, settings);
        let server = Self {
            directory,
            port,
            process,
        };
        server.trust_host_key(kinds[0]);
        server
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes `known_hosts` with one of the server's keys in it.
    pub(crate) fn trust_host_key(&self, kind: &str) {
        let key = self.host_key_text(kind);
        self.write_known_hosts(&format!("{} {key}\n", self.known_name()));
    }

    pub(crate) fn write_known_hosts(&self, text: &str) {
        fs::write(self.path("known_hosts"), text).unwrap();
    }

    /// The server as `known_hosts` calls it.
    pub(crate) fn known_name(&self) -> String {
        format!("[127.0.0.1]:{}", self.port)
    }

    pub(crate) fn host_key_text(&self, kind: &str) -> String {
        let text = fs::read_to_string(self.path(&format!("host_{kind}.pub"))).unwrap();
        text.trim().to_owned()
    }

    pub(crate) fn host_key(&self, kind: &str) -> PublicKey {
        PublicKey::from_openssh(&self.host_key_text(kind)).unwrap()
    }

    /// An environment whose home is the server's directory and nothing else.
    pub(crate) fn environment(&self) -> Environment {
        Environment {
            home: self.directory.path().to_owned(),
            user: Environment::observe().user,
            variables: std::collections::BTreeMap::new(),
        }
    }

    pub(crate) fn options(&self) -> SshOptions {
        // An empty configuration, so that the machine's own has no say.
        fs::write(self.path("config"), "").unwrap();
        SshOptions {
            config_file: Some(self.path("config")),
            identity_files: vec![self.path("id")],
            known_hosts: Some(self.path("known_hosts")),
            ..SshOptions::default()
        }
    }

    pub(crate) fn destination(&self) -> Destination {
        self.destination_with(&self.options(), &self.environment())
    }

    pub(crate) fn destination_with(
        &self,
        options: &SshOptions,
        environment: &Environment,
    ) -> Destination {
        let name = format!("127.0.0.1:{}", self.port);
        resolve_at_once(&name, options, environment)
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::connect(&self.destination(), &ConnectOptions::default())
            .await
            .unwrap()
    }

    /// Connects, expecting to be told why not.
    pub(crate) async fn refusal(&self, destination: &Destination) -> ConnectError {
        within_deadline(Connection::connect(destination, &ConnectOptions::default()))
            .await
            .expect_err("the connection should have been refused")
    }

    /// All processes that descend from the server: its sessions and their
    /// commands.
    pub(crate) fn descendants(&self) -> Vec<Pid> {
        let mut found = vec![self.process.id()];
        let parents: Vec<(u32, u32)> = processes_and_parents();
        loop {
            let before = found.len();
            for (process, parent) in &parents {
                if found.contains(parent) && !found.contains(process) {
                    found.push(*process);
                }
            }
            if found.len() == before {
                break;
            }
        }
        found[1..]
            .iter()
            .map(|process| Pid::from_raw(i32::try_from(*process).unwrap()))
            .collect()
    }

    /// Descendants whose executable has this name.
    pub(crate) fn descendants_named(&self, name: &str) -> Vec<Pid> {
        let named = |process: &Pid| {
            fs::read_to_string(format!("/proc/{process}/comm"))
                .is_ok_and(|found| found.trim() == name)
        };
        self.descendants().into_iter().filter(named).collect()
    }

    /// Sends a signal to the server's sessions, but not to the commands.
    pub(crate) fn signal_sessions(&self, signal: Signal) {
        let sessions = self.descendants_named("sshd");
        assert!(!sessions.is_empty(), "the server has no session");
        for session in sessions {
            let _ = kill(session, signal);
        }
    }

    /// Replaces a path of this test in a text by something stable.
    pub(crate) fn redact(&self, text: &str) -> String {
        let directory = self.directory.path().display().to_string();
        let mut redacted = text
            .replace(&directory, "DIR")
            .replace(&self.port.to_string(), "PORT");
        for name in ["id", "other", "host_ed25519", "host_rsa", "host_ecdsa"] {
            if let Ok(key) = fs::read_to_string(self.path(&format!("{name}.pub"))) {
                let key = PublicKey::from_openssh(key.trim()).unwrap();
                let print = key.fingerprint(russh::keys::HashAlg::Sha256).to_string();
                redacted = redacted.replace(&print, &format!("SHA256:<{name}>"));
            }
        }
        redacted.replace(&self.environment().user, "USER")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for process in self.descendants() {
            let _ = kill(process, Signal::SIGKILL);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Resolves a name whose configuration leaves nothing to ask `ssh`, so that there is no waiting.
pub(crate) fn resolve_at_once(
    name: &str,
    options: &SshOptions,
    environment: &Environment,
) -> Destination {
    let resolved = resolve_destination(name, options, environment).now_or_never();
    resolved.expect("a program is run").unwrap()
}

fn processes_and_parents() -> Vec<(u32, u32)> {
    let mut pairs = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        // pid (comm) state ppid …, where comm may contain spaces.
        let Some((pid, _)) = stat.split_once(' ') else {
            continue;
        };
        let parent = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.split(' ').nth(1));
        if let (Ok(pid), Some(Ok(parent))) = (pid.parse(), parent.map(str::parse)) {
            pairs.push((pid, parent));
        }
    }
    pairs
}

/// Makes a key with OpenSSH's own tool.
pub(crate) fn make_key(path: &Path, kind: &str, passphrase: &str) {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", kind, "-N", passphrase, "-C", "test key", "-f"])
        .arg(path)
        .status()
        .unwrap();
    assert!(status.success());
}

fn start_sshd(directory: &Path, host_keys: &[&str], settings: &ServerSettings<'_>) -> (u16, Child) {
    if nix::unistd::geteuid().is_root() {
        // sshd insists on it; systemd makes it where sshd is a service.
        let _ = fs::DirBuilder::new().mode(0o755).create("/run/sshd");
    }
    // Another process may take the port in between, so a few are tried.
    for _ in 0..10 {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .unwrap()
            .port();
        if let Some(process) = try_sshd((directory, port), host_keys, settings) {
            return (port, process);
        }
    }
    panic!("sshd does not start: see `sshd -t`");
}

/// The sessions' home is the test's, as a shell reads files of the user's.
fn try_sshd(
    (directory, port): (&Path, u16),
    host_keys: &[&str],
    settings: &ServerSettings<'_>,
) -> Option<Child> {
    let place = directory.display();
    let mut config = format!(
        "ListenAddress 127.0.0.1:{port}\nAuthorizedKeysFile {place}/authorized_keys\n\
         StrictModes no\nPermitRootLogin yes\nPidFile none\nUsePAM no\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         SetEnv HOME={place}\n{}\n",
        settings.extra
    );
    for kind in host_keys {
        let _ = writeln!(config, "HostKey {place}/host_{kind}");
    }
    let config_file = directory.join("sshd_config");
    fs::write(&config_file, config).unwrap();
    let mut process = match settings.covered {
        None => dying_with_us("/usr/sbin/sshd"),
        Some(covered) => {
            let home = directory.join("home");
            fs::create_dir_all(&home).unwrap();
            let mut command = dying_with_us("unshare");
            command
                .args(["--mount", "--propagation", "private", "sh", "-c"])
                .arg("mount --bind \"$1\" \"$2\" && shift 2 && exec /usr/sbin/sshd \"$@\"")
                .args(["sh".as_ref(), home.as_os_str(), covered.as_os_str()]);
            command
        }
    };
    let mut process = process
        .args(["-D", "-e", "-f"])
        .arg(&config_file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("setpriv (util-linux) is needed");
    let mut said = BufReader::new(process.stderr.take().unwrap()).lines();
    while let Some(Ok(line)) = said.next() {
        if line.starts_with("Server listening") {
            // What it says afterwards must not fill the pipe.
            std::thread::spawn(move || said.for_each(drop));
            return Some(process);
        }
        eprintln!("sshd: {line}");
    }
    let _ = process.wait();
    None
}

/// A real agent.
pub(crate) struct Agent {
    pub(crate) socket: PathBuf,
    process: Child,
}

impl Agent {
    pub(crate) fn start(directory: &Path) -> Self {
        let socket = directory.join("agent.socket");
        let mut process = dying_with_us("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It prints its socket once that is there.
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(line.contains("SSH_AUTH_SOCK"), "{line}");
        Self { socket, process }
    }

    pub(crate) fn add(&self, key: &Path) {
        let added = Command::new("ssh-add")
            .arg("-q")
            .arg(key)
            .env("SSH_AUTH_SOCK", &self.socket)
            .stdin(Stdio::null())
            .status()
            .unwrap();
        assert!(added.success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn shell(script: &str) -> RemoteCommand {
    RemoteCommand::new("sh").args(["-c", script])
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// An error, its causes, and its hint, as they are shown.
pub(crate) fn rendered(error: &ConnectError) -> String {
    let mut text = format!("error: {error}\n");
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        let _ = writeln!(text, "caused by: {next}");
        cause = next.source();
    }
    if let Some(hint) = error.hint() {
        let _ = writeln!(text, "hint: {hint}");
    }
    text
}
