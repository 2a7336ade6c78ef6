//! The key `healthcheck`: how Docker finds out whether an application works.

use std::num::NonZeroU16;

use flocker_model::{CheckPeriod, CheckSettings, CheckTest, HealthCheck};

use crate::duration::{parse_check_period, parse_optional_period};
use crate::fields::Field;
use crate::keys::KnownKeys;
use crate::phrase::{double_quoted, quote, quote_line};
use crate::quantity::Refusal;
use crate::report::{Finding, Report};
use crate::source::{Located, Span};
use crate::suggest::nearest;
use crate::tree::{ScalarKind, Value};

const KEYS: KnownKeys = KnownKeys {
    keys: &[
        "test",
        "interval",
        "timeout",
        "retries",
        "start_period",
        "start_interval",
        "disable",
    ],
    foreign: &[],
};

const EXAMPLE: &str = "write `healthcheck: {test: [CMD, pg_isready]}`";
const TEST_FORMS: &str =
    "write `[CMD, pg_isready]`, or `[CMD-SHELL, \"pg_isready || exit 1\"]` for a shell";

/// Reads the health check of the application that messages call `owner`, and where it is.
pub(crate) fn read_health_check(
    field: &Field<'_>,
    owner: &str,
    report: &mut Report,
) -> Option<Located<HealthCheck>> {
    let Some(entries) = field.value.entries() else {
        report.error(|| {
            let finding = field.wrong_type("a mapping");
            match field.value.text() {
                Some(command) => {
                    finding.hint(field.line(&format!("{{test: {}}}", double_quoted(command))))
                }
                None => finding.hint(EXAMPLE),
            }
        });
        return None;
    };
    let name = format!("the health check of {owner}");
    KEYS.check(&entries, &name, report);
    let of = |key: &str| field.value.get(key).map(|entry| Field::of(entry, &name));
    let test = of("test").and_then(|field| read_test(&field, report));
    let disabled = of("disable").and_then(|field| read_disable(&field, report));
    let mut settings = CheckSettings {
        test: None,
        interval: of("interval").and_then(|field| read_period(&field, report)),
        timeout: of("timeout").and_then(|field| read_period(&field, report)),
        retries: of("retries").and_then(|field| read_retries(&field, report)),
        start_period: of("start_period").and_then(|field| read_optional(&field, report)),
        start_interval: of("start_interval").and_then(|field| read_optional(&field, report)),
    };
    let check = match (test, disabled) {
        (Some(Test::Run { span, .. }), Some(disabled)) => {
            report.error(|| both(&name, span, disabled));
            return None;
        }
        (Some(Test::Never), _) | (None, Some(_)) => HealthCheck::Disabled,
        (Some(Test::Run { test, .. }), None) => {
            settings.test = Some(test);
            HealthCheck::Enabled(settings)
        }
        (None, None) if settings == CheckSettings::default() => {
            if entries.is_empty() {
                report.error(|| {
                    Finding::at(field.span(), format!("{} is empty", field.what)).hint(EXAMPLE)
                });
            }
            return None;
        }
        (None, None) => HealthCheck::Enabled(settings),
    };
    Some(Located {
        value: check,
        span: field.span(),
    })
}

/// The value of `test`.
enum Test {
    Run {
        test: CheckTest,
        span: Span,
    },
    /// The check of the image is not made either.
    Never,
}

fn both(name: &str, test: Span, disabled: Span) -> Finding {
    Finding::at(disabled, format!("{name} is disabled and has a `test`"))
        .also(test, "the test is here")
        .hint("remove one of them")
}

/// Reads what is run: a command line, or a list that begins with how it is run.
fn read_test(field: &Field<'_>, report: &mut Report) -> Option<Test> {
    let span = field.span();
    let Some(items) = field.value.items() else {
        if field.value.text().is_none() {
            report.error(|| field.wrong_type("a string or a list").hint(TEST_FORMS));
            return None;
        }
        let line = field.free_text(report)?.value;
        if line.is_empty() {
            report.error(|| Finding::at(span, format!("{} is empty", field.what)).hint(TEST_FORMS));
            return None;
        }
        let test = CheckTest::Shell(line);
        return Some(Test::Run { test, span });
    };
    let how = items.first().and_then(|item| item.text());
    let test = match (how, items.len()) {
        (Some("NONE"), 1) => return Some(Test::Never),
        (Some("CMD"), 2..) => CheckTest::Command(read_words(field, &items, report)?),
        (Some("CMD-SHELL"), 2) => CheckTest::Shell(read_words(field, &items, report)?.pop()?),
        _ => {
            report.error(|| wrong_list(field, &items));
            return None;
        }
    };
    Some(Test::Run { test, span })
}

/// Reads the words behind the first.
fn read_words(field: &Field<'_>, items: &[Value<'_>], report: &mut Report) -> Option<Vec<String>> {
    let name = format!("a word of {}", field.what);
    let mut words = Vec::with_capacity(items.len());
    for item in items.iter().skip(1) {
        words.push(Field::item(name.clone(), *item).free_text(report));
    }
    words
        .into_iter()
        .map(|word| word.map(|word| word.value))
        .collect()
}

/// Says what is wrong with a list that is no test.
fn wrong_list(field: &Field<'_>, items: &[Value<'_>]) -> Finding {
    let what = &field.what;
    let Some(first) = items.first() else {
        return Finding::at(field.span(), format!("{what} is an empty list")).hint(TEST_FORMS);
    };
    let words: Option<Vec<&str>> = items.iter().map(|item| item.text()).collect();
    let words = words.unwrap_or_default();
    match first.text() {
        Some("NONE") => Finding::at(field.span(), format!("{what} has words after `NONE`"))
            .hint("write `[NONE]`, or `disable: true`"),
        Some("CMD") => {
            Finding::at(field.span(), format!("{what} has nothing after `CMD`")).hint(TEST_FORMS)
        }
        Some("CMD-SHELL") => {
            let message = format!("{what} must have one command line after `CMD-SHELL`");
            let finding = Finding::at(field.span(), message);
            match words.get(1..).filter(|rest| rest.len() > 1) {
                Some(rest) => {
                    let line = double_quoted(&rest.join(" "));
                    finding.hint(format!(
                        "write {}",
                        quote_line(&format!("[CMD-SHELL, {line}]"))
                    ))
                }
                None => finding.hint(TEST_FORMS),
            }
        }
        _ => {
            let message = format!("{what} must begin with `CMD`, `CMD-SHELL` or `NONE`");
            let finding = Finding::at(first.span(), message);
            let guess = words
                .first()
                .and_then(|word| nearest(word, ["CMD", "CMD-SHELL", "NONE"]));
            if let Some(guess) = guess {
                return finding.hint(format!("did you mean {}?", quote(guess)));
            }
            if words.is_empty() {
                return finding.hint(TEST_FORMS);
            }
            let words: Vec<String> = words.iter().map(|word| double_quoted(word)).collect();
            let list = format!("[CMD, {}]", words.join(", "));
            finding.hint(format!("write {}", quote_line(&list)))
        }
    }
}

/// Reads `disable`, and returns where it is said that there is no check.
fn read_disable(field: &Field<'_>, report: &mut Report) -> Option<Span> {
    let scalar = field.value.scalar();
    let boolean = scalar.filter(|scalar| scalar.kind == ScalarKind::Boolean);
    match boolean.map(|scalar| scalar.text.to_ascii_lowercase()) {
        Some(text) if matches!(text.as_str(), "true" | "yes" | "on") => Some(field.span()),
        Some(_) => None,
        None => {
            report.error(|| {
                field
                    .wrong_type("`true` or `false`")
                    .hint(field.line("true"))
            });
            None
        }
    }
}

fn read_period(field: &Field<'_>, report: &mut Report) -> Option<CheckPeriod> {
    let period = field.parsed("a length of time", parse_check_period, report);
    period.map(|period| period.value)
}

fn read_optional(field: &Field<'_>, report: &mut Report) -> Option<CheckPeriod> {
    let period = field.parsed("a length of time", parse_optional_period, report);
    period.and_then(|period| period.value)
}

fn read_retries(field: &Field<'_>, report: &mut Report) -> Option<NonZeroU16> {
    let parse = |text: &str| {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<NonZeroU16>()
            .ok()
            .filter(|_| is_plain)
            .ok_or_else(|| {
                let hint = if text == "0" {
                    "leave it out: to Docker, 0 is the image's own number, or 3"
                } else {
                    "write how many checks in a row have to fail, such as `3`"
                };
                Refusal::new("is not a number of checks from 1 to 65535", hint)
            })
    };
    let retries = field.parsed("a number", parse, report);
    retries.map(|retries| retries.value)
}
