//! Guesses what was meant by a word that is not known.

/// Returns the candidate that `word` is most probably a misspelling of.
///
/// A guess may differ by a third of the word's length, by one letter at least: a wrong guess
/// costs the reader more than none.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = word.to_lowercase();
    let length = word.chars().count();
    // Any name of one letter is one letter away from any other.
    if length < 2 {
        return None;
    }
    let tolerance = (length / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= tolerance)
        .map(|candidate| {
            let distance = strsim::osa_distance(&word, &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|(distance, _)| *distance <= tolerance)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Returns the one candidate of which `word` is a part, or that is a part of `word`: people write
/// `pgsql` for `pgsql-trac`.
pub(crate) fn containing<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if word.len() < 3 {
        return None;
    }
    let mut found = candidates
        .into_iter()
        .filter(|candidate| candidate.contains(word) || word.contains(candidate));
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_guessed_and_a_distant_one_is_not() {
        let names = ["trac", "pgsql-trac", "kibana-trac"];
        assert_eq!(nearest("pqsql-trac", names), Some("pgsql-trac"));
        assert_eq!(nearest("Trca", names), Some("trac"));
        assert_eq!(nearest("redis", names), None);
        assert_eq!(nearest("", names), None);
        assert_eq!(nearest("c", ["a", "b"]), None);
    }

    #[test]
    fn a_part_is_guessed_only_if_it_is_a_part_of_one_name() {
        let names = ["trac", "pgsql-trac", "kibana-trac"];
        assert_eq!(containing("pgsql", names), Some("pgsql-trac"));
        assert_eq!(containing("rac", names), None);
    }
}
