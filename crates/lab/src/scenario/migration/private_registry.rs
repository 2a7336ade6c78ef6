//! A registry that asks for a login gives a node an image, and the node does not keep the login.

use std::path::{Path, PathBuf};

use super::super::cluster::BLOCKED;
use super::super::failure::{Failure, expect};
use super::super::layouts::Layout;
use super::super::report::Stopped;
use super::super::wait::{PATIENCE, eventually};
use super::official::{Applications, Place};
use super::own_secrets::PLACES;
use super::secrets::{SEARCHED, to_the_end};
use super::{FIRST, Migration, SECOND};

/// The password of the registry's only user.
const PASSWORD: &str = "only-for-its-users";
/// `ann:only-for-its-users`, as Docker writes it.
const ENCODED: &str = "YW5uOm9ubHktZm9yLWl0cy11c2Vycw==";
/// The line of `htpasswd -B` for both.
const HTPASSWD: &str = "ann:$2y$05$abcdefghijklmnopqrstuuvyJOwTAbrYEdkGicdBx7seCvCy2jm/K";

/// Docker takes a registry without TLS only at this address. Routes answer there on every node.
const REGISTRY: &str = "localhost:5000";
/// The image's name there.
const IMAGE: &str = "localhost:5000/private/redis:1";

/// The registry, and an application whose image it alone has.
fn applications() -> String {
    format!(
        "registry:
  image: flocker/registry
  volume: /var/lib/registry
  routes: [5000]
  files:
    - target: /etc/docker/registry/htpasswd
      content: '{}'
    - target: /etc/docker/registry/config.yml
      content: |
        version: 0.1
        storage: {{filesystem: {{rootdirectory: /var/lib/registry}}}}
        http: {{addr: \":5000\"}}
        auth: {{htpasswd: {{realm: test, path: /etc/docker/registry/htpasswd}}}}
private:
  image: {IMAGE}
  scratch: [/data]
",
        HTPASSWD.replace('$', "$$")
    )
}

/// Docker's configuration file after `docker login`.
fn docker_configuration() -> String {
    format!("{{\"auths\": {{\"{REGISTRY}\": {{\"auth\": \"{ENCODED}\"}}}}}}\n")
}

impl Migration<'_> {
    pub(super) async fn private_registry(&mut self) -> Result<(), Stopped> {
        let text = applications();
        let applications = Applications {
            name: "private-registry",
            text: &text,
            names: &["registry"],
        };
        let layout = applications.on(Place::First, self.layouts);
        let line = format!("Deployed `registry` to {}.", self.layouts.first);
        let archive = self.archive("registry");
        let options = [archive.as_str()];
        let deploy = self.deploy_with_line(&layout, &options, &line);
        self.check("a registry with a login is deployed", deploy)
            .await?;
        self.check("it takes an image from its user", self.push_image())
            .await?;

        let layout = applications.on_both(&["registry"], &["private"], self.layouts);
        let empty = self.docker_directory("logged-out", "{}\n").await?;
        let name = "without a login the image is refused, with the command that helps";
        self.check(name, self.refuse_image(&layout, &empty)).await?;
        let configuration = docker_configuration();
        let logged_in = self.docker_directory("logged-in", &configuration).await?;
        let name = "with the operator's login a node gets the image";
        self.check(name, async {
            let deploy = self.cluster.deploy_as(&layout, &[], &logged_in);
            let transcript = deploy.await?;
            transcript.expect_exit(0)?;
            let second = self.layouts.second;
            transcript.expect_line(&format!("Deployed `private` to {second}."))
        })
        .await?;
        let name = "neither node has the login in any file";
        self.check(name, self.expect_no_login()).await
    }

    /// Makes a directory for Docker's configuration on the operator's machine.
    async fn docker_directory(&self, name: &str, text: &str) -> Result<PathBuf, Stopped> {
        let made = async {
            let directory = self.site.directory().join(name);
            std::fs::create_dir_all(&directory)
                .and_then(|()| std::fs::write(directory.join("config.json"), text))
                .map_err(|error| unmade(&error))?;
            Ok(directory)
        };
        self.check("Docker's configuration is written", made).await
    }

    /// Pushes an image from the first node, and leaves neither its name nor the login there.
    async fn push_image(&self) -> Result<(), Failure> {
        let login = "mkdir -p /run/push && umask 077 && cat >/run/push/config.json";
        let configuration = docker_configuration();
        let push = format!(
            "{login} <<'END'\n{configuration}END\n\
             docker tag flocker/redis {IMAGE} && docker --config /run/push push --quiet {IMAGE}; \
             status=$?; rm -r /run/push; docker rmi {IMAGE}; exit $status"
        );
        eventually("the registry takes an image", PATIENCE, async || {
            Ok(self.site.check(FIRST, &push).await.map(drop)?)
        })
        .await
    }

    async fn refuse_image(&self, layout: &Layout, docker: &Path) -> Result<(), Failure> {
        let transcript = self.cluster.deploy_as(layout, &[], docker).await?;
        transcript.expect_exit(BLOCKED)?;
        let login = format!("docker login {REGISTRY}");
        transcript.expect_narration(&["`private`", IMAGE, &login])
    }

    async fn expect_no_login(&self) -> Result<(), Failure> {
        for secret in [PASSWORD, ENCODED] {
            let (rest, last) = secret.split_at(secret.len() - 1);
            let search = format!(
                "grep --recursive --files-with-matches --devices=skip '{rest}[{last}]' {PLACES} \
                 2>/dev/null"
            );
            for node in [FIRST, SECOND] {
                let output = self.site.run(node, &to_the_end(&search)).await?;
                let nothing = format!("nothing on {}", self.site.address(node));
                expect(output.stdout.trim() == SEARCHED, nothing, output.stdout)?;
            }
        }
        Ok(())
    }
}

fn unmade(error: &std::io::Error) -> Failure {
    Failure::unexpected("a directory with Docker's configuration", error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_is_that_of_the_registrys_user() {
        let program = format!("printf ann:{PASSWORD} | base64");
        let encoded = std::process::Command::new("sh")
            .args(["-c", &program])
            .output();
        assert_eq!(
            String::from_utf8(encoded.unwrap().stdout).unwrap().trim(),
            ENCODED
        );
        assert!(HTPASSWD.starts_with("ann:"));
        assert!(!applications().contains("${"));
    }
}
