//! Reads what `zfs get -Hp` wrote.
//!
//! `zfs get` and not `zfs list`, because only it tells where a property comes from. A user property
//! that is set on a parent is *inherited* by every child, and must make none of them ours.

use std::collections::BTreeMap;

use flocker_model::{ByteCount, SnapshotGuid};
use thiserror::Error;

use crate::output::parse_bytes;

/// The properties that are asked for, as one argument of `zfs get`.
pub(crate) const PROPERTIES: &str = "type,guid,createtxg,creation,referenced,written,refquota,\
    mountpoint,readonly,sync,redundant_metadata,receive_resume_token,encryption,encryptionroot,keystatus,\
    flocker:ownership,flocker:owner,flocker:epoch,flocker:handoff,flocker:deployment,\
    flocker:import";

/// Those of them of which what was written is told.
const BYTES: [&str; 2] = ["referenced", "written"];

/// A property's value and where it was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Property {
    /// The value, numbers in full.
    pub(crate) value: String,
    /// The fourth column: `local`, `received`, `default`, `inherited from …` or `-`.
    pub(crate) source: String,
}

impl Property {
    /// Tells whether it was set on the dataset itself, by somebody on this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.source == "local"
    }
}

/// A snapshot as it was listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedSnapshot {
    /// The part of its name after `@`.
    pub(crate) name: String,
    /// Equal wherever it was received.
    pub(crate) guid: SnapshotGuid,
    /// The transaction group in which it came into this pool: orders snapshots, unlike clocks.
    pub(crate) createtxg: u64,
    /// When it was taken, in seconds since 1970.
    pub(crate) creation: u64,
    /// What was written between the snapshot before, whoever took that, and this one.
    ///
    /// **Source**: `zfsprops(7)`, property `written`, which snapshots have as well.
    pub(crate) written: ByteCount,
}

/// A dataset as it was listed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ListedDataset {
    /// Every property but those of its snapshots.
    pub(crate) properties: BTreeMap<String, Property>,
    /// Its snapshots, oldest first.
    pub(crate) snapshots: Vec<ListedSnapshot>,
}

impl ListedDataset {
    /// Returns a property that has a value; ZFS writes `-` for none.
    pub(crate) fn property(&self, name: &str) -> Option<&Property> {
        self.properties
            .get(name)
            .filter(|property| property.value != "-")
    }

    /// Returns a property's value.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.property(name).map(|property| property.value.as_str())
    }

    /// Returns a property's value as a number; 0 when it has none.
    pub(crate) fn number(&self, name: &str) -> u64 {
        self.value(name)
            .and_then(|value| value.parse().ok())
            .unwrap_or(0)
    }
}

/// Output of `zfs get` that does not have the form that its manual page promises.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line} of the output of `zfs get` {problem}: `{text}`")]
pub struct MalformedListing {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it, as the end of a sentence.
    pub problem: &'static str,
    /// The line.
    pub text: String,
}

/// Reads the output of `zfs get -Hp -o name,property,value,source` for [`PROPERTIES`].
///
/// A value with a line break in it, which only a hand-set user property can have, is refused and
/// not guessed at: its second line could otherwise pass for another dataset's.
///
/// **Source**: `zfs-get(8)`, options `-H` and `-p`.
///
/// # Errors
/// Fails on the first line that has not exactly four columns, repeats a property, or has a number
/// that is none, of a snapshot or of bytes.
pub(crate) fn parse_listing(
    output: &str,
) -> Result<BTreeMap<String, ListedDataset>, MalformedListing> {
    let mut datasets: BTreeMap<String, ListedDataset> = BTreeMap::new();
    let mut snapshots: BTreeMap<(String, String), (usize, BTreeMap<String, String>)> =
        BTreeMap::new();
    for (index, text) in output.lines().enumerate() {
        let line = index + 1;
        let malformed = |problem| MalformedListing {
            line,
            problem,
            text: text.chars().take(200).collect(),
        };
        let columns: Vec<&str> = text.split('\t').collect();
        let [name, property, value, source] = columns[..] else {
            return Err(malformed("has not four columns"));
        };
        let repeated = if let Some((dataset, snapshot)) = name.split_once('@') {
            let key = (dataset.to_owned(), snapshot.to_owned());
            let (_, properties) = snapshots.entry(key).or_insert((line, BTreeMap::new()));
            properties
                .insert(property.to_owned(), value.to_owned())
                .is_some()
        } else {
            // Taken for 0 it would say that nothing was written.
            if BYTES.contains(&property) && value != "-" && parse_bytes(value).is_none() {
                return Err(malformed("has a number of bytes that is none"));
            }
            let found = Property {
                value: value.to_owned(),
                source: source.to_owned(),
            };
            let dataset = datasets.entry(name.to_owned()).or_default();
            dataset
                .properties
                .insert(property.to_owned(), found)
                .is_some()
        };
        if repeated {
            return Err(malformed("repeats a property"));
        }
    }
    for ((dataset, name), (line, properties)) in snapshots {
        let snapshot =
            read_snapshot(name, &properties).map_err(|(problem, name)| MalformedListing {
                line,
                problem,
                text: format!("{dataset}@{name}"),
            })?;
        // A snapshot whose dataset was not listed came into being while the listing was made.
        if let Some(dataset) = datasets.get_mut(&dataset) {
            dataset.snapshots.push(snapshot);
        }
    }
    for dataset in datasets.values_mut() {
        dataset
            .snapshots
            .sort_by_key(|snapshot| (snapshot.createtxg, snapshot.creation));
    }
    Ok(datasets)
}

/// Makes a snapshot of its properties, or says what is wrong and hands the name back.
fn read_snapshot(
    name: String,
    properties: &BTreeMap<String, String>,
) -> Result<ListedSnapshot, (&'static str, String)> {
    let number = |property: &str| properties.get(property)?.parse::<u64>().ok();
    let (guid, createtxg) = (number("guid"), number("createtxg"));
    match (guid, createtxg, number("creation"), number("written")) {
        (Some(guid), Some(createtxg), Some(creation), Some(written)) => Ok(ListedSnapshot {
            name,
            guid: SnapshotGuid(guid),
            createtxg,
            creation,
            written: ByteCount::new(written),
        }),
        (None, ..) => Err(("starts a snapshot without a guid", name)),
        (_, None, ..) => Err(("starts a snapshot without a createtxg", name)),
        (_, _, None, _) => Err(("starts a snapshot without a time of creation", name)),
        // Taken for 0 it would say that nothing was written before it.
        (.., None) => Err(("starts a snapshot without what was written", name)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn snapshots_are_ordered_by_transaction_group_and_not_by_clock() {
        let output = "t/f/a\ttype\tfilesystem\t-\n\
            t/f/a@late\tguid\t2\t-\nt/f/a@late\tcreatetxg\t20\t-\nt/f/a@late\tcreation\t100\t-\n\
            t/f/a@late\twritten\t0\t-\n\
            t/f/a@early\tguid\t1\t-\nt/f/a@early\tcreatetxg\t10\t-\nt/f/a@early\tcreation\t900\t-\n\
            t/f/a@early\twritten\t4096\t-\n";
        let datasets = parse_listing(output).unwrap();
        let names: Vec<_> = datasets["t/f/a"]
            .snapshots
            .iter()
            .map(|s| s.name.as_str())
            .collect();
        assert_eq!(names, ["early", "late"]);
    }

    #[test]
    fn a_line_break_in_a_value_is_refused() {
        let output = "t/f/a\tflocker:owner\tx\nt/f/b\tflocker:owner\tme\tlocal\tlocal\n";
        let error = parse_listing(output).unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 1 of the output of `zfs get` has not four columns: `t/f/a\tflocker:owner\tx`"
        );
    }

    #[test]
    fn bytes_that_are_none_are_refused() {
        let said = |value| parse_listing(&format!("t/f/a\twritten\t{value}\t-\n"));
        assert!(said("0").is_ok() && said("-").is_ok());
        for nonsense in ["1.5G", "", "none"] {
            let error = said(nonsense).unwrap_err();
            assert_eq!(error.problem, "has a number of bytes that is none");
        }
        let said = |row: &str| {
            let snapshot =
                "t/f/a@s\tguid\t1\t-\nt/f/a@s\tcreatetxg\t2\t-\nt/f/a@s\tcreation\t3\t-\n";
            parse_listing(&format!("t/f/a\ttype\tfilesystem\t-\n{snapshot}{row}"))
        };
        assert!(said("t/f/a@s\twritten\t0\t-\n").is_ok());
        for nonsense in [
            "",
            "t/f/a@s\twritten\t-\t-\n",
            "t/f/a@s\twritten\t1.5G\t-\n",
        ] {
            let error = said(nonsense).unwrap_err();
            assert_eq!(error.problem, "starts a snapshot without what was written");
        }
    }

    #[test]
    fn a_forged_repetition_is_refused() {
        let output = "t/f/a\tflocker:owner\tx\tlocal\nt/f/a\tflocker:owner\ty\tlocal\n";
        assert_eq!(
            parse_listing(output).unwrap_err().problem,
            "repeats a property"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(?s).{0,400}") {
            let _ = parse_listing(&text);
        }

        #[test]
        fn any_table_is_read_or_refused(
            rows in prop::collection::vec(
                ("[a-c/@]{0,6}", "guid|createtxg|creation|written|type|flocker:owner", "[-0-9a-z]{0,22}", "-|local"),
                0..40,
            )
        ) {
            let rows: Vec<String> = rows
                .iter()
                .map(|(name, property, value, source)| format!("{name}\t{property}\t{value}\t{source}"))
                .collect();
            let text = rows.join("\n");
            if let Ok(datasets) = parse_listing(&text) {
                for dataset in datasets.values() {
                    prop_assert!(dataset.snapshots.is_sorted_by_key(|s| s.createtxg));
                }
            }
        }
    }
}
