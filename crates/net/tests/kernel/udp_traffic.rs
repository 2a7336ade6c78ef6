//! Real UDP between machines.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use super::world::Machine;

/// How long an answer may take that should come at once.
const DEADLINE: Duration = Duration::from_secs(15);
/// How long to wait for one answer before the question is asked again.
const PATIENCE: Duration = Duration::from_millis(300);

/// Answers each packet to a port of a machine with a name, the client's address, and the packet.
pub(crate) fn serve_udp(machine: &Machine, name: &'static str, port: u16) {
    let socket = machine.run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap());
    thread::spawn(move || {
        let mut packet = vec![0; 65536];
        while let Ok((length, client)) = socket.recv_from(&mut packet) {
            let mut answer = format!("{name} {} ", client.ip()).into_bytes();
            answer.extend(&packet[..length]);
            // Who asked may have gone.
            let _ = socket.send_to(&answer, client);
        }
    });
}

/// A socket of a client that takes answers from nowhere but from where it asked.
pub(crate) struct Client {
    socket: UdpSocket,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// What the server called itself.
    pub(crate) server: String,
    /// What the server took for the client's address.
    pub(crate) seen_as: Ipv4Addr,
}

impl Client {
    pub(crate) fn new(from: &Machine, address: Ipv4Addr, port: u16) -> Self {
        Self::bound_to(
            Ipv4Addr::UNSPECIFIED,
            from,
            SocketAddr::from((address, port)),
        )
    }

    /// Makes one that asks from one of its machine's addresses.
    pub(crate) fn bound_to(source: Ipv4Addr, from: &Machine, server: SocketAddr) -> Self {
        let socket = from.run(|| {
            let socket = UdpSocket::bind((source, 0)).unwrap();
            socket.connect(server).unwrap();
            socket
        });
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket }
    }

    /// Sends one packet and waits a moment for its answer.
    pub(crate) fn ask_once(&self, question: &str) -> io::Result<Answer> {
        self.socket.send(question.as_bytes())?;
        let mut packet = vec![0; 65536];
        loop {
            let length = self.socket.recv(&mut packet)?;
            let text = String::from_utf8_lossy(&packet[..length]).into_owned();
            let mut parts = text.splitn(3, ' ');
            let mut next = || parts.next().ok_or(ErrorKind::InvalidData);
            let (server, seen_as, echo) = (next()?, next()?, next()?);
            // What was asked before may be answered late.
            if echo == question {
                return Ok(Answer {
                    server: server.to_owned(),
                    seen_as: seen_as.parse().map_err(io::Error::other)?,
                });
            }
        }
    }

    /// Asks until there is an answer.
    #[track_caller]
    pub(crate) fn ask(&self, question: &str) -> Answer {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.ask_once(question) {
                Ok(answer) => return answer,
                Err(error) => assert!(Instant::now() < deadline, "no answer: {error}"),
            }
        }
    }
}

/// Asks with a socket of its own, and returns who answered.
#[track_caller]
pub(crate) fn ask_udp(from: &Machine, address: Ipv4Addr, port: u16) -> Answer {
    Client::new(from, address, port).ask("who is there?")
}

/// Asks once and expects nothing to come back, not even that nobody is there.
#[track_caller]
pub(crate) fn ignored_udp(from: &Machine, address: Ipv4Addr, port: u16) {
    let answer = Client::new(from, address, port).ask_once("is nobody there?");
    let error = answer.unwrap_err();
    assert!(is_silence(&error), "{error}");
}

/// Tells whether a packet was dropped: nothing came back, or the kernel did not let it leave its own
/// machine.
pub(crate) fn is_silence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::PermissionDenied
    )
}

/// Asks once and expects to be told that nobody is there.
#[track_caller]
pub(crate) fn refused_udp(from: &Machine, address: Ipv4Addr, port: u16) {
    let answer = Client::new(from, address, port).ask_once("is nobody there?");
    let error = answer.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
}
