//! What goes wrong with machines and between them, and how it ends.
//!
//! Whatever is drawn, one witness is left: no machine loses its disk, and none leaves, while it alone knows all of a batch
//! that was promised. With R = 2 copies no more is promised. As long as disks last, all may go down at once; where no
//! journals are kept, that would be the same as losing the disks.

use evenkeel_core::Input;
use evenkeel_core::ids::{BatchId, DocId, Epoch};
use evenkeel_core::units::Micros;

use super::network::Cut;
use super::{Event, Life, MachineId, World};
use crate::check::Happening;
use crate::dice::Dice;
use crate::options::{Faults, Recurring};
use crate::span::Spans;

/// The faults that come again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A node is killed.
    Crash,
    /// All nodes are killed.
    Outage,
    /// A node stands still.
    Pause,
    /// A node's disk takes nothing.
    Disk,
    /// A node's documents take longer.
    Slow,
    /// A node's steps are late.
    Starve,
    /// The network is cut.
    Partition,
    /// A link holds everything back.
    Clog,
    /// A node is taken for dead by another.
    Suspicion,
    /// A node is heard and not heard by turns.
    Flap,
    /// A node joins.
    Join,
    /// A node leaves.
    Drain,
    /// A clock jumps.
    ClockJump,
    /// A node gets more slots, or fewer.
    Slots,
}

/// The names of the faults that come again and again, as scenarios and summaries have them.
pub const FAULTS: [&str; 14] = [
    "crash",
    "outage",
    "pause",
    "disk",
    "slow",
    "starve",
    "partition",
    "clog",
    "suspicion",
    "flap",
    "join",
    "drain",
    "clock-jump",
    "slots",
];

impl Kind {
    /// All of them.
    const ALL: [Kind; 14] = [
        Kind::Crash,
        Kind::Outage,
        Kind::Pause,
        Kind::Disk,
        Kind::Slow,
        Kind::Starve,
        Kind::Partition,
        Kind::Clog,
        Kind::Suspicion,
        Kind::Flap,
        Kind::Join,
        Kind::Drain,
        Kind::ClockJump,
        Kind::Slots,
    ];

    /// Its name in scenarios and summaries.
    fn name(self) -> &'static str {
        FAULTS[self as usize]
    }

    /// How it is set.
    fn dial(self, faults: &Faults) -> Option<Recurring> {
        match self {
            Kind::Crash => faults.crash,
            Kind::Outage => faults.outage,
            Kind::Pause => faults.pause,
            Kind::Disk => faults.disk,
            Kind::Slow => faults.slow,
            Kind::Starve => faults.starve,
            Kind::Partition => faults.partition,
            Kind::Clog => faults.clog,
            Kind::Suspicion => faults.suspicion,
            Kind::Flap => faults.flap,
            Kind::Join => faults.join,
            Kind::Drain => faults.drain,
            Kind::ClockJump => faults.clock_jump,
            Kind::Slots => faults.slots,
        }
    }
}

/// Something that breaks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// One of the faults that come again and again.
    Recurring(Kind),
    /// A node that is late is late once more, until it is no longer.
    Late { machine: MachineId, until: Micros },
    /// A node is not heard once more, until it no longer is.
    Silenced { machine: MachineId, until: Micros },
    /// A document takes its node with it.
    Poison(Life, DocId, Epoch),
}

/// What decides which faults come when.
#[derive(Debug)]
pub(super) struct Weather {
    dice: Dice,
}

impl Weather {
    pub(super) fn new(dice: Dice) -> Weather {
        Weather { dice }
    }
}

/// Nodes that each is told of when the faults end.
const SEEDS: usize = 3;

/// How long a node is down that a document took with it, where nothing else is said.
const POISONED: Spans = Spans { low: crate::span::Span(Micros(500_000)), high: crate::span::Span(Micros(3_000_000)) };

impl World {
    /// Puts the first of each recurring fault into the queue.
    pub(super) fn expect_faults(&mut self) {
        Kind::ALL.into_iter().for_each(|kind| self.expect(kind));
    }

    fn expect(&mut self, kind: Kind) {
        let Some(dial) = kind.dial(&self.truth.options.faults) else { return };
        let at = self.truth.now + self.weather.dice.until_next(dial.every.0);
        if at < self.truth.options.phases.faults.0 {
            self.queue.push(at, Event::Fault(Fault::Recurring(kind)));
        }
    }

    pub(super) fn strike(&mut self, fault: Fault) {
        match fault {
            Fault::Recurring(kind) => {
                let dial = kind.dial(&self.truth.options.faults).expect("a fault that was expected has a dial");
                let lasts = self.weather.dice.time(dial.lasts.range());
                if self.inflict(kind, lasts) {
                    *self.counts.faults.entry(kind.name()).or_default() += 1;
                }
                self.expect(kind);
            }
            Fault::Late { machine, until } => self.be_late(machine, until),
            Fault::Silenced { machine, until } => self.silence(machine, until),
            Fault::Poison(life, doc, epoch) => self.poison(life, doc, epoch),
        }
    }

    /// Lets a fault happen. False if there is nothing that it could happen to.
    fn inflict(&mut self, kind: Kind, lasts: Micros) -> bool {
        let now = self.truth.now;
        // Whatever it is, it ends when the faults do.
        let until = (now + lasts).min(self.truth.options.phases.faults.0);
        let up: Vec<MachineId> = self.truth.up().map(|machine| machine.id).collect();
        let Some(victim) = self.weather.dice.pick(&up).copied() else { return false };
        match kind {
            Kind::Crash => return self.crash(victim, lasts),
            Kind::Outage => return self.outage(&up),
            Kind::Pause => self.pause(victim, until),
            Kind::Disk => self.truth.machines[victim.0].disk.fails_until = until,
            Kind::Slow => self.truth.machines[victim.0].slow_until = until,
            Kind::Starve => self.be_late(victim, until),
            Kind::Partition => {
                let cut = self.draw_cut(&up);
                self.network.cut(until, cut);
                self.truth.cut_until = self.truth.cut_until.max(until);
                self.tell(&Happening::Cut);
            }
            Kind::Clog => {
                let other = *self.weather.dice.pick(&up).expect("there is the victim itself");
                self.network.clog(victim, other, until);
            }
            Kind::Suspicion => {
                let other = *self.weather.dice.pick(&up).expect("there is the victim itself");
                if other == victim {
                    return false;
                }
                self.truth.machines[other.0].deaf_to.insert(victim, until);
                self.tell(&Happening::Suspected { who: victim, by: other });
            }
            Kind::Flap => self.silence(victim, until),
            Kind::Join => {
                let newcomer = self.add_machine();
                // Any node will do as a seed.
                self.truth.machines[newcomer.0].seeds = vec![victim];
                let whole = self.network.is_whole(now);
                self.tell(&Happening::Joined { machine: newcomer, whole });
            }
            Kind::Drain => return self.drain(victim, &up),
            Kind::ClockJump => {
                let clock = &mut self.truth.machines[victim.0].clock;
                clock.jumped = clock.jumped + lasts;
                self.step(victim, Input::Wake);
            }
            Kind::Slots => {
                if !self.truth.machine(victim).is_running(now) {
                    return false;
                }
                let most = u64::from(self.truth.machine(victim).settings.max_process) * 2;
                let slots = self.weather.dice.between(1, most) as u32;
                self.set_slots(victim, slots);
            }
        }
        true
    }

    /// A node's slots become more or fewer, as when it finds out by itself how many it can bear.
    fn set_slots(&mut self, machine: MachineId, slots: u32) {
        self.truth.machines[machine.0].slots = slots;
        self.step(machine, Input::Slots(slots));
    }

    fn draw_cut(&mut self, up: &[MachineId]) -> Cut {
        let dice = &mut self.weather.dice;
        let some = |dice: &mut Dice| -> Vec<MachineId> { up.iter().copied().filter(|_| dice.below(2) == 0).collect() };
        let one = |dice: &mut Dice| vec![*dice.pick(up).expect("somebody is up")];
        match dice.below(7) {
            0 | 1 => Cut::Apart(some(dice)),
            2 => Cut::Apart(one(dice)),
            3 => Cut::Mute(one(dice)),
            4 => Cut::Deaf(some(dice)),
            5 => Cut::Ring(self.truth.machines.len()),
            _ => Cut::Everywhere,
        }
    }

    /// Whether all that was promised would still be known to somebody, who is running or whose journal will be read again.
    fn may_go(&self, victim: MachineId) -> bool {
        let knows = |machine: &super::Machine, id: BatchId, documents: u64| match &machine.node {
            Some(node) => {
                let known = node.state().batch(id).map(|batch| batch.tally().known);
                machine.is_running(self.truth.now) && !machine.disk.failed && known == Some(documents)
            }
            None => machine.disk.knows.get(&id) == Some(&documents),
        };
        let others: Vec<_> =
            self.truth.machines.iter().filter(|machine| machine.id != victim && !machine.gone).collect();
        let promised = self.truth.batches.iter().filter(|(_, batch)| batch.is_promised());
        others.iter().any(|machine| machine.is_up())
            && promised
                .into_iter()
                .all(|(id, batch)| others.iter().any(|machine| knows(machine, *id, batch.documents.len() as u64)))
    }

    fn crash(&mut self, victim: MachineId, down: Micros) -> bool {
        let amnesia = self.weather.dice.happens(self.truth.options.faults.amnesia);
        // While its disk fails, what it knows is not there when it comes back.
        let forgets = amnesia || !self.truth.options.cluster.journal || self.truth.machine(victim).disk.failed;
        if forgets && !self.may_go(victim) {
            return false;
        }
        self.kill_machine(victim, amnesia);
        if amnesia {
            self.truth.machines[victim.0].gone = true;
            self.counts.amnesia += 1;
            self.replace(victim);
        } else {
            self.queue.push(self.truth.now + down, Event::Start(victim));
        }
        true
    }

    fn kill_machine(&mut self, victim: MachineId, amnesia: bool) {
        self.watch.dies(victim, &self.truth);
        let slots = self.take_down(victim);
        self.tell(&Happening::Crashed { machine: victim, slots, amnesia });
    }

    /// The power fails everywhere. False where nothing would be left of what was promised.
    fn outage(&mut self, up: &[MachineId]) -> bool {
        if !self.truth.options.cluster.journal {
            return false;
        }
        let dial = self.truth.options.faults.outage.expect("an outage that was expected has a dial");
        for victim in up {
            self.kill_machine(*victim, false);
            let down = self.weather.dice.time(dial.lasts.range());
            self.queue.push(self.truth.now + down, Event::Start(*victim));
        }
        true
    }

    /// Ends a machine's run. Returns the documents that held a slot there.
    pub(super) fn take_down(&mut self, victim: MachineId) -> Vec<DocId> {
        let machine = &mut self.truth.machines[victim.0];
        let node = machine.node.take().expect("only what is up can be taken down");
        machine.processes.clear();
        machine.wake = None;
        // Who is started again knows whom it knew.
        for other in node.company().map(MachineId::of) {
            if other.0 < self.truth.machines.len() && !self.truth.machines[victim.0].seeds.contains(&other) {
                self.truth.machines[victim.0].seeds.push(other);
            }
        }
        let slots = node.slots().collect();
        self.tear(victim);
        slots
    }

    /// Another machine takes the place of one that is gone.
    pub(super) fn replace(&mut self, gone: MachineId) {
        let seeds: Vec<MachineId> = self.truth.up().map(|machine| machine.id).collect();
        if let Some(seed) = self.weather.dice.pick(&seeds).copied() {
            let newcomer = self.add_machine();
            self.truth.machines[newcomer.0].seeds = vec![seed];
            if self.truth.core.contains(&gone) {
                self.truth.core.push(newcomer);
            }
        }
    }

    fn pause(&mut self, victim: MachineId, until: Micros) {
        let machine = &mut self.truth.machines[victim.0];
        machine.paused_until = machine.paused_until.max(until);
        self.tell(&Happening::Paused(victim));
    }

    /// A node whose processor is taken by others: it stands still for short whiles, one after the other.
    fn be_late(&mut self, machine: MachineId, until: Micros) {
        let now = self.truth.now;
        if now >= until || !self.truth.machine(machine).is_up() {
            return;
        }
        let late = self.weather.dice.time(self.truth.options.faults.starve_by.range());
        let place = &mut self.truth.machines[machine.0].paused_until;
        *place = (*place).max(now + late);
        let then = now + late + Micros(1 + self.weather.dice.below(late.0 + 1));
        self.queue.push(then, Event::Fault(Fault::Late { machine, until }));
    }

    /// A node that flaps: the others do not hear it for a while, then hear it for a while.
    fn silence(&mut self, machine: MachineId, until: Micros) {
        let now = self.truth.now;
        if now >= until {
            return;
        }
        let detection = self.truth.options.cluster.detection.0;
        let about = |dice: &mut Dice| Micros(dice.between(detection.0 / 2, detection.0 * 2));
        let heard_again = (now + about(&mut self.weather.dice)).min(until);
        self.network.cut(heard_again, Cut::Mute(vec![machine]));
        self.tell(&Happening::Cut);
        let then = heard_again + about(&mut self.weather.dice);
        self.queue.push(then, Event::Fault(Fault::Silenced { machine, until }));
    }

    fn drain(&mut self, victim: MachineId, up: &[MachineId]) -> bool {
        let staying = self.truth.up().filter(|machine| machine.node.as_ref().is_some_and(|node| !node.is_draining()));
        if staying.count() < 3 || !self.may_go(victim) {
            return false;
        }
        let origin = self.truth.machine(victim).origin();
        // Any node will pass it on.
        let door = *self.weather.dice.pick(up).expect("the victim itself is up");
        if !self.truth.machine(door).is_running(self.truth.now) {
            return false;
        }
        self.tell(&Happening::Draining(victim));
        self.step(door, Input::Drain(origin));
        true
    }

    /// A document takes its node with it, if it still runs there.
    fn poison(&mut self, life: Life, doc: DocId, epoch: Epoch) {
        let runs = self.lives(life) && self.truth.machine(life.0).processes.contains_key(&(doc, epoch));
        if !runs {
            return;
        }
        let lasts = self.truth.options.faults.crash.map_or(POISONED, |dial| dial.lasts);
        let down = self.weather.dice.time(lasts.range());
        if self.crash(life.0, down) {
            self.counts.poisoned += 1;
            self.truth.document_mut(doc).poisoned += 1;
        } else {
            // The last witness is spared: the process only fails.
            self.exit(life, doc, epoch, false);
        }
    }

    /// The faults end. Part of the cluster is healed; the rest stays as broken as it is, and away.
    pub(super) fn heal(&mut self) {
        let now = self.truth.now;
        let machines: Vec<MachineId> =
            self.truth.machines.iter().filter(|machine| !machine.gone).map(|machine| machine.id).collect();
        let part = self.truth.options.phases.core;
        let mut core: Vec<MachineId> = machines.iter().copied().filter(|_| self.weather.dice.happens(part)).collect();
        self.network.heal();
        let seeds: Vec<MachineId> = core.iter().copied().take(SEEDS).collect();
        for machine in &mut self.truth.machines {
            // Whoever is left behind will never answer, and somebody whom nobody knows would look for it for ever.
            machine.seeds = seeds.clone();
            machine.paused_until = machine.paused_until.min(now);
            machine.slow_until = now;
            machine.disk.fails_until = machine.disk.fails_until.min(now);
            machine.deaf_to.clear();
        }
        // What only those know who are left behind must not be asked for: they stay if they must.
        for id in machines.iter().filter(|id| !core.contains(id)).copied().collect::<Vec<_>>() {
            if self.truth.machine(id).is_up() && self.may_go(id) {
                let slots = self.take_down(id);
                self.tell(&Happening::Crashed { machine: id, slots, amnesia: true });
                self.truth.machines[id.0].gone = true;
            } else if self.truth.machine(id).is_up() || !self.may_go(id) {
                core.push(id);
            } else {
                self.truth.machines[id.0].gone = true;
            }
        }
        core.sort_unstable();
        self.truth.core = core.clone();
        self.truth.faulty = false;
        for id in core {
            self.start(id);
            let machine = self.truth.machine(id);
            let configured = machine.settings.max_process;
            if machine.is_up() && machine.slots != configured {
                self.set_slots(id, configured);
            }
        }
        self.tell(&Happening::Healed);
    }
}
