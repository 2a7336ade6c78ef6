//! Compose files whose data is in Docker's volumes or beside them, and what is said of that data.

use std::collections::BTreeMap;

use flocker_config::{
    Diagnostics, EarlierData, Parsed, PathKind, Source, Surroundings, convert, parse_beside,
    wanted_beside,
};

/// An operator's machine in memory; the Compose file is in `/srv/My Shop`.
struct Machine {
    variables: BTreeMap<&'static str, &'static str>,
}

impl Machine {
    fn with(variables: &[(&'static str, &'static str)]) -> Self {
        let variables = variables.iter().copied().collect();
        Self { variables }
    }
}

impl Surroundings for Machine {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).map(|value| (*value).to_owned())
    }

    fn read(&self, _: &str, path: &str) -> Result<Option<Vec<u8>>, String> {
        let file = "/home/alice/app.env";
        Ok((path == file).then(|| b"TOKEN=xyzzy\n".to_vec()))
    }

    fn kind(&self, _: &str, path: &str) -> PathKind {
        match path {
            "/home/alice/app.env" | "/home/alice/pw.txt" => PathKind::File {
                mode: 0o644,
                uid: 0,
                gid: 0,
            },
            "./empty" => PathKind::Directory,
            _ => PathKind::Missing,
        }
    }

    fn files(&self, _: &str, _: &str) -> Vec<String> {
        Vec::new()
    }

    fn directory(&self, _: &str) -> Option<String> {
        Some("/srv/My Shop".to_owned())
    }
}

const ALICE: &[(&str, &str)] = &[("HOME", "/home/alice")];

fn source<'s>(name: &'s str, text: &'s str) -> Source<'s> {
    let bytes = text.as_bytes();
    Source { name, bytes }
}

fn try_read(text: &str, machine: &Machine) -> Result<Parsed, Diagnostics> {
    let one = source("compose.yaml", text);
    let other = source("deployment.yml", "nodes: {1.1.1.1: []}");
    let wanted = wanted_beside(one, other, machine)?;
    let value = |source| (source, Ok(b"value".to_vec().into()));
    parse_beside(one, other, machine, wanted.into_iter().map(value).collect())
}

fn read(text: &str, machine: &Machine) -> Parsed {
    try_read(text, machine).unwrap_or_else(|wrong| panic!("{text}\n{wrong}"))
}

fn converted(text: &str, machine: &Machine) -> String {
    let converted = convert(&[source("compose.yaml", text)], machine);
    let converted = converted.unwrap_or_else(|wrong| panic!("{text}\n{wrong}"));
    converted.application.unwrap_or_default()
}

const SHOP: &str = "
services:
  db:
    image: postgres
    restart: always
    volumes: [\"pgdata:/var/lib/postgresql/data\", ./conf:/etc/x, \"old:/old\", \"named:/named\", /anonymous]
  backup:
    image: x
    restart: always
    volumes: [\"pgdata:/data:ro\"]
  web:
    image: nginx
    restart: always
    volumes: [\"flocker:/data\"]
volumes:
  pgdata:
  old: {external: true}
  named: {name: shop-named}
  flocker: {driver: flocker}
";

#[test]
fn a_new_volume_begins_without_what_compose_keeps() {
    let parsed = read(SHOP, &Machine::with(ALICE));
    assert!(parsed.warnings.is_empty(), "{}", parsed.warnings);
    let said: Vec<String> = parsed
        .earlier_data
        .iter()
        .map(EarlierData::to_string)
        .collect();
    insta::assert_snapshot!(said.join("\n\n"));
    let text = converted(SHOP, &Machine::with(ALICE));
    let command = "--from pgdata=docker-volume:myshop_pgdata";
    assert!(text.contains(command), "{text}");
}

#[test]
fn the_project_has_the_name_that_compose_gives_it() {
    let volume = |text: &str, variables: &[(&'static str, &'static str)]| {
        let parsed = read(text, &Machine::with(variables));
        let hint = parsed.earlier_data[0].hint();
        let (_, rest) = hint.split_once("docker-volume:").unwrap();
        rest.split(' ').next().unwrap().to_owned()
    };
    let named = format!("name: web-shop\n{SHOP}");
    assert_eq!(volume(&named, ALICE), "shop-named");
    let text = "services: {a: {image: x, volumes: ['d:/d']}}\nvolumes: {d: }\n";
    let named = format!("name: web-shop\n{text}");
    assert_eq!(volume(text, ALICE), "myshop_d");
    assert_eq!(volume(&named, ALICE), "web-shop_d");
    assert_eq!(volume(&named, &[("COMPOSE_PROJECT_NAME", "p")]), "p_d");
    let fig = "a: {image: x, ports: ['80:80'], volumes: ['d:/d']}";
    assert_eq!(volume(fig, ALICE), "d");
}

#[test]
fn a_directory_of_home_has_one_name_for_every_operator() {
    let text = |path: &str| format!("services: {{a: {{image: x, volumes: ['{path}:/d']}}}}");
    let digest = |path: &str, home: &'static str| {
        let parsed = read(&text(path), &Machine::with(&[("HOME", home)]));
        (parsed.deployment, parsed.earlier_data[0].hint())
    };
    let (alice, hint) = digest("~/pg", "/home/alice");
    assert!(hint.contains("--from pg=/home/alice/pg "), "{hint}");
    assert_eq!(digest("~/pg", "/root").0, alice);
    for path in ["$HOME/pg", "${HOME}/./pg", "${HOME:-/x}/pg"] {
        assert_eq!(digest(path, "/home/alice").0, alice, "{path}");
        assert_eq!(digest(path, "/root").0, alice, "{path}");
    }
    let long = "services: {a: {image: x, volumes: [{type: bind, source: $HOME/pg, target: /d}]}}";
    assert_eq!(read(long, &Machine::with(ALICE)).deployment, alice);
    // Written from `/` on, it is a path of the node for every operator.
    let absolute = read(&text("/home/alice/pg"), &Machine::with(ALICE));
    assert!(absolute.earlier_data.is_empty());
    let said = try_read(&text("~bob/pg"), &Machine::with(ALICE)).unwrap_err();
    assert!(
        said.to_string().contains("is in a home directory"),
        "{said}"
    );
}

#[test]
fn a_tilde_is_the_home_directory_wherever_a_file_is_named() {
    let text = "
services:
  a:
    image: x
    restart: always
    secrets: [pw]
    configs: [conf]
    env_file: ~/app.env
    volumes: ['~/pw.txt:/in/volumes:ro']
secrets: {pw: {file: ~/pw.txt}}
configs: {conf: {file: ~/pw.txt}}
";
    let text = converted(text, &Machine::with(ALICE));
    assert!(!text.contains("./~"), "{text}");
    assert_eq!(
        text.matches("source: /home/alice/pw.txt").count(),
        3,
        "{text}"
    );
}

#[test]
fn a_directory_without_files_is_left_out() {
    let text = "services: {a: {image: x, restart: always, volumes: ['./empty:/etc/x:ro']}}";
    let parsed = read(text, &Machine::with(ALICE));
    let said = parsed.warnings.to_string();
    assert!(said.contains("has no files, and is left out"), "{said}");
}

#[test]
fn data_that_a_service_has_twice_is_reported_once() {
    let text = "services: {a: {image: x, volumes: ['d:/d2', 'd:/d3:ro']}}\nvolumes: {d: }\n";
    let said = try_read(text, &Machine::with(ALICE)).unwrap_err();
    assert_eq!(said.list.len(), 1, "{said}");
}
