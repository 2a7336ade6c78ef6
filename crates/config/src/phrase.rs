//! How messages quote what the operator wrote.

use crate::render::visible_character;

/// Characters of a quotation that are kept.
pub(crate) const QUOTED_CHARACTERS: usize = 64;

/// Quotes text in backticks, cut to what fits a line and without control characters.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted: String = text
        .chars()
        .take(QUOTED_CHARACTERS)
        .map(visible_character)
        .collect();
    if text.chars().nth(QUOTED_CHARACTERS).is_some() {
        quoted.push_str("...");
    }
    format!("`{quoted}`")
}

/// Quotes text in backticks that is to be copied and so is whole, without control characters.
pub(crate) fn quote_whole(text: &str) -> String {
    let text: String = text.chars().map(visible_character).collect();
    format!("`{text}`")
}

/// Joins words as a sentence does: "`a`, `b` and `c`".
pub(crate) fn enumerate(words: &[&str], conjunction: &str) -> String {
    let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} {conjunction} {last}", others.join(", ")),
    }
}

/// Writes text as a YAML string in double quotes.
pub(crate) fn double_quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}
