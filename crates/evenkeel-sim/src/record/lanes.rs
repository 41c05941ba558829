//! Who ran what: for each slot of a machine the documents that it held, one after the other.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::Effect;
use evenkeel_core::ids::{BatchId, DocId, DocNumber, Epoch};
use evenkeel_core::units::Micros;

use crate::check::{Cause, Step};
use crate::world::{MachineId, Truth};

/// Slots for which there is room in a picture; where there are more, only every second machine is shown, or every third
/// and so on.
const ROOM: usize = 80;

/// Slots of one machine that are shown: beyond, lanes would be thinner than a line.
pub const SLOTS: u32 = 40;

/// How a process ended, as its node was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// It still runs.
    Open,
    /// Well.
    Well,
    /// It failed, or ran out of time.
    Badly,
    /// Its node wanted it killed, since the document had another owner or outcome, or was cancelled.
    Killed,
    /// With its machine.
    Lost,
    /// It had not begun: there was no payload.
    Unstarted,
}

/// A document that held a slot.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// On which machine.
    pub machine: MachineId,
    /// In which of its slots, from 0.
    pub slot: u32,
    /// Of which batch, counted in the order in which they were taken.
    pub batch: usize,
    /// When its node wanted it started.
    pub from: Micros,
    /// When its node heard of its end.
    pub to: Micros,
    /// How it ended.
    pub end: End,
}

/// Who ran what.
#[derive(Debug, Clone)]
pub struct Lanes {
    /// What ran on the machines that are shown, in the order in which it was started.
    pub runs: Vec<Run>,
    /// Machines whose number this divides are shown.
    pub every: usize,
    /// Slots that some machine has beyond those that are shown.
    pub hidden_slots: u32,
    batches: Vec<BatchId>,
    open: BTreeMap<(MachineId, DocId, Epoch), usize>,
    killed: BTreeSet<(MachineId, DocId, Epoch)>,
}

impl Lanes {
    pub(super) fn new(truth: &Truth) -> Lanes {
        let cluster = &truth.options.cluster;
        let slots = |machine: usize| cluster.settings(machine).max_process;
        let shown = |every: usize| -> usize {
            (0..cluster.nodes).step_by(every).map(|machine| slots(machine).min(SLOTS) as usize).sum()
        };
        let every = (1..).find(|every| *every >= cluster.nodes || shown(*every) <= ROOM).expect("one is enough");
        let most = (0..cluster.nodes).map(slots).max().unwrap_or(0);
        Lanes {
            runs: Vec::new(),
            every,
            hidden_slots: most.saturating_sub(SLOTS),
            batches: Vec::new(),
            open: BTreeMap::new(),
            killed: BTreeSet::new(),
        }
    }

    /// Whether this machine is shown.
    pub fn shows(&self, machine: MachineId) -> bool {
        machine.0.is_multiple_of(self.every)
    }

    /// Number of batches.
    pub fn batches(&self) -> usize {
        self.batches.len()
    }

    pub(super) fn submitted(&mut self, batch: BatchId) {
        self.batches.push(batch);
    }

    pub(super) fn step(&mut self, step: &Step<'_>, truth: &Truth) {
        if !self.shows(step.machine) {
            return;
        }
        match step.cause {
            Cause::Exited { doc, epoch, success } => {
                let killed = self.killed.contains(&(step.machine, *doc, *epoch));
                let end = match (killed, success) {
                    (true, _) => End::Killed,
                    (false, true) => End::Well,
                    (false, false) => End::Badly,
                };
                self.end((step.machine, *doc, *epoch), truth.now, end);
            }
            Cause::Unstarted(doc) => {
                let range = (step.machine, *doc, Epoch(0))..=(step.machine, *doc, Epoch(u32::MAX));
                let keys: Vec<_> = self.open.range(range).map(|(key, _)| *key).collect();
                keys.into_iter().for_each(|key| self.end(key, truth.now, End::Unstarted));
            }
            _ => {}
        }
        for effect in step.effects {
            match effect {
                Effect::Start(claim) => self.begin((step.machine, claim.doc, claim.epoch), truth.now),
                Effect::Kill { doc, epoch } => {
                    self.killed.insert((step.machine, *doc, *epoch));
                }
                _ => {}
            }
        }
    }

    fn begin(&mut self, key: (MachineId, DocId, Epoch), now: Micros) {
        let (machine, doc, _) = key;
        let taken: BTreeSet<u32> = self.of(machine).map(|(_, place)| self.runs[place].slot).collect();
        let slot = (0..SLOTS).find(|slot| !taken.contains(slot));
        let Some(slot) = slot else { return };
        let batch = self.batches.iter().position(|batch| *batch == doc.batch).unwrap_or(0);
        self.open.insert(key, self.runs.len());
        self.runs.push(Run { machine, slot, batch, from: now, to: now, end: End::Open });
    }

    /// What is open on a machine.
    fn of(&self, machine: MachineId) -> impl Iterator<Item = ((MachineId, DocId, Epoch), usize)> + '_ {
        let first = DocId { batch: BatchId(0), number: DocNumber(0) };
        let open = self.open.range((machine, first, Epoch(0))..);
        open.take_while(move |((of, _, _), _)| *of == machine).map(|(key, place)| (*key, *place))
    }

    fn end(&mut self, key: (MachineId, DocId, Epoch), now: Micros, end: End) {
        self.killed.remove(&key);
        if let Some(place) = self.open.remove(&key) {
            self.runs[place].to = now;
            self.runs[place].end = end;
        }
    }

    /// A machine is no longer there.
    pub(super) fn lose(&mut self, machine: MachineId, now: Micros) {
        let lost: Vec<_> = self.of(machine).map(|(key, _)| key).collect();
        lost.into_iter().for_each(|key| self.end(key, now, End::Lost));
    }
}
