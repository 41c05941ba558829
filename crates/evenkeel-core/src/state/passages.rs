//! How many documents have gone from which node to which, as this replica has seen it.
//!
//! A count for people who watch, and no part of what replicas agree on: one that hears of two moves at once counts one,
//! and one that begins with a snapshot has not seen what was before. It only grows, and a reader compares two looks.

use std::collections::BTreeMap;

use super::slot::{NodeIndex, NodeTable};
use crate::ids::NodeId;

/// Documents that have gone from one node to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passage {
    /// Who had them.
    pub from: NodeId,
    /// Who got them.
    pub to: NodeId,
    /// Whether they were claimed as those of a dead node. Otherwise they were handed over.
    pub claimed: bool,
    /// How many, ever.
    pub documents: u64,
}

/// The counts, for each pair of nodes between which anything has gone.
#[derive(Debug, Clone, Default)]
pub(super) struct Passages(BTreeMap<(NodeIndex, NodeIndex, bool), u64>);

impl Passages {
    pub(super) fn count(&mut self, from: NodeIndex, to: NodeIndex, claimed: bool) {
        *self.0.entry((from, to, claimed)).or_default() += 1;
    }

    pub(super) fn iter<'a>(&'a self, nodes: &'a NodeTable) -> impl Iterator<Item = Passage> + 'a {
        self.0.iter().map(|((from, to, claimed), documents)| Passage {
            from: nodes.id(*from),
            to: nodes.id(*to),
            claimed: *claimed,
            documents: *documents,
        })
    }
}
