//! Wherever an executor is interrupted, deploying again is all that it takes.

use flocker_model::Deployment;
use flocker_plan::plan;

use super::cluster::{Cluster, cluster};
use super::fake::Fault;
use super::wish::{Wish, deployment, node_name};

const NODES: usize = 3;

/// What becomes of the machines when a deploy is interrupted.
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

/// Deploys what is wanted on machines like these, interrupts that at a point, and deploys it again;
/// returns whether there was such a point.
async fn interrupt(
    before: &Cluster,
    wanted: &Deployment,
    (point, interruption): (usize, Interruption),
) -> bool {
    let mut machines = before.fork();
    let made = plan(&cluster(wanted), &machines.observe().await);
    let fault = match interruption {
        Interruption::Failure => Fault::Fail,
        Interruption::Kill | Interruption::PowerCut => Fault::Hang,
    };
    machines.faults.arm(point, fault);
    tokio::select! {
        _ = machines.drive(&made) => {}
        () = machines.faults.hanging() => {}
    }
    let passed = machines.faults.disarm();
    machines.neighbours.kill().await;
    machines.check_owners();
    machines.write();
    if let Interruption::PowerCut = interruption {
        machines.cut_power(&node_name(point % NODES));
        machines.check_owners();
    }
    machines.converge(wanted).await;
    passed > point
}

/// Interrupts at every point there is.
fn interrupt_everywhere(interruption: Interruption) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let points = runtime.block_on(async {
        let [first, second, wanted] = deployments();
        let mut before = Cluster::new(NODES);
        before.converge(&first).await;
        before.converge(&second).await;
        let mut point = 0;
        while interrupt(&before, &wanted, (point, interruption)).await {
            point += 1;
        }
        point
    });
    println!("interrupted at {points} points");
    // Or there was nothing to interrupt.
    assert!(points > 200, "only {points} points");
}

#[test]
fn a_step_that_fails_anywhere_is_mended_by_the_next_deploy() {
    interrupt_everywhere(Interruption::Failure);
}

#[test]
fn a_process_that_is_killed_anywhere_is_mended_by_the_next_deploy() {
    interrupt_everywhere(Interruption::Kill);
}

#[test]
fn a_power_cut_anywhere_is_mended_by_the_next_deploy() {
    interrupt_everywhere(Interruption::PowerCut);
}
