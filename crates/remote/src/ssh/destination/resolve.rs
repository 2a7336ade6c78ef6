//! From a written name to a destination: what wins over what.

use std::io;
use std::path::{Path, PathBuf};

use super::super::client_config::{Entry, Location, Place, Placed};
use super::super::client_config_files::{ConfigRoot, observe_client_config};
use super::super::host_key::{HostKeyPolicy, KnownHostsFiles, UnknownHost};
use super::super::identity::Identity;
use super::super::settings::{HostSettings, Located, StrictHostKeys, gather_settings};
use super::super::ssh_answer::{SshAnswer, observe_answer, read_answer};
use super::expand::{Tokens, expand};
use super::name::{WrittenName, parse_name};
use super::proxied::plan_proxy;
use super::{Destination, DestinationError, Environment, SshOptions};

#[cfg(test)]
mod tests;

const DEFAULT_PORT: u16 = 22;

/// Where `ssh` looks for keys, in its order. Security keys are left out, as
/// they can only be used through an agent.
///
/// Source: `IdentityFile` in `ssh_config(5)`.
const DEFAULT_IDENTITIES: [&str; 3] = ["id_rsa", "id_ecdsa", "id_ed25519"];

/// Finds out how to reach `name`, which is written like the argument of `ssh`:
/// `host`, `user@host`, `host:port`, `ssh://user@host:port` or an alias.
///
/// What the name itself says wins over `options`, these over the
/// configuration files, and these over the defaults of `ssh`.
///
/// If the files have a `Match` block with conditions, the program `ssh` is
/// asked for the host's settings, as it evaluates them. Without an `ssh` in
/// the `PATH` of `environment`, or if it fails, there is a warning of each
/// such block. If there is no such block, no program is started.
///
/// Source: `ssh(1)`, `ssh_config(5)`.
///
/// # Errors
///
/// [`DestinationError`] when the name makes no sense, or the configuration
/// cannot be read or followed.
pub async fn resolve_destination(
    name: &str,
    options: &SshOptions,
    environment: &Environment,
) -> Result<Destination, DestinationError> {
    let written = read_name(name)?;
    let entries = observe_entries(options, environment)
        .map_err(|(file, source)| DestinationError::UnreadableConfig { file, source })?;
    let mut settings = gather(name, &entries, &written.host)?;
    if !settings.left_out.is_empty() {
        match observe_answer(&written, options, environment).await {
            Ok(answer) => return resolve_answered(name, &answer, options, environment),
            Err(reason) => settings.warn_of_left_out(&reason),
        }
    }
    plan_destination((name, written), settings, options, environment)
}

/// The part of [`resolve_destination`] that follows what `ssh` answers. It
/// reads no files, and starts no programs.
///
/// # Errors
///
/// As for [`resolve_destination`].
pub fn resolve_answered(
    name: &str,
    answer: &SshAnswer,
    options: &SshOptions,
    environment: &Environment,
) -> Result<Destination, DestinationError> {
    let written = read_name(name)?;
    let settings = gather(name, &read_answer(answer), &written.host)?;
    plan_destination((name, written), settings, options, environment)
}

fn read_name(name: &str) -> Result<WrittenName, DestinationError> {
    parse_name(name).ok_or_else(|| DestinationError::BadName {
        name: name.to_owned(),
    })
}

fn gather(name: &str, entries: &[Placed], host: &str) -> Result<HostSettings, DestinationError> {
    gather_settings(entries, host).map_err(|source| DestinationError::BadConfig {
        name: name.to_owned(),
        source,
    })
}

fn observe_entries(
    options: &SshOptions,
    environment: &Environment,
) -> Result<Vec<Placed>, (PathBuf, io::Error)> {
    let user_directory = environment.home.join(".ssh");
    let user_root = ConfigRoot {
        include_directory: &user_directory,
        home: &environment.home,
    };
    if let Some(file) = &options.config_file {
        // A file that was asked for has to be there.
        std::fs::metadata(file).map_err(|error| (file.clone(), error))?;
        return observe_client_config(file, user_root);
    }
    let system_root = ConfigRoot {
        include_directory: Path::new("/etc/ssh"),
        home: &environment.home,
    };
    let system_file = Path::new("/etc/ssh/ssh_config");
    let mut entries = observe_client_config(&user_directory.join("config"), user_root)?;
    // The system's file begins outside any Host block of the user's.
    entries.push(Placed {
        place: Place::Line(Location {
            file: system_file.to_owned(),
            line: 0,
        }),
        entry: Entry::Match { always: true },
    });
    entries.extend(observe_client_config(system_file, system_root)?);
    Ok(entries)
}

/// The pure part of [`resolve_destination`].
fn plan_destination(
    (name, written): (&str, WrittenName),
    mut settings: HostSettings,
    options: &SshOptions,
    environment: &Environment,
) -> Result<Destination, DestinationError> {
    let port = written
        .port
        .or(options.port)
        .or(settings.port)
        .unwrap_or(DEFAULT_PORT);
    let user = written
        .user
        .or_else(|| options.user.clone())
        .or_else(|| settings.user.clone())
        .unwrap_or_else(|| environment.user.clone());
    let mut tokens = Tokens {
        original_host: &written.host,
        host: written.host.clone(),
        port,
        remote_user: &user,
        environment,
    };
    if let Some(host_name) = &settings.host_name {
        tokens.host = expand(host_name, &tokens);
    }
    let proxy = match settings.proxy.take() {
        Some(setting) => plan_proxy(&setting.value, options.config_file.as_deref(), &tokens)
            .map_err(|reason| DestinationError::BadProxy {
                name: name.to_owned(),
                location: setting.place.to_string(),
                setting: setting.value.to_string(),
                reason,
            })?,
        None => None,
    };
    let agent = agent_socket(settings.identity_agent.as_deref(), &tokens);
    let identities = identities(&settings, options, &tokens);
    let host_key = host_key_policy(&mut settings, options, &tokens);
    Ok(Destination {
        name: name.to_owned(),
        host: tokens.host.clone(),
        port,
        identities,
        identities_only: settings.identities_only.unwrap_or(false),
        agent,
        certificates: expand_paths(&settings.certificate_files, &tokens),
        proxy,
        host_key,
        warnings: settings.warnings,
        user,
    })
}

/// Expands a list of files, of which `none` is no file.
fn expand_paths(written: &[String], tokens: &Tokens<'_>) -> Vec<PathBuf> {
    written
        .iter()
        .filter(|path| !path.eq_ignore_ascii_case("none"))
        .map(|path| PathBuf::from(expand(path, tokens)))
        .collect()
}

/// Source: `IdentityAgent` in `ssh_config(5)`.
fn agent_socket(configured: Option<&str>, tokens: &Tokens<'_>) -> Option<PathBuf> {
    let variable = |name: &str| tokens.environment.variables.get(name);
    let socket = match configured {
        Some("none") => None,
        None | Some("SSH_AUTH_SOCK") => variable("SSH_AUTH_SOCK").cloned(),
        Some(path) => match path.strip_prefix('$') {
            Some(name) if !name.starts_with('{') => variable(name).cloned(),
            _ => Some(expand(path, tokens)),
        },
    };
    socket.filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn identities(settings: &HostSettings, options: &SshOptions, tokens: &Tokens<'_>) -> Vec<Identity> {
    let asked_for = options.identity_files.iter().cloned();
    let configured = expand_paths(&settings.identity_files, tokens);
    let named: Vec<PathBuf> = asked_for.chain(configured).collect();
    if !named.is_empty() || !settings.identity_files.is_empty() {
        let mut identities: Vec<Identity> = Vec::new();
        for path in named {
            if identities.iter().all(|known| known.path != path) {
                identities.push(Identity { path, named: true });
            }
        }
        return identities;
    }
    let directory = tokens.environment.home.join(".ssh");
    DEFAULT_IDENTITIES
        .iter()
        .map(|file| Identity {
            path: directory.join(file),
            named: false,
        })
        .collect()
}

fn host_key_policy(
    settings: &mut HostSettings,
    options: &SshOptions,
    tokens: &Tokens<'_>,
) -> HostKeyPolicy {
    let configured = settings.strict_host_keys.take();
    if let Some(Located {
        value: StrictHostKeys::No,
        place,
    }) = &configured
        && options.unknown_host.is_none()
    {
        settings.warnings.push(format!(
            "{place}: StrictHostKeyChecking no is treated as accept-new: a changed host key is still refused"
        ));
    }
    let unknown =
        options
            .unknown_host
            .unwrap_or_else(|| match configured.map(|located| located.value) {
                None | Some(StrictHostKeys::Refuse) => UnknownHost::Refuse,
                Some(StrictHostKeys::AcceptNew | StrictHostKeys::No) => UnknownHost::AcceptNew,
            });

    let paths = |written: &[String]| expand_paths(written, tokens);
    let user_files = match (&options.known_hosts, &settings.user_known_hosts) {
        (Some(file), _) => vec![file.clone()],
        (None, Some(written)) => paths(written),
        (None, None) => {
            let directory = tokens.environment.home.join(".ssh");
            vec![
                directory.join("known_hosts"),
                directory.join("known_hosts2"),
            ]
        }
    };
    let global_files = match &settings.global_known_hosts {
        Some(written) => paths(written),
        None => vec![
            PathBuf::from("/etc/ssh/ssh_known_hosts"),
            PathBuf::from("/etc/ssh/ssh_known_hosts2"),
        ],
    };
    HostKeyPolicy::KnownHosts(KnownHostsFiles {
        alias: settings.host_key_alias.clone(),
        user_files,
        global_files,
        unknown,
    })
}
