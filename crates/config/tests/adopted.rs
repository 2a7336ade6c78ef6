//! Files of Compose, Fig and earlier releases, and the deployment that each of them is.

use std::collections::BTreeMap;

use flocker_config::{Diagnostics, NoSurroundings, Parsed, Source, ValueSource, convert};
use flocker_model::TmpfsOptions;

mod machine;

use machine::{Machine, parse_on};

/// Each value that is outside of the files.
fn value(_: &ValueSource) -> &'static str {
    "value"
}

fn machine() -> Machine {
    Machine {
        variables: BTreeMap::from([("SHELL_ONLY", "from the shell"), ("BOTH", "shell")]),
        files: BTreeMap::from([
            (".env", "PASSWORD='a$b'\nBOTH=file\nTAG=16\nLIMIT=512m\n"),
            ("./app.env", "ONE=1\nTWO=\"${BOTH} $ONE\"\nTHREE='$x'\n"),
            ("./nginx.conf", "events {}\n"),
            ("./conf.d/site.conf", "server {}\n"),
        ]),
        directories: vec!["./library", "./conf.d"],
    }
}

fn source<'s>(name: &'s str, text: &'s str) -> Source<'s> {
    Source {
        name,
        bytes: text.as_bytes(),
    }
}

/// Places applications on one node.
fn placed(names: &str) -> String {
    format!("nodes: {{1.1.1.1: [{names}]}}")
}

fn read(compose: &str, names: &str) -> Result<Parsed, Diagnostics> {
    let deployment = placed(names);
    let compose = source("compose.yaml", compose);
    let deployment = source("deployment.yml", &deployment);
    parse_on((compose, deployment), &machine(), value)
}

fn refused(compose: &str) -> Diagnostics {
    match read(compose, "") {
        Ok(_) => panic!("{compose} is accepted"),
        Err(diagnostics) => diagnostics,
    }
}

/// Returns our application configuration that is made of a file.
fn converted(compose: &str) -> String {
    let converted = convert(&[source("compose.yaml", compose)], &machine());
    let converted = converted.unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    converted.application.unwrap_or_default()
}

#[test]
fn either_file_may_come_first() {
    let application = "services: {web: {image: x, restart: always}}";
    let deployment = "version: 1\nnodes: {1.1.1.1: [web]}";
    let (one, other) = (source("a", application), source("d", deployment));
    let parsed = parse_on((one, other), &NoSurroundings, value).unwrap();
    assert_eq!(
        parse_on((other, one), &NoSurroundings, value).unwrap(),
        parsed
    );
    for (pair, message) in [
        ([one, one], "the deployment configuration is missing"),
        ([other, other], "the application configuration is missing"),
    ] {
        let diagnostics = parse_on((pair[0], pair[1]), &NoSurroundings, value).unwrap_err();
        assert!(diagnostics.to_string().contains(message), "{diagnostics}");
    }
}

#[test]
fn variables_come_from_the_environment_and_the_file_beside() {
    let text = converted(
        "
x-common: &common
  restart: unless-stopped
services:
  web:
    <<: *common
    image: example/web:${TAG}
    mem_limit: ${LIMIT}
    environment:
      - SHELL_ONLY
      - BOTH=${BOTH}
      - PASSWORD=${PASSWORD}
      - LITERAL=$$HOME ${NOTHING:-the default} ${EMPTY:-}
    env_file: ./app.env
",
    );
    insta::assert_snapshot!(text);
}

#[test]
fn an_unset_variable_is_an_error_with_its_place() {
    insta::assert_snapshot!(refused(
        "
services:
  db:
    image: postgres:${TAG:?}
    environment:
      POSTGRES_PASSWORD: ${DB_PASSWORD}
      A: ${MUST:?set it to the name of the site}
      B: a$1b
      C: ${OPEN
"
    ));
    insta::assert_snapshot!(refused(
        "
services:
  db:
    image: postgres
    environment:
      ALONE:
    env_file: [./missing.env, {path: ./other.env, required: false}]
"
    ));
}

#[test]
fn an_unset_variable_hides_no_other_mistake() {
    let wrong = refused(
        "
include: [other.yaml]
services:
  web:
    image: example/web:${NO_TAG}
    mem_limit: ${NO_LIMIT}
    ports: [\"${NO_PORT}:80\"]
    extends: {service: base}
    restart: sometimes
",
    );
    let found: Vec<(usize, &str)> = wrong
        .list
        .iter()
        .map(|one| (one.place.as_ref().unwrap().line, one.message.as_str()))
        .collect();
    assert_eq!(
        found.iter().map(|(line, _)| *line).collect::<Vec<_>>(),
        [2, 5, 6, 7, 8, 9],
        "{found:#?}"
    );
}

#[test]
fn a_mistake_in_the_env_file_is_named_once_with_its_place() {
    let machine = Machine {
        files: BTreeMap::from([(".env", "A=1\nPW=x $NONE\nBASE_URL=b\n")]),
        ..Machine::default()
    };
    let compose = "
services:
  web:
    image: example/web
    mem_limit: ${LIMIT}
    environment: {URL: \"${BASE_URL}\", BASE_URL: }
";
    let placed = placed("web");
    let compose = source("c3/compose.yml", compose);
    let refused = parse_on(
        (compose, source("deployment.yml", &placed)),
        &machine,
        value,
    );
    insta::assert_snapshot!(refused.unwrap_err(), @r"
    error: the variable `NONE` is not set
     --> c3/.env:2:6
    hint: set it above, or write `${NONE:-}` for nothing; put a value with a dollar in it between single quotes
    ");
}

#[test]
fn every_volume_of_a_compose_file_is_data_or_explained() {
    let text = "
services:
  web:
    image: nginx
    restart: always
    volumes:
      - data:/srv/data
      - /cache
      - ./library:/srv/library
      - ./new:/srv/new
      - ./nginx.conf:/etc/nginx/nginx.conf:ro
      - ./conf.d:/etc/nginx/conf.d:ro
      - {type: volume, source: other, target: /srv/other}
      - {type: tmpfs, target: /run, tmpfs: {size: 64m}}
      - outside:/srv/outside
volumes:
  data:
  other: {driver: local}
  outside: {external: true}
";
    let parsed = read(text, "web").unwrap_or_else(|wrong| panic!("{wrong}"));
    insta::assert_snapshot!(parsed.warnings);
    insta::assert_snapshot!(converted(text));
    insta::assert_snapshot!(refused(
        "
services:
  web:
    image: nginx
    volumes:
      - undefined:/a
      - ./missing.conf:/etc/x.conf
      - ./missing:/etc/y:ro
      - nfs:/b
      - {type: npipe, source: x, target: /c}
      - {type: volume, source: data, target: /d, volume: {subpath: e}}
volumes:
  data:
  nfs: {driver_opts: {type: nfs, device: \":/export\"}}
"
    ));
}

#[test]
fn keys_without_a_meaning_are_named_with_their_place() {
    insta::assert_snapshot!(
        read(
            "
name: project
version: \"3.8\"
x-anything: {goes: here}
services:
  web:
    image: example/web
    build: .
    container_name: web-1
    logging: {driver: json-file}
    profiles: [debug]
    pull_policy: always
    platform: linux/amd64
    expose: [80]
    network_mode: bridge
    restart: always
    x-mine: 1
    ports: [\"3000\"]
    deploy:
      replicas: 1
      placement: {constraints: [node.role == manager]}
      resources: {limits: {cpus: '0.5', memory: 64M}, reservations: {cpus: '0.1'}}
networks:
  outside: {external: true}
",
            "web"
        )
        .unwrap()
        .warnings
    );
}

#[test]
fn keys_without_which_something_else_would_run_are_errors() {
    insta::assert_snapshot!(refused(
        "
include: [other.yaml]
service: {}
services:
  web:
    build: .
    extends: {service: base}
    external_links: [other]
    network_mode: host
    scale: 2
    secrets: [missing]
    deploy: {mode: global, replicas: 3, resources: {limits: {generic: 1}}}
  nothing:
networks:
  lan: {driver: macvlan}
secrets:
  vault: {external: true}
"
    ));
}

#[test]
fn secrets_and_configs_become_files() {
    let text = "
services:
  web:
    image: nginx
    restart: always
    secrets:
      - password
      - {source: from_env, target: key, mode: 0400}
    configs: [{source: page, target: /srv/index.html, uid: \"33\"}]
secrets:
  password: {file: ./password.txt}
  from_env: {environment: PASSWORD}
configs:
  page: {content: \"<h1>$$</h1>\"}
";
    let parsed = read(text, "web").unwrap_or_else(|wrong| panic!("{wrong}"));
    assert!(parsed.warnings.is_empty(), "{}", parsed.warnings);
    insta::assert_snapshot!(converted(text));
}

#[test]
fn an_alias_of_the_first_release_must_be_an_application() {
    let file = |alias: &str| {
        format!(
            "
version: 1
applications:
  search:
    image: elasticsearch:7.17.9
    ports: [{{internal: 9200, external: 9201}}]
    volume: {{mountpoint: /usr/share/elasticsearch/data/}}
  shipper:
    image: logstash:7.17.9
    restart_policy: {{name: always}}
    command_line: logstash -f '/etc/a b.conf'
    mem_limit: 100000000
    links: [{{local_port: 9200, remote_port: 9201, alias: {alias}}}]
"
        )
    };
    insta::assert_snapshot!(refused(&file("es")));
    insta::assert_snapshot!(converted(&file("search")));
}

#[test]
fn a_link_with_keys_of_two_releases_is_refused() {
    let text = "
version: 1
applications:
  web:
    image: example/web
    links: [{alias: db, port: 1, remote_port: 2}]
  db: {image: example/db, ports: [{internal: 3, external: 2}]}
";
    let said = refused(text).to_string();
    assert!(said.contains("unknown key `alias`"), "{said}");
}

#[test]
fn the_output_of_convert_is_read_as_the_same_deployment() {
    let compose = "
services:
  web:
    image: example/web:1
    ports: [\"8080:80\", 443:443]
    command: [run, \"a: b\", \"$$HOME\", \"#x\", '@', \"no\", \"1.0\", \"\", \"two\\nlines\\t\\u2028\"]
    environment: {A: 'yes', B: 5, C: \"x # y\", D: '{a}', E: true, F: 'ö', \"G.h\": \"- x\"}
  db:
    image: example/db
    restart: on-failure
    stop_grace_period: 1m
    volumes: [db:/data, /more]
volumes: {db: }
";
    let deployment = "version: 1\nnodes:\n  1.1.1.1: [web]\n  node-2: [db]\n";
    let both = (
        source("compose.yaml", compose),
        source("deployment.yml", deployment),
    );
    let original = parse_on(both, &NoSurroundings, value);
    let original = original.unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let files = [source("d", deployment), source("c", compose)];
    let converted = convert(&files, &NoSurroundings).unwrap();
    let (application, nodes) = (
        converted.application.unwrap(),
        converted.deployment.unwrap(),
    );
    let both = (
        source("application.yml", &application),
        source("deployment.yml", &nodes),
    );
    let again = parse_on(both, &NoSurroundings, value);
    let again = again.unwrap_or_else(|diagnostics| panic!("{application}\n{diagnostics}"));
    assert_eq!(again.deployment, original.deployment);
    insta::assert_snapshot!(format!("{application}---\n{nodes}"));
    let two = convert(&[files[0], files[0]], &NoSurroundings).unwrap_err();
    assert_eq!(
        two.list[0].message,
        "this is a second deployment configuration"
    );
}

#[test]
fn another_name_of_a_container_is_no_address() {
    let text = |address: &str| {
        format!(
            "
services:
  web: {{image: x, restart: always, environment: {{DB_HOST: {address}, APP_NAME: cache_1}}}}
  cache: {{image: redis, restart: always, container_name: cache_1}}
  db: {{image: postgres, restart: always, networks: {{default: {{aliases: [sql]}}}}}}
"
        )
    };
    let messages = |address: &str| -> Vec<String> {
        let list = refused(&text(address)).list;
        let errors = list.into_iter().map(|one| one.message);
        errors.filter(|one| one.contains("another name")).collect()
    };
    let message = "`web` reaches `db` under another name of its container";
    assert_eq!(messages("sql"), [message]);
    assert_eq!(messages("sql:5432"), [message]);
    assert_eq!(messages("postgres://cache_1/x").len(), 1);
}

#[test]
fn a_server_without_a_known_port_needs_expose() {
    let text = |expose: &str| {
        format!(
            "
services:
  web: {{image: x, environment: {{API_URL: \"grpc://api/v1\", MODE: api}}, depends_on: {{job: {{condition: service_completed_successfully}}}}}}
  api: {{image: example/api{expose}}}
  job: {{image: example/job}}
"
        )
    };
    let said = refused(&text("")).to_string();
    assert!(
        said.contains("`web` reaches `api`, whose port is not known"),
        "{said}"
    );
    assert!(!said.contains("`job`, whose port"), "{said}");
    let exposed = text(", expose: [8000, 8125/udp]");
    let said = match read(&exposed, "web") {
        Ok(_) => String::new(),
        Err(diagnostics) => diagnostics.to_string(),
    };
    assert!(!said.contains("port is not known"), "{said}");
}

#[test]
fn a_file_with_too_many_services_is_refused_at_once() {
    let services: Vec<String> = (0..40_000)
        .map(|index| format!("  s{index}: {{image: x}}"))
        .collect();
    let said = refused(&format!("services:\n{}", services.join("\n")));
    assert_eq!(said.list.len(), 1);
    assert!(said.list[0].message.starts_with("40000 services"));
}

#[test]
fn the_restart_policy_of_deploy_wins_in_any_order() {
    let restart = "restart: always";
    let deploy = "deploy: {restart_policy: {condition: on-failure, max_attempts: 3}}";
    for keys in [[restart, deploy], [deploy, restart]] {
        let text = format!("services: {{web: {{image: x, {}}}}}", keys.join(", "));
        let parsed = read(&text, "web").unwrap_or_else(|wrong| panic!("{wrong}"));
        let application = parsed.deployment.applications.values().next().unwrap();
        assert_eq!(application.restart.to_string(), "on-failure:3");
        let said = parsed.warnings.to_string();
        assert!(said.contains("`restart` of `web` is left out"), "{said}");
    }
}

#[test]
fn names_that_are_not_defined_are_refused() {
    insta::assert_snapshot!(refused(
        "
services:
  app:
    image: x
    restart: always
    links: [nonexist, 'db:db', dc]
    networks: [frnt, default]
  db: {image: postgres, restart: always, networks: {other: , front: {alias: [x]}}}
  one: {image: x, restart: always, networks: 3, links: [{db: }]}
  two: {image: x, restart: always, networks: [[front]], links: 1, expose: {80: }}
networks: {front: }
"
    ));
    let fig = "app: {image: x, restart: always, ports: ['80:80'], networks: [back]}";
    insta::assert_snapshot!(refused(fig));
}

#[test]
fn unknown_keys_of_long_forms_are_refused() {
    insta::assert_snapshot!(refused(
        "
services:
  web:
    image: x
    restart: always
    volumes:
      - {type: bind, source: ./library, target: /a, readonly: true}
      - {type: volume, source: v, target: /b, read_only: maybe, volume: {nocpy: true, labels: {a: b}}}
      - {type: tmpfs, target: /c, tmpfs: {size: 10m, foo: 1}}
      - {type: bind, source: /etc/x, target: /d, bind: {recursive: disabled, selinux: z}}
      - {type: bind, source: ./none, target: /e, bind: {create_host_path: false}}
      - {type: bind, source: /etc/y, target: /f, bind: 3}
    env_file: [{path: ./app.env, requird: false, format: json}]
    secrets: [{source: s, target: /s, gif: 1}]
    deploy: {restart_policy: {condition: any, attempts: 3}, resources: {limits: 1}}
  two: {image: x, restart: always, deploy: 1}
networks: {n: {foo: 1, labels: {a: b}, attachable: true, ipam: {driver: x}}}
volumes: {v: {foo: 1, labels: [a]}, w: 3}
secrets: {s: {file: ./app.env, fil: 1, template_driver: x}}
configs: [a]
"
    ));
}

#[test]
fn the_output_of_compose_config_needs_no_word() {
    let parsed = read(
        "
name: shop
services:
  db:
    command: null
    deploy: {resources: {limits: {cpus: 1.5, memory: '536870912'}}, placement: {}}
    entrypoint: null
    image: postgres:17
    networks: {default: null}
    ports: [{mode: ingress, host_ip: 127.0.0.1, target: 80, published: '8080', protocol: tcp}]
    restart: unless-stopped
    secrets: [{source: s, target: /run/secrets/s}]
    volumes:
      - {type: volume, source: d, target: /data, volume: {}}
      - {type: bind, source: ./library, target: /library, bind: {create_host_path: true}}
networks: {default: {name: shop_default, ipam: {}}}
secrets: {s: {name: shop_s, file: ./app.env}}
volumes: {d: {name: shop_d}}
",
        "db",
    );
    let parsed = parsed.unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!(parsed.warnings.to_string(), "");
}

#[test]
fn published_files_are_taken_as_they_are() {
    let parsed = read(
        "
services:
  web:
    image: x
    restart: always
    environment: {A: 'http://api/', B: 'https://api'}
    healthcheck: {test: [CMD, x], retries: 0, interval: 0s, timeout: 1.5s}
    volumes:
      - ./etc-dnsmasq.d:/etc/dnsmasq.d
      - ./example.com:/srv/example
      - {type: tmpfs, target: /t, tmpfs: {size: 10mb, mode: 0o1777}}
      - {type: tmpfs, target: /u, tmpfs: {mode: 755}}
  api: {image: example/api, restart: always}
",
        "web, api",
    );
    let parsed = parsed.unwrap_or_else(|wrong| panic!("{wrong}"));
    let (_, web) = parsed.deployment.applications.last_key_value().unwrap();
    let links: Vec<u16> = web.links.iter().map(|link| link.port.get()).collect();
    assert_eq!(links, [80, 443]);
    let memory = web.options.isolation.tmpfs.values();
    let memory: Vec<&str> = memory.map(TmpfsOptions::as_str).collect();
    assert_eq!(memory, ["size=10485760,mode=1777", "mode=1363"]);
    insta::assert_snapshot!(parsed.warnings);
    insta::assert_snapshot!(refused(
        "
services:
  web:
    image: x
    restart: always
    volumes: ['./my app.conf:/etc/app.conf', './none:/none:ro']
    tmpfs: ['/a:mode=0o755', '/b:size=lots', '/c:uid=1000,gid=x', '/d:size=50%,mode=0755,nr_inodes=1k', '/e:size=10mb']
"
    ));
}
