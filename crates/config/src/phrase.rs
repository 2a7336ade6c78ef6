//! How messages quote what the operator wrote.

use crate::render::visible_character;

/// Characters of a quotation that are kept.
pub(crate) const QUOTED_CHARACTERS: usize = 64;

/// Characters that are kept of what is to be copied: a part of a line is of no use.
const COPIED_CHARACTERS: usize = 400;

/// Quotes text in backticks, cut to what fits a line and without control characters.
pub(crate) fn quote(text: &str) -> String {
    quote_up_to(QUOTED_CHARACTERS, text)
}

/// Quotes text that is to be copied, whole unless it is very long.
pub(crate) fn quote_line(text: &str) -> String {
    quote_up_to(COPIED_CHARACTERS, text)
}

fn quote_up_to(limit: usize, text: &str) -> String {
    let mut quoted: String = text.chars().take(limit).map(visible_character).collect();
    if text.chars().nth(limit).is_some() {
        quoted.push_str("...");
    }
    format!("`{quoted}`")
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
