use proptest::prelude::*;

use super::*;

fn snapshot(guid: u64) -> (SnapshotGuid, SnapshotState) {
    let state = SnapshotState {
        name: format!("flocker-1-{guid:06}"),
        created: 1000 + guid,
    };
    (SnapshotGuid(guid), state)
}

fn snapshots(guids: &[u64]) -> Vec<(SnapshotGuid, SnapshotState)> {
    guids.iter().copied().map(snapshot).collect()
}

fn incoming(guids: &[u64], token: Option<&str>) -> Incoming {
    Incoming {
        exists: !guids.is_empty(),
        snapshots: snapshots(guids),
        resume_token: token.map(str::to_owned),
        takes: ENCRYPTED,
    }
}

/// What an encrypted receiver takes.
const ENCRYPTED: StreamFlags = StreamFlags {
    large_blocks: true,
    compressed: true,
    embedded: false,
};

fn plan(
    own: &[u64],
    target: u64,
    there: &Incoming,
    resumable: bool,
) -> Result<SendPlan, PlanSendError> {
    plan_send(&snapshots(own), SnapshotGuid(target), there, resumable)
}

#[test]
fn a_receiver_without_a_copy_gets_everything() {
    let to = "flocker-1-000002".to_owned();
    assert_eq!(
        plan(&[1, 2], 2, &incoming(&[], None), false),
        Ok(SendPlan::Full {
            to,
            flags: ENCRYPTED
        })
    );
}

#[test]
fn a_receiver_with_a_copy_gets_what_changed_since_the_newest_common_snapshot() {
    let expected = SendPlan::Incremental {
        from: SnapshotGuid(2),
        from_name: "flocker-1-000002".to_owned(),
        to: "flocker-1-000004".to_owned(),
        flags: ENCRYPTED,
    };
    assert_eq!(
        plan(&[1, 2, 3, 4], 4, &incoming(&[1, 2], None), false),
        Ok(expected)
    );
}

#[test]
fn a_receiver_that_has_the_snapshot_gets_nothing() {
    let there = incoming(&[1, 2], Some("1-a"));
    assert_eq!(plan(&[1, 2], 2, &there, true), Ok(SendPlan::Nothing));
}

#[test]
fn an_interrupted_transfer_goes_on_only_while_its_snapshot_is_here() {
    let token = "1-a".to_owned();
    let there = incoming(&[], Some("1-a"));
    assert_eq!(
        plan(&[1, 2], 2, &there, true),
        Ok(SendPlan::Resume { token })
    );
    assert!(matches!(
        plan(&[1, 2], 2, &there, false),
        Ok(SendPlan::Full { .. })
    ));
    let there = incoming(&[1], Some("1-a"));
    assert!(matches!(
        plan(&[1, 2], 2, &there, false),
        Ok(SendPlan::Incremental { .. })
    ));
}

#[test]
fn nothing_is_ever_overwritten() {
    let errors = [
        plan(&[3, 4], 4, &incoming(&[1, 2], None), false),
        plan(&[], 4, &incoming(&[1, 2], None), false),
        plan(&[1, 4], 4, &incoming(&[1, 2], None), false),
        plan(&[1, 2, 3], 2, &incoming(&[1, 3], None), false),
        plan(
            &[4],
            4,
            &Incoming {
                exists: true,
                ..Incoming::default()
            },
            false,
        ),
    ];
    let texts: Vec<_> = errors
        .into_iter()
        .map(|error| error.unwrap_err().to_string())
        .collect();
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn dry_runs_are_understood() {
    let resumed = "resume token contents:\nnvlist version: 0\n\tobject = 0x2\n\toffset = 0x40000\n\
        \tbytes = 0x5a3c8\n\ttoguid = 0xd9f8c2b1a3e4f506\n\ttoname = tank/flocker/web@flocker-1-000001\n\
        \tlargeblockok = 1\n\tcompressok = 1\n\
        full\ttank/flocker/web@flocker-1-000001\t20990976\nsize\t20990976\n";
    assert_eq!(
        parse_dry_run(resumed),
        DryRun {
            bytes: Some(20_990_976),
            to_guid: Some(SnapshotGuid(0xd9f8_c2b1_a3e4_f506)),
            flags: ENCRYPTED
        }
    );
    let incremental = "incremental\tflocker-1-000001\ttank/x@flocker-1-000002\t624\nsize\t624\n";
    assert_eq!(
        parse_dry_run(incremental),
        DryRun {
            bytes: Some(624),
            to_guid: None,
            flags: StreamFlags::default()
        }
    );
    assert_eq!(parse_dry_run(""), DryRun::default());
}

proptest! {
    #[test]
    fn a_plan_always_leads_from_what_the_receiver_ends_with(
        own in prop::collection::btree_set(0_u64..12, 0..8),
        there in prop::collection::btree_set(0_u64..12, 0..8),
        target in 0_u64..12,
    ) {
        let own: Vec<u64> = own.into_iter().collect();
        let there: Vec<u64> = there.into_iter().collect();
        match plan(&own, target, &incoming(&there, None), false) {
            Ok(SendPlan::Nothing) => prop_assert!(there.contains(&target)),
            Ok(SendPlan::Full { .. }) => prop_assert!(there.is_empty() && own.contains(&target)),
            Ok(SendPlan::Incremental { from, .. }) => {
                prop_assert_eq!(Some(&from.0), there.last());
                prop_assert!(own.contains(&from.0) && from.0 < target);
            }
            Ok(SendPlan::Resume { .. }) => prop_assert!(false, "there is no token"),
            Err(_) => prop_assert!(!there.contains(&target)),
        }
    }

    #[test]
    fn any_dry_run_is_read(text in "(?s).{0,300}") {
        parse_dry_run(&text);
    }
}
