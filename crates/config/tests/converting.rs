//! What `convert` writes in the place of values and paths.

use std::collections::BTreeMap;

use flocker_config::{Parsed, Source, convert, convert_into};

mod machine;

use machine::{Machine, parse_on};

fn machine() -> Machine {
    Machine {
        variables: BTreeMap::from([("TOKEN", "t$1"), ("EMPTY", ""), ("URL", "http://web:80/")]),
        files: BTreeMap::from([
            (".env", "STORED=s\n"),
            ("./a.env", "ONE=a\nTWO='x$y'\n"),
            ("b.env", "ONE=b\nTHREE=3\n"),
            ("./other.env", "ONE=1\nFOUR=${ONE}4\n"),
        ]),
        directories: Vec::new(),
    }
}

fn source<'s>(name: &'s str, text: &'s str) -> Source<'s> {
    let bytes = text.as_bytes();
    Source { name, bytes }
}

/// Reads a file with the values that the machine has.
fn read(text: &str, machine: &Machine) -> Parsed {
    let one = source("compose.yaml", text);
    let other = source("deployment.yml", "nodes: {1.1.1.1: []}");
    let parsed = parse_on((one, other), machine, |wanted| {
        let shown = wanted.to_string();
        let name = shown.split('`').nth(1).unwrap_or_default();
        let known = machine.variables.get(name).or(machine.files.get(name));
        known.unwrap_or(&"?")
    });
    parsed.unwrap_or_else(|wrong| panic!("{text}\n{wrong}"))
}

fn converted(text: &str, prefix: &str) -> String {
    let converted = convert_into(&[source("compose.yaml", text)], &machine(), &|_| {
        prefix.to_owned()
    });
    let converted = converted.unwrap_or_else(|wrong| panic!("{text}\n{wrong}"));
    converted.application.unwrap_or_default()
}

#[test]
fn a_value_with_an_exact_counterpart_is_not_written_out() {
    let text = "
services:
  app:
    image: x
    restart: always
    environment:
      TOKEN:
      URL:
      ONE: '1'
    env_file: [./a.env, b.env]
    secrets: [pw]
  list:
    image: x
    restart: always
    environment: [TOKEN]
    env_file: ./a.env
  web:
    image: nginx
    restart: always
secrets: {pw: {environment: TOKEN}}
";
    let written = converted(text, "");
    insta::assert_snapshot!(written);
    let same = read(&written, &machine()).deployment;
    assert_eq!(same, read(text, &machine()).deployment);
}

#[test]
fn a_value_without_an_exact_counterpart_is_written_out_with_a_warning() {
    let text = "
services:
  app:
    image: x
    restart: always
    environment: [EMPTY, STORED]
    env_file: [./a.env, ./other.env]
    secrets: [pw]
secrets: {pw: {environment: STORED}}
";
    let written = converted(text, "");
    insta::assert_snapshot!(written);
    let same = read(&written, &machine()).deployment;
    assert_eq!(same, read(text, &machine()).deployment);
}

#[test]
fn paths_lead_from_the_new_file_to_the_old_directory() {
    let compose = "
services:
  app:
    image: x
    restart: always
    env_file: ./a.env
    volumes: ['./b.env:/b.env:ro', '/etc/hosts:/hosts:ro']
    secrets: [pw]
secrets: {pw: {file: pw.txt}}
";
    let mut machine = machine();
    machine.files.insert("./b.env", "");
    let converted = convert_into(&[source("compose.yaml", compose)], &machine, &|_| {
        "../shop".to_owned()
    })
    .unwrap();
    insta::assert_snapshot!(converted.application.unwrap());
    let ours = "
app:
  image: x
  env_file: [a.env, /srv/b.env]
  environment: {A: {from_file: ./a.txt}, B: {from_command: [./ask, b]}}
  files:
    /x: x.txt
";
    let converted = convert_into(&[source("application.yml", ours)], &machine, &|_| {
        "..".to_owned()
    })
    .unwrap();
    insta::assert_snapshot!(format!(
        "{}---\n{}",
        converted.application.unwrap(),
        converted.warnings
    ));
    let same = convert(&[source("application.yml", ours)], &machine).unwrap();
    assert!(same.warnings.is_empty(), "{}", same.warnings);
}
