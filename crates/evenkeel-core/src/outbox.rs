//! What a step wants done in the world, in the order in which it must happen.

use crate::change::Outcome;
use crate::ids::{Attempt, BatchId, DocId, Epoch, NodeId};
use crate::journal::Note;
use crate::load::Load;
use crate::message::{Message, Reason};
use crate::state::Malformed;
use crate::units::Length;

/// A document to be run: who owns it is settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The document.
    pub doc: DocId,
    /// The epoch under which it runs.
    pub epoch: Epoch,
    /// Which attempt this is, from 1.
    pub attempt: Attempt,
    /// Its length.
    pub length: Length,
}

/// How a document ended. It counts once its result is kept: answer with [`crate::node::Input::Kept`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The document.
    pub doc: DocId,
    /// The epoch under which it ran.
    pub epoch: Epoch,
    /// The deciding attempt.
    pub attempt: Attempt,
    /// How it ended.
    pub outcome: Outcome,
    /// No process of this node ended: so many owners died while running the document that it is held to be the cause.
    pub poison: bool,
}

/// Something that people or programs may want to know of. Nothing depends on it.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A node was heard of.
    Joined(NodeId),
    /// A node has fallen silent.
    Silent(NodeId),
    /// A batch was heard of.
    BatchKnown(BatchId),
    /// Every document of a batch has an outcome.
    BatchFinished(BatchId),
    /// A batch was cancelled.
    BatchCancelled(BatchId),
    /// A batch was removed: nothing is known of it any more.
    BatchRemoved(BatchId),
    /// A process was asked for.
    Started(Claim),
    /// An attempt failed, another will follow.
    Retried {
        /// The document.
        doc: DocId,
        /// The attempt that failed.
        attempt: Attempt,
    },
    /// A document has ended here.
    Ended {
        /// The document.
        doc: DocId,
        /// How.
        outcome: Outcome,
    },
    /// A process was killed, or its result dropped, because the document has another owner or another outcome.
    Superseded(DocId),
    /// Documents were given away.
    Gave {
        /// How many.
        documents: u64,
        /// To whom.
        to: NodeId,
        /// Why.
        reason: Reason,
    },
    /// Documents of a dead owner were claimed.
    TookOver {
        /// How many.
        documents: u64,
        /// Whose they were.
        from: NodeId,
    },
    /// This node noticed that it had stood still, and catches up before it goes on.
    Paused,
    /// This node was away, or an earlier run of it was here, and it catches up before it goes on.
    Settling,
    /// This node has caught up.
    Settled,
    /// This node sees less than half of the cluster and, being cautious, starts nothing.
    Minority(bool),
    /// A peer has seen the same as this node, and its state differs: the whole of it was asked for.
    Unlike(NodeId),
    /// A peer sent a change that no honest peer sends. It was ignored.
    Ignored {
        /// The peer.
        from: NodeId,
        /// What was wrong.
        why: Malformed,
    },
}

/// One thing that must happen in the world.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Send a message; it may be lost.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// Gossip this load.
    Publish(Load),
    /// Start a process.
    Start(Claim),
    /// Kill the document's process, if there still is one, and report its end.
    Kill {
        /// The document.
        doc: DocId,
        /// The epoch under which it runs.
        epoch: Epoch,
    },
    /// Keep the result of the deciding attempt, here and on other nodes, and report that it is kept.
    Keep(Verdict),
    /// Drop the result of an attempt that does not count.
    Discard {
        /// The document.
        doc: DocId,
        /// The epoch under which it ran.
        epoch: Epoch,
    },
    /// The batch is accepted: so many nodes have it.
    Acknowledge {
        /// The batch.
        batch: BatchId,
        /// Number of nodes, this one included.
        copies: usize,
    },
    /// Everything is given away and known elsewhere: leave.
    Leave {
        /// Documents that nobody could be given to.
        left_behind: u64,
    },
    /// Write this to the journal; nothing after it may happen before it is on the disk, but for starts: see
    /// [`crate::journal::Gate`].
    Note {
        /// Its place in the journal.
        number: u64,
        /// What.
        note: Note,
    },
    /// A checkpoint is complete: the notes below this number say nothing that later ones do not.
    Forget {
        /// The first number still needed.
        before: u64,
    },
    /// Tell whoever watches.
    Observe(Event),
}

/// The effects of one or more steps.
#[derive(Debug, Default)]
pub struct Outbox {
    effects: Vec<Effect>,
}

impl Outbox {
    /// Nothing to do.
    pub fn new() -> Outbox {
        Outbox::default()
    }

    /// Takes the effects out, in order.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Effect> {
        self.effects.drain(..)
    }

    /// The effects, in order.
    pub fn effects(&self) -> &[Effect] {
        &self.effects
    }

    pub(crate) fn send(&mut self, to: NodeId, message: Message) {
        self.effects.push(Effect::Send { to, message });
    }

    pub(crate) fn publish(&mut self, load: Load) {
        self.effects.push(Effect::Publish(load));
    }

    pub(crate) fn start(&mut self, claim: Claim) {
        self.effects.push(Effect::Start(claim.clone()));
        self.observe(Event::Started(claim));
    }

    pub(crate) fn kill(&mut self, doc: DocId, epoch: Epoch) {
        self.effects.push(Effect::Kill { doc, epoch });
    }

    pub(crate) fn keep(&mut self, verdict: Verdict) {
        self.effects.push(Effect::Keep(verdict));
    }

    pub(crate) fn discard(&mut self, doc: DocId, epoch: Epoch) {
        self.effects.push(Effect::Discard { doc, epoch });
    }

    pub(crate) fn acknowledge(&mut self, batch: BatchId, copies: usize) {
        self.effects.push(Effect::Acknowledge { batch, copies });
    }

    pub(crate) fn leave(&mut self, left_behind: u64) {
        self.effects.push(Effect::Leave { left_behind });
    }

    pub(crate) fn note(&mut self, number: u64, note: Note) {
        self.effects.push(Effect::Note { number, note });
    }

    pub(crate) fn forget(&mut self, before: u64) {
        self.effects.push(Effect::Forget { before });
    }

    pub(crate) fn observe(&mut self, event: Event) {
        self.effects.push(Effect::Observe(event));
    }
}
