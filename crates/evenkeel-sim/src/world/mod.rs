//! A world: real nodes on simulated machines, in virtual time, in one thread, from one seed.
//!
//! Everything that happens is an `Event` of one queue. `World::step` is the only place where a node is told
//! anything, and where every checker looks on. What a node wants done becomes new events here: `network` carries
//! messages, `gossip` spreads loads, `disk` keeps journals, `processes` runs documents, `keeping` keeps results, `clients` submit and cancel,
//! `faults` breaks things.

mod clients;
mod disk;
mod faults;
mod gossip;
mod keeping;
mod machine;
mod network;
mod processes;
mod queue;
mod rounds;
mod truth;

use std::sync::Arc;

use evenkeel_core::change::Outcome;
use evenkeel_core::ids::{BatchId, DocId, Epoch, NodeId};
use evenkeel_core::journal::Gate;
use evenkeel_core::message::Message;
use evenkeel_core::units::Micros;
use evenkeel_core::{Effect, Input, Node, Outbox};

pub use faults::FAULTS;
pub use machine::{Machine, MachineId, Process};
pub use truth::{BatchTruth, Document, Fate, Truth};

use crate::check::{Cause, Checkers, Happening, Step, Violation};
use crate::counts::Counts;
use crate::dice::Dice;
use crate::marks::Watch;
use crate::options::Options;
use crate::record::Recorder;
use crate::trace::Trace;
use clients::Request;
use faults::{Fault, Weather};
use gossip::{Roll, Rumour};
use machine::Clock;
use network::Network;
use queue::Queue;

/// A node's run: what is meant for an earlier one is lost.
type Life = (MachineId, u32);

/// Something that is going to happen.
#[derive(Debug)]
enum Event {
    /// A node wanted to be woken now.
    Wake(Life),
    /// A node's round of gossip.
    Round(Life),
    /// Rumours arrive.
    Rumours { to: Life, from: Life, rumours: Arc<[Arc<Rumour>]>, answer: bool },
    /// A message arrives.
    Message { to: Life, from: MachineId, message: Box<Message> },
    /// A process ends by itself, unless it has been killed.
    Exit { life: Life, doc: DocId, epoch: Epoch, success: bool },
    /// A node that stood still hears of the end of a process.
    Ended { life: Life, doc: DocId, epoch: Epoch, success: bool, took: Micros },
    /// A process that was killed has gone.
    Died { life: Life, doc: DocId, epoch: Epoch },
    /// A payload turns out not to be there.
    Unavailable { life: Life, doc: DocId, epoch: Epoch },
    /// A result arrives at the node that is to have a copy.
    Copy { to: Life, from: Life, doc: DocId, epoch: Epoch, outcome: Outcome },
    /// A result is kept, as far as it can be.
    Kept { life: Life, doc: DocId, epoch: Epoch },
    /// A machine's disk has synced everything below this number.
    Synced { life: Life, through: u64 },
    /// A machine's disk may work again.
    DiskWorks(Life),
    /// A client does something.
    Client(Request),
    /// Something breaks.
    Fault(Fault),
    /// A machine that was killed is started again.
    Start(MachineId),
    /// The faults end.
    Heal,
}

/// A world.
pub struct World {
    /// What is true.
    pub truth: Truth,
    /// What has been seen, as a number, and as a story of what was asked for.
    pub trace: Trace,
    counts: Counts,
    /// Looks on, if anybody asked for it.
    pub(crate) recorder: Option<Recorder>,
    seed: u64,
    queue: Queue<Event>,
    network: Network,
    weather: Weather,
    checkers: Checkers,
    watch: Watch,
    dice: Chances,
    out: Outbox,
    violation: Option<Violation>,
    /// What clients are still going to ask for.
    requests_left: usize,
}

/// A generator for each part of the world.
struct Chances {
    clients: Dice,
    documents: Dice,
    gossip: Dice,
    nodes: Dice,
    processes: Dice,
    keeping: Dice,
    disks: Dice,
}

impl World {
    /// The world of a seed, at the moment when its machines are started.
    pub fn new(options: Options, seed: u64, checkers: Checkers, trace: Trace) -> World {
        let dice = Dice::new(seed);
        let network = Network::new(&options.faults, dice.fork("network"));
        let weather = Weather::new(dice.fork("faults"));
        let chances = Chances {
            clients: dice.fork("clients"),
            documents: dice.fork("documents"),
            gossip: dice.fork("gossip"),
            nodes: dice.fork("nodes"),
            processes: dice.fork("processes"),
            keeping: dice.fork("keeping"),
            disks: dice.fork("disks"),
        };
        let truth = Truth {
            options,
            now: Micros::ZERO,
            machines: Vec::new(),
            batches: Default::default(),
            faulty: true,
            last_ended: Micros::ZERO,
            cut_until: Micros::ZERO,
            core: Vec::new(),
        };
        let mut world = World {
            truth,
            counts: Counts::default(),
            trace,
            recorder: None,
            seed,
            queue: Queue::new(),
            network,
            weather,
            checkers,
            watch: Watch::default(),
            dice: chances,
            out: Outbox::new(),
            violation: None,
            requests_left: 0,
        };
        for _ in 0..world.truth.options.cluster.nodes {
            world.add_machine();
        }
        world.expect_clients();
        world.expect_faults();
        let end = world.truth.options.phases.faults.0;
        world.queue.push(end, Event::Heal);
        world
    }

    /// Lets the next thing happen. False if nothing will happen any more.
    ///
    /// # Errors
    /// If a promise is broken by it: nothing after that is worth looking at.
    pub fn advance(&mut self) -> Result<bool, Violation> {
        let Some((at, event)) = self.queue.pop() else { return Ok(false) };
        assert!(at >= self.truth.now, "time runs backwards");
        if let Some(recorder) = &mut self.recorder {
            recorder.pass(at, &self.truth);
        }
        self.truth.now = at;
        self.happen(event);
        match self.violation.take() {
            Some(violation) => Err(violation),
            None => Ok(true),
        }
    }

    /// When the next thing happens.
    pub fn next(&self) -> Option<Micros> {
        self.queue.next()
    }

    /// Whether clients have anything left to ask for.
    pub fn has_requests(&self) -> bool {
        self.requests_left > 0
    }

    /// Whether all is done that was promised, and nothing more will be asked for.
    pub fn is_finished(&self) -> bool {
        !self.truth.faulty && !self.has_requests() && self.truth.is_finished()
    }

    /// Whether the healthy nodes agree, and nothing runs on them any more.
    pub fn is_at_rest(&self) -> bool {
        let states = self.truth.healthy().filter_map(|machine| machine.node.as_ref().map(|node| node.state().digest()));
        let states: std::collections::BTreeSet<u64> = states.collect();
        states.len() <= 1 && self.truth.healthy().all(|machine| machine.processes.is_empty())
    }

    /// Lets the checkers look at the world once more, when it has come to its end.
    ///
    /// # Errors
    /// If a promise turns out to be broken.
    pub fn conclude(&mut self) -> Result<(), Violation> {
        self.checkers.end(&self.truth)
    }

    /// What has been counted.
    pub fn counts(&self) -> Counts {
        Counts { marks: self.watch.seen().clone(), takeovers: self.watch.takeovers().to_vec(), ..self.counts.clone() }
    }

    /// Documents that have ended so far, as each deciding node told it.
    pub fn documents_ended(&self) -> u64 {
        self.counts.ended
    }

    /// When the last of the processes that run now, and that end by themselves, will have ended.
    pub fn busy_until(&self) -> Micros {
        let processes = self.truth.machines.iter().flat_map(|machine| machine.processes.values());
        processes.filter_map(|process| process.ends).max().unwrap_or_default()
    }

    fn happen(&mut self, event: Event) {
        let now = self.truth.now;
        if let Some(machine) = event.machine() {
            let until = self.truth.machine(machine).paused_until;
            if until > now {
                self.queue.push(until, event);
                return;
            }
        }
        self.counts.events += 1;
        match event {
            Event::Wake(life) => {
                if self.lives(life) && self.truth.machine(life.0).wake == Some(now) {
                    self.truth.machines[life.0.0].wake = None;
                    self.step(life.0, Input::Wake);
                }
            }
            Event::Round(life) => self.round(life),
            Event::Rumours { to, from, rumours, answer } => self.hear_rumours(to, from, &rumours, answer),
            Event::Message { to, from, message } => {
                if self.lives(to) {
                    self.spoke(to.0, from);
                    let from = self.truth.machine(from).me;
                    self.step(to.0, Input::Received { from, message: *message });
                }
            }
            Event::Exit { life, doc, epoch, success } => self.exit(life, doc, epoch, success),
            Event::Ended { life, doc, epoch, success, took } => self.ended(life, doc, epoch, success, took),
            Event::Died { life, doc, epoch } => self.died(life, doc, epoch),
            Event::Unavailable { life, doc, epoch } => self.unavailable(life, doc, epoch),
            Event::Copy { to, from, doc, epoch, outcome } => self.copy_arrives(to, from, doc, epoch, outcome),
            Event::Kept { life, doc, epoch } => {
                if self.lives(life) {
                    self.step(life.0, Input::Kept { doc, epoch });
                }
            }
            Event::Synced { life, through } => self.synced(life, through),
            Event::DiskWorks(life) => self.disk_works(life),
            Event::Client(request) => self.serve(request),
            Event::Fault(fault) => self.strike(fault),
            Event::Start(machine) => self.start(machine),
            Event::Heal => self.heal(),
        }
    }

    fn lives(&self, (machine, life): Life) -> bool {
        let machine = self.truth.machine(machine);
        machine.is_up() && machine.life == life
    }

    fn life(&self, machine: MachineId) -> Life {
        (machine, self.truth.machine(machine).life)
    }

    /// Puts one more machine into the world, and starts it.
    fn add_machine(&mut self) -> MachineId {
        let id = MachineId(self.truth.machines.len());
        let cluster = &self.truth.options.cluster;
        let drift = i64::from(self.truth.options.faults.clock_drift);
        let drift = self.dice.nodes.between(0, 2 * drift as u64) as i64 - drift;
        let settings = cluster.settings(id.0);
        let speed = cluster.speed(id.0);
        self.truth.machines.push(Machine {
            id,
            node: None,
            life: 0,
            gone: false,
            processes: Default::default(),
            paused_until: Micros::ZERO,
            slow_until: Micros::ZERO,
            speed,
            slots: settings.max_process,
            born: self.truth.now,
            me: id.node(self.seed),
            disk: Default::default(),
            gate: Default::default(),
            settings,
            clock: Clock { drift, jumped: Micros::ZERO },
            roll: Roll::default(),
            own: Arc::new(Rumour::of(id.node(self.seed), 0)),
            wake: None,
            seeds: if id.0 == 0 { Vec::new() } else { vec![MachineId(0)] },
            deaf_to: Default::default(),
        });
        self.start(id);
        id
    }

    /// Starts a machine that is down: with its key and its journal, if it has run before.
    fn start(&mut self, id: MachineId) {
        let now = self.truth.now;
        let seed = self.dice.nodes.draw();
        let up: Vec<MachineId> = self.truth.up().map(|machine| machine.id).collect();
        let machine = &mut self.truth.machines[id.0];
        if machine.is_up() || machine.gone {
            return;
        }
        // Whoever starts it again looks whether its seeds are still there.
        if machine.seeds.iter().all(|seed| !up.contains(seed)) {
            machine.seeds.extend(self.dice.nodes.pick(&up));
        }
        machine.life += 1;
        machine.slots = machine.settings.max_process;
        machine.born = now;
        machine.clock.jumped = Micros::ZERO;
        machine.roll = Roll::default();
        machine.own = Arc::new(Rumour::of(machine.me, machine.life));
        machine.wake = None;
        machine.paused_until = now;
        machine.deaf_to.clear();
        machine.gate = Gate::new(machine.disk.next());
        let mut out = std::mem::take(&mut self.out);
        let node = if machine.life > 1 && machine.settings.journal_bytes.is_some() {
            machine.recover(seed, &mut out)
        } else {
            Node::new(machine.origin(), machine.settings.clone(), machine.life > 1, seed)
        };
        machine.node = Some(node);
        let life = (id, machine.life);
        let interval = machine.settings.gossip_interval;
        let phase = Micros(self.dice.gossip.below(interval.0.max(1)));
        self.queue.push(now + phase, Event::Round(life));
        self.tell(&Happening::Started(id));
        // What it wants done at once is looked at with its first step.
        self.out = out;
        self.step(id, Input::Wake);
    }

    /// Tells a node something, lets the checkers look on, and sees to it that what it wants done is done.
    fn step(&mut self, id: MachineId, input: Input) {
        let now = self.truth.now;
        let cause = Cause::of(&input);
        let machine = &mut self.truth.machines[id.0];
        let local = machine.local(now);
        let node = machine.node.as_mut().expect("only a machine that is up is told anything");
        let mut out = std::mem::take(&mut self.out);
        node.step(local, input, &mut out);
        self.counts.steps += 1;
        self.trace.step(now, id, &cause, out.effects());
        let step = Step { machine: id, cause: &cause, effects: out.effects() };
        self.counts.look(&step);
        self.watch.step(&step, &self.truth);
        if let Err(violation) = self.checkers.step(&step, &self.truth)
            && self.violation.is_none()
        {
            self.violation = Some(violation);
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.step(&step, &self.truth);
        }
        self.release(id, &mut out);
        self.out = out;
        self.arm(id);
    }

    /// Sees to it that what a node wants done is done, as soon as the disk lets it.
    fn release(&mut self, id: MachineId, out: &mut Outbox) {
        let life = self.life(id);
        let Machine { gate, disk, .. } = &mut self.truth.machines[id.0];
        gate.take(out, disk);
        self.sync(id);
        self.pass(life);
    }

    /// Sees to it that a node is woken when it wants to be.
    fn arm(&mut self, id: MachineId) {
        let life = self.life(id);
        let machine = &mut self.truth.machines[id.0];
        let Some(node) = &machine.node else { return };
        let Some(deadline) = node.deadline() else { return };
        let due = machine.when(deadline).max(self.truth.now);
        if machine.wake.is_none_or(|wake| wake != due) {
            machine.wake = Some(due);
            self.queue.push(due, Event::Wake(life));
        }
    }

    fn effect(&mut self, life: Life, effect: Effect) {
        match effect {
            Effect::Send { to, message } => self.send(life, to, message),
            // It is read from the node when a round of gossip comes; a beginning or an end is told at once.
            Effect::Publish(load) => self.publish(life, load),
            Effect::Start(claim) => self.begin(life, &claim),
            Effect::Kill { doc, epoch } => self.kill(life, doc, epoch),
            Effect::Keep(verdict) => self.keep(life, &verdict),
            Effect::Acknowledge { batch, copies } => self.acknowledged(batch, copies),
            Effect::Leave { .. } => self.leave(life),
            Effect::Discard { .. } | Effect::Observe(_) => {}
            Effect::Note { .. } | Effect::Forget { .. } => unreachable!("the gate gives these to the disk"),
        }
    }

    /// Tells the checkers of something that no node did.
    fn tell(&mut self, happening: &Happening) {
        self.trace.happening(self.truth.now, happening);
        self.watch.happening(happening, &self.truth);
        if let Some(recorder) = &mut self.recorder {
            recorder.happening(happening, &self.truth);
        }
        if let Err(violation) = self.checkers.happening(happening, &self.truth)
            && self.violation.is_none()
        {
            self.violation = Some(violation);
        }
    }

    fn acknowledged(&mut self, batch: BatchId, copies: usize) {
        let now = self.truth.now;
        if let Some(batch) = self.truth.batches.get_mut(&batch) {
            batch.acknowledged.get_or_insert((now, copies));
        }
    }

    fn send(&mut self, from: Life, to: NodeId, message: Message) {
        let to = MachineId::of(to);
        let Some(machine) = self.truth.machines.get(to.0) else { return };
        if !machine.is_up() {
            self.counts.messages_to_the_dead += 1;
            return;
        }
        let to = (to, machine.life);
        let withheld = self.truth.now < self.truth.options.phases.levelling.0;
        if withheld && matches!(message, Message::Offer { .. }) {
            self.counts.offers_withheld += 1;
            return;
        }
        self.counts.messages += 1;
        let mut arrivals = self.network.carry(self.truth.now, from.0, to.0, &mut self.counts);
        let Some(last) = arrivals.pop() else {
            self.watch.lost(&message);
            return;
        };
        for at in arrivals {
            let message = Box::new(message.clone());
            self.queue.push(at, Event::Message { to, from: from.0, message });
        }
        let message = Box::new(self.network.spoil(message, &mut self.counts));
        self.queue.push(last, Event::Message { to, from: from.0, message });
    }
}

impl Event {
    /// The machine that does it: while that stands still, it waits.
    fn machine(&self) -> Option<MachineId> {
        match self {
            Event::Wake(life) | Event::Round(life) | Event::DiskWorks(life) => Some(life.0),
            Event::Rumours { to, .. } | Event::Message { to, .. } | Event::Copy { to, .. } => Some(to.0),
            // Processes go on, whatever becomes of their node.
            Event::Exit { .. } => None,
            Event::Ended { life, .. }
            | Event::Died { life, .. }
            | Event::Unavailable { life, .. }
            | Event::Kept { life, .. }
            | Event::Synced { life, .. } => Some(life.0),
            Event::Client(_) | Event::Fault(_) | Event::Start(_) | Event::Heal => None,
        }
    }
}
