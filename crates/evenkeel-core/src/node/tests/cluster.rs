//! Joining, leaving, agreeing.

use super::*;

#[test]
fn a_batch_runs_once_each_and_everybody_agrees() {
    let mut world = World::equal(4, 2, 1);
    let lengths: Vec<u64> = (1..=400).collect();
    let batch = world.submit(1, &lengths, spread(Allocate::Lpt));
    let took = world.finish(batch);
    assert_eq!(world.agreed(batch, Outcome::Done), 400);
    assert_eq!(world.extra_starts(), 0);
    assert_eq!(world.acknowledged[&batch], 2);
    let ideal = lengths.iter().sum::<u64>() * 1_000 / 8;
    assert!(took.0 as f64 <= ideal as f64 * 1.05 + 1e6, "{took} for {ideal} us");
}

#[test]
fn a_single_node_needs_nobody() {
    let mut world = World::equal(1, 3, 2);
    let batch = world.submit(0, &[5; 100], spread(Allocate::Lpt));
    assert_eq!(world.acknowledged[&batch], 1);
    world.finish(batch);
    assert_eq!(world.agreed(batch, Outcome::Done), 100);
}

#[test]
fn a_newcomer_catches_up_and_works_at_once() {
    let mut world = World::equal(3, 2, 3);
    let batch = world.submit(0, &[100; 2_000], spread(Allocate::Lpt));
    world.run_for(Micros::from_secs(5));
    let joined = world.now;
    let newcomer = world.add(settings(2));
    world.run_while(|world| world.machines[newcomer].node.counters().started == 0);
    assert!(world.now.since(joined) < Micros::from_secs(1), "{}", world.now.since(joined));
    world.finish(batch);
    assert_eq!(world.agreed(batch, Outcome::Done), 2_000);
    assert_eq!(world.extra_starts(), 0);
    assert!(world.machines[newcomer].node.counters().started > 250);
}

#[test]
fn a_draining_node_gives_all_away_and_leaves() {
    let mut world = World::equal(3, 2, 4);
    let batch = world.submit(0, &[50; 1_000], spread(Allocate::Lpt));
    world.run_for(Micros::from_secs(1));
    let origin = world.machines[2].node.me();
    world.input(0, Input::Drain(origin));
    world.run_while(|world| !world.machines[2].left);
    assert_eq!(world.machines[2].node.state.owned_by(id(2)), 0);
    world.finish(batch);
    assert_eq!(world.agreed(batch, Outcome::Done), 1_000);
    assert_eq!(world.extra_starts(), 0);
}

#[test]
fn a_draining_node_that_is_cut_off_waits_for_the_others() {
    let mut world = World::equal(4, 1, 5);
    let batch = world.submit(0, &[60_000; 8], spread(Allocate::Uniform));
    world.run_for(Micros::from_secs(15));
    let leaving = world.machines[3].node.me();
    (0..3).for_each(|machine| world.kill(machine));
    world.run_while(|world| !world.machines[3].node.view.live.is_empty());
    world.input(3, Input::Drain(leaving));
    world.run_for(settings(1).detection.times(crate::node::sync::RETURN_DETECTIONS - 1));
    assert!(!world.machines[3].left && world.machines[3].node.state.batch(batch).is_some());
}

#[test]
fn a_draining_node_leaves_to_others_what_it_was_told_ahead_of_a_log() {
    let mut world = World::equal(3, 1, 4);
    let batch = world.submit(0, &[50, 60_000, 50], spread(Allocate::Uniform));
    world.run_for(Micros::from_secs(1));
    let (doc, epoch) = world.machines[1].node.state.documents_of(id(1)).next().expect("it runs for a minute");
    let dead = world.machines[1].node.me();
    world.kill(1);
    let docs = DocSet::from_iter([doc.number]);
    let change = Change::Ended { batch, docs, epoch, node: dead.node, outcome: Outcome::Done };
    let message = Message::Ahead { generation: dead.generation, reason: Reason::Result, changes: vec![change] };
    world.input(2, Input::Received { from: dead.node, message });
    let leaving = world.machines[2].node.me();
    world.input(2, Input::Drain(leaving));
    world.run_while(|world| !world.machines[2].left);
    assert!(world.machines[0].node.view.live.contains_key(&dead.node), "nobody has noticed the death yet");
    world.finish(batch);
    assert_eq!(world.agreed(batch, Outcome::Done), 3);
    assert_eq!(world.extra_starts(), 0);
}

#[test]
fn a_late_node_gets_a_snapshot_when_the_log_is_gone() {
    let mut small = settings(2);
    small.log_bytes = 0;
    let mut world = World::new(&[small.clone(), small.clone()], 5);
    let batch = world.submit(0, &[3; 9_000], spread(Allocate::Uniform));
    world.run_for(Micros::from_secs(2));
    let newcomer = world.add(small);
    world.finish(batch);
    assert_eq!(world.agreed(batch, Outcome::Done), 9_000);
    assert!(world.machines[newcomer].node.state.batch(batch).is_some());
}
