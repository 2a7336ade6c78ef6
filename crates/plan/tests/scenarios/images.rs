//! Which copy of an image a node gets.

use flocker_model::{
    ImageDetails, ImageId, ImageName, ImagePlatform, OperatorImage, OperatorStore, RegistryAnswer,
};
use flocker_plan::{Action, Goal, Plan, Scope, registry_questions};
use insta::assert_snapshot;

use crate::cluster::{Cluster, application, deployment, name, node_name, show, with_volume};

const DIGEST: &str = "sha256:1f1fba3d1f1fba3d1f1fba3d1f1fba3d1f1fba3d1f1fba3d1f1fba3d1f1fba3d";
const OTHER: &str = "sha256:2e2eba3d2e2eba3d2e2eba3d2e2eba3d2e2eba3d2e2eba3d2e2eba3d2e2eba3d";

fn platform(processor: &str) -> ImagePlatform {
    ImagePlatform {
        os: "linux".to_owned(),
        architecture: processor.to_owned(),
    }
}

/// A copy with this identity for machines with this processor.
fn copy(id: &str, processor: &str) -> ImageDetails {
    ImageDetails {
        platform: Some(platform(processor)),
        ..ImageId(id.to_owned()).into()
    }
}

/// Places an application with a volume, made from `image`, on one of two machines.
fn placed(image: &str, on: &str) -> flocker_model::Deployment {
    let cache = with_volume(application(image));
    deployment(
        &[("cache", cache)],
        &[("1", &[]), ("2", &[]), (on, &["cache"])],
    )
}

/// Two machines with these processors.
fn machines(processors: [&str; 2]) -> Cluster {
    let mut cluster = Cluster::new(2);
    for (number, processor) in ["1", "2"].into_iter().zip(processors) {
        cluster.machine(number).platform = Some(platform(processor));
    }
    cluster
}

fn give(cluster: &mut Cluster, number: &str, image: &str, copy: ImageDetails) {
    cluster.machine(number).images.insert(name(image), copy);
}

fn give_operator(cluster: &mut Cluster, image: &str, store: OperatorStore, details: ImageDetails) {
    cluster.add_operator_image(image, OperatorImage { store, details });
}

fn answer(cluster: &mut Cluster, number: &str, image: &str, answer: RegistryAnswer) {
    let answers = cluster.observed.registries.entry(node_name(number));
    answers.or_default().insert(name(image), answer);
}

fn has(processors: &[&str]) -> RegistryAnswer {
    RegistryAnswer::Has {
        digest: OTHER.to_owned(),
        platforms: processors
            .iter()
            .map(|processor| platform(processor))
            .collect(),
    }
}

fn unreachable() -> RegistryAnswer {
    RegistryAnswer::Unreachable {
        reason: "dial tcp: lookup registry.example.com: no such host".to_owned(),
    }
}

/// Writes where images come from.
fn image_steps(plan: &Plan) -> String {
    let is_about_image = |action: &Action| {
        matches!(
            action,
            Action::EnsureImage { .. } | Action::PushImage { .. }
        )
    };
    let steps = plan
        .steps()
        .iter()
        .filter(|step| is_about_image(&step.action));
    let lines = steps.map(|step| format!("{}: {} -- {}", step.node, step.action, step.why));
    lines.collect::<Vec<_>>().join("\n")
}

/// Lists the images that nodes would ask their registries about.
fn questions(cluster: &Cluster, wanted: &flocker_model::Deployment) -> Vec<String> {
    let goal = Goal::new(wanted, Scope::Cluster);
    registry_questions(&goal, &cluster.observed)
        .into_iter()
        .flat_map(|(node, images)| {
            images
                .into_iter()
                .map(move |image| format!("{node}: {image}"))
        })
        .collect()
}

#[test]
fn every_way_to_write_a_name_finds_the_nodes_image() {
    let by_digest = format!("redis@{DIGEST}");
    let with_both = format!("docker.io/library/redis:7@{DIGEST}");
    let alias = format!("redis:flocker-{}", DIGEST.replace(':', "-"));
    for (listed, written) in [
        ("redis:alpine", "docker.io/library/redis:alpine"),
        ("redis:alpine", "index.docker.io/library/redis:alpine"),
        ("redis:alpine", "library/redis:alpine"),
        ("redis:alpine", "docker.io/redis:alpine"),
        (&*by_digest, &*with_both),
        (&*alias, &*by_digest),
    ] {
        let mut cluster = machines(["amd64", "amd64"]);
        give(&mut cluster, "1", listed, copy(DIGEST, "amd64"));
        let plan = cluster.plan(&placed(written, "1"));
        assert_eq!(image_steps(&plan), "", "{written}");
        cluster.finish(&plan);
        let moved = cluster.plan(&placed(written, "2"));
        assert_eq!(
            image_steps(&moved).matches("stream image").count(),
            1,
            "{written}"
        );
        cluster.finish(&moved);
        let identity: ImageName = name(written);
        assert!(cluster.machine("2").images.contains_key(&identity));
    }
}

#[test]
fn an_image_by_digest_moves_without_a_registry() {
    let image = format!("redis:7@{DIGEST}");
    let mut cluster = machines(["amd64", "amd64"]);
    give(&mut cluster, "1", &image, copy(DIGEST, "amd64"));
    cluster.deploy(&placed(&image, "1"));
    assert!(questions(&cluster, &placed(&image, "2")).is_empty());
    assert_snapshot!(image_steps(&cluster.plan(&placed(&image, "2"))), @"1.1.1.1: stream image redis:7@sha256:1f1fba3d1f1fba3d1f1fba3d1f1fba3d1f1fba3d1f1fba3d1f1fba3d1f1fba3d to 1.1.1.2 (sha256:1f1fba3d1f1f, linux/amd64) -- the other node lacks the image");
}

/// One digest may list an image for several platforms, each with an identity of its own.
#[test]
fn an_image_by_digest_is_not_replaced_by_a_move() {
    let image = format!("redis@{DIGEST}");
    let mut cluster = machines(["amd64", "amd64"]);
    give(&mut cluster, "1", &image, copy(DIGEST, "amd64"));
    cluster.deploy(&placed(&image, "1"));
    give(&mut cluster, "2", &image, copy(OTHER, "amd64"));
    assert_eq!(image_steps(&cluster.plan(&placed(&image, "2"))), "");
}

#[test]
fn a_move_to_another_processor_keeps_the_images_of_both_nodes() {
    let mut cluster = machines(["amd64", "arm64"]);
    give(&mut cluster, "1", "redis:7", copy(DIGEST, "amd64"));
    cluster.deploy(&placed("redis:7", "1"));
    give(&mut cluster, "2", "redis:7", copy(OTHER, "arm64"));
    cluster.deploy(&placed("redis:7", "2"));
    let there = cluster.machine("2").images[&name::<ImageName>("redis:7")].clone();
    assert_eq!(there, copy(OTHER, "arm64"));
}

#[test]
fn a_move_to_another_processor_gets_its_own_image_from_the_registry() {
    let mut cluster = machines(["amd64", "arm64"]);
    give(&mut cluster, "1", "redis:7", copy(DIGEST, "amd64"));
    cluster.deploy(&placed("redis:7", "1"));
    let wanted = placed("redis:7", "2");
    assert_eq!(questions(&cluster, &wanted), ["1.1.1.2: redis:7"]);
    answer(&mut cluster, "2", "redis:7", has(&["amd64", "arm64"]));
    assert!(questions(&cluster, &wanted).is_empty());
    assert_snapshot!(image_steps(&cluster.plan(&wanted)), @"1.1.1.2: get image redis:7 from its registry (sha256:2e2eba3d2e2e, linux/arm64) -- the node lacks the image");
}

#[test]
fn each_node_gets_the_archive_for_its_own_processor() {
    let mut cluster = machines(["amd64", "arm64"]);
    for (id, processor) in [(DIGEST, "amd64"), (OTHER, "arm64")] {
        let archive = OperatorStore::Archive;
        give_operator(&mut cluster, "redis:7", archive, copy(id, processor));
    }
    let cache = || application("redis:7");
    let wanted = deployment(
        &[("one", cache()), ("two", cache())],
        &[("1", &["one"]), ("2", &["two"])],
    );
    assert_snapshot!(image_steps(&cluster.plan(&wanted)), @r"
    1.1.1.1: get image redis:7 from an archive on this machine (sha256:1f1fba3d1f1f, linux/amd64) -- the node lacks the image
    1.1.1.2: get image redis:7 from an archive on this machine (sha256:2e2eba3d2e2e, linux/arm64) -- the node lacks the image
    ");
}

#[test]
fn a_nodes_copy_for_another_processor_is_replaced() {
    let mut cluster = machines(["amd64", "amd64"]);
    give(&mut cluster, "1", "redis:7", copy(OTHER, "arm64"));
    give(&mut cluster, "2", "redis:7", copy(DIGEST, "amd64"));
    assert_snapshot!(image_steps(&cluster.plan(&placed("redis:7", "1"))), @"1.1.1.2: stream image redis:7 to 1.1.1.1 (sha256:1f1fba3d1f1f, linux/amd64) -- the other node's own copy is for another platform");
}

#[test]
fn the_registry_goes_before_the_operators_docker() {
    let mut cluster = machines(["amd64", "amd64"]);
    let docker = OperatorStore::Docker;
    give_operator(&mut cluster, "redis:7", docker, copy(DIGEST, "amd64"));
    let wanted = placed("redis:7", "1");
    assert_eq!(questions(&cluster, &wanted), ["1.1.1.1: redis:7"]);
    answer(&mut cluster, "1", "redis:7", has(&["amd64"]));
    assert_snapshot!(image_steps(&cluster.plan(&wanted)), @"1.1.1.1: get image redis:7 from its registry (sha256:2e2eba3d2e2e, linux/amd64) -- the node lacks the image");
}

#[test]
fn the_operators_docker_is_used_where_the_registry_gives_nothing() {
    let refuses = RegistryAnswer::Refuses {
        reason: "pull access denied".to_owned(),
    };
    let mut told = Vec::new();
    for said in [refuses, unreachable(), has(&["s390x"])] {
        let mut cluster = machines(["amd64", "amd64"]);
        let docker = OperatorStore::Docker;
        give_operator(&mut cluster, "redis:7", docker, copy(DIGEST, "amd64"));
        answer(&mut cluster, "1", "redis:7", said);
        told.push(image_steps(&cluster.plan(&placed("redis:7", "1"))));
    }
    assert_snapshot!(told.join("\n"));
}

#[test]
fn an_archive_goes_before_other_nodes_and_the_registry() {
    let mut cluster = machines(["amd64", "amd64"]);
    give(&mut cluster, "2", "redis:7", copy(OTHER, "amd64"));
    let archive = OperatorStore::Archive;
    give_operator(&mut cluster, "redis:7", archive, copy(DIGEST, "amd64"));
    let wanted = placed("redis:7", "1");
    assert!(questions(&cluster, &wanted).is_empty());
    assert_snapshot!(image_steps(&cluster.plan(&wanted)), @"1.1.1.1: get image redis:7 from an archive on this machine (sha256:1f1fba3d1f1f, linux/amd64) -- the node lacks the image");
}

/// An arm64 laptop, and nodes that are not.
#[test]
fn the_operators_copy_for_another_processor_is_refused() {
    let mut cluster = machines(["amd64", "amd64"]);
    let docker = OperatorStore::Docker;
    give_operator(&mut cluster, "redis:7", docker, copy(DIGEST, "arm64"));
    let wanted = placed("redis:7", "1");
    answer(&mut cluster, "1", "redis:7", unreachable());
    assert_snapshot!(show(&cluster.plan(&wanted)));
}

#[test]
fn an_image_that_no_machine_has_blocks_the_plan() {
    let mut cluster = machines(["amd64", "amd64"]);
    let wanted = placed("redis:77", "1");
    let refuses = RegistryAnswer::Refuses {
        reason: "manifest for redis:77 not found: manifest unknown".to_owned(),
    };
    answer(&mut cluster, "1", "redis:77", refuses);
    assert_snapshot!(show(&cluster.plan(&wanted)));
}

#[test]
fn a_blocked_image_lists_who_has_it_for_what() {
    let mut cluster = machines(["arm64", "amd64"]);
    give(&mut cluster, "1", "redis:7", copy(DIGEST, "arm64"));
    cluster.deploy(&placed("redis:7", "1"));
    answer(&mut cluster, "2", "redis:7", has(&["arm64", "s390x"]));
    assert_snapshot!(show(&cluster.plan(&placed("redis:7", "2"))));
}

/// Docker's archives carry tags and no digests.
#[test]
fn the_hint_for_a_digest_tags_the_image_first() {
    let image = format!("redis@{DIGEST}");
    let mut cluster = machines(["amd64", "amd64"]);
    answer(&mut cluster, "1", &image, unreachable());
    let blocked = cluster.plan(&placed(&image, "1")).blocked;
    let alias = format!("redis:flocker-{}", DIGEST.replace(':', "-"));
    let hint = blocked[0].hint();
    for command in [
        format!("`docker tag {image} {alias}`"),
        format!("`docker save -o image.tar {alias}`"),
    ] {
        assert!(hint.contains(&command), "{hint}");
    }
}

/// Otherwise it could stream what it has just received.
#[test]
fn a_node_streams_its_copy_before_it_gets_another() {
    let cache = || with_volume(application("redis:7"));
    let applications = [("a", cache()), ("b", cache())];
    let before = deployment(&applications, &[("1", &["a"]), ("2", &["b"]), ("3", &[])]);
    let after = deployment(&applications, &[("1", &["b"]), ("2", &[]), ("3", &["a"])]);
    let mut cluster = Cluster::new(3);
    for (number, id) in [("1", "sha256:one"), ("2", "sha256:two")] {
        cluster.has_image(number, "redis:7", id);
    }
    cluster.deploy(&before);
    let plan = cluster.plan(&after);
    let pushes: Vec<_> = plan
        .steps()
        .iter()
        .filter(|step| matches!(step.action, Action::PushImage { .. }))
        .collect();
    assert_eq!(pushes.len(), 2, "{plan}");
    assert!(pushes[1].after.contains(&pushes[0].id), "{plan}");
}

/// A plan for a node alone, and machines of an earlier release.
#[test]
fn a_copy_that_does_not_say_what_it_is_for_fits() {
    let mut cluster = machines(["amd64", "arm64"]);
    cluster.has_image("1", "redis:7", "sha256:old");
    cluster.deploy(&placed("redis:7", "1"));
    let plan = cluster.plan(&placed("redis:7", "2"));
    assert_eq!(image_steps(&plan).matches("stream image").count(), 1);
}
