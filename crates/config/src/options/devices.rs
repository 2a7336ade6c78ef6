//! The keys `devices` and `device_cgroup_rules`.

use std::collections::BTreeSet;

use flocker_model::{CdiDevice, DeviceMapping, DeviceRule, InvalidName, MountPath};

use super::Keys;
use super::forms::{checked_items, list};
use crate::fields::Field;
use crate::keys::KnownKeys;
use crate::quantity::Refusal;
use crate::report::{Finding, Report};
use crate::volume::read_path;

const LONG_FORM: KnownKeys = KnownKeys {
    keys: &["source", "target", "permissions"],
    foreign: &[],
};

/// One item of `devices`.
enum Device {
    File(DeviceMapping),
    Named(CdiDevice),
}

/// Reads device files, and devices by name.
pub(super) fn read_devices(
    keys: &Keys<'_>,
    report: &mut Report,
) -> (BTreeSet<DeviceMapping>, BTreeSet<CdiDevice>) {
    let (mut files, mut named) = (BTreeSet::new(), BTreeSet::new());
    let Some(field) = keys.field("devices") else {
        return (files, named);
    };
    for item in list(&field, report) {
        let item = Field::item(format!("a device of {}", keys.owner), item);
        let device = if item.value.entries().is_some() {
            read_long_form(&item, report).map(Device::File)
        } else {
            let device = item.parsed("a device", parse, report);
            device.map(|device| device.value)
        };
        match device {
            Some(Device::File(file)) => {
                files.insert(file);
            }
            Some(Device::Named(name)) => {
                named.insert(name);
            }
            None => {}
        }
    }
    (files, named)
}

/// Reads `/dev/x`, `/dev/x:/dev/y`, `/dev/x:rwm`, `/dev/x:/dev/y:rwm` or `vendor.com/class=name`.
fn parse(text: &str) -> Result<Device, Refusal> {
    const HINT: &str = "write `/dev/dri`, `/dev/ttyUSB0:/dev/modem`, `/dev/sda:/dev/sda:r`, or a name \
                        like `vendor.com/gpu=0`";
    if !text.starts_with('/') {
        let named = text.parse::<CdiDevice>();
        return named
            .map(Device::Named)
            .map_err(|invalid| Refusal::new(invalid.problem, HINT));
    }
    let path = |text: &str| {
        let path = text.parse::<MountPath>();
        path.map_err(|invalid: InvalidName| Refusal::new(invalid.problem, HINT))
    };
    let parts: Vec<&str> = text.split(':').collect();
    let all = DeviceMapping::ALL_PERMISSIONS;
    let (source, target, permissions) = match parts.as_slice() {
        [source] => (*source, *source, all),
        [source, permissions] if DeviceMapping::is_permissions(permissions) => {
            (*source, *source, *permissions)
        }
        [source, target] => (*source, *target, all),
        [source, target, permissions] if DeviceMapping::is_permissions(permissions) => {
            (*source, *target, *permissions)
        }
        _ => return Err(Refusal::new("is not a device", HINT)),
    };
    Ok(Device::File(DeviceMapping {
        source: path(source)?,
        target: path(target)?,
        permissions: permissions.to_owned(),
    }))
}

fn read_long_form(field: &Field<'_>, report: &mut Report) -> Option<DeviceMapping> {
    let entries = field.value.entries()?;
    LONG_FORM.check(&entries, &field.what, report);
    let part = |key: &str| {
        let entry = field.value.get(key)?;
        Some(Field::of(entry, &field.what))
    };
    let Some(source) = part("source") else {
        report.error(|| {
            Finding::at(field.span(), format!("{} has no `source`", field.what))
                .hint("write `{source: /dev/dri, target: /dev/dri, permissions: rwm}`")
        });
        return None;
    };
    let source = read_path(&source, report)?.value;
    let target = match part("target") {
        Some(target) => read_path(&target, report)?.value,
        None => source.clone(),
    };
    let permissions = match part("permissions") {
        Some(permissions) => {
            let parse = |text: &str| {
                let is_sound = DeviceMapping::is_permissions(text);
                let refusal = || Refusal::new("is not some of `rwm`", "write `r`, `rw` or `rwm`");
                is_sound.then(|| text.to_owned()).ok_or_else(refusal)
            };
            permissions.parsed("permissions", parse, report)?.value
        }
        None => DeviceMapping::ALL_PERMISSIONS.to_owned(),
    };
    Some(DeviceMapping {
        source,
        target,
        permissions,
    })
}

pub(super) fn read_rules(keys: &Keys<'_>, report: &mut Report) -> BTreeSet<DeviceRule> {
    let Some(field) = keys.field("device_cgroup_rules") else {
        return BTreeSet::new();
    };
    let what = format!("a rule for devices of {}", keys.owner);
    let rule = (
        "a rule",
        "write the kind of device, its numbers and what is allowed, such as `\"c 188:* rw\"`",
    );
    let rules = checked_items((list(&field, report), &what), rule, report);
    rules.into_iter().collect()
}
