//! What this node owns: merging changes into its state, and keeping its own lists true to it.

use super::Node;
use crate::change::{Change, Outcome};
use crate::ids::NodeId;
use crate::journal::Note;
use crate::outbox::{Event, Outbox};
use crate::record::Record;
use crate::state::{Malformed, Shift};

/// How a change has come here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// This run has decided it.
    Own,
    /// Straight from its writer, to this run.
    Ahead,
    /// By a log or a snapshot: it may be old, and what it gives to this node may have been given to an earlier run.
    Log,
}

impl Node {
    /// Merges a change from elsewhere, and acts on what this node gained or lost by it.
    pub(super) fn merge(
        &mut self,
        from: NodeId,
        route: Route,
        change: &Change,
        out: &mut Outbox,
    ) -> Result<(), Malformed> {
        let known = match change {
            _ if change.batch().is_some_and(|batch| self.state.is_removed(batch)) => None,
            Change::Batch(batch) if self.state.batch(batch.id).is_none() => Some(Event::BatchKnown(batch.id)),
            Change::Cancelled(batch) if !self.state.is_cancelled(*batch) => Some(Event::BatchCancelled(*batch)),
            Change::Removed(batch) => Some(Event::BatchRemoved(*batch)),
            _ => None,
        };
        let (cancelled, touched) = match change {
            Change::Cancelled(batch) => (Some(*batch), None),
            Change::Segment { batch, .. } | Change::Ended { batch, .. } => (None, Some(*batch)),
            _ => (None, None),
        };
        let mut shifts = Vec::new();
        if let Err(why) = self.state.merge_change(change, &mut shifts) {
            out.observe(Event::Ignored { from, why: why.clone() });
            return Err(why);
        }
        if let Some(event) = known {
            out.observe(event);
        }
        self.shifted(route, &shifts, out);
        if let Change::Removed(batch) = change {
            self.finished.remove(batch);
        }
        if let Some(batch) = cancelled {
            self.cancel_own(batch, out);
        }
        if let Some(batch) = touched
            && !self.finished.contains(&batch)
            && self.state.batch(batch).is_some_and(|state| state.is_finished())
        {
            self.finished.insert(batch);
            out.observe(Event::BatchFinished(batch));
        }
        Ok(())
    }

    /// Merges a change of this node's own making and gathers it for the next flush.
    pub(super) fn decide(&mut self, change: Change, out: &mut Outbox) {
        match self.bundle.add(change.clone()) {
            Some(change) => self.log_own(Record::new(vec![change]), out),
            None => self.note(|| Note::Decided(change.clone()), out),
        }
        self.merge(self.me.node, Route::Own, &change, out).expect("this node's own changes are well formed");
    }

    fn shifted(&mut self, route: Route, shifts: &[Shift], out: &mut Outbox) {
        for shift in shifts {
            if shift.is_gain() {
                self.gain(shift, out);
                if route == Route::Log && self.returning {
                    self.found.push(shift.doc);
                }
            } else if shift.is_loss() {
                self.lose(shift, out);
            } else if shift.drops_own_end() {
                self.counters.duplicates += 1;
            } else if let Some(before) = shift.before {
                self.renew(shift.doc, before.epoch);
            }
        }
    }

    fn gain(&mut self, shift: &Shift, out: &mut Outbox) {
        let doc = shift.doc;
        if self.closing.contains_key(&doc) {
            // It has ended here already; the outcome follows once the result is kept.
            return;
        }
        if self.state.is_cancelled(doc.batch) {
            self.end_unrun(doc, Outcome::Cancelled, out);
            return;
        }
        self.shelve(doc);
    }

    fn lose(&mut self, shift: &Shift, out: &mut Outbox) {
        let doc = shift.doc;
        self.backlog.remove(doc);
        self.resting.remove(&doc);
        self.unstarted.remove(&doc);
        if let Some(running) = self.running.remove(&doc) {
            self.counters.duplicates += 1;
            self.dying.insert((doc, running.epoch), self.now);
            out.kill(doc, running.epoch);
            out.observe(Event::Superseded(doc));
        }
        // A document whose verdict is being kept has ended in the world: its outcome is logged when it is kept, whoever
        // owns it by then. It leaves `closing` there.
    }
}
