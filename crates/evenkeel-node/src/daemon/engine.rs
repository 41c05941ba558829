//! The loop around the core: everything that happens to a node becomes an input, every effect something done.
//!
//! One task owns the core. It never waits for a disk, a peer or a process: what takes time is done elsewhere and comes
//! back as an [`Order`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::batch::Batch;
use evenkeel_core::ids::{BatchId, DocId, Epoch, NodeId};
use evenkeel_core::journal::{Failed, Gate};
use evenkeel_core::outbox::{Claim, Event, Verdict};
use evenkeel_core::units::{Length, Micros};
use evenkeel_core::{Effect, Exited, Input, Node, Outbox};
use evenkeel_net::records::{Captured, Exit, ResultRecord, SegmentId};
use evenkeel_net::{Members, Network};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::copies::Copies;
use super::news::News;
use super::notes::Notes;
use super::pulse::{BEAT, Doing, Ends};
use super::slots::Ledger;
use super::starter::Starter;
use super::surroundings::Surroundings;
use super::traces::Traces;
use crate::process::Ended;

/// Orders handled before effects are looked after and timers are looked at.
const TURN: usize = 256;

/// A question about the core's state.
pub(super) type Question = Box<dyn FnOnce(&Node) + Send>;

/// Something for the loop to do.
pub(super) enum Order {
    /// Tell the core.
    Input(Input),
    /// A process has ended.
    Ended(Ended),
    /// A segment's payloads have been fetched, or cannot be had.
    Fetched { segment: SegmentId, success: bool },
    /// A copy of a result has reached a node, or has not.
    Copied { doc: DocId, epoch: Epoch, to: NodeId, success: bool },
    /// A result that nobody could take, this node included, is to be tried again.
    Homeless { doc: DocId, epoch: Epoch },
    /// The copies that were missing have been made: all of them, or not.
    Repaired { all: bool },
    /// Something has had too few copies for a while.
    Scarce,
    /// It may be looked what has too many, unless another look is to be.
    Surplus { number: u64 },
    /// That has been looked at, and cannot be said of all.
    Looked { number: u64, unclear: bool },
    /// All notes up to this one are on the disk.
    Synced(u64),
    /// The disk fails.
    DiskFails,
    /// It works again.
    DiskWorks,
    /// Take a batch; the number of nodes that have it is the answer.
    Submit { batch: Batch, lengths: Vec<Length>, reply: oneshot::Sender<usize> },
    /// Answer a question about the state.
    Ask(Question),
}

/// Sends orders to the loop. An order sent after the loop has ended is lost, as is everything then.
#[derive(Clone)]
pub(super) struct Orders(pub(super) mpsc::UnboundedSender<Order>);

impl Orders {
    pub(super) fn send(&self, order: Order) {
        // An error means that the loop has ended.
        let _ = self.0.send(order);
    }

    pub(super) fn input(&self, input: Input) {
        self.send(Order::Input(input));
    }

    /// Asks the core something; `None` if the loop has ended.
    pub(super) async fn ask<T: Send + 'static>(&self, question: impl FnOnce(&Node) -> T + Send + 'static) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.send(Order::Ask(Box::new(move |node| {
            // An error means that nobody waits for the answer any more.
            let _ = reply.send(question(node));
        })));
        answer.await.ok()
    }
}

/// What the rest of the daemon may watch.
pub(super) struct Signals {
    /// Changes whenever the state may have.
    pub(super) changed: watch::Sender<u64>,
    /// Set once the core has given everything away: documents left behind.
    pub(super) leave: watch::Sender<Option<u64>>,
    /// Results of documents whose outcome this node has written, as they are.
    pub(super) outcomes: Option<mpsc::UnboundedSender<ResultRecord>>,
}

/// The loop's own things.
pub(super) struct Engine {
    pub(super) node: Node,
    /// What the core wanted done when it began.
    pub(super) out: Outbox,
    /// What the disk tells beside the journal: known before anything is started.
    pub(super) found: Option<Input>,
    /// What waits for the disk.
    pub(super) gate: Gate,
    pub(super) journal: Notes,
    pub(super) born: Instant,
    pub(super) orders: mpsc::UnboundedReceiver<Order>,
    pub(super) members: watch::Receiver<Arc<Members>>,
    pub(super) network: Network,
    pub(super) starter: Starter,
    pub(super) copies: Copies,
    pub(super) news: News,
    /// What documents took, where the node finds out by itself how many it can run.
    pub(super) ledger: Option<Arc<Ledger>>,
    pub(super) signals: Signals,
    pub(super) surroundings: Arc<dyn Surroundings>,
    pub(super) ended: BTreeMap<(DocId, Epoch), Ended>,
    pub(super) awaiting: BTreeMap<BatchId, oneshot::Sender<usize>>,
    pub(super) pulse: Ends,
    pub(super) traces: Option<Traces>,
}

impl Engine {
    /// Runs until every sender of orders is gone.
    pub(super) async fn run(mut self) {
        let mut out = std::mem::take(&mut self.out);
        let mut turn = Vec::with_capacity(TURN);
        let first = self.found.take().unwrap_or(Input::Wake);
        self.step(first, &mut out);
        loop {
            self.pulse.0.turned(&self.node);
            self.news.look(&self.node, Instant::now());
            let deadline = self.node.deadline().map(|at| self.born + Duration::from_micros(at.0));
            let due = deadline.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
            // A loop that is well turns now and then also when it has nothing to do.
            let beat = Instant::now() + BEAT;
            let begun;
            tokio::select! {
                received = self.orders.recv_many(&mut turn, TURN) => {
                    if received == 0 {
                        return;
                    }
                    begun = Instant::now();
                }
                () = tokio::time::sleep_until(due.min(beat)) => {
                    begun = Instant::now();
                    if begun < due {
                        continue;
                    }
                    self.pulse.0.timer(begun - due);
                    self.pulse.0.does(Doing::Timers);
                    self.step(Input::Wake, &mut out);
                }
                Ok(()) = self.members.changed() => {
                    begun = Instant::now();
                    self.pulse.0.does(Doing::Membership);
                    let members = self.members.borrow_and_update().clone();
                    if !members.live.is_empty() {
                        self.pulse.0.meets();
                    }
                    self.news.see(&members);
                    self.step(Input::View(members.view()), &mut out);
                }
            }
            for order in turn.drain(..) {
                self.pulse.0.does(Doing::of(&order));
                self.handle(order, &mut out);
            }
            self.signals.changed.send_modify(|version| *version += 1);
            self.news.turned(begun.elapsed());
        }
    }

    fn now(&self) -> Micros {
        Micros(self.born.elapsed().as_micros() as u64)
    }

    fn handle(&mut self, order: Order, out: &mut Outbox) {
        match order {
            Order::Input(input) => {
                if let Input::Slots(slots) = input {
                    self.pulse.0.has_slots(slots.max(1));
                }
                self.step(input, out);
            }
            Order::Ask(question) => question(&self.node),
            // The disk has failed since the upload began: the client hears it, as do those who were already waiting.
            Order::Submit { batch, .. } if self.node.is_ailing() => self.step(Input::Remove(batch.id), out),
            Order::Submit { batch, lengths, reply } => {
                self.awaiting.insert(batch.id, reply);
                self.step(Input::Submit { batch, lengths }, out);
            }
            Order::Ended(ended) => {
                let success = ended.exit == Exit::Status(0) && !ended.stopped;
                let exited = Exited { doc: ended.doc, epoch: ended.epoch, success, took: Micros(ended.wall_micros) };
                self.news.ran(&ended);
                if let Some(ledger) = &self.ledger {
                    ledger.note(&ended, self.node.weight(ended.doc));
                }
                self.ended.insert((ended.doc, ended.epoch), ended);
                self.step(Input::Exited(exited), out);
            }
            Order::Fetched { segment, success } => {
                for input in self.starter.fetched(segment, success, &self.node) {
                    self.step(input, out);
                }
            }
            Order::Repaired { all } => self.copies.repaired(all, &self.node),
            Order::Scarce => self.copies.scarce(&self.node),
            Order::Surplus { number } => self.copies.surplus(number, &self.node),
            Order::Looked { number, unclear } => self.copies.looked(number, unclear),
            Order::Homeless { doc, epoch } => self.copies.again(doc, epoch, &self.node),
            Order::Synced(through) => self.synced(through, out),
            Order::DiskFails => self.disk_fails(out),
            Order::DiskWorks => {
                self.journal.0.journal.resume();
                self.step(Input::DiskWorks, out);
            }
            Order::Copied { doc, epoch, to, success } => {
                if let Some(record) = self.copies.copied(doc, epoch, to, success, &self.node) {
                    self.kept(&record, out);
                }
            }
        }
    }

    /// Tells the core something, and does what it wants done, as soon as the disk lets it.
    fn step(&mut self, input: Input, out: &mut Outbox) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            if let Some(traces) = &mut self.traces {
                traces.hear(&input);
            }
            let now = self.now();
            self.node.step(now, input, out);
            self.gate.take(out, &mut self.journal);
            self.pass(&mut inputs);
        }
    }

    /// What waited for the disk need not wait any more.
    fn synced(&mut self, through: u64, out: &mut Outbox) {
        self.gate.synced(through);
        let mut inputs = VecDeque::new();
        self.pass(&mut inputs);
        for input in inputs {
            self.step(input, out);
        }
    }

    /// What waited for the disk is lost with what was to be written.
    fn disk_fails(&mut self, out: &mut Outbox) {
        let Failed { effects, inputs } = self.gate.fail();
        // Whoever waits for an acknowledgement hears that this node cannot say whether the batch is safe.
        self.awaiting.clear();
        self.step(Input::DiskFails, out);
        let more: Vec<Input> = effects.into_iter().filter_map(|effect| self.perform(effect)).collect();
        for input in inputs.into_iter().chain(more) {
            self.step(input, out);
        }
    }

    /// Does what need not wait for the disk. What the core is to be told of that is added to the inputs.
    fn pass(&mut self, inputs: &mut VecDeque<Input>) {
        while let Some(effect) = self.gate.pass() {
            inputs.extend(self.perform(effect));
        }
    }

    fn perform(&mut self, effect: Effect) -> Option<Input> {
        if let Some(traces) = &mut self.traces {
            traces.see(&effect);
        }
        match effect {
            Effect::Send { to, message } => self.network.send(to, &message),
            Effect::Publish(load) => self.network.publish(load),
            Effect::Start(claim) => return self.starter.start(claim, &self.node),
            Effect::Kill { doc, epoch } => return self.starter.kill(doc, epoch),
            Effect::Keep(verdict) => {
                let ended = self.ended.remove(&(verdict.doc, verdict.epoch));
                let record = record(&self.node, &verdict, ended, self.surroundings.unix_micros());
                self.copies.keep(record, &self.node);
            }
            Effect::Discard { doc, epoch } => drop(self.ended.remove(&(doc, epoch))),
            Effect::Acknowledge { batch, copies } => {
                if let Some(reply) = self.awaiting.remove(&batch) {
                    // An error means that the client is gone; the batch is accepted all the same.
                    let _ = reply.send(copies);
                }
            }
            Effect::Leave { left_behind } => drop(self.signals.leave.send_replace(Some(left_behind))),
            Effect::Note { .. } | Effect::Forget { .. } => unreachable!("the gate gives these to the journal"),
            Effect::Observe(event) => {
                match event {
                    Event::Silent(node) => self.copies.lost(node, &self.node),
                    Event::Joined(node) => self.copies.joined(node, &self.node),
                    Event::Settled => self.copies.settled(),
                    Event::BatchRemoved(batch) => {
                        self.copies.forget(batch);
                        self.starter.forget(batch);
                    }
                    _ => {}
                }
                self.news.tell(event, &self.node);
            }
        }
        None
    }

    fn kept(&mut self, record: &Arc<ResultRecord>, out: &mut Outbox) {
        if let Some(outcomes) = &self.signals.outcomes {
            // An error means that nobody listens any more.
            let _ = outcomes.send(record.as_ref().clone());
        }
        self.step(Input::Kept { doc: record.doc, epoch: record.epoch }, out);
    }
}

/// The result that goes with a verdict, at this time.
fn record(node: &Node, verdict: &Verdict, ended: Option<Ended>, unix_micros: u64) -> ResultRecord {
    let Verdict { doc, epoch, attempt, outcome, poison } = verdict.clone();
    let blank = ResultRecord {
        doc,
        epoch,
        attempt,
        node: node.me().node,
        outcome,
        exit: if poison { Exit::Poison } else { Exit::NotStarted("its process left no trace".to_owned()) },
        started_unix_micros: unix_micros,
        wall_micros: 0,
        user_micros: 0,
        system_micros: 0,
        max_rss_bytes: 0,
        stdout: Captured::default(),
        stderr: Captured::default(),
    };
    let Some(ended) = ended else { return blank };
    ResultRecord {
        exit: ended.exit,
        started_unix_micros: ended.started_unix_micros,
        wall_micros: ended.wall_micros,
        user_micros: ended.user_micros,
        system_micros: ended.system_micros,
        max_rss_bytes: ended.max_rss_bytes,
        stdout: ended.stdout,
        stderr: ended.stderr,
        ..blank
    }
}

/// Ends a claim that never had a process.
pub(super) fn never_ran(claim: &Claim) -> Input {
    Input::Exited(Exited { doc: claim.doc, epoch: claim.epoch, success: false, took: Micros::ZERO })
}
