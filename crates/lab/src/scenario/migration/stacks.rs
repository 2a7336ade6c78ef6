//! Stacks of `examples/`, deployed from their Compose files.
//!
//! The nodes reach no registry, so each image is replaced by one of the same configuration. They have
//! one processor, and Docker refuses a limit above that. They are emulated, so first starts take longer.

use std::fs;
use std::path::PathBuf;

use super::super::cluster::Transcript;
use super::super::failure::Failure;
use super::super::layouts::render_deployment;
use super::super::site::SiteError;
use super::official::Place;
use super::{FIRST, Migration};

/// Two services of a Compose file, each on a node of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stack {
    /// The service that people use.
    pub(super) front: &'static str,
    /// The service that has the data.
    pub(super) database: &'static str,
    /// The files of the example except its deployment: names and texts.
    pub(super) files: &'static [(&'static str, &'static str)],
    /// Text of these files, and the text that fits the lab.
    pub(super) replaced: &'static [(&'static str, &'static str)],
}

impl Stack {
    /// Makes a file fit the lab.
    fn fitted(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (theirs, ours) in self.replaced {
            text = text.replace(theirs, ours);
        }
        text
    }
}

impl Migration<'_> {
    /// Deploys an example with its front on this node, and its database on the other.
    pub(super) async fn deploy_stack(
        &self,
        stack: &Stack,
        front: Place,
        archives: &[String],
    ) -> Result<Transcript, Failure> {
        let directory = self.write_stack(stack, front)?;
        let path = |name: &str| directory.join(name).to_string_lossy().into_owned();
        let mut arguments = vec!["deploy".to_owned()];
        arguments.extend(archives.iter().cloned());
        arguments.extend([path("deployment.yml"), path("compose.yaml")]);
        self.cluster.obey(&arguments).await
    }

    fn write_stack(&self, stack: &Stack, front: Place) -> Result<PathBuf, SiteError> {
        let directory = self.site.directory().join(stack.front);
        let [first, second] = if front.node() == FIRST {
            [&[stack.front], &[stack.database]]
        } else {
            [&[stack.database], &[stack.front]]
        };
        let (one, other) = (self.layouts.first, self.layouts.second);
        let deployment = render_deployment(&[(one, first), (other, second)]);
        let mut files = vec![("deployment.yml", deployment)];
        files.extend(
            stack
                .files
                .iter()
                .map(|(name, text)| (*name, stack.fitted(text))),
        );
        for (name, text) in files {
            let path = directory.join(name);
            fs::create_dir_all(&directory)
                .and_then(|()| fs::write(&path, text))
                .map_err(|source| SiteError::Write { path, source })?;
        }
        Ok(directory)
    }
}

#[cfg(test)]
mod tests {
    use super::super::compose_file::WORDPRESS;
    use super::super::feed_reader::MINIFLUX;

    #[test]
    fn every_replaced_text_is_in_the_example() {
        for stack in [WORDPRESS, MINIFLUX] {
            let (_, compose) = stack.files[0];
            let ours = stack.fitted(compose);
            for (theirs, fitting) in stack.replaced {
                assert!(
                    compose.contains(theirs) && !ours.contains(theirs),
                    "{theirs}"
                );
                assert!(ours.contains(fitting), "{fitting}");
            }
        }
    }
}
