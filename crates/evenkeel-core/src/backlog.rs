//! The documents that wait at this node, longest first, and of equals those of the oldest batch: a batch does not wait for
//! what was submitted after it.
//!
//! A shelf for each segment holds the numbers of its documents that wait in order of length, two bytes each; an index
//! over the shelves finds the longest and the shortest of all. So a million waiting documents take little more than two
//! megabytes, and no operation looks at more than one shelf and one path of the index.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use crate::change::Lengths;
use crate::ids::{BatchId, DocId, DocNumber, SEGMENT_DOCUMENTS, SegmentNumber};
use crate::units::Length;

type ShelfId = (BatchId, SegmentNumber);

/// When a batch was submitted, in milliseconds by its submitter's clock.
type Age = u64;

/// A document of a shelf, by its place in the list, in the order in which documents are to start: the greatest first.
type Candidate = (Length, Reverse<(Age, ShelfId)>, usize);

/// Waiting documents of one segment.
#[derive(Debug, Clone)]
struct Shelf {
    lengths: Arc<Lengths>,
    age: Age,
    /// Their places in the segment, the shortest first, and among equals the highest number: the next to start is last, and
    /// is taken off without moving the others.
    waiting: Vec<u16>,
}

impl Shelf {
    fn new(lengths: Arc<Lengths>, age: Age) -> Shelf {
        Shelf { lengths, age, waiting: Vec::new() }
    }

    fn length(&self, place: u16) -> Length {
        self.lengths.get(place.into())
    }

    /// Where a document waits, or would wait.
    fn find(&self, place: u16) -> Result<usize, usize> {
        let key = |place: u16| (self.length(place), Reverse(place));
        self.waiting.binary_search_by_key(&key(place), |other| key(*other))
    }

    /// How many are at most so long.
    fn at_most(&self, limit: Length) -> usize {
        self.waiting.partition_point(|place| self.length(*place) <= limit)
    }

    /// The longest of the first `count` in the list.
    fn candidate(&self, id: ShelfId, count: usize) -> Option<Candidate> {
        let at = count.checked_sub(1)?;
        Some((self.length(self.waiting[at]), Reverse((self.age, id)), at))
    }

    /// Longest and shortest waiting lengths.
    fn extremes(&self) -> Option<(Length, Length)> {
        Some((self.length(*self.waiting.last()?), self.length(*self.waiting.first()?)))
    }
}

/// The documents that wait at this node.
#[derive(Debug, Clone, Default)]
pub struct Backlog {
    shelves: BTreeMap<ShelfId, Shelf>,
    longest: BTreeSet<(Reverse<Length>, Age, ShelfId)>,
    shortest: BTreeSet<(Length, ShelfId)>,
    count: u64,
    length: u128,
}

impl Backlog {
    /// Nothing waits.
    pub fn new() -> Backlog {
        Backlog::default()
    }

    /// Number of documents that wait.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Sum of their lengths.
    pub fn length(&self) -> u128 {
        self.length
    }

    /// Whether the document waits.
    pub fn contains(&self, doc: DocId) -> bool {
        let place = place_in_segment(doc);
        let shelf = self.shelves.get(&(doc.batch, doc.number.segment()));
        shelf.is_some_and(|shelf| usize::from(place) < shelf.lengths.len() && shelf.find(place).is_ok())
    }

    /// Adds a document; `lengths` are those of its segment, and `submitted` is when its batch was, in milliseconds. False if
    /// it waits already.
    ///
    /// # Panics
    /// If `lengths` does not reach to the document.
    pub fn insert(&mut self, doc: DocId, lengths: &Arc<Lengths>, submitted: u64) -> bool {
        let place = place_in_segment(doc);
        assert!(usize::from(place) < lengths.len(), "{doc} is beyond its segment");
        self.update((doc.batch, doc.number.segment()), Some((lengths, submitted)), |shelf| {
            let at = shelf.find(place).err()?;
            shelf.waiting.insert(at, place);
            Some(shelf.length(place))
        })
        .inspect(|length| {
            self.count += 1;
            self.length += u128::from(length.0);
        })
        .is_some()
    }

    /// Takes a document out. False if it did not wait.
    pub fn remove(&mut self, doc: DocId) -> bool {
        let place = place_in_segment(doc);
        self.update((doc.batch, doc.number.segment()), None, |shelf| {
            if usize::from(place) >= shelf.lengths.len() {
                return None;
            }
            let at = shelf.find(place).ok()?;
            shelf.waiting.remove(at);
            Some(shelf.length(place))
        })
        .inspect(|length| {
            self.count -= 1;
            self.length -= u128::from(length.0);
        })
        .is_some()
    }

    /// Changes one shelf and keeps the index true.
    fn update<T>(
        &mut self,
        id: ShelfId,
        new: Option<(&Arc<Lengths>, Age)>,
        change: impl FnOnce(&mut Shelf) -> Option<T>,
    ) -> Option<T> {
        if let Some((lengths, age)) = new {
            self.shelves.entry(id).or_insert_with(|| Shelf::new(lengths.clone(), age));
        }
        let shelf = self.shelves.get_mut(&id)?;
        let age = shelf.age;
        let before = shelf.extremes();
        let result = change(shelf);
        let after = shelf.extremes();
        if after.is_none() {
            self.shelves.remove(&id);
        }
        if before != after {
            if let Some((longest, shortest)) = before {
                self.longest.remove(&(Reverse(longest), age, id));
                self.shortest.remove(&(shortest, id));
            }
            if let Some((longest, shortest)) = after {
                self.longest.insert((Reverse(longest), age, id));
                self.shortest.insert((shortest, id));
            }
        }
        result
    }

    /// The longest document that waits; among equals that of the oldest batch, and the lowest number.
    pub fn longest(&self) -> Option<(DocId, Length)> {
        let (Reverse(length), _, id) = self.longest.first()?;
        let shelf = &self.shelves[id];
        Some((document(*id, *shelf.waiting.last()?), *length))
    }

    /// The shortest document that waits.
    pub fn shortest(&self) -> Option<(DocId, Length)> {
        let (length, id) = self.shortest.first()?;
        let shelf = &self.shelves[id];
        Some((document(*id, *shelf.waiting.first()?), *length))
    }

    /// The longest document of at most this length.
    pub fn longest_at_most(&self, limit: Length) -> Option<(DocId, Length)> {
        self.descending(limit).next(limit)
    }

    /// A walk through the documents of at most `limit`, longest first, that may skip ahead.
    pub fn descending(&self, limit: Length) -> Descending<'_> {
        let mut heap = BinaryHeap::new();
        for (id, shelf) in &self.shelves {
            heap.extend(shelf.candidate(*id, shelf.at_most(limit)));
        }
        Descending { backlog: self, heap }
    }

    /// The waiting documents of one batch.
    pub fn of_batch(&self, batch: BatchId) -> Vec<DocId> {
        let from = (batch, SegmentNumber(0));
        let to = (batch, SegmentNumber(u32::MAX));
        let shelves = self.shelves.range(from..=to);
        shelves.flat_map(|(id, shelf)| shelf.waiting.iter().rev().map(|place| document(*id, *place))).collect()
    }
}

/// A walk through a backlog, longest first.
#[derive(Debug)]
pub struct Descending<'a> {
    backlog: &'a Backlog,
    heap: BinaryHeap<Candidate>,
}

impl Descending<'_> {
    /// The longest document not visited yet that is at most `limit` long. Longer ones are passed over for good.
    pub fn next(&mut self, limit: Length) -> Option<(DocId, Length)> {
        loop {
            let (length, Reverse((_, id)), at) = self.heap.pop()?;
            let shelf = &self.backlog.shelves[&id];
            let fits = length <= limit;
            let next = if fits { at } else { shelf.at_most(limit) };
            self.heap.extend(shelf.candidate(id, next));
            if fits {
                return Some((document(id, shelf.waiting[at]), length));
            }
        }
    }
}

fn place_in_segment(doc: DocId) -> u16 {
    (doc.number.0 % SEGMENT_DOCUMENTS) as u16
}

fn document((batch, segment): ShelfId, place: u16) -> DocId {
    DocId { batch, number: DocNumber(segment.first().0 + u32::from(place)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same, the obvious way.
    fn sorted(docs: &[(DocId, Length)], submitted: [u64; 2]) -> Vec<(DocId, Length)> {
        let mut docs = docs.to_vec();
        docs.sort_by_key(|(doc, length)| (Reverse(*length), submitted[doc.batch.0 as usize], *doc));
        docs
    }

    proptest! {
        #[test]
        fn it_is_a_set_ordered_by_length(
            lengths in proptest::collection::vec(0u64..20, 1..300),
            removed in proptest::collection::vec(any::<prop::sample::Index>(), 0..200),
            limit in 0u64..25,
            submitted in [0u64..3, 0u64..3],
        ) {
            let packed: Vec<Length> = lengths.iter().copied().map(Length).collect();
            let packed = Arc::new(Lengths::pack(&packed));
            let mut backlog = Backlog::new();
            let mut docs = Vec::new();
            for batch in 0..2 {
                for number in 0..lengths.len() {
                    let doc = DocId { batch: BatchId(batch), number: DocNumber(number as u32) };
                    prop_assert!(backlog.insert(doc, &packed, submitted[batch as usize]));
                    prop_assert!(!backlog.insert(doc, &packed, 0));
                    docs.push((doc, packed.get(number)));
                }
            }
            for index in removed {
                if docs.is_empty() { break; }
                let (doc, _) = docs.swap_remove(index.index(docs.len()));
                prop_assert!(backlog.contains(doc));
                prop_assert!(backlog.remove(doc));
                prop_assert!(!backlog.remove(doc));
            }
            let expected = sorted(&docs, submitted);
            prop_assert_eq!(backlog.len(), expected.len() as u64);
            prop_assert_eq!(backlog.length(), expected.iter().map(|(_, length)| u128::from(length.0)).sum::<u128>());
            prop_assert_eq!(backlog.longest(), expected.first().copied());
            prop_assert_eq!(backlog.shortest().map(|(_, length)| length), expected.last().map(|(_, length)| *length));
            let limit = Length(limit);
            let fitting: Vec<_> = expected.iter().copied().filter(|(_, length)| *length <= limit).collect();
            prop_assert_eq!(backlog.longest_at_most(limit), fitting.first().copied());
            let mut walk = backlog.descending(limit);
            let walked: Vec<_> = std::iter::from_fn(|| walk.next(limit)).collect();
            prop_assert_eq!(walked, fitting);
            prop_assert_eq!(backlog.of_batch(BatchId(1)).len(), docs.iter().filter(|(doc, _)| doc.batch == BatchId(1)).count());
        }
    }
}
