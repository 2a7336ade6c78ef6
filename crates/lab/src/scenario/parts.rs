//! What scenarios put on the nodes and drive them with.

use std::collections::BTreeSet;
use std::env;
use std::path::PathBuf;

use super::container_images::{ContainerImages, ContainerImagesError};
use crate::cache::{Cache, CacheError};
use crate::lab::LabSpecification;
use crate::progress::Progress;
use crate::stage::Stage;
use crate::unflushed::Unflushed;

/// Which images each node of a lab starts with. The database's is on both, as
/// after any move, and so are those that are configured as official ones are;
/// whatever else moves brings its image along.
const IMAGES: [(&str, &[&str]); 2] = [
    (
        "node1",
        &[
            "postgresql",
            "trac",
            "echo",
            "postgres",
            "redis",
            "slow-stop",
            "web",
        ],
    ),
    (
        "node2",
        &[
            "postgresql",
            "elasticsearch",
            "kibana",
            "echo",
            "postgres",
            "redis",
            "slow-stop",
            "web",
        ],
    ),
];

/// The package for the nodes, the operator's program, and the images.
#[derive(Debug, Clone)]
pub struct Parts {
    /// `flocker-node`, as a Debian package.
    pub package: PathBuf,
    /// The program `flocker-cluster`.
    pub cluster: PathBuf,
    /// What the applications run.
    pub images: ContainerImages,
}

/// A part is missing.
#[derive(Debug, thiserror::Error)]
pub enum PartsError {
    /// An environment variable does not name a file.
    #[error("{variable} must name {what}; `cargo xtask` builds it and says where it is")]
    Unknown {
        /// The variable.
        variable: &'static str,
        /// What it is for.
        what: &'static str,
    },
    /// The cache is unusable.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The images cannot be built.
    #[error("build the container images")]
    Images(#[from] ContainerImagesError),
}

impl Parts {
    /// Finds the parts that `FLOCKER_DEB` and `FLOCKER_CLUSTER` name, and builds
    /// the images unless they are cached.
    ///
    /// # Errors
    /// When a part is missing.
    pub async fn find(progress: &Progress) -> Result<Self, PartsError> {
        let named = |variable, what| {
            let path = env::var_os(variable).map(PathBuf::from);
            path.and_then(|path| path.canonicalize().ok())
                .filter(|path| path.is_file())
                .ok_or(PartsError::Unknown { variable, what })
        };
        let package = named("FLOCKER_DEB", "the Debian package of flocker-node")?;
        let cluster = named("FLOCKER_CLUSTER", "the program flocker-cluster")?;
        let images = ContainerImages::ensure(&Cache::open()?, progress).await?;
        Ok(Self {
            package,
            cluster,
            images,
        })
    }

    /// Two nodes with images and the package, ready for a first deploy.
    pub fn lab(&self) -> LabSpecification {
        LabSpecification {
            stages: vec![self.images_stage(), self.package_stage()],
            ..LabSpecification::default()
        }
    }

    /// Two nodes that both have the image of the ledger, and the package.
    pub fn faults_lab(&self) -> LabSpecification {
        let load = "docker load --quiet --input /mnt/images/writer.tar";
        let images = Stage::new("the ledger's image")
            .attach("images", vec![self.images.archive("writer")])
            .run(load);
        LabSpecification {
            stages: vec![images, self.package_stage()],
            unflushed: Unflushed::Lost,
            ..LabSpecification::default()
        }
    }

    /// The same, with three nodes.
    pub fn three_nodes_lab(&self) -> LabSpecification {
        LabSpecification {
            nodes: 3,
            ..self.faults_lab()
        }
    }

    fn images_stage(&self) -> Stage {
        let names: BTreeSet<_> = IMAGES.iter().flat_map(|(_, images)| *images).collect();
        let archives = names.iter().map(|name| self.images.archive(name)).collect();
        Stage::new("images")
            .attach("images", archives)
            .run(render_load())
    }

    /// As a Debian user does it. What it depends on is in the nodes' image, for
    /// they have no network.
    fn package_stage(&self) -> Stage {
        let remote = "/root/flocker-node.deb";
        Stage::new("flocker-node")
            .copy(&self.package, remote)
            .run(format!(
                "DEBIAN_FRONTEND=noninteractive apt-get install --quiet --quiet --yes {remote}"
            ))
    }
}

/// A stage does the same on all nodes, so what each loads is for it to find out.
fn render_load() -> String {
    let places = IMAGES.map(|(node, images)| format!("{node}) echo {} ;; ", images.join(" ")));
    format!(
        "for image in $(case $(hostname) in {}esac); do \
         docker load --quiet --input /mnt/images/$image.tar || exit; done",
        places.concat()
    )
}
