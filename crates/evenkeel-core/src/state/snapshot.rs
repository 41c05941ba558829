//! The state as a sequence of changes, part by part, for a node whose clock the log no longer reaches; and the join
//! of two whole states, `crdts::CvRDT`, which is the same sequence merged.

use std::sync::Arc;

use crdts::CvRDT;

use super::{Malformed, State, Tries};
use crate::bundle::Bundle;
use crate::change::{Change, Entries};
use crate::docset::DocSet;
use crate::ids::{BatchId, DocId, DocNumber, SEGMENT_DOCUMENTS, SegmentNumber};
use crate::message::Cursor;

/// Segments in one part.
const PART_SEGMENTS: usize = 8;

impl State {
    /// What a snapshot says at the very start: settings and marks, which are few, and what arrived here before that of
    /// which it speaks. It has been seen, and may be in its place by the time of a later part, which will not say it.
    fn preamble(&self) -> impl Iterator<Item = Change> + '_ {
        let cancelled = self.cancelled.iter().copied().map(Change::Cancelled);
        let draining = self.draining.iter().copied().map(Change::Draining);
        let removed = self.removed.iter().copied().map(Change::Removed);
        let unknown = self.tries.iter().filter(|(doc, _)| !self.batches.contains_key(&doc.batch));
        let tries = unknown.map(|(doc, tries)| tried(*doc, tries));
        removed.chain(cancelled).chain(draining).chain(tries).chain(self.early.changes())
    }

    fn batch_preamble(&self, id: BatchId) -> impl Iterator<Item = Change> + '_ {
        self.batches.get(&id).map(|batch| Change::Batch(batch.description.as_ref().clone())).into_iter()
    }

    /// What else is known of the documents of one segment.
    fn marks(&self, batch: BatchId, segment: SegmentNumber) -> impl Iterator<Item = Change> + '_ {
        let doc = move |place: u32| DocId { batch, number: DocNumber(segment.first().0.saturating_add(place)) };
        let (from, to) = (doc(0), doc(SEGMENT_DOCUMENTS - 1));
        let tries = self.tries.range(from..=to).map(|(doc, tries)| tried(*doc, tries));
        let known = self.batches.get(&batch).and_then(|state| state.segments.get(segment.0 as usize)?.as_ref());
        let marks = known.into_iter().flat_map(|segment| segment.marks().iter());
        let running = marks.map(move |(place, epoch, node)| Change::Running {
            batch,
            docs: DocSet::from_iter([doc(place as u32).number]),
            epoch,
            node: self.nodes.id(node),
        });
        tries.chain(running)
    }

    fn segment_changes(&self, batch: BatchId, segment: SegmentNumber) -> impl Iterator<Item = Change> + '_ {
        let known = self.batches.get(&batch).and_then(|state| state.segments.get(segment.0 as usize)?.as_ref());
        let whole = known.map(|known| Change::Segment {
            batch,
            segment,
            lengths: known.lengths().clone(),
            entries: Arc::new(Entries::pack(known.iter(&self.nodes).map(|slot| self.nodes.entry(slot)))),
        });
        whole.into_iter().chain(self.marks(batch, segment))
    }

    /// The part of a snapshot at the cursor, and the cursor of the next; `None` for a next after the last part.
    pub fn snapshot_part(&self, cursor: &Cursor) -> (Vec<Change>, Option<Cursor>) {
        let mut changes = Vec::new();
        let mut at = match cursor.batch {
            Some(batch) => Some((batch, cursor.segment)),
            None => {
                changes.extend(self.preamble());
                self.batches.keys().next().map(|first| (*first, SegmentNumber(0)))
            }
        };
        for _ in 0..PART_SEGMENTS {
            let Some((batch, segment)) = at else { break };
            if segment.0 == 0 {
                changes.extend(self.batch_preamble(batch));
            }
            changes.extend(self.segment_changes(batch, segment));
            let segments = self.batches.get(&batch).map_or(0, |batch| batch.segments.len());
            at = if (segment.0 as usize) + 1 < segments {
                Some((batch, SegmentNumber(segment.0 + 1)))
            } else {
                let after = (std::ops::Bound::Excluded(batch), std::ops::Bound::Unbounded);
                self.batches.range(after).next().map(|(next, _)| (*next, SegmentNumber(0)))
            };
        }
        let next = at.map(|(batch, segment)| Cursor { base: cursor.base.clone(), batch: Some(batch), segment });
        (changes, next)
    }

    /// What a change of a snapshot says that is not known here. Tries and marks, and what comes too early, are all taken for
    /// news.
    pub fn news(&self, change: &Change) -> Vec<Change> {
        match change {
            _ if change.batch().is_some_and(|batch| self.removed.contains(&batch)) => Vec::new(),
            Change::Batch(batch) if self.batches.contains_key(&batch.id) => Vec::new(),
            Change::Segment { batch, segment, entries, .. } if self.lengths(*batch, *segment).is_some() => {
                let mut news = Bundle::default();
                for (place, entry) in entries.iter().enumerate() {
                    let number = DocNumber(segment.first().0.saturating_add(place as u32));
                    let known = self.entry(DocId { batch: *batch, number });
                    if known.is_some_and(|known| entry.compare(&known).is_gt()) {
                        news.add(entry.as_change(*batch, DocSet::from_iter([number])));
                    }
                }
                news.drain()
            }
            Change::Cancelled(batch) if self.cancelled.contains(batch) => Vec::new(),
            Change::Draining(origin) if self.draining.contains(origin) => Vec::new(),
            _ => vec![change.clone()],
        }
    }

    /// The whole state as changes.
    pub fn snapshot(&self) -> Vec<Change> {
        let mut cursor = Some(Cursor { base: Arc::default(), batch: None, segment: SegmentNumber(0) });
        let mut changes = Vec::new();
        while let Some(at) = cursor {
            let (part, next) = self.snapshot_part(&at);
            changes.extend(part);
            cursor = next;
        }
        changes
    }
}

fn tried(doc: DocId, tries: &Tries) -> Change {
    Change::Tried { doc, failures: tries.failures, crashes: tries.crashes }
}

impl CvRDT for State {
    type Validation = Malformed;

    fn validate_merge(&self, other: &State) -> Result<(), Malformed> {
        other.snapshot().iter().try_for_each(|change| crdts::CmRDT::validate_op(self, change))
    }

    fn merge(&mut self, other: State) {
        for change in other.snapshot() {
            crdts::CmRDT::apply(self, change);
        }
    }
}
