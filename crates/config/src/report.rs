//! Collects mistakes while the files are checked.

use crate::diagnostic::{Diagnostic, Diagnostics, Place, Severity};
use crate::outside::Outside;
use crate::replaced::Replacements;
use crate::source::{File, Span, Text};

/// A mistake before its lines are looked up.
#[derive(Debug)]
pub(crate) struct Finding {
    message: String,
    file: File,
    span: Option<Span>,
    /// The place, if it is in neither of the two files.
    elsewhere: Option<Box<Place>>,
    related: Vec<(Span, String)>,
    hint: Option<String>,
}

impl Finding {
    /// Says what is wrong at `span`.
    pub(crate) fn at(span: Span, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            file: span.file,
            span: Some(span),
            elsewhere: None,
            related: Vec::new(),
            hint: None,
        }
    }

    /// Says that `file` as a whole is wrong.
    pub(crate) fn whole_file(file: File, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            file,
            span: None,
            elsewhere: None,
            related: Vec::new(),
            hint: None,
        }
    }

    /// Says what is wrong with a file beside the application configuration.
    pub(crate) fn elsewhere(place: Place, message: impl Into<String>) -> Self {
        Self {
            elsewhere: Some(Box::new(place)),
            ..Self::whole_file(File::Application, message)
        }
    }

    /// Tells whether one of its places overlaps a stretch of a file.
    fn touches(&self, span: Span) -> bool {
        let related = self.related.iter().map(|(span, _)| *span);
        self.span.into_iter().chain(related).any(|other| {
            other.file == span.file && other.start < span.end && span.start < other.end
        })
    }

    /// Adds what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what to do about it, if that is known.
    pub(crate) fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// Adds another place that has to do with it.
    pub(crate) fn also(mut self, span: Span, note: impl Into<String>) -> Self {
        self.related.push((span, note.into()));
        self
    }
}

/// Everything found so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    findings: Vec<(Severity, Finding)>,
    omitted: usize,
    has_errors: bool,
    pub(crate) outside: Outside,
    /// The values in the application configuration that no message shows.
    pub(crate) replacements: Replacements,
    /// Texts that could not be replaced, and were reported.
    unknown: Vec<Span>,
}

impl Report {
    /// Begins with what is known of values outside of the files.
    pub(crate) fn with(outside: Outside) -> Self {
        Self {
            outside,
            ..Self::default()
        }
    }

    /// Adds what prevents a deployment.
    ///
    /// It is described by a function because looking for "did you mean" in a large hostile file
    /// is only affordable for what will be shown.
    pub(crate) fn error(&mut self, describe: impl FnOnce() -> Finding) {
        self.has_errors = true;
        self.add(Severity::Error, describe);
    }

    /// Adds what is allowed and probably not meant.
    pub(crate) fn warning(&mut self, describe: impl FnOnce() -> Finding) {
        if self.unknown.is_empty() {
            self.add(Severity::Warning, describe);
        }
    }

    /// Notes a text whose variables have no values, after that was reported as an error. From then on,
    /// the report leaves out findings about it, and all warnings: they would be about a placeholder.
    pub(crate) fn unknown(&mut self, span: Span) {
        self.unknown.push(span);
    }

    /// Keeps a finding, unless there are too many already: then it is only counted.
    fn add(&mut self, severity: Severity, describe: impl FnOnce() -> Finding) {
        if self.findings.len() < Diagnostics::LIMIT {
            let mut finding = describe();
            if self.unknown.iter().any(|span| finding.touches(*span)) {
                return;
            }
            if let Some(span) = finding.span {
                self.replacements.hide(span, &mut finding.message);
                if let Some(hint) = &mut finding.hint {
                    self.replacements.hide(span, hint);
                }
            }
            for (span, note) in &mut finding.related {
                self.replacements.hide(*span, note);
            }
            self.findings.push((severity, finding));
        } else {
            self.omitted += 1;
        }
    }

    /// Tells whether anything was found that prevents a deployment.
    pub(crate) const fn has_errors(&self) -> bool {
        self.has_errors
    }

    /// Returns the warnings that have a place, with what to do about them.
    pub(crate) fn warnings(&self) -> impl Iterator<Item = (Span, String)> {
        self.findings.iter().filter_map(|(severity, finding)| {
            let span = finding.span.filter(|_| *severity == Severity::Warning)?;
            let text = match &finding.hint {
                Some(hint) => format!("{}: {hint}", finding.message),
                None => finding.message.clone(),
            };
            Some((span, text))
        })
    }

    /// Looks up the lines and sorts by place.
    pub(crate) fn into_diagnostics(mut self, texts: [Text; 2]) -> Diagnostics {
        self.findings
            .sort_by_key(|(_, finding)| (finding.file, finding.span.map(|span| span.start)));
        let [application, deployment] = texts;
        let text = |file| match file {
            File::Application => &application,
            File::Deployment => &deployment,
        };
        let place = |span: Span, note| text(span.file).place(span, note);
        let list = self
            .findings
            .into_iter()
            .map(|(severity, finding)| Diagnostic {
                severity,
                message: finding.message,
                file: match &finding.elsewhere {
                    Some(place) => place.file.clone(),
                    None => text(finding.file).name.clone(),
                },
                place: finding
                    .elsewhere
                    .map(|place| *place)
                    .or_else(|| finding.span.map(|span| place(span, None))),
                related: finding
                    .related
                    .into_iter()
                    .map(|(span, note)| place(span, Some(note)))
                    .collect(),
                hint: finding.hint,
            })
            .collect();
        Diagnostics {
            list,
            omitted: self.omitted,
        }
    }
}
