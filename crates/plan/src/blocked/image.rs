//! An image that no machine has in a copy that its node runs, in words.

use std::fmt;

use flocker_model::{ImagePlatform, ImageReference, NodeName, RegistryAnswer};
use serde::{Deserialize, Serialize};

use super::BlockedKind;

/// A copy of an image that is made for other machines than the one that needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnfitCopy {
    /// Where it is: a node, or a place on the operator's machine.
    pub holder: String,
    /// The machines that it is made for.
    pub platform: ImagePlatform,
}

/// Says that no copy of an image runs on a node.
fn write_no_image(
    f: &mut fmt::Formatter<'_>,
    (node, platform): (&NodeName, Option<&ImagePlatform>),
    (image, copies): (&ImageReference, &[UnfitCopy]),
    answer: &RegistryAnswer,
) -> fmt::Result {
    match platform {
        Some(platform) => write!(f, "{node} ({platform}) cannot get image {image}: ")?,
        None => write!(f, "{node} cannot get image {image}: ")?,
    }
    if copies.is_empty() {
        f.write_str("neither a node nor this machine has a copy, ")?;
    }
    for copy in copies {
        write!(f, "{} has it for {} only, ", copy.holder, copy.platform)?;
    }
    match answer {
        RegistryAnswer::Has { platforms, .. } => {
            let platforms: Vec<String> = platforms.iter().map(ToString::to_string).collect();
            write!(
                f,
                "and the image's registry has it for {} only",
                platforms.join(", ")
            )
        }
        RegistryAnswer::Refuses { reason } => {
            write!(
                f,
                "and the image's registry does not give it to the node: {reason}"
            )
        }
        RegistryAnswer::Unreachable { reason } => {
            write!(
                f,
                "and the node cannot reach the image's registry: {reason}"
            )
        }
        RegistryAnswer::Silent => f.write_str("and the image's registry does not answer the node"),
    }
}

impl BlockedKind {
    /// Writes that no copy of an image runs on a node.
    pub(super) fn fmt_about_image(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoImage {
                node,
                platform,
                image,
                copies,
                answer,
            } => write_no_image(f, (node, platform.as_ref()), (image, copies), answer),
            // Not about an image.
            _ => Ok(()),
        }
    }

    /// Says how a node gets an image that no machine has for it.
    pub(super) fn hint_about_image(&self) -> String {
        match self {
            Self::NoImage {
                node,
                platform,
                image,
                answer,
                ..
            } => bring_along((node, platform.as_ref()), image, answer),
            // Not about an image.
            _ => String::new(),
        }
    }
}

/// Says how a node gets an image that no machine has for it.
fn bring_along(
    (node, platform): (&NodeName, Option<&ImagePlatform>),
    image: &ImageReference,
    answer: &RegistryAnswer,
) -> String {
    let machine = match platform {
        Some(platform) => format!("a {platform} machine"),
        None => "a machine".to_owned(),
    };
    let name = image.identity();
    let (tag_it, saved) = match name.alias() {
        // An archive carries no digest.
        Some((repository, tag)) => {
            let alias = format!("{repository}:{tag}");
            (format!("`docker tag {image} {alias}` and "), alias)
        }
        None => (String::new(), image.to_string()),
    };
    let archive = format!(
        "run {tag_it}`docker save -o image.tar {saved}` on {machine} that has the image, and name \
         the file with --image-archive"
    );
    match answer {
        RegistryAnswer::Has { .. } => archive,
        RegistryAnswer::Refuses { reason } if is_about_a_login(reason) => {
            format!(
                "{}. To do without the registry: {archive}",
                about_login(image)
            )
        }
        RegistryAnswer::Refuses { .. } => format!(
            "check the image's name; `docker pull {image}` on {node} shows what its registry says. \
             To do without the registry: {archive}"
        ),
        RegistryAnswer::Unreachable { .. } | RegistryAnswer::Silent => format!(
            "deploy again once `docker pull {image}` works on {node}. To do without the registry: \
             {archive}"
        ),
    }
}

/// Tells whether a registry's refusal may be due to a login that is missing, wrong or expired.
///
/// **Source**: the errors `UNAUTHORIZED` and `DENIED` of the OCI Distribution Specification, as
/// Docker writes them.
pub fn is_about_a_login(reason: &str) -> bool {
    let reason = reason.to_ascii_lowercase();
    [
        "unauthorized",
        "denied",
        "authentication required",
        "no basic auth credentials",
    ]
    .iter()
    .any(|words| reason.contains(words))
}

/// Says how the operator logs in at an image's registry.
pub fn about_login(image: &ImageReference) -> String {
    let registry = image.domain();
    let server = if registry == "docker.io" {
        ""
    } else {
        registry
    };
    let login = format!("docker login {server}");
    format!(
        "check the image's name; if {registry} gives it to its users alone, run `{}` on the machine \
         that runs flocker-cluster, whose login the node uses, and deploy again",
        login.trim_end()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_for_want_of_a_login_says_where_to_log_in() {
        for (reason, is_login) in [
            ("unauthorized: authentication required", true),
            ("Get \"https://a/v2/\": no basic auth credentials", true),
            ("pull access denied for a, repository does not exist", true),
            ("manifest unknown", false),
        ] {
            assert_eq!(is_about_a_login(reason), is_login, "{reason}");
        }
        let blocked = BlockedKind::NoImage {
            node: "node1".parse().unwrap(),
            platform: None,
            image: "registry.example:5000/web:1".parse().unwrap(),
            copies: Vec::new(),
            answer: RegistryAnswer::Refuses {
                reason: "unauthorized: authentication required".to_owned(),
            },
        };
        insta::assert_snapshot!(blocked.hint_about_image(), @"check the image's name; if registry.example:5000 gives it to its users alone, run `docker login registry.example:5000` on the machine that runs flocker-cluster, whose login the node uses, and deploy again. To do without the registry: run `docker save -o image.tar registry.example:5000/web:1` on a machine that has the image, and name the file with --image-archive");
        let official = about_login(&"web".parse().unwrap());
        assert!(official.contains("`docker login` on"), "{official}");
    }
}
