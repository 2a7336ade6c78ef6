//! Words for what else makes a file unreadable as a whole, or a part of it no configuration.

use crate::phrase::quote;
use crate::report::Finding;
use crate::source::{File, Span};
use crate::tree_builder::{MAXIMUM_BYTES, MAXIMUM_VALUES};

/// The file has no content but comments.
pub(crate) fn empty(file: File) -> Finding {
    let hint = match file {
        File::Application => {
            "it maps names of applications to what they are: `trac: {image: clusterhq/trac}`"
        }
        File::Deployment => {
            "it maps nodes to what runs on them: `nodes: {1.1.1.1: [trac, pgsql-trac]}`"
        }
    };
    Finding::whole_file(file, format!("the {} is empty", file.title())).hint(hint)
}

/// The file is larger than any real one.
pub(crate) fn too_large(bytes: usize, file: File) -> Finding {
    let message = format!(
        "the {} has {bytes} bytes, which is more than the {MAXIMUM_BYTES} that are read",
        file.title()
    );
    Finding::whole_file(file, message).hint("check that this is the right file")
}

/// The file is not UTF-8; `span` is in its lossy rendering.
pub(crate) fn not_utf8(span: Span, bytes: &[u8], offset: usize) -> Finding {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Finding::whole_file(
            span.file,
            format!("the {} is UTF-16 text", span.file.title()),
        )
        .hint("save it as UTF-8");
    }
    let byte = bytes.get(offset).copied().unwrap_or_default();
    let message = format!("not UTF-8 text: byte 0x{byte:02x} at offset {offset}");
    Finding::at(span, message).hint("save the file as UTF-8")
}

pub(crate) fn second_document(span: Span) -> Finding {
    Finding::at(span, "a second YAML document starts here")
        .hint("the file must have one document; remove this `---` line or what follows it")
}

pub(crate) fn recursive_alias(span: Span) -> Finding {
    Finding::at(span, "this alias stands for something that it is a part of")
        .hint("write the value out")
}

pub(crate) fn too_many_values(span: Span) -> Finding {
    let message = format!("more than {MAXIMUM_VALUES} values, aliases written out");
    Finding::at(span, message).hint("write the values out instead of using aliases of aliases")
}

pub(crate) fn collection_as_key(span: Span) -> Finding {
    Finding::at(span, "a list or mapping cannot be a key")
        .hint("put the key in quotes if it is meant to be text")
}

pub(crate) fn foreign_tag(tag: &str, span: Span) -> Finding {
    Finding::at(
        span,
        format!("the YAML tag {} is not supported", quote(tag)),
    )
    .hint("remove the tag")
}
