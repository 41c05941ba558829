//! A machine's disk: the journal of its node. A crash keeps what was synced, perhaps what was being synced, and nothing
//! else.
//!
//! A sync carries notes that were there when it began, all or the first of them, as the group commit of a real store does;
//! what comes meanwhile waits for the next. Of a sync that a crash breaks off either all is there or nothing, as of a transaction.

use std::collections::{BTreeMap, VecDeque};

use evenkeel_core::ids::BatchId;
use evenkeel_core::journal::{Failed, Journal, Note};
use evenkeel_core::units::Micros;
use evenkeel_core::{Input, Node, Outbox};

use super::machine::Machine;
use super::{Event, Life, MachineId, World};
use crate::marks::Mark;

/// How long a sync takes where nothing is said of it.
const USUAL: (Micros, Micros) = (Micros(100), Micros(1_000));

/// Notes on a disk and on their way to it.
#[derive(Debug, Default)]
pub(super) struct Disk {
    notes: VecDeque<(u64, Note)>,
    /// The number after the last note that would survive a crash.
    synced: u64,
    /// The number after the last note that the sync under way carries.
    syncing: Option<u64>,
    /// The number after the last note.
    next: u64,
    /// What may be forgotten once so much is synced: `(synced, before)`.
    forgets: VecDeque<(u64, u64)>,
    /// It takes nothing until then.
    pub(super) fails_until: Micros,
    /// It has said so.
    pub(super) failed: bool,
    /// Of a machine that is down: documents of each batch that its journal knows.
    pub(super) knows: BTreeMap<BatchId, u64>,
}

impl Journal for Disk {
    fn append(&mut self, number: u64, note: Note) {
        // After a failure there is a gap: what was lost has its numbers all the same.
        if self.synced == self.next {
            self.synced = number;
        }
        self.notes.push_back((number, note));
        self.next = number + 1;
    }

    fn forget(&mut self, before: u64) {
        self.forgets.push_back((self.next, before));
        self.forget_synced();
    }
}

impl Disk {
    /// A sync begins, if there is anything to be synced and none is under way. `part`: how many of so many notes it carries.
    /// Returns the number after the last of them.
    fn begin(&mut self, part: impl FnOnce(u64) -> u64) -> Option<u64> {
        let waiting = self.next - self.synced;
        let wanted = self.syncing.is_none() && waiting > 0;
        wanted.then(|| *self.syncing.insert(self.synced + part(waiting)))
    }

    fn end(&mut self, through: u64) {
        assert_eq!(self.syncing.take(), Some(through), "a sync that nobody began");
        self.synced = through;
        self.forget_synced();
    }

    /// The sync fails: nothing that was not synced before will be.
    fn fail(&mut self) {
        self.syncing = None;
        self.failed = true;
        self.drop_unsynced();
    }

    fn drop_unsynced(&mut self) -> u64 {
        self.forget_synced();
        self.forgets.clear();
        let lost = self.next - self.synced;
        while self.notes.pop_back_if(|(number, _)| *number >= self.synced).is_some() {}
        // As whoever reads it finds it: numbers that were lost, or never written, are used again.
        self.next = self.notes.back().map_or(0, |(number, _)| number + 1);
        self.synced = self.next;
        lost
    }

    fn forget_synced(&mut self) {
        while let Some((_, before)) = self.forgets.pop_front_if(|(synced, _)| *synced <= self.synced) {
            while self.notes.pop_front_if(|(number, _)| *number < before).is_some() {}
        }
    }

    /// The power fails. Returns the number of notes lost.
    fn tear(&mut self, completed: bool) -> u64 {
        if let (Some(through), true) = (self.syncing.take(), completed) {
            self.synced = through;
        }
        self.failed = false;
        self.drop_unsynced()
    }

    /// All notes in their order.
    fn notes(&self) -> impl Iterator<Item = (u64, Note)> + '_ {
        self.notes.iter().cloned()
    }

    /// The number that the next note has.
    pub(super) fn next(&self) -> u64 {
        self.next
    }
}

impl Machine {
    /// The node of this machine's next run, from its journal; what it wants done is left in `out`.
    pub(super) fn recover(&self, seed: u64, out: &mut Outbox) -> Node {
        Node::recover(self.origin(), self.settings.clone(), seed, self.disk.notes(), out)
    }
}

impl World {
    /// Begins a sync on a machine's disk, if there is anything to be synced.
    pub(super) fn sync(&mut self, id: MachineId) {
        let life = self.life(id);
        let dice = &mut self.dice.disks;
        let part = |waiting| if dice.below(4) == 0 { 1 + dice.below(waiting) } else { waiting };
        let Some(through) = self.truth.machines[id.0].disk.begin(part) else { return };
        let range = self.truth.options.faults.syncing;
        let range = if range == Default::default() || !self.truth.faulty { USUAL } else { range.range() };
        let takes = self.dice.disks.time(range);
        self.queue.push(self.truth.now + takes, Event::Synced { life, through });
    }

    /// A sync has ended: what waited for it may happen.
    pub(super) fn synced(&mut self, life: Life, through: u64) {
        if !self.lives(life) {
            return;
        }
        let now = self.truth.now;
        let machine = &mut self.truth.machines[life.0.0];
        if machine.disk.fails_until > now {
            machine.disk.fail();
            let again = machine.disk.fails_until;
            let Failed { effects, inputs } = machine.gate.fail();
            self.watch.mark(Mark::DiskFailed);
            self.queue.push(again, Event::DiskWorks(life));
            self.step(life.0, Input::DiskFails);
            effects.into_iter().for_each(|effect| self.effect(life, effect));
            for input in inputs {
                if self.lives(life) {
                    self.step(life.0, input);
                }
            }
            return;
        }
        machine.disk.end(through);
        machine.gate.synced(through - 1);
        self.pass(life);
        self.sync(life.0);
    }

    /// A disk that failed works again, unless it has begun to fail anew.
    pub(super) fn disk_works(&mut self, life: Life) {
        if !self.lives(life) {
            return;
        }
        let disk = &mut self.truth.machines[life.0.0].disk;
        if disk.fails_until > self.truth.now {
            let again = disk.fails_until;
            self.queue.push(again, Event::DiskWorks(life));
            return;
        }
        disk.failed = false;
        self.step(life.0, Input::DiskWorks);
    }

    /// Lets happen what need not, or no longer, wait for the disk.
    pub(super) fn pass(&mut self, life: Life) {
        while let Some(effect) = self.truth.machines[life.0.0].gate.pass() {
            self.effect(life, effect);
            // It may have left.
            if !self.lives(life) {
                return;
            }
        }
    }

    /// A machine goes down: its disk keeps what it has.
    pub(super) fn tear(&mut self, id: MachineId) {
        let completed = self.dice.disks.below(2) == 0;
        let machine = &mut self.truth.machines[id.0];
        let lost = machine.disk.tear(completed);
        if lost > 0 {
            self.watch.mark(Mark::UnsyncedLost);
        }
        if machine.settings.journal_bytes.is_some() {
            let node = machine.recover(0, &mut Outbox::new());
            let known = node.state().batches().map(|(id, batch)| (id, batch.tally().known));
            self.truth.machines[id.0].disk.knows = known.collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_core::change::Change;

    use super::*;

    fn disk(notes: u64) -> Disk {
        let mut disk = Disk::default();
        (0..notes).for_each(|number| disk.append(number, note(number)));
        disk
    }

    fn note(number: u64) -> Note {
        Note::Known(Change::Cancelled(BatchId(number)))
    }

    fn numbers(disk: &Disk) -> Vec<u64> {
        disk.notes().map(|(number, _)| number).collect()
    }

    #[test]
    fn a_crash_keeps_what_was_synced_and_perhaps_what_was_being_synced() {
        for completed in [false, true] {
            let mut disk = disk(2);
            assert_eq!(disk.begin(|all| all), Some(2));
            assert_eq!(disk.begin(|all| all), None);
            disk.append(2, note(2));
            disk.end(2);
            assert_eq!(disk.begin(|all| all), Some(3));
            disk.append(3, note(3));
            assert_eq!(disk.tear(completed), if completed { 1 } else { 2 });
            assert_eq!(numbers(&disk), if completed { vec![0, 1, 2] } else { vec![0, 1] });
            assert_eq!(disk.begin(|all| all), None);
        }
    }

    #[test]
    fn a_sync_may_carry_only_the_first() {
        let mut disk = disk(4);
        assert_eq!(disk.begin(|_| 1), Some(1));
        disk.end(1);
        assert_eq!(disk.begin(|all| all - 1), Some(3));
        assert_eq!(disk.tear(true), 1);
        assert_eq!(numbers(&disk), [0, 1, 2]);
    }

    #[test]
    fn nothing_is_forgotten_before_what_replaces_it_is_synced() {
        let mut disk = disk(2);
        assert_eq!(disk.begin(|all| all), Some(2));
        disk.append(2, note(2));
        disk.forget(2);
        disk.end(2);
        assert_eq!(numbers(&disk), [0, 1, 2]);
        assert_eq!(disk.begin(|all| all), Some(3));
        disk.end(3);
        assert_eq!(numbers(&disk), [2]);
    }
}
