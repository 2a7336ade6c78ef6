//! Whether a node's SSH server lets its peers in.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A setting of an SSH server that can keep an account out.
///
/// **Source**: `sshd_config(5)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoginSetting {
    /// Accounts that may not log in.
    DenyUsers,
    /// The only accounts that may log in.
    AllowUsers,
    /// Groups whose members may not log in.
    DenyGroups,
    /// The only groups whose members may log in.
    AllowGroups,
    /// The files with an account's keys.
    AuthorizedKeysFile,
}

impl fmt::Display for LoginSetting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::DenyUsers => "DenyUsers",
            Self::AllowUsers => "AllowUsers",
            Self::DenyGroups => "DenyGroups",
            Self::AllowGroups => "AllowGroups",
            Self::AuthorizedKeysFile => "AuthorizedKeysFile",
        })
    }
}

/// The setting with which a node's SSH server refuses the account through which its peers push.
///
/// Displays as a line of `sshd_config`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginRefusal {
    /// The account.
    pub user: String,
    /// The setting.
    pub setting: LoginSetting,
    /// Its value.
    pub value: String,
}

impl fmt::Display for LoginRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.setting, self.value)
    }
}
