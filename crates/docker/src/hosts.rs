//! `/etc/hosts` of an application's containers: `localhost` is IPv4 alone.
//!
//! Links are ports of 127.0.0.1, unless they have another address. Docker's file gives `localhost` the address `::1` as well, and
//! programs that try only the first address that they get, as Node.js 17 to 19 do, may then find
//! no link. The file is the namespace container's: Docker mounts it into every container that joins.
//!
//! **Source**: `hosts(5)`; Docker writes the file whenever it starts the namespace container.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The file cannot be changed.
#[derive(Debug, Error)]
#[error("cannot {action} {}, where containers look `localhost` up", path.display())]
pub struct HostsError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// Takes `::1` away from the name `localhost`, if it has that.
///
/// Written in place: containers have this very file mounted.
///
/// # Errors
/// When the file cannot be read or written.
pub(crate) fn ensure_ipv4_localhost(path: &Path) -> Result<(), HostsError> {
    let failed = |action| {
        move |source| HostsError {
            action,
            path: path.to_owned(),
            source,
        }
    };
    let text = fs::read_to_string(path).map_err(failed("read"))?;
    let Some(wanted) = without_ipv6_localhost(&text) else {
        return Ok(());
    };
    // Not emptied first: whoever reads it meanwhile finds most of it.
    let mut file = OpenOptions::new()
        .write(true)
        .open(path)
        .map_err(failed("open"))?;
    file.write_all(wanted.as_bytes())
        .and_then(|()| file.set_len(u64::try_from(wanted.len()).unwrap_or(u64::MAX)))
        .map_err(failed("write"))
}

/// Returns the text without `localhost` in the lines of `::1`; `None` if it is in none.
fn without_ipv6_localhost(text: &str) -> Option<String> {
    let mut is_changed = false;
    let mut wanted = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match without_localhost(line) {
            Some(rest) => {
                is_changed = true;
                wanted.push_str(&rest);
            }
            None => wanted.push_str(line),
        }
    }
    is_changed.then_some(wanted)
}

/// Returns a line without the name `localhost`, or nothing of it if it has no other name; `None`
/// if it is not about `::1` or does not have the name.
fn without_localhost(line: &str) -> Option<String> {
    let entry = line.split('#').next().unwrap_or_default();
    let mut words = entry.split_whitespace();
    let address = words.next()?;
    if address.parse() != Ok(Ipv6Addr::LOCALHOST) {
        return None;
    }
    let names: Vec<_> = words.collect();
    let is_localhost = |name: &&str| name.eq_ignore_ascii_case("localhost");
    if !names.iter().any(is_localhost) {
        return None;
    }
    let others: Vec<_> = names
        .into_iter()
        .filter(|name| !is_localhost(name))
        .collect();
    Some(if others.is_empty() {
        String::new()
    } else {
        format!("{address}\t{}\n", others.join(" "))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    const DOCKERS: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\
        fe00::0\tip6-localnet\n172.18.0.2\tweb\n";

    #[test]
    fn localhost_is_ipv4_alone() {
        let wanted = "127.0.0.1\tlocalhost\n::1\tip6-localhost ip6-loopback\n\
            fe00::0\tip6-localnet\n172.18.0.2\tweb\n";
        assert_eq!(without_ipv6_localhost(DOCKERS).as_deref(), Some(wanted));
        assert_eq!(without_ipv6_localhost(wanted), None);
    }

    #[test]
    fn only_the_name_localhost_goes() {
        for (before, after) in [
            ("::1 localhost", Some("")),
            ("::1 LocalHost a # localhost\n", Some("::1\ta\n")),
            ("0:0::1 a localhost b\n", Some("0:0::1\ta b\n")),
            ("::1 ip6-localhost # localhost\n", None),
            ("#::1 localhost\n", None),
            ("::2 localhost\n", None),
            ("\n", None),
            ("", None),
        ] {
            assert_eq!(without_ipv6_localhost(before).as_deref(), after, "{before}");
        }
    }

    #[test]
    fn the_file_is_changed_in_place() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), DOCKERS).unwrap();
        let before = fs::metadata(file.path()).unwrap().ino();
        for _ in 0..2 {
            ensure_ipv4_localhost(file.path()).unwrap();
            let text = fs::read_to_string(file.path()).unwrap();
            assert_eq!(without_ipv6_localhost(DOCKERS), Some(text));
            assert_eq!(fs::metadata(file.path()).unwrap().ino(), before);
        }
    }
}
