//! Compose files in which one service speaks of others in its files, its labels or its health check.

use flocker_config::{Diagnostics, Parsed, Source};

mod machine;

use machine::{Machine, parse_on};

fn try_read(text: &str, files: &[(&'static str, &'static str)]) -> Result<Parsed, Diagnostics> {
    let machine = Machine {
        files: files.iter().copied().collect(),
        ..Machine::default()
    };
    let one = Source {
        name: "compose.yaml",
        bytes: text.as_bytes(),
    };
    let other = Source {
        name: "deployment.yml",
        bytes: b"nodes: {1.1.1.1: []}",
    };
    parse_on((one, other), &machine, |_| "value")
}

fn read(text: &str, files: &[(&'static str, &'static str)]) -> Parsed {
    try_read(text, files).unwrap_or_else(|wrong| panic!("{text}\n{wrong}"))
}

/// Lists the applications and ports to which the links of one application lead.
fn links(parsed: &Parsed, name: &str) -> Vec<String> {
    let mut applications = parsed.deployment.applications.iter();
    let found = applications.find(|(one, _)| one.as_str() == name);
    let links = found.into_iter().flat_map(|(_, found)| &found.links);
    let links = links.map(|link| format!("{}:{}", link.target, link.port));
    links.collect()
}

const CADDY: &str = "
services:
  caddy:
    image: caddy
    restart: always
    ports: [\"443:443\"]
    volumes: [./Caddyfile:/etc/caddy/Caddyfile:ro]
  vaultwarden:
    image: vaultwarden/server
    restart: always
  app:
    image: example/app
    restart: always
";

#[test]
fn an_address_in_a_file_of_a_proxy_is_a_link() {
    for content in [
        "example.com {\n  reverse_proxy vaultwarden:80\n}\n",
        "upstream api { server vaultwarden:80; }",
        "proxy_pass http://vaultwarden/;",
        "services: [{url: 'http://vaultwarden:80'}]",
    ] {
        let parsed = read(CADDY, &[("./Caddyfile", content)]);
        assert_eq!(links(&parsed, "caddy"), ["vaultwarden:80"], "{content}");
        let said = parsed.warnings.to_string();
        assert!(!said.contains("does not reach"), "{said}");
    }
}

#[test]
fn an_address_in_a_config_that_the_file_has_is_a_link() {
    let text = "
services:
  proxy: {image: x, restart: always, configs: [{source: conf, target: /etc/x.conf}]}
  api: {image: y, restart: always}
  db: {image: postgres, restart: always}
  cache: {image: z, restart: always}
configs: {conf: {content: \"to api:8000 and postgres://u@db/x and tcp://cache\"}}
";
    let parsed = read(text, &[]);
    assert_eq!(links(&parsed, "proxy"), ["api:8000", "db:5432"]);
    let said: Vec<&str> = parsed
        .warnings
        .list
        .iter()
        .map(|one| one.message.as_str())
        .collect();
    assert_eq!(
        said,
        ["`proxy` may mean the service `cache`, whose port is not known"]
    );
}

#[test]
fn a_name_in_a_file_that_is_no_address_gives_no_link() {
    for content in [
        "# the app is behind vaultwarden:80\n",
        "title: app vaultwarden\nroot: /srv/app\napp = vaultwarden\n",
        "app.example.com { respond ok }",
    ] {
        let parsed = read(CADDY, &[("./Caddyfile", content)]);
        assert!(links(&parsed, "caddy").is_empty(), "{content}");
        assert!(parsed.warnings.is_empty(), "{content}\n{}", parsed.warnings);
    }
}

#[test]
fn a_backend_without_a_port_is_asked_for() {
    let content = "example.com {\n  reverse_proxy vaultwarden\n}\n";
    insta::assert_snapshot!(read(CADDY, &[("./Caddyfile", content)]).warnings);
    let depends = CADDY.replace(
        "image: caddy",
        "image: caddy\n    depends_on: [vaultwarden]",
    );
    let depends = depends.replace("vaultwarden/server", "x\n    expose: ['80']");
    let parsed = read(&depends, &[("./Caddyfile", content)]);
    let said = parsed.warnings.to_string();
    assert!(!said.contains("does not reach"), "{said}");
}

#[test]
fn another_name_of_a_service_in_a_file_is_found() {
    let text = "
services:
  proxy:
    image: nginx
    restart: always
    ports: [\"80:80\"]
    volumes: [./nginx.conf:/etc/nginx/nginx.conf:ro]
  api:
    image: example/api
    restart: always
    container_name: shop-api
    networks: {default: {aliases: [api.internal]}}
";
    // Compose would find both names, and nginx ends when it cannot.
    let addresses = "upstream a { server shop-api:8000; }\nproxy_pass http://api.internal/;\n";
    let wrong = try_read(text, &[("./nginx.conf", addresses)]).unwrap_err();
    insta::assert_snapshot!(wrong);
    let alone = "proxy_pass $scheme://x;\nserver shop-api\n";
    insta::assert_snapshot!(read(text, &[("./nginx.conf", alone)]).warnings);
    let prose = "# shop-api:8000 was here\nserver_name example.com; title shop-api\n";
    let said = read(text, &[("./nginx.conf", prose)]).warnings;
    assert_eq!(said.list.len(), 1, "{said}");
}

#[test]
fn traefik_does_not_find_containers_by_their_labels() {
    let text = "
services:
  proxy:
    image: traefik:v3
    restart: always
    volumes: [/var/run/docker.sock:/var/run/docker.sock:ro]
  web:
    image: x
    restart: always
    labels: [traefik.enable=true]
  api:
    image: x
    restart: always
    labels: {traefik.enable: 'true'}
";
    let said = read(text, &[]).warnings.to_string();
    assert!(
        said.contains("`proxy` does not reach `web` and `api`, which it knows by Docker's labels"),
        "{said}"
    );
}

#[test]
fn a_health_check_names_other_services_by_address_only() {
    let text = |check: &str| {
        format!(
            "
services:
  db: {{image: postgres, restart: always, healthcheck: {{test: {check}}}}}
  keycloak: {{image: x, restart: always, expose: [8080]}}
"
        )
    };
    for check in [
        "[CMD, pg_isready, -d, keycloak, -U, keycloak]",
        "pg_isready -d keycloak",
    ] {
        assert!(links(&read(&text(check), &[]), "db").is_empty(), "{check}");
    }
    for check in [
        "[CMD, pg_isready, -h, keycloak]",
        "pg_isready --host=keycloak",
        "curl http://keycloak/",
        "nc keycloak:8080",
    ] {
        let found = links(&read(&text(check), &[]), "db");
        assert_eq!(found, ["keycloak:8080"], "{check}");
    }
}
