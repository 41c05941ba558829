//! What arrived before the batch or the segment that it speaks of.
//!
//! It is merged as it will be once the segment is there, so that each document is said to stand in one place and to run in
//! one: however much is said of documents that nobody knows, it takes about the room of a bitmap of them. So a batch
//! that all who knew it took to the grave cannot fill the store with what others still say of it.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;
use std::ops::{Bound, Range};
use std::sync::Arc;

use roaring::RoaringBitmap;

use crate::change::{Change, Entries, Entry, Lengths};
use crate::docset::DocSet;
use crate::ids::{BatchId, Epoch, NodeId, SEGMENT_DOCUMENTS, SegmentNumber};

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
    segments: BTreeMap<SegmentNumber, (Arc<Lengths>, Arc<Entries>)>,
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
    pub(super) fn add_segment(
        &mut self,
        batch: BatchId,
        segment: SegmentNumber,
        lengths: &Arc<Lengths>,
        entries: &Arc<Entries>,
    ) {
        match self.batches.entry(batch).or_default().segments.entry(segment) {
            Place::Vacant(place) => {
                self.in_segments += entries.len();
                place.insert((lengths.clone(), entries.clone()));
            }
            Place::Occupied(mut place) if place.get().1.len() == entries.len() => {
                let known = &mut place.get_mut().1;
                let both = known.iter().zip(entries.iter());
                *known = Arc::new(Entries::pack(both.map(|(a, b)| std::cmp::max_by(a, b, Entry::compare))));
            }
            // One of the two has a wrong size. Which, nobody can tell yet.
            Place::Occupied(_) => {}
        }
    }

    /// Keeps where documents of unknown segments stand.
    pub(super) fn add_slots(&mut self, batch: BatchId, docs: DocSet, entry: Entry) {
        if !docs.is_empty() {
            self.change(batch, |waiting| waiting.slots.join(ByRank(entry), docs));
        }
    }

    /// Keeps where documents of unknown segments run.
    pub(super) fn add_running(&mut self, batch: BatchId, docs: DocSet, epoch: Epoch, node: NodeId) {
        if !docs.is_empty() {
            self.change(batch, |waiting| waiting.running.join((epoch, Reverse(node)), docs));
        }
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

    /// Forgets what was said of a batch.
    pub(super) fn forget(&mut self, batch: BatchId) {
        if let Some(waiting) = self.batches.remove(&batch) {
            let (sets, bytes) = waiting.size();
            self.sets -= sets;
            self.bytes -= bytes;
            self.in_segments -= waiting.segments.values().map(|(_, entries)| entries.len()).sum::<usize>();
        }
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
        (self.slots.sets.len() + self.running.sets.len(), self.slots.bytes + self.running.bytes)
    }

    fn changes(&self, batch: BatchId) -> Vec<Change> {
        let segments = self.segments.iter().map(|(number, segment)| whole(batch, *number, segment));
        let slots = self.slots.sets.iter().map(|(ByRank(entry), docs)| entry.as_change(batch, docs.clone()));
        let running = self.running.sets.iter().map(|((epoch, Reverse(node)), docs)| Change::Running {
            batch,
            docs: docs.clone(),
            epoch: *epoch,
            node: *node,
        });
        segments.chain(slots).chain(running).collect()
    }
}

fn whole(batch: BatchId, segment: SegmentNumber, (lengths, entries): &(Arc<Lengths>, Arc<Entries>)) -> Change {
    Change::Segment { batch, segment, lengths: lengths.clone(), entries: entries.clone() }
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
struct Joined<K> {
    sets: BTreeMap<K, DocSet>,
    /// All of them: nearly always, what is new is of documents of which nothing was said.
    all: RoaringBitmap,
    bytes: usize,
}

impl<K> Default for Joined<K> {
    fn default() -> Joined<K> {
        Joined { sets: BTreeMap::new(), all: RoaringBitmap::new(), bytes: 0 }
    }
}

impl<K: Ord + Copy> Joined<K> {
    fn join(&mut self, key: K, DocSet(mut docs): DocSet) {
        if !self.all.is_disjoint(&docs) {
            for (_, greater) in self.sets.range((Bound::Excluded(key), Bound::Unbounded)) {
                docs -= &greater.0;
            }
            for (_, lesser) in self.sets.range_mut(..key) {
                resize(lesser, &mut self.bytes, |lesser| *lesser -= &docs);
            }
            self.drop_empty();
        }
        if docs.is_empty() {
            return;
        }
        self.all |= &docs;
        match self.sets.entry(key) {
            Place::Occupied(known) => resize(known.into_mut(), &mut self.bytes, |known| *known |= docs),
            Place::Vacant(place) => {
                self.bytes += docs.serialized_size();
                place.insert(DocSet(docs));
            }
        }
    }

    /// Takes out what is said of these documents.
    fn take(&mut self, numbers: Range<u32>) -> Joined<K> {
        let mut taken = Joined::default();
        if self.all.range_cardinality(numbers.clone()) == 0 {
            return taken;
        }
        self.all.remove_range(numbers.clone());
        for (key, docs) in &mut self.sets {
            let part: RoaringBitmap = docs.0.range(numbers.clone()).collect();
            if !part.is_empty() {
                resize(docs, &mut self.bytes, |docs| *docs -= &part);
                taken.join(*key, DocSet(part));
            }
        }
        self.drop_empty();
        taken
    }

    /// Even an empty set has a size.
    fn drop_empty(&mut self) {
        self.sets.retain(|_, docs| {
            self.bytes -= if docs.is_empty() { docs.0.serialized_size() } else { 0 };
            !docs.is_empty()
        });
    }

    fn covers(&self, docs: &DocSet) -> bool {
        docs.0.is_subset(&self.all)
    }
}

/// Changes a set, and keeps count of the bytes.
fn resize(docs: &mut DocSet, bytes: &mut usize, change: impl FnOnce(&mut RoaringBitmap)) {
    *bytes -= docs.0.serialized_size();
    change(&mut docs.0);
    *bytes += docs.0.serialized_size();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::change::{Status, Title};
    use crate::ids::DocNumber;

    const BATCH: BatchId = BatchId(1);

    fn docs(numbers: std::ops::Range<u32>) -> DocSet {
        numbers.map(DocNumber).collect()
    }

    fn given(epoch: u32) -> Entry {
        Entry { epoch: Epoch(epoch), node: NodeId([1; 16]), status: Status::Owned(Title::Given) }
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
            title: Title::Given,
        };
        assert_eq!(early.changes().next(), Some(highest));
    }

    proptest! {
        /// The plain form of it all is a map from documents to what is said of them.
        #[test]
        fn of_each_document_the_greatest_is_kept_and_counted(
            steps in prop::collection::vec((0u8..6, 0u32..40, 1u32..10, any::<bool>()), 0..60),
        ) {
            let mut joined = Joined::default();
            let mut plain: BTreeMap<u32, u8> = BTreeMap::new();
            for (key, from, count, take) in steps {
                let numbers = from..from + count;
                if take {
                    let taken = joined.take(numbers.clone());
                    let plainly = numbers.filter_map(|number| Some((number, plain.remove(&number)?))).collect();
                    prop_assert_eq!(flat(&taken), plainly);
                    prop_assert_eq!(taken.bytes, size(&taken));
                } else {
                    joined.join(key, docs(numbers.clone()));
                    for number in numbers {
                        let known = plain.entry(number).or_default();
                        *known = key.max(*known);
                    }
                }
                prop_assert_eq!(flat(&joined), plain.clone());
                prop_assert_eq!(joined.bytes, size(&joined));
                prop_assert!(joined.covers(&plain.keys().copied().map(DocNumber).collect()));
                prop_assert!(!joined.covers(&docs(0..50)));
            }
        }
    }

    fn flat(joined: &Joined<u8>) -> BTreeMap<u32, u8> {
        joined.sets.iter().flat_map(|(key, docs)| docs.iter().map(|number| (number.0, *key))).collect()
    }

    fn size(joined: &Joined<u8>) -> usize {
        joined.sets.values().map(|docs| docs.0.serialized_size()).sum()
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
    fn what_is_forgotten_makes_room() {
        let mut early = Early::default();
        let (lengths, entries) = (Arc::new(Lengths::pack(&[crate::units::Length(1)])), Entries::pack([given(1)]));
        early.add_segment(BATCH, SegmentNumber(0), &lengths, &Arc::new(entries));
        early.add_slots(BATCH, docs(5_000..5_010), given(1));
        early.add_running(BATCH, docs(5_005..5_006), Epoch(1), NodeId([1; 16]));
        early.forget(BATCH);
        assert!(early.batches.is_empty() && (early.sets, early.bytes, early.in_segments) == (0, 0, 0));
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
