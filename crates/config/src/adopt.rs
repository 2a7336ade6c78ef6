//! Files that were written for other programs: Compose, Fig, and earlier releases of Flocker.
//!
//! Such a file is rewritten as the tree of an application configuration of ours, in which everything
//! keeps its place in the original. The same readers read it then, so that a key that Flocker has is
//! understood in all files, and every mistake points into the file that the operator has.
//!
//! The crate `compose_spec` is not used: it keeps no places, and reads with `serde_yaml`.

mod adoption;
mod data;
mod dependencies;
mod deploy;
mod dotenv;
mod earlier;
mod emit;
mod environment;
mod first_release;
mod kind;
mod mention;
mod mount;
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
pub use earlier::EarlierData;
pub(crate) use emit::{comment, write_document};
pub(crate) use kind::{Kind, kind_of};
pub use surroundings::{NoSurroundings, PathKind, Surroundings};
pub(crate) use yaml::{Pair, Yaml, of_tree};

use std::collections::BTreeSet;

use adoption::Adoption;
use earlier::Earlier;
use first_release::rewrite_first_release;
use project::Project;
use resolve::{Replaced, resolve};
use unread::warn_of_unread_files;
use variables::Variables;

use crate::report::{Finding, Report};
use crate::source::{File, Span};
use crate::tree::Tree;

/// A file that our readers read, and what was decided on the way.
#[derive(Debug)]
pub(crate) struct Adopted {
    pub(crate) tree: Tree,
    pub(crate) decisions: Vec<Decision>,
    /// Data that other programs keep, which new volumes begin without.
    pub(crate) earlier: Vec<Earlier>,
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
    let variables = match kind {
        Kind::Application | Kind::Deployment => {
            return Some(Adopted {
                tree,
                decisions: Vec::new(),
                earlier: Vec::new(),
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
    };
    for (span, name) in replaced {
        adoption.decide(
            span,
            format!("the variable `{name}` is replaced by its value"),
        );
    }
    warn_of_kind(kind, &mut adoption);
    let root = match kind {
        Kind::FirstRelease => rewrite_first_release(&root, &mut adoption),
        Kind::Fig => Project::of_fig(&root, &mut adoption).rewrite(&mut adoption),
        _ => Project::read(&root, &mut adoption).rewrite(&mut adoption),
    };
    let (decisions, earlier) = (adoption.decisions, adoption.earlier);
    Some(Adopted {
        tree: root.into_tree(source),
        decisions,
        earlier,
    })
}

/// Returns the places of the texts that name the operator's home directory.
fn with_home(replaced: &[Replaced]) -> BTreeSet<Span> {
    let of_home = replaced.iter().filter(|(_, name)| name == "HOME");
    of_home.map(|(span, _)| *span).collect()
}

/// Says as what a file is read, if it could have been meant as one of ours, and what differs; for a
/// Compose file, which files beside it are not read.
fn warn_of_kind(kind: Kind, adoption: &mut Adoption<'_>) {
    let (title, differs) = match kind {
        Kind::Fig => (
            "a Fig file",
            "a service without `restart` is not started again",
        ),
        Kind::FirstRelease => (
            "one of Flocker 0.1 to 1.15",
            "an application without `restart_policy` is not started again",
        ),
        Kind::Compose => return warn_of_unread_files(adoption),
        Kind::Application | Kind::Deployment => return,
    };
    adoption.report.warning(|| {
        let message = format!("this file is read as {title}: {differs}");
        Finding::whole_file(File::Application, message)
            .hint("`flocker-cluster convert` writes it as a file of this release")
    });
}
