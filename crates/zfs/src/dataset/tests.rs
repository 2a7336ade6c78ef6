use std::fmt::Write as _;

use flocker_model::{Epoch, NodeId};
use uuid::Uuid;

use super::*;
use crate::listing::parse_listing;

/// The properties of earlier releases.
const OWNER: &str = "flocker:owner";
const EPOCH: &str = "flocker:epoch";
const HANDOFF: &str = "flocker:handoff";

const SELF: &str = "00000000-0000-4000-8000-00000000000a";
const OTHER: &str = "00000000-0000-4000-8000-00000000000b";

fn settings() -> ZfsSettings {
    ZfsSettings {
        dataset: "tank/flocker".to_owned(),
        mount_root: "/flocker".into(),
        node: NodeId(Uuid::parse_str(SELF).unwrap()),
    }
}

/// What `zfs get` writes of a dataset that is owned by `owner`, with changes to some properties.
fn listing(owner: &str, changes: &[(&str, &str, &str)]) -> ListedDataset {
    let mut rows = BTreeMap::from([
        ("type", ("filesystem", "-")),
        ("guid", ("15", "-")),
        ("referenced", ("98304", "-")),
        ("written", ("0", "-")),
        ("refquota", ("0", "default")),
        ("mountpoint", ("/flocker/web", "local")),
        ("readonly", ("off", "default")),
        ("sync", ("standard", "local")),
        ("receive_resume_token", ("-", "-")),
        (OWNER, (owner, "local")),
        (EPOCH, ("3", "local")),
        (HANDOFF, ("-", "-")),
        (DEPLOYMENT, ("abc", "local")),
    ]);
    for &(name, value, source) in changes {
        rows.insert(name, (value, source));
    }
    let mut text = String::new();
    for (name, (value, source)) in rows {
        writeln!(text, "tank/flocker/web\t{name}\t{value}\t{source}").unwrap();
    }
    parse_listing(&text)
        .unwrap()
        .remove("tank/flocker/web")
        .unwrap()
}

fn role(owner: &str, changes: &[(&str, &str, &str)]) -> VolumeRole {
    let web = "web".parse().unwrap();
    Record::new(&settings(), &web, &listing(owner, changes))
        .copy
        .role
}

fn problem(owner: &str, changes: &[(&str, &str, &str)]) -> String {
    match role(owner, changes) {
        VolumeRole::Foreign { problem } => problem,
        role => panic!("not foreign: {role:?}"),
    }
}

#[test]
fn the_owner_property_decides() {
    assert_eq!(role(SELF, &[]), VolumeRole::Owned { epoch: Epoch(3) });
    assert_eq!(
        role(OTHER, &[(HANDOFF, "77", "local")]),
        VolumeRole::Replica {
            owner: NodeId(Uuid::parse_str(OTHER).unwrap()),
            epoch: Epoch(3),
            handoff: Some(SnapshotGuid(77)),
        }
    );
}

#[test]
fn forged_and_damaged_properties_make_a_dataset_foreign() {
    let cases: &[&[(&str, &str, &str)]] = &[
        &[("type", "volume", "-")],
        &[(OWNER, "-", "-"), (EPOCH, "-", "-")],
        &[
            (OWNER, SELF, "inherited from tank/flocker"),
            (EPOCH, "3", "inherited from tank/flocker"),
        ],
        &[(OWNER, SELF, "received"), (EPOCH, "3", "received")],
        &[(EPOCH, "3", "inherited from tank")],
        &[(EPOCH, "-", "-")],
        &[(OWNER, "-", "-")],
        &[(OWNER, "root", "local")],
        &[(EPOCH, "-3", "local")],
        &[("mountpoint", "/flocker/old", "local")],
        &[("mountpoint", "/flocker/web", "inherited from tank/flocker")],
        &[("mountpoint", "none", "inherited from tank/flocker")],
    ];
    let problems: Vec<_> = cases.iter().map(|changes| problem(SELF, changes)).collect();
    insta::assert_snapshot!(problems.join("\n"));
    insta::assert_snapshot!(problem(OTHER, &[(HANDOFF, "x", "local")]));
}

#[test]
fn the_one_property_decides() {
    let says = |owner: &str, rest: &str| {
        let text = format!("owner={owner},epoch=4{rest}");
        // What an earlier release said does not count any more.
        role(SELF, &[("flocker:ownership", &text, "local")])
    };
    assert_eq!(says(SELF, ""), VolumeRole::Owned { epoch: Epoch(4) });
    assert_eq!(
        says(OTHER, ",handoff=77"),
        VolumeRole::Replica {
            owner: NodeId(Uuid::parse_str(OTHER).unwrap()),
            epoch: Epoch(4),
            handoff: Some(SnapshotGuid(77)),
        }
    );
    let inherited = [("flocker:ownership", "x", "inherited from tank/flocker")];
    assert!(problem(SELF, &inherited).contains("is inherited from"));
}

#[test]
fn an_inherited_handoff_is_none() {
    let inherited = [(HANDOFF, "77", "inherited from tank/flocker")];
    assert!(matches!(
        role(OTHER, &inherited),
        VolumeRole::Replica { handoff: None, .. }
    ));
}

/// A snapshot, taken in this transaction group, and what was written before it.
fn snapshot(name: &str, createtxg: u64, written: u64) -> ListedSnapshot {
    ListedSnapshot {
        name: name.to_owned(),
        guid: SnapshotGuid(createtxg),
        createtxg,
        creation: 10 * createtxg,
        written: ByteCount::new(written),
    }
}

/// The record of a dataset of `owner` with these snapshots, oldest first.
fn record(owner: &str, snapshots: &[&ListedSnapshot], written: &str) -> Record {
    let mut listed = listing(owner, &[("written", written, "-")]);
    listed.snapshots = snapshots.iter().map(|&snapshot| snapshot.clone()).collect();
    Record::new(&settings(), &"web".parse().unwrap(), &listed)
}

#[test]
fn only_an_untouched_end_counts_as_settled() {
    let ours = snapshot("flocker-3-000002", 20, 8192);
    let theirs = snapshot("autosnap", 30, 0);
    let after_writing = snapshot("autosnap", 30, 1);
    let settled = |written: &str, snapshots: &[&ListedSnapshot]| {
        let record = record(SELF, snapshots, written);
        record.settled_at().map(|snapshot| snapshot.guid)
    };
    let end = Some(ours.guid);
    assert_eq!(settled("0", &[&ours]), end);
    assert_eq!(settled("1", &[&ours]), None);
    assert_eq!(settled("0", &[&ours, &theirs]), end);
    assert_eq!(settled("1", &[&ours, &theirs]), None);
    assert_eq!(settled("0", &[&ours, &after_writing]), None);
    assert_eq!(settled("0", &[&ours, &after_writing, &theirs]), None);
    assert_eq!(settled("0", &[&after_writing, &ours]), end);
    assert_eq!(settled("0", &[]), None);
    assert_eq!(settled("0", &[&theirs]), None);
}

/// Another program's snapshot of what was written does not hide it.
#[test]
fn what_was_written_is_counted_from_flockers_own_snapshot() {
    let ours = snapshot("flocker-3-000002", 20, 8192);
    let daily = snapshot("autosnap_daily", 30, 3000);
    let hourly = snapshot("autosnap_hourly", 40, 0);
    let written = |snapshots: &[&ListedSnapshot]| {
        let record = record(OTHER, snapshots, "500");
        (record.copy.written.get(), record.copy.newest_snapshot)
    };
    let [own, other] = [&ours, &hourly].map(|snapshot| Some(snapshot.guid));
    assert_eq!(written(&[&ours]), (500, own));
    assert_eq!(written(&[&daily, &ours]), (500, own));
    assert_eq!(written(&[&ours, &daily, &hourly]), (3500, other));
    assert_eq!(written(&[&daily, &hourly]), (500, other));
    assert_eq!(written(&[]), (500, None));
}

/// Importing a pool after a power cut rewrites a block; others take snapshots in between.
#[test]
fn what_importing_writes_is_forgiven_however_often_and_nothing_more() {
    let ours = snapshot("flocker-3-000002", 20, 8192);
    let rewritten = snapshot("autosnap_daily", 30, 4096);
    let changed = snapshot("autosnap_hourly", 40, 12288);
    let left = |snapshots: &[&ListedSnapshot]| {
        let mut record = record(OTHER, snapshots, "4096");
        let block = ByteCount::new(4096);
        assert!(record.has_written_at_most(block));
        record.forgive(block);
        record.copy.written.get()
    };
    assert_eq!(left(&[&ours]), 0);
    assert_eq!(left(&[&ours, &rewritten]), 0);
    assert_eq!(left(&[&ours, &rewritten, &changed]), 12288);
    let untouched = record(OTHER, &[&ours], "0");
    assert!(!untouched.has_written_at_most(ByteCount::new(4096)));
}

#[test]
fn a_whole_listing_is_understood() {
    let listed = listing(
        SELF,
        &[
            ("refquota", "1048576", "local"),
            ("receive_resume_token", "1-abc", "-"),
        ],
    );
    let record = Record::new(&settings(), &"web".parse().unwrap(), &listed);
    insta::assert_json_snapshot!(record.copy);
    assert_eq!(record.resume_token.as_deref(), Some("1-abc"));
}

#[test]
fn a_mount_makes_a_volume_keep_what_it_acknowledged() {
    let corrected = |value, source| {
        let listed = listing(SELF, &[("sync", value, source)]);
        Record::new(&settings(), &"web".parse().unwrap(), &listed).corrections()
    };
    let standard = [("sync", "standard".to_owned())];
    assert_eq!(corrected("standard", "local"), []);
    assert_eq!(corrected("always", "local"), []);
    assert_eq!(corrected("disabled", "local"), standard);
    assert_eq!(corrected("disabled", "inherited from tank"), standard);
    // The parent's may change any time.
    assert_eq!(corrected("standard", "default"), standard);
}

/// `volume resolve` may have been cut after it had made the volume read-only.
#[test]
fn a_mount_makes_a_read_only_owner_writable() {
    let corrected = |value| {
        let listed = listing(SELF, &[("readonly", value, "local")]);
        Record::new(&settings(), &"web".parse().unwrap(), &listed).corrections()
    };
    assert_eq!(corrected("on"), [("readonly", "off".to_owned())]);
    assert_eq!(corrected("off"), []);
}
