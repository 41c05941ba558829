//! Copies of results: where each goes when it is made. What is to be made up for when holders come and go is told by
//! `repair.rs`; this sees to it that it is done, one repair at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::Node;
use evenkeel_core::ids::{BatchId, DocId, Epoch, Generation, NodeId};
use evenkeel_net::records::ResultRecord;
use evenkeel_net::{Network, PutResults};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::engine::{Order, Orders};
use super::repair::{Occasion, Plan};
use super::room::with_room_first;
use super::surplus::Surplus;
use crate::seldom::Seldom;
use crate::store::{Results, Store};

/// Results sent to one peer at once.
const GROUP: usize = 256;

/// Bytes after which a group is large enough: those at its front wait for all of it, and hold slots.
const GROUP_BYTES: u64 = 4 << 20;

/// Time that a peer has to take results before another is asked, their size aside: their documents hold slots meanwhile.
const PATIENCE: Duration = Duration::from_secs(1);

/// Bytes in a second that a peer takes at worst. A tenth of a 100 Mbit/s link: couriers to other peers, payloads and
/// repairs share it.
const WORST_RATE: u64 = 1 << 20;

/// Time for which a peer that did not take results is passed over.
const DISTRUST: Duration = Duration::from_secs(10);

/// Time after which a result that nobody could take is offered again.
const HOMELESS: Duration = Duration::from_secs(1);

/// Time after which copies that nobody took are offered again: longer than peers are passed over. Nobody need have come or
/// gone meanwhile, as when this node could hear and not be heard.
const SCARCE: Duration = Duration::from_secs(12);

/// A result, and the nodes that are to have it.
type Parcel = (Arc<ResultRecord>, Vec<NodeId>);

/// A result on its way to other nodes.
struct Copying {
    record: Arc<ResultRecord>,
    /// Copies that are still to be confirmed.
    missing: usize,
    /// Nodes that were asked, this one included.
    asked: Vec<NodeId>,
    /// Those of them that failed.
    failed: Vec<NodeId>,
}

impl Copying {
    fn holders(&self) -> Vec<NodeId> {
        self.asked.iter().copied().filter(|asked| !self.failed.contains(asked)).collect()
    }
}

/// Says that results go to another node: while one is out of reach, that is so for every group.
#[derive(Default)]
struct Detours(Seldom);

impl Detours {
    fn tell(&self, to: NodeId, reason: &dyn std::fmt::Display) {
        if let Some(unsaid) = self.0.due() {
            tracing::warn!(node = %to, unsaid, "results go to another node: {reason}");
        }
    }
}

/// Sends copies of results, and makes new ones when a holder is lost.
pub(super) struct Copies {
    plan: Plan,
    orders: Orders,
    under_way: BTreeMap<(DocId, Epoch), Copying>,
    couriers: BTreeMap<NodeId, mpsc::UnboundedSender<Parcel>>,
    /// To this node's own disk.
    clerk: mpsc::UnboundedSender<Parcel>,
    distrusted: BTreeMap<NodeId, Instant>,
    detours: Arc<Detours>,
    repairing: Option<JoinHandle<()>>,
    /// From then on, who is not here counts as gone. Where all nodes are started again, copies would otherwise be made of
    /// what is only not back yet.
    met: Instant,
    /// The membership has changed since the repair under way was planned.
    repair_again: bool,
    /// It will be looked whether there are too few copies of something.
    scarce: bool,
    surplus: Surplus,
}

impl Drop for Copies {
    fn drop(&mut self) {
        if let Some(repairing) = &self.repairing {
            repairing.abort();
        }
    }
}

impl Copies {
    /// `meeting`: how long after the start others may still be on their way back.
    pub(super) fn new(
        node: &Node,
        copies: usize,
        network: Network,
        store: Store,
        orders: Orders,
        meeting: Duration,
    ) -> Copies {
        let me = node.me().node;
        let (clerk, received) = mpsc::unbounded_channel();
        tokio::spawn(Clerk { me, results: store.results.clone(), orders: orders.clone() }.keep(received));
        let plan = Plan::new(me, copies, network, store);
        let surplus = Surplus::new(plan.clone(), orders.clone());
        Copies {
            plan,
            orders,
            under_way: BTreeMap::new(),
            couriers: BTreeMap::new(),
            clerk,
            distrusted: BTreeMap::new(),
            detours: Arc::default(),
            repairing: None,
            met: Instant::now() + meeting,
            repair_again: false,
            scarce: false,
            surplus,
        }
    }

    /// For planning repairs elsewhere.
    pub(super) fn plan(&self) -> Plan {
        self.plan.clone()
    }

    /// Stores a result here and sends it to as many other nodes as are to have it. [`Order::Copied`] tells of each.
    pub(super) fn keep(&mut self, record: ResultRecord, node: &Node) {
        self.place(Arc::new(record), node);
    }

    /// The same, for a result that nobody could take.
    pub(super) fn again(&mut self, doc: DocId, epoch: Epoch, node: &Node) {
        if let Some(copying) = self.under_way.remove(&(doc, epoch)) {
            self.place(copying.record, node);
        }
    }

    fn place(&mut self, record: Arc<ResultRecord>, node: &Node) {
        // This node is one of those that are waited for.
        let mut copying = Copying { record: record.clone(), missing: 1, asked: vec![self.plan.me], failed: Vec::new() };
        let copies = self.plan.copies_of(node, record.doc.batch);
        let mut others = Vec::new();
        while copying.missing < copies
            && let Some(next) = self.choose(&mut copying, node)
        {
            copying.missing += 1;
            others.push(next);
        }
        // Only now is it known who all of them are.
        others.into_iter().for_each(|other| self.send(other, &copying, node));
        let place = (record.doc, record.epoch);
        // The clerk lives as long as its sender.
        let _ = self.clerk.send((record, copying.asked.clone()));
        self.under_way.insert(place, copying);
    }

    /// Returns the record if no copy is to be waited for. One that is nowhere is tried again: its document has not ended
    /// before somebody has its result.
    fn settle(&mut self, copying: Copying, copies: usize) -> Option<Arc<ResultRecord>> {
        let (doc, epoch) = (copying.record.doc, copying.record.epoch);
        if copying.missing == 0 {
            if !copying.holders().is_empty() {
                if copying.holders().len() < copies && !copying.failed.is_empty() {
                    self.look_later();
                }
                return Some(copying.record);
            }
            let orders = self.orders.clone();
            tokio::spawn(async move {
                tokio::time::sleep(HOMELESS).await;
                orders.send(Order::Homeless { doc, epoch });
            });
        }
        self.under_way.insert((doc, epoch), copying);
        None
    }

    /// The next node that should have the record; `None` if there is none left.
    fn choose(&mut self, copying: &mut Copying, node: &Node) -> Option<NodeId> {
        let doc = copying.record.doc;
        let now = Instant::now();
        self.distrusted.retain(|_, until| *until > now);
        let candidates = node.holders(doc.batch, doc.number.segment());
        let candidates = with_room_first(candidates, &self.plan.network.members().borrow());
        let mut fresh = candidates.into_iter().filter(|candidate| !copying.asked.contains(candidate));
        let trusted = |candidate: &NodeId| !self.distrusted.contains_key(candidate);
        // A distrusted one is better than none.
        let next = fresh.clone().find(trusted).or_else(|| fresh.next())?;
        copying.asked.push(next);
        Some(next)
    }

    fn send(&mut self, to: NodeId, copying: &Copying, node: &Node) {
        let courier = self.couriers.entry(to).or_insert_with(|| {
            let (sender, receiver) = mpsc::unbounded_channel();
            let courier = Courier {
                network: self.plan.network.clone(),
                to,
                generation: node.me().generation,
                orders: self.orders.clone(),
                detours: self.detours.clone(),
            };
            tokio::spawn(courier.carry(receiver));
            sender
        });
        // A courier lives as long as its sender.
        let _ = courier.send((copying.record.clone(), copying.holders()));
    }

    /// Takes note of a copy. Returns the record once enough copies are there, or as many as can be.
    pub(super) fn copied(
        &mut self,
        doc: DocId,
        epoch: Epoch,
        to: NodeId,
        success: bool,
        node: &Node,
    ) -> Option<Arc<ResultRecord>> {
        if !success && to != self.plan.me {
            self.distrusted.insert(to, Instant::now() + DISTRUST);
        }
        let mut copying = self.under_way.remove(&(doc, epoch))?;
        if !success {
            // It stays among those asked, so that it is not asked for the same twice.
            copying.failed.push(to);
            if let Some(next) = self.choose(&mut copying, node) {
                copying.missing += 1;
                self.send(next, &copying, node);
            }
        }
        // It was stored here with those in mind that were asked at first.
        if !copying.failed.is_empty() {
            self.plan.store.results.set_holders([doc], &copying.holders());
        }
        copying.missing -= 1;
        if copying.missing == 0 && !copying.failed.is_empty() {
            self.tell_who_took_it(&copying, node);
        }
        self.settle(copying, self.plan.copies_of(node, doc.batch))
    }

    /// Those who took a result before another failed believe that one to have it, and not whoever took it instead. Where they are
    /// several they are sent it again, which tells them: else they would miss a copy for ever.
    fn tell_who_took_it(&mut self, copying: &Copying, node: &Node) {
        let others: Vec<NodeId> = copying.holders().into_iter().filter(|holder| *holder != self.plan.me).collect();
        if others.len() > 1 {
            others.into_iter().for_each(|other| self.send(other, copying, node));
        }
    }

    /// A holder is gone: whatever it had gets another copy, made by the first of its other holders.
    pub(super) fn lost(&mut self, gone: NodeId, node: &Node) {
        self.couriers.remove(&gone);
        self.distrusted.remove(&gone);
        self.plan.store.strike(gone);
        self.surplus.lost(gone);
        self.replenish(node);
    }

    /// A batch is removed: what is on its way of it still gets there, since slots wait for it, and goes with the next look at
    /// what is kept.
    pub(super) fn forget(&self, batch: BatchId) {
        self.plan.store.remove_batch(batch);
    }

    /// A node has come: what has too few copies may get one there.
    pub(super) fn joined(&mut self, newcomer: NodeId, node: &Node) {
        self.distrusted.remove(&newcomer);
        self.surplus.joined(newcomer);
        self.replenish(node);
    }

    /// This node was away, and has caught up: others may have made copies of what it holds.
    pub(super) fn settled(&mut self) {
        self.surplus.settled();
    }

    /// It may be time to look what is too many.
    pub(super) fn surplus(&mut self, number: u64, node: &Node) {
        let repairing = self.repairing.is_some() || Instant::now() < self.met;
        self.surplus.due(number, repairing, node);
    }

    /// A look at what is too many is over.
    pub(super) fn looked(&mut self, number: u64, unclear: bool) {
        self.surplus.looked(number, unclear);
    }

    /// Makes up for copies that are missing, now or when the repair under way is over: it may be about to make them.
    fn replenish(&mut self, node: &Node) {
        if self.repairing.is_some() {
            self.repair_again = true;
            return;
        }
        if Instant::now() < self.met {
            self.look_later();
            return;
        }
        let repair = self.plan.repair(Occasion::Change, node);
        if !repair.is_empty() {
            tracing::info!(items = repair.len(), "making copies of what has too few");
            self.surplus.stop();
            let orders = self.orders.clone();
            self.repairing = Some(tokio::spawn(async move {
                let all = repair.run().await;
                orders.send(Order::Repaired { all });
            }));
        }
    }

    /// The repair under way is over.
    pub(super) fn repaired(&mut self, all: bool, node: &Node) {
        self.repairing = None;
        if !all {
            self.look_later();
        }
        if std::mem::take(&mut self.repair_again) {
            self.replenish(node);
        }
    }

    /// Something may have too few copies although nobody came or went.
    fn look_later(&mut self) {
        if !std::mem::replace(&mut self.scarce, true) {
            let orders = self.orders.clone();
            tokio::spawn(async move {
                tokio::time::sleep(SCARCE).await;
                orders.send(Order::Scarce);
            });
        }
    }

    /// Makes up for copies that nobody took when they were made.
    pub(super) fn scarce(&mut self, node: &Node) {
        self.scarce = false;
        self.replenish(node);
    }
}

/// Bytes of a record, nearly.
fn size(record: &ResultRecord) -> u64 {
    (record.stdout.bytes.len() + record.stderr.bytes.len()) as u64
}

/// Puts the first result, and what waits behind it, into a group. Returns its bytes.
fn gather(group: &mut Vec<Parcel>, first: Parcel, receiver: &mut mpsc::UnboundedReceiver<Parcel>) -> u64 {
    let mut bytes = size(&first.0);
    group.push(first);
    while bytes < GROUP_BYTES
        && group.len() < GROUP
        && let Ok(next) = receiver.try_recv()
    {
        bytes += size(&next.0);
        group.push(next);
    }
    bytes
}

/// Time that a peer has to take a group of so many bytes.
fn patience(bytes: u64) -> Duration {
    PATIENCE + Duration::from_secs_f64(bytes as f64 / WORST_RATE as f64)
}

/// Writes results to this node's own disk.
struct Clerk {
    me: NodeId,
    results: Results,
    orders: Orders,
}

impl Clerk {
    /// Whatever has gathered while the last group was being written is written together. The store says what is wrong with
    /// the disk; what it did not take is no copy, and somebody else must have one.
    async fn keep(self, mut received: mpsc::UnboundedReceiver<Parcel>) {
        let mut group = Vec::new();
        while received.recv_many(&mut group, GROUP).await > 0 {
            let mut by_holders: BTreeMap<Vec<NodeId>, Vec<ResultRecord>> = BTreeMap::new();
            for (record, holders) in group.drain(..) {
                by_holders.entry(holders).or_default().push(record.as_ref().clone());
            }
            let puts = by_holders.into_iter().map(|(holders, records)| self.put(holders, records));
            futures_util::future::join_all(puts).await;
        }
    }

    async fn put(&self, holders: Vec<NodeId>, records: Vec<ResultRecord>) {
        let success = self.results.put(&records, &holders).await.is_ok();
        for record in records {
            self.orders.send(Order::Copied { doc: record.doc, epoch: record.epoch, to: self.me, success });
        }
    }
}

/// Carries results to one peer.
struct Courier {
    network: Network,
    to: NodeId,
    generation: Generation,
    orders: Orders,
    detours: Arc<Detours>,
}

impl Courier {
    /// Whatever has gathered while the last group was on its way goes together.
    async fn carry(self, mut receiver: mpsc::UnboundedReceiver<Parcel>) {
        let mut group = Vec::new();
        while let Some(first) = receiver.recv().await {
            gather(&mut group, first, &mut receiver);
            let mut by_holders: BTreeMap<Vec<NodeId>, Vec<ResultRecord>> = BTreeMap::new();
            for (record, holders) in group.drain(..) {
                by_holders.entry(holders).or_default().push(record.as_ref().clone());
            }
            for (holders, records) in by_holders {
                self.hand_over(holders, records).await;
            }
        }
    }

    async fn hand_over(&self, holders: Vec<NodeId>, records: Vec<ResultRecord>) {
        let to = self.to;
        let header = PutResults { generation: self.generation, holders };
        let patience = patience(records.iter().map(size).sum());
        let put = tokio::time::timeout(patience, self.network.put_results(to, header, &records)).await;
        let success = matches!(put, Ok(Ok(())));
        match put {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.detours.tell(to, &error),
            Err(_) => self.detours.tell(to, &"this one did not take them in time"),
        }
        for record in records {
            self.orders.send(Order::Copied { doc: record.doc, epoch: record.epoch, to, success });
        }
    }
}

#[cfg(test)]
mod tests;
