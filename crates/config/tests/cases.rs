//! Files as people write them for Compose, Fig and earlier releases of Flocker, and what is said about
//! them.

use flocker_config::{Diagnostics, Parsed, Source, parse_with_warnings};

fn read(application: &str, deployment: &str) -> Result<Parsed, Diagnostics> {
    let source = |name, text: &'static str| Source {
        name,
        bytes: text.as_bytes(),
    };
    parse_with_warnings(
        source("application.yml", String::leak(application.to_owned())),
        source("deployment.yml", String::leak(deployment.to_owned())),
    )
}

/// Places every application on a node.
fn on_one_node(applications: &[&str]) -> String {
    format!(
        "nodes: {{1.1.1.1: [{}], 1.1.1.2: []}}",
        applications.join(", ")
    )
}

/// Returns what is said about a file that is refused.
fn refused(application: &str, placed: &[&str]) -> Diagnostics {
    match read(application, &on_one_node(placed)) {
        Ok(_) => panic!("{application} is accepted"),
        Err(diagnostics) => diagnostics,
    }
}

/// Returns what is said about one application that is refused.
fn hints(application: &str) -> Vec<String> {
    let diagnostics = refused(application, &[]);
    let hints = diagnostics.list.into_iter();
    hints.map(|one| one.hint.unwrap_or_default()).collect()
}

// Its README demands that such a file is refused, and was written before any release took it.
#[test]
fn a_file_of_the_first_release_is_taken() {
    let application = "\
version: 1
applications:
  mongo:
    image: mongo:4.4
    ports:
    - internal: 27017
      external: 27018
";
    let deployment = "version: 1\nnodes: {127.0.0.1: [mongo], 127.0.0.2: []}\n";
    let parsed = read(application, deployment).unwrap();
    let said = parsed.warnings.list.into_iter();
    let said: Vec<_> = said.map(|one| one.message).collect();
    assert_eq!(
        said,
        [
            "this file is read as one of Flocker 0.1 to 1.15, because it has `version: 1`; so nothing \
             starts `mongo` again, without `restart_policy`"
        ]
    );
    let ours = "mongo: {image: \"mongo:4.4\", routes: [{external: 27018, internal: 27017}], restart: never}";
    let same = read(ours, "nodes: {127.0.0.1: [mongo], 127.0.0.2: []}").unwrap();
    assert_eq!(parsed.deployment, same.deployment);
}

#[test]
fn an_alias_must_be_an_application() {
    let application = "\
search:
  image: elasticsearch:7.17.9
  ports:
  - {internal: 9200, external: 9201}
shipper:
  image: logstash:7.17.9
  ports: [{internal: 5000, external: 5000}]
  links:
  - local_port: 9200
    remote_port: 9200
    alias: es
";
    let wrapped = application.replace('\n', "\n  ");
    let alone = refused(application, &["search", "shipper"]);
    let wrapped = refused(
        &format!("applications:\n  {wrapped}"),
        &["search", "shipper"],
    );
    assert_eq!(wrapped.list.len(), alone.list.len() + 1);
    insta::assert_snapshot!(alone);
}

// Its README demands hints for each key, and was written before any release took such a file.
#[test]
fn a_fig_file_is_taken_but_for_other_names() {
    let application = "\
counter:
  image: example/counter
  links:
   - \"store:database\"
  ports:
   - \"80:80\"
   - \"8443:443\"
store:
  image: redis
  ports: [\"6379:6379/tcp\"]
  volumes: [\"/data\"]
";
    let diagnostics = refused(application, &["counter", "store"]);
    let messages: Vec<_> = diagnostics.list.iter().map(|one| &one.message).collect();
    assert_eq!(
        messages[1],
        "this file is read as a Fig file, because only Fig has a list of this form; so nothing starts \
         `counter` and `store` again, without `restart`"
    );
    assert_eq!(messages[0], "`counter` knows `store` as `database`");
}

#[test]
fn a_weight_of_processors_is_not_a_number_of_them() {
    let application = "\
site.example.org:
  image: example/site:v1.0
  environment: {ADMIN_USER: root}
  ports: [{internal: 80, external: 8080}]
  mem_limit: 100000000
  cpu_shares: 512
  restart_policy: {name: on-failure, maximum_retry_count: 10}
  volume: {mountpoint: /var/www/data, maximum_size: 500M}
followed: {image: example/site, cpu: 512, memory: 100000000}
";
    insta::assert_snapshot!(refused(application, &["site.example.org"]));
}

// Its README demands that such a file is refused as a whole, and was written before any release took it.
#[test]
fn a_compose_file_with_volumes_of_flocker_is_taken() {
    let application = "\
version: \"2\"
volumes:
  pg: {driver: flocker, driver_opts: {size: 10GiB, profile: bronze}}
services:
  postgres:
    image: postgres:9.5
    ports: [\"5432:5432\"]
    environment: [\"constraint:flocker-node==1\", \"POSTGRES_USER=u\", \"POSTGRES_PASSWORD=p\"]
    network_mode: bridge
    volumes: [\"pg:/var/lib/postgresql/data\"]
";
    let parsed = read(application, &on_one_node(&["postgres"])).unwrap();
    let ours = "\
postgres:
  image: postgres:9.5
  routes: [5432]
  environment: {POSTGRES_USER: u, POSTGRES_PASSWORD: p}
  volume: {maximum_size: 10G}
  volumes: [\"pg:/var/lib/postgresql/data\"]
  restart: never
";
    let same = read(ours, &on_one_node(&["postgres"])).unwrap();
    assert_eq!(parsed.deployment, same.deployment);
    insta::assert_snapshot!(parsed.warnings);
}

#[test]
fn a_version_beside_services_is_named_as_such() {
    let application = "version: \"1\"\nweb: {image: x, ports: [80]}\n";
    insta::assert_snapshot!(refused(application, &["web"]));
}

#[test]
fn a_password_is_never_the_text_of_a_variable() {
    let digest = "ab".repeat(32);
    let application = format!(
        "\
photos:
  image: ghcr.io/immich-app/immich-server:release
  volume: /data
  environment: {{DB_PASSWORD: \"${{DB_PASSWORD}}\"}}
  links: [[photos-db, 5432]]
photos-db:
  image: docker.io/valkey/valkey:8-bookworm@sha256:{digest}
  environment:
    POSTGRES_PASSWORD: ${{DB_PASSWORD}}
"
    );
    insta::assert_snapshot!(refused(&application, &["photos", "photos-db"]));
    let literal = application.replace("${DB_PASSWORD}", "secret");
    let parsed = read(&literal, &on_one_node(&["photos", "photos-db"])).unwrap();
    let image = &parsed.deployment.applications[&"photos-db".parse().unwrap()].image;
    assert_eq!(image.with_tag(), format!("valkey/valkey@sha256:{digest}"));
}

/// Returns the routes of an application that is accepted, one a line.
fn routes(application: &str, name: &str) -> String {
    let parsed = match read(application, &on_one_node(&[name])) {
        Ok(parsed) => parsed,
        Err(diagnostics) => panic!("{diagnostics}"),
    };
    let applications = parsed.deployment.applications.values();
    let routes = applications.flat_map(|application| &application.routes);
    let routes = routes.map(|(outside, route)| {
        let from = route.from.iter().map(|network| format!(" {network}"));
        format!("{outside} to {}{}", route.port, from.collect::<String>())
    });
    routes.collect::<Vec<_>>().join("\n")
}

#[test]
fn composes_forms_of_ports_are_routes() {
    let application = "\
dns:
  image: pihole/pihole
  routes:
    - 53/udp
    - \"53:53/tcp\"
    - 127.0.0.1:8080:80
    - 30000-30002
    - 80
    - \"443\"
    - {target: 67, published: \"67\", protocol: udp, host_ip: 192.0.2.1}
    - {internal: 8000-8001, external: 9000-9001}
";
    insta::assert_snapshot!(routes(application, "dns"), @r"
    53 to 53
    80 to 80
    443 to 443
    9000 to 8000
    9001 to 8001
    30000 to 30000
    30001 to 30001
    30002 to 30002
    53/udp to 53
    127.0.0.1:8080 to 80
    192.0.2.1:67/udp to 67
    ");
}

#[test]
fn a_route_names_the_networks_that_may_connect() {
    let application = "\
db:
  image: postgres:16
  routes:
    - {external: 5432, internal: 5432, from: [10.0.0.0/8, 192.0.2.7]}
    - {external: 6432, internal: 5432, address: 192.0.2.1, from: 192.0.2.0/24}
";
    insta::assert_snapshot!(routes(application, "db"), @r"
    5432 to 5432 10.0.0.0/8 192.0.2.7
    192.0.2.1:6432 to 5432 192.0.2.0/24
    ");
}

#[test]
fn ports_that_are_no_routes_have_their_reasons() {
    let application = "\
dns:
  image: pihole/pihole
  routes:
    - 53/sctp
    - \"[::1]:8080:80\"
    - \"127.0.0.1::80\"
    - 3000-3010:80
    - 1-2000
    - lan:80:80
    - {external: 81, published: 81, internal: 80}
    - {external: 82, internal: 80-89}
    - {external: 83, internal: 80, from: []}
    - {external: 84, internal: 80, from: [10.1.2.3/8, \"fd00::/8\", lan]}
    - {external: 85, internal: 80, protocol: sctp, host_ip: \"::1\"}
";
    insta::assert_snapshot!(refused(application, &["dns"]));
}

#[test]
fn two_routes_are_one_where_a_packet_could_be_for_both() {
    let application = "\
a: {image: x, routes: [53, 192.0.2.1:80:80, 5353/udp]}
b: {image: x, routes: [53/udp, 192.0.2.2:80:80]}
c: {image: x, routes: [80, 5353/udp]}
d: {image: x, routes: [192.0.2.1:80:81]}
";
    let diagnostics = refused(application, &["a", "b", "c", "d"]);
    let said = diagnostics.list.iter().map(|one| one.message.as_str());
    assert_eq!(
        said.collect::<Vec<_>>(),
        [
            "`c` routes port 80 at every address, and `a` port 80 at 192.0.2.1",
            "`c` and `a` both route port 5353/udp",
            "`d` and `a` both route port 192.0.2.1:80",
        ]
    );
    let right = "a: {image: x, routes: [53]}\nb: {image: x, routes: [53/udp]}\n";
    read(right, &on_one_node(&["a", "b"])).unwrap();
}

/// Lists where the links of `web` are and lead to.
fn links_of_web(parsed: &Parsed) -> Vec<String> {
    let applications = parsed.deployment.applications.iter();
    let web = applications.filter(|(name, _)| name.as_str() == "web");
    web.flat_map(|(_, web)| &web.links)
        .map(|link| format!("{} to {}", link.local(), link.inside()))
        .collect()
}

#[test]
fn a_link_has_an_address() {
    let application = "\
web:
  image: x
  routes: [80]
  links:
    - {application: api, port: 80, address: 127.1.0.5}
    - {application: api, port: 80, address: 127.1.0.6}
    - {application: api, port: 81/udp, local_port: 80, address: 127.1.0.5}
    - {application: api, port: 82, address: 127.0.0.1, hide_own: true}
    - {application: api, port: 83, address: 127.1.0.5, hide_own: false}
api: {image: x}
";
    let parsed = read(application, &on_one_node(&["web", "api"])).unwrap();
    assert_eq!(
        links_of_web(&parsed),
        [
            "127.1.0.5:80 to 80",
            "127.1.0.6:80 to 80",
            "127.1.0.5:80/udp to 81/udp",
            "82 to 82",
            "127.1.0.5:83 to 83",
        ]
    );
}

#[test]
fn a_link_has_a_protocol() {
    let application = "\
web:
  image: x
  links:
    - [dns, 53/udp]
    - [dns, 53]
    - {application: dns, port: 53, local_port: 5353, protocol: udp}
dns: {image: x}
";
    let parsed = read(application, &on_one_node(&["web", "dns"])).unwrap();
    assert_eq!(
        links_of_web(&parsed),
        ["53 to 53", "53/udp to 53/udp", "5353/udp to 53/udp"]
    );
}

#[test]
fn links_of_udp_that_cannot_be_have_their_reasons() {
    let application = "\
web:
  image: x
  routes: [53/udp]
  links:
    - [dns, 53/udp]
    - [dns, 53/sctp]
    - {application: dns, port: 54/udp, protocol: tcp}
    - [dns, 55/udp]
    - {application: other, port: 1, local_port: 55, protocol: udp}
    - \"dns:56/udp\"
dns: {image: x}
other: {image: x}
";
    insta::assert_snapshot!(refused(application, &["web", "dns", "other"]));
}

#[test]
fn all_names_of_an_image_are_one_image() {
    let application = "\
a: {image: docker.io/library/redis:alpine}
b: {image: index.docker.io/library/redis:alpine}
c: {image: library/redis:alpine}
d: {image: docker.io/redis:alpine}
";
    let parsed = read(application, &on_one_node(&["a", "b", "c", "d"])).unwrap();
    for application in parsed.deployment.applications.values() {
        assert_eq!(application.image.identity().as_str(), "redis:alpine");
    }
}

#[test]
fn every_key_of_a_compose_service_is_answered_at_once() {
    let application = "\
db:
  image: postgres:16
  volumes: [db:/var/lib/postgresql/data]
  env_file: .env
  environment: [POSTGRES_PASSWORD=x]
  shm_size: 1g
  stop_grace_period: 2m
  stop_signal: SIGINT
  healthcheck: {disable: true}
  user: \"999:999\"
  hostname: db1
  tmpfs: [/tmp]
  read_only: true
  cap_add: [SYS_NICE]
  devices: [/dev/dri]
  sysctls: {net.core.somaxconn: \"1024\"}
  ulimits: {nofile: 65536}
  working_dir: /srv
  init: true
  privileged: true
  security_opt: [\"no-new-privileges:true\"]
  extra_hosts: [\"host.docker.internal:host-gateway\"]
  dns: [1.1.1.1]
  logging: {driver: gelf}
  labels: {a: b}
  platform: linux/amd64
  pull_policy: always
  restart: unless-stopped
  container_name: db
  networks: [back]
  secrets: [pw]
  command: postgres -c max_connections=200
  ports: [\"5432:5432\"]
  depends_on: [x]
  entrypoint: /entry.sh
  mem_reservation: 1g
  deploy: {replicas: 2}
  expose: [5432]
  cpus: 0.5
  mem_limit: 1g
";
    insta::assert_snapshot!(refused(application, &["db"]));
}

#[test]
fn several_paths_in_volume_lead_to_volumes() {
    let application = "\
gitlab:
  image: gitlab/gitlab-ce:17.5.1-ce.0
  volume: [/etc/gitlab, /var/log/gitlab, /var/opt/gitlab]
";
    let hints = hints(application);
    let line = "volumes: [/etc/gitlab, /var/log/gitlab, /var/opt/gitlab]";
    assert!(hints[0].ends_with(&format!("write `{line}`")), "{hints:?}");
    let followed = format!("gitlab: {{image: gitlab/gitlab-ce, {line}}}");
    read(&followed, &on_one_node(&["gitlab"])).unwrap();
}

#[test]
fn a_command_line_keeps_its_quoted_words() {
    let application = "\
db:
  image: postgres:16
  command: postgres -c 'shared_preload_libraries=pg_stat_statements, timescaledb' -c max=200
worker: {image: x, command: sh -c \"exec server >/dev/null\", entrypoint: /entry.sh --verbose}
lines:
  image: x
  command: >
    serve --price=5$$
    --allow=*
bare: {image: x, entrypoint: \"\", command: server}
";
    let parsed = read(application, &on_one_node(&[])).unwrap();
    let application = |name: &str| parsed.deployment.applications[&name.parse().unwrap()].clone();
    let command = |name| application(name).command.unwrap();
    assert_eq!(
        command("db"),
        [
            "postgres",
            "-c",
            "shared_preload_libraries=pg_stat_statements, timescaledb",
            "-c",
            "max=200"
        ]
    );
    assert_eq!(command("worker"), ["sh", "-c", "exec server >/dev/null"]);
    assert_eq!(command("lines"), ["serve", "--price=5$", "--allow=*"]);
    let entrypoint = |name| application(name).options.process.entrypoint.unwrap();
    assert_eq!(entrypoint("worker"), ["/entry.sh", "--verbose"]);
    assert!(entrypoint("bare").is_empty(), "the image's is cleared");
}

#[test]
fn a_command_line_that_needs_a_shell_is_refused() {
    let hint = |command: &str| {
        let application = format!("db:\n  image: postgres:16\n  command: {command}\n");
        hints(&application).remove(0)
    };
    let hints = [
        hint("start && wait"),
        hint("serve --home $HOME"),
        hint("serve --home $$HOME && wait"),
        hint("an 'open quote"),
        hint("|\n    # the server\n    serve --port 80"),
        hint("[]"),
    ];
    insta::assert_snapshot!(hints.join("\n"));
}

#[test]
fn merge_keys_are_named_wherever_they_are() {
    let application = "\
<<: {}
base: &base {image: example/app, restart: on-failure}
web: {<<: *base, routes: [80]}
worker:
  image: example/app
  environment:
    <<: {A: b}
";
    insta::assert_snapshot!(refused(application, &["base", "web"]));
}

#[test]
fn image_names_that_docker_refuses_are_refused() {
    let capitals = "ABCDEF".repeat(10);
    let application = format!(
        "\
a: {{image: \"redis@sha256:aaaa\"}}
c: {{image: \"redis@sha256:{capitals}ABCD\"}}
d: {{image: \"redis::7\"}}
e: {{image: \"a:b:c/d\"}}
f: {{image: \"-redis\"}}
"
    );
    let diagnostics = refused(&application, &[]);
    let lines = diagnostics
        .list
        .iter()
        .map(|one| one.place.as_ref().unwrap().line);
    assert_eq!(lines.collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    let right = format!("b: {{image: \"redis:7@sha256:{}\"}}", "aa".repeat(32));
    read(&right, &on_one_node(&["b"])).unwrap();
}

#[test]
fn an_entry_point_is_replaced_and_not_the_command() {
    let application = "\
prom:
  image: prom/prometheus
  volume: /prometheus
  entrypoint: [/bin/sh, -c]
  command: [\"exec /bin/prometheus --config.file=/etc/prometheus/prometheus.yml\"]
";
    let parsed = read(application, &on_one_node(&["prom"])).unwrap();
    let prom = &parsed.deployment.applications[&"prom".parse().unwrap()];
    let entrypoint = prom.options.process.entrypoint.as_ref().unwrap();
    assert_eq!(entrypoint, &["/bin/sh", "-c"]);
    assert_eq!(prom.command.as_ref().unwrap().len(), 1);
}
