//! The tags by which Docker finds an image again that was asked for by its digest.
//!
//! Docker remembers which digest a registry gave an image only for images that it pulled: an archive
//! of `docker save` has tags and no digests (docker/cli#5933, moby/moby#22011). Flocker therefore
//! tags an image before it packs it up, and the tag carries the digest:
//! `redis@sha256:1f…` becomes `redis:flocker-sha256-1f…`. The tag is in the image's own repository,
//! so that it says as much as the name that it stands for, whatever the registry is called.

/// How such tags begin. The 64 digits of the digest follow.
const PREFIX: &str = "flocker-sha256-";

/// The algorithm of the digests that fit into a tag.
const ALGORITHM: &str = "sha256:";

/// How many digits such a digest has.
const DIGITS: usize = 64;

/// Writes a digest as a tag, if it fits into one.
pub(super) fn tag_for(digest: &str) -> Option<String> {
    let digits = digest.strip_prefix(ALGORITHM)?;
    Some(format!("{PREFIX}{digits}"))
}

/// Reads the digest that a tag of Flocker's stands for.
pub(super) fn digest_in(tag: &str) -> Option<String> {
    let digits = tag.strip_prefix(PREFIX)?;
    let is_digit = |character: char| matches!(character, '0'..='9' | 'a'..='f');
    (digits.len() == DIGITS && digits.chars().all(is_digit)).then(|| format!("{ALGORITHM}{digits}"))
}
