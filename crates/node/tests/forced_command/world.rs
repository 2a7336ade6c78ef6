//! A server, a key that it lets in, and targets that nobody should reach through it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use flocker_model::NodeId;
use flocker_remote::ssh::{ensure_node_key, render_peer};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tempfile::TempDir;
use uuid::Uuid;

use crate::fixture::{Server, ServerSettings, dying_with_us, set_mode};

/// After how many seconds a client that does not end is killed: longer than anything here takes.
const SECONDS: &str = "60";
/// A pool that no machine has: what is pushed here is to come as far as to ZFS, and no further.
pub(crate) const POOL: &str = "no-pool-of-this-name";
/// What a target says to whoever reaches it.
pub(crate) const REACHED: &str = "reached";

/// Who may do what with the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// What `flocker-node` lets a peer do.
    Peer,
    /// Everything.
    Anybody,
}

/// A server that allows all that it can, so that the key's line alone stands in the way.
pub(crate) struct World {
    pub(crate) server: Server,
    /// Where the attacker's own files are.
    pub(crate) client: TempDir,
    /// A port that only this machine reaches.
    pub(crate) tcp_target: u16,
    /// Whether the server's user has a home of the test's.
    pub(crate) has_home: bool,
}

impl World {
    pub(crate) fn new(access: Access) -> Self {
        // No option of a key's forbids variables and tunnels, so that these two are as OpenSSH and
        // Debian have them: whoever lets clients set any variable lets them set LD_PRELOAD.
        let unrestricted = match access {
            Access::Peer => "AcceptEnv LANG LC_*\nPermitTunnel no",
            Access::Anybody => "AcceptEnv *\nPermitTunnel yes",
        };
        let home = home_to_cover();
        let server = Server::start_with(&ServerSettings {
            extra: &format!(
                "{unrestricted}\nAllowTcpForwarding yes\nAllowStreamLocalForwarding yes\n\
                 AllowAgentForwarding yes\nX11Forwarding yes\nPermitTTY yes\n\
                 PermitUserRC yes\nGatewayPorts clientspecified\nMaxStartups 100\n\
                 Subsystem sftp internal-sftp"
            ),
            covered: home.as_deref(),
            ..ServerSettings::default()
        });
        let world = Self {
            tcp_target: listen_on_tcp(),
            client: tempfile::tempdir().unwrap(),
            has_home: home.is_some(),
            server,
        };
        listen_on_unix(&world.unix_target());
        world.install_node();
        world.admit(access);
        world
    }

    /// Puts `flocker-node` there, in a wrapper that notes how it is run.
    fn install_node(&self) {
        let place = self.server.directory.path().display();
        let settings = format!(
            "dataset = \"{POOL}/flocker\"\nstate_directory = \"{place}/state\"\nruntime_directory = \"{place}/run\"\n\
             host_keys = \"{place}\"\ndocker_socket = \"{place}/docker.sock\"\n"
        );
        fs::write(self.server.path("node.toml"), settings).unwrap();
        let wrapper = self.server.path("flocker-node");
        let script = format!(
            "#!/bin/sh\nexec 9<>'{place}/alive'\n{{ echo \"arguments: $*\"; env; tty; }} \
             >>'{place}/log' 2>&1\nexec '{}' --settings '{place}/node.toml' \"$@\"\n",
            env!("CARGO_BIN_EXE_flocker-node")
        );
        fs::write(&wrapper, script).unwrap();
        set_mode(&wrapper, 0o755);
        mkfifo(&self.server.path("alive"), Mode::S_IRWXU).unwrap();
    }

    /// Lets the attacker's key in.
    fn admit(&self, access: Access) {
        let key = ensure_node_key(&self.client.path().join("key")).unwrap();
        let line = match access {
            Access::Peer => {
                let program = self.server.path("flocker-node").display().to_string();
                render_peer(&key, &program, (PEER, &"peer".parse().unwrap())).unwrap()
            }
            Access::Anybody => key.to_openssh().unwrap(),
        };
        fs::write(self.server.path("authorized_keys"), line).unwrap();
    }

    /// A file on the server that only an attack makes.
    pub(crate) fn canary(&self) -> PathBuf {
        self.server.path("canary")
    }

    /// Tells whether an attack made the file, and removes it.
    pub(crate) fn has_canary(&self) -> bool {
        fs::remove_file(self.canary()).is_ok()
    }

    /// A socket that only this machine reaches.
    pub(crate) fn unix_target(&self) -> PathBuf {
        self.client.path().join("target.sock")
    }

    /// What each of OpenSSH's programs is told: the attacker's key, and nothing of this machine's.
    fn arguments(&self) -> Vec<OsString> {
        let option = |text: String| ["-o".into(), text.into()];
        let known_hosts = self.server.path("known_hosts");
        let key = self.client.path().join("key");
        [
            ["-F".into(), "none".into()],
            ["-i".into(), key.into()],
            option("BatchMode=yes".to_owned()),
            option("IdentitiesOnly=yes".to_owned()),
            option("LogLevel=VERBOSE".to_owned()),
            option(format!("UserKnownHostsFile={}", known_hosts.display())),
            option(format!("Port={}", self.server.port)),
        ]
        .concat()
    }

    /// One of OpenSSH's programs, which is killed when it hangs.
    pub(crate) fn program(&self, program: &str) -> Command {
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after=1", SECONDS, program])
            .args(self.arguments())
            .env_remove("DISPLAY")
            .env_remove("SSH_AUTH_SOCK")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// `ssh` with options, and what it is to run there.
    pub(crate) fn ssh(&self, options: &[&str], remote: &[&str]) -> Command {
        let mut command = self.program("ssh");
        command.args(options).arg(self.host()).args(remote);
        command
    }

    /// Starts an `ssh` that stays, and returns it with the first line that has one of `words` in
    /// it; `None` when it ends without.
    pub(crate) fn stay(&self, options: &[&str], words: &[&str]) -> Option<(Background, String)> {
        let mut child = dying_with_us("ssh")
            .args(self.arguments())
            .args(["-v", "-N", "-o", "ExitOnForwardFailure=yes"])
            .args(options)
            .arg(self.host())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stderr.take().unwrap()).lines();
        let client = Background { child };
        let mut said = said.map_while(Result::ok);
        let line = said.find(|line| words.iter().any(|word| line.contains(word)))?;
        // What it says afterwards must not fill the pipe.
        std::thread::spawn(move || said.for_each(drop));
        Some((client, line))
    }

    /// The server, as clients call it.
    pub(crate) fn host(&self) -> String {
        format!("{}@127.0.0.1", self.server.environment().user)
    }

    /// Everything on the server that an attack could have left something in.
    pub(crate) fn files(&self) -> BTreeSet<PathBuf> {
        let mut files = BTreeSet::new();
        list(self.server.directory.path(), &mut files);
        files
    }

    /// What the wrapper noted since it was last cleared.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.server.path("log")).unwrap_or_default()
    }

    /// Whatever was asked for, `flocker-node` was run to receive from this key's node; what was
    /// noted of it is cleared.
    pub(crate) fn assert_only_receive_ran(&self, name: &str) {
        let expected = format!("arguments: receive {PEER}");
        let log = self.log();
        fs::write(self.server.path("log"), "").unwrap();
        let mut ran = log.lines().filter(|line| line.starts_with("arguments: "));
        assert!(ran.all(|line| line == expected), "{name}: {log}");
    }

    /// Waits until nothing of `flocker-node` runs any more: each holds a pipe open.
    pub(crate) fn assert_nothing_runs(&self) {
        let mut pipe = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(self.server.path("alive"))
            .unwrap();
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
        let (ended, end) = mpsc::channel();
        std::thread::spawn(move || ended.send(pipe.read_to_end(&mut Vec::new())));
        let patience = Duration::from_secs(60);
        end.recv_timeout(patience)
            .expect("flocker-node still runs")
            .unwrap();
    }
}

/// The node whose key it is.
pub(crate) const PEER: NodeId = NodeId(Uuid::from_u128(0x5ec0));

/// The home directory's part that `sshd` reads, if a test may have its own there.
fn home_to_cover() -> Option<PathBuf> {
    if !nix::unistd::geteuid().is_root() {
        return None;
    }
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok()??;
    // Which would be hidden as well.
    let is_node_there = Path::new(env!("CARGO_BIN_EXE_flocker-node")).starts_with(&user.dir);
    let may_mount = Command::new("unshare")
        .args(["--mount", "true"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    (may_mount && !is_node_there && user.dir.is_dir()).then_some(user.dir)
}

/// Lists all files below a directory but those that the test itself writes.
fn list(directory: &Path, files: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(&path, files);
        }
        if path.file_name().is_some_and(|name| name != "log") {
            files.insert(path);
        }
    }
}

/// Answers whoever connects.
fn listen_on_tcp() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(REACHED.as_bytes());
        }
    });
    port
}

/// Answers whoever connects.
fn listen_on_unix(path: &Path) {
    let listener = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(REACHED.as_bytes());
        }
    });
}

/// Runs a client to its end, with something to read.
pub(crate) fn run(mut command: Command, input: &[u8]) -> Output {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // The client may end without reading all of it.
    let writing = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    assert_ne!(
        output.status.code(),
        Some(124),
        "a client hangs: {output:?}"
    );
    output
}

/// A client that stays, until it is dropped.
pub(crate) struct Background {
    child: Child,
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads what whoever is at the other end says.
pub(crate) fn read_unix(path: &Path) -> String {
    let mut text = Vec::new();
    if let Ok(mut stream) = UnixStream::connect(path) {
        let _ = stream.read_to_end(&mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Says something to a port and reads what comes back.
pub(crate) fn ask_tcp(port: u16, question: &[u8]) -> String {
    let mut text = Vec::new();
    if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
        let _ = stream.write_all(question);
        let _ = stream.read_to_end(&mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}
