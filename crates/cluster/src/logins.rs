//! The operator's logins at registries of images, as `docker login` keeps them.
//!
//! **Source**: Docker's documentation, `docker login`, "Credential stores" and "Credential helpers".

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flocker_model::{RegistryLogin, RegistryLogins, Secret};
use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::timeout;

/// How long a helper may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The registry of images that name none.
const DEFAULT_REGISTRY: &str = "docker.io";
/// The name under which Docker keeps the login there.
const DEFAULT_SERVER: &str = "https://index.docker.io/v1/";

/// The name that a helper gives a token in the place of a user's.
const TOKEN_USER: &str = "<token>";

/// Docker's configuration file, as far as it is about logins.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DockerConfiguration {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

/// A login in the file itself.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    identitytoken: Option<Secret>,
}

/// The output of a helper.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Helped {
    username: String,
    secret: Secret,
}

/// Looks the logins at these registries up, and at no others. One that cannot be had is left out,
/// with a warning: the image may be for everybody.
pub(crate) async fn logins_of(registries: &BTreeSet<String>) -> RegistryLogins {
    let Some(configuration) = read_configuration() else {
        return RegistryLogins::new();
    };
    let mut logins = RegistryLogins::new();
    for registry in registries {
        let found = configuration.login_at(registry).await;
        logins.extend(found.map(|login| (registry.clone(), login)));
    }
    logins
}

/// Reads Docker's configuration file, if there is one that can be read.
fn read_configuration() -> Option<DockerConfiguration> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let directory = match variable("DOCKER_CONFIG") {
        Some(directory) => PathBuf::from(directory),
        None => PathBuf::from(variable("HOME")?).join(".docker"),
    };
    let path = directory.join("config.json");
    let bytes = std::fs::read(&path).ok()?;
    let read = serde_json::from_slice(&bytes);
    // The error could quote a password.
    if read.is_err() {
        tracing::warn!(
            "{} cannot be read, so that no login at a registry is used",
            path.display()
        );
    }
    read.ok()
}

impl DockerConfiguration {
    async fn login_at(&self, registry: &str) -> Option<RegistryLogin> {
        let server = server_of(registry);
        let helper = self.cred_helpers.get(server).or_else(|| {
            let helper = self.cred_helpers.get(registry);
            helper.or(self.creds_store.as_ref())
        });
        if let Some(helper) = helper
            && let Some(login) = ask_helper(helper, server).await
        {
            return Some(login);
        }
        let exact = self.auths.get(server);
        let same_host = || {
            let mut others = self.auths.iter();
            others.find(|(key, _)| host_of(key) == host_of(server))
        };
        let entry = exact.or_else(|| same_host().map(|(_, entry)| entry));
        entry.and_then(Entry::login)
    }
}

impl Entry {
    fn login(&self) -> Option<RegistryLogin> {
        if let Some(token) = &self.identitytoken {
            let token = token.clone();
            return Some(RegistryLogin::IdentityToken { token });
        }
        let decoded = STANDARD.decode(self.auth.as_ref()?).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (username, password) = text.split_once(':')?;
        Some(RegistryLogin::Password {
            username: username.to_owned(),
            password: password.trim_end_matches('\0').into(),
        })
    }
}

/// Returns the name under which Docker keeps the login at a registry.
fn server_of(registry: &str) -> &str {
    if registry == DEFAULT_REGISTRY {
        DEFAULT_SERVER
    } else {
        registry
    }
}

/// Returns the host, and the port if it is written, of a server's name.
fn host_of(server: &str) -> &str {
    let rest = server.strip_prefix("https://");
    let rest = rest.or_else(|| server.strip_prefix("http://"));
    let rest = rest.unwrap_or(server);
    rest.split('/').next().unwrap_or(rest)
}

/// Asks the program that keeps the logins; `None` if it has none for the server.
async fn ask_helper(helper: &str, server: &str) -> Option<RegistryLogin> {
    ask_program(&format!("docker-credential-{helper}"), server).await
}

async fn ask_program(program: &str, server: &str) -> Option<RegistryLogin> {
    let asked = timeout(PATIENCE, run_helper(program, server)).await;
    let output = match asked {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => {
            tracing::warn!("{program}, which keeps logins at registries, cannot be run: {error}");
            return None;
        }
        Err(_) => {
            let patience = PATIENCE.as_secs();
            tracing::warn!("{program}, which keeps logins at registries, took over {patience} s");
            return None;
        }
    };
    if !output.status.success() {
        return None;
    }
    let Ok(Helped { username, secret }) = serde_json::from_slice(&output.stdout) else {
        tracing::warn!("{program} printed something that is not a login at {server}");
        return None;
    };
    Some(if username == TOKEN_USER {
        RegistryLogin::IdentityToken { token: secret }
    } else {
        let password = secret;
        RegistryLogin::Password { username, password }
    })
}

async fn run_helper(program: &str, server: &str) -> std::io::Result<std::process::Output> {
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // One that does not read has something else to say.
        let _ = input.write_all(server.as_bytes()).await;
    }
    child.wait_with_output().await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(text: &str) -> DockerConfiguration {
        serde_json::from_str(text).unwrap()
    }

    /// The login as one line.
    async fn login(configuration: &DockerConfiguration, registry: &str) -> String {
        match configuration.login_at(registry).await {
            None => "none".to_owned(),
            Some(RegistryLogin::Password { username, password }) => {
                format!("{username} {}", password.reveal())
            }
            Some(RegistryLogin::IdentityToken { token }) => format!("token {}", token.reveal()),
        }
    }

    #[tokio::test]
    async fn a_login_in_dockers_file_is_found_however_its_server_is_written() {
        let auth = STANDARD.encode("ann:pass:word");
        let found = configuration(&format!(
            r#"{{"auths":{{"https://index.docker.io/v1/":{{"auth":"{auth}"}},
            "registry.example.com:5000":{{"identitytoken":"t"}},
            "https://ghcr.example/v2/":{{"auth":"{auth}"}},"empty.example":{{}},
            "broken.example":{{"auth":"?"}}}},"HttpHeaders":{{}}}}"#
        ));
        for (registry, expected) in [
            ("docker.io", "ann pass:word"),
            ("registry.example.com:5000", "token t"),
            ("registry.example.com", "none"),
            ("ghcr.example", "ann pass:word"),
            ("empty.example", "none"),
            ("broken.example", "none"),
            ("other.example", "none"),
        ] {
            assert_eq!(login(&found, registry).await, expected, "{registry}");
        }
    }

    /// Writes a helper that knows three servers.
    fn helper(directory: &std::path::Path) -> String {
        let path = directory.join("docker-credential-test");
        let script = r#"#!/bin/sh
server=$(cat)
[ "$1" = get ] || exit 2
case $server in
    a.example) echo '{"ServerURL":"a.example","Username":"ann","Secret":"s"}' ;;
    b.example) echo '{"Username":"<token>","Secret":"t"}' ;;
    c.example) echo nonsense ;;
    *) echo 'credentials not found in native keychain'; exit 1 ;;
esac
"#;
        std::fs::write(&path, script).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, mode).unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_helper_is_asked_for_one_server_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let program = helper(directory.path());
        for (server, expected) in [
            ("a.example", Some("ann")),
            ("b.example", Some("token")),
            ("c.example", None),
            ("d.example", None),
        ] {
            let login = ask_program(&program, server).await;
            let named = login.map(|login| match login {
                RegistryLogin::Password { username, .. } => username,
                RegistryLogin::IdentityToken { .. } => "token".to_owned(),
            });
            assert_eq!(named.as_deref(), expected, "{server}");
        }
    }

    #[tokio::test]
    async fn a_helper_that_is_missing_leaves_the_file() {
        let auth = STANDARD.encode("ann:word");
        let found = configuration(&format!(
            r#"{{"auths":{{"a.example":{{"auth":"{auth}"}}}},
            "credsStore":"flocker-test-has-no-such-helper"}}"#
        ));
        assert_eq!(login(&found, "a.example").await, "ann word");
        assert_eq!(login(&found, "b.example").await, "none");
    }
}
