//! Dead owners, paused owners, lost messages.

use super::*;

#[test]
fn a_dead_nodes_documents_run_elsewhere() {
    for seed in 0..10 {
        let mut world = World::equal(4, 2, 100 + seed);
        let lengths: Vec<u64> = (0..600).map(|number| 1 + number % 97).collect();
        let batch = world.submit(1, &lengths, spread(Allocate::Lpt));
        world.run_while(|world| !world.acknowledged.contains_key(&batch));
        world.run_for(Micros::from_millis(700 * seed));
        let running = world.machines[1].node.slots_in_use() as u32;
        world.kill(1);
        world.finish(batch);
        assert_eq!(world.agreed(batch, Outcome::Done), 600, "seed {seed}");
        assert!(world.extra_starts() <= running, "seed {seed}: {} of {running}", world.extra_starts());
    }
}

#[test]
fn nothing_is_lost_when_messages_are() {
    for seed in 0..5 {
        let mut world = World::equal(4, 2, 200 + seed);
        world.loss = 20;
        let lengths: Vec<u64> = (0..800).map(|number| 1 + number % 50).collect();
        let batch = world.submit(0, &lengths, spread(Allocate::Uniform));
        world.finish(batch);
        assert_eq!(world.agreed(batch, Outcome::Done), 800, "seed {seed}");
        assert_eq!(world.extra_starts(), 0, "seed {seed}");
    }
}

#[test]
fn a_paused_node_catches_up_before_it_goes_on() {
    for seed in 0..5 {
        let mut world = World::equal(3, 2, 300 + seed);
        let batch = world.submit(0, &[400; 120], spread(Allocate::Lpt));
        world.run_for(Micros::from_millis(900));
        let running = world.machines[2].node.slots_in_use() as u32;
        world.pause(2, Micros::from_secs(6));
        world.finish(batch);
        world.run_for(Micros::from_secs(10));
        assert_eq!(world.agreed(batch, Outcome::Done), 120, "seed {seed}");
        assert!(world.extra_starts() <= running, "seed {seed}");
        assert!(world.events.contains(&(2, Event::Paused)) && world.events.contains(&(2, Event::Settled)));
        assert_eq!(world.machines[2].node.counters().duplicates, u64::from(world.extra_starts()));
    }
}

/// What its earlier run told to one other node only is learnt from that node, even if it is met last.
#[test]
fn a_node_that_comes_back_asks_everybody_first() {
    for seed in 0..20 {
        let mut world = World::equal(3, 4, 350 + seed);
        let lengths: Vec<u64> = (0..600).map(|number| 1 + 37 * number % 90).collect();
        let batch = world.submit(2, &lengths, spread(Allocate::Uniform));
        world.run_for(Micros::from_millis(1_000 + 37 * seed));
        let running = world.machines[2].node.slots_in_use() as u32;
        world.kill(2);
        let met_last = world.now + Micros::from_millis(500);
        world.machines[2].deaf.insert(id(0), met_last);
        world.revive(2);
        world.finish(batch);
        assert_eq!(world.agreed(batch, Outcome::Done), 600, "seed {seed}");
        assert!(world.extra_starts() <= running, "seed {seed}: {} of {running}", world.extra_starts());
    }
}

#[test]
fn a_document_that_kills_its_owners_is_a_dead_letter() {
    let mut world = World::equal(5, 1, 400);
    let batch = world.submit(0, &[60_000], spread(Allocate::Lpt));
    let poison = DocId { batch, number: DocNumber(0) };
    for _ in 0..3 {
        world.run_while(|world| world.machines.iter().all(|machine| machine.processes.is_empty()));
        world.run_for(Micros::from_secs(1));
        let owner = world.machines.iter().position(|machine| !machine.processes.is_empty()).unwrap();
        world.kill(owner);
    }
    world.finish(batch);
    assert_eq!(world.agreed(batch, Outcome::Failed), 1);
    assert_eq!(world.starts[&poison], 3);
}

#[test]
fn a_cautious_minority_waits() {
    let cautious = Settings { partition: crate::settings::Partition::Cautious, ..settings(1) };
    let mut world = World::new(&vec![cautious; 4], 500);
    world.run_for(Micros::from_secs(5));
    let batch = world.submit(0, &[1_000; 40], spread(Allocate::Lpt));
    world.run_for(Micros::from_secs(2));
    (1..4).for_each(|machine| world.kill(machine));
    world.run_for(Micros::from_secs(5));
    let started = world.machines[0].node.counters().started;
    world.run_for(Micros::from_secs(30));
    assert_eq!(world.machines[0].node.counters().started, started);
    assert!(world.events.contains(&(0, Event::Minority(true))));
    assert!(!world.machines[0].node.state.batch(batch).unwrap().is_finished());
}
