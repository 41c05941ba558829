//! Slots that become more, or fewer than the documents that run in them.

use proptest::prelude::*;

use super::*;
use crate::ids::SegmentNumber;

/// A machine's slots change.
fn change(world: &mut World, machine: usize, slots: u32) {
    world.input(machine, Input::Slots(slots));
}

#[test]
fn more_slots_are_filled_at_once() {
    let mut world = World::equal(1, 2, 31);
    let batch = world.submit(0, &[10_000; 10], BatchOptions::default());
    assert_eq!(world.machines[0].processes.len(), 2);
    change(&mut world, 0, 7);
    assert_eq!(world.machines[0].processes.len(), 7);
    world.finish(batch);
    assert_eq!(world.extra_starts(), 0);
}

#[test]
fn what_runs_in_slots_that_are_gone_runs_to_its_end() {
    let mut world = World::equal(1, 6, 32);
    let batch = world.submit(0, &[600, 500, 400, 300, 200, 100, 90, 80], BatchOptions::default());
    change(&mut world, 0, 2);
    assert_eq!(world.machines[0].processes.len(), 6, "nothing is killed");
    world.run_for(Micros::from_millis(450));
    assert_eq!(world.machines[0].processes.len(), 2, "four have ended, and nothing has started");
    assert_eq!(world.starts.len(), 6);
    world.finish(batch);
    assert_eq!((world.extra_starts(), world.agreed(batch, Outcome::Done)), (0, 8));
}

#[test]
fn there_is_always_one_slot() {
    let mut world = World::equal(1, 2, 33);
    change(&mut world, 0, 0);
    assert_eq!(world.machines[0].node.max_process(), 1);
    let batch = world.submit(0, &[10; 5], BatchOptions::default());
    world.finish(batch);
}

#[test]
fn others_hear_of_slots_and_name_the_same_heirs_as_before() {
    let mut world = World::equal(3, 4, 34);
    let batch = BatchId(7);
    let holders = |world: &World| {
        let segments = (0..200).map(SegmentNumber);
        segments.map(|segment| world.machines[0].node.holders(batch, segment)).collect::<Vec<_>>()
    };
    let before = holders(&world);
    change(&mut world, 0, 40);
    change(&mut world, 1, 1);
    world.run_for(Micros::from_secs(1));
    let heard: Vec<u32> = world.machines[2].node.view.live.values().map(|peer| peer.load.max_process).collect();
    assert_eq!(heard, [40, 1]);
    assert_eq!(holders(&world), before);
    let capacity = |machine: usize| world.machines[machine].node.standing().capacity();
    assert_eq!((capacity(0), capacity(1)), (40.0, 1.0), "work is levelled by what there is now");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Each step is checked for S6 by the world, and by the node's own invariants.
    #[test]
    fn slots_may_change_at_any_time(
        seed: u64,
        changes in prop::collection::vec((0usize..3, 0u32..12, 1u64..400), 1..30),
        lengths in prop::collection::vec(1u64..900, 1..120),
    ) {
        let mut world = World::equal(3, 4, seed);
        let batch = world.submit(0, &lengths, BatchOptions::default());
        for (machine, slots, pause) in changes {
            change(&mut world, machine, slots);
            world.run_for(Micros::from_millis(pause));
        }
        world.finish(batch);
        prop_assert_eq!(world.extra_starts(), 0);
        prop_assert_eq!(world.agreed(batch, Outcome::Done), lengths.len() as u64);
    }
}
