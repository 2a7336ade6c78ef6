//! The image that nodes boot from: a recipe in `vm-images`, built once.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::unistd::Uid;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::cache::{Cache, CacheError, Claim, Slot};
use crate::digest::{CacheKey, DigestError, KeyBuilder};
use crate::progress::{Progress, Step};
use crate::recipe::{FORMAT, ROOT_DISK_BYTES, Recipe, SUITE};

/// What the machine that runs a lab needs, as Debian packages. `mmdebstrap`
/// verifies what it downloads, for which it needs a `debian-archive-keyring`
/// that knows Debian 13; Debian 12's does since 2023.3+deb12u2.
pub const REQUIRED_PACKAGES: &[&str] = &[
    "debian-archive-keyring",
    "e2fsprogs",
    "iproute2",
    "mmdebstrap",
    "nbdkit",
    "openssh-client",
    "qemu-system-x86",
    "qemu-utils",
    "util-linux",
];

/// A finished image.
#[derive(Debug, Clone)]
pub struct Image {
    /// What it was made from.
    pub key: CacheKey,
    /// The directory that it is in.
    directory: PathBuf,
}

/// An image cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The cache is unusable.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The recipe is unreadable.
    #[error(transparent)]
    Recipe(#[from] DigestError),
    /// The recipe's package list is unreadable.
    #[error("read the recipe's package list {}", .path.display())]
    Packages {
        /// Where it should be.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Files of another owner have to be made.
    #[error("building a node image writes files that belong to root: run it as root once")]
    NotRoot,
    /// A program is missing.
    #[error("run `{program}`; `apt-get install {}` installs all that a lab needs", REQUIRED_PACKAGES.join(" "))]
    Missing {
        /// The program.
        program: String,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A program failed.
    #[error("`{command}` failed with {status}:\n{tail}")]
    Failed {
        /// The whole command line.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The last lines of what it said.
        tail: String,
    },
}

impl Image {
    /// Finds the recipe's image in the cache, or builds it, which takes about
    /// ten minutes.
    ///
    /// # Errors
    /// When the recipe cannot be read or one of the programs fails.
    pub async fn ensure(
        cache: &Cache,
        recipe: &Recipe,
        progress: &Progress,
    ) -> Result<Self, ImageError> {
        let key = recipe.key()?;
        if let Some(directory) = recipe.built_image() {
            let directory = directory.to_owned();
            return Ok(Self { key, directory });
        }
        let directory = match cache.claim("images", &key, progress).await? {
            Claim::Ready(directory) => directory,
            Claim::Build(slot) => build(cache, recipe, slot, progress).await?,
        };
        Ok(Self { key, directory })
    }

    /// The kernel that QEMU loads.
    pub fn kernel(&self) -> PathBuf {
        self.directory.join("kernel")
    }

    /// Its initial RAM disk.
    pub fn initial_ram_disk(&self) -> PathBuf {
        self.directory.join("initrd")
    }

    /// What the kernel has to be told besides what every node's is; empty for most images.
    ///
    /// # Errors
    /// When the image says so in a file that cannot be read.
    pub fn kernel_parameters(&self) -> Result<String, ImageError> {
        let path = self.directory.join("parameters");
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(source) => Err(CacheError::at("read", &path)(source).into()),
        }
    }

    /// The root file system, a raw disk that is never written to.
    pub fn root_disk(&self) -> PathBuf {
        self.directory.join("root.img")
    }
}

async fn build(
    cache: &Cache,
    recipe: &Recipe,
    slot: Slot,
    progress: &Progress,
) -> Result<PathBuf, ImageError> {
    if !Uid::effective().is_root() {
        return Err(ImageError::NotRoot);
    }
    let packages = ensure_packages(cache, recipe, progress).await?;
    let step = progress.step("building the node image (a minute or two)");
    let root = slot.directory().join("rootfs");
    let mut copy = Command::new("cp");
    copy.args(["-a", "--reflink=auto"])
        .arg(packages.join("rootfs"))
        .arg(&root);
    run_reporting(copy, None).await?;
    let mut customise = contained("sh");
    // Progress is read from standard error.
    customise.args(["-c", "exec sh \"$@\" >&2", "flocker-lab"]);
    customise.arg(recipe.file("customise")).arg(&root);
    run_reporting(customise, Some(&step)).await?;
    for name in ["kernel", "initrd"] {
        let (from, to) = (root.join("boot").join(name), slot.directory().join(name));
        fs::copy(&from, &to).map_err(CacheError::at("copy", &from))?;
    }
    step.detail("writing the root disk");
    write_disk(&root, &slot.directory().join("root.img"), ROOT_DISK_BYTES).await?;
    crate::cache::remove_directory(&root)?;
    Ok(slot.finish()?)
}

/// Makes the root file system with all packages and nothing else. Most of the
/// time that an image takes goes into compiling its ZFS module here, so that
/// other changes of the recipe should not repeat it.
async fn ensure_packages(
    cache: &Cache,
    recipe: &Recipe,
    progress: &Progress,
) -> Result<PathBuf, ImageError> {
    let packages = recipe.packages()?.join(",");
    let key = KeyBuilder::new("packages")
        .text("format", FORMAT)
        .text("suite", SUITE)
        .text("packages", &packages)
        .finish();
    let slot = match cache.claim("packages", &key, progress).await? {
        Claim::Ready(directory) => return Ok(directory),
        Claim::Build(slot) => slot,
    };
    let step = progress.step("installing the nodes' packages (about 8 minutes, once)");
    let mut command = contained("mmdebstrap");
    command
        .args(["--variant=important", "--components=main contrib"])
        .arg(format!("--include={packages}"))
        .arg("--aptopt=APT::Install-Recommends \"false\"")
        .args(
            ["doc", "man", "locale", "info"]
                .map(|unread| format!("--dpkgopt=path-exclude=/usr/share/{unread}/*")),
        )
        .arg(SUITE)
        .arg(slot.directory().join("rootfs"));
    run_reporting(command, Some(&step)).await?;
    Ok(slot.finish()?)
}

/// A program in its own process and mount namespaces: when this process is
/// killed, so is every compiler in there, and what it mounted is gone.
fn contained(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--", "unshare", "--pid", "--fork"])
        .args(["--kill-child", "--mount-proc", "--", program]);
    command
}

/// Makes a disk with an ext4 file system of a directory's contents. Needs
/// neither a loop device nor a mount.
pub(crate) async fn write_disk(source: &Path, disk: &Path, bytes: u64) -> Result<(), ImageError> {
    let file = fs::File::create(disk).map_err(CacheError::at("create", disk))?;
    file.set_len(bytes)
        .map_err(CacheError::at("resize", disk))?;
    drop(file);
    let mut command = Command::new("mke2fs");
    command
        // Debian has it in /sbin, which is not on everybody's path.
        .env("PATH", path_with_sbin())
        .args(["-q", "-t", "ext4", "-m", "0"])
        // A new file reads as zeros, so that no kernel has to write them.
        .args([
            "-E",
            "assume_storage_prezeroed=1,lazy_itable_init=1,root_owner=0:0",
        ])
        .arg("-d")
        .arg(source)
        .arg(disk);
    run_reporting(command, None).await
}

pub(crate) fn path_with_sbin() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/local/sbin:/usr/sbin:/sbin")
}

/// Runs a program to its end, showing its lines as they come.
pub(crate) async fn run_reporting(
    mut command: Command,
    step: Option<&Step>,
) -> Result<(), ImageError> {
    let program = command
        .as_std()
        .get_program()
        .to_string_lossy()
        .into_owned();
    let line = render_command(command.as_std());
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| ImageError::Missing {
            program: program.clone(),
            source,
        })?;
    let mut tail = Vec::new();
    if let Some(errors) = child.stderr.take() {
        let mut lines = BufReader::new(errors).lines();
        while let Ok(Some(text)) = lines.next_line().await {
            if let Some(step) = step {
                let shown = text.strip_prefix("I: ").or(text.strip_prefix("lab: "));
                if let Some(shown) = shown {
                    step.detail(shown);
                }
            }
            tail.push(text);
            if tail.len() > 30 {
                tail.remove(0);
            }
        }
    }
    let status = child.wait().await;
    let status = status.map_err(|source| ImageError::Missing { program, source })?;
    if status.success() {
        return Ok(());
    }
    Err(ImageError::Failed {
        command: line,
        status,
        tail: tail.join("\n"),
    })
}

fn render_command(command: &std::process::Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy()];
    words.extend(command.get_args().map(std::ffi::OsStr::to_string_lossy));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_image_that_is_built_is_used_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path().join("cache")).unwrap();
        let image = directory.path().join("image");
        fs::create_dir(&image).unwrap();
        fs::write(image.join("parameters"), "init=/nix/store/x/init panic=1\n").unwrap();
        let recipe = Recipe::built(&image).unwrap();
        let found = Image::ensure(&cache, &recipe, &Progress::silent()).await;
        let found = found.unwrap();
        assert_eq!(
            found.root_disk(),
            image.canonicalize().unwrap().join("root.img")
        );
        assert_eq!(
            found.kernel_parameters().unwrap(),
            "init=/nix/store/x/init panic=1"
        );
        assert!(Recipe::built(&directory.path().join("other")).is_err());
    }

    #[tokio::test]
    async fn a_failing_program_is_quoted() {
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "echo I: started >&2; echo E: no such suite >&2; exit 3",
        ]);
        let error = run_reporting(command, None).await.unwrap_err().to_string();
        assert!(error.contains("E: no such suite"), "{error}");
        assert!(error.contains("exit status: 3"), "{error}");
    }
}
