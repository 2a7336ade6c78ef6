//! Archives of Debian that apt does not use yet, derived from the entries that it already has, so
//! that no mirror is ever named here and the user's own choice of mirror holds.
//!
//! **Source**: sources.list(5).

use std::fmt::Write as _;
use std::path::PathBuf;

/// What can be added to apt's sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Addition {
    /// The component with free software that needs what is not in Debian, such as ZFS.
    Contrib,
    /// The suite with newer versions for this release.
    Backports,
}

impl Addition {
    /// The file that is added.
    pub(super) const fn file(self) -> &'static str {
        match self {
            Self::Contrib => "/etc/apt/sources.list.d/flocker-contrib.sources",
            Self::Backports => "/etc/apt/sources.list.d/flocker-backports.sources",
        }
    }

    /// What it is called in messages.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Contrib => "component contrib",
            Self::Backports => "backports",
        }
    }

    /// Beside which suites of a release it exists, by what follows the release's name.
    const fn beside(self) -> &'static [&'static str] {
        match self {
            Self::Contrib => &["", "-updates", "-security", "/updates"],
            Self::Backports => &[""],
        }
    }

    fn suites(self, beside: &[&str]) -> String {
        match self {
            Self::Contrib => beside.join(" "),
            Self::Backports => beside.iter().map(|suite| backports_of(suite)).collect(),
        }
    }

    const fn components(self) -> &'static str {
        match self {
            Self::Contrib => "contrib",
            Self::Backports => "main contrib",
        }
    }
}

/// The suite with newer versions for a release.
pub(super) fn backports_of(codename: &str) -> String {
    format!("{codename}-backports")
}

/// Which Debian this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Release {
    pub(super) codename: String,
    /// The largest number where none is given, as in Debian's testing.
    pub(super) number: u32,
}

/// Reads os-release(5).
pub(super) fn observe_release() -> Release {
    parse_release(&std::fs::read_to_string("/etc/os-release").unwrap_or_default())
}

fn parse_release(text: &str) -> Release {
    let value = |name: &str| {
        text.lines()
            .filter_map(|line| line.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.trim_matches('"').to_owned())
    };
    Release {
        codename: value("VERSION_CODENAME").unwrap_or_default(),
        number: value("VERSION_ID")
            .and_then(|number| number.parse().ok())
            .unwrap_or(u32::MAX),
    }
}

/// One file of apt's sources.
#[derive(Debug)]
pub(super) struct SourceList {
    is_stanzas: bool,
    text: String,
}

/// Reads every file that apt reads.
pub(super) fn observe_sources() -> Vec<SourceList> {
    let mut paths = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = std::fs::read_dir("/etc/apt/sources.list.d") {
        paths.extend(entries.flatten().map(|entry| entry.path()));
    }
    paths.sort();
    paths
        .iter()
        .filter_map(|path| {
            let extension = path.extension()?.to_str()?;
            if !["list", "sources"].contains(&extension) {
                return None;
            }
            Some(SourceList {
                is_stanzas: extension == "sources",
                text: std::fs::read_to_string(path).ok()?,
            })
        })
        .collect()
}

/// One archive that apt takes packages from.
#[derive(Debug, Default, PartialEq, Eq)]
struct Entry {
    uris: String,
    suites: Vec<String>,
    components: Vec<String>,
    /// Everything else that must hold for an addition, too: keys, trust, architectures.
    options: Vec<(String, String)>,
}

/// Writes sources for an addition beside each entry for `main` of this release; empty if none.
pub(super) fn render(addition: Addition, lists: &[SourceList], codename: &str) -> String {
    let stanzas = lists
        .iter()
        .flat_map(SourceList::parse)
        .filter(|entry| entry.components.iter().any(|component| component == "main"))
        .filter_map(|entry| render_entry(addition, &entry, codename));
    stanzas.collect::<Vec<_>>().join("\n")
}

fn render_entry(addition: Addition, entry: &Entry, codename: &str) -> Option<String> {
    let belongs = |suite: &&str| {
        suite
            .strip_prefix(codename)
            .is_some_and(|suffix| addition.beside().contains(&suffix))
    };
    let beside: Vec<&str> = entry
        .suites
        .iter()
        .map(String::as_str)
        .filter(belongs)
        .collect();
    if beside.is_empty() {
        return None;
    }
    let (uris, suites) = (&entry.uris, addition.suites(&beside));
    let components = addition.components();
    let mut text =
        format!("Types: deb\nURIs: {uris}\nSuites: {suites}\nComponents: {components}\n");
    for (name, value) in &entry.options {
        let _ = writeln!(text, "{name}: {value}");
    }
    Some(text)
}

impl SourceList {
    fn parse(&self) -> Vec<Entry> {
        if self.is_stanzas {
            parse_stanzas(&self.text)
        } else {
            self.text.lines().filter_map(parse_line).collect()
        }
    }
}

fn parse_stanzas(text: &str) -> Vec<Entry> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines
        .split(|line| line.trim().is_empty())
        .filter_map(parse_stanza)
        .collect()
}

fn parse_stanza(lines: &[&str]) -> Option<Entry> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in lines {
        if line.starts_with([' ', '\t']) {
            // A key may be written out over many lines.
            let (_, value) = fields.last_mut()?;
            value.push('\n');
            value.push_str(line);
        } else {
            let (name, value) = line.split_once(':')?;
            fields.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    let mut entry = Entry::default();
    for (name, value) in fields {
        let words = || value.split_whitespace().map(str::to_owned).collect();
        match name.to_ascii_lowercase().as_str() {
            "types" if !value.split_whitespace().any(|word| word == "deb") => return None,
            "enabled" if value == "no" => return None,
            "types" | "enabled" => {}
            "uris" => entry.uris.clone_from(&value),
            "suites" => entry.suites = words(),
            "components" => entry.components = words(),
            _ => entry.options.push((name, value)),
        }
    }
    Some(entry)
}

fn parse_line(line: &str) -> Option<Entry> {
    let rest = line.split('#').next()?.trim().strip_prefix("deb ")?.trim();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let options = options
        .split_whitespace()
        .filter_map(|option| option.split_once('='))
        .map(|(name, value)| (option_name(name), value.replace(',', " ")))
        .collect();
    let mut words = rest.split_whitespace().map(str::to_owned);
    Some(Entry {
        uris: words.next()?,
        suites: vec![words.next()?],
        components: words.collect(),
        options,
    })
}

/// The name that an option of the one-line format has in the other one.
fn option_name(name: &str) -> String {
    match name {
        "arch" => "Architectures".to_owned(),
        "lang" => "Languages".to_owned(),
        "target" => "Targets".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Addition, SourceList, parse_release, render};

    fn stanzas(text: &str) -> SourceList {
        SourceList {
            is_stanzas: true,
            text: text.to_owned(),
        }
    }

    fn lines(text: &str) -> SourceList {
        SourceList {
            is_stanzas: false,
            text: text.to_owned(),
        }
    }

    #[test]
    fn extends_stanzas_and_keeps_their_keys() {
        let list = stanzas(
            "Types: deb\n# a comment\nURIs: http://mirror/debian\nSuites: trixie trixie-updates \
             sid\nComponents: main\nSigned-By:\n -----BEGIN\n .\n abc\n\nTypes: deb-src\nURIs: \
             http://mirror/debian\nSuites: trixie\nComponents: main\n\nTypes: deb\nEnabled: \
             no\nURIs: x\nSuites: trixie\nComponents: main\n",
        );
        assert_eq!(
            render(Addition::Contrib, &[list], "trixie"),
            "Types: deb\nURIs: http://mirror/debian\nSuites: trixie trixie-updates\nComponents: \
             contrib\nSigned-By: \n -----BEGIN\n .\n abc\n"
        );
    }

    #[test]
    fn extends_lines_with_options() {
        let list = lines(
            "# deb http://no bookworm main\ndeb [arch=amd64,i386 signed-by=/k.gpg] http://mirror/d \
             bookworm main non-free # note\ndeb http://mirror/s bookworm-security main\n",
        );
        assert_eq!(
            render(Addition::Contrib, &[list], "bookworm"),
            "Types: deb\nURIs: http://mirror/d\nSuites: bookworm\nComponents: \
             contrib\nArchitectures: amd64 i386\nsigned-by: /k.gpg\n\nTypes: deb\nURIs: \
             http://mirror/s\nSuites: bookworm-security\nComponents: contrib\n"
        );
    }

    #[test]
    fn leaves_other_archives_alone() {
        let list = lines(
            "deb https://a.example cloud-bookworm main\ndeb https://b.example bookworm-pgdg main\n\
             deb https://c.example/debian bookworm stable\n",
        );
        assert_eq!(render(Addition::Contrib, &[list], "bookworm"), "");
    }

    #[test]
    fn backports_are_beside_the_release_itself() {
        let list = lines(
            "deb [signed-by=/k.gpg] http://mirror/d bookworm main\n\
             deb http://mirror/d bookworm-updates main\n\
             deb http://mirror/s bookworm-security main\n",
        );
        assert_eq!(
            render(Addition::Backports, &[list], "bookworm"),
            "Types: deb\nURIs: http://mirror/d\nSuites: bookworm-backports\nComponents: main \
             contrib\nsigned-by: /k.gpg\n"
        );
    }

    #[test]
    fn knows_releases() {
        let debian = parse_release("VERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n");
        assert_eq!((debian.codename.as_str(), debian.number), ("bookworm", 12));
        assert_eq!(parse_release("VERSION_CODENAME=forky\n").number, u32::MAX);
    }
}
