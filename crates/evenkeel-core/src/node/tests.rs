//! A small world to try whole clusters in: virtual time, late and lost messages, processes that take as many
//! milliseconds as their documents are long. The simulator proper is a crate of its own.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::batch::{Allocate, BatchOptions};
use crate::change::{Change, Outcome};
use crate::docset::DocSet;
use crate::ids::{DocNumber, Generation};
use crate::journal::Note;
use crate::load::{Load, Peer};
use crate::message::Reason;
use crate::outbox::{Effect, Event};

mod asking;
mod cluster;
mod failures;
mod levelling;
mod recovery;
mod removal;
mod running;
mod slots;

/// What is going to happen.
#[derive(Debug, Clone)]
enum Coming {
    Input(usize, Input),
    Wake(usize),
    /// A process ends, if it still runs.
    Exit(usize, DocId, Epoch),
    /// The result has reached the other node that keeps it.
    Copied(usize, DocId, Epoch, Outcome),
    Gossip,
}

struct Machine {
    node: Node,
    settings: Settings,
    /// When its clock stood at zero.
    born: Micros,
    alive: bool,
    /// Others of whom it has not heard yet, and until when.
    deaf: BTreeMap<NodeId, Micros>,
    /// Stands still until then.
    paused_until: Micros,
    load: Option<Load>,
    wake: Option<Micros>,
    processes: BTreeSet<(DocId, Epoch)>,
    left: bool,
    /// Its journal, on a disk that takes no time.
    notes: Vec<(u64, Note)>,
    /// The number of the next note.
    noted: u64,
    /// How often the journal was written anew.
    forgotten: u32,
}

struct World {
    now: Micros,
    machines: Vec<Machine>,
    queue: BTreeMap<(Micros, u64), Coming>,
    sequence: u64,
    steps: u64,
    chance: Chance,
    /// Messages lost, of 100.
    loss: u64,
    starts: BTreeMap<DocId, u32>,
    acknowledged: BTreeMap<BatchId, usize>,
    /// Documents whose process fails, by number of attempts that fail.
    failing: BTreeMap<DocId, u32>,
    events: Vec<(usize, Event)>,
    /// How long a dead node goes unnoticed.
    detection: Micros,
    died: BTreeMap<usize, Micros>,
}

fn settings(max_process: u32) -> Settings {
    Settings { max_process, detection: Micros::from_secs(2), ..Settings::default() }
}

fn id(machine: usize) -> NodeId {
    NodeId([machine as u8 + 1; 16])
}

impl World {
    fn new(settings: &[Settings], seed: u64) -> World {
        let mut world = World {
            now: Micros::ZERO,
            machines: Vec::new(),
            queue: BTreeMap::new(),
            sequence: 0,
            steps: 0,
            chance: Chance(seed),
            loss: 0,
            starts: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            failing: BTreeMap::new(),
            events: Vec::new(),
            detection: Micros::from_secs(2),
            died: BTreeMap::new(),
        };
        for settings in settings {
            world.add(settings.clone());
        }
        world.at(Micros::ZERO, Coming::Gossip);
        world.run_for(Micros::from_millis(500));
        world
    }

    fn equal(nodes: usize, max_process: u32, seed: u64) -> World {
        World::new(&vec![settings(max_process); nodes], seed)
    }

    fn add(&mut self, settings: Settings) -> usize {
        let machine = self.machines.len();
        let me = Origin { node: id(machine), generation: Generation(1) };
        let node = Node::new(me, settings.clone(), false, self.chance.next());
        self.machines.push(Machine {
            node,
            settings,
            born: self.now,
            alive: true,
            deaf: BTreeMap::new(),
            paused_until: Micros::ZERO,
            load: None,
            wake: None,
            processes: BTreeSet::new(),
            left: false,
            notes: Vec::new(),
            noted: 0,
            forgotten: 0,
        });
        self.at(self.now, Coming::Wake(machine));
        machine
    }

    /// Starts a killed machine again, with its identity, and its journal if it keeps one.
    fn revive(&mut self, machine: usize) {
        let seed = self.chance.next();
        let mut out = Outbox::new();
        let Machine { node, settings, born, alive, load, wake, notes, .. } = &mut self.machines[machine];
        let me = Origin { generation: Generation(node.me().generation.0 + 1), ..node.me() };
        *node = if settings.journal_bytes.is_some() {
            Node::recover(me, settings.clone(), seed, notes.clone(), &mut out)
        } else {
            Node::new(me, settings.clone(), true, seed)
        };
        (*born, *alive, *load, *wake) = (self.now, true, None, None);
        self.died.remove(&machine);
        for effect in out.drain().collect::<Vec<_>>() {
            self.effect(machine, effect);
        }
        self.at(self.now, Coming::Wake(machine));
    }

    /// What a machine's journal says at this moment.
    fn recovered(&self, machine: usize) -> Node {
        let Machine { node, settings, notes, .. } = &self.machines[machine];
        Node::recover(node.me(), settings.clone(), 0, notes.clone(), &mut Outbox::new())
    }

    fn at(&mut self, time: Micros, coming: Coming) {
        self.sequence += 1;
        self.queue.insert((time.max(self.now), self.sequence), coming);
    }

    fn after(&mut self, time: Micros, coming: Coming) {
        self.at(self.now + time, coming);
    }

    fn submit(&mut self, machine: usize, lengths: &[u64], options: BatchOptions) -> BatchId {
        let batch = Batch {
            id: BatchId(self.chance.next()),
            submitter: id(machine),
            submitted_unix_millis: 0,
            command: vec!["true".into()],
            options,
            documents: lengths.len() as u32,
            retry_of: None,
        };
        let id = batch.id;
        let lengths = lengths.iter().copied().map(Length).collect();
        self.input(machine, Input::Submit { batch, lengths });
        id
    }

    fn kill(&mut self, machine: usize) {
        self.machines[machine].alive = false;
        self.machines[machine].processes.clear();
        self.died.insert(machine, self.now);
    }

    fn pause(&mut self, machine: usize, time: Micros) {
        self.machines[machine].paused_until = self.now + time;
        self.died.insert(machine, self.now);
    }

    fn run_for(&mut self, time: Micros) {
        let end = self.now + time;
        self.run_while(|world| world.queue.first_key_value().is_some_and(|((at, _), _)| *at <= end));
        self.now = end;
    }

    /// Runs until every live node says that the batch is finished; returns the time that took.
    fn finish(&mut self, batch: BatchId) -> Micros {
        let from = self.now;
        let limit = from + Micros::from_secs(3_600);
        let unfinished = |world: &World| {
            world.standing().any(|machine| !machine.node.state.batch(batch).is_some_and(|state| state.is_finished()))
        };
        self.run_while(|world| {
            assert!(world.now < limit, "batch {batch} does not finish: {:?}", world.tallies(batch));
            unfinished(world)
        });
        self.now.since(from)
    }

    fn standing(&self) -> impl Iterator<Item = &Machine> {
        self.machines.iter().filter(|machine| machine.alive && !machine.left)
    }

    fn tallies(&self, batch: BatchId) -> Vec<Option<crate::state::Tally>> {
        self.standing().map(|machine| machine.node.state.batch(batch).map(|state| state.tally())).collect()
    }

    fn run_while(&mut self, goes_on: impl Fn(&World) -> bool) {
        while goes_on(self)
            && let Some(((time, _), coming)) = self.queue.pop_first()
        {
            self.now = time;
            self.happen(coming);
        }
    }

    fn happen(&mut self, coming: Coming) {
        match coming {
            Coming::Gossip => self.gossip(),
            Coming::Wake(machine) => {
                if self.machines[machine].wake.is_none_or(|wake| wake <= self.now) {
                    self.machines[machine].wake = None;
                    self.input(machine, Input::Wake);
                }
            }
            Coming::Input(machine, input) => self.input(machine, input),
            Coming::Exit(machine, doc, epoch) => {
                if self.machines[machine].processes.remove(&(doc, epoch)) {
                    let failing = self.failing.get_mut(&doc);
                    let success = failing.is_none_or(|left| std::mem::replace(left, left.saturating_sub(1)) == 0);
                    let took = Micros::from_millis(10);
                    self.input(machine, Input::Exited(Exited { doc, epoch, success, took }));
                }
            }
            Coming::Copied(machine, doc, epoch, outcome) => {
                let me = self.machines[machine].node.me();
                let other = (0..self.machines.len()).find(|other| *other != machine && self.machines[*other].alive);
                if let Some(other) = other {
                    let docs = DocSet::from_iter([doc.number]);
                    let change = Change::Ended { batch: doc.batch, docs, epoch, node: me.node, outcome };
                    let message =
                        Message::Ahead { generation: me.generation, reason: Reason::Result, changes: vec![change] };
                    self.input(other, Input::Received { from: me.node, message });
                }
                self.input(machine, Input::Kept { doc, epoch });
            }
        }
    }

    /// Everybody hears of everybody's last load. The dead are believed alive until detection.
    fn gossip(&mut self) {
        self.after(Micros::from_millis(200), Coming::Gossip);
        let believed = |world: &World, machine: usize| {
            let died = world.died.get(&machine);
            let back = world.machines[machine].alive && world.machines[machine].paused_until <= world.now;
            back || died.is_some_and(|died| world.now.since(*died) < world.detection)
        };
        let live: BTreeMap<NodeId, Peer> = (0..self.machines.len())
            .filter(|machine| believed(self, *machine) && !self.machines[*machine].left)
            .filter_map(|machine| {
                let load = self.machines[machine].load.clone()?;
                Some((id(machine), Peer { generation: self.machines[machine].node.me().generation, load }))
            })
            .collect();
        for machine in 0..self.machines.len() {
            let deaf = &self.machines[machine].deaf;
            let hears = |node: &NodeId| deaf.get(node).is_none_or(|until| *until <= self.now);
            let live = live.iter().filter(|(node, _)| hears(node)).map(|(node, peer)| (*node, peer.clone())).collect();
            self.input(machine, Input::View(View { live }));
        }
    }

    fn input(&mut self, machine: usize, input: Input) {
        if !self.machines[machine].alive || self.machines[machine].left {
            return;
        }
        if self.now < self.machines[machine].paused_until {
            self.at(self.machines[machine].paused_until, Coming::Input(machine, input));
            return;
        }
        let mut out = Outbox::new();
        let born = self.machines[machine].born;
        self.machines[machine].node.step(self.now.since(born), input, &mut out);
        // Looks at every document: in a long run not after every step.
        self.steps += 1;
        if self.steps < 3_000 || self.steps.is_multiple_of(100) {
            self.machines[machine].node.check();
        }
        for effect in out.drain().collect::<Vec<_>>() {
            self.effect(machine, effect);
        }
        let deadline = self.machines[machine].node.deadline().map(|due| born + due);
        if let Some(due) = deadline
            && deadline != self.machines[machine].wake
        {
            self.machines[machine].wake = deadline;
            self.at(due, Coming::Wake(machine));
        }
    }

    fn effect(&mut self, machine: usize, effect: Effect) {
        match effect {
            Effect::Send { to, message } => {
                if self.chance.below(100) >= self.loss {
                    let to = usize::from(to.0[0]) - 1;
                    let delay = Micros(200 + self.chance.below(2_000));
                    let from = id(machine);
                    self.after(delay, Coming::Input(to, Input::Received { from, message }));
                }
            }
            Effect::Publish(load) => self.machines[machine].load = Some(load),
            Effect::Start(claim) => {
                *self.starts.entry(claim.doc).or_default() += 1;
                let processes = &mut self.machines[machine].processes;
                assert!(processes.insert((claim.doc, claim.epoch)));
                assert!(processes.len() <= self.machines[machine].node.max_process() as usize, "S6");
                self.after(Micros::from_millis(claim.length.0), Coming::Exit(machine, claim.doc, claim.epoch));
            }
            Effect::Kill { doc, epoch } => {
                if self.machines[machine].processes.remove(&(doc, epoch)) {
                    let exited = Exited { doc, epoch, success: false, took: Micros(1) };
                    self.after(Micros(100), Coming::Input(machine, Input::Exited(exited)));
                }
            }
            Effect::Keep(verdict) => {
                self.after(Micros(500), Coming::Copied(machine, verdict.doc, verdict.epoch, verdict.outcome));
            }
            Effect::Discard { .. } => {}
            Effect::Note { number, note } => {
                let Machine { notes, noted, .. } = &mut self.machines[machine];
                assert_eq!(number, *noted);
                *noted += 1;
                notes.push((number, note));
            }
            Effect::Forget { before } => {
                self.machines[machine].notes.retain(|(number, _)| *number >= before);
                self.machines[machine].forgotten += 1;
            }
            Effect::Acknowledge { batch, copies } => {
                assert_eq!(self.acknowledged.insert(batch, copies), None);
            }
            Effect::Leave { left_behind } => {
                assert_eq!(left_behind, 0);
                self.machines[machine].left = true;
            }
            Effect::Observe(event) => self.events.push((machine, event)),
        }
    }

    /// Starts beyond one for each document.
    fn extra_starts(&self) -> u32 {
        self.starts.values().map(|starts| starts - 1).sum()
    }

    /// Everybody agrees, and says that so many documents ended so.
    fn agreed(&self, batch: BatchId, outcome: Outcome) -> u64 {
        let documents: Vec<_> = self.standing().map(|machine| machine.node.state.ended(batch, outcome)).collect();
        assert!(documents.windows(2).all(|pair| pair[0] == pair[1]), "{:?}", self.tallies(batch));
        for number in documents[0].iter() {
            let entries: BTreeSet<_> = self
                .standing()
                .map(|machine| format!("{:?}", machine.node.state.entry(DocId { batch, number: DocNumber(number.0) })))
                .collect();
            assert_eq!(entries.len(), 1, "{entries:?}");
        }
        documents[0].len()
    }
}

/// Options of a batch spread so.
fn spread(allocate: Allocate) -> BatchOptions {
    BatchOptions { allocate, ..BatchOptions::default() }
}
