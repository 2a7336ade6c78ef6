//! Which texts Docker takes for the name of an image.
//!
//! **Source**: the grammar in `reference.go` and `regexp.go` of the Go package
//! `distribution/reference` 0.6, `splitDockerDomain` and `ParseNormalizedNamed` in its
//! `normalize.go`, and `Digest.Validate` of `opencontainers/go-digest`.

use std::ops::Range;

use thiserror::Error;

use crate::names::shortened;

/// The most characters of a name, its registry included and its tag and digest not.
const MAXIMUM_NAME: usize = 255;

/// The most characters of a tag.
const MAXIMUM_TAG: usize = 128;

/// The digests that Docker computes, with the number of their hexadecimal digits.
const DIGESTS: [(&str, usize); 3] = [("sha256", 64), ("sha384", 96), ("sha512", 128)];

/// Text that names no image, and why.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("image `{}` {problem}", shortened(.text))]
pub struct InvalidImage {
    /// The text as it was written.
    pub text: String,
    /// The bytes of the text that are wrong.
    pub part: Range<usize>,
    /// What is wrong with them, as the end of a sentence.
    pub problem: ImageProblem,
}

/// What is wrong with the name of an image, as the end of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ImageProblem {
    /// There is no text at all.
    #[error("is empty")]
    Empty,
    /// A character occurs in no image's name.
    #[error("has a character that no image name has")]
    Character,
    /// It is longer than Docker takes.
    #[error("is longer than 255 characters, which Docker refuses")]
    Length,
    /// The part before the first `/` is neither a registry nor a part of a repository.
    #[error("has an invalid registry")]
    Registry,
    /// The repository has capital letters.
    #[error("has a capital letter in its repository, which Docker refuses")]
    Capital,
    /// A part of the repository is missing or has a sign in the wrong place.
    #[error("has an invalid repository")]
    Repository,
    /// The tag is missing after `:`, too long, or has a sign in the wrong place.
    #[error("has an invalid tag")]
    Tag,
    /// The digest is of an unknown kind, or has not the form of its kind.
    #[error("has an invalid digest")]
    Digest,
    /// It identifies an image's content and is no name.
    #[error("is the identity of an image, not its name")]
    Identity,
}

/// Checks that Docker takes `text` for the name of an image.
pub(super) fn check(text: &str) -> Result<(), InvalidImage> {
    match problem(text) {
        None => Ok(()),
        Some((part, problem)) => Err(InvalidImage {
            text: text.to_owned(),
            part: range_in(text, part),
            problem,
        }),
    }
}

/// Splits `name[:tag]`.
pub(super) fn split_tag(text: &str) -> (&str, Option<&str>) {
    let last = text.rfind('/').map_or(0, |slash| slash + 1);
    match text[last..].find(':') {
        Some(colon) => (&text[..last + colon], Some(&text[last + colon + 1..])),
        None => (text, None),
    }
}

/// Splits `[registry/]repository`. A registry is told from the first part of a repository by a `.`
/// or `:`, or is `localhost`.
pub(super) fn split_registry(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((first, path)) if first.contains(['.', ':']) || first == "localhost" => {
            (Some(first), path)
        }
        _ => (None, name),
    }
}

/// Finds the part that is wrong.
fn problem(text: &str) -> Option<(&str, ImageProblem)> {
    if text.is_empty() {
        return Some((text, ImageProblem::Empty));
    }
    let is_strange = |c: char| !c.is_ascii_alphanumeric() && !"._-/:@[]".contains(c);
    if let Some(strange) = text.matches(is_strange).next() {
        return Some((strange, ImageProblem::Character));
    }
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    let (name, tag) = split_tag(rest);
    if tag.is_some_and(|tag| name == "sha256" && is_hexadecimal(tag, 64)) {
        return Some((text, ImageProblem::Identity));
    }
    name_problem(name)
        .or_else(|| {
            let tag = tag.filter(|tag| !is_tag(tag))?;
            Some((tag, ImageProblem::Tag))
        })
        .or_else(|| {
            let digest = digest.filter(|digest| !is_digest(digest))?;
            Some((digest, ImageProblem::Digest))
        })
}

fn name_problem(name: &str) -> Option<(&str, ImageProblem)> {
    let (registry, path) = split_registry(name);
    if let Some(registry) = registry.filter(|registry| !is_registry(registry)) {
        return Some((registry, ImageProblem::Registry));
    }
    if full_length(registry, path) > MAXIMUM_NAME {
        return Some((name, ImageProblem::Length));
    }
    let repository = path.strip_prefix(super::OFFICIAL).unwrap_or(path);
    if registry.is_none_or(is_default_registry) && is_hexadecimal(repository, 64) {
        return Some((repository, ImageProblem::Identity));
    }
    let wrong = path.split('/').find(|part| !is_path_component(part))?;
    let small = wrong.to_ascii_lowercase();
    if is_path_component(&small) {
        Some((wrong, ImageProblem::Capital))
    } else {
        Some((wrong, ImageProblem::Repository))
    }
}

/// Counts the characters of a name with what it leaves out.
fn full_length(registry: Option<&str>, path: &str) -> usize {
    let official = match registry {
        Some(registry) if !is_default_registry(registry) => 0,
        _ if path.contains('/') => 0,
        _ => super::OFFICIAL.len(),
    };
    registry.unwrap_or(super::DEFAULT_REGISTRY).len() + "/".len() + official + path.len()
}

fn is_default_registry(registry: &str) -> bool {
    [super::DEFAULT_REGISTRY, super::FORMER_REGISTRY].contains(&registry)
}

/// Tells whether `text` is `host[:port]`, where an IPv6 address is in brackets.
fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|address| {
            let is_sign = |byte: u8| byte.is_ascii_hexdigit() || byte == b':';
            !address.is_empty() && address.bytes().all(is_sign)
        }),
        None => host.split('.').all(is_label),
    };
    let is_number = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    is_host && port.is_none_or(is_number)
}

/// Tells whether `text` is a part of a host name.
fn is_label(text: &str) -> bool {
    let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !text.is_empty() && text.bytes().all(is_sign) && !text.starts_with('-') && !text.ends_with('-')
}

/// Tells whether `text` is small letters and digits, with `.`, `_`, `__` or dashes between them.
fn is_path_component(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators = text.split(is_letter).filter(|between| !between.is_empty());
    text.starts_with(is_letter)
        && text.ends_with(is_letter)
        && separators.into_iter().all(|between| {
            matches!(between, "." | "_" | "__") || between.bytes().all(|b| b == b'-')
        })
}

fn is_tag(text: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.starts_with(is_first)
        && text.chars().all(|c| is_first(c) || c == '.' || c == '-')
        && text.len() <= MAXIMUM_TAG
}

fn is_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, digits)| {
        let known = DIGESTS.iter().find(|(name, _)| *name == algorithm);
        known.is_some_and(|(_, length)| is_hexadecimal(digits, *length))
    })
}

fn is_hexadecimal(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Returns where `part`, which is a slice of `text`, is in it.
fn range_in(text: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - text.as_ptr().addr();
    start..start + part.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with `text`, and the part that is.
    fn problem_of(text: &str) -> Option<(ImageProblem, &str)> {
        let invalid = check(text).err()?;
        Some((invalid.problem, &text[invalid.part]))
    }

    #[test]
    fn references_that_docker_refuses_are_invalid() {
        let capital_digest = format!("sha256:{}", "ABCDEF12".repeat(8));
        let with_capital_digest = format!("redis@{capital_digest}");
        for (text, problem, part) in [
            ("", ImageProblem::Empty, ""),
            (":tag", ImageProblem::Repository, ""),
            ("a b", ImageProblem::Character, " "),
            ("postgres:${TAG}", ImageProblem::Character, "$"),
            ("a:", ImageProblem::Tag, ""),
            ("a//b", ImageProblem::Repository, ""),
            ("/a", ImageProblem::Repository, ""),
            ("a/", ImageProblem::Repository, ""),
            ("-redis", ImageProblem::Repository, "-redis"),
            ("a/b-", ImageProblem::Repository, "b-"),
            ("a/b..c", ImageProblem::Repository, "b..c"),
            ("a/b___c", ImageProblem::Repository, "b___c"),
            ("a/b.-c", ImageProblem::Repository, "b.-c"),
            ("Trac", ImageProblem::Capital, "Trac"),
            ("clusterHQ/trac", ImageProblem::Capital, "clusterHQ"),
            ("host:5000/Trac:1", ImageProblem::Capital, "Trac"),
            ("redis::7", ImageProblem::Tag, ":7"),
            ("redis:-7", ImageProblem::Tag, "-7"),
            ("a:b:c/d", ImageProblem::Registry, "a:b:c"),
            ("a:/d", ImageProblem::Registry, "a:"),
            ("https://host.example/d", ImageProblem::Registry, "https:"),
            ("-a.example/d", ImageProblem::Registry, "-a.example"),
            ("[::1/d", ImageProblem::Registry, "[::1"),
            ("[x::1]:80/d", ImageProblem::Registry, "[x::1]:80"),
            ("redis@sha256:aaaa", ImageProblem::Digest, "sha256:aaaa"),
            ("redis@", ImageProblem::Digest, ""),
            ("redis@a@b", ImageProblem::Digest, "a@b"),
            (&with_capital_digest, ImageProblem::Digest, &*capital_digest),
        ] {
            assert_eq!(problem_of(text), Some((problem, part)), "{text}");
        }
    }

    #[test]
    fn the_identity_of_an_image_is_no_name() {
        let digits = "0123abcd".repeat(8);
        for text in [
            digits.clone(),
            format!("docker.io/library/{digits}"),
            format!("sha256:{digits}"),
        ] {
            let problem = problem_of(&text).map(|(problem, _)| problem);
            assert_eq!(problem, Some(ImageProblem::Identity), "{text}");
        }
        assert_eq!(problem_of(&format!("team/{digits}:1")), None);
        assert_eq!(problem_of(&digits[1..]), None);
    }

    #[test]
    fn a_name_has_255_characters_with_what_it_leaves_out() {
        let left_out = "docker.io/library/".len();
        assert_eq!(problem_of(&"a".repeat(255 - left_out)), None);
        for text in ["a".repeat(256 - left_out), "a".repeat(900_000)] {
            let problem = problem_of(&text).map(|(problem, _)| problem);
            assert_eq!(problem, Some(ImageProblem::Length));
        }
        assert_eq!(problem_of(&format!("a:{}", "b".repeat(128))), None);
        assert!(problem_of(&format!("a:{}", "b".repeat(129))).is_some());
    }

    #[test]
    fn references_that_docker_takes_are_valid() {
        let digest = "0a".repeat(32);
        for text in [
            "trac:RC1",
            "Host.example:5000/trac",
            "a/b:V2",
            "a__b/c---d/e.f_g",
            "host:5000",
            "localhost/a",
            "[2001:db8::1]:5000/a:1",
            "[::1]/a",
            &format!("trac:1@sha256:{digest}"),
            &format!("trac@sha512:{digest}{digest}"),
        ] {
            assert_eq!(problem_of(text), None, "{text}");
        }
    }
}
