//! Wherever an executor is interrupted, doing the same again is all that it takes.

use flocker_model::Deployment;

use super::cluster::Cluster;
use super::fake::Fault;
use super::importing::DIRECTORY;
use super::resolving::{NODES, moved_twice};
use super::scripts::{Deploy, Prepare, Promote, Restore, Script, SetAside};
use super::wish::{Wish, application_name, deployment, node_name};

/// What becomes of the machines when somebody is interrupted.
#[derive(Debug, Clone, Copy)]
enum Interruption {
    /// A call fails, and the step with it.
    Failure,
    /// `flocker-node` is killed, on all machines at once.
    Kill,
    /// The same, and one machine loses its power: another one each time.
    PowerCut,
}

/// What is there, twice, and then wanted: a move of one application back to where it was, of
/// another, which may end by itself and does not, to a third machine, and the start of a third,
/// with links between them.
fn deployments() -> [Deployment; 3] {
    let linked = |place| Wish {
        linked: true,
        ..Wish::at(place)
    };
    let idle = Wish {
        place: None,
        ..Wish::at(0)
    };
    let once = |place| Wish {
        once: true,
        ..Wish::at(place)
    };
    [
        deployment(NODES, &[Wish::at(0), once(1), idle]),
        deployment(NODES, &[linked(1), once(1), idle]),
        deployment(NODES, &[linked(0), once(2), linked(1)]),
    ]
}

/// Runs a script on machines like these, interrupts it at a point, and runs it again; returns
/// whether there was such a point.
async fn interrupt(
    before: &Cluster,
    script: &impl Script,
    (point, interruption): (usize, Interruption),
) -> bool {
    let mut machines = before.fork();
    let decided = script.decide(&machines).await;
    let fault = match interruption {
        Interruption::Failure => Fault::Fail,
        Interruption::Kill | Interruption::PowerCut => Fault::Hang,
    };
    machines.faults.arm(point, fault);
    tokio::select! {
        () = script.attempt(&machines, &decided) => {}
        () = machines.faults.hanging() => {}
    }
    let passed = machines.faults.disarm();
    machines.neighbours.kill().await;
    machines.check_owners();
    machines.write();
    if let Interruption::PowerCut = interruption {
        machines.cut_power(&script.victim(point));
        machines.check_owners();
    }
    script.again(&mut machines).await;
    passed > point
}

/// Interrupts in one way at every point there is.
async fn interrupt_everywhere(
    before: &Cluster,
    script: &impl Script,
    (interruption, fewest): (Interruption, usize),
) {
    let mut points = 0;
    while interrupt(before, script, (points, interruption)).await {
        points += 1;
    }
    println!("{interruption:?} at {points} points");
    // Or there was nothing to interrupt.
    assert!(points >= fewest, "only {points} points");
}

/// Interrupts in every way at every point there is.
async fn interrupt_in_every_way(before: &Cluster, script: &impl Script, fewest: usize) {
    for interruption in [
        Interruption::Failure,
        Interruption::Kill,
        Interruption::PowerCut,
    ] {
        interrupt_everywhere(before, script, (interruption, fewest)).await;
    }
}

/// Interrupts moves.
async fn interrupt_moves(interruption: Interruption) {
    let [first, second, wanted] = deployments();
    let mut before = Cluster::new(NODES);
    before.converge(&first).await;
    before.converge(&second).await;
    interrupt_everywhere(&before, &Deploy(wanted), (interruption, 200)).await;
}

#[tokio::test]
async fn a_step_that_fails_anywhere_is_mended_by_the_next_deploy() {
    interrupt_moves(Interruption::Failure).await;
}

#[tokio::test]
async fn a_process_that_is_killed_anywhere_is_mended_by_the_next_deploy() {
    interrupt_moves(Interruption::Kill).await;
}

#[tokio::test]
async fn a_power_cut_anywhere_is_mended_by_the_next_deploy() {
    interrupt_moves(Interruption::PowerCut).await;
}

#[tokio::test]
async fn changed_limits_that_are_interrupted_are_mended_by_the_next_deploy() {
    let sized = |limited| {
        let wish = Wish {
            limited,
            ..Wish::at(0)
        };
        deployment(NODES, &[wish, wish, Wish::at(1)])
    };
    let mut before = Cluster::new(NODES);
    before.converge(&sized(false)).await;
    interrupt_in_every_way(&before, &Deploy(sized(true)), 10).await;
}

#[tokio::test]
async fn a_promotion_that_is_interrupted_is_finished_by_the_same_command() {
    let mut before = moved_twice().await;
    let lost = Promote::lost();
    before.cut_power(&lost);
    before.replaced.insert(lost);
    interrupt_in_every_way(&before, &Promote, 8).await;
}

#[tokio::test]
async fn a_setting_aside_that_is_interrupted_is_finished_by_the_same_command() {
    let mut before = moved_twice().await;
    let lost = Promote::lost();
    before.cut_power(&lost);
    before.replaced.insert(lost.clone());
    let decided = Promote.decide(&before).await;
    before.drive(&decided).await.unwrap();
    // It boots where nobody who knows better is in sight, and starts what it has.
    for peer in [0, 1].map(node_name) {
        before.part(&peer);
    }
    before.restore(&lost).await;
    assert!(before.runs(&lost, &application_name(0)));
    for name in (0..NODES).map(node_name) {
        before.rejoin(&name);
    }
    interrupt_in_every_way(&before, &SetAside, 8).await;
}

#[tokio::test]
async fn an_import_that_is_interrupted_is_finished_by_the_same_command() {
    interrupt_in_every_way(&Cluster::new(NODES), &DIRECTORY, 8).await;
}

/// The volume of one application, which another sees, moves away, comes back, and is left by the other.
#[tokio::test]
async fn a_move_of_a_shared_volume_is_mended_by_the_next_deploy() {
    let shared = |place, shares| {
        let user = Wish {
            shares,
            ..Wish::at(place)
        };
        let idle = Wish {
            place: None,
            ..Wish::at(0)
        };
        deployment(NODES, &[Wish::at(place), idle, user])
    };
    let mut before = Cluster::new(NODES);
    before.converge(&shared(0, true)).await;
    before.converge(&shared(1, true)).await;
    for wanted in [shared(0, true), shared(2, false)] {
        interrupt_in_every_way(&before, &Deploy(wanted), 60).await;
    }
}

/// Three applications, two of them with volumes, and one of these seen by the third, on a machine that
/// has just booted.
async fn booted() -> (Cluster, Restore) {
    let linked = Wish {
        linked: true,
        ..Wish::at(0)
    };
    let user = Wish {
        shares: true,
        ..Wish::at(0)
    };
    let wanted = deployment(NODES, &[linked, linked, user]);
    let mut before = Cluster::new(NODES);
    before.converge(&wanted).await;
    before.cut_power(&Restore::node());
    (before, Restore(wanted))
}

#[tokio::test]
async fn a_restore_that_is_interrupted_anywhere_is_finished_by_the_next() {
    let (before, restore) = booted().await;
    interrupt_in_every_way(&before, &restore, 100).await;
}

#[tokio::test]
async fn a_unit_that_is_interrupted_anywhere_hinders_no_restore() {
    let (before, restore) = booted().await;
    let prepare = Prepare(restore, application_name(0));
    interrupt_in_every_way(&before, &prepare, 10).await;
    // That of what sees another's volume may be the first of them to start.
    let prepare = Prepare(prepare.0, application_name(2));
    interrupt_in_every_way(&before, &prepare, 10).await;
}
