//! Every action that has more than one effect has places between them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use flocker_plan::{Action, ImageSource, PushKind};

use super::cluster::Cluster;
use super::importing::DIRECTORY;
use super::resolving::NODES;
use super::scripts::{Deploy, Promote, Restore, Script as _};
use super::wish::{Wish, application_name, deployment};

/// How many kinds of actions there are; a push is two, with the application running and without.
const KINDS: usize = 26;

/// The places inside a step, between `before` and `after`.
enum Inside {
    /// They are in this crate.
    Here(&'static [&'static str]),
    /// They are where volumes are changed; machines in memory do not get there.
    Volumes(&'static [&'static str]),
    /// There are none, for this reason.
    Nowhere(&'static str),
}

/// The places inside a start.
const STARTING: [&str; 12] = [
    "taken-down",
    "remembered",
    "mounted",
    "bridge-made",
    "namespace-made",
    "linked",
    "container-made",
    "table-remembered",
    "table-programmed",
    "ready",
    "started",
    "steady",
];

/// The places inside an import, of trees and then of streams.
const IMPORTING: [&str; 7] = [
    "made",
    "mounted",
    "filled",
    "snapshotted",
    "owned",
    "begun",
    "received",
];

/// Says where an action can be interrupted. Whoever adds an action says it here.
fn inside(action: &Action) -> Inside {
    match action {
        Action::AdmitMembers { .. } => Inside::Here(&["keys-written"]),
        Action::PushImage { .. } => Inside::Here(&["begun", "under-way"]),
        Action::EnsureImage {
            from: ImageSource::Operator(_),
            ..
        } => Inside::Nowhere("the operator's side does it, with places of its own"),
        Action::EnsureImage {
            from: ImageSource::Registry(_),
            ..
        } => Inside::Nowhere("one request to Docker"),
        Action::CheckImage { .. } | Action::AwaitCompletion { .. } => {
            Inside::Nowhere("nothing is changed")
        }
        Action::CreateVolume { .. } => Inside::Volumes(&["made", "mounted", "filled", "whole"]),
        Action::ResizeVolume { .. } | Action::RecordOwner { .. } => {
            Inside::Nowhere("one `zfs set`, which is one transaction")
        }
        Action::PushVolume {
            kind: PushKind::Ahead | PushKind::Last,
            ..
        } => Inside::Here(&["snapshotted", "at-0", "at-50", "at-99", "sent"]),
        Action::ReleaseVolume { .. }
        | Action::AcquireVolume { .. }
        | Action::PromoteVolume { .. } => Inside::Volumes(&["checked"]),
        Action::ImportVolume { .. } => Inside::Volumes(&IMPORTING),
        Action::SnapshotVolume { .. } => Inside::Nowhere("one snapshot"),
        Action::SetVolumeAside { .. } => Inside::Volumes(&["protected", "renamed"]),
        Action::StopApplication { .. } => Inside::Here(&[
            "begun",
            "unit-stopped",
            "container-stopped",
            "unit-removed",
            "stopped",
        ]),
        Action::RemoveApplication { .. } => Inside::Here(&[
            "unit-removed",
            "container-removed",
            "namespace-removed",
            "scratch-removed",
            "files-removed",
            "forgotten",
            "table-remembered",
            "table-programmed",
        ]),
        Action::StartApplication { .. } => Inside::Here(&STARTING),
        Action::SetLinks { .. } => Inside::Here(&["remembered", "bridge-made", "namespace-made"]),
        Action::AwaitHealth { .. } => Inside::Here(&["steady"]),
        Action::HoldPorts { .. } | Action::SwitchRoutes { .. } => {
            Inside::Here(&["table-remembered", "table-programmed"])
        }
        Action::ProgramNetwork { .. } => {
            Inside::Here(&["bridge-made", "table-remembered", "table-programmed"])
        }
        Action::PruneSnapshots { .. } => Inside::Volumes(&["released"]),
        Action::RecordDeployment { .. } => {
            Inside::Here(&["keys-written", "admitted", "remembered"])
        }
    }
}

/// What is done for others, at boots or before an application starts, and is no action.
const NO_ACTIONS: [(&str, &[&str]); 5] = [
    ("export-volume", &["before", "after"]),
    ("receive-volume", &["before", "after"]),
    ("receive-image", &["before", "after"]),
    (
        "restore",
        &["locked", "observed", "asked", "planned", "done"],
    ),
    (
        "prepare",
        &[
            "before",
            "mounted",
            "bridge-made",
            "namespace-made",
            "linked",
            "container-made",
            "table-remembered",
            "table-programmed",
            "after",
        ],
    ),
];

/// The places of a push's other end where volumes are changed.
const RECEIVING: [&str; 4] = ["begun", "held", "named", "received"];

/// Actions by their kinds, and the places at which anybody arrived.
#[derive(Default)]
struct Seen {
    actions: BTreeMap<&'static str, Action>,
    places: BTreeSet<String>,
}

impl Seen {
    fn add(&mut self, machines: &Cluster) {
        self.actions.append(&mut machines.ran.borrow_mut());
        self.places.append(&mut machines.faults.take_reached());
    }

    /// Lists the moments of a step at which anybody arrived.
    fn moments(&self, step: &str) -> BTreeSet<&str> {
        let prefix = format!("{step}.");
        let places = self.places.iter();
        places
            .filter_map(|place| place.strip_prefix(&prefix))
            .collect()
    }
}

/// Does everything once.
async fn do_everything() -> Seen {
    let mut seen = Seen::default();
    let linked = Wish {
        linked: true,
        limited: true,
        ..Wish::at(0)
    };
    let idle = Wish {
        place: None,
        ..Wish::at(0)
    };
    let newer = |place| Wish {
        version: true,
        ..Wish::at(place)
    };
    let job = Wish {
        once: true,
        ..Wish::at(1)
    };
    let dependent = Wish {
        dependent: true,
        ..Wish::at(0)
    };
    let mut machines = Cluster::new(NODES);
    for wishes in [
        [Wish::at(0), idle, Wish::at(0)],
        [linked, idle, linked],
        [linked, idle, Wish::at(1)],
        [newer(1), newer(1), idle],
        [newer(0), newer(1), idle],
        [newer(1), newer(1), idle],
        [newer(1), job, dependent],
    ] {
        let wanted = Deploy(deployment(NODES, &wishes));
        let decided = wanted.decide(&machines).await;
        // What is written meanwhile is what a last push has to bring.
        machines.drive_beside_writers(&decided).await;
        wanted.again(&mut machines).await;
        seen.add(&machines);
    }
    let wanted = deployment(NODES, &[Wish::at(0), idle, Wish::at(0)]);
    machines.converge(&wanted).await;
    let wanted = deployment(NODES, &[linked, idle, Wish::at(0)]);
    machines.converge(&wanted).await;
    machines.lose_links(&Restore::node());
    machines.converge(&wanted).await;
    machines.cut_power(&Restore::node());
    let first = application_name(0);
    machines.prepare(&Restore::node(), &first).await.unwrap();
    machines.restore(&Restore::node()).await;
    machines.prepare(&Restore::node(), &first).await.unwrap();
    seen.add(&machines);

    decide_everything(&mut seen).await;
    seen
}

/// Does once what only the operator may ask for.
async fn decide_everything(seen: &mut Seen) {
    let mut machines = super::resolving::moved_twice().await;
    machines.cut_power(&Promote::lost());
    machines.replaced.insert(Promote::lost());
    Promote.again(&mut machines).await;
    seen.add(&machines);

    let mut machines = Cluster::new(NODES);
    machines.faults.disarm();
    DIRECTORY.again(&mut machines).await;
    seen.add(&machines);
}

#[tokio::test]
async fn every_action_has_places_inside_or_a_reason_for_none() {
    let seen = do_everything().await;
    let kinds: Vec<_> = seen.actions.keys().collect();
    assert_eq!(kinds.len(), KINDS, "{kinds:?}");
    let mut in_volumes = BTreeSet::new();
    for (kind, action) in &seen.actions {
        let mut expected = BTreeSet::from(["before", "after"]);
        match inside(action) {
            Inside::Here(moments) => expected.extend(moments),
            Inside::Volumes(moments) => {
                in_volumes.extend(moments.iter().map(|moment| format!("{kind}.{moment}")));
            }
            Inside::Nowhere(reason) => assert!(!reason.is_empty()),
        }
        assert_eq!(seen.moments(kind), expected, "{kind}");
    }
    for (name, moments) in NO_ACTIONS {
        assert_eq!(
            seen.moments(name),
            moments.iter().copied().collect(),
            "{name}"
        );
    }
    in_volumes.extend(RECEIVING.map(|moment| format!("receive-volume.{moment}")));
    let steps = seen.actions.keys().copied().chain(["receive-volume"]);
    assert_eq!(
        named_where_volumes_are_changed(&steps.collect()),
        in_volumes
    );
}

/// Lists the places of steps that the sources of `flocker-zfs` name.
fn named_where_volumes_are_changed(steps: &BTreeSet<&str>) -> BTreeSet<String> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../zfs/src");
    let mut named = BTreeSet::new();
    for entry in std::fs::read_dir(sources).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(path).unwrap();
            let quoted = text.split('"').filter(|words| {
                let place = words.split_once('.');
                place.is_some_and(|(step, _)| steps.contains(step))
            });
            named.extend(quoted.map(str::to_owned));
        }
    }
    named
}
