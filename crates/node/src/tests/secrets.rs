//! Where the values of environments are after a deploy, and where they are not.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use flocker_model::{ContainerSpecification, Deployment};
use flocker_plan::plan;
use flocker_remote::protocol::Request;
use tracing_subscriber::fmt::MakeWriter;

use super::cluster::{Cluster, cluster};
use super::wish::{Wish, application_name, deployment, node_name};
use crate::report;

const SECRET: &str = "correct-horse-battery-staple";

/// An application with a password.
fn secretive() -> Deployment {
    let mut deployment = deployment(2, &[Wish::at(0)]);
    let application = deployment.applications.get_mut(&application_name(0));
    let environment = &mut application.unwrap().environment;
    environment.insert("PASSWORD".to_owned(), SECRET.into());
    deployment
}

/// Everything that is logged, at whatever level.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Runs a part of a test with everything logged, on this thread.
fn logged<T>(work: impl Future<Output = T>) -> (T, String) {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let done = tracing::subscriber::with_default(subscriber, || {
        tracing::info!("the log is read");
        runtime.block_on(work)
    });
    (done, log.text())
}

#[test]
fn no_secret_is_in_plans_logs_and_messages() {
    let deployment = secretive();
    let (texts, log) = logged(async {
        let mut machines = Cluster::new(2);
        let made = plan(&cluster(&deployment), &machines.observe().await);
        let mut texts = vec![made.to_string(), format!("{made:?}")];
        for step in made.steps() {
            texts.push(format!("{} {} {step:?}", step.action, step.why));
            let request = Request::Run {
                step: step.id,
                action: Box::new(step.action.clone()),
            };
            texts.push(format!("{request:?}"));
        }
        machines.converge(&deployment).await;
        let observed = machines.observe().await;
        texts.push(format!("{observed:?}"));
        let state = observed.node(&node_name(0)).unwrap();
        texts.push(report::state_json(state, &[]).unwrap());
        let file = serde_json::to_string(state).unwrap();
        let places = file.matches(SECRET).count();
        // In what the node remembers for its next boot.
        assert_eq!(places, 1, "it is there to be left out: {file}");
        texts
    });
    assert!(log.contains("the log is read"), "{log}");
    assert!(!log.contains(SECRET), "{log}");
    assert!(texts.iter().any(|text| text.contains("PASSWORD")));
    for text in texts {
        assert!(!text.contains(SECRET), "{text}");
    }
}

/// Lists the files below a directory, and whether everybody may look into it.
fn files(directory: &Path, is_open: bool, found: &mut Vec<(std::path::PathBuf, bool)>) {
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    let is_open = is_open && mode(directory) & 0o001 != 0;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, is_open, found);
        } else {
            let is_readable = is_open && mode(&path) & 0o004 != 0;
            found.push((path, is_readable));
        }
    }
}

#[tokio::test]
async fn no_file_that_others_may_read_has_a_secret_in_it() {
    let mut machines = Cluster::new(2);
    let deployment = secretive();
    machines.converge(&deployment).await;
    let mut keepers = 0;
    for index in 0..2 {
        let settings = &machines.machine(&node_name(index)).settings;
        let mut found = Vec::new();
        for directory in [&settings.state_directory, &settings.runtime_directory] {
            files(directory, true, &mut found);
        }
        assert!(found.iter().any(|(_, readable)| *readable), "{found:?}");
        for (path, is_readable) in found {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            let has_secret = text.contains(SECRET);
            keepers += usize::from(has_secret);
            assert!(!(is_readable && has_secret), "{}", path.display());
            if has_secret {
                // Also for the group, and without counting on the directory's mode.
                let mode = fs::metadata(&path).unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o600, "{}", path.display());
            }
        }
    }
    // The application's own record, where it runs.
    assert_eq!(keepers, 1);
}

/// A file that was left with another mode is not written to before it is closed.
#[tokio::test]
async fn a_left_over_file_does_not_open_a_secret_to_others() {
    let mut machines = Cluster::new(1);
    let deployment = {
        let mut deployment = secretive();
        deployment.nodes.remove(&node_name(1));
        deployment
    };
    let machine = machines.machine(&node_name(0)).clone();
    let state = machine.settings.state_directory.clone();
    for name in ["deployment.new", "applications/app-0.new"] {
        let left = state.join(name);
        fs::write(&left, "").unwrap();
        fs::set_permissions(&left, fs::Permissions::from_mode(0o666)).unwrap();
    }
    machines.converge(&deployment).await;
    for name in ["deployment.json", "applications/app-0.json"] {
        let path = state.join(name);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

/// The unit file is for everybody to read, and so are the arguments of what it starts.
#[test]
fn no_unit_has_a_secret_in_it() {
    let deployment = secretive();
    let name = application_name(0);
    let application = &deployment.applications[&name];
    let specification = ContainerSpecification::new(&name, application);
    let unit = flocker_docker::UnitSpecification::new(name, specification.restart);
    let text = format!("{}{unit:?}", flocker_docker::render_unit(&unit));
    assert!(text.contains("ExecStart="), "{text}");
    assert!(!text.contains(SECRET), "{text}");
}
