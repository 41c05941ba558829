//! A batch's documents, a page at a time.

use std::fmt;
use std::str::FromStr;

use evenkeel_core::ids::{Attempt, BatchId, DocNumber, Epoch, NodeId};
use evenkeel_core::units::Length;
use serde::{Deserialize, Serialize};

use super::{DocumentState, Schema, text};

/// Where one document stands, in short. [`super::Explanation`] tells all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentStatus {
    /// The document's number in its batch.
    pub document: DocNumber,
    /// Where it stands, as the answering node knows: a document of another node that backs off is held to wait, and one
    /// that has run for less than a gossip interval too.
    pub state: DocumentState,
    /// Its owner, or the node that wrote its outcome.
    #[serde(with = "text")]
    pub node: NodeId,
    /// Its predicted cost; 0 once it and its neighbours have ended, when nobody needs it any more.
    pub length: Length,
    /// How often it has been given an owner.
    pub epoch: Epoch,
    /// Attempts that failed, while it has no outcome.
    pub failures: Attempt,
}

/// Some documents of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Documents {
    /// Version of the JSON.
    pub schema: Schema,
    /// The batch.
    #[serde(with = "text")]
    pub batch: BatchId,
    /// The documents, by number.
    pub documents: Vec<DocumentStatus>,
    /// Where to go on: the `from` of the next page. Absent at the end. A page may have fewer documents than were asked for,
    /// or none, and a next one all the same: a node looks through so many at a time, and not more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<DocNumber>,
}

impl DocumentState {
    /// Every state, in the order in which a document goes through them.
    pub const ALL: [DocumentState; 6] = [
        DocumentState::Waiting,
        DocumentState::BackingOff,
        DocumentState::Running,
        DocumentState::Done,
        DocumentState::Failed,
        DocumentState::Cancelled,
    ];

    /// As JSON names it.
    pub fn as_str(self) -> &'static str {
        match self {
            DocumentState::Waiting => "waiting",
            DocumentState::BackingOff => "backing_off",
            DocumentState::Running => "running",
            DocumentState::Done => "done",
            DocumentState::Failed => "failed",
            DocumentState::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for DocumentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DocumentState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        DocumentState::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| {
            let known = DocumentState::ALL.map(DocumentState::as_str).join(", ");
            format!("{text:?} is no state of a document: there are {known}")
        })
    }
}
