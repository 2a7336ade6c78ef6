//! Which user and group an image runs as: pure.

/// Finds the numbers of the user and group that `user` names, as Docker does: `USER`, `USER:GROUP`,
/// each a name or a number. `passwd` and `group` are the image's own files.
///
/// **Source**: Dockerfile reference, `USER`; `passwd(5)`, `group(5)`.
pub(crate) fn find_user(user: &str, passwd: &str, group: &str) -> Option<(u32, u32)> {
    let (name, group_name) = match user.split_once(':') {
        Some((name, group_name)) => (name, Some(group_name)),
        None => (user, None),
    };
    let account = entries(passwd).find(|fields| {
        let number = fields.get(2).copied();
        fields.first() == Some(&name) || number == Some(name)
    });
    let field = |index: usize| account.as_ref()?.get(index)?.parse().ok();
    let uid = name.parse().ok().or_else(|| field(2))?;
    let gid = match group_name {
        None => field(3).unwrap_or(0),
        Some(wanted) => wanted.parse().ok().or_else(|| {
            let found = entries(group).find(|fields| fields.first() == Some(&wanted))?;
            found.get(2)?.parse().ok()
        })?,
    };
    Some((uid, gid))
}

/// Splits the lines of such a file into their fields.
fn entries(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.split(':').collect())
}

#[cfg(test)]
mod tests {
    use super::find_user;

    #[test]
    fn users_are_found_as_docker_finds_them() {
        let passwd = "root:x:0:0::/root:/bin/sh\npostgres:x:999:998::/:/bin/sh\n";
        let group = "root:x:0:\nssl-cert:x:101:postgres\n";
        let find = |user: &str| find_user(user, passwd, group);
        assert_eq!(find("postgres"), Some((999, 998)));
        assert_eq!(find("999"), Some((999, 998)));
        assert_eq!(find("1000"), Some((1000, 0)));
        assert_eq!(find("1000:1001"), Some((1000, 1001)));
        assert_eq!(find("postgres:ssl-cert"), Some((999, 101)));
        assert_eq!(find("nobody-knows"), None);
        assert_eq!(find("postgres:nobody-knows"), None);
    }
}
