//! What keeps nodes from reaching each other, in words.

use std::fmt;

use flocker_model::{LoginRefusal, LoginSetting, NodeName};

use super::{BlockedKind, list};

impl BlockedKind {
    /// Writes what keeps nodes from reaching each other.
    pub(super) fn fmt_about_access(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SharedAddress { nodes, address } => write!(
                f,
                "{} have the same address {address}, at which other nodes reach only one of them",
                list(nodes)
            ),
            Self::AddressOfItself { node, address } => write!(
                f,
                "the address of {node} is {address}, at which no other node reaches it"
            ),
            Self::PeersRefused { node, refusal } => write!(
                f,
                "the sshd of {node} refuses other nodes, which log in as `{}` to push: it has `{refusal}`",
                refusal.user
            ),
            // Not about that.
            _ => Ok(()),
        }
    }

    /// Says what can be done about it.
    pub(super) fn hint_about_access(&self) -> String {
        match self {
            Self::SharedAddress { .. } => "write the address at which other nodes reach each of \
                 them in its own /etc/flocker/node.toml: `address = \"ADDRESS\"`"
                .to_owned(),
            Self::AddressOfItself { node, .. } => give_address(node),
            Self::PeersRefused { node, refusal } => let_in(node, refusal),
            // Not about that.
            _ => String::new(),
        }
    }
}

/// Says how a node is given the address at which its peers reach it.
pub(super) fn give_address(node: &NodeName) -> String {
    format!(
        "write the address at which other nodes reach {node} in /etc/flocker/node.toml there: \
         `address = \"ADDRESS\"`"
    )
}

/// Says how an SSH server lets its peers in.
fn let_in(node: &NodeName, refusal: &LoginRefusal) -> String {
    let LoginRefusal { user, setting, .. } = refusal;
    let change = match setting {
        LoginSetting::AllowUsers | LoginSetting::AllowGroups => {
            format!("write `{refusal} {user}` in its place")
        }
        LoginSetting::DenyUsers => format!("take `{user}` out of it"),
        LoginSetting::DenyGroups => format!("take the group of `{user}` out of it"),
        LoginSetting::AuthorizedKeysFile => "write `Include /etc/ssh/sshd_config.d/*.conf` as the \
             first line, so that sshd finds Flocker's settings"
            .to_owned(),
    };
    format!(
        "in /etc/ssh/sshd_config on {node} {change}, reload sshd there, and deploy again; `{user}` \
         can do nothing but push volumes and images"
    )
}
