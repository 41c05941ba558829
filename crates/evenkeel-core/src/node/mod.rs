//! The node: the whole protocol as one state machine.
//!
//! [`Node::step`] takes one input and leaves what must happen in an [`Outbox`]. It is deterministic: the same inputs
//! at the same times give the same effects on every machine. It knows no clock, no network, no process and no file.
//!
//! One idea a file: `submit` spreads a new batch, `execute` runs documents, `transfer` levels them,
//! `takeover` claims those of the dead, `sync` makes states equal, `membership` decides whom to believe,
//! `recovery` writes the journal and begins from one, `drain` leaves, `standing` reckons loads, `check` knows what must always be true.

mod check;
mod drain;
mod execute;
mod membership;
mod ownership;
mod recovery;
mod standing;
mod submit;
mod sync;
mod takeover;
#[cfg(test)]
mod tests;
mod timers;
mod transfer;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use standing::Balance;

use crate::backlog::Backlog;
use crate::balance::{RateEstimate, Terms};
use crate::batch::Batch;
use crate::bundle::Bundle;
use crate::change::Clock;
use crate::docset::DocSet;
use crate::ids::{Attempt, BatchId, DocId, Epoch, NodeId, OfferId, Origin};
use crate::load::View;
use crate::log::{Answer, Log};
use crate::message::Message;
use crate::outbox::Outbox;
use crate::settings::Settings;
use crate::state::State;
use crate::units::{Length, Micros};
use execute::{Closing, Held, Running};
use membership::{Membership, Settling};
use recovery::Writing;
use standing::Pace;
use submit::Unacknowledged;
use sync::{Asked, Borrowed, Pulled, Pulling};
use timers::{Timer, Timers};
use transfer::{DryPull, GrantGiven, OfferMade};

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exited {
    /// The document.
    pub doc: DocId,
    /// The epoch under which it ran.
    pub epoch: Epoch,
    /// Whether its process ended with status 0.
    pub success: bool,
    /// Wall time that it took.
    pub took: Micros,
}

/// What a node may be told.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A timer is due: see [`Node::deadline`].
    Wake,
    /// The gossiped picture of the live nodes has changed.
    View(View),
    /// A peer sent a message.
    Received {
        /// The peer.
        from: NodeId,
        /// The message.
        message: Message,
    },
    /// A client submits a batch whose payloads are stored; answered by [`crate::outbox::Effect::Acknowledge`].
    Submit {
        /// Its description.
        batch: Batch,
        /// Length of each of its documents.
        lengths: Vec<Length>,
    },
    /// A process asked for by [`crate::outbox::Effect::Start`] has ended, or was killed.
    Exited(Exited),
    /// A process asked for could not even be tried, for want of the payload: it is tried again later.
    Unstarted {
        /// The document.
        doc: DocId,
        /// The epoch under which it should have run.
        epoch: Epoch,
    },
    /// The result of a verdict is kept on so many nodes.
    Kept {
        /// The document.
        doc: DocId,
        /// The epoch of the verdict.
        epoch: Epoch,
    },
    /// No document of this batch is to start any more.
    Cancel(BatchId),
    /// Everything that is known of this batch, which has ended, is to be forgotten.
    Remove(BatchId),
    /// This run of a node is to give everything away and leave.
    Drain(Origin),
    /// The disk fails: what was noted since the last sync is lost, and so are the effects that waited for it, as a
    /// [`crate::journal::Gate`] tells. Until it works again nothing is noted, started, taken or acknowledged, and what waits
    /// is given to others.
    DiskFails,
    /// The disk works again.
    DiskWorks,
    /// This node has so many slots from now on. Where they are fewer than before, what runs in the others runs to its end, and
    /// nothing starts before there is a free slot.
    Slots(u32),
}

/// A splitmix64 generator: jitter, and choices among equals. Seeded, so that a run can be replayed.
#[derive(Debug, Clone)]
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}

/// What a node counts of its own doing. Never reset within a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Processes asked for.
    pub started: u64,
    /// Processes killed, or results dropped, because the document had another owner or another outcome.
    pub duplicates: u64,
    /// Documents claimed from dead owners.
    pub taken_over: u64,
    /// Documents given away.
    pub moved: u64,
    /// Attempts that failed and were tried again.
    pub retried: u64,
}

/// One node.
#[derive(Debug, Clone)]
pub struct Node {
    me: Origin,
    settings: Settings,
    now: Micros,
    chance: Chance,
    timers: Timers,
    counters: Counters,

    // What is replicated, and on its way to be.
    state: State,
    log: Log,
    bundle: Bundle,
    ahead: BTreeMap<Origin, Bundle>,
    borrowed: BTreeMap<Origin, Borrowed>,
    /// How far the journal has got.
    writing: Writing,
    /// The disk fails.
    ailing: bool,
    /// It works again, and not all that was seen meanwhile is noted yet.
    mending: bool,
    pulling: BTreeMap<NodeId, Pulling>,
    /// Peers that have seen the same, and whose states differ from this node's all the same; since when.
    unlike: BTreeMap<NodeId, Micros>,
    next_pull: u64,
    /// What peers have, as far as their pulls have told.
    pulled: BTreeMap<NodeId, Pulled>,
    /// What this node had when it last began to wait until all peers have it.
    mark: Arc<Clock>,
    /// Peers whose logs do not reach back to what this node has seen; since when.
    gaps: BTreeMap<NodeId, Micros>,
    unacknowledged: Vec<Unacknowledged>,
    finished: BTreeSet<BatchId>,

    // Whom this node believes in.
    view: View,
    membership: Membership,
    /// There were earlier runs of this node: what a log gives to it may have been theirs.
    returning: bool,
    /// It has asked around for what they owned.
    reclaimed: bool,
    /// Documents that a log gave to this node, and that have no new epoch yet.
    found: Vec<DocId>,
    settling: Option<Settling>,

    /// Slots that it has now.
    max_process: u32,
    /// Most slots that may be in use: as many as there are or, since they have become fewer, as were in use at the last look.
    most_in_use: usize,

    // What it owns. Every open document of its own is in exactly one of these five.
    backlog: Backlog,
    offers: BTreeMap<OfferId, OfferMade>,
    running: BTreeMap<DocId, Running>,
    closing: BTreeMap<DocId, Closing>,
    resting: BTreeMap<DocId, Micros>,

    /// How often in a row the payload of a document could not be had.
    unstarted: BTreeMap<DocId, u32>,

    // Documents that it ran and lost, whose process is being killed; and ends that wait for it to catch up.
    dying: BTreeMap<(DocId, Epoch), Micros>,
    held: Vec<Held>,

    // How it levels.
    next_offer: OfferId,
    grants: BTreeMap<(NodeId, OfferId), GrantGiven>,
    dry: Option<DryPull>,
    rate: RateEstimate,
    pace: Pace,

    left: bool,
}

impl Node {
    /// A node that has just started and knows nothing.
    ///
    /// `returning`: its identity is older than this run, so that it may find documents of its own out there; it
    /// catches up with the first whom it meets before it starts any of them. `seed` settles its jitter and its choices
    /// among equals.
    pub fn new(me: Origin, settings: Settings, returning: bool, seed: u64) -> Node {
        let mut node = Node {
            me,
            now: Micros::ZERO,
            chance: Chance(seed),
            timers: Timers::default(),
            counters: Counters::default(),
            state: State::new(me.node),
            log: Log::new(),
            bundle: Bundle::default(),
            ahead: BTreeMap::new(),
            borrowed: BTreeMap::new(),
            writing: Writing::default(),
            ailing: false,
            mending: false,
            pulling: BTreeMap::new(),
            unlike: BTreeMap::new(),
            next_pull: 0,
            pulled: BTreeMap::new(),
            mark: Arc::default(),
            gaps: BTreeMap::new(),
            unacknowledged: Vec::new(),
            finished: BTreeSet::new(),
            view: View::default(),
            membership: Membership::default(),
            returning,
            reclaimed: false,
            found: Vec::new(),
            settling: None,
            max_process: settings.max_process,
            most_in_use: settings.max_process as usize,
            backlog: Backlog::new(),
            offers: BTreeMap::new(),
            running: BTreeMap::new(),
            closing: BTreeMap::new(),
            resting: BTreeMap::new(),
            unstarted: BTreeMap::new(),
            dying: BTreeMap::new(),
            held: Vec::new(),
            next_offer: OfferId(1),
            grants: BTreeMap::new(),
            dry: None,
            rate: RateEstimate::default(),
            pace: Pace::default(),
            settings,
            left: false,
        };
        // Answers to an earlier run must not be taken for answers to this one.
        node.next_pull = node.chance.next();
        node.timers.arm(Timer::Tick, Micros::ZERO);
        let phase = node.chance.below(node.settings.rebalance_interval.0);
        node.timers.arm(Timer::Average, Micros(phase));
        node
    }

    /// When the node next wants [`Input::Wake`].
    pub fn deadline(&self) -> Option<Micros> {
        self.timers.next()
    }

    /// Advances the node by one input. All effects are left in `out`, in the order in which they must happen.
    ///
    /// `now` must not run backwards; if it does, it is taken to stand still.
    pub fn step(&mut self, now: Micros, input: Input, out: &mut Outbox) {
        let before = self.now;
        self.now = before.max(now);
        self.notice_pause(before, out);
        match input {
            Input::Wake => {}
            Input::View(view) => self.see(view, out),
            Input::Received { from, message } => self.receive(from, message, out),
            Input::Submit { batch, lengths } => self.submit(batch, lengths, out),
            Input::Exited(exited) => self.exited(exited, out),
            Input::Unstarted { doc, epoch } => self.unstarted(doc, epoch, out),
            Input::Kept { doc, epoch } => self.kept(doc, epoch, out),
            Input::Cancel(batch) => self.cancel(batch, out),
            Input::Remove(batch) => self.remove(batch, out),
            Input::Drain(origin) => self.ask_to_drain(origin, out),
            Input::DiskFails => self.disk_fails(out),
            Input::DiskWorks => self.disk_works(out),
            Input::Slots(slots) => self.set_slots(slots),
        }
        while let Some(timer) = self.timers.pop(self.now) {
            match timer {
                Timer::Tick => self.tick(out),
                Timer::Average => self.average(out),
                Timer::Backoff => self.wake_resting(),
            }
        }
        self.reclaim_found(out);
        self.fill_slots(out);
        self.give_up_slots();
    }

    fn receive(&mut self, from: NodeId, message: Message, out: &mut Outbox) {
        match message {
            Message::Head { head } => self.hear_head(from, head, out),
            Message::Pull { number, generation, clock, synced, snapshot, settling, missing } => {
                self.relog_missing(&missing, out);
                let pull = Asked { number, generation, clock, synced, snapshot, settling };
                self.answer_pull(from, pull, out);
            }
            Message::Changes { number, records, more, gap, live } => {
                self.take_changes(from, number, Answer { records, more, gap }, &live, out);
            }
            Message::Snapshot { number, changes, next, complete } => {
                self.take_snapshot(from, number, changes, next, complete, out);
            }
            Message::Ahead { generation, reason, changes } => self.take_ahead(from, generation, reason, changes, out),
            Message::Offer { id, work, capacity, mean, export, docs } => {
                self.consider_offer(from, id, &Terms { work, capacity, mean, export }, &docs, out);
            }
            Message::Grant { id, accepted, load } => self.take_grant(from, id, &accepted, load, out),
            Message::Dry { want, load } => self.answer_dry(from, want, load, out),
            Message::Nothing { load } => self.take_nothing(from, load),
        }
    }

    /// Once a gossip interval: whatever is not urgent.
    fn tick(&mut self, out: &mut Outbox) {
        self.timers.arm(Timer::Tick, self.now + self.settings.gossip_interval);
        self.settle(out);
        self.expire_transfers();
        self.take_over(out);
        self.drain_step(out);
        self.flush(out);
        self.checkpoint(out);
        self.acknowledge(out);
        self.pull(out);
        self.pull_unlike(out);
        self.measure_pace();
        out.publish(self.load());
    }

    /// This run of this node.
    pub fn me(&self) -> Origin {
        self.me
    }

    /// The replicated state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The change logs.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The live nodes as this node sees them.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// What this node has counted.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Slots that this node has now.
    pub fn max_process(&self) -> u32 {
        self.max_process
    }

    /// Documents that hold a slot here: more than there are slots, for a while, where these have become fewer.
    pub fn slots_in_use(&self) -> usize {
        self.running.len() + self.dying.len() + self.closing.values().filter(|closing| closing.holds_slot).count()
    }

    /// Documents that hold a slot here: with a process, or ended and their result not kept yet.
    pub fn slots(&self) -> impl Iterator<Item = DocId> + '_ {
        let closing = self.closing.iter().filter(|(_, closing)| closing.holds_slot);
        let dying = self.dying.keys().map(|(doc, _)| doc);
        self.running.keys().chain(dying).chain(closing.map(|(doc, _)| doc)).copied()
    }

    /// The longest document that waits here and may be started: of those that a slow node would end in time, if this node is
    /// one. (As a last resort it starts its shortest instead.)
    pub fn longest_eligible(&self) -> Option<(DocId, Length)> {
        self.pace.start_limit.map_or_else(|| self.backlog.longest(), |limit| self.backlog.longest_at_most(limit))
    }

    /// Number of documents that wait here.
    pub fn waiting(&self) -> u64 {
        self.backlog.len()
    }

    /// Nodes that this one has met, in this run or an earlier one.
    pub fn company(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.membership.company.iter().copied()
    }

    /// Whether this node is giving everything away.
    pub fn is_draining(&self) -> bool {
        self.state.is_draining(self.me)
    }

    /// Whether this node takes and starts nothing, and gives away what waits: it is to leave, or its disk fails.
    pub fn gives_away(&self) -> bool {
        self.ailing || self.is_draining()
    }

    /// Whether this node's disk fails, as far as it was told.
    pub fn is_ailing(&self) -> bool {
        self.ailing
    }

    /// Whether this node has given everything away and left.
    pub fn has_left(&self) -> bool {
        self.left
    }

    /// Which attempt at a document is under way here, if any.
    pub fn attempt(&self, doc: DocId) -> Option<Attempt> {
        self.running.get(&doc).map(|running| running.attempt)
    }

    /// Number of a batch's documents that have a process: exactly those of this node, and those of others as far as they
    /// have been told of.
    pub fn running_in(&self, batch: BatchId) -> usize {
        let own = self.running.iter().filter(|(doc, _)| doc.batch == batch);
        let told = self.state.running_in(batch);
        told + own.filter(|(_, running)| !running.marked).count()
    }

    /// The same documents, by number.
    pub fn running_documents(&self, batch: BatchId) -> DocSet {
        let own = self.running.keys().filter(|doc| doc.batch == batch).map(|doc| doc.number);
        let mut all = self.state.running_documents(batch);
        all.0.extend(own.map(|number| number.0));
        all
    }

    /// Documents of a batch that rest here after a failure.
    pub fn resting_documents(&self, batch: BatchId) -> DocSet {
        self.resting.keys().filter(|doc| doc.batch == batch).map(|doc| doc.number).collect()
    }

    /// Time until a document that rests here after a failure is tried again.
    pub fn rests_for(&self, doc: DocId) -> Option<Micros> {
        self.resting.get(&doc).map(|until| until.since(self.now))
    }
}
