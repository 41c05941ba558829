//! Journals: what they say, and what a node makes of them.

use super::*;
use crate::journal::Note;

/// Nodes that keep journals, which are soon written anew.
pub(super) fn noting(nodes: usize, seed: u64) -> World {
    let settings = Settings { journal_bytes: Some(4_000), ..settings(2) };
    World::new(&vec![settings; nodes], seed)
}

fn lengths(count: u64) -> Vec<u64> {
    (0..count).map(|number| 1 + 37 * number % 90).collect()
}

/// The law that everything rests on: at any moment the journal, whole, says what the node knows.
#[test]
fn a_journal_says_at_any_moment_what_its_node_knows() {
    for seed in 0..5 {
        let mut world = noting(3, 500 + seed);
        world.loss = 10;
        let options = BatchOptions { retries: 1, ..spread(Allocate::Uniform) };
        let batch = world.submit(0, &lengths(700), options);
        world.failing = (0..40).map(|number| (DocId { batch, number: DocNumber(number * 9) }, 2)).collect();
        let mut compared = 0;
        while world.now < Micros::from_secs(9) {
            world.run_for(Micros::from_millis(53));
            if world.now > Micros::from_secs(4) && !world.acknowledged.is_empty() && compared == 40 {
                let other = world.submit(1, &lengths(90), spread(Allocate::Lpt));
                world.input(1, Input::Cancel(other));
            }
            for machine in 0..3 {
                let node = &world.machines[machine].node;
                let again = world.recovered(machine);
                assert_eq!(again.state().digest(), node.state().digest(), "seed {seed} at {}", world.now);
                assert_eq!(again.state().running_in(batch), node.state().running_in(batch));
                assert_eq!(again.log().clock(), node.log().clock());
                again.check();
                compared += 1;
            }
        }
        assert!(compared > 100);
        assert!(world.machines.iter().all(|machine| machine.forgotten > 0), "no journal was written anew");
    }
}

/// What was noted before a crash, and nothing else, is known after it; and what was noted of a checkpoint that broke off
/// does no harm.
#[test]
fn any_beginning_of_a_journal_will_do() {
    let mut world = noting(2, 510);
    let batch = world.submit(0, &lengths(400), spread(Allocate::Lpt));
    world.run_for(Micros::from_secs(4));
    let notes = world.machines[1].notes.clone();
    let (me, settings) = (world.machines[1].node.me(), world.machines[1].settings.clone());
    let mut ended = 0;
    for cut in 0..=notes.len() {
        let begun = notes.iter().take(cut).cloned();
        let node = Node::recover(me, settings.clone(), 1, begun, &mut Outbox::new());
        node.check();
        let tally = node.state().batch(batch).map(|state| state.tally().ended()).unwrap_or_default();
        assert!(tally >= ended, "note {cut} took something back");
        ended = tally;
    }
    assert!(ended > 0);
}

#[test]
fn all_nodes_at_once_lose_nothing() {
    for seed in 0..10 {
        let mut world = noting(4, 520 + seed);
        let batch = world.submit(1, &lengths(600), spread(Allocate::Lpt));
        world.run_while(|world| !world.acknowledged.contains_key(&batch));
        let mut running = 0;
        for outage in 0..3 {
            world.run_for(Micros::from_millis(150 * (1 + seed + outage)));
            running += world.machines.iter().map(|machine| machine.node.slots_in_use() as u32).sum::<u32>();
            (0..4).for_each(|machine| world.kill(machine));
            (0..4).for_each(|machine| world.revive(machine));
        }
        world.finish(batch);
        assert_eq!(world.agreed(batch, Outcome::Done), 600, "seed {seed}");
        assert!(world.extra_starts() <= running, "seed {seed}: {} of {running}", world.extra_starts());
    }
}

#[test]
fn a_node_that_is_alone_goes_on_at_once_and_one_that_had_company_asks_first() {
    for nodes in [1, 2] {
        let mut world = noting(nodes, 540);
        let batch = world.submit(0, &[500; 40], spread(Allocate::Lpt));
        world.run_for(Micros::from_millis(700));
        (0..nodes).for_each(|machine| world.kill(machine));
        world.revive(0);
        let began = |world: &World| !world.machines[0].processes.is_empty();
        world.run_while(|world| {
            assert!(world.now < Micros::from_secs(60), "nothing starts");
            !began(world)
        });
        let settings = &world.machines[0].settings;
        let waited = world.now.since(world.machines[0].born);
        if nodes == 1 {
            assert_eq!(waited, Micros::ZERO);
        } else {
            // Nobody else is there any more: it goes on when they would have given it up too.
            assert!(waited >= settings.detection, "after {waited}");
        }
        world.finish(batch);
        assert_eq!(world.agreed(batch, Outcome::Done), 40);
    }
}

/// While it was away its documents have run elsewhere.
#[test]
fn a_node_that_missed_its_own_takeover_starts_nothing_of_it() {
    for seed in 0..5 {
        let mut world = noting(3, 550 + seed);
        let batch = world.submit(2, &lengths(300), spread(Allocate::Uniform));
        world.run_for(Micros::from_millis(600 + 31 * seed));
        let running = world.machines[2].node.slots_in_use() as u32;
        world.kill(2);
        world.run_while(|world| !world.events.iter().any(|(_, event)| matches!(event, Event::TookOver { .. })));
        world.run_for(Micros::from_millis(400));
        world.revive(2);
        world.finish(batch);
        assert_eq!(world.agreed(batch, Outcome::Done), 300, "seed {seed}");
        assert!(world.extra_starts() <= running, "seed {seed}: {} of {running}", world.extra_starts());
    }
}

#[test]
fn a_batch_that_was_cancelled_stays_so() {
    let mut world = noting(1, 560);
    let batch = world.submit(0, &[5_000; 10], spread(Allocate::Lpt));
    world.run_for(Micros::from_millis(500));
    let Machine { notes, noted, .. } = &mut world.machines[0];
    notes.push((*noted, Note::Known(Change::Cancelled(batch))));
    *noted += 1;
    world.kill(0);
    world.revive(0);
    world.finish(batch);
    assert_eq!(world.agreed(batch, Outcome::Cancelled), 10);
}

#[test]
fn without_a_journal_nothing_is_noted() {
    let mut world = World::equal(2, 2, 570);
    world.submit(0, &[10; 50], spread(Allocate::Lpt));
    world.run_for(Micros::from_secs(1));
    assert!(world.machines.iter().all(|machine| machine.notes.is_empty()));
}
