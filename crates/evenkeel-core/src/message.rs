//! What nodes say to each other directly. Each message may be lost, doubled, late or out of order.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::change::{Change, Clock};
use crate::docset::DocSet;
use crate::ids::{BatchId, DocId, Epoch, Generation, NodeId, OfferId, Origin, SegmentNumber};
use crate::load::Load;
use crate::record::Record;
use crate::units::Length;

/// Where a snapshot has got to: everything before this segment has been sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cursor {
    /// What the answering node had seen when the snapshot began: what the puller has seen once it is complete. Settled by
    /// the answer to the first pull.
    pub base: Arc<Clock>,
    /// Next batch, `None` for the first.
    pub batch: Option<BatchId>,
    /// Next segment of that batch.
    pub segment: SegmentNumber,
}

impl Cursor {
    /// From the beginning.
    pub fn start() -> Cursor {
        Cursor { base: Arc::default(), batch: None, segment: SegmentNumber(0) }
    }
}

/// One record in its place in its origin's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Logged {
    /// Whose log.
    pub origin: Origin,
    /// Its place there, from 1.
    pub sequence: u64,
    /// What was logged there. Shared by all who keep it.
    pub record: Arc<Record>,
}

/// One document on offer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Offered {
    /// The document.
    pub doc: DocId,
    /// Its epoch at the donor.
    pub epoch: Epoch,
    /// Its length.
    pub length: Length,
}

/// What brings a copy of a change ahead of its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// The receiver granted this offer.
    Offer(OfferId),
    /// The receiver had run dry.
    Dry,
    /// The sender is draining.
    Drain,
    /// The receiver keeps a copy of the results.
    Result,
    /// The sender has claimed what others owned, or starts what an owner may have died of: somebody is to know of it
    /// should it die at once.
    Claim,
}

/// One message between two nodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// My log has grown: pull it.
    Head {
        /// Number of records in it.
        head: u64,
    },
    /// Send me what I lack.
    Pull {
        /// Its number, drawn anew by each run of the puller: only the answer to the latest pull leads to another.
        number: u64,
        /// Which run of the puller this is.
        generation: Generation,
        /// What it has seen.
        clock: Arc<Clock>,
        /// All of that is on its disk.
        synced: bool,
        /// The state itself is asked for, and this is where it has got to.
        snapshot: Option<Cursor>,
        /// The puller is catching up, and must know whom to ask: name the live nodes.
        settling: bool,
        /// Nodes that the puller holds dead and may inherit from: what they told you ahead of their logs goes into yours.
        missing: Vec<NodeId>,
    },
    /// Answer to a pull: records in the order of each log. If `more`, there is more to pull at once.
    Changes {
        /// Number of the pull.
        number: u64,
        /// The records.
        records: Vec<Logged>,
        /// Whether the puller should pull again at once.
        more: bool,
        /// There are logs here of which the puller lacks a part that is no longer kept. Their writers may still have it;
        /// if nobody has, it takes a snapshot.
        gap: bool,
        /// The live nodes by the answering node's view, for a puller that is catching up.
        live: Vec<NodeId>,
    },
    /// Answer to a pull that asks for the state itself: a part of it.
    Snapshot {
        /// Number of the pull.
        number: u64,
        /// Changes that describe this part of the state.
        changes: Vec<Change>,
        /// Where to go on; at the end, `next.batch` is `None` and `complete` is set.
        next: Cursor,
        /// Whether this was the last part, so that all of `next.base` has been seen.
        complete: bool,
    },
    /// Copies of changes sent ahead of the log that carries them: hand-overs to their receiver, outcomes to the nodes
    /// that keep the results. If the sender dies before its log has travelled, the receiver writes them into its own.
    Ahead {
        /// Which run of the sender this is.
        generation: Generation,
        /// What brings them.
        reason: Reason,
        /// The changes.
        changes: Vec<Change>,
    },
    /// Will you take these documents?
    Offer {
        /// Its number.
        id: OfferId,
        /// The donor's work, less what it offers to others at the same time.
        work: f64,
        /// The donor's capacity.
        capacity: f64,
        /// The mean level by the donor's view.
        mean: f64,
        /// These go from a slow node to a fast one, whatever the levels.
        export: bool,
        /// The documents.
        docs: Vec<Offered>,
    },
    /// I will take these of them: a reservation, not yet ownership.
    Grant {
        /// The offer's number.
        id: OfferId,
        /// Places, in the offer's list, of the documents granted.
        accepted: DocSet,
        /// The receiver's load with the grant counted in.
        load: Load,
    },
    /// I have free slots and nothing pending: give me your longest documents.
    Dry {
        /// How many.
        want: u32,
        /// The asking node's load.
        load: Load,
    },
    /// I have nothing to give you.
    Nothing {
        /// The refusing node's load.
        load: Load,
    },
}
