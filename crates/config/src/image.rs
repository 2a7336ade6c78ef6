//! The key `image`: what an application runs.

use flocker_model::{ImageProblem, ImageReference, InvalidImage};

use crate::fields::Field;
use crate::phrase::quote;
use crate::report::{Finding, Report};

/// Reads the name of an image.
pub(crate) fn read_image(field: &Field<'_>, report: &mut Report) -> Option<ImageReference> {
    let text = field.string(report)?;
    let image = text.value.parse::<ImageReference>();
    if let Err(invalid) = &image {
        report.error(|| {
            let message = format!("{}: {} {}", field.what, quote(&text.value), invalid.problem);
            let span = field.span_of(&text.value, invalid.part.clone());
            Finding::at(span, message).hint(hint(invalid))
        });
    }
    image.ok()
}

/// Says what to write instead.
fn hint(invalid: &InvalidImage) -> String {
    let text = &invalid.text;
    let part = &text[invalid.part.clone()];
    match invalid.problem {
        ImageProblem::Empty => "write the name of the image: `clusterhq/trac`".to_owned(),
        ImageProblem::Character => {
            with_tag_after_space(text).unwrap_or_else(|| format!("write {FORMS}"))
        }
        ImageProblem::Length => "check that this is the name of an image".to_owned(),
        ImageProblem::Registry => match text.split_once("://") {
            Some((scheme, name)) => {
                format!("leave out `{scheme}://` and write {}", quote(name))
            }
            None => "a registry is a host name, with a port if it needs one: \
                     `registry.example.com:5000/trac:1.6`"
                .to_owned(),
        },
        ImageProblem::Capital => match in_small_letters(text) {
            Some(small) => format!("write {}", quote(&small)),
            None => format!("write {}", quote(&part.to_ascii_lowercase())),
        },
        ImageProblem::Repository => "a repository is small letters and digits, with a single \
                                     `.`, `_` or `-` between them"
            .to_owned(),
        ImageProblem::Tag if part.is_empty() => {
            "write a tag after the colon, or leave the colon out".to_owned()
        }
        ImageProblem::Tag => {
            let tag = part.trim_start_matches(':');
            let fewer_colons = replaced(invalid, tag);
            match fewer_colons.parse::<ImageReference>() {
                Ok(image) => format!("write {}", quote(image.as_str())),
                Err(_) => "a tag is at most 128 letters, digits, `_`, `.` and `-`".to_owned(),
            }
        }
        ImageProblem::Digest => {
            let small = replaced(invalid, &part.to_ascii_lowercase());
            if small.parse::<ImageReference>().is_ok() {
                "write the digest in small letters".to_owned()
            } else {
                "a digest is `sha256:` and 64 of the digits 0-9 and a-f; `docker images --digests` \
                 shows it"
                    .to_owned()
            }
        }
        ImageProblem::Identity => {
            "give the image a name with `docker tag`, and write that name".to_owned()
        }
    }
}

const FORMS: &str = "`repository`, `repository:tag` or `repository@sha256:...`";

/// Guesses the tag of `repository tag`.
fn with_tag_after_space(text: &str) -> Option<String> {
    let (name, tag) = text.split_once(' ')?;
    let guess = format!("{name}:{tag}");
    guess.parse::<ImageReference>().ok()?;
    Some(format!("did you mean {}?", quote(&guess)))
}

/// Writes the repository in small letters, if that makes it a name.
fn in_small_letters(text: &str) -> Option<String> {
    let mut text = text.to_owned();
    for _ in 0..text.len() {
        match text.parse::<ImageReference>() {
            Ok(_) => return Some(text),
            Err(invalid) if invalid.problem == ImageProblem::Capital => {
                let small = text[invalid.part.clone()].to_ascii_lowercase();
                text = replaced(&invalid, &small);
            }
            Err(_) => return None,
        }
    }
    None
}

/// Puts something else in the place of the part that is wrong.
fn replaced(invalid: &InvalidImage, by: &str) -> String {
    let mut text = invalid.text.clone();
    text.replace_range(invalid.part.clone(), by);
    text
}
