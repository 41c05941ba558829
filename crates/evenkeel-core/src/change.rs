//! What travels between nodes to make their states equal: changes, and the packed forms of whole segments.
//!
//! A change is idempotent and commutes with every other: applying it is a join. So a log may be replayed from
//! anywhere, and a copy of a change may arrive ahead of the log that carries it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::docset::DocSet;
pub use crate::entries::Entries;
use crate::ids::{Attempt, BatchId, DocId, Epoch, NodeId, Origin, SegmentNumber};
use crate::units::Length;

/// What every node has seen: for each origin, the number of its changes merged here.
pub type Clock = crdts::VClock<Origin>;

/// How a document ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The process exited with status 0.
    Done,
    /// Every attempt failed: a dead letter.
    Failed,
    /// The batch was cancelled first.
    Cancelled,
}

/// How a node has come to own a document. Under one epoch the later of these stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Title {
    /// The submitter or the last owner gave it away, and no owner has died with it.
    Given,
    /// The last owner gave it away, and an owner before has died with it.
    PassedOn,
    /// It was claimed as that of a dead owner.
    Claimed,
}

impl Title {
    /// The title of one to whom the owner gives the document.
    pub fn given_away(self) -> Title {
        match self {
            Title::Given => Title::Given,
            Title::PassedOn | Title::Claimed => Title::PassedOn,
        }
    }
}

/// Where a document stands. Its order is for looking things up: that of the lattice is [`Entry::compare`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Status {
    /// It has an owner and no end.
    Owned(Title),
    /// It has ended.
    Ended(Outcome),
}

/// Allocation or outcome of one document: `node` owns it, or ended it, under `epoch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// How often the document had been given an owner.
    pub epoch: Epoch,
    /// Owner, or the node that wrote the outcome.
    pub node: NodeId,
    /// Where it stands.
    pub status: Status,
}

impl Entry {
    /// The change that says this of these documents.
    pub fn as_change(self, batch: BatchId, docs: DocSet) -> Change {
        let Entry { epoch, node, status } = self;
        match status {
            Status::Owned(title) => Change::Moved { batch, docs, epoch, owner: node, title },
            Status::Ended(outcome) => Change::Ended { batch, docs, epoch, node, outcome },
        }
    }
}

/// Lengths of consecutive documents, each in as few bytes as the longest of them needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lengths {
    /// All the same.
    Same {
        /// The length of each.
        length: Length,
        /// How many.
        count: u32,
    },
    /// All below 2^8.
    Bytes(Vec<u8>),
    /// All below 2^16.
    Shorts(Vec<u16>),
    /// All below 2^32.
    Words(Vec<u32>),
    /// Any.
    Longs(Vec<u64>),
}

impl Lengths {
    /// Packs a list of lengths.
    pub fn pack(lengths: &[Length]) -> Lengths {
        let first = lengths.first().copied().unwrap_or_default();
        let longest = lengths.iter().copied().max().unwrap_or_default().0;
        if lengths.iter().all(|length| *length == first) {
            Lengths::Same { length: first, count: lengths.len() as u32 }
        } else if longest <= u64::from(u8::MAX) {
            Lengths::Bytes(lengths.iter().map(|length| length.0 as u8).collect())
        } else if longest <= u64::from(u16::MAX) {
            Lengths::Shorts(lengths.iter().map(|length| length.0 as u16).collect())
        } else if longest <= u64::from(u32::MAX) {
            Lengths::Words(lengths.iter().map(|length| length.0 as u32).collect())
        } else {
            Lengths::Longs(lengths.iter().map(|length| length.0).collect())
        }
    }

    /// Number of documents.
    pub fn len(&self) -> usize {
        match self {
            Lengths::Same { count, .. } => *count as usize,
            Lengths::Bytes(lengths) => lengths.len(),
            Lengths::Shorts(lengths) => lengths.len(),
            Lengths::Words(lengths) => lengths.len(),
            Lengths::Longs(lengths) => lengths.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Length of the document at `index`.
    ///
    /// # Panics
    /// If `index` is not below [`Lengths::len`].
    pub fn get(&self, index: usize) -> Length {
        match self {
            Lengths::Same { length, count } => {
                assert!(index < *count as usize, "document {index} of {count}");
                *length
            }
            Lengths::Bytes(lengths) => Length(u64::from(lengths[index])),
            Lengths::Shorts(lengths) => Length(u64::from(lengths[index])),
            Lengths::Words(lengths) => Length(u64::from(lengths[index])),
            Lengths::Longs(lengths) => Length(lengths[index]),
        }
    }

    /// No length is above this. Looks at each only where they may be of any size.
    pub fn most(&self) -> Length {
        match self {
            Lengths::Same { length, .. } => *length,
            Lengths::Bytes(_) => Length(u8::MAX.into()),
            Lengths::Shorts(_) => Length(u16::MAX.into()),
            Lengths::Words(_) => Length(u32::MAX.into()),
            Lengths::Longs(lengths) => Length(lengths.iter().copied().max().unwrap_or_default()),
        }
    }

    /// All lengths, in order.
    pub fn iter(&self) -> impl Iterator<Item = Length> + '_ {
        (0..self.len()).map(|index| self.get(index))
    }
}

/// One step of the replicated state. Every variant is a join: idempotent, commutative, associative.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Change {
    /// There is this batch.
    Batch(Batch),
    /// These are the lengths of a segment's documents, and where they stand at least.
    Segment {
        /// The batch.
        batch: BatchId,
        /// The segment.
        segment: SegmentNumber,
        /// Length of each document.
        lengths: Arc<Lengths>,
        /// Where each stands.
        entries: Arc<Entries>,
    },
    /// These documents have a new owner.
    Moved {
        /// The batch.
        batch: BatchId,
        /// The documents.
        docs: DocSet,
        /// Their new epoch.
        epoch: Epoch,
        /// Their new owner.
        owner: NodeId,
        /// How it has come to own them.
        title: Title,
    },
    /// These documents have ended.
    Ended {
        /// The batch.
        batch: BatchId,
        /// The documents.
        docs: DocSet,
        /// The epoch of the attempt.
        epoch: Epoch,
        /// The node that ran them.
        node: NodeId,
        /// How they ended.
        outcome: Outcome,
    },
    /// These documents hold a slot of this node. Advisory: it tells people where a document runs and heirs what died with its owner.
    Running {
        /// The batch.
        batch: BatchId,
        /// The documents.
        docs: DocSet,
        /// The epoch under which they run.
        epoch: Epoch,
        /// The node that runs them.
        node: NodeId,
    },
    /// A document has been tried so often, and so many owners in a row died while running it.
    Tried {
        /// The document.
        doc: DocId,
        /// Attempts that failed.
        failures: Attempt,
        /// Owners that died while running it.
        crashes: u32,
    },
    /// The batch is cancelled: no document of it starts any more.
    Cancelled(BatchId),
    /// This run of a node is asked to give everything away and leave.
    Draining(Origin),
    /// The batch is removed: nothing of it is known any more, and whatever is said of it is ignored.
    Removed(BatchId),
}

impl Change {
    /// The batch that it speaks of, if it is one.
    pub fn batch(&self) -> Option<BatchId> {
        match self {
            Change::Batch(batch) => Some(batch.id),
            Change::Segment { batch, .. }
            | Change::Moved { batch, .. }
            | Change::Ended { batch, .. }
            | Change::Running { batch, .. }
            | Change::Cancelled(batch)
            | Change::Removed(batch) => Some(*batch),
            Change::Tried { doc, .. } => Some(doc.batch),
            Change::Draining(_) => None,
        }
    }
}
