//! The services of which a service speaks: in its variables, its command, its health check, and what it
//! depends on.

use std::collections::BTreeMap;

use crate::adopt::dependencies::dependencies;
use crate::adopt::project::Service;
use crate::adopt::service::Application;
use crate::adopt::yaml::Yaml;
use crate::source::Span;

/// The names that are looked for, and the numbers of the services that they mean.
pub(crate) type Names<'n> = BTreeMap<&'n str, usize>;

/// A place at which one service speaks of another.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mention {
    /// The number of the other service.
    pub(crate) target: usize,
    pub(crate) port: Option<u16>,
    pub(crate) strength: Strength,
    pub(crate) span: Span,
}

/// How likely it is that the other service is meant, and to be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Strength {
    /// The name is a part of a text, or the other one only has to end.
    Part,
    /// The other one has to run before.
    Dependency,
    /// The name is the whole value of a variable that may mean anything.
    Word,
    /// The name stands where an address does.
    Address,
}

/// Words in names of variables whose values are addresses.
const ADDRESSES: &[&str] = &[
    "ADDR", "BROKER", "DSN", "ENDPOINT", "HOST", "SERVER", "URI", "URL",
];

/// Words in names of variables whose values are names that a service may share by chance.
const NAMES: &[&str] = &["DATABASE", "DB_NAME", "PASS", "USER"];

/// Finds everything that a service says of those called `names`.
pub(crate) fn mentions(
    service: &Service,
    application: &Application,
    names: &Names<'_>,
) -> Vec<Mention> {
    let mut found = Vec::new();
    let environment = application.get("environment").and_then(Yaml::entries);
    for (name, value) in environment.into_iter().flatten() {
        let variable = name.value.to_uppercase();
        let is_address = ADDRESSES.iter().any(|word| variable.contains(word));
        let alone = if is_address {
            Strength::Address
        } else {
            Strength::Word
        };
        let is_name = variable.ends_with("_DB") || NAMES.iter().any(|word| variable.contains(word));
        for (text, span) in value.texts() {
            let mut here = find(text, span, names, alone);
            here.retain(|one| is_address || !is_name || one.strength == Strength::Address);
            found.extend(here);
        }
    }
    for key in ["command", "entrypoint"] {
        for (text, span) in service.get(key).map(Yaml::texts).unwrap_or_default() {
            found.extend(find(text, span, names, Strength::Part));
        }
    }
    found.extend(in_health_check(service, names));
    let mention = |name: &str, strength, span| {
        let target = *names.get(name)?;
        Some(Mention {
            target,
            port: None,
            strength,
            span,
        })
    };
    let depended = dependencies(service).into_iter();
    found.extend(depended.filter_map(|dependency| {
        let strength = if dependency.is_waited_for {
            Strength::Part
        } else {
            Strength::Dependency
        };
        mention(dependency.name, strength, dependency.span)
    }));
    let links = service.get("links").map(Yaml::one_or_many);
    found.extend(links.into_iter().flatten().filter_map(|item| {
        let name = item.text()?.split(':').next()?;
        mention(name, Strength::Address, item.span)
    }));
    found
}

/// Finds the services that a health check asks. It asks its own, and names users and databases that
/// are called like others: a name counts as an address, or behind the option for a host.
fn in_health_check(service: &Service, names: &Names<'_>) -> Vec<Mention> {
    let Some(check) = service.get("healthcheck") else {
        return Vec::new();
    };
    let texts: Vec<&str> = check.texts().into_iter().map(|(text, _)| text).collect();
    let line = texts.join(" ");
    let words = words(&line, names).into_iter();
    let asked = words.filter(|word| {
        let before = line[..word.begin].trim_end_matches([' ', '=', '\'', '"']);
        word.is_address || [" -h", " --host"].iter().any(|end| before.ends_with(end))
    });
    asked
        .map(|word| Mention {
            target: word.target,
            port: word.port,
            strength: if word.is_address {
                Strength::Address
            } else {
                Strength::Part
            },
            span: check.span,
        })
        .collect()
}

/// Finds names in a text; `alone` is what a name means that is the whole text, or an item of it.
fn find(text: &str, span: Span, names: &Names<'_>, alone: Strength) -> Vec<Mention> {
    let words = words(text, names).into_iter();
    words
        .map(|word| Mention {
            target: word.target,
            port: word.port,
            strength: match (word.is_address, word.stands_alone) {
                (true, _) => Strength::Address,
                (false, true) => alone,
                (false, false) => Strength::Part,
            },
            span,
        })
        .collect()
}

/// A name in a text.
#[derive(Debug)]
pub(crate) struct Word<'t> {
    /// The name.
    pub(crate) name: &'t str,
    /// Where it begins.
    pub(crate) begin: usize,
    /// The number of the service that it means.
    pub(crate) target: usize,
    /// The port behind it.
    pub(crate) port: Option<u16>,
    /// Whether it has the form of an address.
    pub(crate) is_address: bool,
    /// Whether it is the whole text, or an item of it.
    stands_alone: bool,
}

/// Finds names in a text, but for those that are a part of a path or of another name.
pub(crate) fn words<'t>(text: &'t str, names: &Names<'_>) -> Vec<Word<'t>> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let mut found = Vec::new();
    let mut start = 0;
    while let Some(offset) = text[start..].find(is_part) {
        let begin = start + offset;
        let rest = &text[begin..];
        let end = begin + rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        start = end;
        let Some(target) = names.get(&text[begin..end]).copied() else {
            continue;
        };
        let (before, after) = (&text[..begin], &text[end..]);
        if before.ends_with('/') && !before.ends_with("//") {
            // A part of a path.
            continue;
        }
        let port = port_after(after);
        let is_address = before.ends_with("//") || before.ends_with('@') || port.is_some();
        let stands_alone = matches!(before.chars().next_back(), None | Some(',' | ' ' | ';'))
            && matches!(after.chars().next(), None | Some(',' | ' ' | ';'));
        found.push(Word {
            name: &text[begin..end],
            begin,
            target,
            port,
            is_address,
            stands_alone,
        });
    }
    found
}

/// Reads `:PORT`.
fn port_after(text: &str) -> Option<u16> {
    let rest = text.strip_prefix(':')?;
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..digits].parse().ok().filter(|port| *port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::File;

    #[test]
    fn names_are_found_as_whole_words() {
        let span = Span {
            file: File::Application,
            start: 0,
            end: 0,
        };
        let names = Names::from([("db", 0), ("cache-1", 1)]);
        let found = |text: &str| -> Vec<(usize, Option<u16>, Strength)> {
            find(text, span, &names, Strength::Word)
                .into_iter()
                .map(|one| (one.target, one.port, one.strength))
                .collect()
        };
        let address = |target, port| (target, port, Strength::Address);
        assert_eq!(found("postgres://u:p@db/x"), [address(0, None)]);
        assert_eq!(found("http://cache-1:80/"), [address(1, Some(80))]);
        assert_eq!(
            found("db:5432,cache-1:1"),
            [address(0, Some(5432)), address(1, Some(1))]
        );
        assert_eq!(found("db"), [(0, None, Strength::Word)]);
        assert_eq!(found("a=db"), [(0, None, Strength::Part)]);
        for text in [
            "/data/db",
            "mydb",
            "db.example.com",
            "db-2",
            "cache",
            "cache-10",
            "",
        ] {
            assert!(found(text).is_empty(), "{text}");
        }
    }
}
