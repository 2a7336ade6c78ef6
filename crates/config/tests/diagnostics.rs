//! Files that are wrong, and what is said about them.
//!
//! Each test is a table of small files about one subject; its snapshot has what an operator reads.

use std::fmt::Write as _;

use flocker_config::{Diagnostics, Source, parse};

/// One wrong pair of files.
struct Case {
    /// What is wrong.
    name: &'static str,
    application: Vec<u8>,
    deployment: Vec<u8>,
}

/// A right deployment for cases that are about the application configuration.
const ANYWHERE: &str = "nodes: {1.1.1.1: []}";

/// Right applications for cases that are about the deployment configuration.
const APPLICATIONS: &str = "\
trac: {image: clusterhq/trac}
pgsql-trac: {image: clusterhq/postgresql}
kibana-trac: {image: clusterhq/kibana}
";

fn application(name: &'static str, text: impl AsRef<[u8]>) -> Case {
    Case {
        name,
        application: text.as_ref().to_vec(),
        deployment: ANYWHERE.into(),
    }
}

fn deployment(name: &'static str, text: impl AsRef<[u8]>) -> Case {
    Case {
        name,
        application: APPLICATIONS.into(),
        deployment: text.as_ref().to_vec(),
    }
}

fn both(name: &'static str, application: &str, deployment: &str) -> Case {
    Case {
        name,
        application: application.into(),
        deployment: deployment.into(),
    }
}

fn diagnose(case: &Case) -> Diagnostics {
    let application = Source {
        name: "application_config.yml",
        bytes: &case.application,
    };
    let deployment = Source {
        name: "deployment_config.yml",
        bytes: &case.deployment,
    };
    match parse(application, deployment) {
        Err(diagnostics) => {
            assert!(!diagnostics.is_empty(), "{}: no reason given", case.name);
            diagnostics
        }
        Ok(_) => panic!("{}: accepted", case.name),
    }
}

/// Renders a table as one text; each case is at once checked to be refused.
fn render(cases: &[Case]) -> String {
    let mut text = String::new();
    for case in cases {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "==== {}\n{}\n", case.name, diagnose(case));
    }
    text
}

#[test]
fn keys() {
    let text = render(&[
        application("misspelt key", "trac:\n  imgae: clusterhq/trac\n  image: x"),
        application("another program's key", "trac:\n  image: x\n  ports: [80]"),
        application("nonsense key", "trac: {image: x, flavour: y}"),
        application("merge key", "a: &a {image: x}\nb:\n  <<: *a\n  image: y"),
        application(
            "duplicate application",
            "trac: {image: x}\ndb: {image: y}\ntrac: {image: z}",
        ),
        application(
            "duplicate key",
            "trac:\n  image: x\n  routes: [1]\n  image: y",
        ),
        application(
            "duplicate variable",
            "a: {image: x, environment: {A: b, A: b}}",
        ),
        application("missing image", "trac:\n  volume: /data"),
        application("list as a key", "[a, b]: {image: x}"),
        application("mapping as a key", "{a: b}: c"),
        application("tag", "trac: {image: !include trac.yml}"),
        deployment(
            "duplicate node",
            "nodes:\n  1.1.1.1: [trac]\n  1.1.1.1: [pgsql-trac]",
        ),
        deployment("misspelt nodes", "node:\n  1.1.1.1: [trac]"),
        deployment("nodes left out", "1.1.1.1: [trac]\n1.1.1.2: []"),
        deployment("version", "version: 2\nnodes: {1.1.1.1: [trac]}"),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn types() {
    let text = render(&[
        application("application is a string", "trac: clusterhq/trac"),
        application("application is empty", "trac:\ndb: {image: x}"),
        application("application is a list", "trac:\n  - image: x"),
        application("image is a number", "trac: {image: 17}"),
        application("image has no value", "trac:\n  image:\n  routes: [1]"),
        application("image is a list", "trac:\n  image: [a, b]"),
        application("volume is a number", "trac: {image: x, volume: 5}"),
        application(
            "volume is a list",
            "trac:\n  image: x\n  volume:\n    - /data:/data",
        ),
        application("volume has no value", "trac:\n  image: x\n  volume:"),
        application(
            "environment is a list",
            "trac:\n  image: x\n  environment:\n    - A=b\n  volume: /data",
        ),
        application("routes is a number", "trac: {image: x, routes: 443}"),
        application("links is a string", "trac: {image: x, links: pgsql-trac}"),
        application(
            "command needs a shell",
            "trac: {image: x, command: sleep 10 && serve 'a b'}",
        ),
        application("command is a mapping", "trac: {image: x, command: {a: b}}"),
        application("command is empty", "trac: {image: x, command: []}"),
        application(
            "command has a number",
            "trac: {image: x, command: [sleep, 10, [a]]}",
        ),
        application("memory is a list", "trac: {image: x, memory: [1]}"),
        application("the file is a list", "- trac\n- db\n"),
        application("the file is a word", "trac"),
        deployment("node is a string", "nodes:\n  1.1.1.1: trac"),
        deployment("node is a mapping", "nodes:\n  1.1.1.1: {trac: x}"),
        deployment("an application is a list", "nodes: {1.1.1.1: [[trac]]}"),
        deployment(
            "an application is nothing",
            "nodes:\n  1.1.1.1:\n    - trac\n    -\n",
        ),
        deployment("nodes is a list", "nodes:\n  - 1.1.1.1\n"),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn values() {
    let text = render(&[
        application(
            "application name",
            "trac/web: {image: x}\n-db: {image: x}\n\"\": {image: y}",
        ),
        application(
            "image name",
            "a: {image: 'clusterhq/trac latest'}\nb: {image: ''}",
        ),
        application("relative mountpoint", "trac: {image: x, volume: opt/trac}"),
        application(
            "docker's volume",
            "trac: {image: x, volume: '/srv/trac:/opt/trac'}",
        ),
        application(
            "root as mountpoint",
            "trac: {image: x, volume: {mountpoint: /}}",
        ),
        application(
            "volume without mountpoint",
            "trac: {image: x, volume: {maximum_size: 1G}}",
        ),
        application(
            "volume size",
            "trac: {image: x, volume: {mountpoint: /a, maximum_size: big}}",
        ),
        application(
            "volume keys",
            "trac: {image: x, volume: {path: /a, size: 1G}}",
        ),
        application(
            "memory",
            "a: {image: x, memory: 1Q}\nb: {image: x, memory: 4M}",
        ),
        application("huge memory", "a: {image: x, memory: 99999999T}"),
        application(
            "cpu",
            "a: {image: x, cpu: 500m}\nb: {image: x, cpu: 0}\nc: {image: x, cpu: all}",
        ),
        application(
            "restart",
            "a: {image: x, restart: unless-stopped}\nb: {image: x, restart: alway}",
        ),
        application(
            "restart nonsense",
            "a: {image: x, restart: 3}\nb: {image: x, restart: }",
        ),
        application("NUL", "a: {image: x, command: [\"a\\0b\"]}"),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn node_names() {
    let text = render(&[
        deployment(
            "node names",
            "nodes:\n  root@a.example: []\n  b:22: []\n  '::1': []\n  1.1.1: []",
        ),
        deployment(
            "more node names",
            "nodes:\n  ssh://c: []\n  -oProxyCommand=x: []\n  '': []",
        ),
        deployment(
            "one host twice",
            "nodes:\n  DB1.example.com: [trac]\n  db1.example.com.: []",
        ),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn environment() {
    let quoted = "trac:
  image: x
  environment:
    ELASTICSEARCH_PORT: 9200
    DEBUG: true
    COUNTRY: no
    RATIO: 1.5
    MASK: 0x1F
    NOTHING:
    TILDE: ~
    LIST: [a]
";
    let text = render(&[
        application("values that are not strings", quoted),
        application(
            "names",
            "trac: {image: x, environment: {'A=B': c, '': d, \"e\\0\": f}}",
        ),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn ports() {
    let text = render(&[
        application("out of range", "a: {image: x, routes: [0, 65536, -1, 443]}"),
        application(
            "other notations",
            "a: {image: x, routes: [080, 0x50, 8e1, 80.0, +80]}",
        ),
        application(
            "strings",
            "a: {image: x, routes: ['443', http, '8080:80', 8080:80]}",
        ),
        application(
            "route keys",
            "a: {image: x, routes: [{published: 1, internal: 2}, {}]}",
        ),
        application(
            "the key of a link",
            "a: {image: x, routes: [{port: 5050}, {port: 53, protocol: udp}, {port: 80, external: 81}, \
             {port: http}]}",
        ),
        application("route types", "a: {image: x, routes: [[1, 2], true, null]}"),
        application(
            "two applications on one port",
            "trac:\n  image: x\n  routes: [443]\nkibana:\n  image: x\n  \
             routes:\n    - {external: 443, internal: 5601}",
        ),
        application(
            "one application twice",
            "a: {image: x, routes: [443, {external: 443, internal: 1}]}",
        ),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn links() {
    let trac = |links: &str| {
        format!("trac:\n  image: x\n  routes: [443]\n  links: {links}\npgsql-trac: {{image: y}}\n")
    };
    let text = render(&[
        application(
            "to nothing",
            trac("[[pqsql-trac, 5432], [pgsql, 1], [redis, 2]]"),
        ),
        application("to itself", trac("[[trac, 80]]")),
        application("a pair without a list", trac("[pgsql-trac, 5432]")),
        application("docker's link", trac("['pgsql-trac:5432', pgsql-trac]")),
        application(
            "wrong lengths",
            trac("[[pgsql-trac], [pgsql-trac, 1, 2], []]"),
        ),
        application(
            "wrong types",
            trac("[[pgsql-trac, '5432'], [[a], 1], [5432, pgsql-trac], 5]"),
        ),
        application(
            "mapping keys",
            trac("[{alias: pgsql-trac, port: 1}, {application: pgsql-trac}]"),
        ),
        application(
            "two on one local port",
            trac("[[pgsql-trac, 1], {application: pgsql-trac, port: 2, local_port: 1}]"),
        ),
        application("on its own port", trac("[[pgsql-trac, 443]]")),
        application(
            "two on one port of another address",
            trac(
                "[{application: pgsql-trac, port: 1, address: 127.0.0.2}, {application: pgsql-trac, port: 2, local_port: 1, address: 127.0.0.2}]",
            ),
        ),
        application(
            "at an address outside of the loopback network",
            trac(
                "[{application: pgsql-trac, port: 1, address: 10.0.0.1}, {application: pgsql-trac, port: 2, address: '::1'}, {application: pgsql-trac, port: 3, address: 127.0.0.0}, {application: pgsql-trac, port: 4, address: localhost}]",
            ),
        ),
        application(
            "hiding at another address",
            trac("[{application: pgsql-trac, port: 443, address: 127.0.0.2, hide_own: true}]"),
        ),
        application("out of range", trac("[[pgsql-trac, 70000]]")),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn places() {
    let text = render(&[
        deployment(
            "on two nodes",
            "nodes:\n  1.1.1.1: [trac]\n  1.1.1.2: [trac, pgsql-trac]",
        ),
        deployment("on one node twice", "nodes: {1.1.1.1: [trac, trac]}"),
        deployment(
            "not defined",
            "nodes: {1.1.1.1: [trac, pqsql-trac, kibana, redis]}",
        ),
        both("nothing is defined", "{}", "nodes: {1.1.1.1: [trac]}"),
        deployment("no nodes", "nodes: {}"),
        deployment("empty nodes", "nodes:\n"),
        deployment("empty mapping", "{}"),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn wrong_files() {
    let nodes = "nodes:\n  1.1.1.1: [trac]\n";
    let wrapped = "applications:\n  trac:\n    image: x\n";
    let text = render(&[
        both("the deployment twice", nodes, nodes),
        both("the applications twice", APPLICATIONS, APPLICATIONS),
        both("applications inside of a key", wrapped, nodes),
        both(
            "a Compose file in the second place",
            APPLICATIONS,
            "services:\n  web: {image: x}\n",
        ),
        both("empty files", "", "# nothing\n\n"),
        both("nothing but null", "~", "null"),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn syntax() {
    let text = render(&[
        application("tab", "trac:\n\timage: x\n"),
        application("tab after spaces", "trac:\n  image: x\n  \troutes: [1]\n"),
        application("indentation", "trac:\n  image: x\n routes: [1]\n"),
        application(
            "unclosed list",
            "trac:\n  image: x\n  routes: [443\ndb:\n  image: y\n",
        ),
        application("unclosed mapping", "trac: {image: x\n"),
        application("unclosed quotes", "trac:\n  image: \"x\n  volume: /data\n"),
        application(
            "no space after the colon",
            "trac:\n  image:x\n  volume: /data\n",
        ),
        application(
            "no space in the last line",
            "trac:\n  volume: /data\n  image:x\n",
        ),
        application("a word among keys", "trac:\n  image: x\n  restart\n"),
        application("colon in a value", "trac:\n  image: a: b\n"),
        application("reserved character", "trac:\n  image: @x\n"),
        application("unknown anchor", "trac:\n  image: *x\n"),
        application("escape", "trac:\n  image: \"a\\qb\"\n"),
        application("list among keys", "trac:\n  image: x\n  - a\n"),
        application("two documents", "trac: {image: x}\n---\ndb: {image: y}\n"),
        application("recursive alias", "trac: &a {image: x, environment: *a}"),
        application("both files at once", "trac: [").with_deployment("nodes: }"),
        application("a broken file does not hide the other", "trac: [")
            .with_deployment("nodes: {a: [x, x], b@c: []}"),
    ]);
    insta::assert_snapshot!(text);
}

impl Case {
    fn with_deployment(self, deployment: &str) -> Self {
        Self {
            deployment: deployment.into(),
            ..self
        }
    }
}

#[test]
fn encodings() {
    let utf16: Vec<u8> = "\u{feff}trac: {image: x}"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let text = render(&[
        application(
            "Latin-1",
            b"trac:\n  image: x\n  environment: {A: \"M\xfcller\"}\n",
        ),
        application("UTF-16", utf16),
        application("binary", b"\x7fELF\x02\x01\x01\0\0\0\0\0"),
        application("NUL", b"trac: {image: x}\n\0"),
        application(
            "escape sequence",
            "trac:\n  image: x\n  \"\\e[2J\u{9b}31m\": y # \u{202e}\n",
        ),
        application(
            "wide characters",
            "trac: {image: x, environment: {名前: 値, 数: 5}}",
        ),
        application(
            "byte order mark keeps columns right",
            "\u{feff}trac: {imag: x, image: y}",
        ),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn hostile_files() {
    let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let letter = |level: u8| char::from(b'a' + level);
        let alias = format!("*{}", letter(level - 1));
        let aliases = vec![alias; 10].join(", ");
        let _ = writeln!(bomb, "{0}: &{0} [{aliases}]", letter(level));
    }
    let long_line = format!(
        "trac: {{image: x, environment: {{A: {}, B: 5, C: {}}}}}",
        "y".repeat(500),
        "z".repeat(500)
    );
    let text = render(&[
        application("bomb of aliases", bomb),
        application("a million brackets", "[".repeat(1_000_000)),
        application("a million braces", "{a: ".repeat(250_000)),
        application(
            "deep blocks",
            (0..1000)
                .map(|n| format!("{}a:\n", " ".repeat(n)))
                .collect::<Vec<_>>()
                .concat(),
        ),
        application("a million dashes", "- ".repeat(500_000)),
        application("very many values", format!("a: [{}]", "1,".repeat(500_000))),
        application("too large", " ".repeat((1 << 20) + 1)),
        application("long line", long_line),
        application("long name", format!("{}: {{image: x}}", "n".repeat(500))),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn everything_wrong_is_reported_in_one_run_in_the_order_of_the_files() {
    let application = "\
trac:
  imgae: clusterhq/trac
  volume: relative
  environment: {PORT: 9200}
  routes: [99999]
  links: [[nobody, 1]]
db:
  image: x
  routes: [443, 443]
";
    let nodes = "nodes:\n  1.1.1.1: [trac, tarc]\n  1.1.1.2: [trac]\n  bad node: []\n";
    let text = diagnose(&both("", application, nodes));
    insta::assert_snapshot!(text);
}

#[test]
fn too_many_mistakes_are_counted() {
    let lines: Vec<String> = (0..80).map(|n| format!("a{n}: {{}}\n")).collect();
    let diagnostics = diagnose(&application("", lines.concat()));
    assert_eq!(diagnostics.list.len(), Diagnostics::LIMIT);
    assert_eq!(diagnostics.omitted, 30);
    assert!(diagnostics.to_string().ends_with("\n\n... and 30 more"));
}

#[test]
fn images() {
    let digits = "0a".repeat(32);
    let capital_digest = format!("a: {{image: 'redis:7@sha256:{}'}}", "ABCDEF12".repeat(8));
    let text = render(&[
        application(
            "digest without its digits",
            "a: {image: 'redis@sha256:aaaa'}",
        ),
        application("digest in capital letters", capital_digest),
        application("two colons", "a: {image: 'redis::7'}"),
        application("no tag after the colon", "a: {image: 'redis:'}"),
        application("tag with a sign", "a: {image: redis:-7}"),
        application("colons before the slash", "a: {image: 'a:b:c/d'}"),
        application(
            "address of a page",
            "a: {image: 'https://ghcr.io/team/web'}",
        ),
        application("dash first", "a: {image: -redis}"),
        application("capital letters", "a: {image: \"ClusterHQ/Trac:V1\"}"),
        application("capital letters, escaped", "a: {image: \"a/\\x54rac\"}"),
        application("identity", format!("a: {{image: {digits}}}")),
        application(
            "longer identity",
            format!("a: {{image: 'sha256:{digits}'}}"),
        ),
        application(
            "very long",
            format!("a: {{image: {}}}", "redis".repeat(180_000)),
        ),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn variables() {
    let text = render(&[
        application(
            "in an environment",
            "db:\n  image: postgres\n  environment:\n    POSTGRES_PASSWORD: \"${DB_PASSWORD:?set it}\"",
        ),
        application(
            "twice in a word of a command",
            "web:\n  image: x\n  command: [serve, \"--dsn=postgres://${USER}:${DB_PASSWORD}@127.0.0.1/\"]",
        ),
        application(
            "in an image, with a default",
            "db: {image: \"postgres:${TAG:-16}\"}",
        ),
        application(
            "in a text of several lines",
            "a:\n  image: x\n  environment:\n    CONFIG: |\n      user: app\n      password: ${PW}\n",
        ),
        application(
            "in numbers",
            "a:\n  image: x\n  memory: ${MEM}\n  routes:\n    - ${PORT}\n",
        ),
        application(
            "in a path and a policy",
            "a:\n  image: x\n  volume: ${DATA}/db\n  restart: ${HOW}\n",
        ),
        application(
            "without braces",
            "a:\n  image: x\n  environment: {X: \"postgres://u:$PW@h\", Y: $2y$10$N9qo8uLOickgx2ZMRZoMye}\n",
        ),
        application("never closed", "a: {image: x, command: [\"${NAME\"]}"),
        application(
            "no name in it",
            "a: {image: x, command: [\"${}\", \"${{ secrets.X }}\"]}",
        ),
        application(
            "without quotes between brackets",
            "a: {image: x, command: [serve, --dsn=${DSN}]}",
        ),
        application(
            "without quotes between braces",
            "a: {image: postgres:${TAG}}",
        ),
        deployment("in a deployment", "nodes:\n  1.1.1.1:\n    - ${APP}\n"),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn volumes() {
    let text = render(&[
        application(
            "several paths in volume",
            "gitlab:\n  image: x\n  volume: [/etc/gitlab, /var/log/gitlab, /var/opt/gitlab]",
        ),
        application(
            "compose's volume",
            "db: {image: x, volume: 'db:/var/lib/data'}",
        ),
        application(
            "both keys",
            "db:\n  image: x\n  volume: /data\n  volumes: [/logs]",
        ),
        application("one path", "db: {image: x, volumes: /data, scratch: /tmp}"),
        application(
            "directories of the node",
            "db:\n  image: x\n  volumes:\n    - /srv/db:/data\n    - ./conf:/etc/db:ro\n    - ~/x:/x",
        ),
        application(
            "options",
            "db: {image: x, volumes: ['data:/data:z', 'conf:/etc/db:ro', '/srv/a:/a:rw']}",
        ),
        application(
            "compose's long form",
            "db:\n  image: x\n  volumes:\n    - {type: volume, source: db, target: /data}\n    \
             - {type: bind, source: /srv, target: /srv}\n    - {type: tmpfs, target: /run}\n    - {}",
        ),
        application(
            "paths and names",
            "db: {image: x, volumes: [data, 'a/b:/data', '/my data', 'x:y', /], scratch: [tmp, 5, 'a:/tmp']}",
        ),
        application(
            "one path twice",
            "db:\n  image: x\n  volumes: [/data, 'other:/data/']\n  scratch: [/data//., /tmp, /tmp]",
        ),
        application(
            "the volume's path is scratch, too",
            "db: {image: x, volume: /data, scratch: [/data]}",
        ),
        application(
            "one directory twice",
            "db: {image: x, volumes: [/a/b, 'a-b:/c', 'x:/y', 'x:/z']}",
        ),
        application(
            "a size without a path",
            "db: {image: x, volume: {maximum_size: 1G}, volumes: [], scratch: [/tmp]}",
        ),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn shared_volumes() {
    let text = render(&[
        application(
            "names",
            "a: {image: x, volume: /a}\nb: {image: x, volumes_from: [aa]}\nc: {image: x, volumes_from: [c]}\n\
             d: {image: x, volumes_from: a}\ne: {image: x, volumes_from: ['container:db:ro', 'a:z', 5]}",
        ),
        application(
            "two volumes",
            "a: {image: x, volume: /a}\nb: {image: x, volume: /b}\nc: {image: x, volumes_from: [a, b]}\n\
             d:\n  image: x\n  volumes:\n    - /own\n    - {application: a, target: /a}",
        ),
        application(
            "a chain, and nothing to see",
            "a: {image: x, volume: /a}\nb: {image: x, volumes_from: [a]}\nc: {image: x, volumes_from: [b]}\n\
             d: {image: x}\ne: {image: x, volumes_from: [d]}",
        ),
        application(
            "directories",
            "a: {image: x, volume: /a}\nb: {image: x, volumes: [html:/srv, conf:/etc/b]}\n\
             c: {image: x, volumes: [{application: a, source: html, target: /a}]}\n\
             d: {image: x, volumes: [{application: b, source: htm, target: /a}]}\n\
             e: {image: x, volumes: [{application: b, target: /a}]}\n\
             f: {image: x, volumes: [{application: b, source: a/b, target: /a}]}",
        ),
        application(
            "paths",
            "b: {image: x, volumes: [html:/srv, conf:/etc/b]}\n\
             c: {image: x, scratch: [/srv], volumes_from: [b]}\n\
             d: {image: x, volumes: [{application: b, read_only: maybe}, {application: b, source: html, target: srv, type: bind}]}",
        ),
        both(
            "places",
            "a: {image: x, volume: /a}\nb: {image: x, volumes_from: [a]}",
            "nodes: {1.1.1.1: [a], 1.1.1.2: [b]}",
        ),
        both(
            "an owner without a place",
            "a: {image: x, volume: /a}\nb: {image: x, volumes_from: [a]}",
            "nodes: {1.1.1.1: [], 1.1.1.2: [b]}",
        ),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn paths_of_the_node() {
    let text = render(&[
        application(
            "flocker's own",
            "a:\n  image: x\n  volumes: ['/:/host', '/flocker/db:/db', '/var/run/flocker:/x:ro', '/a/../b:/b']",
        ),
        application(
            "options and targets",
            "a:\n  image: x\n  volumes: ['/srv:/srv:z', '/srv:srv', '/srv:', '/a:/srv', '/b:/srv:ro']",
        ),
        application(
            "the long form",
            "a:\n  image: x\n  volumes:\n    - {type: bind, source: conf, target: /conf}\n    \
             - {type: bind, target: /x}\n    - {type: bind, source: /x, bind: {propagation: shared}}\n    \
             - {type: bind, src: /x, target: /y, read_only: 1}",
        ),
        application(
            "a size without a volume",
            "a: {image: x, volume: {maximum_size: 1G}, volumes: ['/srv:/srv']}",
        ),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn stopping() {
    let text = render(&[
        application(
            "signals",
            "a: {image: x, stop_signal: SIGFOO}\nb: {image: x, stop_signal: 0}\nc: {image: x, stop_signal: [2]}",
        ),
        application(
            "grace periods",
            "a: {image: x, stop_grace_period: 90}\nb: {image: x, stop_grace_period: 500ms}\n\
             c: {image: x, stop_grace_period: 1.5h}\nd: {image: x, stop_grace_period: 25h}\n\
             e: {image: x, stop_grace_period: }\nf: {image: x, stop_grace_period: ''}",
        ),
    ]);
    insta::assert_snapshot!(text);
}
