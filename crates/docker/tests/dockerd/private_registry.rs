//! A registry that gives images to its users alone.

use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flocker_docker::ImageError;
use flocker_model::{ImageReference, RegistryAnswer, RegistryLogin, RegistryLogins};
use nix::sched::{CloneFlags, setns};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::daemon::{connect, namespaces};

const USER: &str = "ann";
const PASSWORD: &str = "xyzzy-of-the-registry";

/// Whom a registry gives its image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Its users alone.
    Private,
    /// Anybody, who asks for a token first, with a valid login or none.
    Public,
}

/// The content of the registry: one image with one empty layer.
struct Content {
    access: Access,
    manifest: Vec<u8>,
    blobs: [Vec<u8>; 2],
}

fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().fold("sha256:".to_owned(), |text, byte| {
        text + &format!("{byte:02x}")
    })
}

impl Content {
    fn new(access: Access) -> Self {
        // The end of an archive, and nothing before it.
        let layer = vec![0; 1024];
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let configuration = json!({
            "architecture": architecture, "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
        });
        let configuration = configuration.to_string().into_bytes();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "size": configuration.len(), "digest": digest(&configuration),
            },
            "layers": [{
                "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                "size": layer.len(), "digest": digest(&layer),
            }],
        });
        Self {
            access,
            manifest: manifest.to_string().into_bytes(),
            blobs: [configuration, layer],
        }
    }

    /// Answers one request.
    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let request = lines.next().unwrap_or(Ok(String::new()))?;
        let mut headers = String::new();
        for line in lines {
            let line = line?;
            if line.is_empty() {
                break;
            }
            headers += &line;
            headers.push('\n');
        }
        let credentials = STANDARD.encode(format!("{USER}:{PASSWORD}"));
        let is_user = match self.access {
            Access::Private => headers.contains(&format!("Basic {credentials}")),
            Access::Public => headers.contains("Bearer anonymous"),
        };
        let is_anybody = self.access == Access::Public && !headers.contains("Basic ");
        let challenge = match self.access {
            Access::Private => "Basic realm=\"test\"".to_owned(),
            Access::Public => {
                let port = stream.local_addr()?.port();
                format!("Bearer realm=\"http://localhost:{port}/token\",service=\"test\"")
            }
        };
        let is_head = request.starts_with("HEAD");
        let path = request.split(' ').nth(1).unwrap_or_default();
        let (status, kind, body): (_, _, &[u8]) = if path.starts_with("/token") && is_anybody {
            ("200 OK", "application/json", br#"{"token":"anonymous"}"#)
        } else if !is_user {
            let body =
                br#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
            ("401 Unauthorized", "application/json", body)
        } else if path.contains("/manifests/") {
            let kind = "application/vnd.docker.distribution.manifest.v2+json";
            ("200 OK", kind, &self.manifest)
        } else if let Some(blob) = self.blobs.iter().find(|blob| path.ends_with(&digest(blob))) {
            ("200 OK", "application/octet-stream", blob)
        } else {
            ("200 OK", "application/json", b"{}")
        };
        let mut stream = stream;
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
             Docker-Distribution-Api-Version: registry/2.0\r\nDocker-Content-Digest: {}\r\n\
             WWW-Authenticate: {challenge}\r\nConnection: close\r\n\r\n",
            body.len(),
            digest(body),
        )?;
        stream.write_all(if is_head { &[] } else { body })
    }
}

/// Serves where the daemon finds it, and returns the port. It ends with the tests.
fn start_registry(process: u32, access: Access) -> u16 {
    let network = File::open(format!("/proc/{process}/ns/net")).unwrap();
    let listener = std::thread::spawn(move || {
        setns(network, CloneFlags::CLONE_NEWNET).unwrap();
        TcpListener::bind("127.0.0.1:0").unwrap()
    });
    let listener = listener.join().unwrap();
    let port = listener.local_addr().unwrap().port();
    let content = Arc::new(Content::new(access));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let content = Arc::clone(&content);
            // Docker may hang up.
            std::thread::spawn(move || content.serve(stream).ok());
        }
    });
    port
}

fn login(registry: &str, password: &str) -> RegistryLogins {
    let login = RegistryLogin::Password {
        username: USER.to_owned(),
        password: password.into(),
    };
    RegistryLogins::from([(registry.to_owned(), login)])
}

/// Tells whether a file below a directory has `text` in it.
fn has(directory: &Path, text: &str) -> bool {
    let entries = match std::fs::read_dir(directory) {
        // Containers of other tests come and go meanwhile.
        Err(error) if error.kind() == ErrorKind::NotFound => return false,
        entries => entries.unwrap(),
    };
    entries.flatten().any(|entry| {
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            return has(&path, text);
        }
        let bytes = if kind.is_file() {
            std::fs::read(&path)
        } else {
            Ok(Vec::new())
        };
        let bytes = bytes.unwrap_or_default();
        let mut windows = bytes.windows(text.len());
        windows.any(|window| window == text.as_bytes())
    })
}

#[tokio::test]
async fn a_private_image_is_pulled_with_a_login_that_docker_does_not_keep() {
    let Some(docker) = connect().await else {
        return;
    };
    let Some((process, directory)) = namespaces() else {
        eprintln!("SKIPPED: the daemon is in no namespaces of the tests' own");
        return;
    };
    let registry = format!("localhost:{}", start_registry(process, Access::Private));
    let image: ImageReference = format!("{registry}/private/image:1").parse().unwrap();
    let (none, wrong) = (RegistryLogins::new(), login(&registry, "wrong"));
    let elsewhere = login("registry.example", PASSWORD);
    let images = [image.clone()];
    for logins in [&none, &wrong, &elsewhere] {
        let answers = docker.ask_registries(&images, logins).await;
        let answer = &answers[&image.identity()];
        assert!(
            matches!(answer, RegistryAnswer::Refuses { .. }),
            "{answer:?}"
        );
        let error = docker.pull_image(&image, logins, |_| {}).await.unwrap_err();
        if std::ptr::eq(logins, &raw const wrong) {
            let text = error.to_string();
            for said in [
                "as `ann`",
                "docker login localhost:",
                "docker logout localhost:",
            ] {
                assert!(text.contains(said), "{text}");
            }
        } else {
            assert!(matches!(error, ImageError::Pull { .. }), "{error:?}");
        }
    }
    let right = login(&registry, PASSWORD);
    let answers = docker.ask_registries(&images, &right).await;
    let answer = &answers[&image.identity()];
    assert!(matches!(answer, RegistryAnswer::Has { .. }), "{answer:?}");
    docker.pull_image(&image, &right, |_| {}).await.unwrap();
    assert!(docker.observe_image(&image).await.unwrap().is_some());

    let data = Path::new("/proc")
        .join(process.to_string())
        .join("root")
        .join(directory.strip_prefix("/").unwrap())
        .join("data");
    assert!(
        has(&data, "private/image"),
        "the search finds what is there"
    );
    let encoded = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    for secret in [PASSWORD, &encoded] {
        assert!(!has(&data, secret), "{secret}");
    }
    // Nor does it remember it from one pull to the next.
    let answers = docker.ask_registries(&images, &none).await;
    let answer = &answers[&image.identity()];
    assert!(
        matches!(answer, RegistryAnswer::Refuses { .. }),
        "{answer:?}"
    );
}

/// A login that is out of date is worse than none: registries refuse it even for public images.
#[tokio::test]
async fn a_stale_login_does_not_keep_a_public_image_away() {
    let Some(docker) = connect().await else {
        return;
    };
    let Some((process, _)) = namespaces() else {
        eprintln!("SKIPPED: the daemon is in no namespaces of the tests' own");
        return;
    };
    let registry = format!("localhost:{}", start_registry(process, Access::Public));
    let image: ImageReference = format!("{registry}/public/image:1").parse().unwrap();
    let stale = login(&registry, "stale");
    let answers = docker
        .ask_registries(std::slice::from_ref(&image), &stale)
        .await;
    let answer = &answers[&image.identity()];
    assert!(matches!(answer, RegistryAnswer::Has { .. }), "{answer:?}");
    docker.pull_image(&image, &stale, |_| {}).await.unwrap();
    assert!(docker.observe_image(&image).await.unwrap().is_some());
}
