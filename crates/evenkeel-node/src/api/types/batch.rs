//! How a batch stands.

use evenkeel_core::ids::BatchId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Schema, text};

/// Whether a batch is still at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchState {
    /// Some document has no outcome yet.
    Running,
    /// Every document has its outcome.
    Finished,
    /// It was cancelled. Documents that were running then may not have their outcome yet.
    Cancelled,
}

/// One batch, by the state of the node that answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchStatus {
    /// Version of the JSON.
    pub schema: Schema,
    /// Its id.
    #[serde(with = "text")]
    pub id: BatchId,
    /// Whether it is still at work.
    pub state: BatchState,
    /// When it was taken, by the clock of the node that took it.
    pub submitted_at: Timestamp,
    /// The command template.
    pub command: Vec<String>,
    /// Number of its documents: the sum of the four counts below, running ones being pending too.
    pub documents: u32,
    /// Documents without outcome, running ones included.
    pub pending: u32,
    /// Documents that have a process now, as far as told: other nodes tell of a document once it has run for a gossip
    /// interval, so that short ones are missing.
    pub running: u32,
    /// Documents that succeeded.
    pub done: u32,
    /// Documents whose every attempt failed.
    pub failed: u32,
    /// Documents that were cancelled first.
    pub cancelled: u32,
    /// Sum of the lengths of the pending documents.
    pub length_pending: u64,
    /// The batch whose failed documents this one tries again.
    #[serde(default, with = "text::option", skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<BatchId>,
}

impl BatchStatus {
    /// Whether every document has its outcome.
    pub fn is_settled(&self) -> bool {
        self.pending == 0
    }
}

/// All batches, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Batches {
    /// Version of the JSON.
    pub schema: Schema,
    /// The batches.
    pub batches: Vec<BatchStatus>,
}
