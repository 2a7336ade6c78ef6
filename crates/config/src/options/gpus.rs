//! The key `gpus`.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{GpuRequest, GpuSelection};

use super::Keys;
use super::forms::{integer, list, pairs};
use crate::dollar::Purpose;
use crate::fields::Field;
use crate::keys::KnownKeys;
use crate::report::{Finding, Report};

const REQUEST: KnownKeys = KnownKeys {
    keys: &["driver", "count", "device_ids", "capabilities", "options"],
    foreign: &[],
};

/// Reads `all`, or a list of requests.
pub(super) fn read_gpus(keys: &Keys<'_>, report: &mut Report) -> Vec<GpuRequest> {
    let Some(field) = keys.field("gpus") else {
        return Vec::new();
    };
    if field.value.text() == Some("all") {
        return vec![GpuRequest {
            driver: None,
            selection: GpuSelection::All,
            capabilities: BTreeSet::new(),
            options: BTreeMap::new(),
        }];
    }
    if field.value.text().is_some() {
        report.error(|| {
            field
                .wrong_type("`all` or a list")
                .hint(field.line("[{driver: nvidia, count: 1}]"))
        });
        return Vec::new();
    }
    let items = list(&field, report).into_iter();
    let requests = items.filter_map(|item| {
        let item = Field::item(format!("an item of {}", field.what), item);
        read_request(&item, report)
    });
    requests.collect()
}

fn read_request(field: &Field<'_>, report: &mut Report) -> Option<GpuRequest> {
    let Some(entries) = field.value.entries() else {
        report.error(|| {
            field
                .wrong_type("a mapping")
                .hint("write `{driver: nvidia, count: 1}`")
        });
        return None;
    };
    REQUEST.check(&entries, &field.what, report);
    let part = |key: &str| {
        let entry = field.value.get(key)?;
        Some(Field::of(entry, &field.what))
    };
    let driver = match part("driver") {
        Some(driver) => Some(driver.string(report)?.value),
        None => None,
    };
    let options = part("options")
        .map(|options| pairs(&options, Purpose::Flocker, report))
        .unwrap_or_default();
    let options = options.into_iter();
    Some(GpuRequest {
        driver,
        selection: read_selection(field, (part("count"), part("device_ids")), report)?,
        capabilities: texts(part("capabilities"), report).into_iter().collect(),
        options: options.map(|pair| (pair.key.value, pair.value)).collect(),
    })
}

fn read_selection(
    field: &Field<'_>,
    (count, names): (Option<Field<'_>>, Option<Field<'_>>),
    report: &mut Report,
) -> Option<GpuSelection> {
    match (count, names) {
        (Some(_), Some(_)) => {
            report.error(|| {
                let message = format!("{} has both `count` and `device_ids`", field.what);
                Finding::at(field.span(), message).hint("write one of them")
            });
            None
        }
        (None, None) => Some(GpuSelection::All),
        (None, Some(names)) => Some(GpuSelection::Devices(texts(Some(names), report))),
        (Some(count), None) if count.value.text() == Some("all") => Some(GpuSelection::All),
        (Some(count), None) => {
            let number = integer(&count, (1, 1024), report)?;
            u32::try_from(number).ok().map(GpuSelection::Count)
        }
    }
}

fn texts(field: Option<Field<'_>>, report: &mut Report) -> Vec<String> {
    let Some(field) = field else {
        return Vec::new();
    };
    let items = list(&field, report).into_iter();
    let texts = items.filter_map(|item| {
        let item = Field::item(format!("an item of {}", field.what), item);
        item.name(report)
    });
    texts.map(|text| text.value).collect()
}
