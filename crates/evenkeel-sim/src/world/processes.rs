//! Processes: documents take the time that is true of them, end, fail, hang, or take their node with them.

use evenkeel_core::ids::{DocId, Epoch};
use evenkeel_core::outbox::Claim;
use evenkeel_core::units::Micros;
use evenkeel_core::{Exited, Input};

use super::{Event, Fate, Life, Process, World};

/// How long a process takes that cannot be told its payload.
const LOOKING: (Micros, Micros) = (Micros(500), Micros(5_000));

/// How long a killed process takes to go: a good part goes at the first signal, some only at the second.
const DYING: (Micros, Micros) = (Micros(300), Micros(20_000));
const STUBBORN: Micros = Micros::from_secs(2);

impl World {
    /// A node wants a document started.
    pub(super) fn begin(&mut self, life: Life, claim: &Claim) {
        let now = self.truth.now;
        let (doc, epoch) = (claim.doc, claim.epoch);
        if self.dice.processes.happens(self.truth.options.faults.unavailable) && self.truth.faulty {
            self.counts.unavailable += 1;
            let at = now + self.dice.processes.time(LOOKING);
            self.queue.push(at, Event::Unavailable { life, doc, epoch });
            return;
        }
        let timeout = self.truth.batches.get(&doc.batch).and_then(|batch| batch.work.timeout);
        let flaky = self.truth.batches.get(&doc.batch).map(|batch| batch.work.flaky).unwrap_or_default();
        let flaky = self.dice.processes.happens(flaky);
        let slow = u64::from(self.truth.options.faults.slow_factor.max(1));
        let document = self.truth.document_mut(doc);
        document.starts += 1;
        let (takes, fate) = (document.takes, document.fate);
        let machine = &mut self.truth.machines[life.0.0];
        let factor = if machine.slow_until > now { slow } else { 1 };
        let takes = Micros((takes.0 as f64 / machine.speed) as u64).times(factor);
        let timeout = timeout.map(Micros::from);
        let ends = (fate != Fate::Hanging).then(|| timeout.map_or(takes, |timeout| takes.min(timeout)));
        let process = Process { since: now, ends: ends.map(|after| now + after) };
        let before = machine.processes.insert((doc, epoch), process);
        assert!(before.is_none(), "{doc} was started twice under epoch {epoch} on {}", life.0);
        match (fate, timeout) {
            (Fate::Hanging, None) => {}
            (Fate::Hanging, Some(timeout)) => {
                self.counts.timed_out += 1;
                self.queue.push(now + timeout, Event::Exit { life, doc, epoch, success: false });
            }
            (Fate::Poison, _) => self.queue.push(now + takes, Event::Fault(super::Fault::Poison(life, doc, epoch))),
            (Fate::Well | Fate::Failing, timeout) => {
                let late = timeout.is_some_and(|timeout| takes > timeout);
                self.counts.timed_out += u64::from(late);
                let success = fate == Fate::Well && !flaky && !late;
                let end = now + timeout.map_or(takes, |timeout| takes.min(timeout));
                self.queue.push(end, Event::Exit { life, doc, epoch, success });
            }
        }
    }

    /// A process ends by itself. A node that stands still hears of it later.
    pub(super) fn exit(&mut self, life: Life, doc: DocId, epoch: Epoch, success: bool) {
        if !self.lives(life) {
            return;
        }
        let now = self.truth.now;
        let machine = &mut self.truth.machines[life.0.0];
        // It was killed before.
        let Some(process) = machine.processes.remove(&(doc, epoch)) else { return };
        let took = now.since(process.since);
        let until = machine.paused_until;
        if until > now {
            self.queue.push(until, Event::Ended { life, doc, epoch, success, took });
        } else {
            self.ended(life, doc, epoch, success, took);
        }
    }

    /// A node hears of the end of a process.
    pub(super) fn ended(&mut self, life: Life, doc: DocId, epoch: Epoch, success: bool, took: Micros) {
        if self.lives(life) {
            if success {
                self.truth.last_ended = self.truth.now;
            } else {
                self.truth.document_mut(doc).failures += 1;
            }
            self.step(life.0, Input::Exited(Exited { doc, epoch, success, took }));
        }
    }

    /// A node wants a process killed.
    pub(super) fn kill(&mut self, life: Life, doc: DocId, epoch: Epoch) {
        let now = self.truth.now;
        let running = self.truth.machine(life.0).processes.contains_key(&(doc, epoch));
        if running {
            let stubborn = self.dice.processes.below(10) == 0;
            let takes = if stubborn { STUBBORN } else { self.dice.processes.time(DYING) };
            self.queue.push(now + takes, Event::Died { life, doc, epoch });
        }
        // Otherwise its end, or the news that it could not start, is on its way already.
    }

    pub(super) fn died(&mut self, life: Life, doc: DocId, epoch: Epoch) {
        if !self.lives(life) {
            return;
        }
        // It may have ended by itself meanwhile.
        let Some(process) = self.truth.machines[life.0.0].processes.remove(&(doc, epoch)) else { return };
        let took = self.truth.now.since(process.since);
        self.counts.killed += 1;
        self.step(life.0, Input::Exited(Exited { doc, epoch, success: false, took }));
    }

    pub(super) fn unavailable(&mut self, life: Life, doc: DocId, epoch: Epoch) {
        if self.lives(life) {
            self.step(life.0, Input::Unstarted { doc, epoch });
        }
    }
}
