//! What the registries of images say.

use std::collections::BTreeMap;
use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::errors::Error;
use bollard::models::DistributionInspect;
use flocker_model::{ImageName, ImageReference, RegistryAnswer, RegistryLogin, RegistryLogins};
use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, timeout_at};

use crate::connection::Docker;
use crate::observation::platform_of;

/// How long all registries together may take to answer: an operator waits, and the node's lock is
/// held.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many images registries are asked about at once.
const PARALLEL_QUESTIONS: usize = 16;

impl Docker {
    /// Asks the registry of each image whether it has it, by way of the daemon: its proxy and its
    /// certificates are those of a pull. Nothing is downloaded. Docker asks a mirror only after the
    /// registry itself, other than for a pull.
    ///
    /// A login is used for this one question; Docker does not keep it.
    ///
    /// Takes 10 seconds at most; a registry that has not answered by then is silent.
    pub async fn ask_registries(
        &self,
        images: &[ImageReference],
        logins: &RegistryLogins,
    ) -> BTreeMap<ImageName, RegistryAnswer> {
        let deadline = Instant::now() + PATIENCE;
        stream::iter(images.to_vec())
            .map(|image| async move {
                let name = image.with_tag();
                let credentials = credentials(image.domain(), logins);
                let question = self.client.inspect_registry_image(&name, credentials);
                let answer = match timeout_at(deadline, question).await {
                    Ok(answer) => read_answer(answer),
                    Err(_) => RegistryAnswer::Silent,
                };
                (image.identity(), answer)
            })
            .buffer_unordered(PARALLEL_QUESTIONS)
            .collect()
            .await
    }
}

/// Writes a login as Docker's API takes it; without one Docker asks as anybody may.
///
/// **Source**: Docker's API, "Authentication", `AuthConfig`.
pub(crate) fn credentials(registry: &str, logins: &RegistryLogins) -> Option<DockerCredentials> {
    let server = DockerCredentials {
        serveraddress: Some(registry.to_owned()),
        ..DockerCredentials::default()
    };
    Some(match logins.get(registry)? {
        RegistryLogin::Password { username, password } => DockerCredentials {
            username: Some(username.clone()),
            password: Some(password.reveal().to_owned()),
            ..server
        },
        RegistryLogin::IdentityToken { token } => DockerCredentials {
            identitytoken: Some(token.reveal().to_owned()),
            ..server
        },
    })
}

/// Puts Docker's answer into our words.
///
/// **Source**: Docker's API, `DistributionInspect`. An image that does not exist and one that asks
/// for a password are not told apart by registries.
fn read_answer(answer: Result<DistributionInspect, Error>) -> RegistryAnswer {
    match answer {
        Ok(found) => RegistryAnswer::Has {
            digest: found.descriptor.digest.unwrap_or_default(),
            platforms: found
                .platforms
                .into_iter()
                .filter_map(|platform| platform_of(platform.os, platform.architecture))
                .collect(),
        },
        Err(Error::DockerResponseServerError {
            status_code,
            message,
        }) if matches!(status_code, 400 | 401 | 403 | 404) || is_about_the_image(&message) => {
            RegistryAnswer::Refuses { reason: message }
        }
        Err(Error::DockerResponseServerError { message, .. }) => {
            RegistryAnswer::Unreachable { reason: message }
        }
        Err(error) => RegistryAnswer::Unreachable {
            reason: error.to_string(),
        },
    }
}

/// Tells whether an error of the daemon says that a registry answered and does not have the image.
/// Older daemons answer with status 500 then.
fn is_about_the_image(message: &str) -> bool {
    [
        "manifest unknown",
        "not found",
        "denied",
        "unauthorized",
        "no basic auth credentials",
    ]
    .iter()
    .any(|words| message.contains(words))
        && !message.contains("dial tcp")
}

#[cfg(test)]
mod tests {
    use bollard::models::{OciDescriptor, OciPlatform};

    use super::*;

    fn error(status_code: u16, message: &str) -> RegistryAnswer {
        read_answer(Err(Error::DockerResponseServerError {
            status_code,
            message: message.to_owned(),
        }))
    }

    #[test]
    fn a_registry_that_lacks_an_image_is_not_unreachable() {
        for (status, message) in [
            (
                403,
                "pull access denied for nothing, repository does not exist",
            ),
            (404, "no such manifest: nothing:1"),
            (500, "manifest unknown: manifest unknown"),
        ] {
            let reason = message.to_owned();
            assert_eq!(error(status, message), RegistryAnswer::Refuses { reason });
        }
        for message in [
            "Get \"https://registry.example.com/v2/\": dial tcp: lookup registry.example.com: \
             no such host",
            "Get \"https://a.test/v2/\": dial tcp: lookup a.test: server not found",
            "toomanyrequests: You have reached your pull rate limit",
        ] {
            let reason = message.to_owned();
            assert_eq!(error(500, message), RegistryAnswer::Unreachable { reason });
        }
    }

    #[test]
    fn a_registrys_answer_has_digest_and_platforms() {
        let platform = |os: &str, architecture: &str| OciPlatform {
            os: Some(os.to_owned()),
            architecture: Some(architecture.to_owned()),
            ..OciPlatform::default()
        };
        let answer = read_answer(Ok(DistributionInspect {
            descriptor: OciDescriptor {
                digest: Some("sha256:1f".to_owned()),
                ..OciDescriptor::default()
            },
            platforms: vec![platform("linux", "amd64"), platform("linux", "")],
        }));
        let RegistryAnswer::Has { digest, platforms } = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(digest, "sha256:1f");
        let platforms: Vec<String> = platforms.iter().map(ToString::to_string).collect();
        assert_eq!(platforms, ["linux/amd64"]);
    }
}
