//! How much a container may use, beside `memory` and `cpu`.

use std::collections::BTreeMap;

use flocker_model::{ByteCount, LimitOptions, Ulimit, UlimitName, Upmost};

use super::Keys;
use super::blkio::read_block_io;
use super::forms::{checked, integer, pairs};
use super::process::is_set;
use crate::application::LEAST_MEMORY;
use crate::dollar::Purpose;
use crate::fields::Field;
use crate::keys::KnownKeys;
use crate::phrase::quote;
use crate::quantity::{Refusal, parse_bytes};
use crate::report::{Finding, Report};
use crate::suggest::nearest;

/// The most processes that Linux has.
///
/// **Source**: `proc_sys_kernel(5)`, `pid_max`.
const MOST_PROCESSES: u32 = 1 << 22;

pub(super) fn read_limits(
    keys: &Keys<'_>,
    memory: Option<ByteCount>,
    report: &mut Report,
) -> LimitOptions {
    let cpu_set = (
        "a set of processors",
        "write their numbers, such as `\"0-3\"` or `\"0,2\"`",
    );
    let group = (
        "a control group",
        "write the name of a slice, such as `batch.slice`, or a path",
    );
    let number = |key, range, report: &mut Report| {
        keys.field(key)
            .and_then(|field| integer(&field, range, report))
    };
    LimitOptions {
        mem_reservation: read_reservation(keys, memory, report),
        mem_swappiness: read_swappiness(keys, report),
        memswap_limit: read_swap(keys, memory, report),
        cpu_shares: number("cpu_shares", (2, 262_144), report)
            .and_then(|shares| u32::try_from(shares).ok()),
        cpuset: keys
            .field("cpuset")
            .and_then(|field| checked(&field, cpu_set, report)),
        pids_limit: read_processes(keys, report),
        shm_size: read_size(keys, "shm_size", report),
        ulimits: read_ulimits(keys, report),
        oom_score_adj: number("oom_score_adj", (-1000, 1000), report)
            .and_then(|score| i16::try_from(score).ok()),
        oom_kill_disable: read_no_killing(keys, report),
        blkio_config: read_block_io(keys, report),
        cgroup_parent: keys
            .field("cgroup_parent")
            .and_then(|field| checked(&field, group, report)),
        storage_opt: read_storage(keys, report),
    }
}

fn read_size(keys: &Keys<'_>, key: &str, report: &mut Report) -> Option<ByteCount> {
    let field = keys.field(key)?;
    field
        .parsed("a size", parse_bytes, report)
        .map(|size| size.value)
}

fn read_reservation(
    keys: &Keys<'_>,
    memory: Option<ByteCount>,
    report: &mut Report,
) -> Option<ByteCount> {
    let field = keys.field("mem_reservation")?;
    let parse = |text: &str| match (parse_bytes(text)?, memory) {
        (size, _) if size < LEAST_MEMORY => Err(Refusal::new(
            &format!("is less than the {LEAST_MEMORY} that Docker requires"),
            "write a size like `512M`",
        )),
        (size, Some(memory)) if size > memory => Err(Refusal::new(
            "is more than `memory`",
            "write less than the limit, or raise `memory`",
        )),
        (size, _) => Ok(size),
    };
    let size = field.parsed("a size", parse, report);
    size.map(|size| size.value)
}

fn read_swap(
    keys: &Keys<'_>,
    memory: Option<ByteCount>,
    report: &mut Report,
) -> Option<Upmost<ByteCount>> {
    let field = keys.field("memswap_limit")?;
    let parse = |text: &str| {
        if text == "-1" {
            return Ok(Upmost::Unlimited);
        }
        let size = parse_bytes(text)?;
        match memory {
            None => Err(Refusal::new(
                "needs `memory` beside it",
                "add `memory`; `memswap_limit` is memory and swap together",
            )),
            Some(memory) if size < memory => Err(Refusal::new(
                "is less than `memory`",
                "it is memory and swap together; write `-1` for swap without limit",
            )),
            Some(_) => Ok(Upmost::At(size)),
        }
    };
    let limit = field.parsed("a size", parse, report);
    limit.map(|limit| limit.value)
}

fn read_processes(keys: &Keys<'_>, report: &mut Report) -> Option<Upmost<u32>> {
    let field = keys.field("pids_limit")?;
    let number = integer(&field, (-1, i64::from(MOST_PROCESSES)), report)?;
    Some(match u32::try_from(number) {
        Ok(limit) if limit > 0 => Upmost::At(limit),
        _ => Upmost::Unlimited,
    })
}

fn read_swappiness(keys: &Keys<'_>, report: &mut Report) -> Option<u8> {
    let field = keys.field("mem_swappiness")?;
    let value = integer(&field, (0, 100), report)?;
    report.warning(|| without_effect(&field));
    u8::try_from(value).ok()
}

fn read_no_killing(keys: &Keys<'_>, report: &mut Report) -> bool {
    let is_disabled = is_set(keys, "oom_kill_disable", report);
    if is_disabled && let Some(field) = keys.field("oom_kill_disable") {
        report.warning(|| without_effect(&field));
    }
    is_disabled
}

/// **Source**: Docker discards both where the kernel lacks them, and says so to nobody but its caller.
fn without_effect(field: &Field<'_>) -> Finding {
    let message = format!("{} has no effect on nodes with cgroup v2", field.what);
    Finding::at(field.span(), message)
        .hint("Debian has cgroup v2 since version 11; leave the key out there")
}

const ULIMIT: KnownKeys = KnownKeys {
    keys: &["soft", "hard"],
    foreign: &[],
};

fn read_ulimits(keys: &Keys<'_>, report: &mut Report) -> BTreeMap<UlimitName, Ulimit> {
    let Some(field) = keys.field("ulimits").filter(|field| !field.value.is_null()) else {
        return BTreeMap::new();
    };
    let Some(entries) = field.value.entries() else {
        report.error(|| {
            field
                .wrong_type("a mapping of names to limits")
                .hint(field.line("{nofile: 65536}"))
        });
        return BTreeMap::new();
    };
    let mut limits = BTreeMap::new();
    for entry in entries {
        let name = &entry.key.value;
        let limit = read_ulimit(&Field::of(entry, &field.what), report);
        match (name.parse::<UlimitName>(), limit) {
            (Ok(name), Some(limit)) => {
                limits.insert(name, limit);
            }
            (Ok(_), None) => {}
            (Err(invalid), _) => report.error(|| {
                let message = format!("{}: {} {}", field.what, quote(name), invalid.problem);
                let guess = nearest(name, UlimitName::ALL.iter().copied());
                let hint = guess.map(|guess| format!("did you mean {}?", quote(guess)));
                Finding::at(entry.key.span, message).maybe_hint(hint)
            }),
        }
    }
    limits
}

/// Reads a number for both limits, or a mapping of them.
fn read_ulimit(field: &Field<'_>, report: &mut Report) -> Option<Ulimit> {
    let Some(entries) = field.value.entries() else {
        let limit = integer(field, (-1, i64::MAX), report)?;
        return Ulimit::new(limit, limit);
    };
    ULIMIT.check(&entries, &field.what, report);
    let value = |key: &str, report: &mut Report| {
        let Some(entry) = field.value.get(key) else {
            report.error(|| {
                Finding::at(field.span(), format!("{} has no `{key}`", field.what))
                    .hint(field.line("{soft: 1024, hard: 65536}"))
            });
            return None;
        };
        integer(&Field::of(entry, &field.what), (-1, i64::MAX), report)
    };
    let (soft, hard) = (value("soft", report), value("hard", report));
    let limit = Ulimit::new(soft?, hard?);
    if limit.is_none() {
        report.error(|| {
            let message = format!("{}: `soft` is above `hard`", field.what);
            Finding::at(field.span(), message).hint("write `soft` no larger than `hard`")
        });
    }
    limit
}

fn read_storage(keys: &Keys<'_>, report: &mut Report) -> BTreeMap<String, String> {
    let Some(field) = keys.field("storage_opt") else {
        return BTreeMap::new();
    };
    let options = pairs(&field, Purpose::Flocker, report);
    let options = options.into_iter();
    options.map(|pair| (pair.key.value, pair.value)).collect()
}
