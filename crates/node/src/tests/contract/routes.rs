//! What routes and links promise.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use flocker_model::{ContainerLinks, LocalPort, Port, RoutePort};
use flocker_net::{RoutingTable, Target};
use flocker_remote::protocol::Change;

use crate::platform::Routes;

const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 20, 0, 1);

/// A machine that routes nothing yet.
trait Machine {
    type Routes: Routes;

    fn routes(&self) -> &Self::Routes;

    /// A process that holds a network namespace of its own.
    fn process(&self) -> u32;
}

fn port(number: u16) -> Port {
    Port::new(number).unwrap()
}

fn table() -> RoutingTable {
    let target = |address: [u8; 4], number| Target {
        address: address.into(),
        port: port(number),
    };
    RoutingTable {
        bridge: "flocker0".to_owned(),
        routes: BTreeMap::from([(port(80).into(), target([172, 20, 0, 2], 8080))]),
        from: BTreeMap::new(),
        links: BTreeMap::from([(port(27000).into(), target([10, 0, 0, 2], 27000))]),
        wires: BTreeMap::new(),
        peers: BTreeSet::from([Ipv4Addr::new(10, 0, 0, 2)]),
        held: BTreeSet::from([port(81).into()]),
        digest: "abc".to_owned(),
    }
}

async fn what_is_programmed_is_observed_and_programmed_once(machine: &impl Machine) {
    let routes = machine.routes();
    assert_eq!(routes.observe_routing().await.unwrap(), None);
    let mut wanted = table();
    for _ in 0..2 {
        for change in [Change::Changed, Change::Unchanged] {
            assert_eq!(routes.ensure_routing(&wanted).await.unwrap(), change);
            let found = routes.observe_routing().await.unwrap();
            assert_eq!(found.as_ref(), Some(&wanted));
        }
        wanted.routes.clear();
        wanted.held.insert(port(82).into());
    }
    let held = wanted.held.iter();
    let ports = held.map(|port| (*port, BTreeSet::new())).collect();
    routes.forget_connections(&ports).await.unwrap();
    routes.forget_strays(&wanted.held).await.unwrap();
}

async fn a_table_that_cannot_be_is_refused_whole(machine: &impl Machine) {
    let routes = machine.routes();
    let mut impossible = table();
    impossible.bridge = "not an interface".to_owned();
    routes.ensure_routing(&impossible).await.unwrap_err();
    assert_eq!(routes.observe_routing().await.unwrap(), None);
}

fn local(text: &str) -> LocalPort {
    text.parse::<RoutePort>().unwrap().try_into().unwrap()
}

async fn links_are_set_replaced_and_removed(machine: &impl Machine) {
    let (routes, process) = (machine.routes(), machine.process());
    let nothing = ContainerLinks::new();
    assert_eq!(routes.observe_links(process).await, Some(nothing.clone()));
    let first = ContainerLinks::from([(port(5432).into(), port(27000))]);
    let second = ContainerLinks::from([
        (port(5432).into(), port(27001)),
        (local("53/udp"), port(27002)),
        (local("127.1.0.5:5432"), port(27003)),
    ]);
    for links in [first, second, nothing] {
        for change in [Change::Changed, Change::Unchanged] {
            let ensured = routes.ensure_links(process, GATEWAY, &links).await;
            assert_eq!(ensured.unwrap(), change);
            assert_eq!(routes.observe_links(process).await.as_ref(), Some(&links));
        }
    }
    assert_eq!(routes.observe_routing().await.unwrap(), None);
}

async fn what_has_ended_has_no_links(machine: &impl Machine) {
    let routes = machine.routes();
    // Linux numbers no process so high.
    let ended = u32::MAX / 2;
    assert_eq!(routes.observe_links(ended).await, None);
    let links = ContainerLinks::from([(port(5432).into(), port(27000))]);
    let ensured = routes.ensure_links(ended, GATEWAY, &links).await;
    ensured.unwrap_err();
}

/// Every test of the suite.
macro_rules! routes_suite {
    ($run:path, $fixture:path) => {
        crate::tests::contract::suite! {
            $run, $fixture,
            what_is_programmed_is_observed_and_programmed_once
            a_table_that_cannot_be_is_refused_whole
            links_are_set_replaced_and_removed
            what_has_ended_has_no_links
        }
    };
}

/// In memory.
mod fake {
    use super::Machine;
    use crate::platform::Containers as _;
    use crate::tests::contract::run;
    use crate::tests::fake::{FakeContainers, FakeRoutes, Faults, Host};

    struct InMemory(FakeRoutes, u32);

    async fn new() -> Option<InMemory> {
        let host = Host::new(Faults::default());
        let containers = FakeContainers { host: host.clone() };
        let process = containers
            .ensure_namespace(
                &"web".parse().unwrap(),
                &flocker_model::NetworkIdentity::default(),
            )
            .await;
        Some(InMemory(FakeRoutes { host }, process.unwrap()))
    }

    impl Machine for InMemory {
        type Routes = FakeRoutes;

        fn routes(&self) -> &FakeRoutes {
            &self.0
        }

        fn process(&self) -> u32 {
            self.1
        }
    }

    routes_suite! { run, new }
}

/// In the real kernel: all threads of a test are in a network namespace of their own, which the
/// kernel removes with them.
#[cfg(feature = "real-machine")]
pub(in crate::tests) mod kernel {
    use std::fs::File;
    use std::process::{Child, Command, Stdio};
    use std::sync::Arc;
    use std::thread;

    use flocker_net::NetworkNamespace;
    use nix::errno::Errno;
    use nix::sched::{CloneFlags, setns, unshare};

    use super::Machine;
    use crate::linux::Kernel;
    use crate::tests::contract::skip;

    /// A machine whose one container is a program that reads its input.
    struct InNamespace(Kernel, Child);

    impl Drop for InNamespace {
        fn drop(&mut self) {
            self.1.kill().unwrap();
            self.1.wait().unwrap();
        }
    }

    async fn new() -> Option<InNamespace> {
        let container = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo here; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut container = container.unwrap();
        // It is in its namespace by then.
        let mut said = [0; 4];
        std::io::Read::read_exact(container.stdout.as_mut().unwrap(), &mut said).unwrap();
        Some(InNamespace(Kernel, container))
    }

    impl Machine for InNamespace {
        type Routes = Kernel;

        fn routes(&self) -> &Kernel {
            &self.0
        }

        fn process(&self) -> u32 {
            self.1.id()
        }
    }

    /// Makes a namespace and keeps it open.
    fn namespace() -> Result<File, Errno> {
        let unshared = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            Ok(File::open("/proc/thread-self/ns/net").unwrap())
        });
        unshared.join().unwrap()
    }

    /// Runs a test whose threads are all in a network namespace of its own.
    pub(in crate::tests) fn run_in_namespace(test: impl Future<Output = ()> + Send) {
        let namespace = match namespace() {
            Ok(namespace) => Arc::new(namespace),
            Err(errno) => return skip(&format!("network namespaces need root: {errno}")),
        };
        let inside = Arc::clone(&namespace);
        let enter = move || setns(&*inside, CloneFlags::CLONE_NEWNET).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .on_thread_start(enter)
            .build()
            .unwrap();
        let path = format!(
            "/proc/self/fd/{}",
            std::os::fd::AsRawFd::as_raw_fd(&*namespace)
        );
        let namespace = NetworkNamespace::at(path).unwrap();
        namespace.run(|| runtime.block_on(test)).unwrap();
    }

    routes_suite! { run_in_namespace, new }
}
