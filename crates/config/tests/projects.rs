//! Tests of whole Compose files: whose data it is, which files are meant, and what is left out.

use std::collections::BTreeMap;

use flocker_config::{
    Converted, Diagnostics, Parsed, PathKind, Severity, Source, Surroundings, convert,
    parse_beside, wanted_beside,
};
use flocker_model::{ApplicationName, ContainerFile};

/// An operator's machine in memory.
#[derive(Default)]
struct Machine {
    /// Each with its content and its permissions.
    files: BTreeMap<&'static str, (&'static [u8], u32)>,
    directories: Vec<&'static str>,
}

impl Surroundings for Machine {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn read(&self, _: &str, path: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(self.files.get(path).map(|(bytes, _)| bytes.to_vec()))
    }

    fn kind(&self, _: &str, path: &str) -> PathKind {
        match self.files.get(path) {
            Some((_, mode)) => PathKind::File {
                mode: *mode,
                uid: 1000,
                gid: 100,
            },
            None if self.directories.contains(&path) => PathKind::Directory,
            None => PathKind::Missing,
        }
    }

    fn files(&self, _: &str, path: &str) -> Vec<String> {
        let below = |name: &&str| {
            name.strip_prefix(path)?
                .strip_prefix('/')
                .map(str::to_owned)
        };
        self.files.keys().filter_map(below).collect()
    }

    fn directory(&self, _: &str) -> Option<String> {
        Some("/srv/shop".to_owned())
    }
}

impl Machine {
    fn with(files: &[(&'static str, &'static [u8], u32)]) -> Self {
        let files = files.iter();
        Self {
            files: files
                .map(|(path, bytes, mode)| (*path, (*bytes, *mode)))
                .collect(),
            directories: Vec::new(),
        }
    }

    fn source<'s>(name: &'s str, text: &'s str) -> Source<'s> {
        Source {
            name,
            bytes: text.as_bytes(),
        }
    }

    /// Reads a file whose applications are all placed on one node.
    fn read(&self, text: &str, names: &[&str]) -> Result<Parsed, Diagnostics> {
        let deployment = format!("nodes: {{1.1.1.1: [{}]}}", names.join(", "));
        let one = Self::source("compose.yaml", text);
        let other = Self::source("deployment.yml", &deployment);
        let wanted = wanted_beside(one, other, self)?;
        let value = |source| (source, Ok(b"value".to_vec().into()));
        let values = wanted.into_iter().map(value).collect();
        parse_beside(one, other, self, values)
    }

    fn convert(&self, text: &str) -> Result<Converted, Diagnostics> {
        convert(&[Self::source("compose.yaml", text)], self)
    }

    fn refused(&self, text: &str) -> Diagnostics {
        match self.read(text, &[]) {
            Ok(_) => panic!("{text} is accepted"),
            Err(diagnostics) => diagnostics,
        }
    }
}

fn name(text: &str) -> ApplicationName {
    let name = text.parse();
    name.unwrap_or_else(|invalid| panic!("{invalid:?}"))
}

/// Returns the application that owns a volume in a project of which the others see it.
fn owner(text: &str) -> String {
    let parsed = Machine::default()
        .read(text, &[])
        .unwrap_or_else(|wrong| panic!("{text}\n{wrong}"));
    let applications = parsed.deployment.applications.into_iter();
    let with_volume = applications.filter(|(_, application)| application.volume.is_some());
    let names: Vec<String> = with_volume.map(|(name, _)| name.to_string()).collect();
    names.join(" ")
}

#[test]
fn a_reader_or_a_job_never_owns_what_another_writes() {
    let app = "app: {image: x, volumes: ['data:/a']}";
    let backup = "backup: {image: x, volumes: ['data:/b:ro', 'data:/c:ro']}";
    let job = "job: {image: x, volumes: ['data:/d']}";
    let web = "web: {image: x, depends_on: {job: {condition: service_completed_successfully}}}";
    for order in [[app, backup, job, web], [job, web, backup, app]] {
        let text = format!("services: {{{}}}\nvolumes: {{data: }}", order.join(", "));
        assert_eq!(owner(&text), "app", "{text}");
    }
}

#[test]
fn the_owner_is_what_others_need_then_a_server_then_the_first() {
    let file = |services: &str| format!("services: {{{services}}}\nvolumes: {{data: , log: }}");
    let cron = "cron: {image: x, volumes: ['data:/a'], depends_on: [app]}";
    let app = "app: {image: x, volumes: ['data:/a']}";
    let other = "other: {image: x, volumes: ['data:/a']}";
    assert_eq!(owner(&file(&[cron, app].join(", "))), "app");
    assert_eq!(owner(&file(&[other, cron, app].join(", "))), "app");
    let server = "db: {image: postgres, volumes: ['data:/a']}";
    assert_eq!(owner(&file(&[other, server].join(", "))), "db");
    assert_eq!(owner(&file(&[other, app].join(", "))), "other");
    // One that has all of the data: each application has one volume.
    let more = "more: {image: x, volumes: ['data:/a', 'log:/b']}";
    assert_eq!(owner(&file(&[app, more].join(", "))), "more");
}

#[test]
fn a_directory_that_one_service_writes_is_data_for_all() {
    let machine = Machine {
        directories: vec!["./data"],
        ..Machine::with(&[("./data/file", b"x", 0o644)])
    };
    let text = "services:\n  web: {image: x, volumes: ['./data/:/a:ro']}\n  \
                app: {image: x, volumes: ['./sub/../data:/b']}\n";
    let parsed = machine
        .read(text, &[])
        .unwrap_or_else(|wrong| panic!("{wrong}"));
    let web = &parsed.deployment.applications[&name("web")];
    assert!(web.files.is_empty(), "{web:?}");
    let shared = web.shared.as_ref().unwrap();
    assert_eq!(shared.application, name("app"));
    assert!(shared.mounts.values().all(|mount| mount.read_only));
}

#[test]
fn absolute_paths_below_the_file_are_beside_it() {
    let machine = Machine {
        directories: vec!["./data"],
        ..Machine::with(&[("./pg.conf", b"x", 0o644)])
    };
    let shown = |directory: &str| {
        let text = format!(
            "services: {{db: {{image: x, volumes: ['{directory}/data:/data', \
             '{directory}/sub/../pg.conf:/pg.conf:ro', /srv/shop2:/other]}}}}"
        );
        let read = machine.read(&text, &[]);
        let deployment = read.unwrap_or_else(|wrong| panic!("{wrong}")).deployment;
        deployment.applications[&name("db")].clone()
    };
    let absolute = shown("/srv/./shop");
    assert!(absolute.volume.is_some(), "{absolute:?}");
    assert_eq!(absolute, shown("."));
}

#[test]
fn a_path_inside_of_data_is_refused() {
    let machine = Machine {
        directories: vec!["./data", "./data/sub"],
        ..Machine::default()
    };
    insta::assert_snapshot!(machine.refused(
        "
services:
  app: {image: x, volumes: ['./data:/data']}
  web: {image: x, volumes: ['./data/sub:/srv']}
"
    ));
}

#[test]
fn files_keep_their_permissions() {
    let machine = Machine::with(&[
        ("./run.sh", b"#!/bin/sh", 0o755),
        ("./key", b"secret", 0o600),
        ("./plain", b"x", 0o664),
        ("./conf/tool", b"x", 0o710),
    ]);
    let machine = Machine {
        directories: vec!["./conf"],
        ..machine
    };
    let text = "services: {web: {image: x, volumes: ['./run.sh:/a:ro', './key:/b:ro', \
                './plain:/c:ro', './conf:/d:ro']}}";
    let parsed = machine
        .read(text, &[])
        .unwrap_or_else(|wrong| panic!("{wrong}"));
    let files = &parsed.deployment.applications[&name("web")].files;
    let shown = |file: &ContainerFile| (file.mode.bits(), file.uid, file.gid);
    let shown: Vec<_> = files.values().map(shown).collect();
    assert_eq!(
        shown,
        [
            (0o555, 0, 0),
            (0o400, 1000, 100),
            (0o444, 0, 0),
            (0o510, 1000, 100)
        ]
    );
}

#[test]
fn a_proxy_may_reach_others_at_its_own_port() {
    let text = "
services:
  proxy: {image: nginx, ports: ['80:80'], depends_on: [app]}
  app: {image: x, expose: [80]}
";
    let machine = Machine::default();
    let parsed = machine
        .read(text, &["proxy", "app"])
        .unwrap_or_else(|wrong| panic!("{wrong}"));
    let said = parsed.warnings.to_string();
    assert!(!said.contains("`app`"), "{said}");
    let links = &parsed.deployment.applications[&name("proxy")].links;
    assert!(links.iter().all(|link| !link.address.is_localhost()));
    let converted = machine.convert(text).unwrap().application.unwrap();
    let again = machine.read(&converted, &["proxy", "app"]);
    let again = again.unwrap_or_else(|wrong| panic!("{converted}\n{wrong}"));
    assert_eq!(again.deployment, parsed.deployment);
}

#[test]
fn two_servers_at_one_port_are_reached_by_their_names() {
    let text = "
services:
  report:
    image: example/report
    environment: {ORDERS_URL: 'postgres://orders/o', STOCK_HOST: stock}
    extra_hosts: ['mail:192.0.2.25']
  web: {image: example/web, environment: {DB_HOST: orders}}
  orders: {image: 'postgres:16', environment: {POSTGRES_PASSWORD: x}, volumes: ['o:/var/lib/postgresql/data']}
  stock: {image: 'postgres:16', environment: {POSTGRES_PASSWORD: x}, volumes: ['s:/var/lib/postgresql/data']}
volumes: {o: , s: }
";
    let names = ["report", "web", "orders", "stock"];
    let machine = Machine::default();
    let parsed = machine
        .read(text, &names)
        .unwrap_or_else(|wrong| panic!("{wrong}"));
    let shown = |application: &str| {
        let application = &parsed.deployment.applications[&name(application)];
        let links = application.links.iter();
        let links = links.map(|link| format!("{}: {}", link.target, link.local()));
        let hosts = application.options.network.extra_hosts.iter();
        let hosts = hosts.map(|host| format!("{} {}", host.address, host.name));
        links.chain(hosts).collect::<Vec<_>>()
    };
    assert_eq!(
        shown("report"),
        [
            "orders: 127.1.7.91:5432",
            "stock: 127.1.140.14:5432",
            "192.0.2.25 mail",
            "127.1.7.91 orders",
            "127.1.140.14 stock",
        ]
    );
    assert_eq!(
        shown("web"),
        ["orders: 127.1.7.91:5432", "127.1.7.91 orders"]
    );
    let converted = machine.convert(text).unwrap().application.unwrap();
    let again = machine.read(&converted, &names);
    let again = again.unwrap_or_else(|wrong| panic!("{converted}\n{wrong}"));
    assert_eq!(again.deployment, parsed.deployment);
}

#[test]
fn a_service_with_another_host_name_finds_itself_by_its_own() {
    let text = |hostname: &str| {
        format!(
            "
services:
  queue:
    image: example/queue
    expose: [5672]
    environment: {{NODE_URL: 'amqp://queue:5672'}}{hostname}
"
        )
    };
    let hosts = |hostname: &str| -> Vec<String> {
        let parsed = Machine::default().read(&text(hostname), &["queue"]);
        let parsed = parsed.unwrap_or_else(|wrong| panic!("{wrong}"));
        let application = &parsed.deployment.applications[&name("queue")];
        assert!(application.links.is_empty());
        let hosts = application.options.network.extra_hosts.iter();
        hosts
            .map(|host| format!("{} {}", host.address, host.name))
            .collect()
    };
    assert!(hosts("").is_empty());
    assert!(hosts("\n    hostname: queue").is_empty());
    assert_eq!(hosts("\n    hostname: rabbit"), ["127.0.0.1 queue"]);
}

#[test]
fn a_dependency_without_a_known_port_is_warned_about() {
    let text = "
services:
  web: {image: x, depends_on: [api]}
  worker: {image: x, depends_on: {job: {condition: service_completed_successfully}}}
  api: {image: example/api}
  job: {image: example/job}
";
    let parsed = Machine::default().read(text, &["web", "api", "worker", "job"]);
    let said = parsed.unwrap().warnings.to_string();
    assert!(
        said.contains("`web` depends on `api`, whose port is not known"),
        "{said}"
    );
    assert!(!said.contains("`job`, whose port"), "{said}");
}

#[test]
fn no_message_shows_the_value_of_a_variable() {
    let machine = Machine::with(&[(".env", b"PW=hunter2&\"x\nWEB=web\n", 0o600)]);
    let said = machine.refused(
        "
services:
  web:
    image: x
    command: serve --password=${PW} && sleep 1
    memory: ${PW}
    user: \"a ${PW}\"
    stop_signal: ${PW}
    ports: ['${PW}:80']
    environment: {API_HOST: '${WEB}'}
    depends_on: {'${PW}': {condition: '${PW}'}}
",
    );
    let said = said.to_string();
    assert!(!said.contains("hunter2"), "{said}");
    insta::assert_snapshot!(said);
}

#[test]
fn a_shell_is_not_asked_for_because_of_a_value() {
    let machine = Machine::with(&[(".env", b"PW=a&b|c\n", 0o600)]);
    let parsed = machine.read(
        "services: {web: {image: x, command: 'serve --password=${PW}'}}",
        &[],
    );
    let applications = parsed.unwrap().deployment.applications;
    let command = applications[&name("web")].command.clone().unwrap();
    assert_eq!(command, ["serve", "--password=a&b|c"]);
}

#[test]
fn a_limit_with_composes_name_makes_no_fig_file() {
    let machine = Machine::default();
    let said = machine
        .refused("web: {image: x, mem_limit: 512m}")
        .to_string();
    assert!(said.contains("memory"), "{said}");
    let said = |text| machine.read(text, &[]).unwrap().warnings.to_string();
    insta::assert_snapshot!(said("web: {image: x, ports: ['80:80']}"));
    insta::assert_snapshot!(said("{version: 1, applications: {web: {image: x}}}"));
    assert_eq!(said("services: {web: {image: x}}"), "");
}

#[test]
fn options_of_mounts_are_named() {
    let machine = Machine::default();
    let text = |option: &str| {
        format!(
            "services: {{web: {{image: x, volumes: ['data:/a{option}', '/b:/b:z']}}}}\nvolumes: {{data: }}"
        )
    };
    let nocopy = machine.read(&text(":nocopy"), &[]).unwrap().warnings;
    assert!(
        nocopy.to_string().contains("`nocopy` of a volume of `web`"),
        "{nocopy}"
    );
    for option in ["rslave", "rw,rshared", "rx"] {
        let option = format!(":{option}");
        assert_eq!(
            machine.refused(&text(&option)).list[0].severity,
            Severity::Error
        );
    }
    let long = "services: {web: {image: x, volumes: [{type: bind, source: /a, target: /a, \
                bind: {propagation: rslave}}, {type: volume, source: data, target: /b, \
                volume: {nocopy: true}}]}}\nvolumes: {data: }";
    insta::assert_snapshot!(machine.refused(long));
}

#[test]
fn files_that_compose_would_read_too_are_named() {
    let machine = Machine::with(&[
        (".env", b"COMPOSE_FILE=compose.yaml:prod.yaml\n", 0o600),
        ("compose.override.yaml", b"", 0o644),
    ]);
    let said = machine.read("services: {web: {image: x}}", &[]).unwrap();
    insta::assert_snapshot!(said.warnings);
}

#[test]
fn variables_that_are_not_utf8_are_refused() {
    let text = "services: {web: {image: x, env_file: ./app.env}}";
    for path in [".env", "./app.env"] {
        let mut files = vec![("./app.env", b"A=1\n" as &[u8], 0o600)];
        files.push((path, b"A=1\nPW=\xe9\n", 0o600));
        let said = Machine::with(&files).refused(text).to_string();
        assert!(said.contains("this line is not UTF-8"), "{said}");
        assert!(said.contains(&format!("{path}:2:4")), "{said}");
    }
    let raw = "services: {web: {image: x, env_file: [{path: ./app.env, format: raw}]}}";
    let machine = Machine::with(&[("./app.env", b"PW=\xe9\n", 0o600)]);
    assert!(machine.refused(raw).to_string().contains("is not UTF-8"));
}

#[test]
fn a_job_that_prepares_the_volume_of_its_owner_is_explained() {
    insta::assert_snapshot!(Machine::default().refused(
        "
services:
  db:
    image: postgres
    volumes: ['data:/var/lib/postgresql/data']
    depends_on: {init: {condition: service_completed_successfully}}
  init:
    image: busybox
    volumes: ['data:/data']
volumes: {data: }
"
    ));
}

#[test]
fn a_variable_that_linux_does_not_take_is_refused() {
    let text = |length| {
        let value = "x".repeat(length);
        format!("web: {{image: x, environment: {{NAME: {value}}}}}")
    };
    let machine = Machine::default();
    assert!(machine.read(&text(131_066), &[]).is_ok());
    let list = machine.refused(&text(131_067)).list;
    assert_eq!(
        list[0].message,
        "environment variable `NAME` of `web` has 131072 bytes with its name, and Linux takes less \
         than 128 KiB"
    );
    let compose = Machine::with(&[("./app.env", LARGE, 0o600)]);
    let said = compose.refused("services: {web: {image: x, env_file: ./app.env}}");
    assert_eq!(said.list.len(), 1, "{said}");
}

/// `A=xxx…`, larger than a variable can be.
const LARGE: &[u8] = &{
    let mut bytes = [b'x'; 140_000];
    bytes[0] = b'A';
    bytes[1] = b'=';
    bytes
};

#[test]
fn file_systems_in_memory_overlap_no_mount() {
    let messages = |text: &str| -> Vec<String> {
        let list = Machine::default().refused(text).list.into_iter();
        let errors = list.filter(|one| one.severity == Severity::Error);
        errors.map(|one| one.message).collect()
    };
    let host = "web: {image: x, tmpfs: /run, volumes: ['/srv/x:/run/x']}";
    assert_eq!(
        messages(host),
        ["`tmpfs` of `web`: `/run` and the path of the node at `/run/x` overlap"]
    );
    let file = "web: {image: x, tmpfs: /a/b, files: [{content: x, target: /a/b}]}";
    assert_eq!(
        messages(file),
        ["`tmpfs` of `web`: `/a/b` and the file `/a/b` overlap"]
    );
    let shared = "{db: {image: x, volumes: ['data:/data']}, \
                  web: {image: x, tmpfs: /data/tmp, volumes_from: [db]}}";
    assert_eq!(
        messages(shared),
        ["`tmpfs` of `web`: `/data/tmp` and the volume at `/data` overlap"]
    );
    let below = "web: {image: x, tmpfs: /run, files: [{content: x, target: /run/secrets/a}]}";
    assert!(Machine::default().read(below, &[]).is_ok());
}
