//! What happens, as the event stream tells it.

use evenkeel_core::change::Outcome;
use evenkeel_core::ids::{Attempt, BatchId, DocNumber, NodeId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{NodeState, Schema, text};

/// Something that happened, as the answering node learnt of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A batch was accepted somewhere.
    BatchAccepted {
        /// The batch.
        #[serde(with = "text")]
        batch: BatchId,
        /// Number of its documents.
        documents: u32,
    },
    /// A batch was cancelled.
    BatchCancelled {
        /// The batch.
        #[serde(with = "text")]
        batch: BatchId,
    },
    /// A batch was removed: nothing is known of it any more.
    BatchRemoved {
        /// The batch.
        #[serde(with = "text")]
        batch: BatchId,
    },
    /// Every document of a batch has its outcome.
    BatchFinished {
        /// The batch.
        #[serde(with = "text")]
        batch: BatchId,
        /// Documents that succeeded.
        done: u32,
        /// Documents whose every attempt failed.
        failed: u32,
        /// Documents that were cancelled first.
        cancelled: u32,
    },
    /// A document's process was started on the answering node.
    DocumentStarted {
        /// The batch.
        #[serde(with = "text")]
        batch: BatchId,
        /// The document's number in it.
        document: DocNumber,
        /// Which attempt, from 1.
        attempt: Attempt,
    },
    /// A document has its outcome.
    DocumentEnded {
        /// The batch.
        #[serde(with = "text")]
        batch: BatchId,
        /// The document's number in it.
        document: DocNumber,
        /// How it ended.
        outcome: Outcome,
        /// The node that ran it.
        #[serde(with = "text")]
        node: NodeId,
    },
    /// Documents changed their owner to level the load, to fill an idle slot or to leave a draining node.
    DocumentsMoved {
        /// Who had them.
        #[serde(with = "text")]
        from: NodeId,
        /// Who has them now.
        #[serde(with = "text")]
        to: NodeId,
        /// How many.
        documents: u64,
    },
    /// Documents of a node that is gone were claimed by an heir. Each node tells of its own claims at once, and of others' as
    /// it hears of them.
    DocumentsTakenOver {
        /// The node that is gone.
        #[serde(with = "text")]
        from: NodeId,
        /// Its heir.
        #[serde(with = "text")]
        to: NodeId,
        /// How many.
        documents: u64,
    },
    /// A process was killed, or its result dropped, because another node had the document.
    DuplicateStopped {
        /// The batch.
        #[serde(with = "text")]
        batch: BatchId,
        /// The document's number in it.
        document: DocNumber,
        /// The node that has it.
        #[serde(with = "text")]
        owner: NodeId,
    },
    /// A node joined, or is now held suspect, dead, draining, or live again.
    NodeChanged {
        /// The node.
        #[serde(with = "text")]
        node: NodeId,
        /// Its name.
        name: String,
        /// How it is now.
        state: NodeState,
    },
    /// The cluster came into equilibrium, or left it.
    EquilibriumChanged {
        /// Whether it is in equilibrium now.
        in_equilibrium: bool,
        /// The gain left.
        regret: f64,
    },
    /// This reader was too slow or away too long: so many events were dropped. `null`: unknown, the node has restarted.
    Missed {
        /// How many.
        count: Option<u64>,
    },
}

impl Event {
    /// As the stream's `event:` field names it; the same as the JSON's `event`.
    pub fn name(&self) -> &'static str {
        match self {
            Event::BatchAccepted { .. } => "batch_accepted",
            Event::BatchCancelled { .. } => "batch_cancelled",
            Event::BatchRemoved { .. } => "batch_removed",
            Event::BatchFinished { .. } => "batch_finished",
            Event::DocumentStarted { .. } => "document_started",
            Event::DocumentEnded { .. } => "document_ended",
            Event::DocumentsMoved { .. } => "documents_moved",
            Event::DocumentsTakenOver { .. } => "documents_taken_over",
            Event::DuplicateStopped { .. } => "duplicate_stopped",
            Event::NodeChanged { .. } => "node_changed",
            Event::EquilibriumChanged { .. } => "equilibrium_changed",
            Event::Missed { .. } => "missed",
        }
    }
}

/// An event in its place in the answering node's stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Numbered {
    /// Version of the JSON.
    pub schema: Schema,
    /// Its number: strictly growing, across restarts of the node too. A reader resumes after it with `Last-Event-ID`.
    pub id: u64,
    /// When the answering node learnt of it.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}
