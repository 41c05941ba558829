//! What a central queue would have done with the same documents on the same machines: each slot that becomes free takes
//! the longest document that waits, by what is known of its length, and nothing takes any time but the documents.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use evenkeel_core::units::Micros;

use crate::options::Options;
use crate::world::{Fate, Truth};

/// A document's length as it is known, its place in the order of submission, what it takes, and since when it is there.
type Waiting = (u64, Reverse<u64>, Micros, Micros);

/// When the last document would have ended; `None` if not all of them end well at the first attempt, or machines may
/// fail, so that the two cannot be compared.
pub fn ends(options: &Options, truth: &Truth) -> Option<Micros> {
    let well = truth.batches.values().all(|batch| {
        let work = &batch.work;
        work.flaky.is_never()
            && work.cancel_after.is_none()
            && batch.documents.iter().all(|document| document.fate == Fate::Well)
    });
    if !well || !options.faults.are_none() || truth.batches.is_empty() {
        return None;
    }
    // Documents by when they come; those that wait, longest first, and then in the order of their batches.
    let mut coming: BTreeMap<Micros, Vec<Waiting>> = BTreeMap::new();
    let mut order = 0;
    for batch in truth.batches.values() {
        for document in &batch.documents {
            order += 1;
            let waiting = (document.length, Reverse(order), document.takes, batch.submitted);
            coming.entry(batch.submitted).or_default().push(waiting);
        }
    }
    // Slots by when they are free, the fastest first.
    let mut free: BinaryHeap<Reverse<(Micros, u64, usize)>> = BinaryHeap::new();
    for machine in 0..options.cluster.nodes {
        let slowness = (1e6 / options.cluster.speed(machine)) as u64;
        for _ in 0..options.cluster.settings(machine).max_process {
            free.push(Reverse((Micros::ZERO, slowness, machine)));
        }
    }
    let mut waiting: BinaryHeap<Waiting> = BinaryHeap::new();
    let mut last = Micros::ZERO;
    while let Some(Reverse((at, slowness, machine))) = free.pop() {
        while let Some(first) = coming.first_entry()
            && (*first.key() <= at || waiting.is_empty())
        {
            waiting.extend(first.remove());
        }
        let Some((_, _, takes, submitted)) = waiting.pop() else { break };
        let ends = at.max(submitted) + Micros((takes.0 as f64 / options.cluster.speed(machine)) as u64);
        last = last.max(ends);
        free.push(Reverse((ends, slowness, machine)));
    }
    Some(last)
}
