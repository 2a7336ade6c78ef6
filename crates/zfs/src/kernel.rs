//! The door to ZFS in the kernel, through `libzfs_core`: in this process, in about a millisecond.
//!
//! Used where an application is paused or where a result must be atomic. Three rules of the
//! `zfs-core` crate, each learnt from its source: strings go in as `&CStr` only (others are freed
//! before the C library reads them); its functions that are about several snapshots take a null error
//! list for a list, or an empty one for the error, so the C functions are called here directly; and ZFS's own error numbers have no text, so they get one.

#![expect(
    unsafe_code,
    reason = "C functions are called directly, and their results taken over"
)]

mod error;

use std::ffi::{CStr, CString};
use std::time::Duration;
use std::{io, ptr};

use flocker_model::SnapshotGuid;
use nvpair::{NvData, NvList, NvListRef};
use nvpair_sys::{boolean_t, nvlist_free, nvlist_t};
use zfs_core_sys as sys;

use self::error::{EBUSY, EEXIST, EINVAL, ENOENT, ESRCH, ETIMEDOUT};
use crate::names::HOLD_TAG;

pub use self::error::{Cause, KernelFailed};

/// How long the kernel may take to look for datasets: far beyond a slow disk, and still within an
/// operator's patience.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `work` where blocking is allowed: the kernel waits for a transaction group to be written.
async fn blocking<T, W>(
    operation: &'static str,
    subject: String,
    work: W,
) -> Result<T, KernelFailed>
where
    T: Send + 'static,
    W: FnOnce(&zfs_core::Zfs) -> Result<T, i32> + Send + 'static,
{
    let failed = move |number| KernelFailed {
        operation,
        subject,
        cause: Cause(number),
    };
    let outcome = tokio::task::spawn_blocking(move || {
        let zfs = zfs_core::Zfs::new().map_err(|error| number_of(&error))?;
        work(&zfs)
    })
    .await;
    // The task only ends without a result when it panics.
    outcome.unwrap_or(Err(EINVAL)).map_err(failed)
}

/// Tells whether a dataset or snapshot exists.
pub(crate) async fn exists(name: &str) -> Result<bool, KernelFailed> {
    let existing = existing(vec![name.to_owned()]).await?;
    Ok(!existing.is_empty())
}

/// Returns those of these datasets that exist. One that the kernel cannot look at is not absent.
pub(crate) async fn existing(names: Vec<String>) -> Result<Vec<String>, KernelFailed> {
    let c_names: Vec<CString> = names
        .iter()
        .map(|name| text("look for", name))
        .collect::<Result<_, _>>()?;
    let subject = names.join(", ");
    let looked = blocking("look for", subject.clone(), move |_| {
        let mut existing = Vec::new();
        for (name, c_name) in names.into_iter().zip(&c_names) {
            if is_there(c_name)? {
                existing.push(name);
            }
        }
        Ok(existing)
    });
    // A pool that fails while it is looked at holds up whoever looks, and nothing but that must be.
    let timely = tokio::time::timeout(PATIENCE, looked).await;
    timely.unwrap_or(Err(KernelFailed {
        operation: "look for",
        subject,
        cause: Cause(ETIMEDOUT),
    }))
}

/// Tells whether a dataset or snapshot is there.
///
/// `lzc_exists` says no whatever goes wrong, above all of a pool that is suspended; why is in
/// `errno`.
///
/// **Source**: `OpenZFS`, `lzc_exists` in `libzfs_core.c`.
fn is_there(name: &CStr) -> Result<bool, i32> {
    // SAFETY: the name ends with a null byte and lives through the call, which only reads it.
    // libzfs_core was initialised by the caller's handle.
    if unsafe { sys::lzc_exists(name.as_ptr()) } != 0 {
        return Ok(true);
    }
    match number_of(&io::Error::last_os_error()) {
        ENOENT => Ok(false),
        number => Err(number),
    }
}

/// Takes a snapshot and holds it, and returns its guid.
pub(crate) async fn snapshot_and_hold(name: &str) -> Result<SnapshotGuid, KernelFailed> {
    let c_name = text("snapshot", name)?;
    blocking("snapshot", name.to_owned(), move |zfs| {
        take_snapshot(&c_name)?;
        hold_one(&c_name)?;
        guid_of(zfs, &c_name)
    })
    .await
}

/// Holds a snapshot with Flocker's tag; one that is held stays held.
pub(crate) async fn hold(name: &str) -> Result<(), KernelFailed> {
    let c_name = text("hold", name)?;
    blocking("hold", name.to_owned(), move |_| hold_one(&c_name)).await
}

/// Releases Flocker's hold on these snapshots. Those that are gone are no error.
pub(crate) async fn release_holds(names: &[String]) -> Result<(), KernelFailed> {
    let c_names: Vec<CString> = names
        .iter()
        .map(|name| text("release", name))
        .collect::<Result<_, _>>()?;
    blocking("release", names.join(", "), move |_| {
        let mut held = NvList::new();
        let mut tags = NvList::new();
        insert(&mut tags, &text_of(HOLD_TAG), &())?;
        for name in &c_names {
            insert(&mut held, name, &*tags)?;
        }
        let refused = refusals(|errors| {
            // SAFETY: the list lives through the call, which only reads it; `errors` is a valid
            // place for a pointer. libzfs_core was initialised by the caller's handle.
            unsafe { sys::lzc_release(held.as_ptr().cast_mut(), errors) }
        });
        // ESRCH: such a snapshot has no such hold.
        ignore(&[ENOENT, ESRCH], refused)
    })
    .await
}

/// Destroys these snapshots, and returns those that are still in use by somebody else: held with
/// another tag, being sent, or cloned. Those that are gone are no error.
pub(crate) async fn destroy(names: &[String]) -> Result<Vec<String>, KernelFailed> {
    let c_names: Vec<CString> = names
        .iter()
        .map(|name| text("destroy", name))
        .collect::<Result<_, _>>()?;
    blocking("destroy", names.join(", "), move |_| {
        // All at once is one transaction group; one by one only where somebody stands in the way.
        if destroy_snapshots(&c_names).is_ok() {
            return Ok(Vec::new());
        }
        let mut in_use = Vec::new();
        for name in c_names {
            match destroy_snapshots(std::slice::from_ref(&name)) {
                Ok(()) => {}
                Err(EBUSY | EEXIST) => in_use.push(name.to_string_lossy().into_owned()),
                Err(number) => return Err(number),
            }
        }
        Ok(in_use)
    })
    .await
}

/// Renames a dataset that is not mounted.
pub(crate) async fn rename(from: &str, to: &str) -> Result<(), KernelFailed> {
    let (c_from, c_to) = (text("rename", from)?, text("rename", to)?);
    blocking("rename", format!("{from} to {to}"), move |zfs| {
        zfs.rename(c_from.as_c_str(), c_to.as_c_str())
            .map_err(|error| number_of(&error))
    })
    .await
}

/// Takes one snapshot.
fn take_snapshot(name: &CStr) -> Result<(), i32> {
    let mut names = NvList::new();
    insert(&mut names, name, &())?;
    let properties = NvList::new();
    let refused = refusals(|errors| {
        // SAFETY: both lists live through the call, which only reads them; `errors` is a valid
        // place for a pointer. libzfs_core was initialised by the caller's handle.
        unsafe {
            sys::lzc_snapshot(
                names.as_ptr().cast_mut(),
                properties.as_ptr().cast_mut(),
                errors,
            )
        }
    });
    ignore(&[], refused)
}

/// Holds one snapshot.
fn hold_one(name: &CStr) -> Result<(), i32> {
    /// The hold stays when this process ends.
    const NO_CLEANUP: i32 = -1;
    let mut holds = NvList::new();
    insert(&mut holds, name, &*text_of(HOLD_TAG))?;
    let refused = refusals(|errors| {
        // SAFETY: the list lives through the call, which only reads it; `errors` is a valid place
        // for a pointer. libzfs_core was initialised by the caller's handle.
        unsafe { sys::lzc_hold(holds.as_ptr().cast_mut(), NO_CLEANUP, errors) }
    });
    ignore(&[EEXIST], refused)
}

/// Asks for a snapshot's guid with a channel program, which needs no other process. For more than
/// one property this does not pay: each costs the kernel a look-up of its own, and a volume's ten
/// take as long as `zfs get` does, its start included.
///
/// **Source**: `zfs-program(8)`, `zfs.get_prop`.
fn guid_of(zfs: &zfs_core::Zfs, name: &CStr) -> Result<SnapshotGuid, i32> {
    const PROGRAM: &CStr = c"args = ...; return (zfs.get_prop(args['snapshot'], 'guid'))";
    /// Far more than one look-up takes, and far less than the kernel allows.
    const INSTRUCTIONS: u64 = 10_000;
    const MEMORY_BYTES: u64 = 1 << 20;
    let pool: Vec<u8> = name
        .to_bytes()
        .iter()
        .copied()
        .take_while(|byte| !b"/@".contains(byte))
        .collect();
    let pool = CString::new(pool).map_err(|_| EINVAL)?;
    let mut arguments = NvList::new();
    insert(&mut arguments, c"snapshot", name)?;
    let answer = zfs
        .channel_program_nosync(
            pool.as_c_str(),
            PROGRAM,
            INSTRUCTIONS,
            MEMORY_BYTES,
            &arguments,
        )
        .map_err(|error| number_of(&error))?;
    let guid = answer.iter().find(|pair| pair.name() == c"return");
    match guid.map(nvpair::NvPair::data) {
        // Lua's numbers are signed; a guid uses all 64 bits.
        Some(NvData::Int64(guid)) => Ok(SnapshotGuid(guid.cast_unsigned())),
        Some(NvData::Uint64(guid)) => Ok(SnapshotGuid(guid)),
        _ => Err(EINVAL),
    }
}

/// Destroys snapshots, all or none.
fn destroy_snapshots(names: &[CString]) -> Result<(), i32> {
    let mut snapshots = NvList::new();
    for name in names {
        insert(&mut snapshots, name, &())?;
    }
    let refused = refusals(|errors| {
        // SAFETY: the list lives through the call, which only reads it; `errors` is a valid place
        // for a pointer. libzfs_core was initialised by the caller's handle.
        // `B_FALSE`: a snapshot that is in use is an error, and is not marked to be destroyed later.
        unsafe { sys::lzc_destroy_snaps(snapshots.as_ptr().cast_mut(), boolean_t::B_FALSE, errors) }
    });
    ignore(&[ENOENT], refused)
}

/// Makes a call that is about several snapshots, and returns its error numbers: one for each
/// snapshot that it failed for, or one for all; none if it succeeded.
///
/// The crate's own functions return the list alone, which is empty when there is no space left.
fn refusals(call: impl FnOnce(*mut *mut nvlist_t) -> i32) -> Vec<i32> {
    let mut errors = ptr::null_mut();
    let number = call(&raw mut errors);
    let mut numbers = Vec::new();
    if !errors.is_null() {
        // SAFETY: not null, so it is a list that the library made for us and nobody else has.
        numbers = numbers_in(unsafe { NvListRef::from_ptr(errors) });
        // SAFETY: as above, and the borrow has ended.
        unsafe { nvlist_free(errors) };
    }
    match number {
        0 => Vec::new(),
        number if numbers.is_empty() => vec![number],
        _ => numbers,
    }
}

/// Adds a pair to a list; fails only for want of memory.
fn insert<T: nvpair::NvEncode + ?Sized>(
    list: &mut NvListRef,
    name: &CStr,
    value: &T,
) -> Result<(), i32> {
    list.insert(name, value).map_err(|error| number_of(&error))
}

/// Succeeds when every one of these errors may be ignored.
fn ignore(harmless: &[i32], numbers: Vec<i32>) -> Result<(), i32> {
    match numbers
        .into_iter()
        .find(|number| !harmless.contains(number))
    {
        None => Ok(()),
        Some(number) => Err(number),
    }
}

/// Returns the error numbers in an error list.
fn numbers_in(list: &NvListRef) -> Vec<i32> {
    list.iter()
        .filter_map(|pair| match pair.data() {
            NvData::Int32(number) => Some(number),
            _ => None,
        })
        .collect()
}

/// Returns the number of an error that came from the C library.
fn number_of(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(EINVAL)
}

/// Makes a C string of a dataset's name; none has a null byte, but a broken setting might.
fn text(operation: &'static str, name: &str) -> Result<CString, KernelFailed> {
    CString::new(name).map_err(|_| KernelFailed {
        operation,
        subject: name.replace('\0', "\\0"),
        cause: Cause(EINVAL),
    })
}

/// Makes a C string of a constant without null bytes.
fn text_of(constant: &str) -> CString {
    CString::new(constant).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_null_byte_in_a_name_is_refused() {
        assert!(hold("tank/a\0b@c").await.is_err());
    }
}
