//! What the person in front of the screen is told while something takes long.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a step may be silent. People begin to wonder after about this.
const REMINDER: Duration = Duration::from_secs(5);

/// Tells on standard error what is being done, and again every few seconds
/// that it still is.
#[derive(Debug, Clone)]
pub struct Progress {
    loud: bool,
}

/// One thing being done, until it is dropped.
#[derive(Debug)]
pub struct Step {
    shared: Option<Arc<Shared>>,
}

#[derive(Debug)]
struct Shared {
    began: Instant,
    finished: AtomicBool,
    text: Mutex<String>,
    said: Mutex<Instant>,
}

impl Progress {
    /// Reports on standard error.
    pub fn on_stderr() -> Self {
        Self { loud: true }
    }

    /// Reports nothing.
    pub fn silent() -> Self {
        Self { loud: false }
    }

    /// Says one line.
    pub fn say(&self, text: &str) {
        if self.loud {
            say(text);
        }
    }

    /// Announces a step, which lasts until the returned value is dropped.
    #[must_use = "the step ends when this is dropped"]
    pub fn step(&self, text: impl Into<String>) -> Step {
        if !self.loud {
            return Step { shared: None };
        }
        let text = text.into();
        say(&text);
        let shared = Arc::new(Shared {
            began: Instant::now(),
            finished: AtomicBool::new(false),
            text: Mutex::new(text),
            said: Mutex::new(Instant::now()),
        });
        let reminded = Arc::clone(&shared);
        thread::spawn(move || remind(&reminded));
        Step {
            shared: Some(shared),
        }
    }
}

impl Step {
    /// Says how far it got.
    pub fn detail(&self, text: &str) {
        let Some(shared) = &self.shared else { return };
        say(&format!("  {text}"));
        let now = Instant::now();
        *shared.said.lock().unwrap_or_else(PoisonError::into_inner) = now;
        text.clone_into(&mut shared.text.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.finished.store(true, Ordering::Release);
        }
    }
}

fn remind(shared: &Shared) {
    while !shared.finished.load(Ordering::Acquire) {
        thread::sleep(Duration::from_millis(200));
        let mut said = shared.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.elapsed() >= REMINDER && !shared.finished.load(Ordering::Acquire) {
            *said = Instant::now();
            let text = shared.text.lock().unwrap_or_else(PoisonError::into_inner);
            say(&format!(
                "  still {text} ({} s)",
                shared.began.elapsed().as_secs()
            ));
        }
    }
}

/// The only mouth of this crate's library. Nobody can be told that standard
/// error is closed, so a failure is ignored.
fn say(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let line = if stderr.is_terminal() {
        format!("\x1b[2mlab:\x1b[0m {text}\n")
    } else {
        format!("lab: {text}\n")
    };
    let _ = stderr.write_all(line.as_bytes());
}
