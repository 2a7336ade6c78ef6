//! What volumes promise, on a real pool.
//!
//! Two nodes are two datasets of one pool here. Run as root where ZFS is, on a pool that may be
//! filled with rubbish: `FLOCKER_TEST_ZFS_DATASET=tank/contract real_pool --ignored`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on has failed"
)]

mod encrypting;
mod handing_over;
mod hostile;
mod importing;
mod intent_log;
mod making;
mod mounting;
mod pools;
mod resolving;
mod sending;
mod support;
