//! What is held here and who else has it, in memory: for each batch and list of holders a set of documents, and for each
//! segment of payloads its list. Few different lists serve all of them.
//!
//! For the holders this is the truth, and the disk follows: what has changed is marked, and the writer writes the rows
//! that are marked with whatever it commits next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use evenkeel_core::docset::DocSet;
use evenkeel_core::ids::{BatchId, DocId, DocNumber, NodeId};
use evenkeel_net::records::SegmentId;

use super::queue::Item;
use super::tables::{numbers, segment_of};

/// Number of a list of holders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ListId(pub(super) u32);

/// What is kept for a batch and goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Payloads,
    Results,
}

/// Rows that differ from those on the disk.
#[derive(Debug, Default)]
pub(super) struct Marks {
    pub(super) lists: BTreeSet<ListId>,
    /// Rows of results' holders.
    pub(super) held: BTreeSet<SegmentId>,
    /// Rows of segments' holders.
    pub(super) entrusted: BTreeSet<SegmentId>,
    /// Batches that are gone.
    pub(super) removed: BTreeSet<(BatchId, Part)>,
    /// What has been given up.
    pub(super) released: BTreeSet<Item>,
}

impl Marks {
    pub(super) fn is_empty(&self) -> bool {
        let Marks { lists, held, entrusted, removed, released } = self;
        lists.is_empty() && held.is_empty() && entrusted.is_empty() && removed.is_empty() && released.is_empty()
    }
}

/// See above.
#[derive(Debug, Default)]
pub(super) struct Index {
    lists: Vec<Arc<[NodeId]>>,
    /// One of those with these nodes: lists that lost a node may be equal.
    by_nodes: BTreeMap<Arc<[NodeId]>, ListId>,
    results: BTreeMap<BatchId, BTreeMap<ListId, DocSet>>,
    segments: BTreeMap<SegmentId, ListId>,
    marks: Marks,
}

impl Index {
    /// The list of these nodes.
    pub(super) fn list(&mut self, holders: &[NodeId]) -> ListId {
        if let Some(list) = self.by_nodes.get(holders) {
            return *list;
        }
        let list = ListId(self.lists.len() as u32);
        self.load_list(list, holders.into());
        self.marks.lists.insert(list);
        list
    }

    /// A list that the disk does not know has no nodes.
    pub(super) fn know_list(&mut self, list: ListId) {
        if self.lists.len() <= list.0 as usize {
            self.load_list(list, [].into());
        }
    }

    /// Takes a list from the disk.
    pub(super) fn load_list(&mut self, list: ListId, holders: Arc<[NodeId]>) {
        while self.lists.len() <= list.0 as usize {
            self.lists.push(Arc::default());
        }
        self.lists[list.0 as usize] = holders.clone();
        self.by_nodes.entry(holders).or_insert(list);
    }

    /// The nodes of a list.
    pub(super) fn nodes(&self, list: ListId) -> Arc<[NodeId]> {
        self.lists[list.0 as usize].clone()
    }

    /// Takes a node off all lists.
    pub(super) fn strike(&mut self, gone: NodeId) {
        for (number, list) in self.lists.iter_mut().enumerate() {
            if list.contains(&gone) {
                *list = list.iter().copied().filter(|node| *node != gone).collect();
                self.marks.lists.insert(ListId(number as u32));
            }
        }
        self.by_nodes.clear();
        for (number, list) in self.lists.iter().enumerate() {
            self.by_nodes.entry(list.clone()).or_insert(ListId(number as u32));
        }
    }

    /// Takes what is to be written. Given back with [`Index::mark`] if it was not.
    pub(super) fn take_marks(&mut self) -> Marks {
        std::mem::take(&mut self.marks)
    }

    pub(super) fn has_marks(&self) -> bool {
        !self.marks.is_empty()
    }

    pub(super) fn mark(&mut self, marks: Marks) {
        self.marks.lists.extend(marks.lists);
        self.marks.held.extend(marks.held);
        self.marks.entrusted.extend(marks.entrusted);
        self.marks.removed.extend(marks.removed);
        self.marks.released.extend(marks.released);
    }

    /// The list of a result's holders, if it is held here.
    pub(super) fn holders_of(&self, doc: DocId) -> Option<ListId> {
        let sets = self.results.get(&doc.batch)?;
        sets.iter().find(|(_, docs)| docs.contains(doc.number)).map(|(list, _)| *list)
    }

    /// Holds a result, with the holders in the list and with no others.
    pub(super) fn insert(&mut self, doc: DocId, list: ListId) {
        self.take(doc);
        self.results.entry(doc.batch).or_default().entry(list).or_default().insert(doc.number);
    }

    /// The same, for some documents of one batch that were in no list.
    pub(super) fn load(&mut self, batch: BatchId, list: ListId, docs: impl Iterator<Item = DocNumber>) {
        self.know_list(list);
        let set = self.results.entry(batch).or_default().entry(list).or_default();
        for number in docs {
            set.insert(number);
        }
    }

    /// Holds a result no longer.
    pub(super) fn remove(&mut self, doc: DocId) -> bool {
        let held = self.take(doc);
        if held {
            self.marks.held.insert(segment_of(doc));
        }
        held
    }

    fn take(&mut self, doc: DocId) -> bool {
        let Some(sets) = self.results.get_mut(&doc.batch) else { return false };
        let Some(list) = sets.iter_mut().find_map(|(list, docs)| docs.remove(doc.number).then_some(*list)) else {
            return false;
        };
        if sets[&list].is_empty() {
            sets.remove(&list);
        }
        true
    }

    /// Gives something up that is not damaged. False if it is not held here.
    pub(super) fn release(&mut self, item: Item) -> bool {
        let held = match item {
            Item::Result(doc) => self.remove(doc),
            Item::Segment(segment) => self.remove_segment(segment),
        };
        if held {
            self.marks.released.insert(item);
        }
        held
    }

    /// Notes other holders of results that are held here.
    pub(super) fn set_holders(&mut self, docs: impl Iterator<Item = DocId>, holders: &[NodeId]) {
        let list = self.list(holders);
        for doc in docs {
            if self.holders_of(doc).is_some_and(|before| before != list) {
                self.insert(doc, list);
                self.marks.held.insert(segment_of(doc));
            }
        }
    }

    /// The documents of a batch whose results are held here.
    pub(super) fn of_batch(&self, batch: BatchId) -> DocSet {
        let sets = self.results.get(&batch).into_iter().flat_map(BTreeMap::values);
        sets.fold(DocSet::new(), |all, set| DocSet(all.0 | &set.0))
    }

    /// The results of batches in lists of which this is true.
    pub(super) fn held_by(&self, is: impl Fn(BatchId, &[NodeId]) -> bool) -> Vec<(DocId, Arc<[NodeId]>)> {
        let mut held = Vec::new();
        for (batch, sets) in &self.results {
            for (list, docs) in sets {
                let nodes = self.nodes(*list);
                if !is(*batch, &nodes) {
                    continue;
                }
                held.extend(docs.iter().map(|number| (DocId { batch: *batch, number }, nodes.clone())));
            }
        }
        // By document: they are copied in this order, and their documents began in it.
        held.sort_unstable_by_key(|(doc, _)| *doc);
        held
    }

    /// The results of a segment that are held here, by list of their holders.
    pub(super) fn held_of(&self, segment: SegmentId) -> Vec<(Arc<[NodeId]>, DocSet)> {
        let row = self.held_row(segment, &BTreeMap::new());
        let set = |numbers: Vec<u32>| numbers.into_iter().map(DocNumber).collect();
        row.into_iter().map(|(list, numbers)| (self.nodes(list), set(numbers))).collect()
    }

    /// Segments of which anything is held here.
    pub(super) fn all_segments(&self) -> BTreeSet<SegmentId> {
        let mut all: BTreeSet<SegmentId> = self.segments.keys().copied().collect();
        for (batch, sets) in &self.results {
            for docs in sets.values() {
                let mut next = docs.0.min();
                while let Some(number) = next {
                    let segment = segment_of(DocId { batch: *batch, number: DocNumber(number) });
                    all.insert(segment);
                    let beyond = numbers(segment).end().checked_add(1);
                    next = beyond.and_then(|beyond| docs.0.range(beyond..).next());
                }
            }
        }
        all
    }

    /// Number of results held here.
    pub(super) fn result_count(&self) -> u64 {
        self.results.values().flat_map(BTreeMap::values).map(DocSet::len).sum()
    }

    /// What the row of a segment's results is to say, with those that are about to be committed.
    pub(super) fn held_row(&self, segment: SegmentId, coming: &BTreeMap<DocId, ListId>) -> BTreeMap<ListId, Vec<u32>> {
        let mut row: BTreeMap<ListId, Vec<u32>> = BTreeMap::new();
        let range = numbers(segment);
        for (list, docs) in self.results.get(&segment.batch).into_iter().flatten() {
            let present = docs.0.range(range.clone());
            let stays =
                |number: &u32| !coming.contains_key(&DocId { batch: segment.batch, number: DocNumber(*number) });
            let numbers: Vec<u32> = present.filter(stays).collect();
            if !numbers.is_empty() {
                row.insert(*list, numbers);
            }
        }
        let doc = |number: u32| DocId { batch: segment.batch, number: DocNumber(number) };
        for (doc, list) in coming.range(doc(*range.start())..=doc(*range.end())) {
            row.entry(*list).or_default().push(doc.number.0);
        }
        row.values_mut().for_each(|numbers| numbers.sort_unstable());
        row
    }

    /// The list of a segment's holders, if it is entrusted to this node.
    pub(super) fn segment(&self, segment: SegmentId) -> Option<ListId> {
        self.segments.get(&segment).copied()
    }

    pub(super) fn insert_segment(&mut self, segment: SegmentId, list: ListId) {
        self.segments.insert(segment, list);
    }

    pub(super) fn remove_segment(&mut self, segment: SegmentId) -> bool {
        let held = self.segments.remove(&segment).is_some();
        if held {
            self.marks.entrusted.insert(segment);
        }
        held
    }

    pub(super) fn set_segment_holders(&mut self, segment: SegmentId, holders: &[NodeId]) {
        if self.segments.contains_key(&segment) {
            let list = self.list(holders);
            self.segments.insert(segment, list);
            self.marks.entrusted.insert(segment);
        }
    }

    pub(super) fn segments(&self) -> impl Iterator<Item = (SegmentId, ListId)> {
        self.segments.iter().map(|(segment, list)| (*segment, *list))
    }

    /// Batches of which anything is held here.
    pub(super) fn batches(&self) -> BTreeSet<BatchId> {
        self.segments.keys().map(|segment| segment.batch).chain(self.results.keys().copied()).collect()
    }

    /// Holds nothing of a batch any longer.
    pub(super) fn remove_batch(&mut self, batch: BatchId, part: Part) {
        match part {
            Part::Results => drop(self.results.remove(&batch)),
            Part::Payloads => self.segments.retain(|segment, _| segment.batch != batch),
        }
    }

    /// Marks a row to be written, whatever it says.
    pub(super) fn mark_held(&mut self, segment: SegmentId) {
        self.marks.held.insert(segment);
    }

    /// The same, for a segment's holders.
    pub(super) fn mark_entrusted(&mut self, segment: SegmentId) {
        self.marks.entrusted.insert(segment);
    }

    /// The same, for a list.
    pub(super) fn mark_list(&mut self, list: ListId) {
        self.marks.lists.insert(list);
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_core::ids::SegmentNumber;

    use super::*;

    #[test]
    fn a_million_results_take_less_than_a_byte_each() {
        let mut index = Index::default();
        let batch = BatchId(1);
        let lists: Vec<ListId> = (2..6).map(|other| index.list(&[NodeId([1; 16]), NodeId([other; 16])])).collect();
        let (all, step) = (1_000_000u64, 611_953);
        for (place, list) in (0..all).zip(lists.iter().cycle()) {
            index.insert(DocId { batch, number: DocNumber((place * step % all) as u32) }, *list);
        }
        let bytes: usize = index.results[&batch].values().map(|set| set.0.serialized_size()).sum();
        assert_eq!(index.of_batch(batch).len(), all);
        assert!(bytes < 1_000_000, "{bytes}");
        index.strike(NodeId([2; 16]));
        assert_eq!(index.held_by(|_, holders| holders == [NodeId([1; 16])]).len(), 250_000);
        assert_eq!(index.held_row(SegmentId { batch, segment: SegmentNumber(3) }, &BTreeMap::new()).len(), 4);
    }
}
