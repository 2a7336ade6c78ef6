//! From two files to a deployment.

use std::collections::BTreeSet;

use flocker_model::Deployment;

use crate::adopt::{Adopted, EarlierData, NoSurroundings, Surroundings, adopt};
use crate::application::{Draft, read_applications};
use crate::cross::{check_applications, check_placed_once, check_places};
use crate::diagnostic::Diagnostics;
use crate::files::check_total_size;
use crate::nodes::{DraftNode, read_nodes};
use crate::outside::{Outside, ValueSource, Values};
use crate::recognise::{applications, check_kind, in_order};
use crate::report::Report;
use crate::sharing::resolve_shares;
use crate::source::{File, Source, Span, Text};
use crate::tree::Tree;
use crate::tree_builder::{MAXIMUM_BYTES, parse_tree};
use crate::unreadable;

/// A deployment that can be made, and what may be wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// What was asked for.
    pub deployment: Deployment,
    /// What is allowed and probably not meant; often empty.
    pub warnings: Diagnostics,
    /// Data that applications of a Compose file had before. It concerns those whose volumes are new.
    pub earlier_data: Vec<EarlierData>,
}

/// Reads both files, leaving out warnings.
///
/// # Errors
/// Returns everything that is wrong with either file, see [`parse_with_warnings`].
pub fn parse(application: Source<'_>, deployment: Source<'_>) -> Result<Deployment, Diagnostics> {
    parse_with_warnings(application, deployment).map(|parsed| parsed.deployment)
}

/// Reads both files: the application configuration and the deployment configuration, in either order.
/// In the place of the first there may be a file of Compose, of Fig or of an earlier release of Flocker.
/// What such a file refers to cannot be had: see [`parse_beside`].
///
/// The result keeps what [`Deployment`] promises: every placed application is defined and placed
/// once, links lead to defined applications, and no two applications share an external port. An
/// application that is placed may have a link to one that is not: that is a warning, because
/// stopping an application must not make it necessary to change those that use it.
///
/// # Errors
/// Returns everything that is wrong with either file, warnings included, up to
/// [`Diagnostics::LIMIT`]. A file that is not readable at all (not UTF-8, not YAML, too large)
/// has one diagnostic, and the other file is still checked as far as it can be alone.
pub fn parse_with_warnings(
    application: Source<'_>,
    deployment: Source<'_>,
) -> Result<Parsed, Diagnostics> {
    parse_both(
        application,
        deployment,
        &NoSurroundings,
        Outside::OutOfReach,
    )
    .0
}

/// Lists the values outside of both files that a deployment needs, if the files are right otherwise.
///
/// # Errors
/// As [`parse_with_warnings`].
pub fn wanted_values(
    application: Source<'_>,
    deployment: Source<'_>,
) -> Result<BTreeSet<ValueSource>, Diagnostics> {
    wanted_beside(application, deployment, &NoSurroundings)
}

/// Reads both files with what [`wanted_values`] listed.
///
/// # Errors
/// As [`parse_with_warnings`]; a value that could not be had is an error at its place.
pub fn parse_with_values(
    application: Source<'_>,
    deployment: Source<'_>,
    values: Values,
) -> Result<Parsed, Diagnostics> {
    parse_beside(application, deployment, &NoSurroundings, values)
}

/// Lists the values that a deployment needs, like [`wanted_values`], for files that may refer to
/// `surroundings`.
///
/// # Errors
/// As [`parse_with_warnings`].
pub fn wanted_beside(
    application: Source<'_>,
    deployment: Source<'_>,
    surroundings: &dyn Surroundings,
) -> Result<BTreeSet<ValueSource>, Diagnostics> {
    let outside = Outside::Wanted(BTreeSet::new());
    let (parsed, outside) = parse_both(application, deployment, surroundings, outside);
    parsed.map(|_| match outside {
        Outside::Wanted(wanted) => wanted,
        Outside::OutOfReach | Outside::Known(_) => BTreeSet::new(),
    })
}

/// Reads both files, which may refer to `surroundings`, with what [`wanted_beside`] listed.
///
/// # Errors
/// As [`parse_with_warnings`]; a value that could not be had is an error at its place.
pub fn parse_beside(
    application: Source<'_>,
    deployment: Source<'_>,
    surroundings: &dyn Surroundings,
    values: Values,
) -> Result<Parsed, Diagnostics> {
    parse_both(
        application,
        deployment,
        surroundings,
        Outside::Known(values),
    )
    .0
}

/// Reads both files, and returns what was asked of the operator's machine as well.
fn parse_both(
    application: Source<'_>,
    deployment: Source<'_>,
    surroundings: &dyn Surroundings,
    outside: Outside,
) -> (Result<Parsed, Diagnostics>, Outside) {
    let (application, deployment) = in_order(application, deployment);
    let name = application.name;
    let mut report = Report::with(outside);
    let (application_text, application) = read(application, File::Application, &mut report);
    let (deployment_text, deployment) = read(deployment, File::Deployment, &mut report);
    let application = application.and_then(|tree| adopt(tree, name, surroundings, &mut report));
    let earlier_data = application.iter().flat_map(|adopted| &adopted.earlier);
    let earlier_data = earlier_data.map(|earlier| earlier.data.clone()).collect();
    let drafts = application.map(|adopted| read_adopted(&adopted, &mut report));
    let nodes = deployment.map(|tree| read_nodes(tree.root(), &mut report));
    match (&drafts, &nodes) {
        (Some(drafts), Some(nodes)) => {
            check_places(drafts, nodes, &mut report);
            check_total_size(drafts, nodes, &mut report);
        }
        (None, Some(nodes)) => {
            check_placed_once(nodes, &mut report);
        }
        (_, None) => {}
    }
    let has_errors = report.has_errors();
    let outside = std::mem::take(&mut report.outside);
    let diagnostics = report.into_diagnostics([application_text, deployment_text]);
    let parsed = match (drafts, nodes) {
        (Some(drafts), Some(nodes)) if !has_errors => Ok(Parsed {
            deployment: assemble(drafts, nodes),
            warnings: diagnostics,
            earlier_data,
        }),
        _ => Err(diagnostics),
    };
    (parsed, outside)
}

/// Reads the applications of a file, and checks them against each other.
pub(crate) fn read_adopted(adopted: &Adopted, report: &mut Report) -> Vec<Draft> {
    let entries = applications(adopted.tree.root(), report);
    let mut drafts = read_applications(&entries, report);
    check_applications(&drafts, report);
    resolve_shares(&mut drafts, report);
    drafts
}

/// Puts together what was checked.
fn assemble(drafts: Vec<Draft>, nodes: Vec<DraftNode>) -> Deployment {
    // Nothing is dropped here: what cannot be finished or parsed was reported as an error.
    let applications = drafts.into_iter().filter_map(Draft::finish).collect();
    let nodes = nodes
        .into_iter()
        .filter_map(|node| {
            let placed: Option<BTreeSet<_>> = node
                .applications
                .iter()
                .map(|name| name.value.parse().ok())
                .collect();
            Some((node.name.value.parse().ok()?, placed?))
        })
        .collect();
    Deployment {
        applications,
        nodes,
    }
}

/// Reads one file as far as a tree of the right kind; `None` if that was reported to be impossible.
pub(crate) fn read(source: Source<'_>, file: File, report: &mut Report) -> (Text, Option<Tree>) {
    let mut text = Text {
        name: source.name.to_owned(),
        content: String::new(),
    };
    if source.bytes.len() > MAXIMUM_BYTES {
        report.error(|| unreadable::too_large(source.bytes.len(), file));
        return (text, None);
    }
    // Editors on Windows put a byte order mark first; it means nothing in UTF-8.
    let bytes = source
        .bytes
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(source.bytes);
    text.content = String::from_utf8_lossy(bytes).into_owned();
    if let Err(error) = std::str::from_utf8(bytes) {
        // Up to here the text and its lossy rendering are the same.
        let start = error.valid_up_to();
        let span = Span {
            file,
            start,
            end: start + 1,
        };
        report.error(|| unreadable::not_utf8(span, bytes, start));
        return (text, None);
    }
    let tree = parse_tree(&text.content, file, report)
        .filter(|tree| check_kind(tree.root(), file, report));
    (text, tree)
}
