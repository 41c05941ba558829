//! Merging a change into the state: `crdts::CmRDT`.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;
use std::sync::Arc;

use crdts::CmRDT;

use super::segment::Segment;
use super::slot::{NodeIndex, Slot};
use super::{BatchState, State, Tally};
use crate::batch::Batch;
use crate::change::{Change, Entries, Entry, Lengths, Status};
use crate::docset::DocSet;
use crate::ids::{BatchId, DocId, DocNumber, Epoch, NodeId, SEGMENT_DOCUMENTS, SegmentNumber};
use crate::units::Length;

/// A change that no honest peer sends. Nothing was changed by it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A segment with more or fewer documents than its batch gives it.
    #[error("segment {segment} of batch {batch} should describe {expected} documents, not {found}")]
    Segment {
        /// The batch.
        batch: BatchId,
        /// The segment.
        segment: SegmentNumber,
        /// Documents that the batch's description gives it.
        expected: u32,
        /// Documents that the change describes.
        found: usize,
    },
    /// A document that its batch does not have.
    #[error("batch {batch} has {documents} documents, so there is no document {number}")]
    Document {
        /// The batch.
        batch: BatchId,
        /// Number of its documents.
        documents: u32,
        /// The number named.
        number: DocNumber,
    },
    /// A length above [`Length::MAX`].
    #[error("a document of batch {0} has a length above 2^53")]
    Length(BatchId),
    /// A batch without documents or without a command.
    #[error("batch {0} has no documents or no command")]
    Empty(BatchId),
    /// Two descriptions under one id.
    #[error("batch {0} is described in two ways")]
    TwoDescriptions(BatchId),
    /// More nodes than a cluster can have.
    #[error("more than 65,534 nodes were named")]
    TooManyNodes,
    /// Too many changes speak of batches that are not known.
    #[error("too many changes speak of what is not known here, the last of batch {0}")]
    TooEarly(BatchId),
}

/// A document that this node has come to own, or no longer owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shift {
    /// The document.
    pub doc: DocId,
    /// Its length.
    pub length: Length,
    /// Where it stood; `None` if it was not known.
    pub before: Option<Slot>,
    /// Where it stands.
    pub after: Slot,
}

impl Shift {
    /// This node has come to own the document.
    pub fn is_gain(&self) -> bool {
        self.after.is_owned_by(NodeIndex::ME) && !self.before.is_some_and(|slot| slot.is_owned_by(NodeIndex::ME))
    }

    /// This node still owns the document, or again, under another epoch.
    pub fn is_renewal(&self) -> bool {
        self.after.is_owned_by(NodeIndex::ME) && self.before.is_some_and(|slot| slot.is_owned_by(NodeIndex::ME))
    }

    /// This node no longer owns the document.
    pub fn is_loss(&self) -> bool {
        !self.after.is_owned_by(NodeIndex::ME) && self.before.is_some_and(|slot| slot.is_owned_by(NodeIndex::ME))
    }
}

impl CmRDT for State {
    type Op = Change;
    type Validation = Malformed;

    fn validate_op(&self, change: &Change) -> Result<(), Malformed> {
        match change {
            Change::Batch(batch) if batch.documents == 0 || batch.command.is_empty() => Err(Malformed::Empty(batch.id)),
            Change::Batch(batch) => match self.batches.get(&batch.id) {
                Some(known) if *known.description != *batch => Err(Malformed::TwoDescriptions(batch.id)),
                _ => Ok(()),
            },
            Change::Segment { batch, segment, lengths, entries } => {
                if lengths.iter().any(|length| length > Length::MAX) {
                    return Err(Malformed::Length(*batch));
                }
                let Some(known) = self.batches.get(batch) else {
                    return self.validate_early_segment(*batch, *segment, lengths, entries);
                };
                let expected = known.description.documents_in(*segment);
                let wrong = |found| Malformed::Segment { batch: *batch, segment: *segment, expected, found };
                let found = entries.documents().filter(|found| entries.nodes.len() <= *found).ok_or(wrong(0))?;
                if expected == 0 || found != expected as usize || lengths.len() != found {
                    return Err(wrong(if found == expected as usize { lengths.len() } else { found }));
                }
                Ok(())
            }
            Change::Moved { batch, docs, .. }
            | Change::Ended { batch, docs, .. }
            | Change::Running { batch, docs, .. } => {
                self.validate_documents(*batch, docs.0.max().map(DocNumber))?;
                self.room_for_early(*batch, docs)
            }
            Change::Tried { doc, .. } => {
                self.validate_documents(doc.batch, Some(doc.number))?;
                self.room_for_early(doc.batch, &DocSet::from_iter([doc.number]))
            }
            Change::Cancelled(_) | Change::Draining(_) => Ok(()),
        }
    }

    /// Merges a change and forgets what shifted. A malformed one is ignored: see [`State::merge_change`].
    fn apply(&mut self, change: Change) {
        let _ = self.merge_change(change, &mut Vec::new());
    }
}

impl State {
    /// Merges a change; documents that this node gains or loses by it are added to `shifts`.
    ///
    /// # Errors
    /// If the change is malformed; nothing was changed then.
    pub fn merge_change(&mut self, change: Change, shifts: &mut Vec<Shift>) -> Result<(), Malformed> {
        self.validate_op(&change)?;
        match change {
            Change::Batch(batch) => self.add_batch(batch, shifts),
            Change::Segment { batch, segment, lengths, entries } => {
                self.merge_segment(batch, segment, lengths, entries, shifts)
            }
            Change::Moved { batch, docs, epoch, owner, claimed } => {
                let status = if claimed { Status::Claimed } else { Status::Given };
                self.merge_slots(batch, docs, Entry { epoch, node: owner, status }, shifts)
            }
            Change::Ended { batch, docs, epoch, node, outcome } => {
                self.merge_slots(batch, docs, Entry { epoch, node, status: Status::Ended(outcome) }, shifts)
            }
            Change::Running { batch, docs, epoch, node } => self.merge_running(batch, docs, epoch, node),
            Change::Tried { doc, failures, crashes } => {
                if self.slot(doc).is_none_or(|slot| slot.outcome().is_none()) {
                    let tries = self.tries.entry(doc).or_default();
                    tries.failures = tries.failures.max(failures);
                    tries.crashes = tries.crashes.max(crashes);
                }
                Ok(())
            }
            Change::Cancelled(batch) => {
                if self.cancelled.insert(batch) {
                    self.digest.toggle_cancelled(batch);
                }
                Ok(())
            }
            Change::Draining(origin) => {
                if self.draining.insert(origin) {
                    self.digest.toggle_draining(origin);
                }
                Ok(())
            }
        }
    }

    fn validate_documents(&self, batch: BatchId, largest: Option<DocNumber>) -> Result<(), Malformed> {
        let Some(known) = self.batches.get(&batch) else { return Ok(()) };
        let documents = known.description.documents;
        match largest {
            Some(number) if number.0 >= documents => Err(Malformed::Document { batch, documents, number }),
            _ => Ok(()),
        }
    }

    /// Whether the batch, or the segment of one of these documents, has not come.
    fn speaks_of_unknown(&self, batch: BatchId, docs: &DocSet) -> bool {
        let Some(known) = self.batches.get(&batch) else { return true };
        let unknown = known.segments.iter().enumerate().filter(|(_, segment)| segment.is_none());
        let mut firsts = unknown.map(|(number, _)| SegmentNumber(number as u32).first().0);
        firsts.any(|first| docs.0.range_cardinality(first..first.saturating_add(SEGMENT_DOCUMENTS)) > 0)
    }

    /// Of a segment whose batch is not known only this can be told.
    fn validate_early_segment(
        &self,
        batch: BatchId,
        segment: SegmentNumber,
        lengths: &Lengths,
        entries: &Entries,
    ) -> Result<(), Malformed> {
        let found = entries.documents().unwrap_or(0);
        if found == 0 || found != lengths.len() || found > SEGMENT_DOCUMENTS as usize {
            return Err(Malformed::Segment { batch, segment, expected: lengths.len() as u32, found });
        }
        let room = self.early.has_room_for_segment(batch, segment, found);
        if room { Ok(()) } else { Err(Malformed::TooEarly(batch)) }
    }

    fn room_for_early(&self, batch: BatchId, docs: &DocSet) -> Result<(), Malformed> {
        let room = !self.speaks_of_unknown(batch, docs) || self.early.has_room(batch, docs);
        if room { Ok(()) } else { Err(Malformed::TooEarly(batch)) }
    }

    fn add_batch(&mut self, batch: Batch, shifts: &mut Vec<Shift>) -> Result<(), Malformed> {
        let id = batch.id;
        if let Place::Vacant(place) = self.batches.entry(id) {
            let documents = batch.documents;
            self.digest.toggle_batch(id);
            let segments = vec![None; batch.segments() as usize];
            let description = Arc::new(batch);
            place.insert(BatchState { description, segments, tally: Tally::default(), open_by_node: BTreeMap::new() });
            let early = self.early.take_segments(id, documents);
            self.merge_early(early, shifts);
        }
        Ok(())
    }

    /// Merges what arrived before its batch or segment. What is malformed, now that it can be told, is dropped.
    fn merge_early(&mut self, early: Vec<Change>, shifts: &mut Vec<Shift>) {
        for change in early {
            let _ = self.merge_change(change, shifts);
        }
    }

    fn merge_segment(
        &mut self,
        batch: BatchId,
        segment: SegmentNumber,
        lengths: Lengths,
        entries: Entries,
        shifts: &mut Vec<Shift>,
    ) -> Result<(), Malformed> {
        if !self.batches.contains_key(&batch) {
            self.early.add_segment(batch, segment, lengths, &entries);
            return Ok(());
        }
        let nodes = entries.nodes.iter().map(|node| self.nodes.intern(*node).ok_or(Malformed::TooManyNodes));
        let nodes: Vec<NodeIndex> = nodes.collect::<Result<_, _>>()?;
        let slots = entries.runs.iter().flat_map(|run| {
            let slot = Slot { epoch: run.epoch, node: nodes[usize::from(run.node)], status: run.status };
            std::iter::repeat_n(slot, usize::from(run.count))
        });
        let state = self.batches.get_mut(&batch).expect("looked up just now");
        let first = segment.first().0;
        if state.segments[segment.0 as usize].is_some() {
            for (place, slot) in slots.enumerate() {
                let doc = DocId { batch, number: DocNumber(first + place as u32) };
                self.merge_slot(doc, slot, shifts);
            }
            return Ok(());
        }
        let slots: Vec<Slot> = slots.collect();
        for (place, slot) in slots.iter().enumerate() {
            let doc = DocId { batch, number: DocNumber(first + place as u32) };
            state.tally.known += 1;
            self.digest.toggle_entry(doc, &self.nodes.entry(*slot));
            match slot.outcome() {
                Some(outcome) => {
                    *state.tally.of(outcome) += 1;
                    self.tries.remove(&doc);
                }
                None => {
                    *state.open_by_node.entry(slot.node).or_default() += 1;
                    *self.open_by_node.entry(slot.node).or_default() += 1;
                    if slot.node == NodeIndex::ME {
                        shifts.push(Shift { doc, length: lengths.get(place), before: None, after: *slot });
                    }
                }
            }
        }
        state.segments[segment.0 as usize] = Some(Segment::new(Arc::new(lengths), slots));
        let early = self.early.take_marks(batch, segment);
        self.merge_early(early, shifts);
        Ok(())
    }

    /// Merges one entry into many documents.
    fn merge_slots(
        &mut self,
        batch: BatchId,
        docs: DocSet,
        entry: Entry,
        shifts: &mut Vec<Shift>,
    ) -> Result<(), Malformed> {
        let Entry { epoch, node, status } = entry;
        let slot = Slot { epoch, node: self.nodes.intern(node).ok_or(Malformed::TooManyNodes)?, status };
        let mut early = DocSet::new();
        for number in docs.iter() {
            if !self.merge_slot(DocId { batch, number }, slot, shifts) {
                early.insert(number);
            }
        }
        self.early.add_slots(batch, early, entry);
        Ok(())
    }

    /// Merges one slot. False if the document's segment is not known yet.
    fn merge_slot(&mut self, doc: DocId, slot: Slot, shifts: &mut Vec<Shift>) -> bool {
        let Some(batch) = self.batches.get_mut(&doc.batch) else { return false };
        let Some(Some(segment)) = batch.segments.get_mut(doc.number.segment().0 as usize) else { return false };
        let place = (doc.number.0 % SEGMENT_DOCUMENTS) as usize;
        let before = segment.get(place);
        if self.nodes.compare(slot, before) != Ordering::Greater {
            return true;
        }
        let shift = Shift { doc, length: segment.length(place), before: Some(before), after: slot };
        segment.set(place, slot);
        self.digest.toggle_entry(doc, &self.nodes.entry(before));
        self.digest.toggle_entry(doc, &self.nodes.entry(slot));
        match before.outcome() {
            Some(outcome) => *batch.tally.of(outcome) -= 1,
            None => {
                *batch.open_by_node.entry(before.node).or_default() -= 1;
                *self.open_by_node.entry(before.node).or_default() -= 1;
            }
        }
        match slot.outcome() {
            Some(outcome) => {
                *batch.tally.of(outcome) += 1;
                self.running.remove(&doc);
                self.tries.remove(&doc);
            }
            None => {
                *batch.open_by_node.entry(slot.node).or_default() += 1;
                *self.open_by_node.entry(slot.node).or_default() += 1;
            }
        }
        if shift.is_gain() || shift.is_loss() || shift.is_renewal() {
            shifts.push(shift);
        }
        true
    }

    /// Advisory: the mark of the highest epoch stands, until the document ends.
    fn merge_running(&mut self, batch: BatchId, docs: DocSet, epoch: Epoch, node: NodeId) -> Result<(), Malformed> {
        let index = self.nodes.intern(node).ok_or(Malformed::TooManyNodes)?;
        let mut early = DocSet::new();
        for number in docs.iter() {
            let doc = DocId { batch, number };
            let Some(slot) = self.slot(doc) else {
                early.insert(number);
                continue;
            };
            let key = |(epoch, node): (Epoch, NodeIndex)| (epoch, std::cmp::Reverse(self.nodes.id(node)));
            let newer = self.running.get(&doc).is_none_or(|known| key(*known) < key((epoch, index)));
            if slot.outcome().is_none() && newer {
                self.running.insert(doc, (epoch, index));
            }
        }
        self.early.add_running(batch, early, epoch, node);
        Ok(())
    }
}
