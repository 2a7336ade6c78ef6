use proptest::prelude::*;

use super::*;
use crate::listing::parse_listing;

const OWNER: &str = "00000000-0000-4000-8000-00000000000a";
const NEXT: &str = "00000000-0000-4000-8000-00000000000b";

/// What a dataset with these properties says, all of them set on it.
fn said(properties: &[(&str, &str)]) -> Result<Option<Ownership>, String> {
    let set = properties
        .iter()
        .map(|&(name, value)| (name, value, "local"));
    said_from(&set.collect::<Vec<_>>())
}

/// What a dataset with these properties says, each from a source.
fn said_from(properties: &[(&str, &str, &str)]) -> Result<Option<Ownership>, String> {
    Ownership::of(&listed(properties))
}

fn listed(properties: &[(&str, &str, &str)]) -> ListedDataset {
    let rows = properties
        .iter()
        .map(|(name, value, source)| format!("t/f/web\t{name}\t{value}\t{source}\n"));
    let mut listed = parse_listing(&rows.collect::<String>()).unwrap();
    listed.remove("t/f/web").unwrap_or_default()
}

fn ownership(owner: &str, epoch: u64, handoff: Option<u64>) -> Ownership {
    Ownership {
        owner: NodeId(Uuid::parse_str(owner).unwrap()),
        epoch: Epoch(epoch),
        handoff: handoff.map(SnapshotGuid),
    }
}

#[test]
fn one_property_says_everything() {
    let kept = ownership(OWNER, 3, None);
    let released = ownership(NEXT, 4, Some(77));
    assert_eq!(kept.to_string(), format!("owner={OWNER},epoch=3"));
    assert_eq!(
        released.to_string(),
        format!("owner={NEXT},epoch=4,handoff=77")
    );
    for ownership in [kept, released] {
        assert_eq!(
            said(&[(OWNERSHIP, &ownership.to_string())]),
            Ok(Some(ownership))
        );
    }
    assert_eq!(said(&[]), Ok(None));
}

/// A value that can only be read in part must not pass for one without the rest.
#[test]
fn no_other_text_is_read() {
    for text in [
        "owner=".to_owned(),
        format!("owner={OWNER}"),
        format!("epoch=3,owner={OWNER}"),
        format!("owner={OWNER},epoch=03"),
        format!("owner={OWNER},epoch=3,"),
        format!("owner={OWNER},epoch=3,handoff=x"),
        format!("owner={OWNER},epoch=3,handoff=77,more"),
        format!("owner={},epoch=3", OWNER.to_uppercase()),
        format!(" owner={OWNER},epoch=3"),
    ] {
        let problem = format!("has an unreadable `flocker:ownership`: `{text}`");
        assert_eq!(said(&[(OWNERSHIP, &text)]), Err(problem));
    }
    let text = ownership(OWNER, 3, None).to_string();
    let problem = |source| said_from(&[(OWNERSHIP, &text, source)]).unwrap_err();
    assert_eq!(
        problem("received"),
        "got `flocker:ownership` from a `zfs receive` that was not Flocker's"
    );
    assert_eq!(
        problem("inherited from tank"),
        "was not made by Flocker: `flocker:ownership` is inherited from tank"
    );
}

#[test]
fn the_three_properties_of_earlier_releases_are_read() {
    let old = [(OLD_OWNER, OWNER), (OLD_EPOCH, "3")];
    assert_eq!(said(&old), Ok(Some(ownership(OWNER, 3, None))));
    let [owner, epoch] = old;
    let released = [owner, epoch, (OLD_HANDOFF, "77")];
    assert_eq!(said(&released), Ok(Some(ownership(OWNER, 3, Some(77)))));
}

/// The old ones are cleared by a later command, which may never have come, or only in part.
#[test]
fn the_one_property_counts_whatever_the_three_say() {
    let now = ownership(NEXT, 4, None);
    let text = now.to_string();
    let leftovers: [&[(&str, &str)]; 6] = [
        &[(OLD_OWNER, OWNER), (OLD_EPOCH, "3"), (OLD_HANDOFF, "77")],
        &[(OLD_OWNER, "-"), (OLD_EPOCH, "3"), (OLD_HANDOFF, "77")],
        &[(OLD_OWNER, "-"), (OLD_EPOCH, "-"), (OLD_HANDOFF, "77")],
        &[(OLD_OWNER, "-"), (OLD_EPOCH, "-"), (OLD_HANDOFF, "-")],
        &[(OLD_OWNER, "nonsense"), (OLD_EPOCH, "nonsense")],
        &[(OLD_OWNER, OWNER), (OLD_EPOCH, "9")],
    ];
    for leftover in leftovers {
        let mut properties = leftover.to_vec();
        properties.push((OWNERSHIP, &text));
        assert_eq!(said(&properties), Ok(Some(now)), "{leftover:?}");
    }
    // Also where it cannot be read: the old ones may be of any time.
    let damaged = said(&[(OWNERSHIP, "x"), (OLD_OWNER, OWNER), (OLD_EPOCH, "3")]);
    assert!(damaged.is_err());
}

/// What an earlier release's `zfs set` left that failed half-way: each prefix of what it wrote.
#[test]
fn every_prefix_of_an_earlier_release_is_understood() {
    let before = [(OLD_OWNER, OWNER), (OLD_EPOCH, "3"), (OLD_HANDOFF, "-")];
    let after = [(OLD_OWNER, NEXT), (OLD_EPOCH, "4"), (OLD_HANDOFF, "77")];
    let read = (0..=after.len()).map(|count| {
        let properties = [&after[..count], &before[count..]].concat();
        said(&properties).unwrap().unwrap()
    });
    assert_eq!(
        read.collect::<Vec<_>>(),
        [
            ownership(OWNER, 3, None),
            ownership(NEXT, 3, None),
            ownership(NEXT, 4, None),
            ownership(NEXT, 4, Some(77)),
        ]
    );
}

#[test]
fn old_properties_are_cleared_where_they_are_set() {
    let old = |value, source| has_old_form(&listed(&[(OLD_EPOCH, value, source)]));
    assert!(old("3", "local"));
    assert!(!old("-", "local") && !old("-", "-"));
    assert!(!old("3", "inherited from tank"));
    assert_eq!(
        without_old_form().map(|(name, value)| format!("{name}={value}")),
        ["flocker:owner=-", "flocker:epoch=-", "flocker:handoff=-"]
    );
}

/// A release that knows the three properties alone must refuse the dataset, and not take the volume
/// for one that is absent or has another owner.
#[test]
fn an_earlier_release_takes_it_for_a_dataset_that_is_not_flockers() {
    let text = ownership(NEXT, 4, Some(77)).to_string();
    let cleared = without_old_form();
    let mut properties = vec![(OWNERSHIP, text.as_str())];
    for count in 0..=cleared.len() {
        let listed = listed(
            &properties
                .iter()
                .map(|&(n, v)| (n, v, "local"))
                .collect::<Vec<_>>(),
        );
        // These are the earlier release's own lines; without an ownership it calls a dataset foreign.
        assert_eq!(Ownership::of_old(&listed), Ok(None), "{properties:?}");
        properties.extend(
            cleared
                .get(count)
                .map(|(name, value)| (*name, value.as_str())),
        );
    }
}

proptest! {
    #[test]
    fn whatever_is_read_is_written_as_it_was(
        text in "(owner=|epoch=|handoff=|[,0-9a-f-]|00000000-0000-4000-8000-00000000000a){0,12}"
    ) {
        if let Some(parsed) = Ownership::parse(&text) {
            prop_assert_eq!(parsed.to_string(), text);
        }
    }
}
