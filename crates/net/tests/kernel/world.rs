//! Machines and containers as network namespaces.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd as _;
use std::process::{Command, Stdio};
use std::thread;

use flocker_model::{FirewallObstacle, Port};
use flocker_net::{
    EnsuredRouting, NetworkNamespace, RoutingTable, Target, ensure_routing, observe_firewall,
};
use nix::sched::{CloneFlags, unshare};

pub(crate) const BRIDGE: &str = "flocker0";
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 20, 0, 1);
pub(crate) const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 100);
/// What a hostile neighbour calls somebody else's 127.0.0.1.
pub(crate) const DISGUISE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
pub(crate) const LOCALHOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Returns why such tests cannot run here, having said so.
pub(crate) fn cannot_run() -> bool {
    let Some(reason) = missing() else {
        return false;
    };
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "cannot run in CI: {reason}"
    );
    println!("SKIPPED: {reason}");
    true
}

fn missing() -> Option<String> {
    let unshared = thread::spawn(|| unshare(CloneFlags::CLONE_NEWNET)).join();
    if let Err(errno) = unshared.unwrap() {
        return Some(format!("network namespaces need root: {errno}"));
    }
    ["ip", "nft", "iptables"].into_iter().find_map(|program| {
        let started = Command::new(program).arg("--version").output();
        started
            .err()
            .map(|error| format!("no program {program}: {error}"))
    })
}

/// A network namespace with its own loopback.
pub(crate) struct Machine {
    pub(crate) namespace: NetworkNamespace,
    path: String,
    _file: File,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let open = || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            File::open("/proc/thread-self/ns/net").unwrap()
        };
        let file = thread::spawn(open).join().unwrap();
        let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
        let machine = Self {
            namespace: NetworkNamespace::at(&path).unwrap(),
            path,
            _file: file,
        };
        machine.command("ip link set lo up");
        machine
    }

    /// Runs a closure inside.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.namespace.run(work).unwrap()
    }

    /// Runs a program inside and returns what it printed.
    pub(crate) fn command(&self, line: &str) -> String {
        let output = self.run(|| {
            let mut words = line.split_whitespace();
            Command::new(words.next().unwrap())
                .args(words)
                .output()
                .unwrap()
        });
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Loads rules that nft understands.
    pub(crate) fn rules(&self, text: &str) {
        let output = self.run(|| {
            let mut nft = Command::new("nft");
            let nft = nft.args(["-f", "-"]).stdin(Stdio::piped());
            let mut nft = nft.stderr(Stdio::piped()).spawn().unwrap();
            let mut input = nft.stdin.take().unwrap();
            input.write_all(text.as_bytes()).unwrap();
            drop(input);
            nft.wait_with_output().unwrap()
        });
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
    }

    /// Makes packets to [`DISGUISE`] leave for a loopback address of a neighbour, as a hostile program with
    /// raw sockets would send them.
    pub(crate) fn disguise_loopback_of(&self, neighbour: Ipv4Addr, address: Ipv4Addr) {
        for line in [
            &format!("ip route add {DISGUISE}/32 via {neighbour}"),
            "nft add table ip spoof",
            "nft add chain ip spoof out { type filter hook postrouting priority 300; }",
            &format!("nft add rule ip spoof out ip daddr {DISGUISE} ip daddr set {address}"),
            "nft add chain ip spoof in { type filter hook prerouting priority -400; }",
            &format!("nft add rule ip spoof in ip saddr {address} ip saddr set {DISGUISE}"),
        ] {
            self.command(line);
        }
    }

    /// Plugs this machine's `interface` into another's bridge.
    fn plug(&self, interface: &str, bridge: (&Self, &str), port: &str) {
        let (switch, name) = bridge;
        switch.command(&format!(
            "ip link add {port} type veth peer name {interface} netns {}",
            self.path
        ));
        switch.command(&format!("ip link set {port} master {name} up"));
        self.command(&format!("ip link set {interface} up"));
    }
}

/// A node with a bridge for containers.
pub(crate) struct Node {
    pub(crate) machine: Machine,
    pub(crate) address: Ipv4Addr,
    containers: std::cell::Cell<u8>,
}

impl Node {
    /// Adds a container; the first has 172.20.0.2, the next 172.20.0.3.
    pub(crate) fn container(&self) -> Container {
        let number = self.containers.get() + 1;
        self.containers.set(number);
        let machine = Machine::new();
        let address = Ipv4Addr::new(172, 20, 0, 1 + number);
        let bridge = (&self.machine, BRIDGE);
        machine.plug("eth0", bridge, &format!("veth{number}"));
        machine.command(&format!("ip address add {address}/24 dev eth0"));
        machine.command(&format!("ip route add default via {GATEWAY}"));
        Container { machine, address }
    }

    pub(crate) fn program(&self, table: &RoutingTable) -> EnsuredRouting {
        self.machine.run(|| ensure_routing(table)).unwrap()
    }

    /// Lists what keeps redirected connections from the node's containers.
    pub(crate) fn obstacles(&self) -> Vec<FirewallObstacle> {
        let observed = self.machine.run(|| observe_firewall(BRIDGE)).unwrap();
        observed.into_iter().collect()
    }

    /// Sets up what Docker's firewall has by default, with the real iptables.
    pub(crate) fn docker_firewall(&self) {
        for line in [
            "-P FORWARD DROP",
            "-N DOCKER-USER",
            "-A DOCKER-USER -j RETURN",
            "-A FORWARD -j DOCKER-USER",
            "-A FORWARD -o flocker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            "-A FORWARD -i flocker0 ! -o flocker0 -j ACCEPT",
            "-A FORWARD -i flocker0 -o flocker0 -j ACCEPT",
            "-t nat -N DOCKER",
            "-t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
            "-t nat -A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER",
            "-t nat -A POSTROUTING -s 172.20.0.0/24 ! -o flocker0 -j MASQUERADE",
            "-t nat -A DOCKER -i flocker0 -j RETURN",
        ] {
            self.machine.command(&format!("iptables {line}"));
        }
    }
}

/// A container on a node's bridge.
pub(crate) struct Container {
    pub(crate) machine: Machine,
    pub(crate) address: Ipv4Addr,
}

/// Two nodes and a client on one network.
pub(crate) struct World {
    pub(crate) client: Machine,
    pub(crate) one: Node,
    pub(crate) two: Node,
    _fabric: Machine,
}

impl World {
    /// Builds the network; `None` if this machine cannot.
    pub(crate) fn new() -> Option<Self> {
        if cannot_run() {
            return None;
        }
        let fabric = Machine::new();
        fabric.command("ip link add fabric type bridge");
        fabric.command("ip link set fabric up");
        let attach = |port: &str, address: Ipv4Addr| {
            let machine = Machine::new();
            machine.plug("eth0", (&fabric, "fabric"), port);
            machine.command(&format!("ip address add {address}/24 dev eth0"));
            machine
        };
        let node = |port: &str, number: u8| {
            let address = Ipv4Addr::new(192, 0, 2, number);
            let machine = attach(port, address);
            machine.command("ip link add flocker0 type bridge");
            machine.command("ip link set flocker0 up");
            machine.command(&format!("ip address add {GATEWAY}/24 dev flocker0"));
            Node {
                machine,
                address,
                containers: std::cell::Cell::new(0),
            }
        };
        Some(Self {
            client: attach("client", CLIENT),
            one: node("one", 1),
            two: node("two", 2),
            _fabric: fabric,
        })
    }

    /// A table for a node, which knows the other node as its peer.
    pub(crate) fn table(&self, node: &Node) -> RoutingTable {
        let peers = [self.one.address, self.two.address];
        RoutingTable {
            bridge: BRIDGE.to_owned(),
            routes: BTreeMap::new(),
            from: BTreeMap::new(),
            links: BTreeMap::new(),
            wires: BTreeMap::new(),
            peers: peers
                .into_iter()
                .filter(|peer| *peer != node.address)
                .collect(),
            held: BTreeSet::new(),
            digest: "d1".to_owned(),
        }
    }
}

pub(crate) fn port(number: u16) -> Port {
    Port::new(number).unwrap()
}

pub(crate) fn target(address: Ipv4Addr, number: u16) -> Target {
    Target {
        address,
        port: port(number),
    }
}
