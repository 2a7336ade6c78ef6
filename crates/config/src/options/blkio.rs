//! The key `blkio_config`: how much a container may use disks.

use std::collections::BTreeMap;

use flocker_model::{BlockIo, ByteCount, DeviceRate, MountPath};

use super::Keys;
use super::forms::{integer, list};
use crate::fields::Field;
use crate::keys::KnownKeys;
use crate::quantity::parse_bytes;
use crate::report::{Finding, Report};
use crate::tree::Value;
use crate::volume::read_path;

const CONFIG: KnownKeys = KnownKeys {
    keys: &[
        "weight",
        "weight_device",
        "device_read_bps",
        "device_write_bps",
        "device_read_iops",
        "device_write_iops",
    ],
    foreign: &[],
};

const WEIGHT: KnownKeys = KnownKeys {
    keys: &["path", "weight"],
    foreign: &[],
};

const RATE: KnownKeys = KnownKeys {
    keys: &["path", "rate"],
    foreign: &[],
};

/// **Source**: Docker's reference, `docker run --blkio-weight`.
const WEIGHTS: (i64, i64) = (10, 1000);

pub(super) fn read_block_io(keys: &Keys<'_>, report: &mut Report) -> BlockIo {
    let Some(field) = keys.field("blkio_config") else {
        return BlockIo::default();
    };
    if field.value.is_null() {
        return BlockIo::default();
    }
    let Some(entries) = field.value.entries() else {
        report.error(|| {
            field
                .wrong_type("a mapping")
                .hint(field.line("{weight: 300}"))
        });
        return BlockIo::default();
    };
    CONFIG.check(&entries, &field.what, report);
    let part = |key: &str| {
        let entry = field.value.get(key)?;
        Some(Field::of(entry, &field.what))
    };
    let weight = part("weight").and_then(|field| read_weight(&field, report));
    BlockIo {
        weight,
        weight_device: part("weight_device")
            .map(|field| read_weights(&field, report))
            .unwrap_or_default(),
        device_read_bps: read_rates(part("device_read_bps"), parse_rate, report),
        device_write_bps: read_rates(part("device_write_bps"), parse_rate, report),
        device_read_iops: read_rates(part("device_read_iops"), parse_operations, report),
        device_write_iops: read_rates(part("device_write_iops"), parse_operations, report),
    }
}

fn read_weight(field: &Field<'_>, report: &mut Report) -> Option<u16> {
    let weight = integer(field, WEIGHTS, report)?;
    u16::try_from(weight).ok()
}

fn read_weights(field: &Field<'_>, report: &mut Report) -> BTreeMap<MountPath, u16> {
    let items = list(field, report).into_iter();
    let read = items.filter_map(|item| {
        let (path, weight) = read_pair(field, item, (&WEIGHT, "weight"), report)?;
        Some((path, read_weight(&weight, report)?))
    });
    read.collect()
}

fn read_rates(
    field: Option<Field<'_>>,
    parse: fn(&Field<'_>, &mut Report) -> Option<ByteCount>,
    report: &mut Report,
) -> Vec<DeviceRate> {
    let Some(field) = field else {
        return Vec::new();
    };
    let items = list(&field, report).into_iter();
    let read = items.filter_map(|item| {
        let (path, rate) = read_pair(&field, item, (&RATE, "rate"), report)?;
        let rate = parse(&rate, report)?;
        Some(DeviceRate { path, rate })
    });
    read.collect()
}

fn parse_rate(field: &Field<'_>, report: &mut Report) -> Option<ByteCount> {
    let rate = field.parsed("a size", parse_bytes, report);
    rate.map(|rate| rate.value)
}

fn parse_operations(field: &Field<'_>, report: &mut Report) -> Option<ByteCount> {
    let rate = integer(field, (1, i64::MAX), report)?;
    u64::try_from(rate).ok().map(ByteCount::new)
}

/// Reads a mapping of `path` and one more key.
fn read_pair<'t>(
    field: &Field<'_>,
    item: Value<'t>,
    (known, key): (&KnownKeys, &str),
    report: &mut Report,
) -> Option<(MountPath, Field<'t>)> {
    let item = Field::item(format!("an item of {}", field.what), item);
    let example = format!("write `{{path: /dev/sda, {key}: ...}}`");
    let Some(entries) = item.value.entries() else {
        report.error(|| item.wrong_type("a mapping").hint(example));
        return None;
    };
    known.check(&entries, &item.what, report);
    let (Some(path), Some(value)) = (item.value.get("path"), item.value.get(key)) else {
        report.error(|| {
            let message = format!("{} must have `path` and `{key}`", item.what);
            Finding::at(item.span(), message).hint(example)
        });
        return None;
    };
    let path = read_path(&Field::of(path, &item.what), report)?;
    Some((path.value, Field::of(value, &item.what)))
}
