//! Which of several operators goes on when they begin at once.
//!
//! An operator asks all nodes at once, so that a deploy costs one round trip; two who begin in the
//! same moment may each be given some nodes. These rules make one of them go on:
//!
//! 1. A node's lock is had by one session at a time. Until its operator *goes on*, which it says to
//!    every node once it has looked at all of them, the session is only [beginning] and has
//!    changed nothing.
//! 2. All nodes know the same order of sessions: whoever [began first][goes_first].
//! 3. A node whose lock is had by a beginning session lets those that go before it wait, and refuses
//!    those that go after it. A session that has gone on is waited for by nobody.
//! 4. An operator who is refused a node because of another operator gives way: it frees all that it
//!    has, at once, and waits for no other answer.
//! 5. An operator who has gone on, and whose session with a node was cut off, may ask that node once
//!    more in the same run. What is left of the former session has the lock for a while: the step
//!    that it was at, which is finished, or a command of a process that was killed. That is [waited
//!    for](Turn::AfterItself). Whoever else was faster has the node by the rules above, and the
//!    operator goes on without it.
//!
//! **Nobody waits for ever.** Among sessions, an earlier one waits for a later one and never the
//! other way round, so that there is no circle. What the last of a row of waiting ones waits for
//! are answers of nodes, and those have deadlines of their own: connecting, logging in, signs of
//! life. A machine that complies with configuration by itself is waited for by everybody, has the
//! lock of no other machine, and waits for an operator only while that one begins. And however all
//! of this turns out, [`GIVING_WAY`] is the longest that one node lets one session wait for others.
//!
//! **Of two, exactly one goes on**, if they ask for a machine in common that both reach, and none
//! is killed: the later one gives way only where the earlier one has a lock, and the earlier one is
//! refused only where the later one has gone on. Neither can happen after the other: who has given
//! way does not go on, and who has gone on has every lock that it asked for. Machines that one of
//! them cannot reach do not matter, as it has no lock there, and neither does it matter how far
//! their sets overlap. An operator who is killed frees its locks like one who gives way: the kernel
//! and the SSH server see to it. So does one that is cut off from a machine, which is then as if it
//! had not been asked for.
//!
//! **Of more than two, at least one goes on**: the earliest of those that still ask is refused only
//! by one who has gone on. Others may give way to one who then gives way itself.
//!
//! The exception is an operator who takes longer than [`GIVING_WAY`] to look at all nodes, because
//! it is asked for a pass phrase, say. An earlier one gives up then, and if the later one comes to
//! its lock in the same moment, both are refused. Nothing was changed, and the next deploy is alone.
//!
//! The clocks of operators need not agree: the order is one whatever they say. They only make it
//! fair.
//!
//! [beginning]: LockPurpose::Begin
//! [goes_first]: Begin::goes_before

use std::time::Duration;

use super::messages::{Begin, LockHolder, LockPurpose};

/// How long a node lets a session wait for later ones to give way or go on. Longer than a host is
/// waited for that does not answer at all.
pub const GIVING_WAY: Duration = Duration::from_secs(30);

/// What becomes of a session at a node whose lock somebody else has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It waits: the node is busy with itself, and that ends.
    AfterTheNode,
    /// It waits, but not for longer than [`GIVING_WAY`]: the other will give way or go on.
    First,
    /// It waits, but not for longer than [`GIVING_WAY`]: what has the lock is left of a session of
    /// its own run that was cut off, and ends.
    AfterItself,
    /// It is refused.
    Refused,
}

/// Decides what becomes of the session that `begin` would begin.
pub fn turn(begin: &Begin, holder: &LockHolder) -> Turn {
    match holder.purpose {
        LockPurpose::Comply => Turn::AfterTheNode,
        // Before it has gone on, a run that has the lock already knows the node by two names.
        LockPurpose::Deploy if begin.session == holder.session => Turn::AfterItself,
        LockPurpose::Begin if begin.goes_before(holder) => Turn::First,
        LockPurpose::Begin | LockPurpose::Deploy => Turn::Refused,
    }
}

impl Begin {
    /// Tells whether this session goes before that of `holder`: it began earlier, or in the same
    /// millisecond and has the lesser name. None goes before itself.
    pub fn goes_before(&self, holder: &LockHolder) -> bool {
        (self.started, &self.session) < (holder.started, &holder.session)
    }
}

#[cfg(test)]
mod tests;
