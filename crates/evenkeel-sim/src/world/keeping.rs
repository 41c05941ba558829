//! Keeping results, as the daemon does it: a copy here, a copy on one other node, which tells its own core what it has
//! got; another is asked if that one does not take it in time.

use evenkeel_core::Input;
use evenkeel_core::change::{Change, Outcome};
use evenkeel_core::docset::DocSet;
use evenkeel_core::ids::{DocId, Epoch};
use evenkeel_core::message::{Message, Reason};
use evenkeel_core::outbox::Verdict;
use evenkeel_core::units::Micros;

use super::{Event, Life, MachineId, World};
use crate::marks::Mark;

/// How long writing and sending a result takes where nothing is said of it.
const USUAL: (Micros, Micros) = (Micros(300), Micros(3_000));

/// Time that a peer has to take a result before another is asked.
const PATIENCE: Micros = Micros::from_secs(1);

impl World {
    /// A node wants a result kept.
    pub(super) fn keep(&mut self, life: Life, verdict: &Verdict) {
        let now = self.truth.now;
        let (doc, epoch, outcome) = (verdict.doc, verdict.epoch, verdict.outcome);
        let machine = self.truth.machine(life.0);
        let node = machine.node.as_ref().expect("a node that decides is up");
        let holders = node.holders(doc.batch, doc.number.segment());
        let me = machine.me;
        let range = self.truth.options.faults.keeping;
        let range = if range == Default::default() || !self.truth.faulty { USUAL } else { range.range() };
        let mut late = Micros::ZERO;
        for holder in holders.into_iter().filter(|holder| *holder != me) {
            let holder = MachineId::of(holder);
            let takes = self.dice.keeping.time(range);
            // A transfer is a stream with an answer: it comes through, or it is known that it did not.
            let reached = self.truth.machine(holder).is_running(now)
                && self.network.connects(now, life.0, holder)
                && self.network.connects(now, holder, life.0);
            if reached && takes < PATIENCE {
                let to = self.life(holder);
                self.queue.push(now + late + takes, Event::Copy { to, from: life, doc, epoch, outcome });
                return;
            }
            self.counts.copies_refused += 1;
            late = late + PATIENCE;
        }
        self.watch.mark(Mark::KeptAlone);
        let alone = now + late + self.dice.keeping.time(USUAL);
        self.queue.push(alone, Event::Kept { life, doc, epoch });
    }

    /// A result arrives at its holder, whose core hears of the outcome ahead of the sender's log.
    pub(super) fn copy_arrives(&mut self, to: Life, from: Life, doc: DocId, epoch: Epoch, outcome: Outcome) {
        let now = self.truth.now;
        if self.lives(to) {
            let sender = self.truth.machine(from.0);
            let (node, generation) = (sender.me, evenkeel_core::ids::Generation(from.1.into()));
            let docs = DocSet::from_iter([doc.number]);
            let change = Change::Ended { batch: doc.batch, docs, epoch, node, outcome };
            let message = Message::Ahead { generation, reason: Reason::Result, changes: vec![change] };
            self.step(to.0, Input::Received { from: node, message });
        } else {
            self.counts.copies_refused += 1;
        }
        // The answer; or, where the holder died, the end of the sender's patience.
        let answer = if self.lives(to) { self.dice.keeping.time(USUAL) } else { PATIENCE };
        self.queue.push(now + answer, Event::Kept { life: from, doc, epoch });
    }
}
