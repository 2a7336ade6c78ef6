//! Kernel parameters of the network namespace that the thread is in.
//!
//! **Source**: the kernel's `Documentation/networking/ip-sysctl.rst`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::routing_table::Change;

const IPV4: &str = "/proc/sys/net/ipv4";

/// Why a kernel parameter could not be set.
#[derive(Debug, thiserror::Error)]
#[error("could not set {} to {value}; this takes root and a writable /proc/sys", path.display())]
pub struct KernelParameterError {
    path: PathBuf,
    value: &'static str,
    #[source]
    source: io::Error,
}

/// Sets a parameter below `net.ipv4` if it has another value.
///
/// # Errors
/// When it cannot be read or written.
pub(crate) fn ensure_parameter(
    name: &str,
    value: &'static str,
) -> Result<Change, KernelParameterError> {
    let path = Path::new(IPV4).join(name);
    let error = |source| KernelParameterError {
        path: path.clone(),
        value,
        source,
    };
    let found = fs::read_to_string(&path).map_err(error)?;
    if found.trim_end() == value {
        return Ok(Change::Unchanged);
    }
    fs::write(&path, value).map_err(error)?;
    Ok(Change::Changed)
}
