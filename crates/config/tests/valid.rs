//! Files that are right, and what they mean.

use flocker_config::{Parsed, Source, parse, parse_with_warnings};
use flocker_model::{
    ByteCount, CpuMillis, Deployment, MountPath, Port, RestartPolicy, Secret, StopGracePeriod,
    VolumeLayout,
};

/// The example of the first description of Flocker, with port numbers filled in.
const SEED_APPLICATIONS: &str = include_str!("seed/application_config.yml");
const SEED_DEPLOYMENT: &str = include_str!("seed/deployment_config.yml");
const SEED_MOVED: &str = include_str!("seed/deployment_config_moved.yml");

fn read(application: &str, deployment: &str) -> Parsed {
    let source = |name, text: &'static str| Source {
        name,
        bytes: text.as_bytes(),
    };
    let application = String::leak(application.to_owned());
    let deployment = String::leak(deployment.to_owned());
    parse_with_warnings(
        source("application_config.yml", application),
        source("deployment_config.yml", deployment),
    )
    .unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

fn deployment(application: &str, deployment: &str) -> Deployment {
    let parsed = read(application, deployment);
    assert!(parsed.warnings.is_empty(), "{}", parsed.warnings);
    parsed.deployment
}

#[test]
fn the_seeds_example() {
    let parsed = deployment(SEED_APPLICATIONS, SEED_DEPLOYMENT);
    insta::assert_json_snapshot!(parsed);
}

#[test]
fn the_seeds_example_after_the_move() {
    let before = deployment(SEED_APPLICATIONS, SEED_DEPLOYMENT);
    let after = deployment(SEED_APPLICATIONS, SEED_MOVED);
    assert_eq!(before.applications, after.applications);
    let application = "pgsql-trac".parse().unwrap();
    let place = |deployment: &Deployment| deployment.place_of(&application).unwrap().to_string();
    assert_eq!(
        (place(&before).as_str(), place(&after).as_str()),
        ("1.1.1.1", "1.1.1.2")
    );
}

#[test]
fn the_same_example_as_json() {
    let application = r#"{
        "trac": {"image": "clusterhq/trac", "links": [["pgsql-trac", 5432]], "routes": [443]},
        "pgsql-trac": {"image": "clusterhq/postgresql", "volume": "/var/run/postgresql"}
    }"#;
    let nodes = r#"{"nodes": {"1.1.1.1": ["trac"], "1.1.1.2": ["pgsql-trac"]}}"#;
    assert_eq!(deployment(application, nodes).nodes.len(), 2);
}

#[test]
fn every_key_in_its_long_form() {
    let application = r#"
web:
  image: example/web:1.2
  command: [serve, --port, "8080"]
  environment: {MODE: production, EMPTY: "", COUNT: !!str 5}
  volume: {mountpoint: /srv, maximum_size: 10G}
  routes: [{external: 80, internal: 8080}, {external: 81, internal: 8080}, 9000]
  links:
    - [db, 5432]
    - {application: spare, port: 5432, local_port: 5433}
  memory: 512M
  cpu: 1.5
  restart: on-failure
db: {image: example/db, memory: 1073741824, cpu: 2, restart: never}
spare: {image: "example/db@sha256:0123012301230123012301230123012301230123012301230123012301230123", restart: always}
"#;
    let parsed = deployment(
        application,
        "nodes: {node-1.example.com: [web, db], b: [spare]}",
    );
    let web = &parsed.applications[&"web".parse().unwrap()];
    assert_eq!(web.memory, Some(ByteCount::mebibytes(512)));
    assert_eq!(web.cpu, Some(CpuMillis::new(1500)));
    assert_eq!(web.restart, RestartPolicy::OnFailure);
    assert_eq!(web.environment["COUNT"].reveal(), "5");
    let volume = web.volume.as_ref().unwrap();
    assert_eq!(volume.maximum_size, Some(ByteCount::mebibytes(10 * 1024)));
    let port = |number| Port::new(number).unwrap();
    assert_eq!(web.routes[&port(81).into()], port(8080).into());
    assert_eq!(web.routes[&port(9000).into()], port(9000).into());
    assert_eq!(web.links.len(), 2);
}

#[test]
fn what_was_commented_out_is_as_if_it_were_absent() {
    let sparse = "
trac:
  image: clusterhq/trac
  environment:
  #  DEBUG: \"1\"
  routes:
  #  - 443
  links:
";
    let parsed = deployment(sparse, "nodes:\n  1.1.1.1:\n  #  - trac\n");
    assert_eq!(
        parsed,
        deployment("trac: {image: clusterhq/trac}", "nodes: {1.1.1.1: []}")
    );
}

#[test]
fn everything_can_be_stopped() {
    let parsed = deployment("{}", "nodes: {1.1.1.1: [], 1.1.1.2: []}");
    assert_eq!(parsed.nodes.len(), 2);
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_mean_nothing() {
    let windows = |text: &str| format!("\u{feff}{}", text.replace('\n', "\r\n"));
    assert_eq!(
        deployment(&windows(SEED_APPLICATIONS), &windows(SEED_DEPLOYMENT)),
        deployment(SEED_APPLICATIONS, SEED_DEPLOYMENT)
    );
}

#[test]
fn aliases_stand_for_what_they_name() {
    let application = "
one: {image: a, environment: &common {LEVEL: debug}}
two: {image: a, environment: *common}
";
    let parsed = deployment(application, "nodes: {1.1.1.1: [one, two]}");
    let environment = |name: &str| &parsed.applications[&name.parse().unwrap()].environment;
    assert_eq!(environment("one"), environment("two"));
}

#[test]
fn one_document_may_have_its_markers() {
    deployment("%YAML 1.2\n---\n{}\n...\n", "---\nnodes: {a: []}\n");
}

#[test]
fn a_link_to_an_application_without_a_place_is_a_warning() {
    let text = "
trac: {image: a, links: [[pgsql-trac, 5432]]}
pgsql-trac: {image: b}
";
    let parsed = read(text, "nodes: {1.1.1.1: [trac]}");
    assert_eq!(parsed.deployment.nodes.len(), 1);
    insta::assert_snapshot!(parsed.warnings);
}

#[test]
fn a_link_between_applications_without_a_place_is_nobodys_concern() {
    let text = "
trac: {image: a, links: [[pgsql-trac, 5432]]}
pgsql-trac: {image: b}
";
    deployment(text, "nodes: {1.1.1.1: []}");
}

#[test]
fn the_order_of_keys_does_not_change_the_deployment() {
    let one = "a: {image: x, routes: [1, 2]}\nb: {image: y}";
    let other = "b: {image: y}\na: {routes: [2, 1], image: x}";
    let nodes = "nodes: {n: [a, b], m: []}";
    let reordered = "nodes: {m: [], n: [b, a]}";
    assert_eq!(
        deployment(one, nodes).id(),
        deployment(other, reordered).id()
    );
}

#[test]
fn parse_is_the_same_without_warnings() {
    let application = Source {
        name: "a",
        bytes: SEED_APPLICATIONS.as_bytes(),
    };
    let nodes = Source {
        name: "d",
        bytes: SEED_DEPLOYMENT.as_bytes(),
    };
    assert_eq!(
        parse(application, nodes).unwrap(),
        deployment(SEED_APPLICATIONS, SEED_DEPLOYMENT)
    );
}

#[test]
fn two_dollars_are_one_dollar() {
    let text = r#"
db:
  image: postgres
  environment: {ONE: "a$$b", ALONE: "$$HOME", KEPT: "$${NAME}"}
  command: [sh, -c, 'echo "$1 $${2:-x}" $$$$']
"#;
    let parsed = deployment(text, "nodes: {1.1.1.1: [db]}");
    let db = &parsed.applications[&"db".parse().unwrap()];
    let values: Vec<_> = db.environment.values().map(Secret::reveal).collect();
    assert_eq!(values, ["$HOME", "${NAME}", "a$b"]);
    let command = db.command.as_ref().unwrap();
    assert_eq!(command[2], r#"echo "$1 ${2:-x}" $$"#);
}

#[test]
fn a_volume_may_be_seen_at_several_paths() {
    let text = "
gitlab:
  image: gitlab/gitlab-ce
  volume: {maximum_size: 10G}
  volumes: [/etc/gitlab/, 'data:/var//opt/gitlab', /var/opt/gitlab/backups]
  scratch: [/var/log/gitlab, /var/opt/gitlab/tmp]
";
    let parsed = deployment(text, "nodes: {1.1.1.1: [gitlab]}");
    let gitlab = &parsed.applications[&"gitlab".parse().unwrap()];
    let volume = gitlab.volume.as_ref().unwrap();
    assert_eq!(volume.maximum_size, Some(ByteCount::new(10 << 30)));
    let VolumeLayout::Directories { directories } = &volume.layout else {
        panic!("{volume:?}");
    };
    let directories: Vec<_> = directories
        .iter()
        .map(|(path, name)| (path.as_str(), name.as_str()))
        .collect();
    assert_eq!(
        directories,
        [
            ("/etc/gitlab", "etc-gitlab"),
            ("/var/opt/gitlab", "data"),
            ("/var/opt/gitlab/backups", "var-opt-gitlab-backups"),
        ]
    );
    let scratch: Vec<_> = gitlab.scratch.iter().map(MountPath::as_str).collect();
    assert_eq!(scratch, ["/var/log/gitlab", "/var/opt/gitlab/tmp"]);
}

#[test]
fn an_application_may_say_how_it_is_stopped() {
    let text = "
a: {image: x, stop_signal: sigint, stop_grace_period: 1m30s}
b: {image: x, stop_signal: 3, stop_grace_period: 0s}
";
    let parsed = deployment(text, "nodes: {1.1.1.1: [a, b]}");
    let stopping = |name: &str| {
        let application = &parsed.applications[&name.parse().unwrap()];
        let signal = application.stop_signal.map(|signal| signal.to_string());
        let seconds = application.stop_grace_period.map(StopGracePeriod::seconds);
        (signal.unwrap(), seconds.unwrap())
    };
    assert_eq!(stopping("a"), ("SIGINT".to_owned(), 90));
    assert_eq!(stopping("b"), ("SIGQUIT".to_owned(), 0));
}

#[test]
fn an_application_may_see_anothers_volume() {
    let text = "
nextcloud: {image: nextcloud, volumes: [html:/var/www/html, data:/srv/data]}
cron: {image: nextcloud, volumes_from: [nextcloud]}
web:
  image: nginx
  scratch: [/tmp]
  volumes:
    - {application: nextcloud, source: html, target: /usr/share//nginx/html, read_only: true}
backup: {image: restic, volumes_from: ['nextcloud:ro']}
db: {image: postgres, volume: /data}
dump: {image: postgres, volumes: [{type: volume, application: db, target: /db}]}
";
    let nodes = "nodes: {1.1.1.1: [nextcloud, cron, web, backup], 1.1.1.2: [db, dump]}";
    let parsed = deployment(text, nodes);
    let seen = |name: &str| {
        let application = &parsed.applications[&name.parse().unwrap()];
        assert_eq!(application.volume, None);
        let shared = application.shared.as_ref().unwrap();
        let mounts = shared.mounts.iter().map(|(path, mount)| {
            let directory = mount.directory.as_ref().map_or("", |name| name.as_str());
            let mode = if mount.read_only { ":ro" } else { "" };
            format!("{}/{directory}:{path}{mode}", shared.application)
        });
        mounts.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        seen("cron"),
        "nextcloud/data:/srv/data nextcloud/html:/var/www/html"
    );
    assert_eq!(seen("web"), "nextcloud/html:/usr/share/nginx/html:ro");
    assert_eq!(
        seen("backup"),
        "nextcloud/data:/srv/data:ro nextcloud/html:/var/www/html:ro"
    );
    assert_eq!(seen("dump"), "db/:/db");
}

#[test]
fn a_path_of_the_node_is_allowed_with_a_warning() {
    let text = "
agent:
  image: example/agent
  volume: /data
  volumes:
    - /etc/localtime:/etc/localtime:ro
    - /var/run/docker.sock:/var/run/docker.sock
    - {type: bind, source: /srv//shared/, target: /shared, read_only: true}
";
    let parsed = read(text, "nodes: {1.1.1.1: [agent]}");
    insta::assert_snapshot!(parsed.warnings);
    let agent = &parsed.deployment.applications[&"agent".parse().unwrap()];
    let mounts = agent.host_mounts.iter();
    let mounts: Vec<String> = mounts
        .map(|(path, mount)| format!("{}:{path}:{}", mount.source, mount.read_only))
        .collect();
    assert_eq!(
        mounts,
        [
            "/etc/localtime:/etc/localtime:true",
            "/srv/shared:/shared:true",
            "/var/run/docker.sock:/var/run/docker.sock:false",
        ]
    );
    assert!(agent.volume.is_some());
}
