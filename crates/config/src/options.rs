//! The options of a container that Docker is given as they are, with Compose's names and forms.

mod blkio;
mod devices;
mod forms;
mod gpus;
mod isolation;
mod limits;
mod network;
mod process;
mod tmpfs;

pub(crate) use tmpfs::overlap;

use std::collections::BTreeMap;

use flocker_model::{ByteCount, ContainerOptions, LabelName};

use crate::dollar::Purpose;
use crate::fields::Field;
use crate::report::Report;
use crate::tree::Value;
use crate::volumes::Data;

/// The keys of one application.
#[derive(Debug, Clone, Copy)]
struct Keys<'t> {
    application: Value<'t>,
    /// The application, as messages call it.
    owner: &'t str,
}

impl<'t> Keys<'t> {
    /// Returns the value of a key, if it was written.
    fn field(&self, key: &str) -> Option<Field<'t>> {
        let entry = self.application.get(key)?;
        Some(Field::of(entry, self.owner))
    }
}

/// What was read before, and has to go with the options.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beside<'a> {
    pub(crate) memory: Option<ByteCount>,
    pub(crate) data: &'a Data,
}

/// Reads the options of the application that messages call `owner`.
pub(crate) fn read_options(
    application: Value<'_>,
    owner: &str,
    beside: Beside<'_>,
    report: &mut Report,
) -> ContainerOptions {
    let keys = Keys { application, owner };
    let (network_sysctls, sysctls) = network::read_sysctls(&keys, report);
    let limits = limits::read_limits(&keys, beside.memory, report);
    let mut isolation = isolation::read_isolation(&keys, report);
    isolation.sysctls = sysctls;
    isolation.tmpfs = tmpfs::read_tmpfs(&keys, (beside.data, limits.shm_size), report);
    let mut network = network::read_identity(&keys, report);
    network.sysctls = network_sysctls;
    ContainerOptions {
        process: process::read_process(&keys, report),
        limits,
        isolation,
        network,
        labels: read_labels(&keys, "labels", report),
        annotations: read_labels(&keys, "annotations", report),
    }
}

fn read_labels(keys: &Keys<'_>, key: &str, report: &mut Report) -> BTreeMap<LabelName, String> {
    let Some(field) = keys.field(key) else {
        return BTreeMap::new();
    };
    let hint = "choose a name that does not begin with `flocker.`, such as `com.example.team`";
    let pairs = forms::pairs(&field, Purpose::Program, report);
    let named = pairs.into_iter().filter_map(|pair| {
        let name = pair.name(&field, hint, report)?;
        Some((name, pair.value))
    });
    named.collect()
}
