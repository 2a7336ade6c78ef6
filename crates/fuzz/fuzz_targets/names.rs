//! Names, images, paths, subnets and times as text: whatever is accepted is fit for every place that it
//! goes to, and is written as it was read.

#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use flocker_docker::{Ipv4Subnet, container_name, namespace_name, unit_name};
use flocker_model::{
    ApplicationName, ImageReference, InvalidTime, MountPath, NodeName, SetAsideName, parse_utc,
    render_rfc3339, render_utc,
};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;

fuzz_target!(|text: &str| {
    check_text::<NodeName>(text);
    if let Some(application) = check_text::<ApplicationName>(text) {
        check_application(&application);
    }
    check_image_text(text);
    if let Some(path) = check_text::<MountPath>(text) {
        assert!(path.as_str().starts_with('/'));
    }
    if let Ok(subnet) = text.parse::<Ipv4Subnet>() {
        assert_eq!(subnet.to_string().parse(), Ok(subnet));
        assert!(subnet.prefix_length <= 32);
    }
    if let Some(name) = SetAsideName::parse(text) {
        assert_eq!(name.to_string(), text);
        assert!(text.parse::<ApplicationName>().is_err(), "{text}");
        check_application(&name.application);
    }
    check_time(text, parse_utc(text));
});

/// The three ways to read a text agree, and so do the two ways to write it.
fn check_text<T>(text: &str) -> Option<T>
where
    T: FromStr + Display + Serialize + DeserializeOwned + PartialEq + Debug,
{
    let parsed = text.parse::<T>().ok();
    let json = serde_json::to_string(text).unwrap();
    assert_eq!(serde_json::from_str::<T>(&json).ok(), parsed);
    if let Some(parsed) = &parsed {
        assert_eq!(parsed.to_string().parse::<T>().ok().as_ref(), Some(parsed));
        assert_eq!(serde_json::to_string(parsed).unwrap(), json);
    }
    parsed
}

/// Of images, more texts are read as recorded than as written by people: what an earlier release
/// recorded. None of these may keep a node from going on.
fn check_image_text(text: &str) {
    let json = serde_json::to_string(text).unwrap();
    let recorded = serde_json::from_str::<ImageReference>(&json).ok();
    if let Ok(image) = text.parse::<ImageReference>() {
        assert_eq!(recorded.as_ref(), Some(&image));
        check_image(&image);
    }
    if let Some(image) = recorded {
        assert_eq!(image.to_string(), text);
        assert_eq!(serde_json::to_string(&image).unwrap(), json);
        let _ = (image.identity(), image.familiar(), image.path());
    }
}

fn check_time(text: &str, read: Result<u64, InvalidTime>) {
    match read {
        Ok(seconds) => {
            for again in [render_utc(seconds), render_rfc3339(seconds)] {
                assert_eq!(parse_utc(&again), Ok(seconds));
                assert_eq!(again[..10], text.trim()[..10], "another day");
                assert_eq!(again[11..16], text.trim()[11..16], "another time of day");
            }
        }
        Err(error) => assert_eq!(error.text, text),
    }
}

/// No path, option, list or second word can hide in it.
fn check_application(application: &ApplicationName) {
    let names = [
        application.to_string(),
        container_name(application),
        namespace_name(application),
        unit_name(application),
    ];
    for name in names {
        assert!(!name.starts_with(['-', '.']), "{name}");
        let is_plain =
            |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
        assert!(name.chars().all(is_plain), "{name}");
    }
}

fn check_image(image: &ImageReference) {
    let tagged = image.with_tag();
    assert!(!tagged.starts_with('-'));
    let last = tagged.rsplit('/').next().unwrap();
    assert!(last.contains([':', '@']), "{tagged} is any version");
    let again: ImageReference = tagged.parse().unwrap();
    assert_eq!(again.with_tag(), tagged);
    let name = image.identity();
    assert_eq!(name.as_str(), tagged);
    assert_eq!(again.identity(), name);
    assert_eq!(
        (again.domain(), again.path()),
        (image.domain(), image.path())
    );
    assert_eq!(again.digest(), image.digest());
    let familiar: ImageReference = image.familiar().parse().unwrap();
    assert_eq!(familiar.identity(), name);
}
