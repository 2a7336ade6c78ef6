//! Our two files, made of files that people have.

use std::collections::BTreeSet;

use crate::adopt::{
    Adopted, Decision, Pair, Surroundings, Yaml, adopt, comment, of_tree, write_document,
};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::nodes::read_nodes;
use crate::outside::Outside;
use crate::parse::{read, read_adopted};
use crate::recognise::kind_of_source;
use crate::relocate::relocate;
use crate::report::Report;
use crate::source::{File, Source, Span, Text};

/// The files that were made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Converted {
    /// The application configuration, if one was given.
    pub application: Option<String>,
    /// The deployment configuration, if one was given.
    pub deployment: Option<String>,
    /// What is allowed and probably not meant; often empty.
    pub warnings: Diagnostics,
}

/// Writes files of any kind that is known as files of ours: at most one application configuration and
/// one deployment configuration, in any order. Reading them gives the same deployment.
///
/// Comments say each decision. A variable of the environment and a file of variables is named where
/// reading it gives the same value. Other values of variables are written out, those of passwords too.
///
/// # Errors
/// Returns everything that is wrong with a file, warnings included.
pub fn convert(
    files: &[Source<'_>],
    surroundings: &dyn Surroundings,
) -> Result<Converted, Diagnostics> {
    convert_into(files, surroundings, &|_| String::new())
}

/// Writes files as [`convert`] does, for another directory. `way_back` returns the path that leads from
/// there to the directory of the file with this name; an empty one if it is the same.
///
/// # Errors
/// As [`convert`].
pub fn convert_into(
    files: &[Source<'_>],
    surroundings: &dyn Surroundings,
    way_back: &dyn Fn(&str) -> String,
) -> Result<Converted, Diagnostics> {
    let mut converted = Converted::default();
    for source in files {
        let is_deployment = kind_of_source(*source).is_some_and(|kind| !kind.is_application());
        let (written, place, warnings) = if is_deployment {
            let (text, warnings) = convert_deployment(*source)?;
            (text, &mut converted.deployment, warnings)
        } else {
            let (text, warnings) =
                convert_application(*source, surroundings, &way_back(source.name))?;
            (text, &mut converted.application, warnings)
        };
        if place.is_some() {
            return Err(twice(*source, is_deployment));
        }
        *place = Some(written);
        converted.warnings.list.extend(warnings.list);
        converted.warnings.omitted += warnings.omitted;
    }
    Ok(converted)
}

fn twice(source: Source<'_>, is_deployment: bool) -> Diagnostics {
    let kind = if is_deployment {
        File::Deployment
    } else {
        File::Application
    };
    let title = kind.title();
    let diagnostic = Diagnostic {
        severity: Severity::Error,
        message: format!("this is a second {title}"),
        file: source.name.to_owned(),
        place: None,
        related: Vec::new(),
        hint: Some("give one file of each kind at most".to_owned()),
    };
    Diagnostics {
        list: vec![diagnostic],
        omitted: 0,
    }
}

fn convert_deployment(source: Source<'_>) -> Result<(String, Diagnostics), Diagnostics> {
    let mut report = Report::default();
    let (text, tree) = read(source, File::Deployment, &mut report);
    let root = tree.as_ref().and_then(|tree| {
        read_nodes(tree.root(), &mut report);
        of_tree(tree, &mut report)
    });
    let has_errors = report.has_errors();
    let diagnostics = report.into_diagnostics([Text::default(), text]);
    match root.filter(|_| !has_errors) {
        Some(root) => {
            let entries = root.entries().cloned().unwrap_or_default();
            let entries = entries
                .into_iter()
                .filter(|(key, _)| key.value != "version");
            let root = Yaml::mapping(root.span, entries.collect());
            Ok((write_document(&root, |_| Vec::new()), diagnostics))
        }
        None => Err(diagnostics),
    }
}

fn convert_application(
    source: Source<'_>,
    surroundings: &dyn Surroundings,
    prefix: &str,
) -> Result<(String, Diagnostics), Diagnostics> {
    // Values outside of the file stay where they are.
    let mut report = Report::with(Outside::Wanted(BTreeSet::new()));
    let (text, tree) = read(source, File::Application, &mut report);
    let adopted = tree.and_then(|tree| adopt(tree, source.name, surroundings, &mut report));
    let root = adopted.as_ref().and_then(|adopted| {
        for earlier in &adopted.earlier {
            report.warning(|| earlier.finding());
        }
        read_adopted(adopted, &mut report);
        let mut root = of_tree(&adopted.tree, &mut report)?;
        adopted.counterparts.write_into(&mut root);
        relocate(&mut root, prefix, &mut report);
        Some(root)
    });
    let has_errors = report.has_errors();
    let notes = notes(&report, adopted.as_ref());
    let diagnostics = report.into_diagnostics([text, Text::default()]);
    match root.filter(|_| !has_errors) {
        Some(root) => {
            let has_values = adopted.is_some_and(|one| one.counterparts.are_written_out);
            let secret = if has_values { HOLDS_VALUES } else { "" };
            let text = write_application(&root, notes);
            Ok((format!("{secret}{text}"), diagnostics))
        }
        None => Err(diagnostics),
    }
}

/// The beginning of a file that has values from outside of the original.
const HOLDS_VALUES: &str =
    "# values of variables stand in this file: keep it as secret as they are\n\n";

/// Collects what is to be said in comments, each with its place.
fn notes(report: &Report, adopted: Option<&Adopted>) -> Vec<Decision> {
    let decisions = adopted.map(|adopted| adopted.decisions.clone());
    let mut notes = decisions.unwrap_or_default();
    notes.extend(
        report
            .warnings()
            .map(|(span, text)| Decision { span, text }),
    );
    notes.sort_by_key(|note| note.span.start);
    notes.dedup();
    notes
}

/// Writes the applications, each with its notes above it; other notes come first.
fn write_application(root: &Yaml, mut notes: Vec<Decision>) -> String {
    let extents: Vec<Span> = root.entries().into_iter().flatten().map(extent).collect();
    let is_inside = |note: &Decision, extent: &Span| {
        extent.start <= note.span.start && note.span.start < extent.end
    };
    let mut text = String::new();
    notes.retain(|note| {
        let belongs = extents.iter().any(|extent| is_inside(note, extent));
        if !belongs {
            text.push_str(&comment(&note.text));
        }
        belongs
    });
    if !text.is_empty() {
        text.push('\n');
    }
    let document = write_document(root, |entry| {
        let extent = extent(entry);
        let (here, later) = notes.drain(..).partition(|note| is_inside(note, &extent));
        notes = later;
        let here: Vec<Decision> = here;
        here.into_iter().map(|note| note.text).collect()
    });
    text + &document
}

/// Returns the part of the original file that an application was made of.
fn extent((key, value): &Pair) -> Span {
    Span {
        end: value.span.end.max(key.span.end),
        ..key.span
    }
}
