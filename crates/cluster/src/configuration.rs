//! Both files of a deploy, with the values that are elsewhere.

use std::path::Path;

use flocker_config::{Diagnostics, Parsed, Source, in_order, parse_beside, wanted_beside};

use crate::arguments::Deploy;
use crate::beside::Beside;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::values::resolve;

/// Reads both files and the values that they name, and prints everything that is wrong with them.
pub(crate) async fn read_configuration(
    arguments: &Deploy,
    printer: &Printer,
) -> Result<Parsed, Exit> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| {
            let message = format!("cannot read {}", path.display());
            printer.failure(&Failure::new(Exit::Configuration, message).caused_by(&error));
            Exit::Configuration
        })
    };
    let application = read(&arguments.application_config)?;
    let deployment = read(&arguments.deployment_config)?;
    let name = |path: &Path| path.display().to_string();
    let (application_name, deployment_name) = (
        name(&arguments.application_config),
        name(&arguments.deployment_config),
    );
    let application = Source {
        name: &application_name,
        bytes: &application,
    };
    let deployment = Source {
        name: &deployment_name,
        bytes: &deployment,
    };
    let wrong = |diagnostics: Diagnostics| {
        printer.diagnostics(&diagnostics);
        Exit::Configuration
    };
    let (application, deployment) = in_order(application, deployment);
    // Nothing is run for files that are wrong.
    let wanted = wanted_beside(application, deployment, &Beside).map_err(wrong)?;
    let directory = Path::new(application.name).parent();
    // That of a bare name is empty.
    let directory = directory.filter(|directory| !directory.as_os_str().is_empty());
    let values = resolve(wanted, directory.unwrap_or(Path::new("."))).await;
    let parsed = parse_beside(application, deployment, &Beside, values).map_err(wrong)?;
    if !parsed.warnings.is_empty() {
        printer.narrate(parsed.warnings.to_string().trim_end());
    }
    Ok(parsed)
}
