//! Whatever a Compose file contains, reading it ends, and what `convert` makes of it is the same
//! deployment.

use std::fmt::Write as _;

use flocker_config::{NoSurroundings, Source, convert, parse_with_warnings};
use proptest::prelude::*;

const COMPOSE: &str = "\
version: \"3\"
x-common: &common
  restart: unless-stopped
  environment: &environment {A: \"${NO:-a}\", B: 1.50}
services:
  web:
    <<: *common
    image: example/web:${TAG-1}
    ports: [\"8080:80\", 443, {target: 5, published: \"6\"}]
    command: [run, \"a # b\", '$$HOME', \"- x: [y]\"]
    cpus: 0.5
    deploy: {resources: {limits: {memory: 64m}}, replicas: 1}
    volumes: [data:/data, /more]
  db:
    image: example/db@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    environment: [C=d=e, 'D={x}', \"E=two\\nlines\"]
    networks: {back: {aliases: [database]}}
    stop_grace_period: 1m
    restart: on-failure
    ulimits: {nofile: {soft: 1, hard: 2}}
    expose: [5432]
volumes: {data: {driver: local}}
networks: {back: {}}
";

const FIG: &str = "\
web:
  image: example/web
  ports: [\"80:80\", \"443:8443\"]
  environment: [A=b, C=]
  mem_limit: 512m
  volumes: [/data]
";

const RELEASE: &str = "\
version: 1
applications:
  web:
    image: example/web
    ports: [{internal: 80, external: 8080}]
    links: [{alias: db, local_port: 1, remote_port: 2}]
    mem_limit: 100000000
    cpu_shares: 512
    restart_policy: {name: on-failure, maximum_retry_count: 10}
    command_line: run 'a b'
    volume: {mountpoint: /data, maximum_size: 500M}
  db: {image: example/db, ports: [{internal: 3, external: 2}]}
";

/// Pieces that readers of such files stumble over.
const PIECES: [&str; 36] = [
    "\n",
    "\n  ",
    "\n    ",
    "\n- ",
    " ",
    ":",
    ": ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "&a ",
    "*a",
    "'",
    "\"",
    "#",
    "|\n",
    "<<: *common",
    "<<: ",
    "$",
    "$$",
    "${",
    "${A:-",
    "${A:?",
    "}",
    "x-",
    "0",
    "-1",
    ":ro",
    "./",
    "/",
    "~",
    "\u{feff}",
    "\r",
];

fn parse(file: &[u8], deployment: &[u8]) -> Option<flocker_config::Parsed> {
    let application = Source {
        name: "compose.yaml",
        bytes: file,
    };
    let deployment = Source {
        name: "deployment.yml",
        bytes: deployment,
    };
    parse_with_warnings(application, deployment).ok()
}

/// Reads a file, and reads again what is made of it.
fn check(file: &[u8]) -> bool {
    let deployment = b"nodes: {1.1.1.1: [], node-2: []}";
    let source = Source {
        name: "compose.yaml",
        bytes: file,
    };
    let converted = convert(&[source], &NoSurroundings);
    let Some(parsed) = parse(file, deployment) else {
        return false;
    };
    // A file that is a deployment as well as anything has no applications.
    let converted = converted.unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let Some(text) = converted.application else {
        return false;
    };
    let again = parse(text.as_bytes(), deployment);
    let again = again.unwrap_or_else(|| panic!("refused:\n{text}"));
    assert_eq!(again.deployment, parsed.deployment, "{text}");
    true
}

/// Replaces, inserts or removes at a few places.
fn mutate(text: &str, changes: &[(prop::sample::Index, usize, usize)]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (place, removed, piece) in changes {
        let start = place.index(bytes.len() + 1);
        let end = (start + removed).min(bytes.len());
        bytes.splice(start..end, PIECES[*piece].bytes());
    }
    bytes
}

fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, usize, usize)>> {
    let change = (any::<prop::sample::Index>(), 0..8_usize, 0..PIECES.len());
    prop::collection::vec(change, 0..4)
}

/// Writes any text as YAML.
fn quoted(text: &str) -> String {
    let mut written = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => written.extend(['\\', character]),
            '$' => written.push_str("$$"),
            ' '..='~' => written.push(character),
            other => {
                // Writing to a string cannot fail.
                let _ = write!(written, "\\U{:08X}", u32::from(other));
            }
        }
    }
    written.push('"');
    written
}

#[test]
fn the_files_themselves_are_right() {
    for file in [COMPOSE, FIG, RELEASE] {
        assert!(check(file.as_bytes()), "{file}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_converted_file_is_the_same_deployment(changes in changes()) {
        for file in [COMPOSE, FIG, RELEASE] {
            check(&mutate(file, &changes));
        }
    }

    #[test]
    fn any_text_is_kept_by_convert(texts in prop::collection::vec("[^\0]{0,12}", 1..6)) {
        let words: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
        let variables = words.iter().enumerate();
        let variables = variables.map(|(index, word)| format!("V{index}: {word}"));
        let variables: Vec<String> = variables.collect();
        let file = format!(
            "services:\n  a:\n    image: x\n    command: [{}]\n    environment: {{{}}}\n",
            words.join(", "),
            variables.join(", "),
        );
        prop_assert!(check(file.as_bytes()), "{}", file);
    }
}
