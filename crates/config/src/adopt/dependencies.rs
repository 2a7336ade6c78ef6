//! `depends_on` of a service.

use crate::adopt::project::Service;
use crate::source::Span;

/// An item of `depends_on`.
#[derive(Debug)]
pub(crate) struct Dependency<'s> {
    pub(crate) name: &'s str,
    /// Whether the other service is a job whose end is waited for.
    pub(crate) is_waited_for: bool,
    pub(crate) span: Span,
}

/// Lists the services that a service depends on.
pub(crate) fn dependencies(service: &Service) -> Vec<Dependency<'_>> {
    let Some(written) = service.get("depends_on") else {
        return Vec::new();
    };
    if let Some(entries) = written.entries() {
        let entries = entries.iter();
        return entries
            .map(|(name, value)| Dependency {
                name: &name.value,
                is_waited_for: value.text_of("condition") == Some("service_completed_successfully"),
                span: name.span,
            })
            .collect();
    }
    let items = written.one_or_many().into_iter();
    items
        .filter_map(|item| {
            Some(Dependency {
                name: item.text()?,
                is_waited_for: false,
                span: item.span,
            })
        })
        .collect()
}
