//! The files of a node, `node.toml` and what it remembers, and the variable that SSH hands to it.
//!
//! Input: a file of whatever kind.

#![no_main]

use std::fmt::Debug;

use flocker_docker::Ipv4Subnet;
use flocker_fuzz::file;
use flocker_model::{AppliedDeployment, Contact, Members, NodeNetwork, RememberedApplication};
use flocker_remote::protocol::LockHolder;
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;
use settings::{Settings, SettingsError};

// A part of a program, which has no library to take it from.
#[expect(dead_code, reason = "only what is read is looked at")]
#[path = "../../node/src/settings.rs"]
mod settings;

fuzz_target!(|input: &[u8]| {
    check_settings(input);
    check_remembered::<AppliedDeployment>(input);
    check_remembered::<Members>(input);
    check_remembered::<NodeNetwork>(input);
    check_remembered::<RememberedApplication>(input);
    check_remembered::<LockHolder>(input);
    let text = String::from_utf8_lossy(input);
    if let Some(contact) = Contact::from_ssh_connection(&text) {
        assert!(text.contains(&contact.address.to_string()));
    }
});

fn check_settings(input: &[u8]) {
    let path = file("node.toml", input);
    match Settings::read(&path) {
        Ok(settings) => {
            let subnet = settings.subnet.as_deref().map(str::parse::<Ipv4Subnet>);
            assert_eq!(settings.docker().subnet, subnet.transpose().unwrap());
            let contact = settings.contact(None);
            assert_eq!(contact.map(|contact| contact.address), settings.address);
            for path in [&settings.node_program, &settings.docker_program] {
                let path = path.to_str().unwrap();
                assert!(path.starts_with('/') && !path.contains(char::is_control));
            }
        }
        Err(SettingsError::Parse { source, .. }) => {
            let end = source.span().map_or(0, |span| span.end);
            assert!(end <= input.len(), "{source}");
        }
        Err(SettingsError::Subnet { subnet, .. }) => {
            assert!(subnet.parse::<Ipv4Subnet>().is_err());
        }
        Err(SettingsError::Unfit { value, .. }) => {
            let text = value.to_str().unwrap();
            assert!(!text.starts_with('/') || text.contains(char::is_control));
        }
        Err(SettingsError::Read { .. }) => assert!(std::str::from_utf8(input).is_err()),
    }
}

/// What a node remembers is written as it was read.
fn check_remembered<T: Serialize + DeserializeOwned + PartialEq + Debug>(input: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<T>(input) {
        let written = serde_json::to_vec_pretty(&value).unwrap();
        assert_eq!(serde_json::from_slice::<T>(&written).unwrap(), value);
    }
}
