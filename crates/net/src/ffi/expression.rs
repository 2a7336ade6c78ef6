//! Any of libnftnl's expressions.

use std::ffi::{CStr, CString, c_void};
use std::ptr::NonNull;

use nftnl::Rule;
use nftnl::nftnl_sys as sys;

/// An expression of a rule: a name and attributes, by libnftnl's numbers (`NFTNL_EXPR_*`).
pub(crate) struct Expression {
    name: &'static CStr,
    attributes: Vec<(u16, Value)>,
}

enum Value {
    U32(u32),
    U64(u64),
    Bytes(Vec<u8>),
    Text(CString),
}

impl Expression {
    /// Starts an expression; `name` is the kernel's.
    pub(crate) fn new(name: &'static CStr) -> Self {
        Self {
            name,
            attributes: Vec::new(),
        }
    }

    /// Returns the kernel's name of it.
    pub(crate) fn name(&self) -> &str {
        self.name.to_str().unwrap_or_default()
    }

    /// Adds a number.
    pub(crate) fn u32(self, attribute: u32, value: u32) -> Self {
        self.with(attribute, Value::U32(value))
    }

    /// Adds a large number.
    pub(crate) fn u64(self, attribute: u32, value: u64) -> Self {
        self.with(attribute, Value::U64(value))
    }

    /// Adds bytes; not more than 64, which is what libnftnl's registers hold.
    pub(crate) fn bytes(self, attribute: u32, value: &[u8]) -> Self {
        debug_assert!(value.len() <= 64, "{} bytes for a register", value.len());
        self.with(attribute, Value::Bytes(value.to_vec()))
    }

    /// Adds a name; text after a NUL is cut off.
    pub(crate) fn text(self, attribute: u32, value: &str) -> Self {
        let until_nul = value.split('\0').next().unwrap_or_default();
        let text = CString::new(until_nul).unwrap_or_default();
        self.with(attribute, Value::Text(text))
    }

    fn with(mut self, attribute: u32, value: Value) -> Self {
        let attribute = u16::try_from(attribute).unwrap_or(u16::MAX);
        self.attributes.push((attribute, value));
        self
    }
}

impl nftnl::expr::Expression for Expression {
    fn to_expr(&self, _rule: &Rule) -> NonNull<sys::nftnl_expr> {
        // SAFETY: the name is NUL-terminated; libnftnl copies what it needs of it.
        let raw = unsafe { sys::nftnl_expr_alloc(self.name.as_ptr()) };
        let Some(expression) = NonNull::new(raw) else {
            // Out of memory, or a name that this libnftnl does not know: both mean that the
            // program cannot go on, and neither can happen with the names used in this crate.
            std::process::abort();
        };
        for (attribute, value) in &self.attributes {
            set(expression, *attribute, value);
        }
        expression
    }
}

fn set(expression: NonNull<sys::nftnl_expr>, attribute: u16, value: &Value) {
    let raw = expression.as_ptr();
    match value {
        // SAFETY: `raw` was just allocated and is not shared.
        Value::U32(value) => unsafe { sys::nftnl_expr_set_u32(raw, attribute, *value) },
        // SAFETY: as above.
        Value::U64(value) => unsafe { sys::nftnl_expr_set_u64(raw, attribute, *value) },
        Value::Bytes(bytes) => {
            let length = u32::try_from(bytes.len()).unwrap_or(0);
            // SAFETY: as above; the bytes are valid for `length` and are copied. Their number fits
            // into libnftnl's registers, see `Expression::bytes`.
            unsafe { sys::nftnl_expr_set(raw, attribute, bytes.as_ptr().cast::<c_void>(), length) };
        }
        Value::Text(text) => {
            // SAFETY: as above; the text is NUL-terminated and is copied.
            unsafe { sys::nftnl_expr_set_str(raw, attribute, text.as_ptr()) };
        }
    }
}
