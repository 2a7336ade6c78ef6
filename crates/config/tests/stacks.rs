//! The Compose files in `examples/`, as people would write them who never saw Flocker: each is taken
//! unchanged.

use std::fs;
use std::path::{Path, PathBuf};

use flocker_config::{PathKind, Source, Surroundings, parse_beside, wanted_beside};

/// A directory of `examples/`, with no variables in the environment.
struct Directory(PathBuf);

impl Surroundings for Directory {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn read(&self, _: &str, path: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(fs::read(self.0.join(path)).ok())
    }

    fn kind(&self, _: &str, path: &str) -> PathKind {
        let path = self.0.join(path);
        match (path.is_file(), path.is_dir()) {
            (true, _) => PathKind::File {
                mode: 0o644,
                uid: 1000,
                gid: 1000,
            },
            (_, true) => PathKind::Directory,
            _ => PathKind::Missing,
        }
    }

    fn files(&self, _: &str, _: &str) -> Vec<String> {
        Vec::new()
    }
}

fn check(name: &str) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples")
        .join(name);
    let content = |name| fs::read(directory.join(name)).unwrap_or_else(|error| panic!("{error}"));
    let (compose, deployment) = (content("compose.yaml"), content("deployment.yml"));
    let source = |name, bytes| Source { name, bytes };
    let machine = Directory(directory);
    let compose = source("compose.yaml", &compose);
    let deployment = source("deployment.yml", &deployment);
    let parsed = wanted_beside(compose, deployment, &machine).and_then(|wanted| {
        let value = |source| (source, Ok(b"value".to_vec().into()));
        let values = wanted.into_iter().map(value).collect();
        parse_beside(compose, deployment, &machine, values)
    });
    let said = match parsed {
        Ok(parsed) => parsed.warnings,
        Err(diagnostics) => panic!("{name} is refused:\n{diagnostics}"),
    };
    insta::assert_snapshot!(name, said);
}

#[test]
fn authentik_is_taken_as_it_is() {
    check("authentik");
}

#[test]
fn elasticsearch_is_taken_as_it_is() {
    check("elasticsearch");
}

#[test]
fn gitea_is_taken_as_it_is() {
    check("gitea");
}

#[test]
fn immich_is_taken_as_it_is() {
    check("immich");
}

#[test]
fn mastodon_is_taken_as_it_is() {
    check("mastodon");
}

#[test]
fn miniflux_is_taken_as_it_is() {
    check("miniflux");
}

#[test]
fn nextcloud_is_taken_as_it_is() {
    check("nextcloud");
}

#[test]
fn paperless_is_taken_as_it_is() {
    check("paperless");
}

#[test]
fn wordpress_is_taken_as_it_is() {
    check("wordpress");
}
