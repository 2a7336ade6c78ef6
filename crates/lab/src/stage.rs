//! What is done to nodes before a lab starts, once, and then remembered.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::cache::{Cache, CacheError, Claim};
use crate::digest::{CacheKey, DigestError, KeyBuilder};
use crate::image::{ImageError, write_disk};
use crate::node::{Node, NodeError};
use crate::progress::Progress;
use crate::ssh::{SshError, quote};

/// Files that a node sees as a read-only disk during a stage.
#[derive(Debug, Clone)]
pub struct Attachment {
    name: String,
    files: Vec<PathBuf>,
}

/// One step on the way from a booted node to the one that a lab starts with:
/// what it does is done on each node once, and the node's state saved.
///
/// Files are copied first, then disks attached, then commands run in order. A
/// stage is repeated when any of them changed, or a stage before it did.
#[derive(Debug, Clone)]
pub struct Stage {
    name: String,
    copies: Vec<(PathBuf, String)>,
    attachments: Vec<Attachment>,
    commands: Vec<String>,
}

/// A stage cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A file that belongs to it is unreadable.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// The cache is unusable.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The disk with its files cannot be written.
    #[error(transparent)]
    Disk(#[from] ImageError),
    /// A node did not obey.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A command failed on a node.
    #[error("stage `{stage}`")]
    Command {
        /// The stage's name.
        stage: String,
        /// Which command failed on which node, and how.
        #[source]
        source: SshError,
    },
}

impl Stage {
    /// A stage that does nothing yet. The name is for people.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            copies: Vec::new(),
            attachments: Vec::new(),
            commands: Vec::new(),
        }
    }

    /// Copies a local file to a path on the node.
    #[must_use]
    pub fn copy(mut self, local: impl Into<PathBuf>, remote: impl Into<String>) -> Self {
        self.copies.push((local.into(), remote.into()));
        self
    }

    /// Shows local files to the commands in the directory `/mnt/NAME`. This is
    /// much faster than copying, which matters from some 50 MB.
    #[must_use]
    pub fn attach(mut self, name: impl Into<String>, files: Vec<PathBuf>) -> Self {
        let name = name.into();
        self.attachments.push(Attachment { name, files });
        self
    }

    /// Runs a command in root's shell on the node. It has to succeed.
    #[must_use]
    pub fn run(mut self, command: impl Into<String>) -> Self {
        self.commands.push(command.into());
        self
    }

    /// The name that people know it by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key of all that the stage does.
    ///
    /// # Errors
    /// When one of its files is unreadable.
    pub fn key(&self) -> Result<CacheKey, DigestError> {
        let mut builder = KeyBuilder::new("stage").text("name", &self.name);
        for (local, remote) in &self.copies {
            builder = builder.text("copy", remote).file(local)?;
        }
        for attachment in &self.attachments {
            let disk = attachment.key()?;
            builder = builder.text("attach", &attachment.name).key("disk", &disk);
        }
        for command in &self.commands {
            builder = builder.text("run", command);
        }
        Ok(builder.finish())
    }

    /// Does it all on a running node.
    pub(crate) async fn perform(
        &self,
        node: &Node,
        cache: &Cache,
        progress: &Progress,
    ) -> Result<(), StageError> {
        let failed = |source| StageError::Command {
            stage: self.name.clone(),
            source,
        };
        for (local, remote) in &self.copies {
            node.copy_in(local, remote).await.map_err(failed)?;
        }
        for attachment in &self.attachments {
            let disk = attachment.disk(cache, progress).await?;
            node.attach_disk(&attachment.name, &disk).await?;
            node.check(&attachment.mount_command())
                .await
                .map_err(failed)?;
        }
        for command in &self.commands {
            let _step = progress.step(format!("{}: {command}", node.name()));
            node.check(command).await.map_err(failed)?;
        }
        for attachment in self.attachments.iter().rev() {
            let mount = quote(&format!("/mnt/{}", attachment.name));
            let unmount = format!("umount {mount} && rmdir {mount}");
            node.check(&unmount).await.map_err(failed)?;
            node.detach_disk(&attachment.name).await?;
        }
        Ok(())
    }
}

impl Attachment {
    fn key(&self) -> Result<CacheKey, DigestError> {
        let mut builder = KeyBuilder::new("disk");
        for file in &self.files {
            builder = builder.file(file)?;
        }
        Ok(builder.finish())
    }

    /// The disk with these files, made once.
    async fn disk(&self, cache: &Cache, progress: &Progress) -> Result<PathBuf, StageError> {
        let key = self.key()?;
        let directory = match cache.claim("disks", &key, progress).await? {
            Claim::Ready(directory) => directory,
            Claim::Build(slot) => {
                let _step =
                    progress.step(format!("making a disk of the files for `{}`", self.name));
                let staging = slot.directory().join("files");
                let bytes = stage_files(&self.files, &staging)?;
                // Room for the file system's own tables.
                let size = (bytes + bytes / 8 + (32 << 20)).next_multiple_of(1 << 20);
                write_disk(&staging, &slot.directory().join("disk"), size).await?;
                crate::cache::remove_directory(&staging)?;
                slot.finish()?
            }
        };
        Ok(directory.join("disk"))
    }

    fn mount_command(&self) -> String {
        let device = quote(&format!("/dev/disk/by-id/virtio-{}", self.name));
        let mount = quote(&format!("/mnt/{}", self.name));
        format!(
            "mkdir -p {mount}; for i in $(seq 300); do [ -b {device} ] && break; sleep 0.1; done; \
             mount -o ro {device} {mount}"
        )
    }
}

/// Brings files together in one directory without copying them where possible,
/// and returns how large they are.
fn stage_files(files: &[PathBuf], staging: &Path) -> Result<u64, CacheError> {
    fs::create_dir_all(staging).map_err(CacheError::at("create", staging))?;
    let mut bytes = 0;
    for file in files {
        let target = staging.join(file.file_name().unwrap_or_default());
        let linked = match fs::hard_link(file, &target) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                fs::copy(file, &target).map(drop)
            }
            other => other,
        };
        linked.map_err(CacheError::at("link", file))?;
        bytes += fs::metadata(&target)
            .map_err(CacheError::at("measure", &target))?
            .len();
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_changes_with_all_that_it_does() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("image.tar");
        fs::write(&file, "one").unwrap();
        let stage = || {
            Stage::new("images")
                .copy(&file, "/root/image.tar")
                .attach("images", vec![file.clone()])
                .run("docker load -i /mnt/images/image.tar")
        };
        let key = stage().key().unwrap();
        assert_eq!(stage().key().unwrap(), key);
        assert_ne!(stage().run("true").key().unwrap(), key);
        assert_ne!(Stage::new("images").key().unwrap(), key);
        fs::write(&file, "two").unwrap();
        assert_ne!(stage().key().unwrap(), key);
    }

    #[test]
    fn a_missing_file_is_named() {
        let stage = Stage::new("package").copy("/nonexistent/flocker.deb", "/root/");
        let error = stage.key().unwrap_err().to_string();
        assert!(error.contains("/nonexistent/flocker.deb"), "{error}");
    }
}
