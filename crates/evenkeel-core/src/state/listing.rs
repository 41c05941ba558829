//! Looking through a batch's documents, a segment at a time, for those who show them to people.

use super::State;
use super::segment::Segment;
use crate::change::{Entry, Outcome};
use crate::docset::DocSet;
use crate::ids::{BatchId, DocNumber, SegmentNumber};
use crate::units::Length;

impl State {
    /// The documents of one segment in order: where each stands, and its length (0 once all of the segment have ended).
    /// None if the segment is not known.
    pub fn segment_entries(
        &self,
        batch: BatchId,
        number: SegmentNumber,
    ) -> impl Iterator<Item = (DocNumber, Entry, Length)> + '_ {
        let first = number.first().0;
        self.segment_of(batch, number).into_iter().flat_map(move |segment| {
            segment.iter(&self.nodes).enumerate().map(move |(place, slot)| {
                (DocNumber(first + place as u32), self.nodes.entry(slot), segment.length(place))
            })
        })
    }

    /// Whether a segment may have a document that stands so, `None` being without outcome. Answers without a look at each
    /// document, and so may say yes where there is none, but not the other way round.
    pub fn may_have(&self, batch: BatchId, number: SegmentNumber, outcome: Option<Outcome>) -> bool {
        self.segment_of(batch, number).is_some_and(|segment| segment.may_have(outcome))
    }

    /// The batch's documents that are said to run somewhere.
    pub fn running_documents(&self, batch: BatchId) -> DocSet {
        let segments = self.batches.get(&batch).into_iter().flat_map(|batch| batch.segments.iter().enumerate());
        let running = segments.flat_map(|(number, segment)| {
            let first = SegmentNumber(number as u32).first().0;
            segment.iter().flat_map(move |segment| {
                let marks = segment.marks().iter();
                let marks = marks.filter(|(place, epoch, node)| self.runs(segment, *place, *epoch, *node));
                marks.map(move |(place, _, _)| DocNumber(first + place as u32))
            })
        });
        running.collect()
    }

    fn segment_of(&self, batch: BatchId, number: SegmentNumber) -> Option<&Segment> {
        self.batches.get(&batch)?.segments.get(number.0 as usize)?.as_ref()
    }
}
