//! Requests to netfilter and the kernel's answers.
//!
//! **Source**: `netlink(7)`, `linux/netfilter/nfnetlink.h`.

use nix::libc;

use super::attributes::{aligned, push, push_nested};

/// Size of `struct nlmsghdr`.
const HEADER: usize = 16;
/// Size of `struct nfgenmsg`, which every netfilter message begins with.
const NETFILTER_HEADER: usize = 4;

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    kind: u16,
    flags: u16,
    family: u8,
    attributes: Vec<u8>,
}

impl Request {
    /// Starts a request to a subsystem (`NFNL_SUBSYS_*`), about IPv4.
    pub(crate) fn new(subsystem: libc::c_int, message: libc::c_int) -> Self {
        let kind = (subsystem << 8) | message;
        Self {
            kind: u16::try_from(kind).unwrap_or_default(),
            flags: 0,
            family: u8::try_from(libc::NFPROTO_IPV4).unwrap_or_default(),
            attributes: Vec::new(),
        }
    }

    /// Asks about another family than IPv4 (`NFPROTO_…`; 0 for all of them).
    pub(crate) fn family(self, family: u8) -> Self {
        Self { family, ..self }
    }

    /// Asks for everything of a kind.
    pub(crate) fn dump(mut self) -> Self {
        self.flags |= flags(libc::NLM_F_DUMP);
        self
    }

    /// Asks for a word when it is done.
    pub(crate) fn acknowledged(mut self) -> Self {
        self.flags |= flags(libc::NLM_F_ACK);
        self
    }

    /// Adds NUL-terminated text.
    pub(crate) fn text(mut self, kind: u16, text: &str) -> Self {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        push(&mut self.attributes, kind, &bytes);
        self
    }

    /// Adds bytes.
    pub(crate) fn bytes(mut self, kind: u16, bytes: &[u8]) -> Self {
        push(&mut self.attributes, kind, bytes);
        self
    }

    /// Adds attributes in an attribute.
    pub(crate) fn nested(mut self, kind: u16, attributes: &[u8]) -> Self {
        push_nested(&mut self.attributes, kind, attributes);
        self
    }

    /// Tells whether the kernel answers with a list.
    pub(super) fn wants_dump(&self) -> bool {
        self.flags & flags(libc::NLM_F_DUMP) == flags(libc::NLM_F_DUMP)
    }

    /// Returns the message.
    pub(super) fn encode(&self, sequence: u32) -> Vec<u8> {
        let length = HEADER + NETFILTER_HEADER + self.attributes.len();
        let mut message = Vec::with_capacity(length);
        message.extend(u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
        message.extend(self.kind.to_ne_bytes());
        message.extend((self.flags | flags(libc::NLM_F_REQUEST)).to_ne_bytes());
        message.extend(sequence.to_ne_bytes());
        message.extend([0; 4]);
        message.extend([self.family, 0, 0, 0]);
        message.extend(&self.attributes);
        message
    }
}

fn flags(flags: libc::c_int) -> u16 {
    u16::try_from(flags).unwrap_or_default()
}

/// A message from the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The header's type.
    pub(super) kind: u16,
    /// The header's flags.
    pub(super) flags: u16,
    /// The request's sequence number.
    pub(super) sequence: u32,
    /// What follows the header.
    pub(super) payload: Vec<u8>,
}

impl Reply {
    /// Returns the attributes of a netfilter message.
    pub(crate) fn attributes(&self) -> &[u8] {
        self.payload.get(NETFILTER_HEADER..).unwrap_or_default()
    }

    /// Tells whether it is a message of this number of a subsystem (`NFNL_SUBSYS_*`).
    pub(super) fn is_from(&self, subsystem: libc::c_int, message: libc::c_int) -> bool {
        i32::from(self.kind) == (subsystem << 8) | message
    }

    /// Returns the number of the message, if it is one of a subsystem (`NFNL_SUBSYS_*`).
    pub(super) fn number(&self, subsystem: libc::c_int) -> Option<libc::c_int> {
        let kind = i32::from(self.kind);
        (kind >> 8 == subsystem).then_some(kind & 0xff)
    }

    /// Returns the number of the family that a netfilter message is about (`NFPROTO_…`).
    pub(super) fn family(&self) -> Option<u8> {
        self.payload.first().copied()
    }

    /// Returns the error number that the kernel reports, 0 for an acknowledgement.
    pub(super) fn error_number(&self) -> Option<i32> {
        if i32::from(self.kind) != libc::NLMSG_ERROR && i32::from(self.kind) != libc::NLMSG_DONE {
            return None;
        }
        // The end of a list may come without a number.
        let number = self.payload.split_first_chunk::<4>();
        let number = number.map_or(0, |(bytes, _)| i32::from_ne_bytes(*bytes));
        Some(number.saturating_neg())
    }

    /// Tells whether this ends a list.
    pub(super) fn ends_dump(&self) -> bool {
        i32::from(self.kind) == libc::NLMSG_DONE
    }

    /// Tells whether something changed while the list was made, so that it may lack some of it.
    pub(super) fn was_interrupted(&self) -> bool {
        self.flags & flags(libc::NLM_F_DUMP_INTR) != 0
    }
}

/// Splits a datagram into its messages; ends early at one that does not fit.
pub(crate) fn parse_replies(datagram: &[u8]) -> Vec<Reply> {
    let mut replies = Vec::new();
    let mut rest = datagram;
    while let Some((header, _)) = rest.split_first_chunk::<HEADER>() {
        let [l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, ..] = *header;
        let length = usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
        let Some(payload) = rest.get(HEADER..length) else {
            break;
        };
        replies.push(Reply {
            kind: u16::from_ne_bytes([k0, k1]),
            flags: u16::from_ne_bytes([f0, f1]),
            sequence: u32::from_ne_bytes([s0, s1, s2, s3]),
            payload: payload.to_vec(),
        });
        rest = rest.get(aligned(length)..).unwrap_or_default();
    }
    replies
}
