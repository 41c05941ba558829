//! The replicated state: batches, allocation map, outcomes. A join-semilattice.
//!
//! Every replica that has merged the same changes, in any order and any number of times, is equal. The state decides
//! nothing: what an owner, a donor or an heir may write is the business of [`crate::node`].

mod apply;
mod digest;
mod early;
mod holdings;
mod listing;
mod marks;
mod passages;
mod removal;
mod segment;
mod since;
mod slot;
mod snapshot;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use apply::{Malformed, Shift};
use digest::Digest;
use early::Early;
use holdings::Holdings;
pub use passages::Passage;
use passages::Passages;
use segment::Segment;
use slot::NodeTable;
pub use slot::{NodeIndex, Slot};

use crate::batch::Batch;
use crate::change::{Entry, Lengths, Outcome};
use crate::docset::DocSet;
use crate::ids::{Attempt, BatchId, DocId, DocNumber, Epoch, NodeId, Origin, SEGMENT_DOCUMENTS, SegmentNumber};
use crate::units::Length;

/// How many documents of a batch stand where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Documents whose allocation has arrived here.
    pub known: u64,
    /// Of them, ended well.
    pub done: u64,
    /// Of them, dead letters.
    pub failed: u64,
    /// Of them, cancelled before they ended.
    pub cancelled: u64,
}

impl Tally {
    /// Documents that have an outcome.
    pub fn ended(&self) -> u64 {
        self.done + self.failed + self.cancelled
    }

    fn of(&mut self, outcome: Outcome) -> &mut u64 {
        match outcome {
            Outcome::Done => &mut self.done,
            Outcome::Failed => &mut self.failed,
            Outcome::Cancelled => &mut self.cancelled,
        }
    }
}

/// One batch as one replica knows it.
#[derive(Debug, Clone)]
pub struct BatchState {
    description: Arc<Batch>,
    segments: Vec<Option<Segment>>,
    tally: Tally,
    holdings: Holdings,
}

impl BatchState {
    /// What was submitted.
    pub fn description(&self) -> &Arc<Batch> {
        &self.description
    }

    /// How many documents stand where.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Whether every document has an outcome.
    pub fn is_finished(&self) -> bool {
        self.tally.ended() == u64::from(self.description.documents)
    }

    /// The segment of a document, if it has come, and the document's place in it.
    fn segment_mut(&mut self, number: DocNumber) -> Option<(&mut Segment, usize)> {
        let segment = self.segments.get_mut(number.segment().0 as usize)?.as_mut()?;
        let place = (number.0 % SEGMENT_DOCUMENTS) as usize;
        (place < segment.documents()).then_some((segment, place))
    }
}

/// How often a document has been tried, and how many owners in a row died while running it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tries {
    /// Attempts that failed.
    pub failures: Attempt,
    /// Owners that died.
    pub crashes: u32,
}

/// The replicated state as one node holds it.
#[derive(Debug, Clone)]
pub struct State {
    nodes: NodeTable,
    batches: BTreeMap<BatchId, BatchState>,
    cancelled: BTreeSet<BatchId>,
    /// Batches of which nothing else is known here any more, and never will be.
    removed: BTreeSet<BatchId>,
    draining: BTreeSet<Origin>,
    tries: BTreeMap<DocId, Tries>,
    /// Changes that arrived before the batch or segment they speak of.
    early: Early,
    digest: Digest,
    /// Over all batches.
    holdings: Holdings,
    passages: Passages,
}

impl State {
    /// The empty state of one node.
    pub fn new(me: NodeId) -> State {
        State {
            nodes: NodeTable::new(me),
            batches: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            removed: BTreeSet::new(),
            draining: BTreeSet::new(),
            tries: BTreeMap::new(),
            early: Early::default(),
            digest: Digest::default(),
            holdings: Holdings::default(),
            passages: Passages::default(),
        }
    }

    /// Whether changes may speak of this node: there is room for so many that it fails only for nodes that are made up.
    pub fn can_name(&mut self, node: NodeId) -> bool {
        self.nodes.intern(node).is_some()
    }

    /// One number for everything that nodes must come to agree on: where documents stand, and what is cancelled or to leave.
    /// Equal states have equal digests.
    pub fn digest(&self) -> u64 {
        self.digest.value()
    }

    /// All batches, by id.
    pub fn batches(&self) -> impl Iterator<Item = (BatchId, &BatchState)> {
        self.batches.iter().map(|(id, batch)| (*id, batch))
    }

    /// One batch.
    pub fn batch(&self, id: BatchId) -> Option<&BatchState> {
        self.batches.get(&id)
    }

    /// Whether the batch is cancelled.
    pub fn is_cancelled(&self, batch: BatchId) -> bool {
        self.cancelled.contains(&batch)
    }

    /// Whether the batch is removed.
    pub fn is_removed(&self, batch: BatchId) -> bool {
        self.removed.contains(&batch)
    }

    /// Batches that are removed, by id.
    pub fn removed(&self) -> impl Iterator<Item = BatchId> + '_ {
        self.removed.iter().copied()
    }

    /// Whether this run of a node was asked to drain.
    pub fn is_draining(&self, origin: Origin) -> bool {
        self.draining.contains(&origin)
    }

    /// Where a document stands, in this replica's short form.
    pub fn slot(&self, doc: DocId) -> Option<Slot> {
        self.segment(doc).map(|(segment, place)| segment.get(place, &self.nodes))
    }

    /// Where a document stands.
    pub fn entry(&self, doc: DocId) -> Option<Entry> {
        self.slot(doc).map(|slot| self.nodes.entry(slot))
    }

    /// Length of a document that has no outcome.
    pub fn length(&self, doc: DocId) -> Option<Length> {
        self.segment(doc).map(|(segment, place)| segment.length(place))
    }

    /// Lengths of a segment's documents.
    pub fn lengths(&self, batch: BatchId, segment: SegmentNumber) -> Option<&Arc<Lengths>> {
        Some(self.batches.get(&batch)?.segments.get(segment.0 as usize)?.as_ref()?.lengths())
    }

    /// How often a document has been tried.
    pub fn tries(&self, doc: DocId) -> Tries {
        self.tries.get(&doc).copied().unwrap_or_default()
    }

    /// The node where a document is said to run: its owner, if the owner's last mark is of the present epoch.
    pub fn running(&self, doc: DocId) -> Option<NodeId> {
        let (segment, place) = self.segment(doc)?;
        let (epoch, node) = segment.marks().get(place)?;
        self.runs(segment, place, epoch, node).then(|| self.nodes.id(node))
    }

    fn runs(&self, segment: &Segment, place: usize, epoch: Epoch, node: NodeIndex) -> bool {
        let slot = segment.get(place, &self.nodes);
        slot.epoch == epoch && slot.is_owned_by(node)
    }

    /// Number of the batch's documents that are said to run somewhere.
    pub fn running_in(&self, batch: BatchId) -> usize {
        let segments = self.batches.get(&batch).into_iter().flat_map(|batch| batch.segments.iter().flatten());
        let running = |segment: &Segment| {
            segment.marks().iter().filter(|(place, epoch, node)| self.runs(segment, *place, *epoch, *node)).count()
        };
        segments.map(running).sum()
    }

    /// The nodes that own documents without outcome, with their number.
    pub fn owners(&self) -> impl Iterator<Item = (NodeId, u64)> {
        self.holdings.iter().map(|(node, open)| (self.nodes.id(node), open))
    }

    /// How many documents have gone from which node to which since this replica began to look.
    pub fn passages(&self) -> impl Iterator<Item = Passage> {
        self.passages.iter(&self.nodes)
    }

    /// Number of documents without outcome that a node owns.
    pub fn owned_by(&self, node: NodeId) -> u64 {
        self.nodes.find(node).map_or(0, |index| self.holdings.of(index))
    }

    /// Number of the batch's documents without outcome that each node owns.
    pub fn owners_in(&self, batch: BatchId) -> impl Iterator<Item = (NodeId, u64)> {
        let owners = self.batches.get(&batch).into_iter().flat_map(|batch| batch.holdings.iter());
        owners.map(|(node, open)| (self.nodes.id(node), open))
    }

    /// Documents without outcome that a node owns, with their epochs, in order. A scan of the segments that have any.
    pub fn documents_of(&self, node: NodeId) -> impl Iterator<Item = (DocId, Epoch)> {
        let index = self.nodes.find(node);
        let batches =
            self.batches.iter().filter(move |(_, batch)| index.is_some_and(|index| batch.holdings.of(index) > 0));
        batches.flat_map(move |(id, batch)| {
            open_slots(batch, &self.nodes)
                .filter(move |(_, slot)| index.is_some_and(|index| slot.is_owned_by(index)))
                .map(move |(number, slot)| (DocId { batch: *id, number }, slot.epoch))
        })
    }

    /// Sum of the lengths of a batch's documents without outcome. A scan of its segments.
    pub fn length_pending(&self, batch: BatchId) -> u64 {
        let Some(batch) = self.batches.get(&batch) else { return 0 };
        let segments = batch.segments.iter().flatten().filter(|segment| segment.open() > 0);
        let open = segments.flat_map(|segment| {
            segment
                .iter(&self.nodes)
                .enumerate()
                .filter(|(_, slot)| slot.outcome().is_none())
                .map(|(place, _)| segment.length(place))
        });
        open.fold(0, |sum, length| sum.saturating_add(length.0))
    }

    /// Documents of a batch that ended so.
    pub fn ended(&self, batch: BatchId, outcome: Outcome) -> DocSet {
        let Some(batch) = self.batches.get(&batch) else { return DocSet::new() };
        let documents = batch.segments.iter().enumerate().flat_map(|(number, segment)| {
            let first = SegmentNumber(number as u32).first().0;
            segment.iter().flat_map(move |segment| {
                segment
                    .iter(&self.nodes)
                    .enumerate()
                    .filter(move |(_, slot)| slot.outcome() == Some(outcome))
                    .map(move |(place, _)| DocNumber(first + place as u32))
            })
        });
        documents.collect()
    }

    /// The runs that gave documents of a batch this outcome: under which epoch, on which node, which documents.
    pub fn decided(&self, batch: BatchId, outcome: Outcome) -> BTreeMap<(Epoch, NodeId), DocSet> {
        let mut runs: BTreeMap<(Epoch, NodeIndex), DocSet> = BTreeMap::new();
        let segments = self.batches.get(&batch).into_iter().flat_map(|batch| batch.segments.iter().enumerate());
        for (number, segment) in segments {
            let first = SegmentNumber(number as u32).first().0;
            for (place, slot) in segment.iter().flat_map(|segment| segment.iter(&self.nodes).enumerate()) {
                if slot.outcome() == Some(outcome) {
                    runs.entry((slot.epoch, slot.node)).or_default().insert(DocNumber(first + place as u32));
                }
            }
        }
        runs.into_iter().map(|((epoch, node), docs)| ((epoch, self.nodes.id(node)), docs)).collect()
    }

    /// The first document of a batch that has no outcome here, or is not known. Looks at each, whatever was counted.
    pub fn first_open(&self, batch: BatchId) -> Option<DocNumber> {
        let Some(batch) = self.batches.get(&batch) else { return Some(DocNumber(0)) };
        let open = |(number, segment): (usize, &Option<Segment>)| {
            let first = SegmentNumber(number as u32).first().0;
            let open = segment.as_ref().map_or(Some(0), |segment| segment.first_open(&self.nodes));
            open.map(|place| DocNumber(first + place as u32))
        };
        batch.segments.iter().enumerate().find_map(open)
    }

    /// The first document of a batch that stands otherwise here than in another replica.
    pub fn first_difference(&self, other: &State, batch: BatchId) -> Option<DocNumber> {
        let (here, there) = (self.batches.get(&batch), other.batches.get(&batch));
        let (Some(here), Some(there)) = (here, there) else {
            return (here.is_some() != there.is_some()).then_some(DocNumber(0));
        };
        let different = |(number, (here, there)): (usize, (&Option<Segment>, &Option<Segment>))| {
            let first = SegmentNumber(number as u32).first().0;
            let place = match (here, there) {
                (Some(here), Some(there)) => here.difference(&self.nodes, there, &other.nodes),
                _ => (here.is_some() != there.is_some()).then_some(0),
            };
            place.map(|place| DocNumber(first + place as u32))
        };
        here.segments.iter().zip(&there.segments).enumerate().find_map(different)
    }

    fn segment(&self, doc: DocId) -> Option<(&Segment, usize)> {
        let segment = self.batches.get(&doc.batch)?.segments.get(doc.number.segment().0 as usize)?.as_ref()?;
        let place = (doc.number.0 % SEGMENT_DOCUMENTS) as usize;
        (place < segment.documents()).then_some((segment, place))
    }
}

/// Documents of a batch without outcome, in order.
fn open_slots<'a>(batch: &'a BatchState, nodes: &'a NodeTable) -> impl Iterator<Item = (DocNumber, Slot)> + 'a {
    batch.segments.iter().enumerate().filter_map(|(number, segment)| Some((number, segment.as_ref()?))).flat_map(
        move |(number, segment)| {
            let first = SegmentNumber(number as u32).first().0;
            let slots = (segment.open() > 0).then(|| segment.iter(nodes)).into_iter().flatten();
            slots
                .enumerate()
                .map(move |(place, slot)| (DocNumber(first + place as u32), slot))
                .filter(|(_, slot)| slot.outcome().is_none())
        },
    )
}

#[cfg(test)]
mod tests;
