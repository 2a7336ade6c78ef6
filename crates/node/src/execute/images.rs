//! Getting images: from a registry, or to a peer.

use flocker_model::{
    ContainerSpecification, ImageDetails, ImageReference, NodeName, RegistryLogins,
};
use flocker_plan::{Accounted, about_login, account, is_about_a_login};
use flocker_remote::protocol::{Change, Progress, StepDone, StepFailure};

use crate::execute::ProgressSender;
use crate::execute::containers::check_container;
use crate::failure::failure_of;
use crate::machine::Machine;
use crate::peer::connect;
use crate::platform::{Containers as _, ImageProgress, Platform};

/// Pulls an image from its registry.
pub(super) async fn pull(
    machine: &Machine<impl Platform>,
    (image, logins): (&ImageReference, &RegistryLogins),
    progress: &ProgressSender,
) -> Result<Change, StepFailure> {
    let what = format!("pull {image}");
    let tell = |(done, total): ImageProgress| {
        let total = (total.get() > 0).then_some(total.get());
        // The receiver may have ended.
        let _ = progress.send(Progress {
            what: what.clone(),
            done: done.get(),
            total,
        });
    };
    let pulled = machine.containers.pull_image(image, logins, tell).await;
    pulled.map_err(|failure| {
        let mut said = std::iter::once(&failure.message).chain(&failure.causes);
        let hint = if said.any(|text| is_about_a_login(text)) {
            about_login(image)
        } else {
            format!(
                "`docker pull {image}` on the node shows whether this lasts; to do without the \
                 registry, `docker load` the image on any node, or name its archive with \
                 --image-archive"
            )
        };
        let hint = Some(hint);
        StepFailure { hint, ..failure }
    })?;
    Ok(Change::Changed)
}

/// Looks whether every volume that an image declares has a directory of the node, every path of the
/// node that the container is given is there, and Docker would make the container.
pub(super) async fn check(
    machine: &Machine<impl Platform>,
    specification: &ContainerSpecification,
) -> Result<StepDone, StepFailure> {
    let accounted = account_for(machine, specification).await?;
    check_container(machine, specification, None, &accounted).await?;
    Ok(StepDone {
        notes: accounted.notes(specification),
        ..StepDone::plain(Change::Unchanged)
    })
}

/// Finds a directory for every mount point of a container, those of its image included.
pub(super) async fn account_for(
    machine: &Machine<impl Platform>,
    specification: &ContainerSpecification,
) -> Result<Accounted, StepFailure> {
    let image = &specification.image;
    let details = machine.containers.observe_image(image).await?;
    let details = details.ok_or_else(|| {
        failure_of(format!(
            "image {image} is not on this node; deploy again, or: docker pull {image}"
        ))
    })?;
    account(specification, &details.volumes).map_err(|unaccounted| StepFailure {
        hint: Some(unaccounted.hint()),
        ..failure_of(format!(
            "`{}`: {}",
            specification.application,
            unaccounted.problem(image)
        ))
    })
}

/// Streams an image to a peer, if it is still the one that the plan means.
pub(super) async fn push(
    machine: &Machine<impl Platform>,
    (image, copy, to): (&ImageReference, &ImageDetails, &NodeName),
    progress: &ProgressSender,
) -> Result<Change, StepFailure> {
    let found = machine.containers.observe_image(image).await?;
    let found = found.map(|details| details.id);
    if found.as_ref() != Some(&copy.id) {
        let message = match &found {
            Some(id) => format!(
                "{image} is another image by now: {}, and not {}",
                id.short(),
                copy.id.short()
            ),
            None => format!("the image {image} is not on this node any more"),
        };
        return Err(StepFailure {
            stale: true,
            ..failure_of(message)
        });
    }
    let peer = connect(machine, to).await?;
    let archive = machine.containers.export_image(image);
    peer.send_image(image, archive, progress).await?;
    Ok(Change::Changed)
}
