//! The ports at which the programs of well-known images answer.
//!
//! **Source**: the pages of these images, as of 2026: the ports that they expose.

/// The last part of an image's name, and its ports.
const PORTS: &[(&str, &[u16])] = &[
    ("adminer", &[8080]),
    ("alertmanager", &[9093]),
    ("caddy", &[80, 443]),
    ("cassandra", &[9042]),
    ("chrome", &[3000]),
    ("clamav", &[3310]),
    ("clickhouse-server", &[8123, 9000]),
    ("consul", &[8500]),
    ("couchdb", &[5984]),
    ("cp-kafka", &[9092]),
    ("dragonfly", &[6379]),
    ("eclipse-mosquitto", &[1883]),
    ("elasticsearch", &[9200]),
    ("etcd", &[2379]),
    ("gotenberg", &[3000]),
    ("grafana", &[3000]),
    ("httpd", &[80]),
    ("immich-machine-learning", &[3003]),
    ("influxdb", &[8086]),
    ("kafka", &[9092]),
    ("keydb", &[6379]),
    ("kibana", &[5601]),
    ("loki", &[3100]),
    ("mailhog", &[1025, 8025]),
    ("mailpit", &[1025, 8025]),
    ("mariadb", &[3306]),
    ("meilisearch", &[7700]),
    ("memcached", &[11211]),
    ("minio", &[9000]),
    ("mongo", &[27017]),
    ("mongodb", &[27017]),
    ("mongodb-community-server", &[27017]),
    ("mysql", &[3306]),
    ("nats", &[4222]),
    ("neo4j", &[7474, 7687]),
    ("nextcloud", &[80]),
    ("nginx", &[80]),
    ("node-exporter", &[9100]),
    ("openldap", &[389]),
    ("opensearch", &[9200]),
    ("percona", &[3306]),
    ("percona-server", &[3306]),
    ("pgvecto-rs", &[5432]),
    ("pgvector", &[5432]),
    ("postgis", &[5432]),
    ("postgres", &[5432]),
    ("postgresql", &[5432]),
    ("prometheus", &[9090]),
    ("rabbitmq", &[5672]),
    ("redis", &[6379]),
    ("redis-stack-server", &[6379]),
    ("registry", &[5000]),
    ("solr", &[8983]),
    ("tika", &[9998]),
    ("timescaledb", &[5432]),
    ("timescaledb-ha", &[5432]),
    ("typesense", &[8108]),
    ("valkey", &[6379]),
    ("vault", &[8200]),
    ("wordpress", &[80]),
    ("zookeeper", &[2181]),
];

/// Those of them that connect to other services.
const CLIENTS: &[&str] = &[
    "adminer",
    "alertmanager",
    "caddy",
    "grafana",
    "httpd",
    "kibana",
    "nextcloud",
    "nginx",
    "prometheus",
    "wordpress",
];

/// Tells whether an image is a well-known server, such as a database, that connects to no other service.
pub(crate) fn only_answers(image: &str) -> bool {
    let (name, tag) = name_and_tag(image);
    !is_fpm(tag) && !CLIENTS.contains(&name) && !ports_of_image(image).is_empty()
}

/// Returns the last part of an image's name.
pub(crate) fn name_of_image(image: &str) -> &str {
    name_and_tag(image).0
}

/// Returns the last part of an image's name, and its tag.
fn name_and_tag(image: &str) -> (&str, &str) {
    let name = image.split('@').next().unwrap_or(image);
    let name = name.rsplit('/').next().unwrap_or(name);
    name.split_once(':').unwrap_or((name, ""))
}

/// Tells whether a tag is one of PHP's process manager.
fn is_fpm(tag: &str) -> bool {
    tag.split('-').any(|part| part == "fpm")
}

/// Returns the ports of a well-known image, or none.
pub(crate) fn ports_of_image(image: &str) -> &'static [u16] {
    let (name, tag) = name_and_tag(image);
    // PHP's process manager answers in the place of a web server.
    if is_fpm(tag) {
        return &[9000];
    }
    let found = PORTS.binary_search_by(|(known, _)| known.cmp(&name));
    found.map_or(&[], |index| PORTS[index].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_found_by_the_last_part_of_their_names() {
        assert_eq!(ports_of_image("postgres"), [5432]);
        assert_eq!(
            ports_of_image("docker.io/library/redis:7@sha256:ab"),
            [6379]
        );
        assert_eq!(
            ports_of_image("registry.example.com:5000/x/mariadb:11"),
            [3306]
        );
        assert_eq!(ports_of_image("nextcloud:30-fpm-alpine"), [9000]);
        assert!(ports_of_image("example/web").is_empty());
        assert!(PORTS.is_sorted());
        assert!(only_answers("postgres:17") && !only_answers("nextcloud:30-fpm"));
        assert!(!only_answers("grafana/grafana") && !only_answers("example/web"));
        let known = |client: &&str| !ports_of_image(client).is_empty();
        assert!(CLIENTS.iter().all(known));
    }
}
