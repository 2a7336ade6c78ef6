//! What the fuzz targets share.
//!
//! A target reads whatever it is given by one of Flocker's own functions, and asserts what must
//! hold of everything that was not refused. Inputs of several parts are divided by lines, so that
//! seeds can be written and read by people.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::PathBuf;

use futures_util::FutureExt as _;
use nix::sys::memfd::{MFdFlags, memfd_create};

/// The line between the parts of an input.
const DIVIDER: &[u8] = b"\n====\n";

/// Divides an input at the first line `====`; without one, the second part is empty.
pub fn halves(input: &[u8]) -> (&[u8], &[u8]) {
    let place = input
        .windows(DIVIDER.len())
        .position(|window| window == DIVIDER);
    place.map_or((input, &[]), |place| {
        (&input[..place], &input[place + DIVIDER.len()..])
    })
}

/// Divides an input after its first line.
pub fn first_line(input: &str) -> (&str, &str) {
    input.split_once('\n').unwrap_or((input, ""))
}

/// Completes what never has to wait, because all that it reads and writes is in memory.
///
/// # Panics
///
/// When it waits all the same: it would have waited for ever.
pub fn at_once<T>(work: impl Future<Output = T>) -> T {
    match work.now_or_never() {
        Some(outcome) => outcome,
        None => panic!("waits for what will never come"),
    }
}

/// Writes a file for functions that take a path, and returns where it is. A file of the same name is
/// written over.
///
/// It is in memory and ends with the process, however that ends; libFuzzer cleans nothing up.
///
/// # Panics
///
/// When there is no room for it.
pub fn file(name: &'static str, content: &[u8]) -> PathBuf {
    thread_local! {
        static FILES: RefCell<BTreeMap<&'static str, OwnedFd>> = const { RefCell::new(BTreeMap::new()) };
    }
    let path = FILES.with_borrow_mut(|files| {
        let file =
            files
                .entry(name)
                .or_insert_with(|| match memfd_create(name, MFdFlags::MFD_CLOEXEC) {
                    Ok(file) => file,
                    Err(error) => panic!("no file in memory: {error}"),
                });
        PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
    });
    match fs::write(&path, content) {
        Ok(()) => path,
        Err(error) => panic!("{name}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{file, first_line, halves};

    #[test]
    fn a_file_has_what_was_written_last() {
        let path = file("name", b"longer");
        assert_eq!(file("name", b"short"), path);
        assert_ne!(file("other", b""), path);
        assert_eq!(std::fs::read(path).unwrap(), b"short");
    }

    #[test]
    fn inputs_are_divided_by_lines() {
        assert_eq!(halves(b"a\n====\nb\n"), (&b"a"[..], &b"b\n"[..]));
        assert_eq!(halves(b"a ==== b"), (&b"a ==== b"[..], &b""[..]));
        assert_eq!(first_line("a\nb\n"), ("a", "b\n"));
        assert_eq!(first_line("a"), ("a", ""));
    }
}
