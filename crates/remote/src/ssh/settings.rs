//! Finds what a list of configuration entries says about one host.

use std::fmt;

use thiserror::Error;

use super::client_config::{Entry, Place, Placed};
use super::pattern::matches_pattern_list;

/// A value and where it was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// What the configuration says about one host, before defaults. Paths are as
/// written, with `~` and `%` still in them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct HostSettings {
    pub(super) host_name: Option<String>,
    pub(super) user: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) identity_files: Vec<String>,
    pub(super) identities_only: Option<bool>,
    pub(super) identity_agent: Option<String>,
    pub(super) user_known_hosts: Option<Vec<String>>,
    pub(super) global_known_hosts: Option<Vec<String>>,
    pub(super) host_key_alias: Option<String>,
    pub(super) strict_host_keys: Option<Located<StrictHostKeys>>,
    pub(super) certificate_files: Vec<String>,
    /// The way to the host, if it is not a connection of our own.
    pub(super) proxy: Option<Located<ProxySetting>>,
    /// The `Match` blocks whose settings are not among these, as only `ssh` evaluates their conditions.
    pub(super) left_out: Vec<Place>,
    /// Things the reader should know, one sentence each.
    pub(super) warnings: Vec<String>,
}

impl HostSettings {
    /// Warns of the `Match` blocks that are left out, if any are, all for one reason.
    pub(super) fn warn_of_left_out(&mut self, reason: &impl fmt::Display) {
        let places: Vec<_> = self.left_out.drain(..).map(|at| at.to_string()).collect();
        let ignored = match places.len() {
            0 => return,
            1 => "this Match block is ignored",
            _ => "these Match blocks are ignored",
        };
        let warning = format!("{}: {ignored}: {reason}", places.join(", "));
        self.warnings.push(warning);
    }
}

/// `ProxyJump` or `ProxyCommand`, whichever is first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ProxySetting {
    /// Hosts, the nearest first, with commas between them.
    Jump(String),
    /// A line for a shell.
    Command(String),
}

impl ProxySetting {
    /// Returns the value as written.
    pub(super) fn value(&self) -> &str {
        match self {
            Self::Jump(value) | Self::Command(value) => value,
        }
    }
}

impl fmt::Display for ProxySetting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keyword = match self {
            Self::Jump(_) => "ProxyJump",
            Self::Command(_) => "ProxyCommand",
        };
        write!(formatter, "{keyword} {}", self.value())
    }
}

/// `StrictHostKeyChecking`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StrictHostKeys {
    /// `yes`, and `ask`, as there is nobody to ask.
    Refuse,
    /// `accept-new`.
    AcceptNew,
    /// `no` or `off`.
    No,
}

/// A setting in an SSH configuration file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{location}: {keyword} cannot be `{value}`: it must be {expected}")]
pub struct ConfigError {
    /// File and line, or the command whose output it is.
    pub location: String,
    /// The keyword as `ssh_config(5)` writes it.
    pub keyword: &'static str,
    /// What the file says.
    pub value: String,
    /// What would be understood.
    pub expected: &'static str,
}

/// The keywords that [`apply_setting`] acts on.
pub(super) const UNDERSTOOD: [&str; 13] = [
    "hostname",
    "user",
    "port",
    "identityfile",
    "certificatefile",
    "identitiesonly",
    "identityagent",
    "userknownhostsfile",
    "globalknownhostsfile",
    "hostkeyalias",
    "stricthostkeychecking",
    "proxyjump",
    "proxycommand",
];

/// Whether the settings at one place of a file hold.
#[derive(Debug, Clone, Copy)]
struct Scope<'a> {
    active: bool,
    /// The `Match` block that may be the only reason why they do not.
    left_out: Option<&'a Place>,
}

impl Scope<'_> {
    /// Outside all blocks.
    const OUTERMOST: Self = Self {
        active: true,
        left_out: None,
    };
}

/// Gathers the settings of `name`. The first value of each keyword wins,
/// except that `IdentityFile` and `CertificateFile` collect.
///
/// Source: `ssh_config(5)`.
pub(super) fn gather_settings(entries: &[Placed], name: &str) -> Result<HostSettings, ConfigError> {
    let mut settings = HostSettings::default();
    let mut scope = Scope::OUTERMOST;
    // The scopes of the lines that include the files being read.
    let mut around: Vec<Scope<'_>> = Vec::new();
    for Placed { place, entry } in entries {
        let outer = around.last().copied().unwrap_or(Scope::OUTERMOST);
        match entry {
            Entry::Host(patterns) => {
                let matches = matches_pattern_list(patterns.iter().map(String::as_str), name);
                scope = if matches {
                    outer
                } else {
                    Scope {
                        active: false,
                        left_out: None,
                    }
                };
            }
            Entry::Match { always: false } if outer.active => {
                scope = Scope {
                    active: false,
                    left_out: Some(place),
                };
            }
            Entry::Match { .. } => scope = outer,
            Entry::IncludeBegin => around.push(scope),
            Entry::IncludeEnd => scope = around.pop().unwrap_or(Scope::OUTERMOST),
            Entry::Setting { keyword, arguments } if scope.active => {
                apply_setting(&mut settings, keyword, arguments, place)?;
            }
            Entry::Setting { keyword, .. } if UNDERSTOOD.contains(&keyword.as_str()) => {
                if let Some(block) = scope.left_out
                    && !settings.left_out.contains(block)
                {
                    settings.left_out.push(block.clone());
                }
            }
            Entry::Include(_) | Entry::Setting { .. } => {}
        }
    }
    Ok(settings)
}

fn apply_setting(
    settings: &mut HostSettings,
    keyword: &str,
    arguments: &[String],
    place: &Place,
) -> Result<(), ConfigError> {
    let Some(first) = arguments.first() else {
        return Ok(());
    };
    let wrong = |keyword, expected| ConfigError {
        location: place.to_string(),
        keyword,
        value: arguments.join(" "),
        expected,
    };
    match keyword {
        "hostname" => keep_first(&mut settings.host_name, || first.clone()),
        "user" => keep_first(&mut settings.user, || first.clone()),
        "identityagent" => keep_first(&mut settings.identity_agent, || first.clone()),
        "hostkeyalias" => keep_first(&mut settings.host_key_alias, || first.clone()),
        "certificatefile" => settings.certificate_files.push(first.clone()),
        "identityfile" => settings.identity_files.push(first.clone()),
        "userknownhostsfile" => keep_first(&mut settings.user_known_hosts, || arguments.to_vec()),
        "globalknownhostsfile" => {
            keep_first(&mut settings.global_known_hosts, || arguments.to_vec());
        }
        "port" => {
            let port = first
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| wrong("Port", "a number from 1 to 65535"))?;
            keep_first(&mut settings.port, || port);
        }
        "identitiesonly" => {
            let only = parse_yes_no(first).ok_or_else(|| wrong("IdentitiesOnly", "yes or no"))?;
            keep_first(&mut settings.identities_only, || only);
        }
        "stricthostkeychecking" => {
            let expected = "yes, ask, accept-new or no";
            let value =
                parse_strictness(first).ok_or_else(|| wrong("StrictHostKeyChecking", expected))?;
            keep_first(&mut settings.strict_host_keys, || Located {
                value,
                place: place.clone(),
            });
        }
        "proxyjump" | "proxycommand" => {
            let text = arguments.join(" ");
            let value = if keyword == "proxyjump" {
                ProxySetting::Jump(text)
            } else {
                ProxySetting::Command(text)
            };
            keep_first(&mut settings.proxy, || Located {
                value,
                place: place.clone(),
            });
        }
        _ => {}
    }
    Ok(())
}

fn keep_first<T>(slot: &mut Option<T>, value: impl FnOnce() -> T) {
    if slot.is_none() {
        *slot = Some(value());
    }
}

fn parse_yes_no(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" => Some(true),
        "no" | "false" => Some(false),
        _ => None,
    }
}

fn parse_strictness(text: &str) -> Option<StrictHostKeys> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "ask" => Some(StrictHostKeys::Refuse),
        "accept-new" => Some(StrictHostKeys::AcceptNew),
        "no" | "off" | "false" => Some(StrictHostKeys::No),
        _ => None,
    }
}
