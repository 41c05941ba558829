//! What must always be true of a node. Run after every step in tests and simulations.

use std::collections::BTreeMap;

use super::Node;
use crate::ids::DocId;
use crate::state::NodeIndex;

impl Node {
    /// Checks every invariant that one node can check of itself: each open document of its own is in exactly one of
    /// its lists (S5), and no more run than there are slots (S6) or, where these have become fewer, than ran since. Looks at
    /// every document: for tests and simulations.
    ///
    /// # Panics
    /// If one is broken, with the document concerned.
    pub fn check(&self) {
        let mut lists: BTreeMap<DocId, Vec<&'static str>> = BTreeMap::new();
        let mut list = |name: &'static str, doc: DocId| lists.entry(doc).or_default().push(name);
        for (batch, _) in self.state.batches() {
            self.backlog.of_batch(batch).into_iter().for_each(|doc| list("backlog", doc));
        }
        self.running.keys().for_each(|doc| list("running", *doc));
        self.resting.keys().for_each(|doc| list("resting", *doc));
        self.offered().for_each(|doc| list("offered", doc));
        for doc in self.closing.keys() {
            if self.state.slot(*doc).is_some_and(|slot| slot.is_owned_by(NodeIndex::ME)) {
                list("closing", *doc);
            }
        }
        let mut owned = 0;
        for (doc, _) in self.state.documents_of(self.me.node) {
            owned += 1;
            let places = lists.remove(&doc).unwrap_or_default();
            assert_eq!(places.len(), 1, "{doc}, owned by {}, is in {places:?}", self.me.node);
        }
        assert!(lists.is_empty(), "{} holds documents that it does not own: {lists:?}", self.me.node);
        assert_eq!(owned, self.state.owned_by(self.me.node), "{} miscounts its documents", self.me.node);
        assert!(
            self.slots_in_use() <= self.most_in_use,
            "{} uses {} of {} slots, and {} at most since they have become fewer",
            self.me.node,
            self.slots_in_use(),
            self.max_process,
            self.most_in_use
        );
    }
}
