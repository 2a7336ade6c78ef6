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

/// The address of Docker Hub in a login, as Docker's own client writes it.
///
/// **Source**: Docker's API, "Authentication"; containerd's image store drops a login at `docker.io`.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// How many images registries are asked about at once.
const PARALLEL_QUESTIONS: usize = 16;

impl Docker {
    /// Asks the registry of each image whether it has it, by way of the daemon: its proxy and its
    /// certificates are those of a pull. Nothing is downloaded. Docker asks a mirror only after the
    /// registry itself, other than for a pull.
    ///
    /// A login is used for this one question; Docker does not keep it. A registry that refuses the
    /// login is asked once more without it: it may be out of date, and the image public.
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
                let answer = timeout_at(deadline, self.ask_registry(&image, logins)).await;
                (image.identity(), answer.unwrap_or(RegistryAnswer::Silent))
            })
            .buffer_unordered(PARALLEL_QUESTIONS)
            .collect()
            .await
    }

    /// Asks about one image, with the login at its registry and then without.
    async fn ask_registry(
        &self,
        image: &ImageReference,
        logins: &RegistryLogins,
    ) -> RegistryAnswer {
        let name = image.with_tag();
        let ask = async |credentials| {
            let answer = self.client.inspect_registry_image(&name, credentials).await;
            read_answer(answer)
        };
        let registry = image.domain();
        let with = ask(credentials(registry, logins)).await;
        let (RegistryAnswer::Refuses { reason }, Some(login)) = (&with, logins.get(registry))
        else {
            return with;
        };
        if !is_about_a_login(reason) {
            return with;
        }
        match ask(None).await {
            RegistryAnswer::Refuses { reason: without } => RegistryAnswer::Refuses {
                reason: refused_login((registry, login), (reason, &without)),
            },
            answer => answer,
        }
    }
}

/// Tells whether a registry's answer may be about the login rather than the image.
pub(crate) fn is_about_a_login(reason: &str) -> bool {
    let reason = reason.to_ascii_lowercase();
    [
        "unauthorized",
        "denied",
        "authentication required",
        "no basic auth credentials",
        "incorrect username or password",
    ]
    .iter()
    .any(|words| reason.contains(words))
}

/// Says that a registry refused a login, and the same request without one.
pub(crate) fn refused_login(
    (registry, login): (&str, &RegistryLogin),
    (with, without): (&str, &str),
) -> String {
    let whose = match login {
        RegistryLogin::Password { username, .. } => format!("as `{username}`"),
        RegistryLogin::IdentityToken { .. } => "by token".to_owned(),
    };
    let server = if registry == "docker.io" {
        String::new()
    } else {
        format!(" {registry}")
    };
    format!(
        "{registry} refuses the login {whose} ({with}), and refuses without a login, too ({without}); \
         `docker login{server}` renews the login, `docker logout{server}` forgets it"
    )
}

/// Writes a login as Docker's API takes it; without one Docker asks as anybody may.
///
/// **Source**: Docker's API, "Authentication", `AuthConfig`.
pub(crate) fn credentials(registry: &str, logins: &RegistryLogins) -> Option<DockerCredentials> {
    let server = if registry == "docker.io" {
        DOCKER_HUB
    } else {
        registry
    };
    let server = DockerCredentials {
        serveraddress: Some(server.to_owned()),
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
    fn docker_hub_is_named_as_dockers_own_client_names_it() {
        let login = RegistryLogin::IdentityToken { token: "t".into() };
        let logins =
            ["docker.io", "registry.example"].map(|registry| (registry.to_owned(), login.clone()));
        let logins = RegistryLogins::from(logins);
        let server = |registry| credentials(registry, &logins).unwrap().serveraddress;
        assert_eq!(
            server("docker.io").as_deref(),
            Some("https://index.docker.io/v1/")
        );
        assert_eq!(
            server("registry.example").as_deref(),
            Some("registry.example")
        );
    }

    #[test]
    fn a_refused_login_is_named_with_what_renews_it() {
        let login = RegistryLogin::Password {
            username: "ann".to_owned(),
            password: "secret".into(),
        };
        assert_eq!(
            refused_login(("docker.io", &login), ("unauthorized", "access denied")),
            "docker.io refuses the login as `ann` (unauthorized), and refuses without a login, too \
             (access denied); `docker login` renews the login, `docker logout` forgets it"
        );
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
