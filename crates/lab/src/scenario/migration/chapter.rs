//! The scenario's parts.

use clap::ValueEnum;

/// A part of the scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Chapter {
    /// Nothing runs yet; the example is deployed.
    FirstDeploy,
    /// The same again.
    SecondDeploy,
    /// The database moves away from trac.
    Move,
    /// The log server loses its route.
    LinkOnly,
    /// Docker is restarted on each node.
    DockerRestart,
    /// One more application comes, goes, and comes back elsewhere.
    Ledger,
    /// The second node is left out.
    OneNode,
    /// Both nodes lose their power.
    PowerCut,
    /// Deploys that cannot succeed.
    Failures,
    /// Who finds out an application's password.
    Secrets,
    /// An image declares a volume outside of the application's volume.
    ImageVolumes,
    /// An image declares a volume inside of the application's volume.
    ParentMount,
    /// An image has content at the mount point.
    FirstFill,
    /// All rules of each node's firewall are flushed.
    FlushedRuleset,
    /// An application takes a while to stop.
    SlowStop,
    /// An application waits for the health of another.
    Dependencies,
    /// Several applications see one volume.
    SharedVolume,
    /// Routes of UDP, and routes that answer at one address or to some networks.
    Limits,
    /// A registry asks for a login.
    PrivateRegistry,
    /// A Docker volume becomes an application's volume.
    BringingIn,
    /// WordPress is deployed from its Compose file, and moves with its database.
    ComposeFile,
    /// Miniflux is deployed from its Compose file, and moves with its database.
    FeedReader,
}

impl Chapter {
    /// All of them, in order.
    pub const ALL: [Self; 22] = [
        Self::FirstDeploy,
        Self::SecondDeploy,
        Self::Move,
        Self::LinkOnly,
        Self::DockerRestart,
        Self::Ledger,
        Self::OneNode,
        Self::PowerCut,
        Self::Failures,
        Self::Secrets,
        Self::ImageVolumes,
        Self::ParentMount,
        Self::FirstFill,
        Self::FlushedRuleset,
        Self::SlowStop,
        Self::Dependencies,
        Self::SharedVolume,
        Self::Limits,
        Self::PrivateRegistry,
        Self::BringingIn,
        Self::ComposeFile,
        Self::FeedReader,
    ];

    /// Those from one on, or those of them that `cargo xtask test` runs.
    pub fn chosen(from: Self, smoke: bool) -> Vec<Self> {
        let chosen = |chapter: &Self| *chapter >= from && (!smoke || chapter.is_smoke());
        Self::ALL.into_iter().filter(chosen).collect()
    }

    /// Tells whether `cargo xtask test` runs it: those that go on from one another, and the two which show
    /// that no row is lost below a volume of the image. README.md says which cheaper tests cover the others.
    fn is_smoke(self) -> bool {
        self <= Self::ParentMount
    }

    /// The heading.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::FirstDeploy => "the first deploy",
            Self::SecondDeploy => "the same deploy again",
            Self::Move => "the database moves",
            Self::LinkOnly => "a link without a route",
            Self::DockerRestart => "Docker is restarted",
            Self::Ledger => "an application is removed, and added elsewhere",
            Self::OneNode => "a node is left out",
            Self::PowerCut => "a power cut",
            Self::Failures => "deploys that cannot succeed",
            Self::Secrets => "secrets are kept",
            Self::ImageVolumes => "volumes that an image declares",
            Self::ParentMount => "a volume that is the parent of the image's",
            Self::FirstFill => "an image with content fills a new volume",
            Self::FlushedRuleset => "the firewall's rules are flushed",
            Self::SlowStop => "applications that take a while to stop",
            Self::Dependencies => "an application that waits for another",
            Self::SharedVolume => "a volume that several applications see",
            Self::Limits => "UDP, bind addresses and networks that may connect",
            Self::PrivateRegistry => "a registry that asks for a login",
            Self::BringingIn => "data is brought in, and taken out",
            Self::ComposeFile => "a Compose file of WordPress",
            Self::FeedReader => "a Compose file of a feed reader",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Chapter;

    #[test]
    fn each_test_runs_the_beginning() {
        assert_eq!(Chapter::chosen(Chapter::FirstDeploy, false), Chapter::ALL);
        let smoke = Chapter::chosen(Chapter::FirstDeploy, true);
        assert_eq!(smoke.last(), Some(&Chapter::ParentMount));
        assert!(Chapter::ALL.starts_with(&smoke));
    }
}
