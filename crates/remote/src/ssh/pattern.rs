//! The wildcard patterns shared by `ssh_config` and `known_hosts`.

/// Tells whether `text` matches `pattern`, in which `*` stands for any run of
/// characters and `?` for exactly one.
///
/// Source: PATTERNS in `ssh_config(5)`.
pub(super) fn matches_pattern(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut at_pattern, mut at_text) = (0, 0);
    // Where to resume after the latest `*` when the rest does not fit.
    let mut retry: Option<(usize, usize)> = None;
    while at_text < text.len() {
        match pattern.get(at_pattern) {
            Some('*') => {
                retry = Some((at_pattern + 1, at_text));
                at_pattern += 1;
            }
            Some(&wanted) if wanted == '?' || wanted == text[at_text] => {
                at_pattern += 1;
                at_text += 1;
            }
            _ => match retry {
                Some((after_star, consumed)) => {
                    at_pattern = after_star;
                    at_text = consumed + 1;
                    retry = Some((after_star, consumed + 1));
                }
                None => return false,
            },
        }
    }
    pattern[at_pattern..].iter().all(|rest| *rest == '*')
}

/// Tells whether `text` matches a list of patterns: at least one matches, and
/// none of those written with a leading `!` does.
///
/// Source: PATTERNS in `ssh_config(5)`.
pub(super) fn matches_pattern_list<'a>(
    patterns: impl IntoIterator<Item = &'a str>,
    text: &str,
) -> bool {
    let mut matched = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(negated) if matches_pattern(negated, text) => return false,
            Some(_) => {}
            None => matched = matched || matches_pattern(pattern, text),
        }
    }
    matched
}

#[cfg(test)]
mod tests {
    use super::{matches_pattern, matches_pattern_list};

    #[test]
    fn wildcards_match_as_ssh_does() {
        for (pattern, text, expected) in [
            ("*", "anything", true),
            ("*", "", true),
            ("db?", "db1", true),
            ("db?", "db", false),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-d", false),
            ("10.0.*.?", "10.0.33.7", true),
        ] {
            assert_eq!(
                matches_pattern(pattern, text),
                expected,
                "{pattern} against {text}"
            );
        }
    }

    #[test]
    fn a_negated_pattern_wins_wherever_it_stands() {
        assert!(matches_pattern_list(["*.lan", "!old.lan"], "new.lan"));
        assert!(!matches_pattern_list(["*.lan", "!old.lan"], "old.lan"));
        assert!(!matches_pattern_list(["!old.lan", "*.lan"], "old.lan"));
        assert!(!matches_pattern_list(["!old.lan"], "new.lan"));
    }
}
