//! Running documents: the longest first, at most `max_process` at once, each to its outcome.

use super::Exited;
use super::Node;
use super::timers::Timer;
use crate::batch::BatchOptions;
use crate::change::{Change, Outcome, Status, Title};
use crate::docset::DocSet;
use crate::ids::{Attempt, BatchId, DocId, Epoch};
use crate::outbox::{Claim, Event, Outbox, Verdict};
use crate::state::{NodeIndex, Slot};
use crate::units::{Length, Micros};

/// Longest time between two attempts.
const MAX_BACKOFF: Micros = Micros::from_secs(300);

/// Time after which a document whose payload could not be had is tried again, doubled each time up to a minute: it must
/// not stand in the way of those that can be started.
const UNSTARTED_REST: Micros = Micros::from_millis(500);
const MAX_UNSTARTED_REST: Micros = Micros::from_secs(60);

/// A document with a process.
#[derive(Debug, Clone)]
pub(super) struct Running {
    pub(super) epoch: Epoch,
    pub(super) attempt: Attempt,
    pub(super) started: Micros,
    pub(super) length: Length,
    /// The log says that it runs here.
    pub(super) marked: bool,
}

/// A document that has ended here and whose result is being kept.
#[derive(Debug, Clone)]
pub(super) struct Closing {
    pub(super) epoch: Epoch,
    pub(super) outcome: Outcome,
    /// It still counts as running: were this node to die now, the document would run again.
    pub(super) holds_slot: bool,
}

/// An end that waits until this node has caught up.
#[derive(Debug, Clone)]
pub(super) struct Held(Exited);

impl Node {
    /// Starts documents as long as there are free slots; when there is nothing to start, asks others.
    pub(super) fn fill_slots(&mut self, out: &mut Outbox) {
        if !self.may_act() || self.gives_away() {
            return;
        }
        let max_process = self.max_process as usize;
        while self.slots_in_use() < max_process {
            let Some((doc, length)) = self.next_to_start() else { break };
            self.start(doc, length, out);
        }
        let free = max_process.saturating_sub(self.slots_in_use());
        if free > 0 && self.backlog.is_empty() {
            self.run_dry(free as u32, out);
        }
    }

    /// From now on there are so many slots, at least one. What runs in a slot that is gone runs to its end.
    pub(super) fn set_slots(&mut self, slots: u32) {
        self.max_process = slots.max(1);
    }

    /// Lowers the most slots that may be in use as documents end that run in slots that are gone.
    pub(super) fn give_up_slots(&mut self) {
        self.most_in_use = (self.max_process as usize).max(self.most_in_use.min(self.slots_in_use()));
    }

    /// The document to be started next: the longest eligible one. A slow node starts only what it would finish while the cluster
    /// drains.
    pub fn next_to_start(&self) -> Option<(DocId, Length)> {
        let last_resort = || self.backlog.shortest().filter(|(_, length)| Some(*length) <= self.pace.last_resort);
        self.longest_eligible().or_else(last_resort)
    }

    fn start(&mut self, doc: DocId, length: Length, out: &mut Outbox) {
        let slot = self.state.slot(doc).expect("a waiting document has an entry");
        let epoch = slot.epoch;
        self.backlog.remove(doc);
        if self.dying.contains_key(&(doc, epoch)) {
            // Its process of before is still being killed: two of one epoch could not be told apart.
            self.rest(doc, UNSTARTED_REST);
            return;
        }
        let attempt = Attempt(self.state.tries(doc).failures.0 + 1);
        // An owner has died with it, perhaps of it, be it the last one or one before: should this one too, somebody must know at
        // once that it ran here.
        let marked = slot.status != Status::Owned(Title::Given);
        if marked {
            let docs = DocSet::from_iter([doc.number]);
            let mark = Change::Running { batch: doc.batch, docs, epoch, node: self.me.node };
            self.decide(mark.clone(), out);
            self.confide(vec![mark], out);
        }
        self.running.insert(doc, Running { epoch, attempt, started: self.now, length, marked });
        self.counters.started += 1;
        out.start(Claim { doc, epoch, attempt, length });
    }

    /// A process has ended.
    pub(super) fn exited(&mut self, exited: Exited, out: &mut Outbox) {
        if self.dying.remove(&(exited.doc, exited.epoch)).is_some() {
            out.discard(exited.doc, exited.epoch);
            return;
        }
        if self.settling.is_some() {
            self.held.push(Held(exited));
            return;
        }
        self.conclude(exited, out);
    }

    /// Concludes the ends that waited for this node to catch up.
    pub(super) fn release_held(&mut self, out: &mut Outbox) {
        for Held(exited) in std::mem::take(&mut self.held) {
            self.exited(exited, out);
        }
    }

    fn conclude(&mut self, exited: Exited, out: &mut Outbox) {
        let Exited { doc, epoch, success, took } = exited;
        if self.running.get(&doc).is_none_or(|running| running.epoch != epoch) {
            out.discard(doc, epoch);
            return;
        }
        let running = self.running.remove(&doc).expect("looked up just now");
        self.unstarted.remove(&doc);
        if self.state.is_cancelled(doc.batch) && !success {
            out.discard(doc, epoch);
            self.end_unrun(doc, Outcome::Cancelled, out);
            return;
        }
        if success {
            self.rate.observe(self.weigh(running.length), took);
            self.close(doc, running, Outcome::Done, out);
            return;
        }
        let options = self.options(doc.batch);
        let failures = running.attempt;
        if failures.0 > options.retries {
            self.close(doc, running, Outcome::Failed, out);
            return;
        }
        out.discard(doc, epoch);
        out.observe(Event::Retried { doc, attempt: failures });
        self.counters.retried += 1;
        let crashes = self.state.tries(doc).crashes;
        self.decide(Change::Tried { doc, failures, crashes }, out);
        self.rest(doc, backoff(&options, failures));
    }

    fn close(&mut self, doc: DocId, running: Running, outcome: Outcome, out: &mut Outbox) {
        let Running { epoch, attempt, .. } = running;
        self.closing.insert(doc, Closing { epoch, outcome, holds_slot: true });
        out.keep(Verdict { doc, epoch, attempt, outcome, poison: false });
    }

    /// The result of a verdict is kept: the outcome goes into the log.
    pub(super) fn kept(&mut self, doc: DocId, epoch: Epoch, out: &mut Outbox) {
        if self.closing.get(&doc).is_none_or(|closing| closing.epoch != epoch) {
            return;
        }
        let closing = self.closing.remove(&doc).expect("looked up just now");
        self.end(doc, epoch, closing.outcome, out);
        let ended_here = |slot: Slot| slot.outcome().is_some() && (slot.epoch, slot.node) == (epoch, NodeIndex::ME);
        if !self.state.slot(doc).is_some_and(ended_here) {
            // It has ended elsewhere meanwhile, and that end is kept.
            self.counters.duplicates += 1;
        }
    }

    /// Ends a document that this node owns and that has no process.
    pub(super) fn end_unrun(&mut self, doc: DocId, outcome: Outcome, out: &mut Outbox) {
        let epoch = self.state.slot(doc).expect("an owned document has an entry").epoch;
        self.end(doc, epoch, outcome, out);
    }

    fn end(&mut self, doc: DocId, epoch: Epoch, outcome: Outcome, out: &mut Outbox) {
        let docs = DocSet::from_iter([doc.number]);
        self.decide(Change::Ended { batch: doc.batch, docs, epoch, node: self.me.node, outcome }, out);
        out.observe(Event::Ended { doc, outcome });
    }

    /// A document's payload could not be had.
    pub(super) fn unstarted(&mut self, doc: DocId, epoch: Epoch, out: &mut Outbox) {
        self.dying.remove(&(doc, epoch));
        if self.running.get(&doc).is_none_or(|running| running.epoch != epoch) {
            return;
        }
        self.running.remove(&doc);
        if self.state.is_cancelled(doc.batch) {
            self.end_unrun(doc, Outcome::Cancelled, out);
            return;
        }
        let times = self.unstarted.entry(doc).or_default();
        let rest = UNSTARTED_REST.times(1 << (*times).min(10)).min(MAX_UNSTARTED_REST);
        *times += 1;
        self.rest(doc, rest);
    }

    fn rest(&mut self, doc: DocId, time: Micros) {
        let until = self.now + time;
        self.resting.insert(doc, until);
        self.timers.arm_by(Timer::Backoff, until);
    }

    /// Puts documents back whose back-off has ended.
    pub(super) fn wake_resting(&mut self) {
        let due: Vec<DocId> =
            self.resting.iter().filter(|(_, until)| **until <= self.now).map(|(doc, _)| *doc).collect();
        for doc in due {
            self.resting.remove(&doc);
            self.put_back(doc);
        }
        if let Some(next) = self.resting.values().min() {
            self.timers.arm(Timer::Backoff, *next);
        }
    }

    /// Puts a document back among those that wait, if this node still owns it.
    pub(super) fn put_back(&mut self, doc: DocId) {
        let owned = self.state.slot(doc).is_some_and(|slot| slot.is_owned_by(NodeIndex::ME));
        if owned {
            self.shelve(doc);
        }
    }

    /// Puts a document that this node owns, and so knows, among those that wait.
    pub(super) fn shelve(&mut self, doc: DocId) {
        let batch = self.state.batch(doc.batch).expect("a document that is owned here is of a known batch");
        let lengths = self.state.lengths(doc.batch, doc.number.segment()).expect("and of a known segment");
        self.backlog.insert(doc, lengths, batch.description().submitted_unix_millis);
    }

    /// A client cancels a batch.
    pub(super) fn cancel(&mut self, batch: BatchId, out: &mut Outbox) {
        let known = self.state.batch(batch);
        if known.is_some_and(|state| !state.is_finished()) && !self.state.is_cancelled(batch) {
            self.decide(Change::Cancelled(batch), out);
            self.nudge(out);
        }
    }

    /// Somebody is done with a batch. One of which this node does not know that it has ended stays, but for one of which it
    /// knows nothing at all: payloads of an upload that broke off may lie anywhere.
    pub(super) fn remove(&mut self, batch: BatchId, out: &mut Outbox) {
        let open = self.state.batch(batch).is_some_and(|state| !state.is_finished());
        if !open && !self.state.is_removed(batch) {
            self.decide(Change::Removed(batch), out);
            self.nudge(out);
        }
    }

    /// Ends what waits of a cancelled batch, and kills what runs.
    pub(super) fn cancel_own(&mut self, batch: BatchId, out: &mut Outbox) {
        let mut waiting = self.backlog.of_batch(batch);
        waiting.extend(self.resting.keys().filter(|doc| doc.batch == batch));
        waiting.extend(self.offered().filter(|doc| doc.batch == batch));
        for doc in waiting {
            self.end_unrun(doc, Outcome::Cancelled, out);
        }
        for (doc, running) in self.running.iter().filter(|(doc, _)| doc.batch == batch) {
            out.kill(*doc, running.epoch);
        }
    }

    fn options(&self, batch: BatchId) -> BatchOptions {
        self.state.batch(batch).map(|state| state.description().options.clone()).unwrap_or_default()
    }
}

/// Time before the next attempt after so many failures: doubled each time.
fn backoff(options: &BatchOptions, failures: Attempt) -> Micros {
    let doublings = failures.0.saturating_sub(1).min(20);
    Micros::from_millis(options.backoff_millis.saturating_mul(1 << doublings)).min(MAX_BACKOFF)
}
