//! How a container's process is run.

use serde::{Deserialize, Serialize};

use super::checked::checked_text;

/// How a container's process is run, where that is not the image's choice.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProcessOptions {
    /// The program that is given the command; an empty list is none at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// The user and group that it runs as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<ContainerUser>,
    /// Groups that it has beside that of its user, by name or number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub group_add: Vec<ContainerUser>,
    /// The directory that it starts in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<WorkingDirectory>,
    /// Whether Docker's init process starts it and looks after its orphans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<bool>,
    /// Whether it has a terminal.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tty: bool,
    /// Whether its standard input stays open.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stdin_open: bool,
}

checked_text! {
    /// A user as Docker takes it: `USER` or `USER:GROUP`, each a name or a number.
    ContainerUser, "user", read_user
}

checked_text! {
    /// An absolute path inside the container, the root directory included.
    WorkingDirectory, "working directory", read_working_directory
}

fn read_user(text: &str) -> Result<String, &'static str> {
    if text.split(':').count() > 2 {
        Err("has more than a user and a group")
    } else if text.split(':').any(str::is_empty) {
        Err("has an empty name")
    } else if text
        .chars()
        .any(|c| c.is_whitespace() || c.is_control() || c == '/')
    {
        Err("has a space, a `/` or a control character in it")
    } else {
        Ok(text.to_owned())
    }
}

fn read_working_directory(text: &str) -> Result<String, &'static str> {
    if !text.starts_with('/') {
        Err("is not an absolute path")
    } else if text.chars().any(char::is_control) {
        Err("has a control character in it")
    } else {
        Ok(text.to_owned())
    }
}
