//! What a node tells of a segment that it may hold: whom it believes to hold what of it, and of which run each result is
//! that it has looked at. Knows nothing of what follows from that.

use evenkeel_core::change::Outcome;
use evenkeel_core::docset::DocSet;
use evenkeel_core::ids::{Epoch, NodeId, SEGMENT_DOCUMENTS};
use serde::{Deserialize, Serialize};

use crate::wire::WireError;

/// Most nodes in one list: more than a cluster has.
const MOST_HOLDERS: usize = 4096;

/// What of a segment is to be read before it is told of. Whoever is asked to read something knows that another relies on it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Reading {
    /// Its payloads.
    pub payloads: bool,
    /// The results of these of its documents.
    pub results: DocSet,
}

impl Reading {
    /// Whether nothing is to be read.
    pub fn is_empty(&self) -> bool {
        !self.payloads && self.results.is_empty()
    }
}

/// Results that are held, and by whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldResults {
    /// All nodes that are to have them.
    pub holders: Vec<NodeId>,
    /// Their documents.
    pub docs: DocSet,
}

/// Results that have been read, of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadResults {
    /// The epoch under which it ran.
    pub epoch: Epoch,
    /// The node that ran it.
    pub node: NodeId,
    /// How it ended.
    pub outcome: Outcome,
    /// The documents.
    pub docs: DocSet,
}

/// What a node holds of a segment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Lists {
    /// All nodes that are to have its payloads; `None`: they are not held there.
    pub payloads: Option<Vec<NodeId>>,
    /// Results of its documents that are held there.
    pub results: Vec<HeldResults>,
    /// Of which run each is that was read, as was asked.
    pub read: Vec<ReadResults>,
}

impl Lists {
    /// Looks for what no honest peer sends.
    pub(crate) fn validate(&self) -> Result<(), WireError> {
        let lists = self.payloads.iter().chain(self.results.iter().map(|held| &held.holders));
        if lists.into_iter().any(|holders| holders.len() > MOST_HOLDERS) {
            return Err(WireError::Invalid("holders of a segment"));
        }
        let sum = |docs: &mut dyn Iterator<Item = &DocSet>| docs.map(DocSet::len).fold(0, u64::saturating_add);
        let most = u64::from(SEGMENT_DOCUMENTS);
        let held = sum(&mut self.results.iter().map(|held| &held.docs));
        let read = sum(&mut self.read.iter().map(|read| &read.docs));
        // An empty set of documents tells nothing, and there could be any number of them.
        let empty = self.results.iter().map(|held| &held.docs).chain(self.read.iter().map(|read| &read.docs));
        if held > most || read > most || empty.into_iter().any(DocSet::is_empty) {
            return Err(WireError::Invalid("documents of a segment"));
        }
        Ok(())
    }
}
