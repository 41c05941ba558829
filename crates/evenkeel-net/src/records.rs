//! What is stored and carried of a document besides its place in the replicated state: its payload and its result.

use bytes::{Bytes, BytesMut};
use evenkeel_core::change::Outcome;
use evenkeel_core::ids::{Attempt, BatchId, DocId, DocNumber, Epoch, NodeId, SegmentNumber};
use serde::{Deserialize, Serialize};

use crate::wire::{self, Wire, WireError};

/// Names one segment of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SegmentId {
    /// The batch.
    pub batch: BatchId,
    /// The segment in it.
    pub segment: SegmentNumber,
}

/// Payload of one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// The document.
    pub number: DocNumber,
    /// Its bytes.
    pub bytes: Bytes,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// By itself, with this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
    /// Its time ran out and its process group was killed.
    TimedOut,
    /// It never ran: why.
    NotStarted(String),
    /// So many owners in a row died while running it that the document is held to be the cause.
    Poison,
}

/// Captured output of a process, cut at the batch's limit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Captured {
    /// What was kept.
    pub bytes: Bytes,
    /// Number of bytes that were read beyond the limit and dropped.
    pub dropped: u64,
}

/// Result of one document: how its deciding attempt ended, what it used, and what it wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultRecord {
    /// The document.
    pub doc: DocId,
    /// The epoch under which it ran.
    pub epoch: Epoch,
    /// Which attempt decided, from 1.
    pub attempt: Attempt,
    /// The node that ran it.
    pub node: NodeId,
    /// How the document ended.
    pub outcome: Outcome,
    /// How the process ended.
    pub exit: Exit,
    /// When the process started, in microseconds since 1970 by its node's clock.
    pub started_unix_micros: u64,
    /// Wall time in microseconds.
    pub wall_micros: u64,
    /// User CPU time in microseconds.
    pub user_micros: u64,
    /// System CPU time in microseconds.
    pub system_micros: u64,
    /// Peak resident memory in bytes.
    pub max_rss_bytes: u64,
    /// Standard output.
    pub stdout: Captured,
    /// Standard error.
    pub stderr: Captured,
}

impl Wire for ResultRecord {}

/// A record that cannot be written as bytes, or bytes that are no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidRecord(String);

impl InvalidRecord {
    pub(crate) fn new(error: &WireError) -> InvalidRecord {
        InvalidRecord(error.to_string())
    }
}

impl ResultRecord {
    /// As bytes, for storing. They are those of the wire.
    pub fn to_bytes(&self) -> Result<Bytes, InvalidRecord> {
        let mut buffer = BytesMut::new();
        wire::append_frame(&mut buffer, self).map_err(|error| InvalidRecord::new(&error))?;
        Ok(buffer.freeze().slice(wire::HEADER..))
    }

    /// From bytes that [`ResultRecord::to_bytes`] has made.
    pub fn from_bytes(bytes: &[u8]) -> Result<ResultRecord, InvalidRecord> {
        wire::decode(bytes).map_err(|error| InvalidRecord::new(&error))
    }
}
