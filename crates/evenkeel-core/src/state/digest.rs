//! One number for all of a state: equal states have equal numbers, whatever the order in which they came to be.
//!
//! Nodes compare it with each other. Their logs tell them what to ask for; this tells them that the logs have told them
//! all. They may not have: a node that was given a snapshot knows things that were in no log yet, and if those die
//! who could have logged them, the others never hear of it.

use crate::change::{Entry, Outcome, Status, Title};
use crate::ids::{BatchId, DocId, Epoch, NodeId, Origin};

/// The numbers of all parts of a state, each part once, joined by exclusive or: so a part is taken out as it is put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Digest(u64);

impl Digest {
    pub(super) fn value(self) -> u64 {
        self.0
    }

    /// Puts in where a document stands, or takes it out.
    pub(super) fn toggle_entry(&mut self, doc: DocId, entry: &Entry) {
        self.0 ^= standing(held(doc, entry.node), entry.epoch, entry.status);
    }

    /// Takes out where a document stood, and puts in that it has ended there.
    pub(super) fn end_entry(&mut self, doc: DocId, before: &Entry, outcome: Outcome) {
        let held = held(doc, before.node);
        self.0 ^= standing(held, before.epoch, before.status) ^ standing(held, before.epoch, Status::Ended(outcome));
    }

    /// Puts in that there is a batch, or takes it out.
    pub(super) fn toggle_batch(&mut self, batch: BatchId) {
        self.0 ^= mix(mix(1) ^ batch.0);
    }

    /// Puts in that a batch is cancelled, or takes it out.
    pub(super) fn toggle_cancelled(&mut self, batch: BatchId) {
        self.0 ^= mix(mix(2) ^ batch.0);
    }

    /// Puts in that a batch is removed.
    pub(super) fn toggle_removed(&mut self, batch: BatchId) {
        self.0 ^= mix(mix(4) ^ batch.0);
    }

    /// Puts in that a run of a node is to leave.
    pub(super) fn toggle_draining(&mut self, origin: Origin) {
        self.0 ^= mix(mix(mix(3) ^ folded(origin.node.0)) ^ origin.generation.0);
    }
}

/// A document on a node.
fn held(doc: DocId, node: NodeId) -> u64 {
    mix(mix(doc.batch.0 ^ mix(doc.number.0.into())) ^ folded(node.0))
}

/// How it stands there.
fn standing(held: u64, epoch: Epoch, status: Status) -> u64 {
    let status = match status {
        Status::Owned(Title::Given) => 0,
        Status::Owned(Title::PassedOn) => 1,
        Status::Owned(Title::Claimed) => 2,
        Status::Ended(Outcome::Done) => 3,
        Status::Ended(Outcome::Failed) => 4,
        Status::Ended(Outcome::Cancelled) => 5,
    };
    mix(held ^ (u64::from(epoch.0) << 8 | status))
}

fn folded(id: [u8; 16]) -> u64 {
    let id = u128::from_le_bytes(id);
    (id as u64) ^ ((id >> 64) as u64).rotate_left(29)
}

/// The last steps of splitmix64: every bit of the result depends on every bit of the word.
fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
