//! Messages that `nftnl` cannot make.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::NonNull;

use nftnl::nftnl_sys as sys;
use nftnl::nftnl_sys::libc;
use nftnl::{MsgType, NlMsg, ProtoFamily};

use crate::ruleset::{Elements, KeyPart};
use crate::set_encoding::{Element, set_layout};

/// A named set or map: `Add` makes it if it is missing, `Del` removes it.
pub(crate) struct NamedSet {
    raw: RawSet,
}

/// Elements of a set: `Add` puts them in, `Del` of no elements takes all out.
pub(crate) struct SetElements {
    raw: RawSet,
}

/// A rule that is put before the one at its position, where `nftnl` puts it after that.
pub(crate) struct Inserted<'a>(pub(crate) nftnl::Rule<'a>);

struct RawSet(NonNull<sys::nftnl_set>);

impl NamedSet {
    /// Describes a set; `id` has to be unique within the batch.
    pub(crate) fn new(table: &CStr, name: &CStr, id: u32, elements: &Elements) -> Self {
        let layout = set_layout(elements);
        let raw = RawSet::new(table, name);
        if elements.has_ranges() {
            raw.part_sizes(elements.key());
        }
        raw.number(sys::NFTNL_SET_ID, id);
        raw.number(sys::NFTNL_SET_FLAGS, layout.flags);
        raw.number(sys::NFTNL_SET_KEY_TYPE, layout.key_type);
        raw.number(sys::NFTNL_SET_KEY_LEN, layout.key_length);
        if layout.data_length > 0 {
            raw.number(sys::NFTNL_SET_DATA_TYPE, layout.data_type);
            raw.number(sys::NFTNL_SET_DATA_LEN, layout.data_length);
        }
        Self { raw }
    }

    /// Names a set, to remove it.
    pub(crate) fn named(table: &CStr, name: &CStr) -> Self {
        Self {
            raw: RawSet::new(table, name),
        }
    }
}

impl SetElements {
    /// Most elements that go into one message: netlink's attributes have 16-bit sizes, and an
    /// element of ours takes 52 bytes at most.
    pub(crate) const MOST: usize = 1000;

    /// Names elements; not more than [`Self::MOST`].
    pub(crate) fn new(table: &CStr, name: &CStr, pairs: &[Element]) -> Self {
        debug_assert!(pairs.len() <= Self::MOST, "{} elements", pairs.len());
        let raw = RawSet::new(table, name);
        for element in pairs {
            raw.push(element);
        }
        Self { raw }
    }
}

impl RawSet {
    fn new(table: &CStr, name: &CStr) -> Self {
        // SAFETY: takes nothing.
        let raw = unsafe { sys::nftnl_set_alloc() };
        let Some(raw) = NonNull::new(raw) else {
            // Out of memory for some hundred bytes: do what the standard library does.
            std::process::abort();
        };
        let set = Self(raw);
        set.text(sys::NFTNL_SET_TABLE, table);
        set.text(sys::NFTNL_SET_NAME, name);
        set.number(sys::NFTNL_SET_FAMILY, u32::from(ProtoFamily::Ipv4 as u16));
        set
    }

    fn number(&self, attribute: u32, value: u32) {
        let attribute = u16::try_from(attribute).unwrap_or(u16::MAX);
        // SAFETY: the set is ours alone.
        unsafe { sys::nftnl_set_set_u32(self.0.as_ptr(), attribute, value) };
    }

    fn text(&self, attribute: u32, value: &CStr) {
        let attribute = u16::try_from(attribute).unwrap_or(u16::MAX);
        // SAFETY: the set is ours alone; the text is NUL-terminated and is copied.
        unsafe { sys::nftnl_set_set_str(self.0.as_ptr(), attribute, value.as_ptr()) };
    }

    /// Says how large each part of a key is, which the kernel has to know where parts are ranges.
    fn part_sizes(&self, key: &[KeyPart]) {
        let sizes: Vec<u8> = key.iter().map(|part| part.size()).collect();
        let attribute = u16::try_from(sys::NFTNL_SET_DESC_CONCAT).unwrap_or(u16::MAX);
        let length = u32::try_from(sizes.len()).unwrap_or(0);
        let bytes = sizes.as_ptr().cast::<c_void>();
        // SAFETY: the set is ours alone; the bytes are valid for `length` and are copied. A key has
        // fewer parts than libnftnl has room for (16).
        unsafe { sys::nftnl_set_set_data(self.0.as_ptr(), attribute, bytes, length) };
    }

    fn push(&self, (key, state): &Element) {
        // SAFETY: takes nothing.
        let Some(element) = NonNull::new(unsafe { sys::nftnl_set_elem_alloc() }) else {
            std::process::abort();
        };
        let set = |attribute: u32, bytes: &[u8]| {
            let attribute = u16::try_from(attribute).unwrap_or(u16::MAX);
            let length = u32::try_from(bytes.len()).unwrap_or(0);
            let bytes = bytes.as_ptr().cast::<c_void>();
            // SAFETY: the element is ours alone; the bytes are valid for `length` and are copied.
            unsafe { sys::nftnl_set_elem_set(element.as_ptr(), attribute, bytes, length) };
        };
        set(sys::NFTNL_SET_ELEM_KEY, key);
        if !state.end.is_empty() {
            set(sys::NFTNL_SET_ELEM_KEY_END, &state.end);
        }
        if !state.data.is_empty() {
            set(sys::NFTNL_SET_ELEM_DATA, &state.data);
        }
        // SAFETY: both are valid; the set owns the element from here on.
        unsafe { sys::nftnl_set_elem_add(self.0.as_ptr(), element.as_ptr()) };
    }
}

impl Drop for RawSet {
    fn drop(&mut self) {
        // SAFETY: allocated by `nftnl_set_alloc` and freed once, with its elements.
        unsafe { sys::nftnl_set_free(self.0.as_ptr()) };
    }
}

/// Writes a message's header.
///
/// # Safety
/// `buffer` has to have room for it, as `NlMsg::write` demands.
unsafe fn header(
    buffer: *mut c_void,
    kind: libc::c_int,
    flags: libc::c_int,
    sequence: u32,
) -> *mut libc::nlmsghdr {
    let kind = u16::try_from(kind).unwrap_or(u16::MAX);
    let flags = u16::try_from(flags | libc::NLM_F_ACK).unwrap_or(u16::MAX);
    let family = ProtoFamily::Ipv4 as u16;
    // SAFETY: the caller vouches for the buffer.
    unsafe { sys::nftnl_nlmsg_build_hdr(buffer.cast::<c_char>(), kind, family, flags, sequence) }
}

// SAFETY: writes one netlink message, smaller than `nft_nlmsg_maxsize`.
unsafe impl NlMsg for NamedSet {
    unsafe fn write(&self, buffer: *mut c_void, sequence: u32, action: MsgType) {
        let (kind, flags) = match action {
            MsgType::Add => (libc::NFT_MSG_NEWSET, libc::NLM_F_CREATE),
            MsgType::Del => (libc::NFT_MSG_DELSET, 0),
        };
        // SAFETY: the caller gives room for `nft_nlmsg_maxsize` bytes; the set is valid.
        unsafe {
            let header = header(buffer, kind, flags, sequence);
            sys::nftnl_set_nlmsg_build_payload(header, self.raw.0.as_ptr());
        }
    }
}

// SAFETY: writes one netlink message; the limit on elements keeps it below `nft_nlmsg_maxsize`.
unsafe impl NlMsg for SetElements {
    unsafe fn write(&self, buffer: *mut c_void, sequence: u32, action: MsgType) {
        let (kind, flags) = match action {
            MsgType::Add => (libc::NFT_MSG_NEWSETELEM, libc::NLM_F_CREATE),
            MsgType::Del => (libc::NFT_MSG_DELSETELEM, 0),
        };
        // SAFETY: as for `NamedSet`.
        unsafe {
            let header = header(buffer, kind, flags, sequence);
            sys::nftnl_set_elems_nlmsg_build_payload(header, self.raw.0.as_ptr());
        }
    }
}

// SAFETY: writes what the rule itself would write, with one flag less.
unsafe impl NlMsg for Inserted<'_> {
    unsafe fn write(&self, buffer: *mut c_void, sequence: u32, action: MsgType) {
        // SAFETY: the caller's promises are passed on.
        unsafe { self.0.write(buffer, sequence, action) };
        // SAFETY: the message that was just written begins with this header; netlink messages
        // are 4-byte aligned in libnftnl's batches.
        let header = unsafe { &mut *buffer.cast::<libc::nlmsghdr>() };
        header.nlmsg_flags &= !u16::try_from(libc::NLM_F_APPEND).unwrap_or_default();
    }
}
