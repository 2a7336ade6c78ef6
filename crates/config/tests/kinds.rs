//! Files whose kind is recognised by their content, and keys of Compose that have no counterpart.

use flocker_config::{Diagnostics, Parsed, Source, parse_with_warnings};
use flocker_model::RestartPolicy;

fn read(text: &str) -> Result<Parsed, Diagnostics> {
    let source = |name, text: &'static [u8]| Source { name, bytes: text };
    let one = Source {
        name: "application.yml",
        bytes: text.as_bytes(),
    };
    parse_with_warnings(one, source("deployment.yml", b"nodes: {1.1.1.1: []}"))
}

fn refused(text: &str) -> Diagnostics {
    match read(text) {
        Ok(_) => panic!("{text} is accepted"),
        Err(diagnostics) => diagnostics,
    }
}

#[test]
fn a_list_of_variables_makes_no_fig_file_of_ours() {
    insta::assert_snapshot!(refused(
        "
web:
  image: x
  environment: [A=b]
  volumes: [data:/data]
db:
  image: y
"
    ));
}

#[test]
fn a_fig_file_is_told_by_the_line_that_decides_it() {
    let text = "
web:
  image: x
  environment: [A=b]
  restart: always
  mem_limit: 64m
db:
  image: y
job:
  image: z
";
    let parsed = read(text).unwrap_or_else(|wrong| panic!("{wrong}"));
    insta::assert_snapshot!(parsed.warnings);
    let db = &parsed.deployment.applications[&"db".parse().unwrap()];
    assert_eq!(db.restart, RestartPolicy::Never);
}

#[test]
fn a_network_of_another_container_is_not_removed_without_thinking() {
    insta::assert_snapshot!(refused(
        "
services:
  vpn: {image: x}
  behind: {image: x, network_mode: 'service:vpn'}
  player: {image: x, network_mode: host}
  alone: {image: x, network_mode: none}
"
    ));
}

#[test]
fn keys_that_compose_alone_has_are_named_as_such() {
    insta::assert_snapshot!(refused(
        "
services:
  web: {image: x, mac_address: '02:42:ac:11:00:02', uts: host, command: , entrypoint: , environment: }
  off: {image: x, scale: 0}
  none: {image: x, deploy: {replicas: 0}}
"
    ));
}

#[test]
fn variables_that_are_not_set_are_one_error_for_a_service() {
    insta::assert_snapshot!(refused(
        "
services:
  web: {image: x, environment: [DATABASE_URL, TOKEN, A=b]}
  db:
    image: x
    environment:
      POSTGRES_PASSWORD:
"
    ));
}

#[test]
fn parts_of_compose_are_no_services_of_a_fig_file() {
    insta::assert_snapshot!(refused(
        "
db:
  image: postgres:16
  restart: always
  ports: ['5432:5432']
  secrets: [pw]
secrets:
  pw: {file: ./pw.txt}
"
    ));
}

#[test]
fn a_compose_file_without_services_is_refused() {
    for text in ["services: {}", "services:\nvolumes: {data: }"] {
        let said = refused(text).to_string();
        assert!(said.contains("the Compose file has no services"), "{said}");
    }
}
