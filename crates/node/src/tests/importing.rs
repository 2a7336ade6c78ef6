//! Data from outside becomes a volume, and moves like any other.

use std::collections::BTreeSet;

use flocker_docker::Writer;
use flocker_model::{Epoch, ImportContent, ImportPart, SnapshotGuid, VolumeCopy, VolumeRole};
use flocker_plan::{
    BlockedKind, Exporting, Importing, Plan, WhyNotImported, is_imported, plan, plan_exporting,
    plan_importing,
};

use super::cluster::{Cluster, cluster};
use super::fake::IMPORTED;
use super::resolving::{NODES, on, set_aside, set_only_copy_aside};
use super::scripts::Script;
use super::wish::{application_name, node_name};
use crate::export::export;
use crate::failure::failure_of;

/// A directory of the first machine becomes the volume of the first application.
pub(super) struct Import(pub(super) &'static str);

impl Import {
    fn importing(&self) -> Importing {
        let part: ImportPart = self.0.parse().unwrap();
        Importing {
            application: application_name(0),
            node: node_name(0),
            content: ImportContent::try_from(vec![part]).unwrap(),
            lost: BTreeSet::new(),
            at: 0,
        }
    }
}

/// The directory that is imported.
pub(super) const DIRECTORY: Import = Import("/srv/db");

impl Script for Import {
    type Decided = Plan;

    async fn decide(&self, machines: &Cluster) -> Plan {
        plan_importing(&self.importing(), &machines.observe().await).unwrap()
    }

    async fn attempt(&self, machines: &Cluster, decided: &Plan) {
        let _ = machines.drive(decided).await;
    }

    async fn again(&self, machines: &mut Cluster) {
        let importing = self.importing();
        match plan_importing(&importing, &machines.observe().await) {
            Ok(decided) => machines.drive(&decided).await.unwrap(),
            // The interruption came after everything was done.
            Err(refusal) => assert!(
                matches!(refusal.why, WhyNotImported::ImportedBefore { .. }),
                "{refusal}"
            ),
        }
        assert!(is_imported(&importing, &machines.observe().await));
        machines.check_owners();
        let copy = copy(machines, 0).await;
        assert_eq!(copy.import.as_deref(), Some(self.0));
        assert_eq!(copy.snapshots.len(), 1);
        machines.acknowledge(&application_name(0), IMPORTED);
        // Wherever it is placed, the next deploy brings it there.
        machines.converge(&on(1)).await;
        let mut exported = Vec::new();
        let guid = export_from(machines, 1).await;
        let wanted = (&application_name(0), guid);
        let volumes = &machines.machine(&node_name(1)).volumes;
        export(volumes, wanted, &mut exported).await.unwrap();
        let has = |part: &[u8]| exported.windows(part.len()).any(|it| it == part);
        assert!(has(IMPORTED));
    }
}

/// Looks at a machine's copy.
async fn copy(machines: &Cluster, node: usize) -> VolumeCopy {
    let observed = machines.observe().await;
    let state = observed.node(&node_name(node)).unwrap();
    state.volumes[&application_name(0)].clone()
}

/// Takes the snapshot of an export.
async fn export_from(machines: &Cluster, node: usize) -> SnapshotGuid {
    let exporting = Exporting {
        application: application_name(0),
        node: node_name(node),
    };
    let plan = plan_exporting(&exporting, &machines.observe().await).unwrap();
    machines.drive(&plan).await.unwrap();
    copy(machines, node).await.newest_own().unwrap()
}

/// An import that was interrupted once something was copied.
async fn interrupted() -> Cluster {
    let machines = Cluster::new(NODES);
    let volumes = &machines.machine(&node_name(0)).volumes;
    let new = flocker_zfs::NewImport {
        application: application_name(0),
        from: DIRECTORY.0.to_owned(),
        epoch: Epoch::FIRST,
        deployment: None,
    };
    let fill = |_| async { Err(failure_of("the operator is gone")) };
    let broken = crate::platform::Volumes::import(volumes, &new, fill).await;
    assert_eq!(broken.unwrap_err().message, "the operator is gone");
    machines
}

#[tokio::test]
async fn no_deploy_makes_a_volume_beside_an_unfinished_import() {
    let mut machines = interrupted().await;
    for place in [0, 1] {
        let made = plan(&cluster(&on(place)), &machines.observe().await);
        let blocked = made.blocked.first().unwrap_or_else(|| panic!("{made}"));
        assert!(
            matches!(blocked.kind, BlockedKind::ImportUnfinished { .. }),
            "{blocked}"
        );
        insta::assert_snapshot!(
            "an_unfinished_import",
            format!("error: {blocked}\n  hint: {}", blocked.hint())
        );
    }
    let other = Import("/srv/other").importing();
    let refused = plan_importing(&other, &machines.observe().await).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("from /srv/db on 10.0.0.1 is not finished")
    );
    DIRECTORY.again(&mut machines).await;
}

#[tokio::test]
async fn an_unfinished_import_is_given_up_by_setting_it_aside() {
    let mut machines = interrupted().await;
    let plan = set_aside(&machines.observe().await, &node_name(0));
    machines.drive(&plan).await.unwrap();
    assert_eq!(machines.kept_aside(&node_name(0)), 1);
    machines.converge(&on(0)).await;
}

#[tokio::test]
async fn nothing_is_imported_while_a_container_writes_to_it() {
    let mut machines = Cluster::new(NODES);
    let writer = Writer {
        container: "old-db".to_owned(),
        directories: vec!["/srv/db".into()],
    };
    machines.add_writer(&node_name(0), Some(writer));
    let decided = DIRECTORY.decide(&machines).await;
    let refused = machines.drive(&decided).await.unwrap_err();
    assert!(refused.contains("`old-db` runs and may write"), "{refused}");
    let observed = machines.observe().await;
    assert!(observed.node(&node_name(0)).unwrap().volumes.is_empty());
    machines.add_writer(&node_name(0), None);
    DIRECTORY.again(&mut machines).await;
}

#[tokio::test]
async fn a_finished_import_is_set_aside_and_imported_anew() {
    let mut machines = Cluster::new(NODES);
    let decided = DIRECTORY.decide(&machines).await;
    machines.drive(&decided).await.unwrap();
    let refused = plan_importing(&DIRECTORY.importing(), &machines.observe().await).unwrap_err();
    assert!(refused.hint().contains("--set-aside"), "{refused}");
    let aside = set_aside(&machines.observe().await, &node_name(0));
    machines.drive(&aside).await.unwrap();
    assert_eq!(machines.kept_aside(&node_name(0)), 1);
    DIRECTORY.again(&mut machines).await;
}

#[tokio::test]
async fn an_import_takes_the_place_of_a_volume_that_a_deploy_made() {
    let mut machines = Cluster::new(NODES);
    machines.converge(&on(0)).await;
    let (node, application) = (node_name(0), application_name(0));
    machines.stop_unit(&node, &application).await;
    let aside = set_only_copy_aside(&machines.observe().await, &node);
    machines.drive(&aside).await.unwrap();
    assert_eq!(machines.kept_aside(&node), 1);
    DIRECTORY.again(&mut machines).await;
    machines.converge(&on(0)).await;
    assert!(machines.runs(&node, &application));
}

#[tokio::test]
async fn an_imported_volume_that_is_used_is_not_imported_again() {
    let mut machines = Cluster::new(NODES);
    DIRECTORY.again(&mut machines).await;
    machines.converge(&on(0)).await;
    let refused = plan_importing(&DIRECTORY.importing(), &machines.observe().await).unwrap_err();
    assert!(
        refused.to_string().contains("the volume exists"),
        "{refused}"
    );
    let role = copy(&machines, 1).await.role;
    assert!(matches!(role, VolumeRole::Replica { .. }), "{role:?}");
}
