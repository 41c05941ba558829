//! Merging a change into the state: `crdts::CmRDT`.

use std::cmp::Ordering;
use std::collections::btree_map::Entry as Place;
use std::sync::Arc;

use crdts::CmRDT;

use super::holdings::Holdings;
use super::segment::{Ending, Segment};
use super::slot::{NodeIndex, Slot};
use super::{BatchState, State, Tally};
use crate::batch::Batch;
use crate::change::{Change, Entries, Entry, Lengths, Outcome, Status, Title};
use crate::docset::DocSet;
use crate::ids::{BatchId, DocId, DocNumber, Epoch, NodeId, SegmentNumber};
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

/// A document that this node has come to own, or no longer owns, or whose end here is no longer the one that counts.
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

    /// The document had ended on this node, and another end of it is kept instead.
    pub fn drops_own_end(&self) -> bool {
        let ran = |slot: Slot| matches!(slot.outcome(), Some(Outcome::Done | Outcome::Failed));
        self.before.is_some_and(|slot| slot.node == NodeIndex::ME && ran(slot))
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
            // Nothing is left that it could contradict, and nothing of it is kept.
            _ if self.is_moot(change) => Ok(()),
            Change::Batch(batch) if batch.documents == 0 || batch.command.is_empty() => Err(Malformed::Empty(batch.id)),
            Change::Batch(batch) => match self.batches.get(&batch.id) {
                Some(known) if *known.description != *batch => Err(Malformed::TwoDescriptions(batch.id)),
                _ => Ok(()),
            },
            Change::Segment { batch, segment, lengths, entries } => {
                if lengths.most() > Length::MAX {
                    return Err(Malformed::Length(*batch));
                }
                let Some(known) = self.batches.get(batch) else {
                    return self.validate_early_segment(*batch, *segment, lengths, entries);
                };
                let expected = known.description.documents_in(*segment);
                let wrong = |found| Malformed::Segment { batch: *batch, segment: *segment, expected, found };
                let found = entries.len();
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
            Change::Cancelled(_) | Change::Draining(_) | Change::Removed(_) => Ok(()),
        }
    }

    /// Merges a change and forgets what shifted. A malformed one is ignored: see [`State::merge_change`].
    fn apply(&mut self, change: Change) {
        let _ = self.merge_change(&change, &mut Vec::new());
    }
}

impl State {
    /// Merges a change; documents that this node gains or loses by it are added to `shifts`.
    ///
    /// # Errors
    /// If the change is malformed; nothing was changed then.
    pub fn merge_change(&mut self, change: &Change, shifts: &mut Vec<Shift>) -> Result<(), Malformed> {
        self.validate_op(change)?;
        match *change {
            _ if self.is_moot(change) => {}
            Change::Batch(ref batch) => self.add_batch(batch, shifts),
            Change::Segment { batch, segment, ref lengths, ref entries } => {
                if self.batches.contains_key(&batch) {
                    self.merge_segment(batch, segment, lengths, entries, shifts)?;
                } else {
                    self.early.add_segment(batch, segment, lengths, entries);
                }
            }
            Change::Moved { batch, ref docs, epoch, owner, title } => {
                self.merge_entries(batch, docs, Entry { epoch, node: owner, status: Status::Owned(title) }, shifts)?;
            }
            Change::Ended { batch, ref docs, epoch, node, outcome } => {
                self.merge_entries(batch, docs, Entry { epoch, node, status: Status::Ended(outcome) }, shifts)?;
            }
            Change::Running { batch, ref docs, epoch, node } => {
                self.merge_running(batch, docs, epoch, node)?;
            }
            Change::Tried { doc, failures, crashes } => {
                if self.slot(doc).is_none_or(|slot| slot.outcome().is_none()) {
                    let tries = self.tries.entry(doc).or_default();
                    tries.failures = tries.failures.max(failures);
                    tries.crashes = tries.crashes.max(crashes);
                }
            }
            Change::Cancelled(batch) => {
                if self.cancelled.insert(batch) {
                    self.digest.toggle_cancelled(batch);
                }
            }
            Change::Draining(origin) => {
                if self.draining.insert(origin) {
                    self.digest.toggle_draining(origin);
                }
            }
            Change::Removed(batch) => self.remove(batch, shifts),
        }
        Ok(())
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
        if known.tally.known == u64::from(known.description.documents) {
            return false;
        }
        docs.segments().any(|segment| !matches!(known.segments.get(segment.0 as usize), Some(Some(_))))
    }

    /// Of a segment whose batch is not known only this can be told.
    fn validate_early_segment(
        &self,
        batch: BatchId,
        segment: SegmentNumber,
        lengths: &Lengths,
        entries: &Entries,
    ) -> Result<(), Malformed> {
        let found = entries.len();
        if found == 0 || found != lengths.len() {
            return Err(Malformed::Segment { batch, segment, expected: lengths.len() as u32, found });
        }
        let room = self.early.has_room_for_segment(batch, segment, found);
        if room { Ok(()) } else { Err(Malformed::TooEarly(batch)) }
    }

    fn room_for_early(&self, batch: BatchId, docs: &DocSet) -> Result<(), Malformed> {
        let room = !self.speaks_of_unknown(batch, docs) || self.early.has_room(batch, docs);
        if room { Ok(()) } else { Err(Malformed::TooEarly(batch)) }
    }

    fn add_batch(&mut self, batch: &Batch, shifts: &mut Vec<Shift>) {
        let id = batch.id;
        if let Place::Vacant(place) = self.batches.entry(id) {
            let documents = batch.documents;
            self.digest.toggle_batch(id);
            let segments = vec![None; batch.segments() as usize];
            let description = Arc::new(batch.clone());
            place.insert(BatchState { description, segments, tally: Tally::default(), holdings: Holdings::default() });
            let early = self.early.take_segments(id, documents);
            self.merge_early(early, shifts);
        }
    }

    /// Merges what arrived before its batch or segment. What is malformed, now that it can be told, is dropped.
    fn merge_early(&mut self, early: Vec<Change>, shifts: &mut Vec<Shift>) {
        for change in early {
            let _ = self.merge_change(&change, shifts);
        }
    }

    fn merge_segment(
        &mut self,
        batch: BatchId,
        segment: SegmentNumber,
        lengths: &Arc<Lengths>,
        entries: &Arc<Entries>,
        shifts: &mut Vec<Shift>,
    ) -> Result<(), Malformed> {
        let table = entries.table().map(|(entry, count)| Some((self.nodes.intern_entry(entry)?, count)));
        let table: Vec<(Slot, u16)> = table.collect::<Option<_>>().ok_or(Malformed::TooManyNodes)?;
        let state = self.batches.get_mut(&batch).expect("the caller has looked it up");
        let slots = (0..entries.len()).map(|place| (place, table[entries.code(place)].0));
        let doc = |place| DocId { batch, number: DocNumber(segment.first().0 + place as u32) };
        if state.segments[segment.0 as usize].is_some() {
            for (place, slot) in slots {
                self.merge_slot(doc(place), slot, shifts);
            }
            return Ok(());
        }
        for (place, entry) in entries.iter().enumerate() {
            self.digest.toggle_entry(doc(place), &entry);
        }
        for (slot, count) in &table {
            match slot.outcome() {
                Some(outcome) => *state.tally.of(outcome) += u64::from(*count),
                None => {
                    state.holdings.add(slot.node, u64::from(*count));
                    self.holdings.add(slot.node, u64::from(*count));
                }
            }
        }
        let concerns = |slot: &Slot| slot.outcome().is_some() || slot.node == NodeIndex::ME;
        let concerned = table.iter().any(|(slot, _)| concerns(slot));
        for (place, slot) in slots.filter(|(_, slot)| concerned && concerns(slot)) {
            if slot.outcome().is_some() {
                self.tries.remove(&doc(place));
            } else {
                shifts.push(Shift { doc: doc(place), length: lengths.get(place), before: None, after: slot });
            }
        }
        state.tally.known += entries.len() as u64;
        state.segments[segment.0 as usize] = Some(Segment::new(lengths.clone(), entries.clone(), &self.nodes));
        let early = self.early.take_marks(batch, segment);
        self.merge_early(early, shifts);
        Ok(())
    }

    /// Merges one entry into many documents.
    fn merge_entries(
        &mut self,
        batch: BatchId,
        docs: &DocSet,
        entry: Entry,
        shifts: &mut Vec<Shift>,
    ) -> Result<(), Malformed> {
        let slot = self.nodes.intern_entry(entry).ok_or(Malformed::TooManyNodes)?;
        if !self.batches.contains_key(&batch) {
            self.early.add_slots(batch, docs.clone(), entry);
            return Ok(());
        }
        let rest = match entry.outcome() {
            Some(outcome) if slot.node != NodeIndex::ME => &self.end_as_given(batch, docs, slot, outcome),
            _ => docs,
        };
        let mut early = DocSet::new();
        for number in rest.iter() {
            if !self.merge_slot(DocId { batch, number }, slot, shifts) {
                early.insert(number);
            }
        }
        self.early.add_slots(batch, early, entry);
        Ok(())
    }

    /// Ends those of another node's documents that stand as they were first given, which are nearly all, without
    /// comparing each with what is there: all nodes do this with all documents. Returns the others.
    fn end_as_given(&mut self, batch: BatchId, docs: &DocSet, slot: Slot, outcome: Outcome) -> DocSet {
        let state = self.batches.get_mut(&batch).expect("the caller has looked it up");
        let node = self.nodes.id(slot.node);
        let mut ended = 0;
        let mut others = DocSet::new();
        for number in docs.iter() {
            let Some((segment, place)) = state.segment_mut(number) else {
                others.insert(number);
                continue;
            };
            match segment.end_as_given(place, slot.epoch, node, outcome, &self.nodes) {
                Ending::Ended { before } => {
                    ended += 1;
                    let doc = DocId { batch, number };
                    self.digest.end_entry(doc, &before, outcome);
                    self.tries.remove(&doc);
                }
                Ending::Known => {}
                Ending::Otherwise => drop(others.insert(number)),
            }
        }
        if ended > 0 {
            *state.tally.of(outcome) += ended;
            state.holdings.remove(slot.node, ended);
            self.holdings.remove(slot.node, ended);
        }
        others
    }

    /// Merges one slot. False if the document's segment is not known yet.
    fn merge_slot(&mut self, doc: DocId, slot: Slot, shifts: &mut Vec<Shift>) -> bool {
        let Some(batch) = self.batches.get_mut(&doc.batch) else { return false };
        let Some((segment, place)) = batch.segment_mut(doc.number) else { return false };
        let (stood, stands) = (segment.entry(place, &self.nodes), self.nodes.entry(slot));
        if stands.compare(&stood) != Ordering::Greater {
            return true;
        }
        let before = self.nodes.slot(stood);
        let shift = Shift { doc, length: segment.length(place), before: Some(before), after: slot };
        segment.set(place, slot, &self.nodes);
        if before.outcome().is_none() && before.node != slot.node && before.epoch < slot.epoch {
            self.passages.count(before.node, slot.node, slot.status == Status::Owned(Title::Claimed));
        }
        self.digest.toggle_entry(doc, &stood);
        self.digest.toggle_entry(doc, &stands);
        match before.outcome() {
            Some(outcome) => *batch.tally.of(outcome) -= 1,
            None => {
                batch.holdings.remove(before.node, 1);
                self.holdings.remove(before.node, 1);
            }
        }
        match slot.outcome() {
            Some(outcome) => {
                *batch.tally.of(outcome) += 1;
                self.tries.remove(&doc);
            }
            None => {
                batch.holdings.add(slot.node, 1);
                self.holdings.add(slot.node, 1);
            }
        }
        if shift.is_gain() || shift.is_loss() || shift.is_renewal() || shift.drops_own_end() {
            shifts.push(shift);
        }
        true
    }

    /// Marks documents as said to run.
    fn merge_running(&mut self, batch: BatchId, docs: &DocSet, epoch: Epoch, node: NodeId) -> Result<(), Malformed> {
        let index = self.nodes.intern(node).ok_or(Malformed::TooManyNodes)?;
        let Some(state) = self.batches.get_mut(&batch) else {
            self.early.add_running(batch, docs.clone(), epoch, node);
            return Ok(());
        };
        let mut early = DocSet::new();
        for number in docs.iter() {
            match state.segment_mut(number) {
                Some((segment, place)) => segment.mark(place, epoch, index, &self.nodes),
                None => drop(early.insert(number)),
            }
        }
        self.early.add_running(batch, early, epoch, node);
        Ok(())
    }
}
