//! Words of the commands that messages tell people to type.

/// Quotes a word for a POSIX shell if it needs that.
///
/// **Source**: POSIX.1-2024, Shell Command Language, 2.2.2 Single-Quotes.
#[must_use]
pub fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_that_a_shell_would_change_are_quoted() {
        for (word, quoted) in [
            ("data=docker-volume:a_b", "data=docker-volume:a_b"),
            ("/srv/My Shop", "'/srv/My Shop'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
        ] {
            assert_eq!(shell_word(word), quoted);
        }
    }
}
