//! Changes gathered into few: what a node has decided since its last flush, and what it holds of others ahead of
//! their logs.

use std::collections::BTreeMap;

use crate::change::{Change, Outcome, Title};
use crate::docset::DocSet;
use crate::ids::{BatchId, DocId, Epoch, NodeId};
use crate::state::Tries;

/// A set of single-document changes, grouped so that few changes say it all.
#[derive(Debug, Clone, Default)]
pub struct Bundle {
    moved: BTreeMap<(BatchId, Epoch, NodeId, Title), DocSet>,
    ended: BTreeMap<(BatchId, Epoch, NodeId, Outcome), DocSet>,
    tried: BTreeMap<DocId, Tries>,
    running: BTreeMap<(BatchId, Epoch, NodeId), DocSet>,
}

impl Bundle {
    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.moved.is_empty() && self.ended.is_empty() && self.tried.is_empty() && self.running.is_empty()
    }

    /// Adds a change. Batches, segments and settings are not bundled: they go to the log as they are.
    ///
    /// Returns the change if it is of a kind that is not bundled.
    pub fn add(&mut self, change: Change) -> Option<Change> {
        match change {
            Change::Moved { batch, docs, epoch, owner, title } => {
                self.moved.entry((batch, epoch, owner, title)).or_default().0 |= docs.0;
            }
            Change::Ended { batch, docs, epoch, node, outcome } => {
                self.ended.entry((batch, epoch, node, outcome)).or_default().0 |= docs.0;
            }
            Change::Tried { doc, failures, crashes } => {
                let tries = self.tried.entry(doc).or_default();
                tries.failures = tries.failures.max(failures);
                tries.crashes = tries.crashes.max(crashes);
            }
            Change::Running { batch, docs, epoch, node } => {
                self.running.entry((batch, epoch, node)).or_default().0 |= docs.0;
            }
            other => return Some(other),
        }
        None
    }

    /// Removes what this change says, now that the log has carried it.
    pub fn subtract(&mut self, change: &Change) {
        match change {
            Change::Moved { batch, docs, epoch, owner, title } => {
                subtract(&mut self.moved, (*batch, *epoch, *owner, *title), docs);
            }
            Change::Ended { batch, docs, epoch, node, outcome } => {
                subtract(&mut self.ended, (*batch, *epoch, *node, *outcome), docs);
            }
            Change::Tried { doc, failures, crashes } => {
                if self.tried.get(doc).is_some_and(|tries| tries.failures <= *failures && tries.crashes <= *crashes) {
                    self.tried.remove(doc);
                }
            }
            Change::Running { batch, docs, epoch, node } => {
                subtract(&mut self.running, (*batch, *epoch, *node), docs);
            }
            Change::Batch(_)
            | Change::Segment { .. }
            | Change::Cancelled(_)
            | Change::Draining(_)
            | Change::Removed(_) => {}
        }
    }

    /// All of it, as few changes.
    pub fn changes(&self) -> Vec<Change> {
        self.clone().drain()
    }

    /// Takes all out, as few changes.
    pub fn drain(&mut self) -> Vec<Change> {
        let Bundle { moved, ended, tried, running } = std::mem::take(self);
        let tried =
            tried.into_iter().map(|(doc, Tries { failures, crashes })| Change::Tried { doc, failures, crashes });
        let moved = moved.into_iter().map(|((batch, epoch, owner, title), docs)| Change::Moved {
            batch,
            docs,
            epoch,
            owner,
            title,
        });
        let ended = ended.into_iter().map(|((batch, epoch, node, outcome), docs)| Change::Ended {
            batch,
            docs,
            epoch,
            node,
            outcome,
        });
        let running =
            running.into_iter().map(|((batch, epoch, node), docs)| Change::Running { batch, docs, epoch, node });
        tried.chain(moved).chain(running).chain(ended).collect()
    }
}

fn subtract<K: Ord>(sets: &mut BTreeMap<K, DocSet>, key: K, docs: &DocSet) {
    if let Some(set) = sets.get_mut(&key) {
        set.0 -= &docs.0;
        if set.is_empty() {
            sets.remove(&key);
        }
    }
}
