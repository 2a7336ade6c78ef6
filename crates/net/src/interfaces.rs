//! Asking the kernel about network interfaces, and changing them.

use std::io;
use std::thread;

use rtnetlink::Handle;
use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage};

/// Why network interfaces could not be looked at or changed.
#[derive(Debug, thiserror::Error)]
pub enum InterfaceError {
    /// No netlink socket.
    #[error("could not ask the kernel for network interfaces")]
    Socket(#[source] io::Error),
    /// The kernel refused.
    #[error("the kernel would not show or set up a network interface")]
    Refused(#[source] rtnetlink::Error),
}

/// Runs `work` with a socket of the network namespace that the calling thread is in.
///
/// On a thread of its own: the caller may be a task of an asynchronous runtime, in which another
/// runtime cannot be run. The thread is in the caller's network namespace.
///
/// # Errors
/// When there is no socket, or `work` fails.
pub(crate) fn with_interfaces<T: Send>(
    work: impl AsyncFnOnce(&Handle) -> Result<T, rtnetlink::Error> + Send,
) -> Result<T, InterfaceError> {
    let done = thread::scope(|scope| {
        let working = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build()
                .map_err(InterfaceError::Socket)?;
            runtime.block_on(async {
                let (connection, handle, _unsolicited) =
                    rtnetlink::new_connection().map_err(InterfaceError::Socket)?;
                tokio::select! {
                    done = work(&handle) => done.map_err(InterfaceError::Refused),
                    () = connection => {
                        Err(InterfaceError::Refused(rtnetlink::Error::RequestFailed))
                    }
                }
            })
        });
        working.join()
    });
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Tells whether an interface has this name.
pub(crate) fn is_named(link: &LinkMessage, name: &str) -> bool {
    let named = |attribute: &LinkAttribute| matches!(attribute, LinkAttribute::IfName(found) if found == name);
    link.attributes.iter().any(named)
}

/// Tells whether the kernel refused because the interface has gone meanwhile.
pub(crate) fn has_gone(error: &rtnetlink::Error) -> bool {
    let rtnetlink::Error::NetlinkError(message) = error else {
        return false;
    };
    let errno = nix::errno::Errno::from_raw(message.raw_code().abs());
    matches!(errno, nix::errno::Errno::ENODEV | nix::errno::Errno::EINVAL)
}
