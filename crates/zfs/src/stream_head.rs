//! Reads how a stream begins, before any of it comes to ZFS.
//!
//! A stream from a peer says what it is in its first record. Flocker sends one snapshot at a time
//! and never any properties; `zfs receive` takes much more than that: with `zfs send -p` or `-R`,
//! properties, any number of snapshots, and datasets below the one that is received into.

use std::io;

use flocker_model::SnapshotGuid;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::Transfer;
use crate::names::SnapshotName;

/// How long the first record is, in bytes.
pub const HEAD_BYTES: usize = 312;

/// `DMU_BACKUP_MAGIC`.
const MAGIC: u64 = 0x2_f5ba_cbac;
/// `DRR_BEGIN`, the type of a stream's first record.
const BEGIN: u32 = 0;
/// `DMU_SUBSTREAM`: one snapshot without properties.
const ONE_SNAPSHOT: u64 = 1;
/// `DMU_COMPOUNDSTREAM`: a list of properties, and whole streams after it.
const PACKAGE: u64 = 2;
/// `DMU_BACKUP_FEATURE_RAW`, above the two lowest bits: encrypted blocks, as of `zfs send -w`.
const RAW: u64 = 1 << (24 + 2);
/// `DMU_OST_ZFS`: what a filesystem is.
const FILESYSTEM: u32 = 2;

/// Where the fields of the first record are, in bytes from its start.
///
/// **Source**: of ZFS, `include/sys/zfs_ioctl.h`, `dmu_replay_record_t` and `struct drr_begin`.
mod offset {
    pub(super) const RECORD: usize = 0;
    pub(super) const MAGIC: usize = 8;
    pub(super) const VERSION: usize = 16;
    pub(super) const KIND: usize = 32;
    pub(super) const TO: usize = 40;
    pub(super) const FROM: usize = 48;
    pub(super) const NAME: usize = 56;
}

/// What a stream says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Head {
    is_package: bool,
    is_raw: bool,
    is_filesystem: bool,
    /// The snapshot that it brings.
    to: SnapshotGuid,
    /// The snapshot that it continues; 0 for none.
    from: SnapshotGuid,
    /// The name of the snapshot that it brings, with its dataset's.
    name: String,
}

/// Reads the first record of a stream, and makes sure that it is what the sender announced: one
/// snapshot of Flocker's, of a filesystem, without properties.
///
/// # Errors
///
/// The outer error is that the stream broke off; the inner one says, as a clause, why it does not
/// fit.
pub async fn read_head(
    stream: &mut (impl AsyncRead + Unpin),
    announced: &Transfer,
) -> io::Result<Result<[u8; HEAD_BYTES], String>> {
    let mut bytes = [0; HEAD_BYTES];
    stream.read_exact(&mut bytes).await?;
    let checked = Head::parse(&bytes).and_then(|head| head.check(announced));
    Ok(checked.map(|()| bytes))
}

/// Reads the first record of a stream that people bring in, and makes sure that it is a full one, of
/// one snapshot of a filesystem, whatever that is called, without properties.
///
/// # Errors
///
/// As [`read_head`].
pub async fn read_foreign_head(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Result<[u8; HEAD_BYTES], String>> {
    let mut bytes = [0; HEAD_BYTES];
    stream.read_exact(&mut bytes).await?;
    let checked = Head::parse(&bytes).and_then(|head| head.check_foreign());
    Ok(checked.map(|()| bytes))
}

impl Head {
    /// Reads the record, in whichever byte order the sender has.
    fn parse(bytes: &[u8; HEAD_BYTES]) -> Result<Self, String> {
        let magic: [u8; 8] = field(bytes, offset::MAGIC);
        let is_little = match () {
            () if u64::from_le_bytes(magic) == MAGIC => true,
            () if u64::from_be_bytes(magic) == MAGIC => false,
            () => return Err("it does not begin as a stream of `zfs send` does".to_owned()),
        };
        let short = |at| {
            let bytes = field(bytes, at);
            if is_little {
                u32::from_le_bytes(bytes)
            } else {
                u32::from_be_bytes(bytes)
            }
        };
        let long = |at| {
            let bytes = field(bytes, at);
            if is_little {
                u64::from_le_bytes(bytes)
            } else {
                u64::from_be_bytes(bytes)
            }
        };
        // The two lowest bits say what follows.
        let kind = long(offset::VERSION) & 0b11;
        if short(offset::RECORD) != BEGIN || ![ONE_SNAPSHOT, PACKAGE].contains(&kind) {
            return Err("its first record is not the beginning of a stream".to_owned());
        }
        let name = bytes.get(offset::NAME..).unwrap_or_default();
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(Self {
            is_package: kind == PACKAGE,
            is_raw: long(offset::VERSION) & RAW != 0,
            is_filesystem: short(offset::KIND) == FILESYSTEM,
            to: SnapshotGuid(long(offset::TO)),
            from: SnapshotGuid(long(offset::FROM)),
            name: String::from_utf8_lossy(name).into_owned(),
        })
    }

    /// Says why the stream is not one full snapshot of a filesystem, as a clause.
    fn check_foreign(&self) -> Result<(), String> {
        self.check_form()?;
        if self.from.0 != 0 {
            return Err(format!(
                "it is incremental and continues snapshot {}; write a full one with `zfs send` without \
                 -i",
                self.from
            ));
        }
        if self.to.0 == 0 {
            return Err("it brings no snapshot".to_owned());
        }
        Ok(())
    }

    /// Says why the stream is not one snapshot of a filesystem, as a clause.
    fn check_form(&self) -> Result<(), String> {
        if self.is_package {
            return Err(
                "it brings properties, or more than one snapshot (`zfs send` with -p, -R or -I)"
                    .to_owned(),
            );
        }
        if self.is_raw {
            return Err("it is encrypted with a key of its own (`zfs send -w`)".to_owned());
        }
        if !self.is_filesystem {
            return Err("it is not the stream of a filesystem".to_owned());
        }
        Ok(())
    }

    /// Says why the stream is not what was announced, as a clause.
    fn check(&self, announced: &Transfer) -> Result<(), String> {
        self.check_form()?;
        let snapshot = self.name.split_once('@').map(|(_, snapshot)| snapshot);
        if snapshot.and_then(SnapshotName::parse).is_none() || self.to.0 == 0 {
            return Err("the snapshot that it brings is none of Flocker's".to_owned());
        }
        match announced {
            Transfer::Full if self.from.0 == 0 => Ok(()),
            Transfer::Full => Err(format!(
                "it was announced as full and continues snapshot {}",
                self.from
            )),
            Transfer::Incremental { from } if *from == self.from => Ok(()),
            Transfer::Incremental { from } => Err(format!(
                "it was announced to continue snapshot {from} and continues {}",
                self.from
            )),
            // The token says what it continues, and the kernel compares.
            Transfer::Resume { .. } => Ok(()),
        }
    }
}

/// Copies the bytes of a field.
fn field<const LENGTH: usize>(bytes: &[u8; HEAD_BYTES], at: usize) -> [u8; LENGTH] {
    let mut copy = [0; LENGTH];
    if let Some(found) = bytes.get(at..at + LENGTH) {
        copy.copy_from_slice(found);
    }
    copy
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    const BASE: SnapshotGuid = SnapshotGuid(0x1111_2222_3333_4444);

    /// A first record in the byte order of x86.
    pub(crate) fn head(kind: u64, from: u64, name: &str) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(offset::MAGIC, &MAGIC.to_le_bytes());
        // With features, as real ones have.
        put(offset::VERSION, &(kind | 0x42_0004 << 2).to_le_bytes());
        put(offset::KIND, &FILESYSTEM.to_le_bytes());
        put(offset::TO, &7_u64.to_le_bytes());
        put(offset::FROM, &from.to_le_bytes());
        put(offset::NAME, name.as_bytes());
        bytes
    }

    fn said(bytes: &[u8], announced: &Transfer) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let mut stream = bytes;
        let read = read_head(&mut stream, announced);
        match runtime.unwrap().block_on(read) {
            Ok(Ok(head)) => {
                assert_eq!(head.as_slice(), &bytes[..HEAD_BYTES]);
                "taken".to_owned()
            }
            Ok(Err(problem)) => problem,
            Err(error) => error.kind().to_string(),
        }
    }

    /// A snapshot of Flocker's.
    pub(crate) const NAME: &str = "tank/flocker/web@flocker-1-000001";

    #[test]
    fn a_stream_of_one_snapshot_is_taken() {
        let incremental = Transfer::Incremental { from: BASE };
        let resume = Transfer::Resume {
            token: "1-x".to_owned(),
        };
        assert_eq!(said(&head(1, 0, NAME), &Transfer::Full), "taken");
        assert_eq!(said(&head(1, BASE.0, NAME), &incremental), "taken");
        assert_eq!(said(&head(1, BASE.0, NAME), &resume), "taken");
        // From a machine with the other byte order.
        let mut swapped = head(1, 0, NAME);
        for (at, length) in [(8, 8), (16, 8), (32, 4), (40, 8), (48, 8)] {
            swapped[at..at + length].reverse();
        }
        assert_eq!(said(&swapped, &Transfer::Full), "taken");
    }

    #[test]
    fn a_stream_that_is_more_or_other_than_announced_is_refused_before_zfs_sees_it() {
        let full = Transfer::Full;
        let incremental = Transfer::Incremental { from: BASE };
        let mut volume = head(1, 0, NAME);
        volume[offset::KIND] = 3;
        let mut raw = head(1, 0, NAME);
        raw[offset::VERSION + 3] |= 1 << 2;
        let mut other_record = head(1, 0, NAME);
        other_record[0] = 1;
        let mut no_snapshot = head(1, 0, NAME);
        no_snapshot[offset::TO] = 0;
        for (bytes, announced, problem) in [
            (head(2, 0, NAME), &full, "it brings properties"),
            (head(2, BASE.0, NAME), &incremental, "it brings properties"),
            (head(0, 0, NAME), &full, "not the beginning of a stream"),
            (head(3, 0, NAME), &full, "not the beginning of a stream"),
            (other_record, &full, "not the beginning of a stream"),
            (raw, &full, "encrypted with a key of its own"),
            (volume, &full, "not the stream of a filesystem"),
            (
                head(1, 0, "tank/flocker/web@autosnap"),
                &full,
                "none of Flocker's",
            ),
            (head(1, 0, "tank/flocker/web"), &full, "none of Flocker's"),
            (head(1, 0, "@"), &full, "none of Flocker's"),
            (head(1, 0, ""), &full, "none of Flocker's"),
            (no_snapshot, &full, "none of Flocker's"),
            (
                head(1, 5, NAME),
                &full,
                "announced as full and continues snapshot 5",
            ),
            (head(1, 5, NAME), &incremental, "and continues 5"),
            (head(1, 0, NAME), &incremental, "and continues 0"),
            ([0; HEAD_BYTES], &full, "does not begin as a stream"),
            ([0xff; HEAD_BYTES], &full, "does not begin as a stream"),
        ] {
            let said = said(&bytes, announced);
            assert!(said.contains(problem), "{problem}: {said}");
        }
        for length in [0, 1, 8, HEAD_BYTES - 1] {
            let cut = &head(1, 0, NAME)[..length];
            assert_eq!(said(cut, &full), "unexpected end of file");
        }
    }

    #[test]
    fn a_stream_from_outside_is_one_full_snapshot_of_any_name() {
        let said = |bytes: &[u8; HEAD_BYTES]| {
            let head = Head::parse(bytes).and_then(|head| head.check_foreign());
            head.err().unwrap_or_default()
        };
        assert_eq!(said(&head(1, 0, "tank/db@monday")), "");
        assert_eq!(said(&head(1, 0, NAME)), "");
        assert!(said(&head(1, 5, "tank/db@monday")).contains("incremental"));
        assert!(said(&head(2, 0, "tank/db@monday")).contains("-p, -R or -I"));
        let mut raw = head(1, 0, NAME);
        raw[offset::VERSION + 3] |= 1 << 2;
        assert!(said(&raw).contains("encrypted with a key of its own"));
    }

    proptest! {
        #[test]
        fn any_beginning_is_taken_or_refused(mut noise in prop::collection::vec(any::<u8>(), HEAD_BYTES)) {
            let _ = said(&noise, &Transfer::Full);
            noise[offset::MAGIC..offset::VERSION].copy_from_slice(&MAGIC.to_le_bytes());
            noise[..4].fill(0);
            let _ = said(&noise, &Transfer::Full);
        }
    }
}
