//! Clients: they submit batches, cancel some, and remove some that have ended.

use evenkeel_core::Input;
use evenkeel_core::batch::{Batch, BatchOptions};
use evenkeel_core::ids::BatchId;
use evenkeel_core::units::{Length, Micros};

use super::{BatchTruth, Event, MachineId, World};
use crate::check::Happening;

/// Time after which a client that finds no node tries again.
const AGAIN: Micros = Micros::from_millis(500);

/// What a client is going to do.
#[derive(Debug, Clone, Copy)]
pub(super) enum Request {
    /// Submit the work of this place in the options.
    Submit { work: usize },
    /// Cancel a batch.
    Cancel(BatchId),
    /// Remove a batch, once it has ended.
    Remove(BatchId),
}

impl World {
    /// Puts what clients are going to do into the queue.
    pub(super) fn expect_clients(&mut self) {
        for (place, work) in self.truth.options.work.iter().enumerate() {
            for time in 0..work.times {
                let at = work.at.0 + work.every.0.times(time.into());
                self.queue.push(at, Event::Client(Request::Submit { work: place }));
                self.requests_left += 1;
            }
        }
    }

    pub(super) fn serve(&mut self, request: Request) {
        let now = self.truth.now;
        match request {
            Request::Submit { work: place } => {
                let work = self.truth.options.work[place].clone();
                let Some(to) = self.door(MachineId(work.to)) else {
                    self.queue.push(now + AGAIN, Event::Client(request));
                    return;
                };
                self.requests_left -= 1;
                self.submit(to, &work);
            }
            Request::Cancel(id) => {
                self.requests_left -= 1;
                let wanted = self.dice.clients.below(self.truth.machines.len() as u64) as usize;
                let Some(to) = self.door(MachineId(wanted)) else { return };
                let known = |node: &evenkeel_core::Node| node.state().batch(id).is_some();
                if self.truth.machine(to).node.as_ref().is_some_and(known) {
                    self.truth.batches.get_mut(&id).expect("a batch that was taken").cancelled = true;
                    self.tell(&Happening::Cancelled(id));
                    self.step(to, Input::Cancel(id));
                }
            }
            Request::Remove(id) => {
                if self.remove(id) {
                    self.requests_left -= 1;
                } else {
                    self.queue.push(now + AGAIN, Event::Client(request));
                }
            }
        }
    }

    /// Has a batch removed by some node. False if the client must come again: it has not ended as far as the node knows, which is
    /// to refuse, if it is asked all the same.
    fn remove(&mut self, id: BatchId) -> bool {
        let wanted = self.dice.clients.below(self.truth.machines.len() as u64) as usize;
        let Some(to) = self.door(MachineId(wanted)) else { return false };
        let batch = self.truth.batches.get_mut(&id).expect("a batch that was taken");
        let node = self.truth.machines[to.0].node.as_ref().expect("a door is up");
        let ended = node.state().batch(id).map(|known| known.is_finished());
        if ended != Some(true) && !self.truth.faulty && batch.acknowledged.is_none() {
            // Nobody was promised that it will ever end.
            return true;
        }
        // A node that does not know the batch is not asked: an API says so before the core hears of it.
        if ended.is_none() {
            return false;
        }
        batch.removed |= ended == Some(true);
        self.tell(&Happening::Removed { batch: id, by: to });
        self.step(to, Input::Remove(id));
        ended == Some(true)
    }

    /// The machine that a client finds when it looks for this one: this one, or the next that answers.
    fn door(&self, wanted: MachineId) -> Option<MachineId> {
        let count = self.truth.machines.len();
        let order = (0..count).map(|step| MachineId((wanted.0 + step) % count));
        let answers = |id: &MachineId| {
            let machine = self.truth.machine(*id);
            let draining = machine.node.as_ref().is_some_and(evenkeel_core::Node::is_draining);
            machine.is_running(self.truth.now) && !draining && (self.truth.faulty || self.truth.core.contains(id))
        };
        order.into_iter().find(answers)
    }

    fn submit(&mut self, to: MachineId, work: &crate::options::Work) {
        let now = self.truth.now;
        let id = BatchId(self.dice.clients.draw());
        let options = BatchOptions {
            allocate: work.allocate,
            retries: work.retries,
            timeout_millis: work.timeout.map(|timeout| timeout.0.0 / 1_000),
            ..BatchOptions::default()
        };
        let batch = Batch {
            id,
            submitter: self.truth.machine(to).me,
            submitted_unix_millis: now.0 / 1_000,
            command: vec!["{}".to_owned()],
            options,
            documents: work.documents,
            retry_of: None,
        };
        let (truth, lengths) = BatchTruth::draw(work, now, self.life(to), &mut self.dice.documents);
        self.truth.batches.insert(id, truth);
        self.counts.documents += u64::from(work.documents);
        if let Some(after) = work.cancel_after {
            self.queue.push(now + after.0, Event::Client(Request::Cancel(id)));
            self.requests_left += 1;
        }
        if let Some(after) = work.remove_after {
            self.queue.push(now + after.0, Event::Client(Request::Remove(id)));
            self.requests_left += 1;
        }
        self.tell(&Happening::Submitted(id));
        self.step(to, Input::Submit { batch, lengths: lengths.into_iter().map(Length).collect() });
    }
}
