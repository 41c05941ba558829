//! The cluster as it changes, for pages that show it.

use evenkeel_core::ids::NodeId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Numbered, Schema, text};

/// Fields of something that has an `id`, which is among them.
pub type Fields = Map<String, Value>;

/// All that a page shows at first, or what has become different since the last frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    /// Version of the JSON.
    pub schema: Schema,
    /// When the answering node looked.
    pub at: Timestamp,
    /// This is everything: what the reader had before no longer holds.
    pub full: bool,
    /// Nodes, as `/v1/nodes` has them, with four digits: those that changed, and of them the id and the fields that
    /// did. A field that is gone is null.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<Fields>,
    /// Ids of nodes that are no longer known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes_gone: Vec<String>,
    /// The equilibrium, if it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equilibrium: Option<Fields>,
    /// Batches, as `/v1/batches` has them, in the same way: those at work and the newest, with the beginning of their
    /// commands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub batches: Vec<Fields>,
    /// Ids of batches that are no longer among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub batches_gone: Vec<String>,
    /// Number of all batches, those that are not shown included, if it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batches_known: Option<u64>,
    /// Documents that have gone from node to node since the last frame.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<Moved>,
    /// What the answering node has run since the last frame.
    #[serde(default, skip_serializing_if = "Ran::is_nothing")]
    pub ran: Ran,
    /// What else has happened since the last frame. Of documents only those that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Numbered>,
    /// So many more events have happened, too many to tell.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub untold: u64,
    /// Events may have happened since the one that the reader resumes after that are no longer kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub missed: bool,
}

/// Documents that have gone from one node to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// Who had them.
    #[serde(with = "text")]
    pub from: NodeId,
    /// Who has them now.
    #[serde(with = "text")]
    pub to: NodeId,
    /// Whether they were claimed from a dead node, and not handed over.
    pub claimed: bool,
    /// How many.
    pub documents: u64,
}

/// Processes of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ran {
    /// Documents started.
    pub started: u64,
    /// Of those that ended, done.
    pub done: u64,
    /// Failed.
    pub failed: u64,
    /// Cancelled.
    pub cancelled: u64,
}

impl Ran {
    fn is_nothing(&self) -> bool {
        *self == Ran::default()
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}
