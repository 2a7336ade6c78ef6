//! Which libraries a program is linked to, and which packages own them.
//!
//! dpkg-shlibdeps knows only the names of the release it runs on; a package built on Debian 12
//! must also be installable on Debian 13, so the names of both are in a table here.

use std::path::Path;

use crate::process::{Program, RunError};

/// A library by the name in the program, and the packages that have it on Debian 12 and 13.
///
/// `libzfs.so` is left out on purpose: its number changes with each ZFS release, so a program
/// linked to it on one release of Debian does not start on the next.
const LIBRARIES: [(&str, &str); 5] = [
    (COMPILERS_LIBRARY, "libgcc-s1"),
    ("libmnl.so.0", "libmnl0"),
    ("libnftnl.so.11", "libnftnl11 (>= 1.2.4)"),
    ("libnvpair.so.3", "libnvpair3linux"),
    ("libzfs_core.so.3", "libzfs6linux | libzfs4linux"),
];

/// The compiler's own library, without which few programs are installed.
const COMPILERS_LIBRARY: &str = "libgcc_s.so.1";

/// Parts of the C library itself.
const C_LIBRARY: [&str; 5] = [
    "ld-linux-aarch64.so.1",
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libdl.so.2",
    "libm.so.6",
];

/// Why the packages are not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("could not read the program's dynamic section")]
    Read(#[source] RunError),
    #[error(
        "{0} is not in the table of libraries in crates/xtask/src/deb/linked_libraries.rs; add it \
         with the packages that have it on each release of Debian, or do not link to it"
    )]
    Unknown(String),
    #[error("it is linked to {0}, which is not on every machine")]
    NotEverywhere(String),
}

/// The entries of `Depends:` for the libraries of a program.
pub(super) fn observe_depends(program: &Path) -> Result<Vec<String>, LinkError> {
    parse_depends(&observe_listing(program)?)
}

/// Makes sure that a program runs on every machine with the C library, whatever else is there.
///
/// # Errors
///
/// When it is linked to another library, or that cannot be found out.
pub(crate) fn require_everywhere(program: &Path) -> Result<(), LinkError> {
    check_everywhere(&observe_listing(program)?)
}

fn observe_listing(program: &Path) -> Result<String, LinkError> {
    Program::new("readelf")
        .env("LC_ALL", "C")
        .args(["--wide", "--dynamic", "--version-info"])
        .args([program])
        .read()
        .map_err(LinkError::Read)
}

/// The names of the libraries that a program is linked to.
fn needed(listing: &str) -> impl Iterator<Item = &str> {
    listing
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .map(|line| line.split(['[', ']']).nth(1).unwrap_or(line))
}

fn check_everywhere(listing: &str) -> Result<(), LinkError> {
    let is_everywhere = |name: &str| C_LIBRARY.contains(&name) || name == COMPILERS_LIBRARY;
    match needed(listing).find(|name| !is_everywhere(name)) {
        None => Ok(()),
        Some(name) => Err(LinkError::NotEverywhere(name.to_owned())),
    }
}

fn parse_depends(listing: &str) -> Result<Vec<String>, LinkError> {
    let mut depends = vec![c_library(listing)];
    for name in needed(listing) {
        if C_LIBRARY.contains(&name) {
            continue;
        }
        let known = LIBRARIES.iter().find(|(library, _)| *library == name);
        let (_, package) = known.ok_or_else(|| LinkError::Unknown(name.to_owned()))?;
        depends.push((*package).to_owned());
    }
    depends.sort();
    Ok(depends)
}

/// The oldest C library that has every symbol that the program uses.
fn c_library(listing: &str) -> String {
    let newest = listing
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("GLIBC_"))
        .filter_map(|version| {
            let (major, minor) = version.split_once('.')?;
            let minor = minor.split('.').next()?;
            Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
        })
        .max();
    newest.map_or_else(
        || "libc6".to_owned(),
        |(major, minor)| format!("libc6 (>= {major}.{minor})"),
    )
}

#[cfg(test)]
mod tests {
    use super::{check_everywhere, parse_depends};

    const LISTING: &str = "\
 0x0000000000000001 (NEEDED)             Shared library: [libnvpair.so.3]
 0x0000000000000001 (NEEDED)             Shared library: [libc.so.6]
  000000: Version: 1  File: libc.so.6  Cnt: 8
  0x0010:   Name: GLIBC_2.2.5  Flags: none  Version: 10
  0x0020:   Name: GLIBC_2.34  Flags: none  Version: 9
";

    #[test]
    fn names_packages_and_the_c_library_that_is_needed() {
        assert_eq!(
            parse_depends(LISTING).unwrap(),
            ["libc6 (>= 2.34)", "libnvpair3linux"]
        );
    }

    #[test]
    fn a_library_of_one_release_only_is_refused() {
        let listing = LISTING.replace("libnvpair.so.3", "libzfs.so.4");
        let failure = parse_depends(&listing).unwrap_err();
        assert!(
            failure
                .to_string()
                .starts_with("libzfs.so.4 is not in the table")
        );
    }

    #[test]
    fn only_the_c_library_is_on_every_machine() {
        let refused = check_everywhere(LISTING).unwrap_err().to_string();
        assert!(refused.starts_with("it is linked to libnvpair.so.3, "));
        for library in ["libgcc_s.so.1", "libm.so.6", "ld-linux-x86-64.so.2"] {
            check_everywhere(&LISTING.replace("libnvpair.so.3", library)).unwrap();
        }
        check_everywhere("There is no dynamic section in this file.\n").unwrap();
    }
}
