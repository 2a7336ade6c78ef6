//! The seed's example, from its first deploy to a power cut: applications run
//! and move with their data, and whoever uses them notices nothing else.

mod bringing_in;
mod changes;
mod chapter;
mod compose_file;
mod dependencies;
mod everything;
mod feed_reader;
mod first_fill;
mod image_volumes;
mod limits;
mod moves;
mod official;
mod outages;
mod own_secrets;
mod private_registry;
mod secrets;
mod shared_volume;
mod slow_stop;
mod stacks;

use std::path::Path;

use self::everything::Memory;
use super::clients::Clients;
use super::cluster::Cluster;
use super::container_images::ContainerImages;
use super::failure::Failure;
use super::layouts::Layouts;
use super::report::{Counts, Report, Stopped, heading};
use super::site::Site;

pub use chapter::Chapter;

/// The node that trac runs on all the time.
const FIRST: usize = 0;
/// The node that the log server begins on.
const SECOND: usize = 1;

/// What the chapters share.
struct Migration<'a> {
    site: &'a Site,
    report: &'a Report,
    clients: Clients<'a>,
    cluster: Cluster<'a>,
    layouts: Layouts,
    images: &'a ContainerImages,
    memory: Memory,
}

/// Runs chapters of the scenario on two nodes, in their order: each goes on from what the
/// one before has left. The chapters from [`Chapter::ImageVolumes`] on need nothing
/// of those before.
///
/// `cluster` is the program `flocker-cluster`. The nodes have the images of
/// `postgresql` and `trac` (the first) and `elasticsearch` (the second), and both
/// have `echo`, `postgres`, `redis`, `slow-stop` and `web`; the others come from `images`.
pub async fn run_migration(
    site: &Site,
    cluster: &Path,
    images: &ContainerImages,
    chapters: Vec<Chapter>,
) -> Counts {
    let report = Report::default();
    let mut migration = Migration {
        site,
        report: &report,
        clients: Clients { site },
        cluster: Cluster {
            site,
            program: cluster,
        },
        layouts: Layouts {
            first: site.address(FIRST),
            second: site.address(SECOND),
        },
        images,
        memory: Memory::default(),
    };
    let mut remaining = chapters.into_iter();
    for chapter in remaining.by_ref() {
        heading(&format!("migration: {}", chapter.title()));
        let ended = migration.run(chapter).await;
        if ended.is_err() && chapter == Chapter::FirstDeploy {
            break;
        }
    }
    for chapter in remaining {
        report.skip(chapter.title());
    }
    report.finish()
}

impl Migration<'_> {
    async fn run(&mut self, chapter: Chapter) -> Result<(), Stopped> {
        match chapter {
            Chapter::FirstDeploy => self.first_deploy().await,
            Chapter::SecondDeploy => self.second_deploy().await,
            Chapter::Move => self.move_database().await,
            Chapter::LinkOnly => self.link_only().await,
            Chapter::DockerRestart => self.docker_restart().await,
            Chapter::Ledger => self.ledger().await,
            Chapter::OneNode => self.one_node().await,
            Chapter::PowerCut => self.power_cut().await,
            Chapter::Failures => self.failures().await,
            Chapter::Secrets => self.secrets().await,
            Chapter::ImageVolumes => self.image_volumes().await,
            Chapter::ParentMount => self.parent_mount().await,
            Chapter::FirstFill => self.first_fill().await,
            Chapter::FlushedRuleset => self.flushed_ruleset().await,
            Chapter::SlowStop => self.slow_stop().await,
            Chapter::Dependencies => self.dependencies().await,
            Chapter::SharedVolume => self.shared_volume().await,
            Chapter::Limits => self.limits().await,
            Chapter::PrivateRegistry => self.private_registry().await,
            Chapter::BringingIn => self.bringing_in().await,
            Chapter::ComposeFile => self.compose_file().await,
            Chapter::FeedReader => self.feed_reader().await,
        }
    }

    /// Tries an assertion.
    async fn check<T>(
        &self,
        name: &str,
        assertion: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Stopped> {
        self.report.check(self.site, name, assertion).await
    }

    /// The options that let `flocker-cluster` stream an image.
    fn archive(&self, image: &str) -> String {
        format!("--image-archive={}", self.images.archive(image).display())
    }
}
