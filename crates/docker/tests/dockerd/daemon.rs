//! A Docker daemon of the tests' own.
//!
//! It lives in its own network, mount and process namespaces: the machine's network, its `/run`
//! and a Docker that it may have are not touched. Its first process waits for the end of its
//! standard input, which is a pipe from the test process: when that ends, however it ends, the
//! kernel closes the pipe, and the first process takes everything else down.
//!
//! `FLOCKER_TEST_DOCKER_SOCKET` names the socket of a daemon to be used instead, on a machine that
//! may be thrown away.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, mpsc};
use std::time::Duration;

use bollard::body_full;
use bollard::query_parameters::{CreateImageOptions, LogsOptions};
use flocker_docker::{Docker, DockerSettings};
use flocker_model::{Application, ApplicationName, ContainerSpecification, ImageReference};
use futures_util::{StreamExt as _, TryStreamExt as _};

/// The image that test applications run: a shell.
pub(crate) const IMAGE: &str = "flocker-test/shell:1";

const START_DEADLINE: Duration = Duration::from_secs(60);

/// Runs as the first process of the namespaces; `$1` is a directory for the socket.
const SCRIPT: &str = r#"
set -e
directory=$1
group=flocker-test-$2
mount --make-rprivate /
mount -t tmpfs tmpfs /run
# All of Docker's data is in memory, but for the containers' own files, which Flocker looks at.
data=$directory/data
mkdir -p "$data/containers" /run/containers
mount --bind "$data/containers" /run/containers
mount -t tmpfs tmpfs "$data"
mkdir "$data/containers"
mount --move /run/containers "$data/containers"
ip link set lo up
echo '{}' >/run/daemon.json
dockerd --config-file /run/daemon.json --data-root "$data" --exec-root /run/exec \
    --pidfile /run/docker.pid --host "unix://$directory/docker.sock" \
    --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/$group" </dev/null &
# A shell would give a command in the background no input, so this waits in the foreground.
cat >/dev/null
set +e
kill -KILL -1
# The kernel may need a moment to end them all.
for attempt in 1 2 3 4 5 6 7 8 9; do
    find /sys/fs/cgroup -depth -type d -path "*/$group*" -exec rmdir {} \; 2>/dev/null
    [ -z "$(find /sys/fs/cgroup -type d -name "$group")" ] && break
    sleep 0.1
done
umount -R "$directory/data" 2>/dev/null
rm -rf -- "$directory"
"#;

struct Daemon {
    socket: PathBuf,
    /// Holds the pipe whose end ends the daemon.
    process: Option<Child>,
}

static DAEMON: LazyLock<Result<Daemon, String>> = LazyLock::new(|| {
    if let Some(socket) = std::env::var_os("FLOCKER_TEST_DOCKER_SOCKET") {
        return Ok(Daemon {
            socket: socket.into(),
            process: None,
        });
    }
    for program in [
        "dockerd",
        "containerd",
        "docker",
        "unshare",
        "ip",
        "iptables",
        "busybox",
    ] {
        if find_program(program).is_none() {
            return Err(format!("{program} is not installed"));
        }
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let root = status
        .lines()
        .any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"));
    if !root {
        return Err("a Docker daemon can only be started by root".to_owned());
    }
    Ok(start_daemon())
});

fn start_daemon() -> Daemon {
    let directory = tempfile::Builder::new()
        .prefix("flocker-dockerd-")
        .tempdir()
        .unwrap()
        .keep();
    let mut process = Command::new("unshare")
        .args(["--net", "--mount", "--pid", "--fork", "--kill-child"])
        .args(["--mount-proc", "sh", "-c", SCRIPT, "sh"])
        .arg(&directory)
        .arg(std::process::id().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // An interrupt from the terminal must reach the tests only.
        .process_group(0)
        .spawn()
        .unwrap();
    let lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let (sender, receiver) = mpsc::channel();
    // The thread reads for as long as the daemon writes, or the daemon would stop at a full pipe.
    std::thread::spawn(move || {
        let mut log = String::new();
        let mut sender = Some(sender);
        for line in lines.map_while(Result::ok) {
            if line.contains("API listen on") {
                if let Some(sender) = sender.take() {
                    sender.send(Ok(())).ok();
                }
            } else if sender.is_some() {
                log += &line;
                log.push('\n');
            }
        }
        if let Some(sender) = sender {
            sender.send(Err(log)).ok();
        }
    });
    match receiver.recv_timeout(START_DEADLINE) {
        Ok(Ok(())) => {}
        Ok(Err(log)) => panic!("dockerd ended:\n{log}"),
        Err(mpsc::RecvTimeoutError::Timeout | mpsc::RecvTimeoutError::Disconnected) => {
            panic!("dockerd does not listen after {START_DEADLINE:?}")
        }
    }
    Daemon {
        socket: directory.join("docker.sock"),
        process: Some(process),
    }
}

fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
}

/// Returns the settings for the tests' daemon, or says why there is none.
pub(crate) fn settings() -> Option<DockerSettings> {
    match &*DAEMON {
        Ok(daemon) => Some(DockerSettings {
            socket: daemon.socket.clone(),
            ..DockerSettings::default()
        }),
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

/// Returns a process in the namespaces of the tests' daemon, and the daemon's directory there, if
/// they are the tests' own.
pub(crate) fn namespaces() -> Option<(u32, &'static Path)> {
    let daemon = DAEMON.as_ref().ok()?;
    let process = daemon.process.as_ref()?;
    Some((process.id(), daemon.socket.parent()?))
}

/// Connects to the tests' daemon, which then has the image [`IMAGE`].
pub(crate) async fn connect() -> Option<Docker> {
    static IMPORTED: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
    let docker = Docker::connect(settings()?).await.unwrap();
    IMPORTED
        .get_or_init(async || import_shell(IMAGE).await)
        .await;
    Some(docker)
}

/// Gives a plain client, for what others than Flocker do.
pub(crate) async fn stranger() -> bollard::Docker {
    let socket = settings().unwrap().socket;
    bollard::Docker::connect_with_unix(&socket.to_string_lossy(), 60, bollard::API_DEFAULT_VERSION)
        .unwrap()
        .negotiate_version()
        .await
        .unwrap()
}

/// Runs the Docker command against the tests' daemon.
pub(crate) fn docker_command() -> Command {
    let mut command = Command::new("docker");
    command
        .arg("--host")
        .arg(format!("unix://{}", settings().unwrap().socket.display()));
    command
}

/// Imports busybox under `name`.
pub(crate) async fn import_shell(name: &str) {
    import_changed_shell(name, Vec::new()).await;
}

/// Imports busybox under `name`, with what lines of a Dockerfile say of it.
pub(crate) async fn import_changed_shell(name: &str, changes: Vec<String>) {
    import_image(name, changes, |_| ()).await;
}

/// Imports busybox under `name`, with what lines of a Dockerfile say of it, and with the files that
/// `add` puts into its root directory.
pub(crate) async fn import_image(name: &str, changes: Vec<String>, add: impl FnOnce(&Path)) {
    let root = tempfile::tempdir().unwrap();
    add(root.path());
    let programs = root.path().join("bin");
    std::fs::create_dir(&programs).unwrap();
    std::fs::create_dir(root.path().join("tmp")).unwrap();
    std::fs::copy(find_program("busybox").unwrap(), programs.join("busybox")).unwrap();
    for applet in [
        "sh", "cat", "echo", "hostname", "ip", "kill", "sleep", "test",
    ] {
        std::os::unix::fs::symlink("busybox", programs.join(applet)).unwrap();
    }
    add_program(root.path(), "getent");
    let archive = tar(root.path());
    let (repository, tag) = name.split_once(':').unwrap();
    let options = CreateImageOptions {
        from_src: Some("-".to_owned()),
        repo: Some(repository.to_owned()),
        tag: Some(tag.to_owned()),
        changes,
        ..CreateImageOptions::default()
    };
    stranger()
        .await
        .create_image(Some(options), Some(body_full(archive.into())), None)
        .try_collect::<Vec<_>>()
        .await
        .unwrap();
}

/// Copies a program of this machine, with the libraries that it is linked to.
fn add_program(root: &Path, name: &str) {
    let program = find_program(name).unwrap();
    std::fs::copy(&program, root.join("bin").join(name)).unwrap();
    let linked = Command::new("ldd").arg(&program).output().unwrap();
    let linked = String::from_utf8(linked.stdout).unwrap();
    let libraries = linked
        .split_whitespace()
        .filter(|word| word.starts_with('/'));
    for library in libraries {
        let copy = root.join(library.trim_start_matches('/'));
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::copy(library, copy).unwrap();
    }
}

fn tar(directory: &Path) -> Vec<u8> {
    let output = Command::new("tar")
        .args(["--create", "--owner=0", "--group=0", "--directory"])
        .arg(directory)
        .arg(".")
        .output()
        .unwrap();
    assert!(output.status.success());
    output.stdout
}

/// Describes an application that runs `script` in a shell.
pub(crate) fn application(name: &str, script: &str) -> ContainerSpecification {
    ContainerSpecification {
        command: Some(["sh", "-c", script].map(str::to_owned).to_vec()),
        ..ContainerSpecification::new(
            &name.parse().unwrap(),
            &Application::new(IMAGE.parse::<ImageReference>().unwrap()),
        )
    }
}

/// A script that runs until it is asked to end.
pub(crate) const SERVER: &str = "trap 'exit 0' TERM; echo ready; sleep 1000 & wait";

/// Starts an application's container as its unit would.
pub(crate) async fn start(application: &ApplicationName) {
    stranger()
        .await
        .start_container(
            &flocker_docker::container_name(application),
            None::<bollard::query_parameters::StartContainerOptions>,
        )
        .await
        .unwrap();
}

/// Waits until [`SERVER`] has said that it is ready, and so ends when it is asked to.
pub(crate) async fn wait_until_ready(application: &ApplicationName) {
    let options = LogsOptions {
        follow: true,
        stdout: true,
        ..LogsOptions::default()
    };
    let client = stranger().await;
    let name = flocker_docker::container_name(application);
    let mut output = Box::pin(client.logs(&name, Some(options)));
    let first = tokio::time::timeout(START_DEADLINE, output.next()).await;
    let first = first.unwrap().unwrap().unwrap();
    assert_eq!(first.to_string().trim(), "ready");
}
