//! The two configuration files, read and checked: YAML in, [`Deployment`] or diagnostics out.
//!
//! Pure: takes names and bytes, opens nothing. Every mistake in both files is reported in one run,
//! each with its place in the file and, where there is one, a way out.
//!
//! The files are first read into a tree that remembers where everything was written, and then
//! checked by hand. Deserialising straight into types would stop at the first mistake.
//!
//! [`Deployment`]: flocker_model::Deployment

mod adopt;
mod application;
mod command;
mod compose;
mod convert;
mod cross;
mod depends;
mod diagnostic;
mod directory;
mod dollar;
mod duration;
mod env_file;
mod fields;
mod files;
mod health;
mod image;
mod keys;
mod links;
mod mounts;
mod nodes;
mod options;
mod outside;
mod parse;
mod phrase;
mod port_form;
mod process;
mod quantity;
mod recognise;
mod relocate;
mod render;
mod replaced;
mod report;
mod restart;
mod routes;
mod sharing;
mod source;
mod suggest;
mod syntax;
mod tree;
mod tree_builder;
mod unreadable;
mod volume;
mod volumes;

pub use adopt::{EarlierData, EarlierPart, EarlierPlace, NoSurroundings, PathKind, Surroundings};
pub use convert::{Converted, convert, convert_into};
pub use diagnostic::{Diagnostic, Diagnostics, Place, Severity};
pub use outside::{NoValue, ValueSource, Values};
pub use parse::{
    Parsed, parse, parse_beside, parse_with_values, parse_with_warnings, wanted_beside,
    wanted_values,
};
pub use recognise::in_order;
pub use source::Source;
