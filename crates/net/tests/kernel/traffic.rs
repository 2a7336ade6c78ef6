//! Real TCP between machines.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::world::Machine;

/// How long anything may take that should happen at once.
const DEADLINE: Duration = Duration::from_secs(15);

/// Serves connections on any address of a machine: greets with its name and the client's address,
/// then sends back each line.
pub(crate) fn serve(machine: &Machine, name: &'static str, port: u16) {
    serve_at(machine, name, (Ipv4Addr::UNSPECIFIED, port));
}

/// Serves connections on one address of a machine.
pub(crate) fn serve_at(machine: &Machine, name: &'static str, address: (Ipv4Addr, u16)) {
    let listener = machine.run(|| TcpListener::bind(address).unwrap());
    thread::spawn(move || {
        while let Ok((stream, peer)) = listener.accept() {
            thread::spawn(move || greet_and_echo(name, stream, peer.ip()));
        }
    });
}

fn greet_and_echo(name: &str, mut stream: TcpStream, peer: IpAddr) -> io::Result<()> {
    writeln!(stream, "{name} {peer}")?;
    let mut lines = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while lines.read_line(&mut line)? > 0 {
        stream.write_all(line.as_bytes())?;
        line.clear();
    }
    Ok(())
}

/// An open connection.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    /// What the server called itself.
    pub(crate) server: String,
    /// What the server took for the client's address.
    pub(crate) seen_as: Ipv4Addr,
}

impl Connection {
    pub(crate) fn open(from: &Machine, address: Ipv4Addr, port: u16) -> io::Result<Self> {
        let address = SocketAddr::from((address, port));
        let stream = from.run(|| TcpStream::connect_timeout(&address, DEADLINE))?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        let mut stream = BufReader::new(stream);
        let mut greeting = String::new();
        stream.read_line(&mut greeting)?;
        let (server, seen_as) = greeting
            .trim_end()
            .split_once(' ')
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(Self {
            server: server.to_owned(),
            seen_as: seen_as.parse().map_err(io::Error::other)?,
            stream,
        })
    }

    /// Waits no longer than a second for anything from now on.
    pub(crate) fn give_up_soon(&mut self) {
        let soon = Some(Duration::from_secs(1));
        self.stream.get_mut().set_read_timeout(soon).unwrap();
    }

    /// Sends a line and waits for it to come back.
    pub(crate) fn echo(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.stream.get_mut(), "{line}")?;
        let mut answer = String::new();
        self.stream.read_line(&mut answer)?;
        if answer.trim_end() == line {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}

/// Connects and returns who answered, and as whom it saw the client.
#[track_caller]
pub(crate) fn ask(from: &Machine, address: Ipv4Addr, port: u16) -> (String, Ipv4Addr) {
    match Connection::open(from, address, port) {
        Ok(connection) => (connection.server, connection.seen_as),
        Err(error) => panic!("{address}:{port}: {error}"),
    }
}

/// Connects and expects to be refused, and at once.
#[track_caller]
pub(crate) fn refused(from: &Machine, address: Ipv4Addr, port: u16) {
    match Connection::open(from, address, port) {
        Ok(connection) => panic!("{address}:{port} is answered by {}", connection.server),
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "{error}"),
    }
}

/// Tells whether a connection can be made within a second.
pub(crate) fn answers_soon(from: &Machine, address: Ipv4Addr, port: u16) -> bool {
    let address = SocketAddr::from((address, port));
    from.run(|| TcpStream::connect_timeout(&address, Duration::from_secs(1)))
        .is_ok()
}

/// Waits until a machine has sent the first packet of a connection to a port at least twice.
pub(crate) fn await_retry(machine: &Machine, port: u16) {
    let deadline = Instant::now() + DEADLINE;
    let remote = format!(":{port:04X}");
    loop {
        let table = machine.run(|| std::fs::read_to_string("/proc/thread-self/net/tcp").unwrap());
        let retried = table.lines().any(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            fields.len() > 6
                && fields[2].ends_with(&remote)
                && fields[3] == "02"
                && !fields[6].trim_start_matches('0').is_empty()
        });
        if retried {
            return;
        }
        assert!(Instant::now() < deadline, "no packet was sent again");
        thread::yield_now();
    }
}
