//! What a node writes to its disk, so that its next run knows what this one knew; and the rule that nothing leaves a node
//! before what it rests on is there.
//!
//! A journal is a sequence of [`Note`]s. Each says something of the state and is a join, so that a journal may be
//! replayed from any point at which it was whole, and what it says twice does no harm. The core asks for a note with
//! [`Effect::Note`] before it does anything that follows from it; a [`Gate`] holds all later effects back until the disk
//! has it. A driver that puts the two together, as the daemon and the simulator do, never tells anybody what a crash
//! could make untrue.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::change::{Change, Clock};
use crate::ids::{NodeId, Origin};
use crate::message::Logged;
use crate::node::Input;
use crate::outbox::{Effect, Outbox};
use crate::record;

/// One entry of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Note {
    /// This node has decided this; it is in no log yet.
    Decided(Change),
    /// A peer has told this ahead of its log.
    Ahead(Origin, Change),
    /// A record of a log, this node's own or another's.
    Logged(Logged),
    /// Part of a state: a peer's snapshot, or what a checkpoint says of this node's own.
    Known(Change),
    /// All of this has been seen: the notes before this one, and the rest of a checkpoint that it begins, say it all.
    Seen(Arc<Clock>),
    /// This node has met that one: it is not alone.
    Met(NodeId),
}

impl Note {
    /// Size in memory and on the disk, about, in bytes.
    pub fn weight(&self) -> usize {
        match self {
            Note::Decided(change) | Note::Ahead(_, change) | Note::Known(change) => record::weight(change),
            Note::Logged(logged) => 64 + logged.record.weight(),
            Note::Seen(clock) => 64 + 40 * clock.dots.len(),
            Note::Met(_) => 64,
        }
    }
}

/// Where notes are kept. Neither call waits for the disk; whoever drives the node hears when notes are there, and tells
/// the [`Gate`].
pub trait Journal {
    /// Keeps a note. Its number is one more than that of the note before it in the same run.
    fn append(&mut self, number: u64, note: Note);

    /// The notes below this number are no longer needed, once all that was appended before is on the disk.
    fn forget(&mut self, before: u64);
}

/// What is left of what waited for a disk that fails.
#[derive(Debug, Default)]
pub struct Failed {
    /// Effects that may happen all the same.
    pub effects: Vec<Effect>,
    /// What the core is to be told: documents that do not start.
    pub inputs: Vec<Input>,
}

/// Holds effects back, in their order, until all notes that were asked for before them are on the disk.
///
/// Starts of documents overtake what waits only for ends of documents, here or elsewhere: they rest on what gives their
/// document to this node. A slot would otherwise stay empty for one more sync after each document. If an end is lost in a crash, the
/// result, which was on disks before it, tells of it again.
#[derive(Debug, Default)]
pub struct Gate {
    /// Each with the number of notes that must be on the disk first.
    held: VecDeque<(u64, Effect)>,
    /// The same for starts, each of which goes before all others that may.
    starts: VecDeque<(u64, Effect)>,
    /// The number after the last note asked for.
    noted: u64,
    /// The number after the last note that starts wait for.
    binding: u64,
    /// The number after the last note known to be on the disk.
    synced: u64,
}

impl Gate {
    /// A gate for a run whose first note has this number.
    pub fn new(first: u64) -> Gate {
        Gate { held: VecDeque::new(), starts: VecDeque::new(), noted: first, binding: first, synced: first }
    }

    /// Takes the effects of a step: notes go to the journal, the rest waits its turn.
    ///
    /// # Panics
    /// If notes are not numbered one after the other.
    pub fn take(&mut self, out: &mut Outbox, journal: &mut impl Journal) {
        for effect in out.drain() {
            match effect {
                Effect::Note { number, note } => {
                    assert_eq!(number, self.noted, "a note out of its order");
                    self.noted = number + 1;
                    if !matches!(note, Note::Decided(Change::Ended { .. }) | Note::Ahead(_, Change::Ended { .. })) {
                        self.binding = self.noted;
                    }
                    journal.append(number, note);
                }
                Effect::Forget { before } => journal.forget(before),
                start @ Effect::Start(_) if self.binding < self.noted => self.starts.push_back((self.binding, start)),
                effect => self.held.push_back((self.noted, effect)),
            }
        }
    }

    /// All notes up to this one are on the disk.
    pub fn synced(&mut self, through: u64) {
        self.synced = self.synced.max(through + 1);
    }

    /// The next effect that may happen.
    pub fn pass(&mut self) -> Option<Effect> {
        // Starts first: what kills a document must not come before what starts it.
        for queue in [&mut self.starts, &mut self.held] {
            if let Some((_, effect)) = queue.pop_front_if(|(after, _)| *after <= self.synced) {
                return Some(effect);
            }
        }
        None
    }

    /// The disk fails: what was noted and not synced is lost, and with it what it carried. Nothing is held back any more until
    /// the core asks for notes again.
    pub fn fail(&mut self) -> Failed {
        self.synced = self.noted;
        let mut failed = Failed::default();
        for (_, effect) in self.starts.drain(..).chain(self.held.drain(..)) {
            match effect {
                // As messages may be; and what it said of itself is no longer true.
                Effect::Send { .. } | Effect::Publish(_) => {}
                // Whoever waits must not hear that a batch is safe.
                Effect::Acknowledge { .. } => {}
                Effect::Start(claim) => {
                    failed.inputs.push(Input::Unstarted { doc: claim.doc, epoch: claim.epoch });
                }
                effect => failed.effects.push(effect),
            }
        }
        failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Attempt, BatchId, DocId, DocNumber, Epoch};
    use crate::outbox::Claim;
    use crate::units::Length;

    #[derive(Default)]
    struct Kept(Vec<u64>);

    impl Journal for Kept {
        fn append(&mut self, number: u64, _: Note) {
            self.0.push(number);
        }

        fn forget(&mut self, before: u64) {
            self.0.retain(|number| *number >= before);
        }
    }

    #[test]
    fn nothing_passes_before_the_notes_that_it_follows_and_nothing_overtakes() {
        let mut gate = Gate::new(5);
        let mut kept = Kept::default();
        let mut out = Outbox::new();
        let note = || Note::Known(Change::Cancelled(BatchId(1)));
        let marks = |gate: &mut Gate| -> Vec<Effect> { std::iter::from_fn(|| gate.pass()).collect() };
        let mark = |copies| Effect::Acknowledge { batch: BatchId(0), copies };
        out.acknowledge(BatchId(0), 1);
        out.note(5, note());
        out.note(6, note());
        out.acknowledge(BatchId(0), 2);
        out.note(7, note());
        out.acknowledge(BatchId(0), 3);
        gate.take(&mut out, &mut kept);
        assert_eq!(kept.0, [5, 6, 7]);
        assert_eq!(marks(&mut gate), [mark(1)]);
        gate.synced(5);
        assert_eq!(marks(&mut gate), []);
        out.acknowledge(BatchId(0), 4);
        out.forget(7);
        gate.take(&mut out, &mut kept);
        gate.synced(6);
        // News of syncs may come late.
        gate.synced(5);
        assert_eq!((marks(&mut gate), gate.held.len()), (vec![mark(2)], 2));
        gate.synced(7);
        assert_eq!(marks(&mut gate), [mark(3), mark(4)]);
        assert_eq!(kept.0, [7]);
    }

    #[test]
    fn of_what_waits_for_a_disk_that_fails_nobody_hears() {
        let mut gate = Gate::new(0);
        let mut kept = Kept::default();
        let mut out = Outbox::new();
        let doc = DocId { batch: BatchId(3), number: DocNumber(0) };
        let (epoch, attempt, length) = (Epoch(1), Attempt(1), Length(1));
        out.note(0, Note::Met(NodeId([1; 16])));
        out.send(NodeId([1; 16]), crate::message::Message::Head { head: 1 });
        out.acknowledge(BatchId(3), 2);
        out.start(Claim { doc, epoch, attempt, length });
        out.kill(doc, epoch);
        gate.take(&mut out, &mut kept);
        assert!(gate.pass().is_none());
        let Failed { effects, inputs } = gate.fail();
        assert_eq!(inputs, [Input::Unstarted { doc, epoch }]);
        assert!(matches!(effects[..], [Effect::Observe(_), Effect::Kill { .. }]), "{effects:?}");
        out.acknowledge(BatchId(4), 2);
        gate.take(&mut out, &mut kept);
        assert!(gate.pass().is_some(), "nothing is noted, nothing is waited for");
        out.note(1, Note::Met(NodeId([2; 16])));
        out.acknowledge(BatchId(4), 2);
        gate.take(&mut out, &mut kept);
        assert!(gate.pass().is_none());
    }

    #[test]
    fn a_start_waits_for_what_gave_it_its_document_and_not_for_the_ends_of_others() {
        let mut gate = Gate::new(0);
        let mut kept = Kept::default();
        let mut out = Outbox::new();
        let claim = |number| {
            let doc = DocId { batch: BatchId(3), number: DocNumber(number) };
            Claim { doc, epoch: Epoch(1), attempt: Attempt(1), length: Length(1) }
        };
        let (batch, node, docs) = (BatchId(3), NodeId([1; 16]), crate::docset::DocSet::new());
        let outcome = crate::change::Outcome::Done;
        let starts =
            |gate: &mut Gate| std::iter::from_fn(|| gate.pass()).filter(|e| matches!(e, Effect::Start(_))).count();
        out.note(0, Note::Decided(Change::Ended { batch, docs, epoch: Epoch(1), node, outcome }));
        out.start(claim(0));
        out.note(1, Note::Known(Change::Cancelled(BatchId(1))));
        out.start(claim(1));
        out.kill(claim(1).doc, Epoch(1));
        gate.take(&mut out, &mut kept);
        assert_eq!((starts(&mut gate), starts(&mut gate)), (1, 0));
        gate.synced(1);
        let last: Vec<Effect> = std::iter::from_fn(|| gate.pass()).collect();
        assert!(matches!(last[..], [.., Effect::Start(_), Effect::Observe(_), Effect::Kill { .. }]), "{last:?}");
    }
}
