//! Dead owners, paused owners, lost messages.

use super::*;
use crate::balance::heir;
use crate::change::Title;
use crate::state::NodeIndex;

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

/// A node that dies has told another of documents that ended; that one gives them away with a snapshot, whole or in part, and
/// dies too. Who got the snapshot is their heir, and has nothing to claim: the others must hear why.
#[test]
fn what_a_snapshot_told_is_told_to_others_though_its_giver_dies() {
    for (seed, whole) in [(360, false), (361, true)] {
        let mut world = World::equal(4, 1, seed);
        // More than one part of a snapshot.
        let mut batches: Vec<BatchId> =
            (0..12).map(|_| world.submit(0, &[50; 500], spread(Allocate::Uniform))).collect();
        batches.sort();
        world.run_for(Micros::from_secs(3));
        let deaf = [id(0), id(3)].map(|node| (node, world.now + Micros::from_secs(2)));
        world.kill(2);
        world.machines[2].deaf.extend(deaf);
        world.revive(2);
        world.kill(3);
        let (dead, heirs) = (world.machines[3].node.me(), [(id(0), 1.0), (id(2), 1.0)]);
        let documents = world.machines[1].node.state.documents_of(dead.node);
        let inherited = documents.filter(|(doc, _)| doc.batch == batches[0] && heir(*doc, &heirs) == Some(id(2)));
        let ended = |(doc, epoch): (DocId, Epoch)| Change::Ended {
            batch: doc.batch,
            docs: DocSet::from_iter([doc.number]),
            epoch,
            node: dead.node,
            outcome: Outcome::Done,
        };
        let changes: Vec<Change> = inherited.map(ended).collect();
        assert!(changes.len() > 20);
        let message = Message::Ahead { generation: dead.generation, reason: Reason::Result, changes };
        world.input(1, Input::Received { from: dead.node, message });
        let knows = |world: &World, batch: BatchId| world.machines[2].node.state.batch(batch).is_some();
        let last = if whole { batches[11] } else { batches[0] };
        world.run_while(|world| !knows(world, last));
        assert_eq!(knows(&world, batches[11]), whole);
        // The pull that follows the last part.
        world.run_for(Micros::from_millis(if whole { 20 } else { 0 }));
        world.kill(1);
        world.run_for(Micros::from_secs(15));
        for machine in world.standing() {
            assert!(!machine.processes.is_empty(), "while all is quiet, there are other means");
            assert_eq!(machine.node.state.owned_by(dead.node), 0, "seed {seed}");
        }
        for batch in batches {
            world.finish(batch);
            assert_eq!(world.agreed(batch, Outcome::Done), 500, "seed {seed}");
        }
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

/// It dies so soon that no log tells that it ever ran.
#[test]
fn a_document_that_kills_its_owners_at_once_is_a_dead_letter() {
    let mut world = World::equal(2, 1, 410);
    let batch = world.submit(0, &[60_000], spread(Allocate::Lpt));
    let poison = DocId { batch, number: DocNumber(0) };
    world.run_while(|world| !world.acknowledged.contains_key(&batch));
    for _ in 0..4 {
        let idle = |world: &World| world.machines.iter().all(|machine| machine.processes.is_empty());
        world.run_while(|world| idle(world) && !world.machines[1].node.state.batch(batch).unwrap().is_finished());
        let owner = world.machines.iter().position(|machine| !machine.processes.is_empty()).unwrap();
        world.run_for(Micros::from_millis(5));
        world.kill(owner);
        world.revive(owner);
    }
    world.finish(batch);
    assert_eq!(world.agreed(batch, Outcome::Failed), 1);
    assert_eq!(world.starts[&poison], 4, "the first death is not counted, three more are");
}

/// Its heir was busy and has given it on before it could start: the next owner, too, may die within an instant.
#[test]
fn a_document_that_an_heir_gives_on_is_remembered_to_have_had_a_dead_owner() {
    let mut world = World::equal(4, 1, 415);
    let batch = world.submit(0, &[60_000, 20_000, 20_000, 20_000], spread(Allocate::Lpt));
    let poison = DocId { batch, number: DocNumber(0) };
    let owner = |world: &World| {
        world
            .machines
            .iter()
            .position(|machine| machine.alive && machine.processes.iter().any(|(doc, _)| *doc == poison))
    };
    world.run_while(|world| owner(world).is_none());
    world.run_for(Micros::from_secs(1));
    let first = owner(&world).unwrap();
    world.kill(first);
    let heir = |world: &World| {
        let by = |machine: &Machine, title| {
            let slot = machine.node.state.slot(poison).unwrap();
            slot.is_owned_by(NodeIndex::ME) && slot.title() == Some(title)
        };
        world.machines.iter().position(|machine| machine.alive && by(machine, Title::Claimed))
    };
    world.run_while(|world| heir(world).is_none());
    let heir = heir(&world).unwrap();
    let leaving = world.machines[heir].node.me();
    world.input(heir, Input::Drain(leaving));
    world.run_while(|world| owner(world).is_none());
    let second = owner(&world).unwrap();
    assert_ne!(second, heir);
    world.run_for(Micros::from_millis(5));
    world.kill(second);
    world.run_while(|world| owner(world).is_none());
    let third = &world.machines[owner(&world).unwrap()];
    assert_eq!(third.node.state.tries(poison).crashes, 2, "both deaths are counted");
}

/// Who is not in view yet may live all the same.
#[test]
fn a_newcomer_takes_nothing_from_those_it_has_not_met() {
    let mut world = World::equal(3, 1, 420);
    let batch = world.submit(0, &[20_000; 9], spread(Allocate::Lpt));
    world.run_for(Micros::from_secs(1));
    let newcomer = world.add(settings(1));
    world.machines[newcomer].deaf = [1, 2].map(|other| (id(other), world.now + Micros::from_secs(3))).into();
    world.run_for(Micros::from_secs(4));
    assert_eq!(world.machines[newcomer].node.counters().taken_over, 0);
    world.finish(batch);
    assert_eq!(world.extra_starts(), 0);
}

/// Of those who gave it up it asks what has become of its documents, before it starts any more.
#[test]
fn a_node_that_was_cut_off_catches_up_before_it_goes_on() {
    for seed in 0..5 {
        let mut world = World::equal(4, 2, 430 + seed);
        let lengths: Vec<u64> = (0..400).map(|number| 100 + number).collect();
        let batch = world.submit(0, &lengths, spread(Allocate::Lpt));
        world.run_for(Micros::from_secs(1));
        let until = world.now + Micros::from_secs(8);
        for other in 0..3 {
            world.machines[3].deaf.insert(id(other), until);
            world.machines[other].deaf.insert(id(3), until);
        }
        world.finish(batch);
        assert_eq!(world.agreed(batch, Outcome::Done), 400, "seed {seed}");
        assert!(world.events.contains(&(3, Event::Settling)), "seed {seed}");
        world.run_for(Micros::from_secs(2));
        let counted: u64 = world.machines.iter().map(|machine| machine.node.counters().duplicates).sum();
        assert_eq!(counted, u64::from(world.extra_starts()), "seed {seed}: on both sides to the end, or killed");
    }
}

/// What cannot be started must not stand in the way of what can.
#[test]
fn documents_without_payload_do_not_starve_the_others() {
    let mut world = World::equal(1, 1, 440);
    let batch = world.submit(0, &[50; 60], spread(Allocate::Lpt));
    for _ in 0..400 {
        let running: Vec<_> = world.machines[0].processes.iter().copied().collect();
        for (doc, epoch) in running.into_iter().filter(|(doc, _)| doc.number.0 < 30) {
            world.machines[0].processes.remove(&(doc, epoch));
            world.input(0, Input::Unstarted { doc, epoch });
        }
        world.run_for(Micros::from_millis(20));
    }
    assert_eq!(world.machines[0].node.state.batch(batch).unwrap().tally().done, 30);
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
