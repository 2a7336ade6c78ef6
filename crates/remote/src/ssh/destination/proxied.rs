//! From `ProxyJump` and `ProxyCommand` to the program that leads to a host.

use std::path::Path;

use super::super::proxy::Proxy;
use super::super::settings::ProxySetting;
use super::expand::{Tokens, expand};
use super::name::parse_name;

/// What a shell acts on. A name that has such a character could be a command.
///
/// Source: `valid_hostname` and `valid_ruser` of OpenSSH's client.
const SPECIAL: &str = "'`\"$\\;&<>|(){}*?[]#!~";

/// Works out which program leads to the host; `None` for the setting `none`.
///
/// # Errors
///
/// What is wrong with the setting, as the end of a sentence.
pub(super) fn plan_proxy(
    setting: &ProxySetting,
    config_file: Option<&Path>,
    tokens: &Tokens<'_>,
) -> Result<Option<Proxy>, String> {
    if setting.value().eq_ignore_ascii_case("none") {
        return Ok(None);
    }
    let (program, arguments) = match setting {
        ProxySetting::Jump(hops) => ("ssh", jump(hops, config_file, tokens)?),
        ProxySetting::Command(line) => ("/bin/sh", command(line, tokens)?),
    };
    Ok(Some(Proxy {
        setting: setting.to_string(),
        program: program.to_owned(),
        arguments,
    }))
}

/// The arguments of an `ssh` that leads through all hops.
///
/// Source: `main` of OpenSSH's client, which runs itself in the same way.
fn jump(
    hops: &str,
    config_file: Option<&Path>,
    tokens: &Tokens<'_>,
) -> Result<Vec<String>, String> {
    let (earlier, last) = match hops.rsplit_once(',') {
        Some((earlier, last)) => (Some(earlier.trim()), last.trim()),
        None => (None, hops.trim()),
    };
    let named = parse_name(last).ok_or_else(|| format!("`{last}` does not name a host"))?;
    let mut arguments = Vec::new();
    if let Some(file) = config_file {
        arguments.extend(["-F".to_owned(), file.display().to_string()]);
    }
    if let Some(earlier) = earlier {
        arguments.extend(["-J".to_owned(), earlier.to_owned()]);
    }
    if let Some(user) = named.user {
        arguments.extend(["-l".to_owned(), user]);
    }
    if let Some(port) = named.port {
        arguments.extend(["-p".to_owned(), port.to_string()]);
    }
    let target = format!("[{}]:{}", tokens.host, tokens.port);
    arguments.extend(["-W".to_owned(), target, "--".to_owned(), named.host]);
    Ok(arguments)
}

/// The arguments of a shell that runs the line.
fn command(line: &str, tokens: &Tokens<'_>) -> Result<Vec<String>, String> {
    for name in [tokens.original_host, &tokens.host, tokens.remote_user] {
        let is_special = |character: char| {
            SPECIAL.contains(character) || character.is_whitespace() || character.is_control()
        };
        if name.starts_with('-') || name.contains(is_special) {
            return Err(format!("a shell would act on a character in {name:?}"));
        }
    }
    // As OpenSSH has it, so that the program itself is ended with the connection.
    let line = format!("exec {}", expand(line, tokens));
    Ok(vec!["-c".to_owned(), line])
}
