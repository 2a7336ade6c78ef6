//! The attacks, each a way to make the server do what it should not.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use crate::fixture::Agent;
use crate::world::{REACHED, World, ask_tcp, read_unix, run};

/// Tries an attack: whether it succeeded, or what this machine lacks for it.
type Launch = Box<dyn Fn(&World) -> Result<bool, String>>;

/// One attack.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    pub(crate) launch: Launch,
}

/// Lists all attacks.
pub(crate) fn attacks() -> Vec<Attack> {
    let mut attacks = commands();
    attacks.extend(environments());
    attacks.extend(files());
    attacks.extend(forwardings());
    attacks.extend(others());
    attacks
}

/// Makes one.
fn attack(name: &'static str, launch: impl Fn(&World) -> Result<bool, String> + 'static) -> Attack {
    let launch = Box::new(launch);
    Attack { name, launch }
}

/// Other commands, and what a shell could make of ours; `TOUCH` is a command that leaves a file.
const COMMANDS: [(&str, &str); 16] = [
    ("another command", "TOUCH"),
    ("an absolute path", "/usr/bin/env TOUCH"),
    ("a command after ours", "flocker-node receive; TOUCH"),
    ("a command if ours succeeds", "true && TOUCH"),
    (
        "a command if ours fails",
        "flocker-node receive web || TOUCH",
    ),
    (
        "a command in the background",
        "flocker-node receive & TOUCH; wait",
    ),
    ("a pipe", "flocker-node receive | TOUCH"),
    ("a substitution", "flocker-node receive $(TOUCH)"),
    (
        "a substitution in a volume's name",
        "flocker-node receive \"web$(TOUCH)\"",
    ),
    ("backquotes", "flocker-node receive `TOUCH`"),
    ("a line break", "flocker-node receive web\nTOUCH"),
    ("a carriage return and a line break", "true\r\nTOUCH"),
    (
        "a quote that could end the option",
        "true \"\"; TOUCH; \"\"",
    ),
    ("a path out of the volumes", "cd ../../../ && TOUCH"),
    ("a snapshot's name", ": web@x; TOUCH"),
    ("an option as a name", ": -o; TOUCH"),
];

fn commands() -> Vec<Attack> {
    let touched = |world: &World, template: &str| {
        let touch = format!("touch {}", world.canary().display());
        let command = template.replace("TOUCH", &touch);
        run(world.ssh(&[], &[&command]), b"");
        world.has_canary()
    };
    let mut attacks: Vec<_> = COMMANDS
        .iter()
        .map(|(name, template)| attack(name, move |world| Ok(touched(world, template))))
        .collect();
    attacks.push(attack("a very long command", move |world| {
        Ok(touched(world, &format!(": {}; TOUCH", "x".repeat(100_000))))
    }));
    attacks.push(attack("a shell", |world| {
        let script = format!("touch {}\nexit\n", world.canary().display());
        run(world.ssh(&["-T"], &[]), script.as_bytes());
        Ok(world.has_canary())
    }));
    attacks.push(attack("another node's name", |world| {
        let other = "00000000-0000-0000-0000-000000000bad";
        let program = world.server.path("flocker-node").display().to_string();
        run(world.ssh(&[], &[&program, "receive", other]), b"");
        Ok(world.log().contains(&format!("arguments: receive {other}")))
    }));
    attacks
}

/// Whether `flocker-node`, or what the attacker has run in its place, finds a variable in its
/// environment. A terminal, an agent and a display are announced by one.
fn is_set(world: &World, (options, variables): (&[&str], &[(&str, &str)]), found: &str) -> bool {
    let program = world.server.path("flocker-node").display().to_string();
    let mut command = world.ssh(options, &[&program, "receive", "none"]);
    command.envs(variables.iter().copied());
    run(command, b"");
    let log = world.log();
    log.lines().any(|line| line.starts_with(found))
}

/// Variables, and what is announced by one.
const VARIABLES: [(&str, &[&str], &str); 7] = [
    (
        "LD_PRELOAD is set",
        &["-o", "SetEnv=LD_PRELOAD=/nowhere"],
        "LD_PRELOAD=",
    ),
    (
        "LD_LIBRARY_PATH is set",
        &["-o", "SetEnv=LD_LIBRARY_PATH=/nowhere"],
        "LD_LIBRARY_PATH=",
    ),
    (
        "BASH_ENV is set",
        &["-o", "SetEnv=BASH_ENV=/nowhere"],
        "BASH_ENV=",
    ),
    (
        "RUST_LOG is set",
        &["-o", "SetEnv=RUST_LOG=trace"],
        "RUST_LOG=",
    ),
    (
        "a variable of ours is set",
        &["-o", "SetEnv=FLOCKER_FAILPOINTS=/nowhere"],
        "FLOCKER_FAILPOINTS=",
    ),
    (
        "a variable is sent",
        &["-o", "SendEnv=ATTACKERS"],
        "ATTACKERS=",
    ),
    ("a terminal", &["-tt"], "SSH_TTY="),
];

fn environments() -> Vec<Attack> {
    let mut attacks: Vec<_> = VARIABLES
        .iter()
        .map(|(name, options, found)| {
            attack(name, move |world| {
                let told = (*options, &[("ATTACKERS", "x")][..]);
                Ok(is_set(world, told, found))
            })
        })
        .collect();
    attacks.push(attack("the agent is forwarded", |world| {
        let agent = Agent::start(world.client.path());
        agent.add(&world.client.path().join("key"));
        let socket = agent.socket.display().to_string();
        let told = (&["-A"][..], &[("SSH_AUTH_SOCK", socket.as_str())][..]);
        Ok(is_set(world, told, "SSH_AUTH_SOCK="))
    }));
    attacks.push(attack("X11 is forwarded", |world| {
        if !Path::new("/usr/bin/xauth").exists() {
            return Err("there is no xauth".to_owned());
        }
        let told = (&["-Y"][..], &[("DISPLAY", "127.0.0.1:99")][..]);
        let found = is_set(world, told, "DISPLAY=");
        // What the server's `xauth` wrote.
        let _ = fs::remove_file(world.server.path(".Xauthority"));
        Ok(found)
    }));
    attacks
}

/// Files that are written and read.
fn files() -> Vec<Attack> {
    let sftp = |world: &World, batch: &str| {
        let mut command = world.program("sftp");
        command.args(["-b", "-"]).arg(world.host());
        run(command, batch.as_bytes());
    };
    vec![
        attack("scp", |world| {
            let source = world.client.path().join("brought");
            fs::write(&source, "x").unwrap();
            let mut command = world.program("scp");
            command.arg(&source);
            command.arg(format!("{}:{}", world.host(), world.canary().display()));
            run(command, b"");
            Ok(world.has_canary())
        }),
        attack("scp as it once was", |world| {
            // Spoken by hand: `scp -O` waits for an answer before it says anything.
            let command = format!("scp -t {}", world.canary().display());
            run(world.ssh(&[], &[&command]), b"C0644 1 canary\nx\0");
            Ok(world.has_canary())
        }),
        attack("sftp writes", move |world| {
            let source = world.client.path().join("brought");
            fs::write(&source, "x").unwrap();
            let (from, to) = (source.display(), world.canary());
            sftp(world, &format!("put {from} {}\n", to.display()));
            Ok(world.has_canary())
        }),
        attack("sftp reads a host key", move |world| {
            let stolen = world.client.path().join("stolen");
            let key = world.server.path("host_ed25519");
            sftp(
                world,
                &format!("get {} {}\n", key.display(), stolen.display()),
            );
            Ok(fs::remove_file(stolen).is_ok())
        }),
        attack("the user's rc file", |world| {
            if !world.has_home {
                return Err("the user's home cannot be covered".to_owned());
            }
            let directory = world.server.path("home/.ssh");
            fs::create_dir_all(&directory).unwrap();
            let script = format!("touch {}\n", world.canary().display());
            fs::write(directory.join("rc"), script).unwrap();
            run(world.ssh(&[], &["true"]), b"");
            fs::remove_dir_all(directory).unwrap();
            Ok(world.has_canary())
        }),
    ]
}

/// What a client says once it stays.
const READY: &str = "Entering interactive session";

/// Forwards a socket of the attacker's, and reads what comes out of it.
fn is_reached_through(world: &World, target: &str) -> bool {
    let socket = world.client.path().join("local.sock");
    let forward = format!("{}:{target}", socket.display());
    let client = world.stay(&["-L", &forward], &[READY]);
    let reached = client.is_some_and(|_client| read_unix(&socket) == REACHED);
    let _ = fs::remove_file(socket);
    reached
}

/// Whether the server listens for the attacker.
fn does_listen(world: &World, forward: &str) -> bool {
    let said = [
        "remote forward success",
        "Allocated port",
        "forwarding failed",
    ];
    let client = world.stay(&["-R", forward], &said);
    client.is_some_and(|(_, line)| !line.contains("failed"))
}

/// Ways through the server to what only it reaches, and the other way round.
fn forwardings() -> Vec<Attack> {
    vec![
        attack("standard input is forwarded (-W)", |world| {
            let target = format!("127.0.0.1:{}", world.tcp_target);
            let output = run(world.ssh(&["-W", &target], &[]), b"");
            Ok(output.stdout == REACHED.as_bytes())
        }),
        attack("a port is forwarded (-L)", |world| {
            let target = format!("127.0.0.1:{}", world.tcp_target);
            Ok(is_reached_through(world, &target))
        }),
        attack("a socket is forwarded (-L)", |world| {
            let target = world.unix_target().display().to_string();
            Ok(is_reached_through(world, &target))
        }),
        attack("any port is forwarded (-D)", |world| {
            let free = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
            let port = free.unwrap().port();
            let client = world.stay(&["-D", &format!("127.0.0.1:{port}")], &[READY]);
            // SOCKS 5 without authentication: connect to 127.0.0.1 (RFC 1928 sections 3 and 4).
            let [high, low] = world.tcp_target.to_be_bytes();
            let request = [5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, high, low];
            Ok(client.is_some_and(|_client| ask_tcp(port, &request).ends_with(REACHED)))
        }),
        attack("the server listens on a port (-R)", |world| {
            let forward = format!("0:127.0.0.1:{}", world.tcp_target);
            Ok(does_listen(world, &forward))
        }),
        attack("the server listens as a proxy (-R)", |world| {
            Ok(does_listen(world, "0"))
        }),
        attack("the server listens on a socket (-R)", |world| {
            let socket = world.client.path().join("remote.sock");
            let forward = format!("{}:127.0.0.1:{}", socket.display(), world.tcp_target);
            let listened = does_listen(world, &forward);
            let _ = fs::remove_file(socket);
            Ok(listened)
        }),
        attack("a network interface is forwarded (-w)", |world| {
            let here = ["Could not request tunnel", "device open failed"];
            let there = ["forward established", "forwarding failed", "open failed"];
            let client = world.stay(&["-w", "any:any"], &[&here[..], &there].concat());
            let line = client.map(|(_, line)| line).unwrap_or_default();
            if here.iter().any(|word| line.contains(word)) {
                return Err("there are no tunnels".to_owned());
            }
            Ok(line.contains("established"))
        }),
    ]
}

/// What comes after a first session that is harmless.
fn others() -> Vec<Attack> {
    vec![attack("a second session on one connection", |world| {
        let socket = world.client.path().join("mux");
        let socket = format!("ControlPath={}", socket.display());
        let master = world.stay(&["-M", "-o", &socket], &[READY]);
        assert!(master.is_some(), "the first session is refused");
        let command = format!("touch {}", world.canary().display());
        let options = ["-o", &socket, "-o", "ControlMaster=no"];
        run(world.ssh(&options, &[&command]), b"");
        Ok(world.has_canary())
    })]
}
