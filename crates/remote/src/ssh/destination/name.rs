//! The forms in which a node may be written.

/// A node's name taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct WrittenName {
    pub(in super::super) user: Option<String>,
    pub(in super::super) host: String,
    pub(in super::super) port: Option<u16>,
}

/// Takes `[ssh://][user@]host[:port]` apart. An IPv6 address may stand alone,
/// or in brackets, which it needs to be followed by a port.
///
/// Source: `ssh(1)`.
pub(super) fn parse_name(name: &str) -> Option<WrittenName> {
    let rest = name.strip_prefix("ssh://").unwrap_or(name);
    // As in ssh(1), the user's name may itself contain an @.
    let (user, rest) = match rest.rsplit_once('@') {
        Some((user, rest)) => (Some(user.to_owned()), rest),
        None => (None, rest),
    };
    let (host, port) = split_port(rest)?;
    let acceptable = |character: char| {
        !character.is_whitespace()
            && !character.is_control()
            && !"/@[]\"'$`;|&<>".contains(character)
            // In `known_hosts` these would make the name a pattern, a list or a comment.
            && !"*?!,#".contains(character)
    };
    // A leading dash is what an injected option would look like.
    if host.is_empty() || host.starts_with('-') || !host.chars().all(acceptable) {
        return None;
    }
    if user
        .as_deref()
        .is_some_and(|user| user.is_empty() || user.starts_with('-'))
    {
        return None;
    }
    Some(WrittenName {
        user,
        host: host.to_owned(),
        port,
    })
}

fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let (host, after) = bracketed.split_once(']')?;
        return match after.strip_prefix(':') {
            Some(port) => Some((host, Some(parse_port(port)?))),
            None if after.is_empty() => Some((host, None)),
            None => None,
        };
    }
    match text.split_once(':') {
        None => Some((text, None)),
        // More than one colon: an IPv6 address.
        Some((_, rest)) if rest.contains(':') => Some((text, None)),
        Some((host, port)) => Some((host, Some(parse_port(port)?))),
    }
}

fn parse_port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port != 0)
}
