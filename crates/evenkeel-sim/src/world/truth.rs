//! What is true in a world, whatever its nodes believe: the machines, the documents, and what has happened to them.

use std::collections::BTreeMap;

use evenkeel_core::ids::{BatchId, DocId, Epoch};
use evenkeel_core::units::Micros;

use super::machine::{Machine, MachineId};
use crate::dice::Dice;
use crate::options::{Lengths, Options, Work};

/// How a document behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It ends well.
    Well,
    /// Every attempt fails.
    Failing,
    /// It never ends by itself.
    Hanging,
    /// Its node dies of it.
    Poison,
}

/// What is true of a document.
#[derive(Debug, Clone, Copy)]
pub struct Document {
    /// Its length, as far as it is known.
    pub length: u64,
    /// What it takes at nominal speed.
    pub takes: Micros,
    /// How it behaves.
    pub fate: Fate,
    /// How often it has been started.
    pub starts: u32,
    /// How many nodes it has taken with it.
    pub poisoned: u32,
    /// How many of its attempts have ended in failure and were to be tried again.
    pub failures: u32,
}

/// What is true of a batch.
#[derive(Debug)]
pub struct BatchTruth {
    /// How it was meant.
    pub work: Work,
    /// When a node took it.
    pub submitted: Micros,
    /// Which, and which run of it.
    pub taken_by: (MachineId, u32),
    /// When its client was told that it is safe, and on how many nodes.
    pub acknowledged: Option<(Micros, usize)>,
    /// A client has cancelled it.
    pub cancelled: bool,
    /// A client has removed it: of what becomes of it nothing is promised, but that all agree.
    pub removed: bool,
    /// Its documents.
    pub documents: Vec<Document>,
}

impl BatchTruth {
    /// Whether its documents' ends are owed to somebody.
    pub fn is_promised(&self) -> bool {
        self.acknowledged.is_some() && !self.removed
    }

    pub(super) fn draw(
        work: &Work,
        submitted: Micros,
        taken_by: (MachineId, u32),
        dice: &mut Dice,
    ) -> (BatchTruth, Vec<u64>) {
        let mut lengths = Vec::with_capacity(work.documents as usize);
        let mut documents = Vec::with_capacity(work.documents as usize);
        for _ in 0..work.documents {
            let length = draw_length(work.lengths, dice).max(1);
            // The mean of a lognormal law with this shift is 1: lengths are right on average.
            let sigma = work.misprediction;
            let wrong = if sigma == 0.0 { 1.0 } else { libm::exp(sigma * dice.normal() - sigma * sigma / 2.0) };
            let fate = if dice.happens(work.poison) {
                Fate::Poison
            } else if dice.happens(work.hanging) {
                Fate::Hanging
            } else if dice.happens(work.failing) {
                Fate::Failing
            } else {
                Fate::Well
            };
            let takes = Micros((length as f64 * 1_000.0 * wrong) as u64);
            let length = if work.unknown { 1 } else { length };
            lengths.push(length);
            documents.push(Document { length, takes, fate, starts: 0, poisoned: 0, failures: 0 });
        }
        let work = work.clone();
        let (cancelled, removed) = (false, false);
        let batch = BatchTruth { work, submitted, taken_by, acknowledged: None, cancelled, removed, documents };
        (batch, lengths)
    }
}

fn draw_length(lengths: Lengths, dice: &mut Dice) -> u64 {
    match lengths {
        Lengths::Equal(length) => length,
        Lengths::Uniform { low, high } => dice.between(low, high),
        Lengths::Bimodal { short, long } => {
            if dice.below(5) == 0 {
                long
            } else {
                short
            }
        }
        Lengths::Pareto { alpha, low, high } => {
            let drawn = low as f64 * libm::pow(1.0 - dice.fraction(), -1.0 / alpha);
            (drawn as u64).min(high)
        }
    }
}

/// What is true.
#[derive(Debug)]
pub struct Truth {
    /// How it was meant.
    pub options: Options,
    /// The time.
    pub now: Micros,
    /// The machines that there are, or were.
    pub machines: Vec<Machine>,
    /// The batches that a node has taken.
    pub batches: BTreeMap<BatchId, BatchTruth>,
    /// Faults are still let loose.
    pub faulty: bool,
    /// When a process ended well for the last time.
    pub last_ended: Micros,
    /// Until when the network is cut somewhere, unless the faults end before.
    pub cut_until: Micros,
    /// Machines that the second phase is asked of.
    pub core: Vec<MachineId>,
}

impl Truth {
    /// One machine.
    pub fn machine(&self, id: MachineId) -> &Machine {
        &self.machines[id.0]
    }

    /// What is true of a document of a batch that a node has taken.
    pub fn document(&self, doc: DocId) -> Option<&Document> {
        self.batches.get(&doc.batch)?.documents.get(doc.number.0 as usize)
    }

    pub(super) fn document_mut(&mut self, doc: DocId) -> &mut Document {
        let batch = self.batches.get_mut(&doc.batch).expect("a document that starts is of a batch that was taken");
        &mut batch.documents[doc.number.0 as usize]
    }

    /// Machines that are up.
    pub fn up(&self) -> impl Iterator<Item = &Machine> {
        self.machines.iter().filter(|machine| machine.is_up())
    }

    /// Machines of the healed core that are up.
    pub fn healthy(&self) -> impl Iterator<Item = &Machine> {
        self.core.iter().map(|id| self.machine(*id)).filter(|machine| machine.is_up())
    }

    /// Where a document has a process at this moment.
    pub fn processes_of(&self, doc: DocId) -> impl Iterator<Item = (MachineId, Epoch)> + '_ {
        let range = (doc, Epoch(0))..=(doc, Epoch(u32::MAX));
        self.machines
            .iter()
            .flat_map(move |machine| machine.processes.range(range.clone()).map(|((_, epoch), _)| (machine.id, *epoch)))
    }

    /// Whether every batch that was promised, or may still be, has ended in the eyes of every healthy node.
    pub fn is_finished(&self) -> bool {
        // Who is down and will be back has a say too.
        let back = |id: &MachineId| self.machine(*id).is_up() || self.machine(*id).gone;
        self.core.iter().all(back)
            && self.batches.iter().all(|(id, batch)| {
                if !batch.is_promised() {
                    // Its client will never hear of it. What others know of it is run all the same.
                    let taker = self.machine(batch.taken_by.0);
                    let waits = !batch.removed && taker.is_up() && taker.life == batch.taken_by.1;
                    return !waits
                        && self.healthy().all(|machine| {
                            let node = machine.node.as_ref().expect("a healthy machine is up");
                            let tally = node.state().batch(*id).map(|batch| batch.tally());
                            tally.is_none_or(|tally| tally.ended() == tally.known)
                        });
                }
                self.healthy().all(|machine| {
                    let node = machine.node.as_ref().expect("a healthy machine is up");
                    node.state().batch(*id).is_some_and(|batch| batch.is_finished())
                })
            })
    }
}
