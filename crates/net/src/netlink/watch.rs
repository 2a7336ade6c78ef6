//! Being told of changes to the firewall.
//!
//! **Source**: `netlink(7)`, `linux/netfilter/nfnetlink.h` (`NFNLGRP_NFTABLES`).

use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::MsgFlags;

use super::message::parse_replies;
use super::socket::{Netlink, NetlinkError};
use super::table_reply::mentions;

/// `NFNLGRP_NFTABLES`, the seventh group, as a bit.
const GROUP: u32 = 1 << 6;

/// Changes come in bursts, as while Docker starts: the burst has ended after this long without one.
const QUIET: Duration = Duration::from_millis(50);
/// A burst that does not end is looked at all the same.
const LONGEST_BURST: Duration = Duration::from_millis(500);

/// The kernel's notifications of firewall changes, in the network namespace that the thread is in.
pub(crate) struct FirewallEvents {
    netlink: Netlink,
}

impl FirewallEvents {
    /// Subscribes. Changes from now on are not missed.
    ///
    /// # Errors
    /// When the kernel has no netfilter or the process is not root.
    pub(crate) fn subscribe() -> Result<Self, NetlinkError> {
        let netlink = Netlink::open_for(GROUP)?;
        Ok(Self { netlink })
    }

    /// Sleeps until something has changed in a chain that `is_meant` accepts, or in its table, and
    /// for `longest` at most if that is given.
    ///
    /// Whatever is queued by then is taken together. Lost notifications count as a change.
    ///
    /// # Errors
    /// When the socket fails.
    pub(crate) fn wait(
        &self,
        longest: Option<Duration>,
        is_meant: impl Fn(&str, &str) -> bool,
    ) -> Result<(), NetlinkError> {
        let end = longest.map(|longest| Instant::now() + longest);
        while self.is_ready(end)? {
            if self.take(&is_meant)? {
                return self.drain(&is_meant);
            }
        }
        Ok(())
    }

    /// Takes the rest of a burst.
    fn drain(&self, is_meant: impl Fn(&str, &str) -> bool) -> Result<(), NetlinkError> {
        let end = Instant::now() + LONGEST_BURST;
        while Instant::now() < end && self.is_ready(Some(Instant::now() + QUIET))? {
            self.take(&is_meant)?;
        }
        Ok(())
    }

    /// Takes one notification; tells whether it is meant.
    fn take(&self, is_meant: impl Fn(&str, &str) -> bool) -> Result<bool, NetlinkError> {
        match self.netlink.receive(MsgFlags::MSG_DONTWAIT) {
            Ok(datagram) => Ok(mentions(&parse_replies(&datagram), is_meant)),
            Err(Errno::EAGAIN) => Ok(false),
            // Notifications were lost.
            Err(Errno::ENOBUFS) => Ok(true),
            Err(errno) => Err(NetlinkError::socket("recv")(errno)),
        }
    }

    /// Sleeps until there is a notification, or until `end`; tells which.
    fn is_ready(&self, end: Option<Instant>) -> Result<bool, NetlinkError> {
        loop {
            let timeout = match end {
                None => PollTimeout::NONE,
                Some(end) => {
                    let rest = end.saturating_duration_since(Instant::now());
                    // Rounded up, so that it does not turn around while less than 1 ms is left.
                    let milliseconds = rest.as_micros().div_ceil(1000);
                    PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX)
                }
            };
            let mut polled = [PollFd::new(self.netlink.as_fd(), PollFlags::POLLIN)];
            match poll(&mut polled, timeout) {
                Ok(0) if end.is_some_and(|end| Instant::now() < end) => {}
                Ok(ready) => return Ok(ready > 0),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(NetlinkError::socket("poll")(errno)),
            }
        }
    }
}
