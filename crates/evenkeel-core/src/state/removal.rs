//! Removing a batch: of all that is said of it, that it is removed stands above everything else.
//!
//! What is left of it is its id, for good: a node that was away for however long, or a disk from before, may speak of the
//! batch again, and must not bring it back.

use super::State;
use super::apply::Shift;
use super::slot::{NodeIndex, Slot};
use crate::change::{Change, Outcome, Status};
use crate::ids::{BatchId, DocId, DocNumber, SegmentNumber};

impl State {
    /// Whether a change speaks of a batch that is removed.
    pub(super) fn is_moot(&self, change: &Change) -> bool {
        !self.removed.is_empty() && change.batch().is_some_and(|batch| self.removed.contains(&batch))
    }

    /// Forgets all that is known of a batch. Documents of it that this node owned, as it does not know yet that they have
    /// ended elsewhere, are added to `shifts`.
    pub(super) fn remove(&mut self, id: BatchId, shifts: &mut Vec<Shift>) {
        if !self.removed.insert(id) {
            return;
        }
        self.digest.toggle_removed(id);
        if self.cancelled.remove(&id) {
            self.digest.toggle_cancelled(id);
        }
        self.early.forget(id);
        let all = DocId { batch: id, number: DocNumber(0) }..=DocId { batch: id, number: DocNumber(u32::MAX) };
        let tried: Vec<DocId> = self.tries.range(all).map(|(doc, _)| *doc).collect();
        for doc in tried {
            self.tries.remove(&doc);
        }
        let Some(batch) = self.batches.remove(&id) else { return };
        self.digest.toggle_batch(id);
        for (node, open) in batch.holdings.iter() {
            self.holdings.remove(node, open);
        }
        for (number, segment) in batch.segments.iter().enumerate() {
            let first = SegmentNumber(number as u32).first().0;
            for (place, slot) in segment.iter().flat_map(|segment| segment.iter(&self.nodes).enumerate()) {
                let doc = DocId { batch: id, number: DocNumber(first + place as u32) };
                self.digest.toggle_entry(doc, &self.nodes.entry(slot));
                if slot.is_owned_by(NodeIndex::ME) {
                    let length = segment.as_ref().expect("it has slots").length(place);
                    let after = Slot { status: Status::Ended(Outcome::Cancelled), ..slot };
                    shifts.push(Shift { doc, length, before: Some(slot), after });
                }
            }
        }
    }
}
