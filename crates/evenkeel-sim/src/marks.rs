//! Marks: rare things that must happen now and then, or the simulations have not been where it is dangerous.
//!
//! A promise that is kept in two thousand worlds says little if no node ever died in the midst of a hand-over in any of
//! them. So each such thing has a mark, which is counted whenever it happens; scenarios name those that they are there for,
//! and a nightly run must hit all of them.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::Effect;
use evenkeel_core::ids::{DocId, NodeId};
use evenkeel_core::message::{Message, Reason};
use evenkeel_core::outbox::Event;
use evenkeel_core::units::Micros;

use crate::check::{Cause, Happening, Step};
use crate::world::{MachineId, Truth};

/// Declares the marks and their names.
macro_rules! marks {
    ($($(#[doc = $doc:literal])* $mark:ident = $name:literal,)*) => {
        /// Something that must happen now and then.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mark {
            $($(#[doc = $doc])* $mark,)*
        }

        impl Mark {
            /// All of them.
            pub const ALL: &'static [Mark] = &[$(Mark::$mark,)*];

            /// Its name in scenarios and summaries.
            pub fn name(self) -> &'static str {
                match self {
                    $(Mark::$mark => $name,)*
                }
            }

            /// The mark of that name.
            pub fn of(name: &str) -> Option<Mark> {
                Mark::ALL.iter().copied().find(|mark| mark.name() == name)
            }
        }
    };
}

marks! {
    /// A node died while documents were on offer from it, or granted by it and not there yet.
    DiedInTransfer = "died-in-transfer",
    /// Its heirs took over from a node that died so.
    TakeoverInTransfer = "takeover-in-transfer",
    /// A grant was lost: the donor keeps what the receiver waits for.
    GrantLost = "grant-lost",
    /// A hand-over was lost: the receiver learns from the log what it owns.
    HandOverLost = "hand-over-lost",
    /// The node that took a batch died before it could tell its client, and others have the batch.
    AcknowledgementLost = "acknowledgement-lost",
    /// Documents were taken over.
    TookOver = "took-over",
    /// They were taken over from a node that lives.
    TookOverFromTheLiving = "took-over-from-the-living",
    /// A node from which documents were taken over is heard of again, in the same run.
    RefutedDeath = "refuted-death",
    /// A node that had just taken over died in its turn.
    HeirDied = "heir-died",
    /// A document ended well twice.
    BothFinished = "both-finished",
    /// A document ran twice at one time.
    BothRan = "both-ran",
    /// A process was killed, or its result dropped, because its document was somebody else's.
    Superseded = "superseded",
    /// A node came back with its key.
    Returned = "returned",
    /// A node that had been away has caught up.
    Settled = "settled",
    /// A node noticed that it had stood still.
    Paused = "paused",
    /// A cautious node saw less than half of the cluster.
    Minority = "minority",
    /// A node was given the state itself, as the logs no longer reached back.
    Snapshot = "snapshot",
    /// It took more than one part.
    LongSnapshot = "long-snapshot",
    /// Averaging moved documents.
    Levelled = "levelled",
    /// A slow node gave away what it would not have ended in time.
    Exported = "exported",
    /// A node that had run dry was given documents.
    FedTheDry = "fed-the-dry",
    /// A node was asked to leave while a transfer was under way.
    DrainInTransfer = "drain-in-transfer",
    /// A leaving node gave documents away.
    Drained = "drained",
    /// A node joined while the network was cut.
    JoinInPartition = "join-in-partition",
    /// A document was given up because so many nodes had died of it.
    Poison = "poison",
    /// A document that failed was tried again.
    Retried = "retried",
    /// A payload could not be had, and was asked for again.
    Unstarted = "unstarted",
    /// A result could be kept on one node only.
    KeptAlone = "kept-alone",
    /// A batch was cancelled while its documents ran.
    CancelledWhileRunning = "cancelled-while-running",
    /// A batch was removed while a node still ran some of it.
    RemovedWhileRunning = "removed-while-running",
    /// Two nodes had seen the same and knew something else, and one gave the other all of it.
    UnlikeStates = "unlike-states",
    /// A crash took notes with it that were not on the disk yet.
    UnsyncedLost = "unsynced-lost",
    /// A node's slots became fewer than the documents that ran in them.
    Surplus = "surplus",
    /// A node came back that knew of documents by its journal.
    Recovered = "recovered",
    /// A node's disk failed.
    DiskFailed = "disk-failed",
    /// A journal was written anew, shorter.
    Checkpoint = "checkpoint",
    /// A change was ignored, as no honest node would send it.
    Ignored = "ignored",
}

/// Sees the marks.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    seen: BTreeMap<&'static str, u64>,
    died_in_transfer: BTreeSet<NodeId>,
    /// Who held whom dead, in which run of that one.
    held_dead: BTreeMap<(MachineId, NodeId), u32>,
    /// When machines died that may be taken over from.
    died: BTreeMap<NodeId, Micros>,
    /// How long after that it was done.
    takeovers: Vec<Micros>,
    /// When a machine took over last.
    took_over: BTreeMap<MachineId, Micros>,
    ended_well: BTreeMap<DocId, u32>,
}

impl Watch {
    /// How often each was seen.
    pub(crate) fn seen(&self) -> &BTreeMap<&'static str, u64> {
        &self.seen
    }

    /// How long after the death of a node its documents were taken over, for each heir.
    pub(crate) fn takeovers(&self) -> &[Micros] {
        &self.takeovers
    }

    pub(crate) fn mark(&mut self, mark: Mark) {
        *self.seen.entry(mark.name()).or_default() += 1;
    }

    /// A node has made a step.
    pub(crate) fn step(&mut self, step: &Step<'_>, truth: &Truth) {
        match step.cause {
            Cause::Unstarted(_) => self.mark(Mark::Unstarted),
            Cause::Slots => {
                let machine = truth.machine(step.machine);
                if machine.processes.len() > machine.slots as usize {
                    self.mark(Mark::Surplus);
                }
            }
            Cause::Exited { doc, success: true, .. } => {
                let times = self.ended_well.entry(*doc).or_default();
                *times += 1;
                if *times == 2 {
                    self.mark(Mark::BothFinished);
                }
            }
            _ => {}
        }
        for effect in step.effects {
            match effect {
                Effect::Observe(event) => self.event(event, step.machine, truth),
                Effect::Send { message: Message::Snapshot { complete, .. }, .. } => {
                    self.mark(if *complete { Mark::Snapshot } else { Mark::LongSnapshot });
                }
                Effect::Send { message: Message::Offer { export: true, .. }, .. } => self.mark(Mark::Exported),
                Effect::Forget { .. } => self.mark(Mark::Checkpoint),
                Effect::Keep(verdict) if verdict.poison => self.mark(Mark::Poison),
                Effect::Start(claim) => {
                    let again = truth.document(claim.doc).is_some_and(|document| document.starts > 0);
                    if again && truth.processes_of(claim.doc).next().is_some() {
                        self.mark(Mark::BothRan);
                    }
                }
                _ => {}
            }
        }
    }

    fn event(&mut self, event: &Event, machine: MachineId, truth: &Truth) {
        match event {
            Event::TookOver { from, .. } => {
                let owner = truth.machine(MachineId::of(*from));
                self.mark(Mark::TookOver);
                if let Some(died) = self.died.get(from).filter(|_| !owner.is_up()) {
                    self.takeovers.push(truth.now.since(*died));
                }
                if owner.is_running(truth.now) {
                    self.mark(Mark::TookOverFromTheLiving);
                }
                if self.died_in_transfer.contains(from) {
                    self.mark(Mark::TakeoverInTransfer);
                }
                self.held_dead.insert((machine, *from), owner.life);
                self.took_over.insert(machine, truth.now);
            }
            Event::Joined(node) => {
                let life = truth.machine(MachineId::of(*node)).life;
                if self.held_dead.remove(&(machine, *node)) == Some(life) {
                    self.mark(Mark::RefutedDeath);
                }
            }
            Event::Gave { reason: Reason::Offer(_), .. } => self.mark(Mark::Levelled),
            Event::Gave { reason: Reason::Dry, .. } => self.mark(Mark::FedTheDry),
            Event::Gave { reason: Reason::Drain, .. } => self.mark(Mark::Drained),
            Event::Superseded(_) => self.mark(Mark::Superseded),
            Event::Settled => self.mark(Mark::Settled),
            Event::Paused => self.mark(Mark::Paused),
            Event::Minority(true) => self.mark(Mark::Minority),
            Event::Retried { .. } => self.mark(Mark::Retried),
            Event::Unlike(_) => self.mark(Mark::UnlikeStates),
            Event::Ignored { .. } => self.mark(Mark::Ignored),
            Event::BatchRemoved(batch)
                if truth.machine(machine).processes.keys().any(|(doc, _)| doc.batch == *batch) =>
            {
                self.mark(Mark::RemovedWhileRunning);
            }
            _ => {}
        }
    }

    /// Something is about to happen that no node does.
    pub(crate) fn happening(&mut self, happening: &Happening, truth: &Truth) {
        let in_transfer =
            |machine: &MachineId| truth.machine(*machine).node.as_ref().is_some_and(|node| node.in_flight() > 0);
        match happening {
            Happening::Draining(machine) if in_transfer(machine) => self.mark(Mark::DrainInTransfer),
            Happening::Joined { whole: false, .. } => self.mark(Mark::JoinInPartition),
            Happening::Started(machine) if truth.machine(*machine).life > 1 => {
                self.mark(Mark::Returned);
                let node = truth.machine(*machine).node.as_ref();
                if node.is_some_and(|node| node.state().batches().next().is_some()) {
                    self.mark(Mark::Recovered);
                }
            }
            Happening::Cancelled(batch) => {
                let runs =
                    |machine: &crate::world::Machine| machine.processes.keys().any(|(doc, _)| doc.batch == *batch);
                if truth.machines.iter().any(runs) {
                    self.mark(Mark::CancelledWhileRunning);
                }
            }
            _ => {}
        }
    }

    /// A machine is about to be taken down for no reason of its own.
    pub(crate) fn dies(&mut self, victim: MachineId, truth: &Truth) {
        let machine = truth.machine(victim);
        let Some(node) = &machine.node else { return };
        self.died.insert(machine.identity(), truth.now);
        if node.in_flight() > 0 {
            self.died_in_transfer.insert(machine.identity());
            self.mark(Mark::DiedInTransfer);
        }
        let detection = truth.options.cluster.detection.0;
        if self.took_over.get(&victim).is_some_and(|when| truth.now.since(*when) < detection) {
            self.mark(Mark::HeirDied);
        }
        let untold = truth
            .batches
            .iter()
            .filter(|(_, batch)| batch.acknowledged.is_none() && batch.taken_by == (victim, machine.life));
        let others = || truth.up().filter(|machine| machine.id != victim).filter_map(|machine| machine.node.as_ref());
        for (id, _) in untold {
            if others().any(|node| node.state().batch(*id).is_some()) {
                self.mark(Mark::AcknowledgementLost);
            }
        }
    }

    /// A message is lost.
    pub(crate) fn lost(&mut self, message: &Message) {
        match message {
            Message::Grant { accepted, .. } if !accepted.is_empty() => self.mark(Mark::GrantLost),
            Message::Ahead { reason: Reason::Offer(_) | Reason::Dry | Reason::Drain, .. } => {
                self.mark(Mark::HandOverLost);
            }
            _ => {}
        }
    }
}
