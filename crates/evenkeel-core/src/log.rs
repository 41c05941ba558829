//! The change logs: this node's own, and copies of the others' for relaying.
//!
//! Each origin numbers its records from 1. A pull is answered from here as long as the logs reach back to the puller's
//! clock; what every live node has, and what exceeds the byte budget, is dropped, and whoever lags further gets a
//! snapshot of the state.

use std::collections::{BTreeMap, VecDeque, btree_map};
use std::iter::Peekable;
use std::sync::Arc;

use crdts::{CmRDT, Dot};

use crate::change::Clock;
use crate::ids::Origin;
use crate::message::Logged;
use crate::record::Record;

/// One origin's records, as far as they are still kept.
#[derive(Debug, Clone, Default)]
struct OriginLog {
    /// Number of records dropped from the front.
    dropped: u64,
    records: VecDeque<Arc<Record>>,
}

impl OriginLog {
    fn head(&self) -> u64 {
        self.dropped + self.records.len() as u64
    }
}

/// The change logs of all origins that one node has heard of.
#[derive(Debug, Clone)]
pub struct Log {
    clock: Arc<Clock>,
    origins: BTreeMap<Origin, OriginLog>,
    bytes: usize,
}

/// Why a record was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misplaced {
    /// It was seen before.
    Known,
    /// One before it is missing.
    Gap,
}

/// What a log has for a puller.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Records in the order of each log.
    pub records: Vec<Logged>,
    /// There is more, for another answer.
    pub more: bool,
    /// Some logs do not reach back so far.
    pub gap: bool,
}

impl Log {
    /// Empty logs.
    pub fn new() -> Log {
        Log { clock: Arc::default(), origins: BTreeMap::new(), bytes: 0 }
    }

    /// What has been seen.
    pub fn clock(&self) -> &Arc<Clock> {
        &self.clock
    }

    /// Number of records that an origin has logged, as far as is known here.
    pub fn head(&self, origin: Origin) -> u64 {
        self.clock.get(&origin)
    }

    /// Bytes kept, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends a record of this node's own; returns it in its place.
    pub fn append(&mut self, origin: Origin, record: Record) -> Logged {
        let logged = Logged { origin, sequence: self.clock.get(&origin) + 1, record: Arc::new(record) };
        self.push(logged.clone());
        logged
    }

    /// Whether a record of another origin is the next of its log.
    pub fn place(&self, logged: &Logged) -> Result<(), Misplaced> {
        let seen = self.clock.get(&logged.origin);
        match logged.sequence {
            sequence if sequence <= seen => Err(Misplaced::Known),
            sequence if sequence == seen + 1 => Ok(()),
            _ => Err(Misplaced::Gap),
        }
    }

    /// Keeps a record that [`Log::place`] has admitted.
    ///
    /// # Panics
    /// If it is not the next of its origin's log.
    pub fn push(&mut self, logged: Logged) {
        assert_eq!(self.place(&logged), Ok(()), "{} of {}", logged.sequence, logged.origin);
        Arc::make_mut(&mut self.clock).apply(Dot::new(logged.origin, logged.sequence));
        self.bytes += logged.record.weight();
        let log = self.origins.entry(logged.origin).or_default();
        log.records.push_back(logged.record);
    }

    /// Takes over a clock whose changes have arrived by snapshot; logs that would have a gap start anew behind it.
    pub fn advance(&mut self, seen: &Clock) {
        for dot in seen.iter() {
            if dot.counter > self.clock.get(dot.actor) {
                let log = self.origins.entry(*dot.actor).or_default();
                self.bytes -= log.records.drain(..).map(|record| record.weight()).sum::<usize>();
                log.dropped = dot.counter;
                Arc::make_mut(&mut self.clock).apply(Dot::new(*dot.actor, dot.counter));
            }
        }
    }

    /// What a puller lacks, in the order of each log, about `max_bytes` at a time. Logs that do not reach back so far are
    /// left out.
    pub fn answer(&self, seen: &Clock, max_bytes: usize) -> Answer {
        let mut beside = Beside::new(seen);
        let mut answer = Answer { records: Vec::new(), more: false, gap: false };
        let mut bytes = 0;
        for (origin, log) in &self.origins {
            let from = beside.get(origin).min(log.head());
            if from < log.dropped {
                answer.gap = true;
                continue;
            }
            for (place, record) in log.records.iter().enumerate().skip((from - log.dropped) as usize) {
                if bytes >= max_bytes {
                    return Answer { more: true, ..answer };
                }
                bytes += record.weight();
                let sequence = log.dropped + place as u64 + 1;
                answer.records.push(Logged { origin: *origin, sequence, record: record.clone() });
            }
        }
        answer
    }

    /// Drops what everybody has seen.
    pub fn drop_known(&mut self, seen_by_all: &Clock) {
        let mut beside = Beside::new(seen_by_all);
        for (origin, log) in &mut self.origins {
            let known = beside.get(origin);
            while log.dropped < known
                && let Some(record) = log.records.pop_front()
            {
                log.dropped += 1;
                self.bytes -= record.weight();
            }
        }
    }

    /// Drops, oldest first from the largest log, what exceeds the budget.
    pub fn drop_beyond(&mut self, max_bytes: usize) {
        while self.bytes > max_bytes {
            let largest =
                self.origins.values_mut().max_by_key(|log| log.records.len()).expect("bytes are kept somewhere");
            let Some(record) = largest.records.pop_front() else { break };
            largest.dropped += 1;
            self.bytes -= record.weight();
        }
    }

    /// Hash of the clock: equal for nodes that have seen the same.
    pub fn digest(&self) -> u64 {
        let mut hasher = xxhash_rust::xxh3::Xxh3::new();
        for dot in self.clock.iter() {
            hasher.update(&dot.actor.node.0);
            hasher.update(&dot.actor.generation.0.to_le_bytes());
            hasher.update(&dot.counter.to_le_bytes());
        }
        hasher.digest()
    }
}

impl Default for Log {
    fn default() -> Self {
        Log::new()
    }
}

/// Whether whoever has seen the one has seen the other.
pub fn covers(seen: &Clock, other: &Clock) -> bool {
    let mut beside = Beside::new(seen);
    other.dots.iter().all(|(origin, count)| beside.get(origin) >= *count)
}

/// Looks up, in a clock, origins that are asked for in ascending order: one walk beside them, not a search for each.
struct Beside<'a>(Peekable<btree_map::Iter<'a, Origin, u64>>);

impl<'a> Beside<'a> {
    fn new(clock: &'a Clock) -> Beside<'a> {
        Beside(clock.dots.iter().peekable())
    }

    fn get(&mut self, origin: &Origin) -> u64 {
        while self.0.next_if(|(known, _)| *known < origin).is_some() {}
        self.0.next_if(|(known, _)| *known == origin).map_or(0, |(_, count)| *count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::change::Change;
    use crate::ids::{BatchId, Generation, NodeId};

    fn origin(node: u8) -> Origin {
        Origin { node: NodeId([node; 16]), generation: Generation(1) }
    }

    fn record(number: u64) -> Record {
        Record::new(vec![Change::Cancelled(BatchId(number))])
    }

    #[test]
    fn a_puller_gets_what_it_lacks_in_order_and_in_parts() {
        let mut log = Log::new();
        for number in 1..=5 {
            assert_eq!(log.append(origin(1), record(number)).sequence, number);
        }
        let mut puller = Log::new();
        let mut parts = 0;
        loop {
            let Answer { records, more, gap } = log.answer(puller.clock(), 100);
            assert!(!gap);
            records.into_iter().for_each(|logged| puller.push(logged));
            parts += 1;
            if !more {
                break;
            }
        }
        assert_eq!((puller.clock(), parts), (log.clock(), 3));
        assert_eq!(puller.digest(), log.digest());
    }

    proptest! {
        #[test]
        fn a_clock_covers_another_if_it_is_not_behind_anywhere(a: Vec<(u8, u8)>, b: Vec<(u8, u8)>) {
            let clock = |dots: &[(u8, u8)]| {
                let mut clock = Clock::new();
                dots.iter().for_each(|(node, count)| clock.apply(Dot::new(origin(node % 8), u64::from(*count) + 1)));
                clock
            };
            let (a, b) = (clock(&a), clock(&b));
            prop_assert_eq!(covers(&a, &b), a >= b);
        }
    }

    #[test]
    fn a_gap_and_a_repetition_are_told_apart() {
        let mut log = Log::new();
        log.append(origin(1), record(1));
        let logged = |sequence| Logged { origin: origin(1), sequence, record: Arc::new(record(sequence)) };
        assert_eq!(log.place(&logged(1)), Err(Misplaced::Known));
        assert_eq!(log.place(&logged(2)), Ok(()));
        assert_eq!(log.place(&logged(3)), Err(Misplaced::Gap));
    }

    #[test]
    fn a_trimmed_log_sends_the_laggard_to_the_snapshot() {
        let mut log = Log::new();
        for number in 1..=5 {
            log.append(origin(1), record(number));
        }
        log.append(origin(2), record(6));
        let first = log.answer(&Clock::new(), 150).records;
        let mut seen = Clock::new();
        first.iter().for_each(|logged| seen.apply(Dot::new(logged.origin, logged.sequence)));
        log.drop_known(&seen);
        let late = log.answer(&Clock::new(), 1000);
        assert!(late.gap && late.records.iter().all(|logged| logged.origin == origin(2)) && late.records.len() == 1);
        let next = log.answer(&seen, 1000);
        assert_eq!((next.records.len(), next.gap), (3, false));
        let mut newcomer = Log::new();
        newcomer.advance(log.clock());
        assert_eq!(newcomer.answer(&seen, 1000), Answer { records: Vec::new(), more: false, gap: true });
        assert_eq!(newcomer.digest(), log.digest());
        log.drop_beyond(0);
        assert_eq!(log.bytes(), 0);
    }
}
