//! `healthcheck`, `depends_on` and `restart`, and what is said about mistakes in them.

#![expect(clippy::unwrap_used, reason = "tests: what is not expected must fail")]

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use flocker_config::{Diagnostics, Parsed, Source, parse_with_warnings};
use flocker_model::{
    Application, CheckPeriod, CheckSettings, CheckTest, DependencyCondition, HealthCheck,
    RestartPolicy,
};

use DependencyCondition::{Completed, Healthy, Started};

/// Reads an application configuration with these applications placed.
fn read(application: &str, placed: &[&str]) -> Result<Parsed, Diagnostics> {
    let deployment = format!("nodes: {{1.1.1.1: [{}]}}", placed.join(", "));
    parse_with_warnings(
        Source {
            name: "application.yml",
            bytes: application.as_bytes(),
        },
        Source {
            name: "deployment.yml",
            bytes: deployment.as_bytes(),
        },
    )
}

/// Returns the application `name` of a file that is right.
fn accepted(application: &str, name: &str) -> Application {
    let parsed = read(application, &[]).unwrap();
    parsed.deployment.applications[&name.parse().unwrap()].clone()
}

/// Returns the check of one application whose `healthcheck` is this.
fn check(text: &str) -> Option<HealthCheck> {
    accepted(&format!("a: {{image: x, healthcheck: {text}}}"), "a").health_check
}

/// Returns what is said about each file.
fn said(files: &[(&str, &[&str])]) -> String {
    let render = |(text, placed): &(&str, &[&str])| match read(text, placed) {
        Ok(parsed) => format!("{text}{}", parsed.warnings),
        Err(diagnostics) => format!("{text}{diagnostics}"),
    };
    let said: Vec<String> = files.iter().map(render).collect();
    said.join("\n====\n")
}

#[test]
fn every_form_of_a_test_is_read() {
    let test = |text: &str| match check(text) {
        Some(HealthCheck::Enabled(settings)) => settings.test,
        _ => None,
    };
    let shell = |text: &str| Some(CheckTest::Shell(text.to_owned()));
    assert_eq!(
        test("{test: curl -f http://localhost}"),
        shell("curl -f http://localhost")
    );
    assert_eq!(
        test("{test: [CMD-SHELL, \"pg_isready -U $$USER || exit 1\"]}"),
        shell("pg_isready -U $USER || exit 1")
    );
    let words = ["redis-cli", "ping"].map(str::to_owned).to_vec();
    assert_eq!(
        test("{test: [CMD, redis-cli, ping]}"),
        Some(CheckTest::Command(words))
    );
    for text in [
        "{disable: true}",
        "{test: [NONE]}",
        "{test: [NONE], disable: true}",
    ] {
        assert_eq!(check(text), Some(HealthCheck::Disabled), "{text}");
    }
    assert_eq!(check("{disable: false}"), None);
}

#[test]
fn a_check_has_all_settings_of_compose() {
    let period = |milliseconds| CheckPeriod::from_milliseconds(milliseconds);
    let settings = CheckSettings {
        test: None,
        interval: period(90_000),
        timeout: period(10_000),
        retries: NonZeroU16::new(120),
        start_period: period(40_000),
        start_interval: period(500),
    };
    let text = "{interval: 1m30s, timeout: 10s, retries: 120, start_period: 40s, \
                start_interval: 500ms}";
    assert_eq!(check(text), Some(HealthCheck::Enabled(settings)));
    // Compose's own default, which many files have.
    assert_eq!(check("{start_period: 0s}"), None);
}

#[test]
fn wrong_checks_are_answered_with_what_to_write() {
    let text = said(&[
        ("a: {image: x, healthcheck: pg_isready}\n", &[]),
        ("a: {image: x, healthcheck: {}}\n", &[]),
        (
            "a: {image: x, healthcheck: {test: [pg_isready, -q]}}\n",
            &[],
        ),
        (
            "a: {image: x, healthcheck: {test: [CMD_SHELL, pg_isready]}}\n",
            &[],
        ),
        (
            "a: {image: x, healthcheck: {test: [CMD-SHELL, pg_isready, -q]}}\n",
            &[],
        ),
        ("a: {image: x, healthcheck: {test: [CMD]}}\n", &[]),
        ("a: {image: x, healthcheck: {test: []}}\n", &[]),
        ("a: {image: x, healthcheck: {test: \"\"}}\n", &[]),
        ("a: {image: x, healthcheck: {test: [CMD, a, 3]}}\n", &[]),
        ("a: {image: x, healthcheck: {test: \"a ${B}\"}}\n", &[]),
        (
            "a: {image: x, healthcheck: {test: a, disable: true}}\n",
            &[],
        ),
        ("a: {image: x, healthcheck: {disable: maybe}}\n", &[]),
        ("a: {image: x, healthcheck: {interval: 30}}\n", &[]),
        ("a: {image: x, healthcheck: {interval: 0s}}\n", &[]),
        ("a: {image: x, healthcheck: {timeout: 100us}}\n", &[]),
        ("a: {image: x, healthcheck: {start_period: 48h}}\n", &[]),
        ("a: {image: x, healthcheck: {retries: 0}}\n", &[]),
        ("a: {image: x, healthcheck: {retry: 3}}\n", &[]),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn dependencies_are_a_list_or_have_conditions() {
    let file = "\
a: {image: x, depends_on: [b, c]}
b: {image: x, restart: no}
c: {image: x}
d:
  image: x
  depends_on:
    a: {condition: service_started}
    b: {condition: service_completed_successfully, required: false}
    c: {condition: service_healthy}
";
    let named = |pairs: &[(&str, DependencyCondition)]| -> BTreeMap<_, _> {
        let pairs = pairs.iter();
        pairs
            .map(|(name, it)| (name.parse().unwrap(), *it))
            .collect()
    };
    let list = accepted(file, "a").depends_on;
    assert_eq!(list, named(&[("b", Started), ("c", Started)]));
    let mapping = accepted(file, "d").depends_on;
    assert_eq!(
        mapping,
        named(&[("a", Started), ("b", Completed), ("c", Healthy)])
    );
    // What is not required need not be placed.
    read(file, &["a", "c", "d"]).unwrap_err();
    let optional = file.replace("[b, c]", "[c]");
    read(&optional, &["a", "c", "d"]).unwrap();
}

#[test]
fn wrong_dependencies_are_answered_with_what_to_write() {
    let text = said(&[
        ("web: {image: x, depends_on: db}\ndb: {image: x}\n", &[]),
        (
            "web: {image: x, depends_on: [dbs, web]}\ndb: {image: x}\n",
            &[],
        ),
        (
            "web: {image: x, depends_on: [db, db]}\ndb: {image: x}\n",
            &[],
        ),
        ("web: {image: x, depends_on: {db: }}\ndb: {image: x}\n", &[]),
        (
            "web: {image: x, depends_on: {db: {}}}\ndb: {image: x}\n",
            &[],
        ),
        (
            "web: {image: x, depends_on: {db: {condition: healthy}}}\ndb: {image: x}\n",
            &[],
        ),
        (
            "web: {image: x, depends_on: {db: {condition: service_heathy}}}\ndb: {image: x}\n",
            &[],
        ),
        (
            "web: {image: x, depends_on: {db: {condition: service_healthy}}}\n\
             db: {image: x, healthcheck: {disable: true}}\n",
            &[],
        ),
        (
            "web: {image: x, depends_on: {db: {condition: service_completed_successfully}}}\n\
             db: {image: x}\n",
            &[],
        ),
        (
            "web: {image: x, depends_on: {db: {condition: service_started, restart: true}}}\n\
             db: {image: x}\n",
            &["web", "db"],
        ),
        (
            "web: {image: x, depends_on: [db]}\ndb: {image: x}\n",
            &["web"],
        ),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn a_circle_of_dependencies_is_shown_with_all_its_places() {
    let file = "\
a: {image: x, depends_on: [b]}
b: {image: x, depends_on: [c, d]}
c: {image: x, depends_on: [a]}
d: {image: x}
";
    insta::assert_snapshot!(read(file, &[]).unwrap_err());
}

/// An application that sees a volume is started after the one that has it.
#[test]
fn a_volume_that_is_seen_is_part_of_a_circle() {
    let file = "\
a: {image: x, volume: /data, depends_on: [b]}
b: {image: x, volumes_from: [a]}
";
    insta::assert_snapshot!(read(file, &[]).unwrap_err());
}

#[test]
fn restart_policies_have_composes_names_too() {
    let policy = |text: &str| {
        let file = format!("a: {{image: x, restart: {text}}}");
        read(&file, &[]).map(|_| accepted(&file, "a").restart).ok()
    };
    assert_eq!(policy("no"), Some(RestartPolicy::Never));
    assert_eq!(policy("\"no\""), Some(RestartPolicy::Never));
    let five = NonZeroU16::new(5).unwrap();
    assert_eq!(
        policy("on-failure:5"),
        Some(RestartPolicy::OnFailureUpTo(five))
    );
    for text in [
        "on-failure:0",
        "on-failure:x",
        "on-failure:70000",
        "unless-stopped",
        "false",
    ] {
        assert_eq!(policy(text), None, "{text}");
    }
}
