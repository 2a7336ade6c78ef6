//! The services of which a service speaks in files that Flocker puts into its container, such as the
//! configuration of a reverse proxy.
//!
//! Such files are prose, too, in part. An address counts as one. A name alone gives no link: the
//! operator hears of it where a program reads an address.

use std::collections::BTreeMap;

use crate::adopt::adoption::{Adoption, unescaped};
use crate::adopt::mention::{Mention, Names, Strength, Word, words};
use crate::adopt::project::Project;
use crate::adopt::service::Application;
use crate::adopt::yaml::Yaml;
use crate::phrase::quote;
use crate::source::Span;

/// The most bytes of a file that are looked at.
const MAXIMUM_BYTES: usize = 64 * 1024;

/// Words behind which configurations of reverse proxies and clients have an address.
const BEFORE_ADDRESSES: &[&str] = &[
    "addr",
    "address",
    "fastcgi_pass",
    "grpc_pass",
    "host",
    "hostname",
    "php_fastcgi",
    "proxy_pass",
    "reverse_proxy",
    "server",
    "upstream",
    "url",
    "uwsgi_pass",
];

/// Adds what each application's files say to what its service says.
pub(crate) fn add_mentions_in_files(
    spoken: &mut [Vec<Mention>],
    applications: &[Application],
    names: &Names<'_>,
    adoption: &Adoption<'_>,
) {
    for (spoken, application) in spoken.iter_mut().zip(applications) {
        let found = names_in_files(application, names, adoption).into_iter();
        let addresses = found.filter(|found| found.is_address);
        spoken.extend(addresses.map(|found| found.mention));
    }
}

/// A service that a file names, by an address or where a program reads one.
pub(crate) struct NamedInFile {
    pub(crate) mention: Mention,
    /// Whether the name is a part of an address.
    is_address: bool,
    /// The name that stands there.
    pub(crate) name: String,
    /// The path of the file.
    pub(crate) path: String,
}

/// Finds the services that an application's files name: in addresses, and where a program reads an
/// address.
pub(crate) fn names_in_files(
    application: &Application,
    names: &Names<'_>,
    adoption: &Adoption<'_>,
) -> Vec<NamedInFile> {
    let mut found = Vec::new();
    for file in files(application, adoption) {
        for line in lines(&file.text) {
            let words = words(line, names).into_iter();
            let meant = words.filter(|word| word.is_address || is_behind_key(line, word));
            found.extend(meant.map(|word| NamedInFile {
                mention: mention(line, &word, file.span),
                is_address: word.is_address,
                name: word.name.to_owned(),
                path: file.path.clone(),
            }));
        }
    }
    found
}

/// Makes a mention of an address. One without a port may be a part of a text.
fn mention(line: &str, word: &Word<'_>, span: Span) -> Mention {
    let before = &line[..word.begin];
    let of_scheme = if before.ends_with("https://") {
        Some(443)
    } else if before.ends_with("http://") {
        Some(80)
    } else {
        None
    };
    let port = word.port.or(of_scheme);
    Mention {
        target: word.target,
        port,
        strength: if port.is_some() {
            Strength::Address
        } else {
            Strength::Word
        },
        span,
    }
}

/// Warns of names in files that stand where an address does, of services that are not reached.
pub(crate) fn warn_of_names_in_files(
    project: &Project,
    applications: &[Application],
    adoption: &mut Adoption<'_>,
) {
    let services = project.services.iter().zip(0..);
    let names: Names<'_> = services
        .map(|(service, index)| (service.name.value.as_str(), index))
        .collect();
    for (source, application) in applications.iter().enumerate() {
        let mut missing: BTreeMap<usize, (Span, String)> = BTreeMap::new();
        for named in names_in_files(application, &names, adoption) {
            let Mention { target, span, .. } = named.mention;
            // An address was reported already, if nothing is known of its port.
            if target != source && !named.is_address {
                missing.entry(target).or_insert((span, named.path));
            }
        }
        let owner = quote(&project.services[source].name.value);
        for (target, (span, path)) in missing {
            let target = &project.services[target].name.value;
            if !reaches(application, target) {
                let shown = quote(target);
                let message = format!(
                    "{} names {shown}, which {owner} does not reach",
                    quote(&path)
                );
                let hint = format!(
                    "write its port in the file, `{target}:PORT`; or write `depends_on: [{target}]` at \
                     {owner}, and at {shown} which port it answers at: `expose: [\"PORT\"]`"
                );
                adoption.warn(span, message, hint);
            }
        }
    }
}

/// Tells whether a word stands behind one of the words before addresses.
fn is_behind_key(line: &str, word: &Word<'_>) -> bool {
    let is_sign = |c: char| c.is_whitespace() || matches!(c, ':' | '=' | '"' | '\'');
    let before = &line[..word.begin];
    let rest = before.trim_end_matches(is_sign);
    let key = rest.rsplit(is_sign).next().unwrap_or(rest);
    rest.len() < before.len() && BEFORE_ADDRESSES.contains(&key.to_ascii_lowercase().as_str())
}

/// Tells whether an application has a link to another one.
fn reaches(application: &Application, target: &str) -> bool {
    let links = application.get("links").and_then(Yaml::items);
    let mut links = links.into_iter().flatten();
    links.any(|link| link.text_of("application") == Some(target))
}

/// A text that the container sees.
struct TextFile {
    /// The path on the operator's machine; in the container, if the Compose file has the text.
    path: String,
    text: String,
    /// The place that gives it to the service.
    span: Span,
}

/// Reads the files of an application as far as they are text, and not too large to look at.
fn files(application: &Application, adoption: &Adoption<'_>) -> Vec<TextFile> {
    let files = application.get("files").and_then(Yaml::items);
    let files = files.into_iter().flatten();
    files
        .filter_map(|file| {
            if let Some(text) = file.text_of("content") {
                return Some(TextFile {
                    text: unescaped(text),
                    path: file.text_of("target")?.to_owned(),
                    span: file.span,
                });
            }
            let path = unescaped(file.text_of("source")?);
            let read = adoption.surroundings.read(adoption.beside, &path);
            let bytes = read.ok().flatten()?;
            if bytes.len() > MAXIMUM_BYTES {
                return None;
            }
            Some(TextFile {
                text: String::from_utf8(bytes).ok()?,
                path,
                span: file.span,
            })
        })
        .collect()
}

/// Returns the lines of a text that are no comments.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let is_comment = |line: &&str| line.trim_start().starts_with(['#', ';', '!']);
    text.lines().filter(move |line| {
        let is_slashed = line.trim_start().starts_with("//");
        !is_comment(line) && !is_slashed
    })
}
