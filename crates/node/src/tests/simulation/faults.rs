//! Faults of a simulated world. They begin and end at simulated times: `sleep` waits for no real time.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::chance::Event;
use super::network::Site;
use super::world::World;

/// How far a clock jumps, in milliseconds.
const JUMP: i64 = 3_600_000;

/// How long a fault waits for a push to strike.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// Lets something go wrong, at some time from now or during a push; returns what is at it, until it
/// is over.
pub(super) fn strike(world: &Arc<World>, operators: usize) -> JoinHandle<()> {
    let dice = &world.dice;
    let horizon = *dice.one_of(&[300, 1000, 3000, 8000, 20_000]);
    let after = dice.time(0..horizon);
    let into_push = dice.once_in(400).then(|| dice.time(0..300));
    let kind = dice.below(12);
    let world = Arc::clone(world);
    tokio::spawn(async move {
        sleep(after).await;
        if let Some(into_push) = into_push {
            let _ = timeout(LONGEST_WAIT, world.push_begins()).await;
            sleep(into_push).await;
        }
        match kind {
            0..=1 => cut(&world, operators).await,
            2 => isolate(&world, operators).await,
            3 => slow_down(&world, operators).await,
            4 => forget(&world, operators),
            5..=7 => kill(&world).await,
            8..=9 => {
                let index = world.dice.below(world.count());
                world.cut_power(index).await;
            }
            10 => {
                for index in 0..world.count() {
                    world.cut_power(index).await;
                }
            }
            _ => set_clock(&world),
        }
    })
}

/// Chooses two machines between which there may be a connection.
fn two_sites(world: &World, operators: usize) -> (Site, Site) {
    let dice = &world.dice;
    let to = dice.below(world.count());
    let other = dice.below(world.count() + operators);
    let from = match other.checked_sub(world.count()) {
        Some(operator) => Site::Operator(operator),
        None if other == to => Site::Node((to + 1) % world.count()),
        None => Site::Node(other),
    };
    (from, Site::Node(to))
}

/// Returns how long a link is away: shorter than anybody's patience, or longer.
fn outage(world: &World) -> Duration {
    let choices = [200..3000, 3000..30_000, 50_000..80_000, 80_000..200_000];
    world.dice.time(world.dice.one_of(&choices).clone())
}

/// Cuts a link, in one direction or both.
async fn cut(world: &World, operators: usize) {
    let (from, to) = two_sites(world, operators);
    let directions = match world.dice.below(4) {
        0 => vec![(from, to)],
        1 => vec![(to, from)],
        _ => vec![(from, to), (to, from)],
    };
    world.trace.count(Event::LinkCut);
    be_away(world, &directions).await;
}

/// Cuts a node off from everybody.
async fn isolate(world: &World, operators: usize) {
    let node = world.dice.below(world.count());
    let nodes = (0..world.count()).filter(|other| *other != node);
    let others = nodes.map(Site::Node);
    let others = others.chain((0..operators).map(Site::Operator));
    let node = Site::Node(node);
    let directions: Vec<(Site, Site)> = others
        .flat_map(|other| [(node, other), (other, node)])
        .collect();
    world.trace.count(Event::NodeIsolated);
    be_away(world, &directions).await;
}

/// Has nothing arrive for a while.
async fn be_away(world: &World, directions: &[(Site, Site)]) {
    let outage = outage(world);
    let cut: Vec<String> = directions
        .iter()
        .map(|(from, to)| format!("{from} to {to}"))
        .collect();
    let cut = cut.join(", ");
    world.trace.note(&format!("cut for {outage:?}: {cut}"));
    world.network.cut(directions);
    sleep(outage).await;
    world.trace.note(&format!("mended: {cut}"));
    world.network.mend(directions);
}

/// Has everything between two machines take seconds.
async fn slow_down(world: &World, operators: usize) {
    let sites = two_sites(world, operators);
    let by = world.dice.time(500..8000);
    let outage = outage(world);
    let (one, other) = sites;
    world.trace.count(Event::LinkSlowed);
    world.trace.note(&format!(
        "{one} and {other} are {by:?} apart for {outage:?}"
    ));
    world.network.slow_down(sites, by);
    sleep(outage).await;
    world.network.slow_down(sites, Duration::ZERO);
}

/// Has nothing arrive any more over what is connected now.
fn forget(world: &World, operators: usize) {
    let (one, other) = two_sites(world, operators);
    world.trace.count(Event::ConnectionsForgotten);
    world.trace.note(&format!(
        "connections of {one} and {other} are forgotten on the way"
    ));
    world.network.forget_connections((one, other));
}

/// Kills a program, of those that run.
async fn kill(world: &World) {
    let programs = world.programs();
    if programs.is_empty() {
        return;
    }
    let (number, _) = world.dice.one_of(&programs);
    world.trace.count(Event::ProgramKilled);
    world.kill(*number).await;
}

/// Puts a machine's clock an hour forward or back.
fn set_clock(world: &World) {
    let index = world.dice.below(world.count());
    let by = *world.dice.one_of(&[JUMP, -JUMP]);
    world.trace.count(Event::ClockSet);
    world.trace.note(&format!(
        "the clock of {} jumps by {by} ms",
        Site::Node(index)
    ));
    world.set_clock(index, by);
}
