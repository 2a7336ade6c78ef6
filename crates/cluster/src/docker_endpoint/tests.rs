use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// A machine of files and sockets.
#[derive(Default)]
struct Machine {
    files: BTreeMap<PathBuf, Vec<u8>>,
    sockets: BTreeSet<PathBuf>,
}

impl DockerFiles for Machine {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let found = self.files.get(path).cloned();
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn exists(&self, path: &Path) -> bool {
        self.sockets.contains(path)
    }
}

/// The directory of context `colima`, as `docker context create colima` names it.
const COLIMA: &str = "f24fd3749c1368328e2b149bec149cb6795619f244c5b584e844961215dadd16";

impl Machine {
    fn file(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.into(), text.into());
        self
    }

    fn socket(mut self, path: &str) -> Self {
        self.sockets.insert(path.into());
        self
    }

    /// Has a context `colima` that answers at `host`.
    fn colima(self, host: &str) -> Self {
        let meta = format!(
            r#"{{"Name": "colima", "Metadata": {{}}, "Endpoints": {{"docker": {{"Host": "{host}", "SkipTLSVerify": false}}}}}}"#
        );
        let path = format!("/home/kim/.docker/contexts/meta/{COLIMA}/meta.json");
        self.file(&path, &meta)
    }

    fn locate(&self, variables: DockerVariables) -> String {
        let variables = DockerVariables {
            home: Some("/home/kim".into()),
            runtime_directory: Some("/run/user/1000".into()),
            ..variables
        };
        let (socket, problem) = locate(&variables, self);
        let mut text = match socket {
            Some(DockerSocket { path, choice }) => match choice {
                Some(choice) => format!("{} by {choice}", path.display()),
                None => path.display().to_string(),
            },
            None => "none".to_owned(),
        };
        if let Some(problem) = problem {
            text = format!("{text}\nwarning: {problem}");
        }
        text
    }
}

fn host(value: &str) -> DockerVariables {
    DockerVariables {
        host: Some(value.to_owned()),
        ..DockerVariables::default()
    }
}

fn context(name: &str) -> DockerVariables {
    DockerVariables {
        context: Some(name.to_owned()),
        ..DockerVariables::default()
    }
}

fn unset() -> DockerVariables {
    DockerVariables::default()
}

const CURRENT_COLIMA: (&str, &str) = (
    "/home/kim/.docker/config.json",
    r#"{"auths": {}, "currentContext": "colima"}"#,
);

#[test]
fn the_context_of_docker_is_the_context_of_flocker() {
    let machine = Machine::default()
        .socket("/var/run/docker.sock")
        .colima("unix:///home/kim/.colima/default/docker.sock")
        .file(CURRENT_COLIMA.0, CURRENT_COLIMA.1);
    for (variables, expected) in [
        (
            unset(),
            "/home/kim/.colima/default/docker.sock by Docker context \"colima\" of /home/kim/.docker/config.json",
        ),
        (
            context("colima"),
            "/home/kim/.colima/default/docker.sock by Docker context \"colima\" of DOCKER_CONTEXT",
        ),
        (context("default"), "/var/run/docker.sock"),
        (host("unix:///tmp/d.sock"), "/tmp/d.sock by DOCKER_HOST"),
        (host("unix://"), "/var/run/docker.sock by DOCKER_HOST"),
    ] {
        assert_eq!(machine.locate(variables.clone()), expected, "{variables:?}");
    }
}

#[test]
fn docker_config_moves_the_contexts() {
    let machine = Machine::default()
        .file("/etc/docker-kim/config.json", CURRENT_COLIMA.1)
        .file(
            &format!("/etc/docker-kim/contexts/meta/{COLIMA}/meta.json"),
            r#"{"Endpoints": {"docker": {"Host": "unix:///c.sock"}}}"#,
        );
    let variables = DockerVariables {
        config: Some("/etc/docker-kim".into()),
        ..unset()
    };
    assert_eq!(
        machine.locate(variables),
        "/c.sock by Docker context \"colima\" of /etc/docker-kim/config.json"
    );
}

#[test]
fn the_first_usual_socket_is_used() {
    let mut machine = Machine::default();
    assert_eq!(machine.locate(unset()), "none");
    // The last one first, so that each wins over those before it.
    for socket in [
        "/home/kim/.docker/run/docker.sock",
        "/home/kim/.colima/default/docker.sock",
        "/run/user/1000/docker.sock",
        "/var/run/docker.sock",
    ] {
        machine = machine.socket(socket);
        assert_eq!(machine.locate(unset()), socket);
    }
}

#[test]
fn a_docker_that_is_elsewhere_is_named() {
    let machine = Machine::default()
        .socket("/var/run/docker.sock")
        .colima("tcp://10.0.0.9:2376");
    insta::assert_snapshot!(machine.locate(host("ssh://build@10.0.0.9")), @r#"
    none
    warning: the Docker at "ssh://build@10.0.0.9" (DOCKER_HOST) is not behind a unix:// socket, so that Flocker cannot read its images; to send one of its images, run `docker save IMAGE -o FILE` and deploy with `--image-archive FILE`
    "#);
    insta::assert_snapshot!(machine.locate(context("colima")), @r#"
    none
    warning: the Docker at "tcp://10.0.0.9:2376" (Docker context "colima" of DOCKER_CONTEXT) is not behind a unix:// socket, so that Flocker cannot read its images; to send one of its images, run `docker save IMAGE -o FILE` and deploy with `--image-archive FILE`
    "#);
}

#[test]
fn a_context_that_cannot_be_used_is_named() {
    let machine = Machine::default().socket("/var/run/docker.sock");
    insta::assert_snapshot!(machine.locate(context("colima")), @r#"
    none
    warning: Docker context "colima" of DOCKER_CONTEXT does not exist (there is no /home/kim/.docker/contexts/meta/f24fd3749c1368328e2b149bec149cb6795619f244c5b584e844961215dadd16/meta.json), so that Flocker uses no Docker of this machine; `docker context ls` lists the contexts
    "#);
    let path = format!("/home/kim/.docker/contexts/meta/{COLIMA}/meta.json");
    let machine = machine.file(&path, r#"{"Endpoints": {"kubernetes": {}}}"#);
    insta::assert_snapshot!(machine.locate(context("colima")), @r#"
    none
    warning: Docker context "colima" of DOCKER_CONTEXT cannot be used, so that Flocker uses no Docker of this machine: /home/kim/.docker/contexts/meta/f24fd3749c1368328e2b149bec149cb6795619f244c5b584e844961215dadd16/meta.json: it has no endpoint of Docker
    "#);
    let machine = machine.file(&path, "{");
    insta::assert_snapshot!(machine.locate(context("colima")), @r#"
    none
    warning: Docker context "colima" of DOCKER_CONTEXT cannot be used, so that Flocker uses no Docker of this machine: /home/kim/.docker/contexts/meta/f24fd3749c1368328e2b149bec149cb6795619f244c5b584e844961215dadd16/meta.json: EOF while parsing an object at line 1 column 1
    "#);
}

#[test]
fn a_broken_docker_configuration_is_named() {
    let machine = Machine::default()
        .socket("/var/run/docker.sock")
        .file(CURRENT_COLIMA.0, "{ not JSON");
    insta::assert_snapshot!(machine.locate(unset()), @r"
    /var/run/docker.sock
    warning: /home/kim/.docker/config.json cannot be read, so that Flocker uses Docker's default context: key must be a string at line 1 column 3
    ");
}
