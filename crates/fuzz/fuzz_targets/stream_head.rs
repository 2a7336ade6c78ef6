//! How a stream from a peer begins: whatever comes to ZFS is one snapshot of Flocker's, of a
//! filesystem, without properties, and continues what was announced.
//!
//! Input: a letter for what was announced (`f` for everything, `i` for what changed since the
//! snapshot [`BASE`], any other for the rest of something), and the stream.

#![no_main]

use std::io;

use flocker_fuzz::at_once;
use flocker_model::SnapshotGuid;
use flocker_zfs::Transfer;
use flocker_zfs::output::{HEAD_BYTES, read_foreign_head, read_head};
use libfuzzer_sys::fuzz_target;

/// The snapshot that the receiver has.
const BASE: u64 = 0x1111_2222_3333_4444;

fuzz_target!(|input: &[u8]| {
    let Some((announced, stream)) = input.split_first() else {
        return;
    };
    let announced = match announced {
        b'f' => Transfer::Full,
        b'i' => Transfer::Incremental {
            from: SnapshotGuid(BASE),
        },
        _ => Transfer::Resume {
            token: String::new(),
        },
    };
    let mut foreign = stream;
    if let Ok(Ok(head)) = at_once(read_foreign_head(&mut foreign)) {
        check_record(&head, &Transfer::Full);
    }
    let mut rest = stream;
    match at_once(read_head(&mut rest, &announced)) {
        Ok(Ok(head)) => {
            assert_eq!((&head[..], rest), stream.split_at(HEAD_BYTES));
            check_taken(&head, &announced);
        }
        Ok(Err(problem)) => assert!(!problem.contains(char::is_control), "{problem:?}"),
        Err(error) => {
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
            assert!(stream.len() < HEAD_BYTES);
        }
    }
});

/// Also has a name of Flocker's.
fn check_taken(head: &[u8], announced: &Transfer) {
    check_record(head, announced);
    let name = head[56..].split(|byte| *byte == 0).next().unwrap();
    let name = String::from_utf8_lossy(name);
    let (_, snapshot) = name.split_once('@').unwrap();
    assert!(snapshot.starts_with("flocker-") && !snapshot.contains(['@', '/', ' ']));
}

/// Reads the record in another way than the library does: as words from its start.
///
/// **Source**: of ZFS, `include/sys/zfs_ioctl.h`, `dmu_replay_record_t` and `struct drr_begin`.
fn check_record(head: &[u8], announced: &Transfer) {
    let is_swapped = head[8..16] == 0x2_f5ba_cbac_u64.to_be_bytes();
    let mut words = Vec::new();
    for word in head[..56].chunks_exact(4) {
        let word: [u8; 4] = word.try_into().unwrap();
        words.push(if is_swapped {
            u32::from_be_bytes(word)
        } else {
            u32::from_le_bytes(word)
        });
    }
    let long = |at: usize| {
        let (low, high) = if is_swapped {
            (at + 1, at)
        } else {
            (at, at + 1)
        };
        u64::from(words[high]) << 32 | u64::from(words[low])
    };
    assert_eq!(words[0], 0, "the first record");
    assert_eq!(long(2), 0x2_f5ba_cbac);
    assert_eq!(long(4) & 0b11, 1, "one snapshot without properties");
    assert_eq!(words[8], 2, "a filesystem");
    assert_ne!(long(10), 0, "what it brings");
    match announced {
        Transfer::Full => assert_eq!(long(12), 0),
        Transfer::Incremental { from } => assert_eq!(long(12), from.0),
        Transfer::Resume { .. } => {}
    }
}
