//! What arrived before the batch or the segment that it speaks of.
//!
//! It is merged as it will be once the segment is there, so that each document is said to stand in one place and to run in
//! one: however much is said of documents that nobody knows, it takes about the room of a bitmap of them. So a batch
//! that all who knew it took to the grave cannot fill the store with what others still say of it.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;
use std::ops::Bound;

use crate::change::{Change, Entries, Entry, Lengths, Status};
use crate::docset::DocSet;
use crate::ids::{BatchId, DocNumber, Epoch, NodeId, SEGMENT_DOCUMENTS, SegmentNumber};

/// Most sets of documents that are kept, and most bytes of them. They go into the first part of a snapshot.
const MAX_SETS: usize = 10_000;
const MAX_BYTES: usize = 8 << 20;

/// Most documents in early segments; these bring their lengths.
const MAX_IN_SEGMENTS: usize = 1 << 20;

/// Everything early.
#[derive(Debug, Clone, Default)]
pub(super) struct Early {
    batches: BTreeMap<BatchId, Waiting>,
    sets: usize,
    bytes: usize,
    in_segments: usize,
}

/// What has been said of one batch.
#[derive(Debug, Clone, Default)]
struct Waiting {
    segments: BTreeMap<SegmentNumber, (Lengths, Vec<Entry>)>,
    slots: Joined<ByRank>,
    running: Joined<(Epoch, Reverse<NodeId>)>,
}

impl Early {
    /// Whether something may be kept of these documents: if they are known already, it takes no room.
    pub(super) fn has_room(&self, batch: BatchId, docs: &DocSet) -> bool {
        let known = || self.batches.get(&batch).is_some_and(|waiting| waiting.slots.covers(docs));
        self.sets < MAX_SETS && self.bytes < MAX_BYTES || known()
    }

    /// Whether an early segment of so many documents may be kept.
    pub(super) fn has_room_for_segment(&self, batch: BatchId, segment: SegmentNumber, documents: usize) -> bool {
        let known = self.batches.get(&batch).is_some_and(|waiting| waiting.segments.contains_key(&segment));
        known || self.in_segments + documents <= MAX_IN_SEGMENTS
    }

    /// Keeps a segment whose batch is not known.
    pub(super) fn add_segment(&mut self, batch: BatchId, segment: SegmentNumber, lengths: Lengths, entries: &Entries) {
        let entries: Vec<Entry> = entries.iter().collect();
        match self.batches.entry(batch).or_default().segments.entry(segment) {
            Place::Vacant(place) => {
                self.in_segments += entries.len();
                place.insert((lengths, entries));
            }
            Place::Occupied(mut place) if place.get().1.len() == entries.len() => {
                for (known, entry) in place.get_mut().1.iter_mut().zip(entries) {
                    *known = std::cmp::max_by(*known, entry, Entry::compare);
                }
            }
            // One of the two has a wrong size. Which, nobody can tell yet.
            Place::Occupied(_) => {}
        }
    }

    /// Keeps where documents of unknown segments stand.
    pub(super) fn add_slots(&mut self, batch: BatchId, docs: DocSet, entry: Entry) {
        self.change(batch, |waiting| waiting.slots.join(ByRank(entry), docs));
    }

    /// Keeps where documents of unknown segments run.
    pub(super) fn add_running(&mut self, batch: BatchId, docs: DocSet, epoch: Epoch, node: NodeId) {
        self.change(batch, |waiting| waiting.running.join((epoch, Reverse(node)), docs));
    }

    /// A batch of so many documents has come: takes out its segments, and forgets what it cannot have.
    pub(super) fn take_segments(&mut self, batch: BatchId, documents: u32) -> Vec<Change> {
        let mut segments = BTreeMap::new();
        self.change(batch, |waiting| {
            segments = std::mem::take(&mut waiting.segments);
            waiting.slots.take(documents..u32::MAX);
            waiting.running.take(documents..u32::MAX);
        });
        self.in_segments -= segments.values().map(|(_, entries)| entries.len()).sum::<usize>();
        segments.iter().map(|(number, segment)| whole(batch, *number, segment)).collect()
    }

    /// A segment has come: takes out what was said of its documents.
    pub(super) fn take_marks(&mut self, batch: BatchId, segment: SegmentNumber) -> Vec<Change> {
        let first = segment.first().0;
        let documents = first..first.saturating_add(SEGMENT_DOCUMENTS);
        let mut taken = Waiting::default();
        self.change(batch, |waiting| {
            taken.slots = waiting.slots.take(documents.clone());
            taken.running = waiting.running.take(documents);
        });
        taken.changes(batch)
    }

    /// Everything as changes.
    pub(super) fn changes(&self) -> impl Iterator<Item = Change> + '_ {
        self.batches.iter().flat_map(|(batch, waiting)| waiting.changes(*batch))
    }

    /// Changes what is kept of a batch, and keeps count.
    fn change(&mut self, batch: BatchId, change: impl FnOnce(&mut Waiting)) {
        let waiting = self.batches.entry(batch).or_default();
        let before = waiting.size();
        change(waiting);
        let after = waiting.size();
        if after.0 == 0 && waiting.segments.is_empty() {
            self.batches.remove(&batch);
        }
        self.sets = self.sets + after.0 - before.0;
        self.bytes = self.bytes + after.1 - before.1;
    }
}

impl Waiting {
    /// Number of sets, and bytes of them.
    fn size(&self) -> (usize, usize) {
        (self.slots.0.len() + self.running.0.len(), self.slots.bytes() + self.running.bytes())
    }

    fn changes(&self, batch: BatchId) -> Vec<Change> {
        let segments = self.segments.iter().map(|(number, segment)| whole(batch, *number, segment));
        let slots = self.slots.0.iter().map(|(ByRank(Entry { epoch, node, status }), docs)| {
            let (docs, epoch, node) = (docs.clone(), *epoch, *node);
            match *status {
                Status::Given | Status::Claimed => {
                    Change::Moved { batch, docs, epoch, owner: node, claimed: *status == Status::Claimed }
                }
                Status::Ended(outcome) => Change::Ended { batch, docs, epoch, node, outcome },
            }
        });
        let running = self.running.0.iter().map(|((epoch, Reverse(node)), docs)| Change::Running {
            batch,
            docs: docs.clone(),
            epoch: *epoch,
            node: *node,
        });
        segments.chain(slots).chain(running).collect()
    }
}

fn whole(batch: BatchId, segment: SegmentNumber, (lengths, entries): &(Lengths, Vec<Entry>)) -> Change {
    let entries = Entries::pack(entries.iter().copied());
    Change::Segment { batch, segment, lengths: lengths.clone(), entries }
}

/// An entry in the order of the lattice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ByRank(Entry);

impl Ord for ByRank {
    fn cmp(&self, other: &ByRank) -> Ordering {
        self.0.compare(&other.0)
    }
}

impl PartialOrd for ByRank {
    fn partial_cmp(&self, other: &ByRank) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Documents by what is true of them; of two things said of a document the greater is.
#[derive(Debug, Clone)]
struct Joined<K>(BTreeMap<K, DocSet>);

impl<K> Default for Joined<K> {
    fn default() -> Joined<K> {
        Joined(BTreeMap::new())
    }
}

impl<K: Ord + Copy> Joined<K> {
    fn join(&mut self, key: K, DocSet(mut docs): DocSet) {
        for (_, greater) in self.0.range((Bound::Excluded(key), Bound::Unbounded)) {
            docs -= &greater.0;
        }
        for (_, lesser) in self.0.range_mut(..key) {
            lesser.0 -= &docs;
        }
        self.0.entry(key).or_default().0 |= docs;
        self.0.retain(|_, docs| !docs.is_empty());
    }

    /// Takes out what is said of these documents.
    fn take(&mut self, numbers: std::ops::Range<u32>) -> Joined<K> {
        let mut taken = Joined::default();
        for (key, docs) in &mut self.0 {
            let part: DocSet = docs.0.range(numbers.clone()).map(DocNumber).collect();
            docs.0.remove_range(numbers.clone());
            if !part.is_empty() {
                taken.0.insert(*key, part);
            }
        }
        self.0.retain(|_, docs| !docs.is_empty());
        taken
    }

    fn covers(&self, docs: &DocSet) -> bool {
        let mut rest = docs.0.clone();
        self.0.values().for_each(|known| rest -= &known.0);
        rest.is_empty()
    }

    fn bytes(&self) -> usize {
        self.0.values().map(|docs| docs.0.serialized_size()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: BatchId = BatchId(1);

    fn docs(numbers: std::ops::Range<u32>) -> DocSet {
        numbers.map(DocNumber).collect()
    }

    fn given(epoch: u32) -> Entry {
        Entry { epoch: Epoch(epoch), node: NodeId([1; 16]), status: Status::Given }
    }

    #[test]
    fn what_is_said_again_and_again_takes_no_more_room() {
        let mut early = Early::default();
        for epoch in 0..20_000 {
            assert!(early.has_room(BATCH, &docs(0..10)));
            early.add_slots(BATCH, docs(0..10), given(epoch % 997));
            early.add_running(BATCH, docs(0..10), Epoch(epoch % 997), NodeId([1; 16]));
        }
        assert_eq!(early.sets, 2);
        let highest = Change::Moved {
            batch: BATCH,
            docs: docs(0..10),
            epoch: Epoch(996),
            owner: NodeId([1; 16]),
            claimed: false,
        };
        assert_eq!(early.changes().next(), Some(highest));
    }

    #[test]
    fn what_is_taken_out_makes_room() {
        let mut early = Early::default();
        early.add_slots(BATCH, docs(0..5_000), given(1));
        early.add_running(BATCH, docs(5..6), Epoch(1), NodeId([1; 16]));
        assert_eq!(early.take_marks(BATCH, SegmentNumber(0)).len(), 2);
        assert_eq!(early.take_segments(BATCH, SEGMENT_DOCUMENTS), []);
        assert!(early.batches.is_empty() && early.sets == 0 && early.bytes == 0);
    }

    #[test]
    fn where_the_store_is_full_what_is_known_may_still_change() {
        let mut early = Early::default();
        for id in 0..MAX_SETS as u64 {
            early.add_slots(BatchId(id), docs(0..2), given(1));
        }
        assert!(early.has_room(BATCH, &docs(1..2)));
        assert!(!early.has_room(BATCH, &docs(2..3)));
        assert!(!early.has_room(BatchId(MAX_SETS as u64), &docs(0..1)));
    }
}
