//! Documents that fail, rest, time out or are cancelled.

use super::*;

fn doc(batch: BatchId, number: u32) -> DocId {
    DocId { batch, number: DocNumber(number) }
}

#[test]
fn failures_are_retried_and_then_dead_letters() {
    let mut world = World::equal(2, 2, 11);
    let options = BatchOptions { retries: 2, backoff_millis: 100, ..BatchOptions::default() };
    let batch = world.submit(0, &[10; 20], options);
    world.failing.insert(doc(batch, 3), 2);
    world.failing.insert(doc(batch, 4), u32::MAX);
    world.finish(batch);
    assert_eq!(world.agreed(batch, Outcome::Done), 19);
    assert_eq!(world.agreed(batch, Outcome::Failed), 1);
    assert_eq!((world.starts[&doc(batch, 3)], world.starts[&doc(batch, 4)]), (3, 3));
    assert_eq!(world.extra_starts(), 4);
}

#[test]
fn a_cancelled_batch_starts_nothing_more() {
    let mut world = World::equal(3, 2, 12);
    let batch = world.submit(0, &[200; 300], spread(Allocate::Lpt));
    world.run_for(Micros::from_secs(1));
    world.input(2, Input::Cancel(batch));
    let started: u32 = world.starts.values().sum();
    world.finish(batch);
    let cancelled = world.agreed(batch, Outcome::Cancelled);
    assert!(cancelled >= 260, "{cancelled}");
    assert!(world.starts.values().sum::<u32>() <= started + 6);
    assert_eq!(cancelled + world.agreed(batch, Outcome::Done), 300);
}

#[test]
fn the_longest_goes_first() {
    let mut world = World::equal(1, 1, 13);
    let batch = world.submit(0, &[5, 90, 20, 90, 1], spread(Allocate::Lpt));
    world.finish(batch);
    let order: Vec<u32> = world
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::Started(claim) => Some(claim.doc.number.0),
            _ => None,
        })
        .collect();
    assert_eq!(order, [1, 3, 2, 0, 4]);
}

#[test]
fn a_document_without_payload_is_tried_again() {
    let mut world = World::equal(1, 1, 14);
    let batch = world.submit(0, &[50], spread(Allocate::Lpt));
    let missing = doc(batch, 0);
    world.machines[0].processes.clear();
    world.input(0, Input::Unstarted { doc: missing, epoch: Epoch(1) });
    world.finish(batch);
    assert_eq!(world.starts[&missing], 2);
}
