//! A netlink socket to netfilter.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    setsockopt, socket, sockopt,
};

use super::message::{Reply, Request, parse_replies};

/// Room for a transaction of some hundred thousand elements, and for the answers to it, in bytes.
///
/// A transaction has to be sent at once: in two parts the kernel applies neither, and says nothing.
const SOCKET_BUFFER: usize = 64 << 20;

/// Larger than any datagram that the kernel sends in answer, in bytes.
const RECEIVE_BUFFER: usize = 256 << 10;

/// How often a list is asked for that keeps changing while it is made.
const DUMP_ATTEMPTS: u32 = 20;

/// Why netfilter could not be talked to, or what it refused.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// The socket could not be used.
    #[error("netlink {operation} failed; this takes root and a kernel with nf_tables")]
    Socket {
        /// The system call.
        operation: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The kernel refused a request.
    #[error("the kernel refused to {request}")]
    Refused {
        /// What it was asked.
        request: &'static str,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// The kernel refused a transaction, which changed nothing.
    #[error("the kernel refused the firewall transaction and changed nothing: {}", list(.refusals))]
    Transaction {
        /// The messages that it refused.
        refusals: Vec<Refusal>,
    },
    /// Others kept changing the firewall while it was read.
    #[error("the firewall kept changing while it was read; run the command again")]
    Unsteady,
}

/// One message of a transaction that the kernel refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What the message was for.
    pub operation: String,
    /// The kernel's error number.
    pub errno: i32,
}

fn list(refusals: &[Refusal]) -> String {
    let texts: Vec<_> = refusals
        .iter()
        .map(|refusal| {
            let reason = io::Error::from_raw_os_error(refusal.errno);
            format!("{}: {reason}", refusal.operation)
        })
        .collect();
    texts.join("; ")
}

impl NetlinkError {
    pub(super) fn socket(operation: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| Self::Socket {
            operation,
            source: errno.into(),
        }
    }

    /// Tells whether the thing that was asked about does not exist.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A netlink socket to netfilter, of the network namespace that the thread is in.
pub(crate) struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

impl Netlink {
    /// Opens a socket.
    ///
    /// # Errors
    /// When the kernel has no netfilter or the process is not root.
    pub(crate) fn open() -> Result<Self, NetlinkError> {
        Self::open_for(0)
    }

    /// Opens a socket that also gets the notifications of these groups, a bit for each.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(super) fn open_for(groups: u32) -> Result<Self, NetlinkError> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkNetFilter,
        )
        .map_err(NetlinkError::socket("socket"))?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups))
            .map_err(NetlinkError::socket("bind"))?;
        setsockopt(&socket, sockopt::SndBufForce, &SOCKET_BUFFER)
            .and_then(|()| setsockopt(&socket, sockopt::RcvBufForce, &SOCKET_BUFFER))
            .map_err(NetlinkError::socket("setsockopt"))?;
        Ok(Self {
            socket,
            sequence: 0,
        })
    }

    /// Sends a request and returns the kernel's answers to it; `purpose` completes "refused to …".
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn ask(
        &mut self,
        request: &Request,
        purpose: &'static str,
    ) -> Result<Vec<Reply>, NetlinkError> {
        for _attempt in 0..DUMP_ATTEMPTS {
            self.sequence = self.sequence.wrapping_add(1);
            let message = request.encode(self.sequence);
            self.send(&message)?;
            if let Some(replies) = self.receive_answer(request, purpose)? {
                return Ok(replies);
            }
        }
        Err(NetlinkError::Unsteady)
    }

    /// Collects the answers to the last request; `None` if the list changed under way.
    fn receive_answer(
        &self,
        request: &Request,
        purpose: &'static str,
    ) -> Result<Option<Vec<Reply>>, NetlinkError> {
        let mut answers = Vec::new();
        let mut interrupted = false;
        loop {
            let datagram = self
                .receive(MsgFlags::empty())
                .map_err(NetlinkError::socket("recv"))?;
            for reply in parse_replies(&datagram) {
                if reply.sequence != self.sequence {
                    continue;
                }
                interrupted |= reply.was_interrupted();
                let ends = reply.ends_dump();
                match reply.error_number() {
                    Some(0) if ends || !request.wants_dump() => {
                        return Ok((!interrupted).then_some(answers));
                    }
                    Some(0) => {}
                    Some(errno) => {
                        let source = io::Error::from_raw_os_error(errno);
                        return Err(NetlinkError::Refused {
                            request: purpose,
                            source,
                        });
                    }
                    None => answers.push(reply),
                }
            }
        }
    }

    /// Sends one datagram and returns every answer that the kernel has for it.
    ///
    /// The kernel works on a batch while it takes the datagram, so that all answers are there when
    /// `send` returns.
    pub(super) fn exchange(&self, datagram: &[u8]) -> Result<Vec<Reply>, NetlinkError> {
        self.send(datagram)?;
        let mut replies = Vec::new();
        loop {
            match self.receive(MsgFlags::MSG_DONTWAIT) {
                Ok(datagram) => replies.extend(parse_replies(&datagram)),
                Err(Errno::EAGAIN) => return Ok(replies),
                Err(errno) => return Err(NetlinkError::socket("recv")(errno)),
            }
        }
    }

    fn send(&self, datagram: &[u8]) -> Result<(), NetlinkError> {
        let sent = send(self.socket.as_raw_fd(), datagram, MsgFlags::empty())
            .map_err(NetlinkError::socket("send"))?;
        if sent == datagram.len() {
            Ok(())
        } else {
            Err(NetlinkError::socket("send")(Errno::EMSGSIZE))
        }
    }

    pub(super) fn receive(&self, flags: MsgFlags) -> Result<Vec<u8>, Errno> {
        let mut buffer = vec![0; RECEIVE_BUFFER];
        loop {
            match recv(self.socket.as_raw_fd(), &mut buffer, flags) {
                Ok(length) => {
                    buffer.truncate(length);
                    return Ok(buffer);
                }
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}
