//! Whether this machine's own SSH server lets an account in, as the server itself says.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use flocker_model::{LoginRefusal, LoginSetting};
use nix::unistd::{Group, User, getgrouplist};
use tokio::process::Command;

use super::pattern::matches_pattern;

/// Where the server's program is: on Debian, and on NixOS.
const PROGRAMS: [&str; 2] = ["/usr/sbin/sshd", "/run/current-system/sw/bin/sshd"];

/// How long the server may take to say what its settings are.
const PATIENCE: Duration = Duration::from_secs(5);

/// Somebody who may want to log in here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Login<'a> {
    /// The account.
    pub user: &'a str,
    /// Where the connection comes from.
    pub address: Ipv4Addr,
    /// The file that has the account's keys.
    pub authorized_keys: &'a Path,
}

/// The program of an SSH server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshServer {
    /// The program.
    pub program: PathBuf,
    /// Its configuration, if it is not the usual file.
    pub config_file: Option<PathBuf>,
}

impl SshServer {
    /// Finds this machine's server.
    pub fn find() -> Option<Self> {
        let program = PROGRAMS.iter().map(Path::new).find(|path| path.exists())?;
        Some(Self {
            program: program.to_owned(),
            config_file: None,
        })
    }

    /// Asks the server for the setting that keeps `login` out.
    ///
    /// `None` if it lets `login` in, and also if it does not say: whoever then logs in is told.
    pub async fn observe_refusal(&self, login: Login<'_>) -> Option<LoginRefusal> {
        let Login { user, address, .. } = login;
        let mut command = Command::new(&self.program);
        command.args(["-T", "-C"]);
        command.arg(format!("user={user},host={address},addr={address}"));
        if let Some(file) = &self.config_file {
            command.arg("-f").arg(file);
        }
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = match tokio::time::timeout(PATIENCE, command.output()).await {
            Ok(Ok(output)) if output.status.success() => output,
            Ok(Ok(output)) => {
                let said = String::from_utf8_lossy(&output.stderr);
                tracing::info!(%said, "sshd does not tell its settings");
                return None;
            }
            Ok(Err(error)) => {
                tracing::info!(%error, "sshd cannot be asked for its settings");
                return None;
            }
            Err(_) => {
                tracing::info!("sshd takes too long to tell its settings");
                return None;
            }
        };
        let text = String::from_utf8_lossy(&output.stdout);
        find_refusal(&text, login, &observe_groups(user))
    }
}

/// Lists the groups of an account by name; none if there is no such account.
fn observe_groups(user: &str) -> Vec<String> {
    let Ok(Some(account)) = User::from_name(user) else {
        return Vec::new();
    };
    let Ok(name) = std::ffi::CString::new(user) else {
        return Vec::new();
    };
    let groups = getgrouplist(&name, account.gid).unwrap_or_default();
    let named = groups
        .into_iter()
        .filter_map(|id| Group::from_gid(id).ok()?);
    named.map(|group| group.name).collect()
}

/// Finds the first setting in what `sshd -T` prints that keeps `login` out, in the order in which
/// the server looks at them. Its groups are not looked at if there are none.
///
/// **Source**: `sshd_config(5)`, `AllowUsers`.
pub fn find_refusal(text: &str, login: Login<'_>, groups: &[String]) -> Option<LoginRefusal> {
    let is_user = |pattern: &str| matches_account(pattern, login);
    // A pattern with a host lets peers in or not by where they come from, or by its name. Only sshd
    // knows that, so that such a pattern keeps nobody out here.
    let may_be_user = |pattern: &str| {
        let user = pattern.rsplit_once('@').map_or(pattern, |(user, _)| user);
        matches_pattern(user, login.user)
    };
    let is_group = |pattern: &str| groups.iter().any(|group| matches_pattern(pattern, group));
    let refused = |setting: LoginSetting| {
        let values = words(text, &setting.to_string());
        let keeps_out = match setting {
            LoginSetting::DenyUsers => values.iter().any(|pattern| is_user(pattern)),
            LoginSetting::AllowUsers => {
                !values.is_empty() && !values.iter().any(|pattern| may_be_user(pattern))
            }
            LoginSetting::DenyGroups => values.iter().any(|pattern| is_group(pattern)),
            LoginSetting::AllowGroups => {
                !groups.is_empty()
                    && !values.is_empty()
                    && !values.iter().any(|pattern| is_group(pattern))
            }
            LoginSetting::AuthorizedKeysFile => {
                // A file with a token in its name may be any, and a command may print any key.
                !values.is_empty()
                    && words(text, "AuthorizedKeysCommand").is_empty()
                    && values
                        .iter()
                        .all(|file| !file.contains('%') && Path::new(file) != login.authorized_keys)
            }
        };
        keeps_out.then(|| LoginRefusal {
            user: login.user.to_owned(),
            setting,
            value: values.join(" "),
        })
    };
    [
        LoginSetting::DenyUsers,
        LoginSetting::AllowUsers,
        LoginSetting::DenyGroups,
        LoginSetting::AllowGroups,
        LoginSetting::AuthorizedKeysFile,
    ]
    .into_iter()
    .find_map(refused)
}

/// Lists the words of all lines that `sshd -T` prints for one setting.
fn words<'a>(text: &'a str, keyword: &str) -> Vec<&'a str> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(word, _)| word.eq_ignore_ascii_case(keyword))
        .flat_map(|(_, value)| value.split_whitespace())
        // What it prints for a list that is empty.
        .filter(|value| *value != "none")
        .collect()
}

/// Tells whether `USER` or `USER@HOST` in a list of accounts means `login`.
fn matches_account(pattern: &str, login: Login<'_>) -> bool {
    match pattern.rsplit_once('@') {
        None => matches_pattern(pattern, login.user),
        Some((user, hosts)) => {
            matches_pattern(user, login.user) && matches_hosts(hosts, login.address)
        }
    }
}

/// Tells whether an address is in a list of addresses, networks and patterns. One with `!` takes its
/// addresses out of the list.
fn matches_hosts(list: &str, address: Ipv4Addr) -> bool {
    let text = address.to_string();
    let is_meant = |host: &str| is_in_network(host, address) || matches_pattern(host, &text);
    let mut found = false;
    for host in list.split(',') {
        match host.strip_prefix('!') {
            Some(host) if is_meant(host) => return false,
            Some(_) => {}
            None => found |= is_meant(host),
        }
    }
    found
}

/// Tells whether an address is in a network such as `10.0.0.0/8`.
fn is_in_network(network: &str, address: Ipv4Addr) -> bool {
    let Some((base, length)) = network.split_once('/') else {
        return false;
    };
    let (Ok(base), Ok(length)) = (base.parse::<Ipv4Addr>(), length.parse::<u32>()) else {
        return false;
    };
    let Some(shift) = 32_u32.checked_sub(length) else {
        return false;
    };
    // A network of all addresses leaves nothing to compare.
    let prefix = |address: Ipv4Addr| u32::from(address).checked_shr(shift).unwrap_or(0);
    prefix(base) == prefix(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &str = "/var/lib/flocker/ssh/authorized_keys";

    fn refusal(text: &str) -> Option<String> {
        let login = Login {
            user: "flocker",
            address: [10, 0, 0, 7].into(),
            authorized_keys: Path::new(KEYS),
        };
        find_refusal(text, login, &["flocker".to_owned(), "storage".to_owned()])
            .map(|refusal| refusal.to_string())
    }

    #[test]
    fn a_server_without_rules_lets_everybody_in() {
        assert_eq!(refusal(""), None);
        assert_eq!(refusal("port 22\npermitrootlogin no\n"), None);
        assert_eq!(refusal(&format!("authorizedkeysfile {KEYS}\n")), None);
    }

    #[test]
    fn a_rule_that_refuses_the_account_is_found() {
        for (text, expected) in [
            ("allowusers alice\nallowusers bob\n", "AllowUsers alice bob"),
            ("denyusers root\ndenyusers flo*\n", "DenyUsers root flo*"),
            ("allowgroups ops\n", "AllowGroups ops"),
            ("denygroups storage\n", "DenyGroups storage"),
            (
                "authorizedkeysfile .ssh/authorized_keys .ssh/authorized_keys2\n",
                "AuthorizedKeysFile .ssh/authorized_keys .ssh/authorized_keys2",
            ),
            // The server looks at those that are denied first.
            ("allowusers bob\ndenyusers flocker\n", "DenyUsers flocker"),
        ] {
            assert_eq!(refusal(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_rule_that_lets_the_account_in_is_no_refusal() {
        for text in [
            "allowusers alice\nallowusers flocker\n",
            "allowusers f?ocker\n",
            "allowusers *@10.0.0.7\n",
            // Where a peer comes from, and how its name is looked up, only the server knows.
            "allowusers flocker@10.0.1.*\n",
            "allowusers flocker@10.1.0.0/16\n",
            "allowusers flocker@10.0.0.*,!10.0.0.7\n",
            "allowusers flocker@*.internal\n",
            "allowusers flocker@10.0.0.0/8\n",
            "allowusers flocker@0.0.0.0/0\n",
            "denyusers flocker@10.0.1.*\n",
            "allowgroups storage\n",
            "denygroups ops\n",
            "authorizedkeysfile %h/ssh/authorized_keys\n",
            "authorizedkeysfile none\n",
            "authorizedkeysfile .ssh/keys\nauthorizedkeyscommand /usr/bin/keys\n",
            "authorizedkeyscommand none\n",
        ] {
            assert_eq!(refusal(text), None, "{text}");
        }
    }
}
