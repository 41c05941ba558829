//! Batches that are removed: forgotten by all, and brought back by nobody.

use super::recovery::noting;
use super::*;

fn everywhere(world: &World, batch: BatchId) -> bool {
    world.standing().all(|machine| machine.node.state().is_removed(batch))
}

fn assert_forgotten(world: &World, batch: BatchId) {
    let digests: BTreeSet<u64> = world.standing().map(|machine| machine.node.state().digest()).collect();
    assert_eq!(digests.len(), 1);
    for machine in world.standing() {
        assert!(machine.node.state().batch(batch).is_none());
        assert_eq!(machine.node.state().owners().count(), 0);
    }
}

#[test]
fn what_has_ended_is_forgotten_by_all() {
    let mut world = World::equal(3, 2, 600);
    let batch = world.submit(0, &[20; 200], spread(Allocate::Lpt));
    world.finish(batch);
    world.input(1, Input::Remove(batch));
    world.run_while(|world| !everywhere(world, batch));
    assert_forgotten(&world, batch);
    let told = world.events.iter().filter(|(_, event)| *event == Event::BatchRemoved(batch)).count();
    assert_eq!(told, 3);
}

#[test]
fn what_has_not_ended_stays() {
    let mut world = World::equal(2, 2, 610);
    let batch = world.submit(0, &[50; 100], spread(Allocate::Lpt));
    world.run_for(Micros::from_millis(300));
    world.input(1, Input::Remove(batch));
    world.finish(batch);
    assert_eq!(world.agreed(batch, Outcome::Done), 100);
}

/// It comes back with a journal in which the batch is full of open documents of its own.
#[test]
fn who_was_away_does_not_bring_it_back() {
    for seed in 0..5 {
        let mut world = noting(3, 620 + seed);
        let batch = world.submit(2, &[40; 300], spread(Allocate::Uniform));
        world.run_for(Micros::from_millis(600 + 31 * seed));
        assert!(world.machines[2].node.state().owned_by(world.machines[2].node.me().node) > 0);
        world.kill(2);
        world.run_while(|world| {
            !world.standing().all(|machine| machine.node.state().batch(batch).is_some_and(|batch| batch.is_finished()))
        });
        world.input(0, Input::Remove(batch));
        world.run_while(|world| !everywhere(world, batch));
        let started: u32 = world.starts.values().sum();
        world.revive(2);
        world.run_while(|world| !everywhere(world, batch));
        assert_eq!(world.starts.values().sum::<u32>(), started, "seed {seed}");
        assert_forgotten(&world, batch);
    }
}

/// It still runs what the others have ended and removed, and hears of both at once.
#[test]
fn who_still_runs_some_of_it_is_stopped() {
    let mut world = World::equal(3, 2, 630);
    let batch = world.submit(2, &[4_000; 12], spread(Allocate::Uniform));
    world.run_for(Micros::from_millis(500));
    let others = [Change::Removed(batch)].to_vec();
    let generation = world.machines[2].node.me().generation;
    let from = world.machines[0].node.me().node;
    let message = Message::Ahead { generation, reason: Reason::Claim, changes: others };
    world.input(2, Input::Received { from, message });
    assert_eq!(world.machines[2].node.waiting(), 0);
    assert!(world.machines[2].node.attempt(DocId { batch, number: DocNumber(0) }).is_none());
    world.run_while(|world| world.machines[2].node.slots_in_use() > 0);
}
