//! Writing the journal, and beginning from one.
//!
//! Once the journal is much longer than what it says, a *checkpoint* says it anew: what has been seen, what is in no log
//! yet, and the state, part by part over several ticks, as a snapshot for a peer would. All of it are joins, so what
//! happens meanwhile may be noted in between. When the last part is noted, everything before the first may be forgotten.

use super::Node;
use crate::change::Change;
use crate::ids::{BatchId, NodeId, Origin};
use crate::journal::Note;
use crate::message::Cursor;
use crate::outbox::{Event, Outbox};
use crate::settings::Settings;

use super::membership::Settling;

/// Weight of notes that a checkpoint writes in one tick, about.
const STEP: usize = 4 << 20;

/// How far the journal has got.
#[derive(Debug, Clone, Default)]
pub(super) struct Writing {
    /// Number of the next note.
    next: u64,
    /// Weight of all notes since the last checkpoint began, those of the checkpoint included.
    weight: usize,
    /// Weight that the last checkpoint alone had.
    whole: usize,
    checkpoint: Option<Checkpoint>,
}

/// A checkpoint that is being written.
#[derive(Debug, Clone)]
struct Checkpoint {
    /// Its first note.
    from: u64,
    /// Next part of the state; `None` once all is written.
    cursor: Option<Cursor>,
    weight: usize,
}

impl Node {
    /// A node that knows what its earlier runs have noted. What it does about that is left in `out`.
    ///
    /// While it was away, its documents may have got other owners. So it starts none before it has heard from those who
    /// live, or, if it hears from nobody, before they would have given it up in their turn. One that never had company
    /// goes on at once.
    pub fn recover(
        me: Origin,
        settings: Settings,
        seed: u64,
        notes: impl IntoIterator<Item = (u64, Note)>,
        out: &mut Outbox,
    ) -> Node {
        let mut node = Node::new(me, settings, true, seed);
        for (number, note) in notes {
            node.writing.next = number + 1;
            node.writing.weight += note.weight();
            node.replay(note);
        }
        node.finished = node.state.batches().filter(|(_, state)| state.is_finished()).map(|(batch, _)| batch).collect();
        node.found = node.state.documents_of(me.node).map(|(doc, _)| doc).collect();
        for place in 0..node.found.len() {
            node.put_back(node.found[place]);
        }
        let cancelled = |batch: &BatchId| node.state.is_cancelled(*batch);
        let cancelled: Vec<BatchId> = node.state.batches().map(|(batch, _)| batch).filter(cancelled).collect();
        cancelled.into_iter().for_each(|batch| node.cancel_own(batch, out));
        if node.membership.company.is_empty() {
            node.reclaim(out);
            // It may have met somebody while its disk failed, of whom it knows nothing: the first who comes is asked.
            node.reclaimed = false;
            out.observe(Event::Settled);
        } else {
            node.settling = Some(Settling::new(node.now, &node.settings, Default::default()));
        }
        node
    }

    /// Takes in what an earlier run has noted. What that run did about it is done.
    fn replay(&mut self, note: Note) {
        match note {
            Note::Decided(change) | Note::Ahead(_, change) => {
                self.relearn(&change);
                // It may be known to nobody else. If it is, it does no harm to say it again.
                self.bundle.add(change);
            }
            Note::Known(change) => drop(self.relearn(&change)),
            Note::Logged(logged) => {
                let mut whole = true;
                for change in logged.record.changes() {
                    whole &= self.relearn(change);
                    self.bundle.subtract(change);
                }
                // As when it came first: what is not wholly taken in is not counted as seen.
                if whole && self.log.place(&logged).is_ok() {
                    self.log.push(logged);
                }
            }
            Note::Seen(clock) => self.log.advance(&clock),
            Note::Met(node) => drop(self.membership.company.insert(node)),
        }
    }

    /// Merges a change that was merged before. False if there is no room for it, as there was none then.
    fn relearn(&mut self, change: &Change) -> bool {
        let merged = self.state.merge_change(change, &mut Vec::new());
        !matches!(merged, Err(crate::state::Malformed::TooEarly(_)))
    }

    /// Asks for a note, if a journal is kept.
    pub(super) fn note(&mut self, note: impl FnOnce() -> Note, out: &mut Outbox) {
        if self.settings.journal_bytes.is_none() || self.ailing {
            return;
        }
        let note = note();
        self.writing.weight += note.weight();
        out.note(self.writing.next, note);
        self.writing.next += 1;
    }

    /// Notes that there is, or was, somebody else.
    pub(super) fn note_company(&mut self, node: NodeId, out: &mut Outbox) {
        if self.membership.company.insert(node) {
            self.note(|| Note::Met(node), out);
        }
    }

    /// Begins a checkpoint if the journal is long, and goes on with one that has begun.
    pub(super) fn checkpoint(&mut self, out: &mut Outbox) {
        let Some(journal_bytes) = self.settings.journal_bytes.filter(|_| !self.ailing) else { return };
        let long = self.writing.weight > journal_bytes.max(2 * self.writing.whole);
        if self.writing.checkpoint.is_none() && long {
            self.begin_checkpoint(out);
        }
        let Some(mut checkpoint) = self.writing.checkpoint.take() else { return };
        let mut step = 0;
        while let Some(cursor) = checkpoint.cursor.take_if(|_| step < STEP) {
            let (changes, next) = self.state.snapshot_part(&cursor);
            for change in changes {
                let note = Note::Known(change);
                step += note.weight();
                self.note(|| note, out);
            }
            checkpoint.cursor = next;
        }
        checkpoint.weight += step;
        if checkpoint.cursor.is_none() {
            if std::mem::take(&mut self.mending) {
                let clock = self.log.clock().clone();
                self.note(|| Note::Seen(clock), out);
            }
            self.writing.whole = checkpoint.weight;
            out.forget(checkpoint.from);
        } else {
            self.writing.checkpoint = Some(checkpoint);
        }
    }

    /// What this node learns from now on is in no journal, and would be lost with it: others are to have it.
    pub(super) fn disk_fails(&mut self, out: &mut Outbox) {
        self.ailing = true;
        self.writing.checkpoint = None;
        self.withdraw_all();
        out.publish(self.load());
    }

    /// The journal has a hole, and says all anew.
    pub(super) fn disk_works(&mut self, out: &mut Outbox) {
        if std::mem::take(&mut self.ailing) && self.settings.journal_bytes.is_some() {
            // Nobody held it for an heir meanwhile: who has claimed what in its place is asked anew.
            self.membership.missing.clear();
            self.mending = true;
            self.begin_checkpoint(out);
            self.checkpoint(out);
        }
        out.publish(self.load());
    }

    fn begin_checkpoint(&mut self, out: &mut Outbox) {
        self.writing.weight = 0;
        let from = self.writing.next;
        // First: records that are logged while the checkpoint is written find their place behind it. But what was seen while
        // the disk failed is in no note before: then it comes last.
        if !self.mending {
            let clock = self.log.clock().clone();
            self.note(|| Note::Seen(clock), out);
        }
        for node in self.membership.company.clone() {
            self.note(|| Note::Met(node), out);
        }
        for change in self.bundle.changes() {
            self.note(|| Note::Decided(change), out);
        }
        let ahead: Vec<(Origin, Change)> = self
            .ahead
            .iter()
            .flat_map(|(origin, bundle)| bundle.changes().into_iter().map(|change| (*origin, change)))
            .collect();
        for (origin, change) in ahead {
            self.note(|| Note::Ahead(origin, change), out);
        }
        let weight = self.writing.weight;
        self.writing.checkpoint = Some(Checkpoint { from, cursor: Some(Cursor::start()), weight });
    }
}
