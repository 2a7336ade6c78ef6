//! Where this machine's Docker answers, found as the `docker` command finds it.
//!
//! **Source**: `docker context --help` and the manual of `docker context`: `DOCKER_HOST` wins over
//! `DOCKER_CONTEXT`, and that over `currentContext` of `config.json`.

use std::fmt::{self, Write as _};
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// The context that stands for the usual sockets.
const DEFAULT_CONTEXT: &str = "default";
/// The socket of a Docker that runs as root.
const SYSTEM_SOCKET: &str = "/var/run/docker.sock";
/// The advice about a Docker whose socket Flocker cannot open.
const SAVE: &str = "to send one of its images, run `docker save IMAGE -o FILE` and deploy with \
                    `--image-archive FILE`";

/// The environment variables that say which Docker is meant. Unset and empty ones are `None`.
#[derive(Debug, Clone, Default)]
pub(crate) struct DockerVariables {
    /// `DOCKER_HOST`.
    pub(crate) host: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub(crate) context: Option<String>,
    /// `DOCKER_CONFIG`.
    pub(crate) config: Option<PathBuf>,
    /// `HOME`.
    pub(crate) home: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub(crate) runtime_directory: Option<PathBuf>,
}

/// The files that say which Docker is meant.
pub(crate) trait DockerFiles {
    /// Returns a file's content.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Tells whether there is anything at `path`.
    fn exists(&self, path: &Path) -> bool;
}

/// The setting that chose a Docker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The variable `DOCKER_HOST`.
    Host,
    /// A context.
    Context {
        /// Its name.
        name: String,
        /// `DOCKER_CONTEXT`, or the file that has `currentContext`.
        by: String,
    },
}

impl fmt::Display for Choice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => formatter.write_str("DOCKER_HOST"),
            Self::Context { name, by } => write!(formatter, "Docker context {name:?} of {by}"),
        }
    }
}

/// A socket at which Docker should answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DockerSocket {
    /// The socket.
    pub(crate) path: PathBuf,
    /// The setting that names it; `None` for one that is merely there.
    pub(crate) choice: Option<Choice>,
}

/// The Docker that the user named cannot be used.
#[derive(Debug, Error)]
pub(crate) enum EndpointProblem {
    /// It is not behind a socket of this machine.
    #[error(
        "the Docker at {endpoint:?} ({choice}) is not behind a unix:// socket, so that Flocker cannot read its images; {SAVE}"
    )]
    NotASocket {
        /// Where it is.
        endpoint: String,
        /// The setting that says so.
        choice: Choice,
    },
    /// The context does not exist.
    #[error("{choice} does not exist (there is no {}), so that Flocker uses no Docker of this machine; `docker context ls` lists the contexts", file.display())]
    NoContext {
        /// The setting that names it.
        choice: Choice,
        /// The file that would describe it.
        file: PathBuf,
    },
    /// The context's description is unusable.
    #[error("{choice} cannot be used, so that Flocker uses no Docker of this machine: {}: {reason}", file.display())]
    BadContext {
        /// The setting that names it.
        choice: Choice,
        /// The file that describes it.
        file: PathBuf,
        /// The problem with that.
        reason: String,
    },
    /// Docker's configuration cannot be read. Like `docker`, Flocker goes on without it.
    #[error("{} cannot be read, so that Flocker uses Docker's default context: {reason}", file.display())]
    BadConfig {
        /// The file.
        file: PathBuf,
        /// The problem with it.
        reason: String,
    },
    /// Nothing answers at the socket.
    #[error("no Docker answers at {} ({choice}), so that Flocker uses no Docker of this machine: {reason}", path.display())]
    NoAnswer {
        /// The socket.
        path: PathBuf,
        /// The setting that names it.
        choice: Choice,
        /// Why.
        reason: String,
    },
}

/// Finds the socket of this machine's Docker, and what is wrong with the one that the user named.
///
/// A machine without Docker has neither.
pub(crate) fn locate(
    variables: &DockerVariables,
    files: &impl DockerFiles,
) -> (Option<DockerSocket>, Option<EndpointProblem>) {
    if let Some(host) = &variables.host {
        return split(socket_of(host, Choice::Host));
    }
    let (chosen, problem) = match &variables.context {
        Some(name) => (Some((name.clone(), "DOCKER_CONTEXT".to_owned())), None),
        None => current_context(variables, files),
    };
    match chosen {
        Some((name, by)) if name != DEFAULT_CONTEXT => split(socket_of_context(
            Choice::Context { name, by },
            variables,
            files,
        )),
        _ => (usual_socket(variables, files), problem),
    }
}

fn split(
    found: Result<DockerSocket, EndpointProblem>,
) -> (Option<DockerSocket>, Option<EndpointProblem>) {
    match found {
        Ok(socket) => (Some(socket), None),
        Err(problem) => (None, Some(problem)),
    }
}

/// Reads an endpoint as `docker` writes it.
fn socket_of(endpoint: &str, choice: Choice) -> Result<DockerSocket, EndpointProblem> {
    let path = match endpoint.strip_prefix("unix://") {
        Some("") => SYSTEM_SOCKET.into(),
        Some(path) => path.into(),
        None => {
            let endpoint = endpoint.to_owned();
            return Err(EndpointProblem::NotASocket { endpoint, choice });
        }
    };
    let choice = Some(choice);
    Ok(DockerSocket { path, choice })
}

/// Docker's directory in the user's home.
fn directory(variables: &DockerVariables) -> Option<PathBuf> {
    let in_home = || Some(variables.home.as_ref()?.join(".docker"));
    variables.config.clone().or_else(in_home)
}

/// Finds which context `config.json` names, and in which file.
fn current_context(
    variables: &DockerVariables,
    files: &impl DockerFiles,
) -> (Option<(String, String)>, Option<EndpointProblem>) {
    let Some(file) = directory(variables).map(|directory| directory.join("config.json")) else {
        return (None, None);
    };
    let text = match files.read(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (None, None),
        Err(error) => {
            let reason = error.to_string();
            return (None, Some(EndpointProblem::BadConfig { file, reason }));
        }
    };
    match read_current_context(&text) {
        Ok(name) => (name.map(|name| (name, file.display().to_string())), None),
        Err(error) => {
            let reason = error.to_string();
            (None, Some(EndpointProblem::BadConfig { file, reason }))
        }
    }
}

/// Finds the socket of a context.
fn socket_of_context(
    choice: Choice,
    variables: &DockerVariables,
    files: &impl DockerFiles,
) -> Result<DockerSocket, EndpointProblem> {
    let name = match &choice {
        Choice::Context { name, .. } => name.as_str(),
        Choice::Host => DEFAULT_CONTEXT,
    };
    let file = directory(variables)
        .unwrap_or_default()
        .join("contexts/meta")
        .join(directory_name(name))
        .join("meta.json");
    let text = match files.read(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(EndpointProblem::NoContext { choice, file });
        }
        Err(error) => {
            let reason = error.to_string();
            return Err(EndpointProblem::BadContext {
                choice,
                file,
                reason,
            });
        }
    };
    match read_endpoint(&text) {
        Ok(Some(endpoint)) => socket_of(&endpoint, choice),
        Ok(None) => {
            let reason = "it has no endpoint of Docker".to_owned();
            Err(EndpointProblem::BadContext {
                choice,
                file,
                reason,
            })
        }
        Err(error) => {
            let reason = error.to_string();
            Err(EndpointProblem::BadContext {
                choice,
                file,
                reason,
            })
        }
    }
}

/// The directory in which `docker` keeps what it knows of a context.
fn directory_name(context: &str) -> String {
    let mut name = String::new();
    for byte in Sha256::digest(context.as_bytes()) {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// Finds the first of the usual sockets that is there.
fn usual_socket(variables: &DockerVariables, files: &impl DockerFiles) -> Option<DockerSocket> {
    let rootless = variables.runtime_directory.as_ref();
    let home = variables.home.as_ref();
    let sockets = [
        Some(PathBuf::from(SYSTEM_SOCKET)),
        rootless.map(|directory| directory.join("docker.sock")),
        home.map(|home| home.join(".colima/default/docker.sock")),
        home.map(|home| home.join(".docker/run/docker.sock")),
    ];
    let path = sockets
        .into_iter()
        .flatten()
        .find(|path| files.exists(path))?;
    Some(DockerSocket { path, choice: None })
}

/// The part of `config.json` that is of interest.
#[derive(Deserialize)]
struct Config {
    #[serde(rename = "currentContext")]
    current_context: Option<String>,
}

/// The part of a context's `meta.json` that is of interest.
#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "Endpoints", default)]
    endpoints: Endpoints,
}

#[derive(Deserialize, Default)]
struct Endpoints {
    docker: Option<DockerEndpoint>,
}

#[derive(Deserialize)]
struct DockerEndpoint {
    #[serde(rename = "Host")]
    host: Option<String>,
}

/// Reads which context `config.json` names.
pub(crate) fn read_current_context(text: &[u8]) -> Result<Option<String>, serde_json::Error> {
    let config: Config = serde_json::from_slice(text)?;
    Ok(config.current_context.filter(|name| !name.is_empty()))
}

/// Reads where the Docker of a context answers.
pub(crate) fn read_endpoint(text: &[u8]) -> Result<Option<String>, serde_json::Error> {
    let meta: Meta = serde_json::from_slice(text)?;
    let host = meta.endpoints.docker.and_then(|docker| docker.host);
    Ok(host.filter(|host| !host.is_empty()))
}

// Written out, because a fuzz target includes this file.
#[cfg(test)]
#[path = "docker_endpoint/tests.rs"]
mod tests;
