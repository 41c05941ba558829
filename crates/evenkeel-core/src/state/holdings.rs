//! How many documents without outcome each node owns.

use super::slot::NodeIndex;

/// A count for each node, by its index.
#[derive(Debug, Clone, Default)]
pub(super) struct Holdings(Vec<u64>);

impl Holdings {
    pub(super) fn of(&self, node: NodeIndex) -> u64 {
        self.0.get(usize::from(node.0)).copied().unwrap_or(0)
    }

    pub(super) fn add(&mut self, node: NodeIndex, documents: u64) {
        let place = usize::from(node.0);
        if self.0.len() <= place {
            self.0.resize(place + 1, 0);
        }
        self.0[place] += documents;
    }

    /// # Panics
    /// If the node has fewer.
    pub(super) fn remove(&mut self, node: NodeIndex, documents: u64) {
        let left = self.of(node).checked_sub(documents).expect("what a node no longer owns it has owned");
        if documents > 0 {
            self.0[usize::from(node.0)] = left;
        }
    }

    /// The nodes that own any, with their number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (NodeIndex, u64)> + '_ {
        let all = self.0.iter().enumerate().map(|(place, open)| (NodeIndex(place as u16), *open));
        all.filter(|(_, open)| *open > 0)
    }
}
