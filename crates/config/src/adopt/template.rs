//! `${NAME}` in the values of Compose files, and what stands for it.
//!
//! **Source**: Compose Specification, "Interpolation".

use std::ops::Range;

/// Variables inside of defaults of variables, at most.
const MAXIMUM_DEPTH: usize = 8;

/// The values of variables.
pub(crate) type Lookup<'l> = &'l dyn Fn(&str) -> Option<String>;

/// A text whose variables are replaced.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Substituted {
    pub(crate) text: String,
    /// The names of the variables that have a value and were used.
    pub(crate) used: Vec<String>,
}

/// A variable that cannot be replaced, and where it is in the text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) range: Range<usize>,
    pub(crate) problem: Problem,
}

/// Why a variable cannot be replaced.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// It has no value, and the file has no default.
    Unset(String),
    /// It has no value, and the file says what to do.
    Required { name: String, message: String },
    /// The closing brace is missing.
    Open,
    /// It is no variable at all.
    Malformed,
}

/// Replaces every variable of `text`.
///
/// # Errors
/// Returns each variable that cannot be replaced.
pub(crate) fn substitute(text: &str, lookup: Lookup<'_>) -> Result<Substituted, Vec<Fault>> {
    let mut writer = Writer {
        lookup,
        result: Substituted::default(),
        faults: Vec::new(),
    };
    writer.expand(text, 0, 0);
    if writer.faults.is_empty() {
        Ok(writer.result)
    } else {
        Err(writer.faults)
    }
}

/// Makes every dollar two, which our own readers read as one.
pub(crate) fn escape_dollars(text: &str) -> String {
    text.replace('$', "$$")
}

struct Writer<'l> {
    lookup: Lookup<'l>,
    result: Substituted,
    faults: Vec<Fault>,
}

impl Writer<'_> {
    /// Appends `text`, which begins at `offset` of the whole.
    fn expand(&mut self, text: &str, offset: usize, depth: usize) {
        let mut position = 0;
        while let Some(found) = text[position..].find('$') {
            let start = position + found;
            self.result.text.push_str(&text[position..start]);
            let after = &text[start + 1..];
            let length = if after.starts_with('$') {
                self.result.text.push('$');
                1
            } else if after.starts_with('{') {
                let Some(end) = closing_brace(after) else {
                    return self.fail(offset + start..offset + start + 2, Problem::Open);
                };
                let place = offset + start..offset + start + 1 + end;
                self.braced(&after[1..end - 1], &place, depth);
                end
            } else {
                let end = name_length(after);
                let place = offset + start..offset + start + 1 + end;
                if end == 0 {
                    self.fail(place, Problem::Malformed);
                } else {
                    self.value(&after[..end], place);
                }
                end
            };
            position = start + 1 + length;
        }
        self.result.text.push_str(&text[position..]);
    }

    /// Appends what stands for `${inner}`.
    fn braced(&mut self, inner: &str, place: &Range<usize>, depth: usize) {
        let (name, rest) = inner.split_at(name_length(inner));
        if name.is_empty() || depth == MAXIMUM_DEPTH {
            return self.fail(place.clone(), Problem::Malformed);
        }
        let (empty_counts, operator) = match rest.strip_prefix(':') {
            Some(operator) => (false, operator),
            None => (true, rest),
        };
        let value = (self.lookup)(name).filter(|value| empty_counts || !value.is_empty());
        let Some(kind) = operator.chars().next() else {
            return if rest.is_empty() {
                self.value(name, place.clone());
            } else {
                self.fail(place.clone(), Problem::Malformed);
            };
        };
        let word = &operator[kind.len_utf8()..];
        let offset = place.end - 1 - word.len();
        match (kind, value) {
            ('-' | '?', Some(value)) => self.push(name, &value),
            ('-', None) | ('+', Some(_)) => self.expand(word, offset, depth + 1),
            ('+', None) => {}
            ('?', None) => {
                let (name, message) = (name.to_owned(), word.to_owned());
                self.fail(place.clone(), Problem::Required { name, message });
            }
            _ => self.fail(place.clone(), Problem::Malformed),
        }
    }

    fn value(&mut self, name: &str, place: Range<usize>) {
        match (self.lookup)(name) {
            Some(value) => self.push(name, &value),
            None => self.fail(place, Problem::Unset(name.to_owned())),
        }
    }

    fn push(&mut self, name: &str, value: &str) {
        self.result.used.push(name.to_owned());
        self.result.text.push_str(value);
    }

    fn fail(&mut self, range: Range<usize>, problem: Problem) {
        self.faults.push(Fault { range, problem });
    }
}

/// Returns how many characters at the start of `text` are a variable's name.
fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.find(|c| !is_part(c)).unwrap_or(text.len())
}

/// Finds the end of `{…}`, in which there may be other `${…}`.
fn closing_brace(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 1_usize;
    let mut position = 1;
    while position < bytes.len() {
        match bytes[position] {
            b'$' if bytes.get(position + 1) == Some(&b'{') => {
                depth += 1;
                position += 1;
            }
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(position + 1);
                }
            }
            _ => {}
        }
        position += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        match name {
            "A" => Some("one".to_owned()),
            "_B2" => Some("t$wo".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn every_form_of_a_variable_is_replaced() {
        for (text, expected) in [
            ("a$A-b", "aone-b"),
            ("${A}${_B2}", "onet$wo"),
            ("$$A $${A} $$$A", "$A ${A} $one"),
            ("${EMPTY}", ""),
            ("${EMPTY-x}${EMPTY:-y}", "y"),
            ("${NO:-x}${NO-y}", "xy"),
            ("${NO:-}${NO-}", ""),
            ("${A:?no}${EMPTY?no}", "one"),
            ("${A:+x}${A+y}${NO:+z}${NO+z}${EMPTY:+z}${EMPTY+e}", "xye"),
            ("${NO:-${A}/${NO:-b}}}", "one/b}"),
            ("${NO:-http://${A}:80/?a=b}", "http://one:80/?a=b"),
            ("ä${A}ö", "äoneö"),
            ("plain", "plain"),
        ] {
            let found = substitute(text, &lookup).map(|found| found.text);
            assert_eq!(found.as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn each_fault_is_found_where_it_is() {
        let faults = |text| substitute(text, &lookup).unwrap_err();
        let fault = |range, problem| Fault { range, problem };
        let unset = |name: &str| Problem::Unset(name.to_owned());
        assert_eq!(
            faults("ä$NO${X}"),
            [fault(2..5, unset("NO")), fault(5..9, unset("X"))]
        );
        assert_eq!(faults("${NO:-a${X}}"), [fault(7..11, unset("X"))]);
        let required = Problem::Required {
            name: "NO".to_owned(),
            message: "set it".to_owned(),
        };
        assert_eq!(faults("a${NO:?set it}"), [fault(1..14, required)]);
        assert_eq!(faults("a${A"), [fault(1..3, Problem::Open)]);
        for text in [
            "$(date)", "$1", "$", "${}", "${1}", "${A!b}", "${A:}", "${A:b}",
        ] {
            let problems = faults(text);
            assert_eq!(problems[0].problem, Problem::Malformed, "{text}");
        }
    }

    #[test]
    fn variables_in_variables_end() {
        let text = "${X:-".repeat(100) + &"}".repeat(100);
        assert_eq!(
            substitute(&text, &lookup).unwrap_err()[0].problem,
            Problem::Malformed
        );
    }
}
