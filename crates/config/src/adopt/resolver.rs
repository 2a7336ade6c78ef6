//! Docker's own resolver, which knows no applications of other nodes.
//!
//! In Compose, the resolver at 127.0.0.11 knows the names of all services. Here names are lines of
//! `/etc/hosts`. Docker's resolver still answers in every container, but does not read `/etc/hosts`. It
//! finds names of the outside, and with recent versions of Docker the host names of containers on the same
//! node. nginx asks it for an address with a variable, at each request.

use crate::adopt::adoption::Adoption;
use crate::adopt::mention_in_files::{files, lines};
use crate::adopt::project::Project;
use crate::adopt::service::Application;
use crate::adopt::yaml::Yaml;
use crate::phrase::quote;
use crate::source::Span;

/// The address of Docker's resolver in every container.
const ADDRESS: &str = "127.0.0.11";

/// Warns of each service that is set to ask Docker's resolver.
pub(crate) fn warn_of_dockers_resolver(
    project: &Project,
    applications: &[Application],
    adoption: &mut Adoption<'_>,
) {
    for (service, application) in project.services.iter().zip(applications) {
        let values = ["environment", "command", "entrypoint"].iter();
        let values = values.filter_map(|key| application.get(key));
        let in_values = values
            .flat_map(Yaml::texts)
            .find(|(text, _)| has_address(text))
            .map(|(_, span)| (span, None));
        let found = in_values.or_else(|| in_files(application, adoption));
        let Some((span, path)) = found else {
            continue;
        };
        let owner = quote(&service.name.value);
        let place = path.map_or_else(String::new, |path| format!(" in {}", quote(&path)));
        adoption.warn(
            span,
            format!(
                "{owner} asks Docker's resolver ({ADDRESS}){place}, which does not find services of other \
                 nodes"
            ),
            "Flocker writes their names into `/etc/hosts` of the container, which that resolver does not \
             read; nginx reads it when it starts, for an address without a variable: \
             `proxy_pass http://NAME:PORT;`",
        );
    }
}

/// Finds the address in the files of an application.
fn in_files(application: &Application, adoption: &Adoption<'_>) -> Option<(Span, Option<String>)> {
    let mut files = files(application, adoption).into_iter();
    let found = files.find(|file| lines(&file.text).any(has_address))?;
    Some((found.span, Some(found.path)))
}

/// Tells whether a text has the address, and not only as the beginning or the end of another one.
fn has_address(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_digit() || c == '.';
    text.match_indices(ADDRESS).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + ADDRESS.len()..]);
        !before.ends_with(is_part) && !after.starts_with(|c: char| c.is_ascii_digit())
    })
}
