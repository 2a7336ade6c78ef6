//! Files that were written for other programs: Compose, Fig, and earlier releases of Flocker.
//!
//! Such a file is rewritten as the tree of an application configuration of ours, in which everything
//! keeps its place in the original. The same readers read it then, so that a key that Flocker has is
//! understood in all files, and every mistake points into the file that the operator has.
//!
//! The crate `compose_spec` is not used: it keeps no places, and reads with `serde_yaml`.

mod adoption;
mod counterpart;
mod data;
mod dependencies;
mod deploy;
mod docker_labels;
mod dotenv;
mod earlier;
mod emit;
mod environment;
mod first_release;
mod kind;
mod loopback;
mod mention;
mod mention_in_files;
mod mount;
mod networks;
mod other_names;
mod owners;
mod paths;
mod ports;
mod ports_of_images;
mod project;
mod reach;
mod resolve;
mod secrets;
mod service;
mod surroundings;
mod template;
mod unread;
mod variables;
mod yaml;

pub(crate) use adoption::Decision;
pub use earlier::{EarlierData, EarlierPart, EarlierPlace};
pub(crate) use emit::{comment, write_document};
pub(crate) use kind::{Kind, kind_of};
pub use surroundings::{NoSurroundings, PathKind, Surroundings};
pub(crate) use template::escape_dollars;
pub(crate) use yaml::{Pair, Shape, Yaml, of_tree};

use std::collections::BTreeSet;

use adoption::Adoption;
use counterpart::Counterparts;
use earlier::Earlier;
use first_release::rewrite_first_release;
use kind::form_of_fig;
use project::Project;
use resolve::{Replaced, resolve};
use unread::warn_of_unread_files;
use variables::Variables;

use crate::phrase::enumerate;
use crate::report::{Finding, Report};
use crate::source::{File, Span};
use crate::tree::{Tree, Value};

/// A file that our readers read, and what was decided on the way.
#[derive(Debug)]
pub(crate) struct Adopted {
    pub(crate) tree: Tree,
    pub(crate) decisions: Vec<Decision>,
    /// Data that other programs keep, which new volumes begin without.
    pub(crate) earlier: Vec<Earlier>,
    /// Where values of the operator's machine are, which stand in the tree.
    pub(crate) counterparts: Counterparts,
}

/// Rewrites a file that says what to run; `None` if it was refused. One of ours stays as it is.
pub(crate) fn adopt(
    tree: Tree,
    beside: &str,
    surroundings: &dyn Surroundings,
    report: &mut Report,
) -> Option<Adopted> {
    let source = tree.source.clone();
    let kind = kind_of(tree.root()).unwrap_or(Kind::Application);
    let decided = decided_by(kind, tree.root());
    let variables = match kind {
        Kind::Application | Kind::Deployment => {
            return Some(Adopted {
                tree,
                decisions: Vec::new(),
                earlier: Vec::new(),
                counterparts: Counterparts::default(),
            });
        }
        Kind::FirstRelease => Variables::none(surroundings),
        Kind::Fig | Kind::Compose => Variables::read(surroundings, beside, report),
    };
    let (root, replaced) = if kind == Kind::FirstRelease {
        (of_tree(&tree, report)?, Vec::new())
    } else {
        resolve(tree, &variables, report)?
    };
    let mut adoption = Adoption {
        beside,
        surroundings,
        variables: &variables,
        report,
        decisions: Vec::new(),
        earlier: Vec::new(),
        with_home: with_home(&replaced),
        counterparts: Counterparts::default(),
    };
    for (span, name) in replaced {
        let text = format!("the variable `{name}` is replaced by its value");
        if name == "HOME" {
            adoption.decide(span, text);
        } else {
            adoption.write_out(span, text);
        }
    }
    warn_of_kind(kind, (&root, decided), &mut adoption);
    let root = match kind {
        Kind::FirstRelease => rewrite_first_release(&root, &mut adoption),
        Kind::Fig => Project::of_fig(&root, &mut adoption).rewrite(&mut adoption),
        _ => Project::read(&root, &mut adoption).rewrite(&mut adoption),
    };
    let Adoption {
        decisions,
        earlier,
        counterparts,
        ..
    } = adoption;
    Some(Adopted {
        tree: root.into_tree(source),
        decisions,
        earlier,
        counterparts,
    })
}

/// Returns the place that decided of what kind a file is.
fn decided_by(kind: Kind, root: Value<'_>) -> Option<Span> {
    match kind {
        Kind::Fig => form_of_fig(root),
        Kind::FirstRelease => root.get("version").map(|version| version.key.span),
        Kind::Application | Kind::Compose | Kind::Deployment => None,
    }
}

/// Returns the places of the texts that name the operator's home directory.
fn with_home(replaced: &[Replaced]) -> BTreeSet<Span> {
    let of_home = replaced.iter().filter(|(_, name)| name == "HOME");
    of_home.map(|(span, _)| *span).collect()
}

/// Says as what a file is read, if it could have been meant as one of ours, and what differs; for a
/// Compose file, which files beside it are not read. `decided` is the place that decided the kind.
fn warn_of_kind(kind: Kind, (root, decided): (&Yaml, Option<Span>), adoption: &mut Adoption<'_>) {
    let (title, reason, (applications, restart, always)) = match kind {
        Kind::Fig => (
            "a Fig file",
            "only Fig has a list of this form",
            (Some(root), "restart", "`restart: always`"),
        ),
        Kind::FirstRelease => (
            "one of Flocker 0.1 to 1.15",
            "it has `version: 1`",
            (
                root.get("applications"),
                "restart_policy",
                "`restart_policy: {name: always}`",
            ),
        ),
        Kind::Compose => return warn_of_unread_files(adoption),
        Kind::Application | Kind::Deployment => return,
    };
    let applications = applications.and_then(Yaml::entries).into_iter().flatten();
    let never: Vec<&str> = applications
        .filter(|(_, value)| value.entries().is_some() && value.get(restart).is_none())
        .map(|(name, _)| name.value.as_str())
        .collect();
    adoption.report.warning(|| {
        let read_as = format!("this file is read as {title}");
        if never.is_empty() {
            return Finding::whole_file(File::Application, read_as)
                .hint("`flocker-cluster convert` writes it as a file of this release");
        }
        let names = enumerate(&never, "and");
        let message = format!(
            "{read_as}, because {reason}; so nothing starts {names} again, without `{restart}`"
        );
        Finding::at(decided.unwrap_or(root.span), message)
            .hint(format!("write {always} where a node should do that"))
    });
}
