//! A batch: one submission, immutable once it is accepted.

use serde::{Deserialize, Serialize};

use crate::ids::{BatchId, NodeId, SEGMENT_DOCUMENTS, SegmentNumber};

/// How the documents of a new batch are first spread over the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Allocate {
    /// Longest first, each to the node with the smallest normalised load after it.
    #[default]
    Lpt,
    /// The white paper's equal split by count.
    Uniform,
    /// `Lpt` for the heaviest 20 %, the rest by count.
    Pareto,
}

/// What a batch asks of the nodes that run its documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchOptions {
    /// First spread over the nodes.
    pub allocate: Allocate,
    /// How often a failed document is tried again.
    pub retries: u32,
    /// Milliseconds before the first retry; doubled for each further one, up to five minutes.
    pub backoff_millis: u64,
    /// Milliseconds after which a document's process group is killed; `None`: never.
    pub timeout_millis: Option<u64>,
    /// Most bytes kept of each of standard output and standard error; what is over is cut, and the cut is marked.
    pub capture_bytes: u64,
    /// Nodes that keep the batch, each payload and each result, where so many live.
    pub copies: u32,
}

impl BatchOptions {
    /// Nodes that keep the batch: there is always one.
    pub fn copies(&self) -> usize {
        self.copies.max(1) as usize
    }
}

impl Default for BatchOptions {
    fn default() -> Self {
        BatchOptions {
            allocate: Allocate::Lpt,
            retries: 0,
            backoff_millis: 1_000,
            timeout_millis: None,
            capture_bytes: 16 << 20,
            copies: 2,
        }
    }
}

/// Description of a batch. Immutable: two descriptions with the same id are equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Its identity.
    pub id: BatchId,
    /// The node that took it.
    pub submitter: NodeId,
    /// When it was taken, in milliseconds since 1970 by the submitter's clock. For people, and for the order in which
    /// documents of equal length start; nothing else depends on it, as clocks differ.
    pub submitted_unix_millis: u64,
    /// The command template: program and arguments, with placeholders.
    pub command: Vec<String>,
    /// What it asks of the nodes.
    pub options: BatchOptions,
    /// Number of its documents.
    pub documents: u32,
    /// The batch whose failed documents this one tries again.
    pub retry_of: Option<BatchId>,
}

impl Batch {
    /// Number of segments that hold the batch's documents.
    pub fn segments(&self) -> u32 {
        self.documents.div_ceil(SEGMENT_DOCUMENTS)
    }

    /// Number of documents in one of its segments, 0 for a segment beyond the last.
    pub fn documents_in(&self, segment: SegmentNumber) -> u32 {
        let first = u64::from(segment.0) * u64::from(SEGMENT_DOCUMENTS);
        u64::from(self.documents).saturating_sub(first).min(u64::from(SEGMENT_DOCUMENTS)) as u32
    }
}
