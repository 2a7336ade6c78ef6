//! Lines of `authorized_keys` that allow exactly one command.

use flocker_model::{NodeId, NodeName};
use russh::keys::PublicKey;
use thiserror::Error;

/// A key that may log in, and to do what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizedKey<'a> {
    /// The key.
    pub key: &'a PublicKey,
    /// The command that runs whatever the client asks for. What it asked for
    /// is in the command's environment as `SSH_ORIGINAL_COMMAND`.
    pub command: &'a str,
    /// Whose key this is, for people who read the file.
    pub comment: &'a str,
}

/// A line cannot say this.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RenderAuthorizedKeyError {
    /// The format has no way to write control characters.
    #[error("{field} contains a line break or another control character: {value:?}")]
    ControlCharacter {
        /// `the command` or `the comment`.
        field: &'static str,
        /// The text.
        value: String,
    },
    /// A backslash before the closing quote would make it part of the command.
    #[error("the command ends with a backslash: {value:?}")]
    TrailingBackslash {
        /// The command.
        value: String,
    },
    /// The key has no textual form.
    #[error("the key cannot be written down")]
    Key(#[source] russh::keys::ssh_key::Error),
}

/// Renders one line, with its line break. All that SSH offers beside the
/// command is turned off: forwarding, terminals, `~/.ssh/rc`.
///
/// Source: "`AUTHORIZED_KEYS` FILE FORMAT" in `sshd(8)`.
///
/// # Errors
///
/// [`RenderAuthorizedKeyError`] for what the format cannot express.
pub fn render_authorized_key(
    authorized: &AuthorizedKey<'_>,
) -> Result<String, RenderAuthorizedKeyError> {
    let AuthorizedKey {
        key,
        command,
        comment,
    } = authorized;
    for (field, value) in [("the command", command), ("the comment", comment)] {
        if value.chars().any(char::is_control) {
            return Err(RenderAuthorizedKeyError::ControlCharacter {
                field,
                value: (*value).to_owned(),
            });
        }
    }
    if command.ends_with('\\') {
        return Err(RenderAuthorizedKeyError::TrailingBackslash {
            value: (*command).to_owned(),
        });
    }
    // sshd undoes \" and nothing else: a backslash elsewhere stays as it is.
    let command = command.replace('"', r#"\""#);
    let bare = PublicKey::new(key.key_data().clone(), "")
        .to_openssh()
        .map_err(RenderAuthorizedKeyError::Key)?;
    let line = format!("restrict,command=\"{command}\" {} {comment}", bare.trim());
    Ok(format!("{}\n", line.trim_end()))
}

/// Renders the line that lets a peer push to this node, and do nothing else. The command says who
/// the peer is, so that its key can only push in its own name.
///
/// `program` is how `flocker-node` is run with the rights that it needs.
///
/// # Errors
///
/// [`RenderAuthorizedKeyError`] for what the format cannot express.
pub fn render_peer(
    key: &PublicKey,
    program: &str,
    (id, name): (NodeId, &NodeName),
) -> Result<String, RenderAuthorizedKeyError> {
    render_authorized_key(&AuthorizedKey {
        key,
        command: &format!("{program} receive {id}"),
        comment: name.as_str(),
    })
}

#[cfg(test)]
mod tests {
    use russh::keys::PublicKey;

    use super::{AuthorizedKey, render_authorized_key};

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ old";

    fn render(command: &str, comment: &str) -> String {
        let key = PublicKey::from_openssh(KEY).unwrap();
        let authorized = AuthorizedKey {
            key: &key,
            command,
            comment,
        };
        match render_authorized_key(&authorized) {
            Ok(line) => line,
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn a_line_allows_one_command_and_nothing_else() {
        insta::assert_snapshot!(render("sudo -n /usr/bin/flocker-node receive", "flocker db1"), @r#"restrict,command="sudo -n /usr/bin/flocker-node receive" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ flocker db1"#);
        insta::assert_snapshot!(render(r#"echo "a\b""#, ""), @r#"restrict,command="echo \"a\b\"" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ"#);
    }

    #[test]
    fn what_the_format_cannot_say_is_refused() {
        insta::assert_snapshot!(render("true\nssh-rsa AAAA", ""), @r#"error: the command contains a line break or another control character: "true\nssh-rsa AAAA""#);
        insta::assert_snapshot!(render("true", "x\ny"), @r#"error: the comment contains a line break or another control character: "x\ny""#);
        insta::assert_snapshot!(render("true \\", ""), @r#"error: the command ends with a backslash: "true \\""#);
    }
}
