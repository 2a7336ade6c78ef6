//! Chooses how blocks are put into a stream, by what both ends can take.

use serde::{Deserialize, Serialize};

use crate::Zfs;
use crate::command::{Argv, CommandFailed};

/// The features that a pool needs before a stream may have blocks as they are on the sender's disk.
const FEATURES: &str =
    "feature@large_blocks,feature@lz4_compress,feature@zstd_compress,feature@embedded_data";

/// Ways of putting blocks into a stream as they are on disk, instead of in a form that every pool
/// takes.
///
/// **Source**: `zfs-send(8)`, options `-L`, `-c` and `-e`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StreamFlags {
    /// Blocks of more than 128 KiB. Incremental streams must have them where the first had.
    pub large_blocks: bool,
    /// Compressed blocks.
    pub compressed: bool,
    /// Small blocks in the place of a pointer, which encrypted datasets cannot have.
    pub embedded: bool,
}

impl StreamFlags {
    /// All of them: what releases take that do not tell.
    pub const fn all() -> Self {
        Self {
            large_blocks: true,
            compressed: true,
            embedded: true,
        }
    }

    /// Tells whether these are all.
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde hands over a reference"
    )]
    pub(crate) const fn is_all(&self) -> bool {
        self.large_blocks && self.compressed && self.embedded
    }

    /// Tells whether a stream with these is one that a receiver with `others` takes.
    pub(crate) const fn is_within(self, others: Self) -> bool {
        (others.large_blocks || !self.large_blocks)
            && (others.compressed || !self.compressed)
            && (others.embedded || !self.embedded)
    }

    /// Writes the option of `zfs send`; `None` if there is none.
    pub(crate) fn option(self) -> Option<String> {
        let letters = [
            (self.large_blocks, 'L'),
            (self.compressed, 'c'),
            (self.embedded, 'e'),
        ];
        let letters: String = letters
            .iter()
            .filter_map(|(is_set, letter)| is_set.then_some(*letter))
            .collect();
        (!letters.is_empty()).then(|| format!("-{letters}"))
    }

    /// Decides what a dataset can take that is or will be `encrypted`, in a pool with `features`.
    ///
    /// Compressed blocks may be of either kind that the sender's pool has, so that both are needed.
    pub(crate) fn taken_by(features: PoolFeatures, encrypted: bool) -> Self {
        Self {
            large_blocks: features.large_blocks,
            compressed: features.lz4 && features.zstd,
            embedded: features.embedded_data && !encrypted,
        }
    }
}

/// Which features of streams a pool has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a feature of its own, under its own name"
)]
pub(crate) struct PoolFeatures {
    large_blocks: bool,
    lz4: bool,
    zstd: bool,
    embedded_data: bool,
}

impl PoolFeatures {
    /// Reads the output of `zpool get -Hp -o property,value` for [`FEATURES`]. A feature of which
    /// nothing is said is not there.
    ///
    /// **Source**: `zpool-features(7)`, "Feature states".
    fn parse(output: &str) -> Self {
        let has = |name: &str| {
            output.lines().any(|line| {
                let state = line
                    .strip_prefix("feature@")
                    .and_then(|line| line.strip_prefix(name));
                matches!(state, Some("\tenabled" | "\tactive"))
            })
        };
        Self {
            large_blocks: has("large_blocks"),
            lz4: has("lz4_compress"),
            zstd: has("zstd_compress"),
            embedded_data: has("embedded_data"),
        }
    }
}

impl Zfs {
    /// Asks which features of streams the pool has.
    pub(crate) async fn pool_features(&self) -> Result<PoolFeatures, CommandFailed> {
        let mut argv = Argv::new(&["zpool", "get", "-Hp", "-o", "property,value", FEATURES]);
        argv.push(self.settings().pool());
        Ok(PoolFeatures::parse(&argv.read().await?.stdout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(disabled: &[&str]) -> PoolFeatures {
        let rows = FEATURES.split(',').map(|feature| {
            let name = feature.strip_prefix("feature@").unwrap();
            let state = match name {
                _ if disabled.contains(&name) => "disabled",
                "lz4_compress" => "active",
                _ => "enabled",
            };
            format!("{feature}\t{state}\n")
        });
        PoolFeatures::parse(&rows.collect::<String>())
    }

    #[test]
    fn a_stream_has_what_its_receiver_takes() {
        for (disabled, encrypted, option) in [
            (&[][..], false, Some("-Lce")),
            (&[], true, Some("-Lc")),
            (&["large_blocks"], false, Some("-ce")),
            (&["large_blocks"], true, Some("-c")),
            (&["lz4_compress"], false, Some("-Le")),
            (&["zstd_compress"], true, Some("-L")),
            (&["embedded_data"], false, Some("-Lc")),
            (&["large_blocks", "zstd_compress"], false, Some("-e")),
            (&["large_blocks", "lz4_compress"], true, None),
        ] {
            let taken = StreamFlags::taken_by(features(disabled), encrypted);
            assert_eq!(
                taken.option().as_deref(),
                option,
                "{disabled:?} {encrypted}"
            );
        }
        // A pool that says nothing takes what every pool does.
        let silent = StreamFlags::taken_by(PoolFeatures::parse(""), false);
        assert_eq!((silent, silent.option()), (StreamFlags::default(), None));
    }

    #[test]
    fn a_stream_is_continued_only_if_its_receiver_takes_all_that_it_has() {
        let (all, none) = (StreamFlags::all(), StreamFlags::default());
        let encrypted = StreamFlags {
            embedded: false,
            ..all
        };
        for (stream, receiver, fits) in [
            (all, all, true),
            (none, none, true),
            (none, all, true),
            (encrypted, all, true),
            (encrypted, encrypted, true),
            (all, encrypted, false),
            (encrypted, none, false),
        ] {
            assert_eq!(stream.is_within(receiver), fits, "{stream:?} {receiver:?}");
        }
    }
}
