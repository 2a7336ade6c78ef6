//! Which changes hide data, and which do not.

use flocker_model::Application;
use proptest::prelude::*;

use super::*;
use crate::accounting::generated::{changed_parts, paths};

/// A container of a database that sees its volume whole at a path, or directories of it.
fn container(whole: Option<&str>, directories: &[(&str, &str)]) -> ContainerSpecification {
    ContainerSpecification {
        mountpoint: whole.map(|path| path.parse().unwrap()),
        directories: directories
            .iter()
            .map(|(path, name)| (path.parse().unwrap(), name.parse().unwrap()))
            .collect(),
        ..ContainerSpecification::new(
            &"db".parse().unwrap(),
            &Application::new("postgres:16".parse().unwrap()),
        )
    }
}

fn with_scratch(mut specification: ContainerSpecification, path: &str) -> ContainerSpecification {
    specification.scratch.insert(path.parse().unwrap());
    specification
}

/// Lists the paths at which data is hidden by a change.
fn hidden(before: &ContainerSpecification, wanted: &ContainerSpecification) -> Vec<String> {
    let none = BTreeSet::new();
    let before = Layout::new(before, &none);
    let hidden = before.hidden_by(&Layout::new(wanted, &none), false);
    hidden.iter().map(|one| one.path.to_string()).collect()
}

#[test]
fn a_mount_point_may_go_to_another_path() {
    let data = container(None, &[("/d", "data")]);
    let nothing: [&str; 0] = [];
    assert_eq!(hidden(&data, &container(None, &[("/e", "data")])), nothing);
    let more = container(None, &[("/e", "data"), ("/f", "new")]);
    assert_eq!(hidden(&data, &more), nothing);
    let whole = container(Some("/srv"), &[]);
    assert_eq!(hidden(&whole, &container(Some("/data"), &[])), nothing);
    // With what it had inside, in or out of the volume.
    let nested = with_scratch(container(None, &[("/d", "data"), ("/d/x", "x")]), "/d/tmp");
    let moved = with_scratch(container(None, &[("/e", "data"), ("/e/x", "x")]), "/e/tmp");
    assert_eq!(hidden(&nested, &moved), nothing);
}

#[test]
fn nothing_else_may_take_the_place_of_what_moved() {
    let data = container(None, &[("/d", "data")]);
    let replaced = container(None, &[("/e", "data"), ("/d", "fresh")]);
    assert_eq!(hidden(&data, &replaced), ["/d"]);
    let below = with_scratch(container(None, &[("/e", "data")]), "/d/sub");
    assert_eq!(hidden(&data, &below), ["/d/sub"]);
    let two = container(None, &[("/a", "x"), ("/b", "y")]);
    let swapped = container(None, &[("/a", "y"), ("/b", "x")]);
    assert_eq!(hidden(&two, &swapped), ["/a", "/b"]);
}

#[test]
fn what_moved_may_not_be_covered_there() {
    let data = container(None, &[("/d", "data")]);
    let covered = with_scratch(container(None, &[("/e", "data")]), "/e/sub");
    assert_eq!(hidden(&data, &covered), ["/d"]);
}

#[test]
fn a_file_of_the_configuration_covers_a_file_and_no_directory() {
    let before = container(Some("/var/lib/postgresql"), &[]);
    let file = |path: &str| {
        let mut wanted = before.clone();
        let contents = flocker_model::FileContents::from(b"1".to_vec());
        let file = flocker_model::ContainerFile::new(contents);
        wanted.files.insert(path.parse().unwrap(), file);
        wanted
    };
    let image = BTreeSet::from(["/var/lib/postgresql/data".to_owned()]);
    let hidden = |path: &str| {
        let layout = Layout::new(&before, &image);
        layout.hidden_by(&Layout::new(&file(path), &image), false)
    };
    assert!(hidden("/var/lib/postgresql/data/pg_hba.conf").is_empty());
    let directory = hidden("/var/lib/postgresql/data");
    assert_eq!(directory.len(), 1, "{directory:?}");
    assert_eq!(directory[0].instead, Shown::File);
    assert_eq!(directory[0].directory, "data");
}

#[test]
fn data_that_was_covered_before_may_stay_so() {
    let before = with_scratch(container(Some("/srv"), &[]), "/srv/cache");
    assert!(hidden(&before, &before).is_empty());
    assert!(hidden(&before, &container(Some("/srv"), &[])).is_empty());
}

/// Lists every path of up to four names.
fn all_paths() -> Vec<MountPath> {
    let mut texts = vec![String::new()];
    let mut all = Vec::new();
    for _ in 0..4 {
        texts = texts
            .iter()
            .flat_map(|text| ["a", "b", "ab"].map(|name| format!("{text}/{name}")))
            .collect();
        all.extend(texts.iter().map(|text| text.parse().unwrap()));
    }
    all
}

/// What a container sees at a path, found by going up from the path; and where that was found.
fn looked_up(
    specification: &ContainerSpecification,
    image: &BTreeSet<String>,
    path: &MountPath,
) -> Option<(Shown, MountPath)> {
    let mounts = account(specification, image).unwrap().mounts;
    let names: Vec<&str> = path.components().collect();
    (1..=names.len()).rev().find_map(|length| {
        let prefix: MountPath = format!("/{}", names[..length].join("/")).parse().unwrap();
        let rest = names[length..].join("/");
        if specification.files.contains_key(&prefix) {
            return Some((Shown::File, prefix));
        }
        if specification.options.isolation.tmpfs.contains_key(&prefix) {
            return Some((Shown::Memory, prefix));
        }
        let mount = mounts.iter().find(|mount| mount.target == prefix)?;
        let shown = match mount.source.clone() {
            MountSource::Volume { directory } => Shown::Volume {
                directory: format!("{directory}/{rest}").trim_matches('/').to_owned(),
            },
            source => source.into(),
        };
        Some((shown, prefix))
    })
}

proptest! {
    /// The data-loss case: whatever the dataset had at a path is seen there from the same directory, or
    /// nothing is there and it is seen elsewhere, or the change is refused.
    #[test]
    fn a_change_hides_no_data_unless_it_is_refused(
        (before, wanted) in changed_parts(),
        image in paths(2),
        next_image in paths(2),
    ) {
        let (before, wanted) = (before.specification(), wanted.specification());
        let (image, next_image) = (fitting(&before, image), fitting(&wanted, next_image));
        let (layout, next) = (Layout::new(&before, &image), Layout::new(&wanted, &next_image));
        prop_assert!(layout.hidden_by(&layout, false).is_empty());
        let hidden = layout.hidden_by(&next, false);
        if hidden.is_empty() {
            let targets: BTreeSet<MountPath> =
                account(&before, &image).unwrap().mounts.into_iter().map(|it| it.target).collect();
            let all = all_paths();
            for path in &all {
                let Some((shown @ Shown::Volume { .. }, _)) = looked_up(&before, &image, path) else {
                    continue;
                };
                match looked_up(&wanted, &next_image, path) {
                    Some((Shown::File, file)) => prop_assert!(!targets.contains(&file), "{}", path),
                    Some((next, _)) => prop_assert_eq!(next, shown, "{}", path),
                    None => {
                        let moved = whereabouts(&wanted, &shown).into_iter().any(|there| {
                            let found = looked_up(&wanted, &next_image, &there);
                            found.is_some_and(|(next, _)| next == shown || next == Shown::File)
                        });
                        prop_assert!(moved, "{}", path);
                    }
                }
            }
        }
        for one in hidden {
            // It was there, and it is the first thing that a person is told.
            let was = looked_up(&before, &image, &one.path);
            prop_assert_eq!(was.unwrap().0, Shown::Volume { directory: one.directory });
        }
    }
}

/// Leaves out the volumes of an image that no mount point covers: such an image is refused.
fn fitting(specification: &ContainerSpecification, image: BTreeSet<String>) -> BTreeSet<String> {
    let fits = |path: &String| account(specification, &[path.clone()].into()).is_ok();
    image.into_iter().filter(fits).collect()
}

/// Lists the paths at which the mount points of the configuration show a directory of the volume.
fn whereabouts(specification: &ContainerSpecification, shown: &Shown) -> Vec<MountPath> {
    let Shown::Volume { directory } = shown else {
        return Vec::new();
    };
    let mounts = declared(specification).into_iter();
    let paths = mounts.filter_map(|mount| {
        let MountSource::Volume { directory: outer } = mount.source else {
            return None;
        };
        let rest = format!("/{directory}/");
        let rest = rest.strip_prefix(format!("/{outer}/").replace("//", "/").as_str())?;
        Some(
            format!("{}/{rest}", mount.target)
                .parse::<MountPath>()
                .unwrap()
                .cleaned(),
        )
    });
    paths.collect()
}
