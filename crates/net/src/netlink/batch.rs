//! Transactions: all of it or nothing.

use nftnl::{Batch, MsgType, NlMsg};

use super::socket::{Netlink, NetlinkError, Refusal};

/// Messages that the kernel applies together, or not at all.
pub(crate) struct Transaction {
    batch: Batch,
    labels: Vec<String>,
}

impl Transaction {
    /// Starts an empty transaction.
    pub(crate) fn new() -> Self {
        Self {
            batch: Batch::new(),
            labels: Vec::new(),
        }
    }

    /// Adds a message; `label` says what it is for, should the kernel refuse it.
    pub(crate) fn add(&mut self, label: String, message: &impl NlMsg, action: MsgType) {
        self.batch.add(message, action);
        self.labels.push(label);
    }

    /// Sends the transaction.
    ///
    /// # Errors
    /// When the kernel refuses any of the messages; it then applied none.
    pub(crate) fn commit(self, netlink: &Netlink) -> Result<(), NetlinkError> {
        let batch = self.batch.finalize();
        let sequences = batch.sequence_numbers();
        // With a kernel that acknowledges the batch's begin and end, those are numbered, too.
        let numbered = usize::try_from(sequences.end - sequences.start).unwrap_or(usize::MAX);
        let first = sequences.start + u32::from(numbered > self.labels.len());
        let mut datagram = Vec::new();
        for page in &batch {
            datagram.extend_from_slice(page);
        }
        let mut refusals = Vec::new();
        for reply in netlink.exchange(&datagram)? {
            let Some(errno) = reply.error_number().filter(|errno| *errno != 0) else {
                continue;
            };
            let position = reply.sequence.checked_sub(first);
            let label = position
                .and_then(|position| self.labels.get(usize::try_from(position).ok()?))
                .cloned();
            refusals.push(Refusal {
                operation: label.unwrap_or_else(|| "the transaction".to_owned()),
                errno,
            });
        }
        if refusals.is_empty() {
            Ok(())
        } else {
            Err(NetlinkError::Transaction { refusals })
        }
    }
}
