use std::fmt::Write as _;

use super::*;
use crate::listing::parse_listing;

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
fn an_inherited_handoff_is_none() {
    let inherited = [(HANDOFF, "77", "inherited from tank/flocker")];
    assert!(matches!(
        role(OTHER, &inherited),
        VolumeRole::Replica { handoff: None, .. }
    ));
}

#[test]
fn only_an_untouched_end_counts_as_settled() {
    let web = "web".parse().unwrap();
    let ours = ListedSnapshot {
        name: "flocker-3-000002".to_owned(),
        guid: SnapshotGuid(2),
        createtxg: 20,
        creation: 200,
    };
    let theirs = ListedSnapshot {
        name: "autosnap".to_owned(),
        guid: SnapshotGuid(9),
        createtxg: 30,
        creation: 300,
    };
    let settled = |written: &str, snapshots: &[&ListedSnapshot]| {
        let mut listed = listing(SELF, &[("written", written, "-")]);
        listed.snapshots = snapshots.iter().map(|&snapshot| snapshot.clone()).collect();
        let record = Record::new(&settings(), &web, &listed);
        record.settled_at().map(|snapshot| snapshot.guid)
    };
    assert_eq!(settled("0", &[&ours]), Some(SnapshotGuid(2)));
    assert_eq!(settled("1", &[&ours]), None);
    assert_eq!(settled("0", &[&ours, &theirs]), None);
    assert_eq!(settled("0", &[&theirs, &ours]), Some(SnapshotGuid(2)));
    assert_eq!(settled("0", &[]), None);
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
