//! Container images: how people name them and what they are.

mod alias;
mod grammar;
mod id;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use grammar::{ImageProblem, InvalidImage};
pub use id::{ImageId, short_digest};

/// The registry of names that have none.
const DEFAULT_REGISTRY: &str = "docker.io";

/// The former name of the default registry, which Docker still takes for it.
const FORMER_REGISTRY: &str = "index.docker.io";

/// Where the default registry keeps repositories whose name is one word.
const OFFICIAL: &str = "library/";

/// The tag of names that have neither tag nor digest.
const DEFAULT_TAG: &str = "latest";

/// An image as the application configuration names it: `[registry/]repository[:tag][@digest]`.
///
/// It keeps the text that was written, because digests of container specifications cover it. Two
/// texts may mean one image: [`ImageReference::identity`] tells.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageReference(String);

impl ImageReference {
    /// Returns the reference as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the registry: `docker.io` for `redis`.
    pub fn domain(&self) -> &str {
        match grammar::split_registry(self.name()) {
            (None | Some(FORMER_REGISTRY), _) => DEFAULT_REGISTRY,
            (Some(registry), _) => registry,
        }
    }

    /// Returns the repository as its registry knows it: `library/redis` for `redis`.
    pub fn path(&self) -> Cow<'_, str> {
        let (_, path) = grammar::split_registry(self.name());
        if self.domain() == DEFAULT_REGISTRY && !path.contains('/') {
            format!("{OFFICIAL}{path}").into()
        } else {
            path.into()
        }
    }

    /// Returns the tag as it was written, if there is one.
    pub fn tag(&self) -> Option<&str> {
        grammar::split_tag(self.without_digest()).1
    }

    /// Returns the digest, `sha256:…`, if there is one.
    pub fn digest(&self) -> Option<&str> {
        self.0.split_once('@').map(|(_, digest)| digest)
    }

    /// Returns the short name that Docker shows, with tag and digest: `redis:alpine` for
    /// `docker.io/library/redis:alpine`. Without both, the tag is `latest`.
    pub fn familiar(&self) -> String {
        let name = self.familiar_name();
        match (self.tag(), self.digest()) {
            (None, None) => format!("{name}:{DEFAULT_TAG}"),
            (Some(tag), None) => format!("{name}:{tag}"),
            (None, Some(digest)) => format!("{name}@{digest}"),
            (Some(tag), Some(digest)) => format!("{name}:{tag}@{digest}"),
        }
    }

    /// Returns which image is meant, the same for every way to write it. A tag that Flocker made
    /// for a digest means that digest: see [`ImageName::alias`].
    pub fn identity(&self) -> ImageName {
        let name = self.familiar_name();
        let tag = self.tag().unwrap_or(DEFAULT_TAG);
        let digest = self.digest().map(str::to_owned);
        ImageName(match digest.or_else(|| alias::digest_in(tag)) {
            Some(digest) => format!("{name}@{digest}"),
            None => format!("{name}:{tag}"),
        })
    }

    /// Returns the name by which Docker is asked for the image: the text of its identity.
    pub fn with_tag(&self) -> String {
        self.identity().0
    }

    /// Returns registry and repository as they were written.
    fn name(&self) -> &str {
        grammar::split_tag(self.without_digest()).0
    }

    fn without_digest(&self) -> &str {
        self.0.split_once('@').map_or(&self.0, |(name, _)| name)
    }

    /// Returns registry and repository as Docker lists them.
    ///
    /// **Source**: `familiarizeName` of the Go package `distribution/reference`. It leaves
    /// `docker.io` out also where the rest is then read as another registry; this does not.
    fn familiar_name(&self) -> String {
        let (domain, path) = (self.domain(), self.path());
        if domain != DEFAULT_REGISTRY {
            return format!("{domain}/{path}");
        }
        match path.strip_prefix(OFFICIAL) {
            Some(word) if !word.contains('/') => word.to_owned(),
            _ if grammar::split_registry(&path).0.is_some() => format!("{domain}/{path}"),
            _ => path.into_owned(),
        }
    }
}

impl FromStr for ImageReference {
    type Err = InvalidImage;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        grammar::check(text)?;
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for ImageReference {
    type Error = InvalidImage;

    /// Takes what a node or an operator recorded. An earlier release recorded some names that Docker
    /// refuses; they must not keep a node from reading the rest.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        match grammar::check(&text) {
            Err(invalid) if !was_recorded(&text) => Err(invalid),
            _ => Ok(Self(text)),
        }
    }
}

/// Tells whether an earlier release accepted a name: it looked at single characters only.
fn was_recorded(text: &str) -> bool {
    let acceptable =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@');
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(acceptable)
}

impl From<ImageReference> for String {
    fn from(reference: ImageReference) -> Self {
        reference.0
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

/// Which image is meant, however it was written: `redis:alpine` is also `library/redis:alpine` and
/// `docker.io/library/redis:alpine`, and `redis:7@sha256:…` is `redis@sha256:…`.
///
/// Its text is the name that Docker lists. A digest says more than a tag, so that a name with both
/// has only the digest. Reading any way to write the name makes the same value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageName(String);

impl ImageName {
    /// Returns the name as Docker lists it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the digest, if the name has one.
    pub fn digest(&self) -> Option<&str> {
        self.0.split_once('@').map(|(_, digest)| digest)
    }

    /// Returns the repository and the tag under which Flocker makes Docker keep an image that is
    /// named by its digest: an archive carries tags and no digests. Names with a tag need none.
    pub fn alias(&self) -> Option<(&str, String)> {
        let (repository, digest) = self.0.split_once('@')?;
        Some((repository, alias::tag_for(digest)?))
    }
}

impl From<&ImageReference> for ImageName {
    fn from(reference: &ImageReference) -> Self {
        reference.identity()
    }
}

impl From<ImageName> for ImageReference {
    fn from(name: ImageName) -> Self {
        Self(name.0)
    }
}

impl FromStr for ImageName {
    type Err = InvalidImage;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(|image: ImageReference| image.identity())
    }
}

impl TryFrom<String> for ImageName {
    type Error = InvalidImage;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ImageName> for String {
    fn from(name: ImageName) -> Self {
        name.0
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn image(text: &str) -> ImageReference {
        text.parse().unwrap()
    }

    #[test]
    fn a_missing_tag_means_latest() {
        let with_tag = |text: &str| image(text).with_tag();
        assert_eq!(with_tag("flocker/trac"), "flocker/trac:latest");
        assert_eq!(with_tag("host:5000/trac"), "host:5000/trac:latest");
        assert_eq!(with_tag("trac:1.6"), "trac:1.6");
        assert_eq!(
            with_tag(&format!("trac@{DIGEST}")),
            format!("trac@{DIGEST}")
        );
    }

    #[test]
    fn all_names_of_an_image_are_one() {
        for text in [
            "redis:alpine",
            "library/redis:alpine",
            "docker.io/redis:alpine",
            "docker.io/library/redis:alpine",
            "index.docker.io/redis:alpine",
            "index.docker.io/library/redis:alpine",
        ] {
            let image = image(text);
            assert_eq!(image.identity().as_str(), "redis:alpine", "{text}");
            assert_eq!(image.familiar(), "redis:alpine", "{text}");
            assert_eq!(
                (image.domain(), &*image.path()),
                ("docker.io", "library/redis")
            );
            assert_eq!(image.to_string(), text);
        }
    }

    #[test]
    fn a_digest_makes_the_tag_meaningless() {
        let both = image(&format!("docker.io/valkey/valkey:8-bookworm@{DIGEST}"));
        assert_eq!(both.tag(), Some("8-bookworm"));
        assert_eq!(both.digest(), Some(DIGEST));
        assert_eq!(
            both.familiar(),
            format!("valkey/valkey:8-bookworm@{DIGEST}")
        );
        assert_eq!(both.with_tag(), format!("valkey/valkey@{DIGEST}"));
        let digest_only = image(&format!("valkey/valkey@{DIGEST}"));
        assert_eq!(both.identity(), digest_only.identity());
        assert_ne!(both, digest_only);
    }

    #[test]
    fn a_tag_that_stands_for_a_digest_is_that_digest() {
        for text in ["redis", "ghcr.io/a/b", "registry.example.com:5000/a__b/c"] {
            let by_digest = image(&format!("{text}@{DIGEST}")).identity();
            let (repository, tag) = by_digest.alias().unwrap();
            let alias = image(&format!("{repository}:{tag}"));
            assert_eq!(alias.identity(), by_digest);
            assert_eq!(alias.identity().digest(), Some(DIGEST));
        }
        for tag in [
            "flocker-sha256-1f",
            &format!("flocker-sha256-{}", "G".repeat(64)),
        ] {
            let image = image(&format!("redis:{tag}"));
            assert_eq!(image.identity().as_str(), format!("redis:{tag}"));
            assert_eq!(image.identity().alias(), None);
        }
    }

    #[test]
    fn other_registries_keep_their_name() {
        let image = image("ghcr.io/immich-app/immich-server:release");
        assert_eq!(image.domain(), "ghcr.io");
        assert_eq!(image.path(), "immich-app/immich-server");
        assert_eq!(image.with_tag(), "ghcr.io/immich-app/immich-server:release");
    }

    #[test]
    fn the_default_registry_is_written_where_another_would_be_read() {
        for text in ["docker.io/a.b/c:1", "docker.io/localhost/c:1"] {
            assert_eq!(image(text).with_tag(), text);
        }
    }

    #[test]
    fn images_are_stored_as_they_were_written() {
        let text = "\"docker.io/library/redis\"";
        let reference: ImageReference = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&reference).unwrap(), text);
        let name: ImageName = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"redis:latest\"");
    }

    /// Names that Docker takes.
    fn names() -> impl Strategy<Value = String> {
        let host =
            r"localhost|[a-z0-9]{1,5}(\.[A-Z0-9]{1,3}){1,2}|\[[a-f0-9]{0,3}::[a-f0-9]{1,3}\]";
        let registry = format!(r"((docker\.io|index\.docker\.io|{host}(:[0-9]{{1,5}})?)/)?");
        let first = r"(library/|[a-z0-9]{1,4}/|docker\.io/a\.b/)?";
        let path =
            format!(r"{first}[a-z0-9]{{1,4}}((_|__|-{{1,3}})[a-z0-9]{{1,3}}){{0,2}}(/a\.b)?");
        let tag = "(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,8})?";
        let digest = "(@sha256:[0-9a-f]{64}|@sha512:[0-9a-f]{128})?";
        proptest::string::string_regex(&format!("{registry}{path}{tag}{digest}")).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn an_identity_is_a_name_of_the_same_image(text in names()) {
            let image: ImageReference = text.parse().unwrap();
            let name = image.identity();
            prop_assert_eq!(name.as_str().parse::<ImageName>().unwrap(), name.clone());
            let short = ImageReference::from(name);
            prop_assert_eq!(short.domain(), image.domain());
            prop_assert_eq!(short.path(), image.path());
            prop_assert_eq!(short.digest(), image.digest());
            let familiar: ImageReference = image.familiar().parse().unwrap();
            prop_assert_eq!(familiar.identity(), image.identity());
        }

        #[test]
        fn any_text_is_a_name_or_has_a_faulty_part(text in "[a-zA-Z0-9:/@._\\[\\]é -]{0,90}") {
            match text.parse::<ImageReference>() {
                Ok(image) => prop_assert!(image.with_tag().parse::<ImageReference>().is_ok()),
                Err(invalid) => prop_assert!(text.get(invalid.part).is_some()),
            }
        }
    }
}
