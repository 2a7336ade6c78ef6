//! Values that nobody but a container is to see.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The value of a variable in a container's environment, which may be a password.
///
/// There is no `Display`, and [`fmt::Debug`] leaves the value out, so that no message, plan or log
/// can show it by accident. Serialization does write it: on the wire between the programs, and into
/// files that root alone may read.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Returns the value, for whoever hands it to the container.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Makes what is shown to people in the place of a value.
    pub fn withheld() -> Self {
        Self("(withheld)".to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use crate::{
        Application, ApplicationName, ContainerFile, ContainerSpecification, Deployment,
        RegistryLogin, RememberedApplication,
    };

    const SECRET: &str = "correct horse battery staple";

    fn application() -> Application {
        Application {
            environment: BTreeMap::from([("PASSWORD".to_owned(), SECRET.into())]),
            files: BTreeMap::from([(
                "/etc/key".parse().unwrap(),
                ContainerFile::new(SECRET.as_bytes().to_vec().into()),
            )]),
            ..Application::new("postgres".parse().unwrap())
        }
    }

    #[test]
    fn no_type_that_holds_an_environment_shows_it_when_debugged() {
        let name: ApplicationName = "web".parse().unwrap();
        let deployment = Deployment {
            applications: BTreeMap::from([(name.clone(), application())]),
            ..Deployment::default()
        };
        let login = RegistryLogin::Password {
            username: "PASSWORD".to_owned(),
            password: SECRET.into(),
        };
        let specification = ContainerSpecification::new(&name, &application());
        let remembered = RememberedApplication {
            specification: specification.clone(),
            links: BTreeMap::new(),
            volume: None,
            retired: false,
            dependencies: BTreeSet::new(),
        };
        for text in [
            format!("{:?}", application()),
            format!("{deployment:#?}"),
            format!("{login:?}"),
            format!("{specification:#?}"),
            format!("{remembered:?}"),
        ] {
            assert!(text.contains("PASSWORD"), "the variable's name: {text}");
            assert!(!text.contains(SECRET), "{text}");
        }
    }

    #[test]
    fn a_secret_survives_the_wire_and_counts_in_the_digest() {
        let name: ApplicationName = "web".parse().unwrap();
        let specification = ContainerSpecification::new(&name, &application());
        let text = serde_json::to_string(&specification).unwrap();
        assert!(text.contains(SECRET), "{text}");
        let read: ContainerSpecification = serde_json::from_str(&text).unwrap();
        assert_eq!(read, specification);
        let mut other = specification.clone();
        other.environment.insert("PASSWORD".to_owned(), "".into());
        assert_ne!(other.digest(), specification.digest());
        let mut other = specification.clone();
        for file in other.files.values_mut() {
            file.contents = vec![].into();
        }
        assert_ne!(other.digest(), specification.digest());
    }
}
