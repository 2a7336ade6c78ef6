//! Images that no node has: what registries say of them decides before anything is done.

use flocker_model::RegistryAnswer;

use crate::nodes::{Afterwards, Nodes};
use crate::{expect_converged, expect_said};

#[test]
fn an_image_that_its_registry_has_is_pulled() {
    let nodes = Nodes::new();
    nodes.empty_of_images(RegistryAnswer::Has {
        digest: "sha256:1f1fba3d1f1fba3d".to_owned(),
        platforms: [].into(),
    });
    expect_converged(&nodes.deploy("node1"));
    assert!(nodes.runs_on("node1"));
}

#[test]
fn an_image_that_nobody_has_blocks_the_deploy() {
    let nodes = Nodes::new();
    nodes.empty_of_images(RegistryAnswer::Refuses {
        reason: "manifest unknown".to_owned(),
    });
    let blocked = nodes.deploy("node1");
    assert_eq!(blocked.code, Some(4), "{}", blocked.said);
    expect_said(
        &blocked,
        &[
            "error: `db`: node1 cannot get image busybox: ",
            " the image's registry does not give it to the node: manifest unknown\n",
            "nothing was changed on any node\n",
        ],
    );
}

#[test]
fn a_node_that_is_lost_while_it_asks_is_unreachable() {
    let nodes = Nodes::new();
    nodes.empty_of_images(RegistryAnswer::Refuses {
        reason: "manifest unknown".to_owned(),
    });
    nodes.kill(("node1", "ask-registries"), Afterwards::IsMute);
    let ended = nodes.deploy("node1");
    assert_eq!(ended.code, Some(6), "{}", ended.said);
    expect_said(
        &ended,
        &["error: node1: ", "nothing was changed on any node\n"],
    );
}
