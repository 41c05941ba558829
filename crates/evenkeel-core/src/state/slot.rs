//! One document's place in the lattice, in eight bytes.
//!
//! An outcome is above every owner; among owners the higher epoch
//! wins, then the title (claimed is above given), then the lower node; among outcomes done is above failed above cancelled, then the
//! lower epoch, then the lower node. It is total, so joining is taking the larger, and the lattice laws hold by
//! construction.

use std::cmp::{Ordering, Reverse};

use crate::change::{Entry, Outcome, Status, Title};
use crate::ids::{Epoch, NodeId};

/// Index of a node in the table of one replica. Never leaves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeIndex(pub(super) u16);

impl NodeIndex {
    /// This node itself is the first in its own table.
    pub const ME: NodeIndex = NodeIndex(0);
}

/// The nodes that this replica has heard of, each with a small index.
#[derive(Debug, Clone)]
pub(super) struct NodeTable {
    ids: Vec<NodeId>,
    /// Sorted by id.
    by_id: Vec<(NodeId, NodeIndex)>,
}

impl NodeTable {
    pub(super) fn new(me: NodeId) -> NodeTable {
        NodeTable { ids: vec![me], by_id: vec![(me, NodeIndex::ME)] }
    }

    pub(super) fn find(&self, id: NodeId) -> Option<NodeIndex> {
        self.by_id.binary_search_by_key(&id, |(known, _)| *known).ok().map(|place| self.by_id[place].1)
    }

    /// The node's index; `None` once 65,535 nodes have been named, more than any cluster can have.
    pub(super) fn intern(&mut self, id: NodeId) -> Option<NodeIndex> {
        match self.by_id.binary_search_by_key(&id, |(known, _)| *known) {
            Ok(place) => Some(self.by_id[place].1),
            Err(place) => {
                let index = NodeIndex(u16::try_from(self.ids.len()).ok().filter(|index| *index < u16::MAX)?);
                self.ids.push(id);
                self.by_id.insert(place, (id, index));
                Some(index)
            }
        }
    }

    /// The short form of an entry, whose node is put into the table if it is not there; `None` if that is full.
    pub(super) fn intern_entry(&mut self, entry: Entry) -> Option<Slot> {
        self.intern(entry.node).map(|node| Slot { epoch: entry.epoch, node, status: entry.status })
    }

    pub(super) fn id(&self, index: NodeIndex) -> NodeId {
        self.ids[usize::from(index.0)]
    }
}

/// Allocation or outcome of one document, in eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Its epoch.
    pub epoch: Epoch,
    /// Its owner, or the node that wrote its outcome.
    pub node: NodeIndex,
    /// Where it stands.
    pub status: Status,
}

impl Slot {
    /// How the document ended, if it has.
    pub fn outcome(self) -> Option<Outcome> {
        match self.status {
            Status::Ended(outcome) => Some(outcome),
            Status::Owned(_) => None,
        }
    }

    /// How its owner has come to own it, if it has not ended.
    pub fn title(self) -> Option<Title> {
        match self.status {
            Status::Owned(title) => Some(title),
            Status::Ended(_) => None,
        }
    }

    /// Whether this is an allocation to that node, of a document that has no outcome.
    pub fn is_owned_by(self, node: NodeIndex) -> bool {
        self.outcome().is_none() && self.node == node
    }
}

impl Entry {
    /// How the document ended, if it has.
    pub fn outcome(&self) -> Option<Outcome> {
        match self.status {
            Status::Ended(outcome) => Some(outcome),
            Status::Owned(_) => None,
        }
    }

    /// The order of the lattice: of two entries of one document the greater is what all replicas come to.
    pub fn compare(&self, other: &Entry) -> Ordering {
        let rank = |entry: &Entry| {
            let node = Reverse(entry.node);
            match entry.status {
                Status::Owned(title) => (0, entry.epoch.0, Some(title), node),
                Status::Ended(outcome) => (1 + height(outcome), u32::MAX - entry.epoch.0, None, node),
            }
        };
        rank(self).cmp(&rank(other))
    }
}

impl NodeTable {
    pub(super) fn entry(&self, slot: Slot) -> Entry {
        Entry { epoch: slot.epoch, node: self.id(slot.node), status: slot.status }
    }

    /// The short form of an entry.
    ///
    /// # Panics
    /// If its node is not in the table.
    pub(super) fn slot(&self, entry: Entry) -> Slot {
        let node = self.find(entry.node).expect("the nodes of a state are in its table");
        Slot { epoch: entry.epoch, node, status: entry.status }
    }
}

fn height(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Cancelled => 0,
        Outcome::Failed => 1,
        Outcome::Done => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_takes_eight_bytes() {
        assert_eq!(size_of::<Slot>(), 8);
    }

    #[test]
    fn the_order_is_that_of_the_design() {
        let (low, high) = (NodeId([1; 16]), NodeId([2; 16]));
        let entry = |epoch, node, status| Entry { epoch: Epoch(epoch), node, status };
        let ended = |outcome| Status::Ended(outcome);
        let rising = [
            entry(1, high, Status::Owned(Title::Given)),
            entry(1, low, Status::Owned(Title::Given)),
            entry(1, high, Status::Owned(Title::PassedOn)),
            entry(1, high, Status::Owned(Title::Claimed)),
            entry(2, high, Status::Owned(Title::Given)),
            entry(2, low, Status::Owned(Title::Claimed)),
            entry(9, low, ended(Outcome::Cancelled)),
            entry(1, low, ended(Outcome::Failed)),
            entry(3, low, ended(Outcome::Done)),
            entry(2, high, ended(Outcome::Done)),
            entry(2, low, ended(Outcome::Done)),
        ];
        for pair in rising.windows(2) {
            assert_eq!(pair[0].compare(&pair[1]), Ordering::Less, "{pair:?}");
        }
    }
}
