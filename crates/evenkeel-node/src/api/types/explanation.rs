//! Everything the answering node knows of one document, for `evenkeel explain`.

use evenkeel_core::ids::{Attempt, BatchId, DocNumber, Epoch, NodeId};
use evenkeel_core::units::Length;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ResultLine, Schema, text};

/// Where a document stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentState {
    /// Its owner has not started it.
    Waiting,
    /// It failed, and its owner will try it again.
    BackingOff,
    /// It has a process.
    Running,
    /// It succeeded.
    Done,
    /// Every attempt failed.
    Failed,
    /// Its batch was cancelled first.
    Cancelled,
}

impl DocumentState {
    /// Whether it has its outcome.
    pub fn has_ended(self) -> bool {
        matches!(self, DocumentState::Done | DocumentState::Failed | DocumentState::Cancelled)
    }
}

/// What a node is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeName {
    /// Its id.
    #[serde(with = "text")]
    pub id: NodeId,
    /// Its name for people.
    pub name: String,
}

/// One document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// Version of the JSON.
    pub schema: Schema,
    /// The batch.
    #[serde(with = "text")]
    pub batch: BatchId,
    /// The document's number in it.
    pub document: DocNumber,
    /// Its predicted cost. No longer known once all documents of its segment have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<Length>,
    /// Where it stands.
    pub state: DocumentState,
    /// Its owner, or the node that wrote its outcome.
    #[serde(with = "text")]
    pub node: NodeId,
    /// That node's name, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    /// How often it has been given an owner.
    pub epoch: Epoch,
    /// Whether its owner claimed it from a dead one.
    pub claimed: bool,
    /// Attempts that failed.
    pub failures: Attempt,
    /// Owners in a row that died while running it.
    pub crashes: u32,
    /// Nodes that keep its payload.
    #[serde(with = "text::list")]
    pub copies: Vec<NodeId>,
    /// Nodes that were asked about it and did not answer within a moment: what only they know is missing here.
    #[serde(default, with = "text::list", skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<NodeId>,
    /// Names of the nodes that this tells of, as far as they are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<NodeName>,
    /// Why it stands where it stands, in a sentence.
    pub reason: String,
    /// When it will be tried again, while it backs off and the answering node is its owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
    /// Its result, once it has one that can be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<ResultLine>,
}

impl Explanation {
    /// What a node that this tells of is called: its id if it has no name here.
    pub fn name_of(&self, id: NodeId) -> String {
        let known = self.names.iter().find(|known| known.id == id);
        known.map_or_else(|| id.to_string(), |known| known.name.clone())
    }
}
