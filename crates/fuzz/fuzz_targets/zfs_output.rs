//! What `zfs`, `zpool` and the table of mounts say: nothing is taken for owned that does not say so
//! itself, and what is refused is refused with its line.
//!
//! Input: the output of a command, a line `====`, the table of mounts.

#![no_main]

use std::collections::BTreeSet;

use flocker_fuzz::halves;
use flocker_model::{ApplicationName, NodeId, PoolHealth, VolumeCopy, VolumeRole};
use flocker_zfs::ZfsSettings;
use flocker_zfs::output::{
    parse_bytes, parse_copied_bytes, parse_dry_run, parse_health, parse_largest_sector,
    read_holders, read_volumes,
};
use libfuzzer_sys::fuzz_target;
use uuid::Uuid;

/// The node's id is all zeros.
const NODE: Uuid = Uuid::nil();

fuzz_target!(|input: &[u8]| {
    let (output, mounts) = halves(input);
    let output = String::from_utf8_lossy(output);
    let mounts = String::from_utf8_lossy(mounts);
    let settings = ZfsSettings {
        dataset: "tank/flocker".to_owned(),
        mount_root: "/flocker".into(),
        node: NodeId(NODE),
    };
    match read_volumes(&settings, &output, &mounts) {
        Ok(volumes) => {
            let lines: BTreeSet<&str> = output.lines().collect();
            for (application, copy) in &volumes {
                check_copy(application, copy, &lines);
                assert!(copy.mounted.is_none() || mounts.contains("zfs"));
                assert!(copy.key_needed.is_none() || output.contains("keystatus\tunavailable"));
            }
        }
        Err(error) => {
            assert!((1..=output.lines().count()).contains(&error.line));
            assert!(error.text.chars().count() <= 600, "{error}");
        }
    }
    for (application, holders) in read_holders("tank/flocker", &output, (&mounts, &output)) {
        assert!(mounts.contains(&format!("tank/flocker/{application}")));
        let mut containers = holders
            .iter()
            .filter_map(|holder| holder.container.as_deref());
        assert!(containers.all(|id| output.contains(id)));
        assert_eq!(holders.len(), 1);
    }
    if parse_health(&output) == PoolHealth::Usable {
        let says = |line| output.lines().any(|said| said == line);
        assert!(says("health\tONLINE") || says("health\tDEGRADED"));
        assert!(says("readonly\toff"));
    }
    if let Some(bytes) = parse_bytes(&output) {
        let digits = output.trim().trim_start_matches('0');
        assert!(bytes.get().to_string().ends_with(digits), "{bytes}");
    }
    let sector = parse_largest_sector(&output);
    assert!(sector == 0 || sector.is_power_of_two());
    let dry_run = parse_dry_run(&output);
    assert!(dry_run.bytes.is_none() || output.contains("size"));
    assert!(dry_run.to_guid.is_none() || output.contains("toguid"));
    for line in output.split('\r') {
        if let Some(copied) = parse_copied_bytes(line) {
            assert!(line.contains('%') && line.contains(&copied.get().to_string()));
        }
    }
});

fn check_copy(application: &ApplicationName, copy: &VolumeCopy, lines: &BTreeSet<&str>) {
    let datasets = ["", "_receiving:"].map(|mark| format!("tank/flocker/{mark}{application}"));
    let says = |property: &str, value: &str| {
        let of = |dataset| format!("{dataset}\t{property}\t{value}\tlocal");
        datasets
            .iter()
            .any(|dataset| lines.contains(of(dataset).as_str()))
    };
    let is_at_home = || says("mountpoint", &format!("/flocker/{application}"));
    match &copy.role {
        // Uuids and numbers may be written in more than one way; that these are there at all,
        // and set here, is what counts.
        VolumeRole::Owned { .. } | VolumeRole::Replica { .. } => {
            assert!(is_at_home());
            let is_set_here = |property: &str| {
                lines.iter().any(|line| {
                    let mut columns = line.split('\t');
                    datasets
                        .iter()
                        .any(|dataset| columns.clone().next() == Some(dataset))
                        && columns.nth(1) == Some(property)
                        && line.ends_with("\tlocal")
                })
            };
            let is_old = is_set_here("flocker:owner") && is_set_here("flocker:epoch");
            assert!(is_old || is_set_here("flocker:ownership"), "{application}");
        }
        VolumeRole::Foreign { problem } => assert!(!problem.is_empty()),
    }
    if let VolumeRole::Replica { owner, .. } = copy.role {
        assert_ne!(owner, NodeId(NODE));
    }
    for state in copy.snapshots.values() {
        assert!(state.name.starts_with("flocker-"), "{}", state.name);
    }
    assert!(copy.snapshots.is_empty() || copy.newest_snapshot.is_some());
}
