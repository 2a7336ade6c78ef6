//! Why a session was not begun, in words, and what is at the node all the same.

use flocker_model::{NodeName, render_utc};
use flocker_remote::protocol::{LockHolder, LockPurpose, RefusedReason, Speaks};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Caller;

/// A session that was not begun.
#[derive(Debug)]
pub(crate) struct NotBegun {
    /// Why.
    pub(crate) failure: Failure,
    /// What is there all the same.
    pub(crate) presence: Presence,
}

/// What is at a node's address, as far as somebody can tell who has no session with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Nothing that answers.
    Absent,
    /// Something, which may be another machine.
    Answers,
    /// A node that somebody else is changing.
    Busy,
    /// A node that this run is changing: under another name, or by what is left of a session that was
    /// cut off.
    Ourselves,
}

impl From<Failure> for NotBegun {
    /// After the connection was made.
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            presence: Presence::Answers,
        }
    }
}

/// Says why a node refused the session, and who is at it.
pub(crate) fn not_begun(node: &NodeName, reason: &RefusedReason, caller: &Caller) -> NotBegun {
    NotBegun {
        failure: refused(node, reason, caller),
        presence: presence_of(reason, caller),
    }
}

/// Tells who is at a node that refused the session.
fn presence_of(reason: &RefusedReason, caller: &Caller) -> Presence {
    match reason {
        RefusedReason::Locked {
            holder: Some(holder),
        } if holder.session == caller.session => Presence::Ourselves,
        RefusedReason::Locked { .. } => Presence::Busy,
        RefusedReason::ProtocolVersion(_) | RefusedReason::NotObserved { .. } => Presence::Answers,
    }
}

/// Explains why a node refused the session.
fn refused(node: &NodeName, reason: &RefusedReason, caller: &Caller) -> Failure {
    match reason {
        RefusedReason::Locked {
            holder: Some(holder),
        } if holder.session == caller.session => locked_by_ourselves(node, holder),
        RefusedReason::Locked { holder } => locked(node, holder.as_ref()),
        RefusedReason::ProtocolVersion(theirs) => {
            let message = format!(
                "{node}: it has flocker-node {theirs}, and this is flocker-cluster {}",
                Speaks::ours()
            );
            Failure::new(Exit::Blocked, message).hint(format!(
                "install the same release of Flocker on {node} and on this machine"
            ))
        }
        RefusedReason::NotObserved { failure } => {
            let message = format!("{node}: its state cannot be observed");
            // The node answers: whoever reads this need not look for it.
            Failure {
                exit: Exit::Blocked,
                ..Failure::of_step(message, failure.clone())
            }
        }
    }
}

/// Says for what a node is waited for.
pub(crate) fn busy(node: &NodeName, holder: &LockHolder) -> String {
    let LockHolder {
        operator, process, ..
    } = holder;
    let since = render_utc(holder.since);
    match holder.purpose {
        LockPurpose::Comply => format!(
            "{node}: waiting until it has made itself comply with its last configuration, as after \
             a boot (since {since}, process {process} on {node})"
        ),
        LockPurpose::Begin => format!(
            "{node}: waiting for {operator}, who began at the same time, to give way or to go on \
             (since {since}, process {process} on {node})"
        ),
        // Nobody waits for anybody else's deploy.
        LockPurpose::Deploy => format!(
            "{node}: waiting until what this command began there before it was cut off has ended \
             (since {since}, process {process} on {node})"
        ),
    }
}

/// Explains that this run has the node's lock already.
fn locked_by_ourselves(node: &NodeName, holder: &LockHolder) -> Failure {
    match holder.purpose {
        // It asks again only where it was cut off.
        LockPurpose::Deploy => {
            let process = holder.process;
            let message = format!(
                "{node}: what this command began there before it was cut off has not ended (process \
                 {process} on {node})"
            );
            Failure::new(Exit::Blocked, message)
                .hint("run the same command again when that has ended")
        }
        LockPurpose::Begin | LockPurpose::Comply => {
            let message = format!("{node} is a second name of a machine that is named already");
            Failure::new(Exit::Blocked, message).hint("name each machine once in the deployment")
        }
    }
}

/// Explains who else is changing a node.
fn locked(node: &NodeName, holder: Option<&LockHolder>) -> Failure {
    let Some(holder) = holder else {
        return Failure::new(
            Exit::Blocked,
            format!("{node}: another deploy is under way"),
        )
        .hint("run the same command again when it has ended");
    };
    let LockHolder {
        operator, process, ..
    } = holder;
    let since = render_utc(holder.since);
    let message = match holder.purpose {
        LockPurpose::Begin => format!(
            "{node}: {operator} began at the same time, at {since}, and goes first (process \
             {process} on {node})"
        ),
        LockPurpose::Deploy | LockPurpose::Comply => format!(
            "{node}: {operator} has been changing it since {since} (process {process} on {node})"
        ),
    };
    Failure::new(Exit::Blocked, message).hint(
        "run the same command again when that has ended; the lock is gone with its process, so \
         there is nothing to clean up",
    )
}
