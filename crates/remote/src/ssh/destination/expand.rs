//! `~`, `%` tokens and `${VARIABLES}` in configuration values.

use super::Environment;

/// What the tokens stand for.
#[derive(Debug)]
pub(super) struct Tokens<'a> {
    /// The host as it was written.
    pub(super) original_host: &'a str,
    /// The host that is connected to.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) remote_user: &'a str,
    pub(super) environment: &'a Environment,
}

/// Expands a value. Tokens without a meaning here stay as they are.
///
/// Source: TOKENS and ENVIRONMENT VARIABLES in `ssh_config(5)`.
pub(super) fn expand(written: &str, tokens: &Tokens<'_>) -> String {
    let home = tokens.environment.home.to_string_lossy();
    let (mut expanded, mut rest) = match written.strip_prefix('~') {
        Some("") => return home.into_owned(),
        Some(path) if path.starts_with('/') => (home.clone().into_owned(), path),
        _ => (String::new(), written),
    };
    while let Some(at) = rest.find(['%', '$']) {
        expanded.push_str(&rest[..at]);
        rest = &rest[at..];
        let (value, length) = token_at(rest, tokens, &home);
        match value {
            Some(value) => expanded.push_str(&value),
            None => expanded.push_str(&rest[..length]),
        }
        rest = &rest[length..];
    }
    expanded.push_str(rest);
    expanded
}

/// The value of the token that `text` begins with, and its length in bytes.
fn token_at(text: &str, tokens: &Tokens<'_>, home: &str) -> (Option<String>, usize) {
    if let Some(after) = text.strip_prefix("${") {
        return match after.split_once('}') {
            Some((name, _)) => (
                tokens.environment.variables.get(name).cloned(),
                name.len() + 3,
            ),
            None => (None, 2),
        };
    }
    let value = match text.as_bytes().get(1) {
        Some(b'%') if text.starts_with('%') => "%".to_owned(),
        Some(b'd') if text.starts_with('%') => home.to_owned(),
        Some(b'h') if text.starts_with('%') => tokens.host.clone(),
        Some(b'n') if text.starts_with('%') => tokens.original_host.to_owned(),
        Some(b'p') if text.starts_with('%') => tokens.port.to_string(),
        Some(b'r') if text.starts_with('%') => tokens.remote_user.to_owned(),
        Some(b'u') if text.starts_with('%') => tokens.environment.user.clone(),
        _ => return (None, 1),
    };
    (Some(value), 2)
}
