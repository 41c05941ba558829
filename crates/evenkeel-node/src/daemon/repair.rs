//! What must be copied anew when holders are lost, come, or are about to leave; and the copying.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use evenkeel_core::Node;
use evenkeel_core::ids::{BatchId, DocId, Generation, NodeId};
use evenkeel_net::records::{ResultRecord, SegmentId};
use evenkeel_net::{Member, Members, Network, PutResults};

use super::room::with_room_first;
use crate::seldom::Seldom;
use crate::store::Store;

/// Results sent to one peer at once.
const GROUP: usize = 256;

/// Bytes of results read into memory at once.
const GROUP_BYTES: usize = 4 << 20;

/// Nodes that are asked to take a copy, one after the other, before it is given up for this time.
const HEIRS: usize = 4;

/// Why copies are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Occasion {
    /// A node has come or gone.
    Change,
    /// This node leaves: what nobody else has.
    LeavingSole,
    /// This node leaves: everything that will have too few copies.
    Leaving,
}

/// Nodes that are to have copies of each batch.
pub(super) fn wanted(node: &Node) -> BTreeMap<BatchId, usize> {
    node.state().batches().map(|(id, batch)| (id, batch.description().options.copies())).collect()
}

/// Finds out what must be copied anew.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) me: NodeId,
    pub(super) copies: usize,
    pub(super) network: Network,
    pub(super) store: Store,
    /// Payload segments and results given up here since the node started, because others have enough copies.
    pub(super) given_up: Arc<AtomicU64>,
    line: Arc<Seldom>,
}

/// Who is to have copies: the holders that stay, and the nodes that may become one more, best first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Places {
    staying: Vec<NodeId>,
    heirs: Vec<NodeId>,
    /// Copies that there are to be.
    wanted: usize,
}

impl Places {
    fn with(&self, heir: NodeId) -> Vec<NodeId> {
        self.staying.iter().copied().chain([heir]).collect()
    }

    /// Whether one more copy makes it complete.
    fn lack_one(&self) -> bool {
        self.staying.len() + 1 >= self.wanted
    }
}

impl Plan {
    pub(super) fn new(me: NodeId, copies: usize, network: Network, store: Store) -> Plan {
        Plan { me, copies, network, store, given_up: Arc::default(), line: Arc::default() }
    }

    /// Nodes that are to have copies of a batch; of one that is not known yet, as many as of any.
    pub(super) fn copies_of(&self, node: &Node, batch: BatchId) -> usize {
        node.state().batch(batch).map_or(self.copies, |state| state.description().options.copies())
    }

    /// Number of payload segments and results held here of which fewer live nodes have a copy than should, or than there are
    /// that stay.
    pub(super) fn missing(&self, members: &Members, wanted: &BTreeMap<BatchId, usize>) -> usize {
        let draining = |member: &Member| member.load.as_ref().is_some_and(|load| load.draining);
        let staying = members.live.values().filter(|member| !draining(member)).count();
        let wanted = |batch| wanted.get(&batch).copied().unwrap_or(self.copies).min(1 + staying);
        // What this node holds it holds, whatever the list says.
        let others = |holders: &[NodeId]| {
            holders.iter().filter(|holder| **holder != self.me && members.live.contains_key(holder)).count()
        };
        let lacks = |batch, holders: &[NodeId]| 1 + others(holders) < wanted(batch);
        let entrusted = self.store.payloads.entrusted();
        let payloads = entrusted.iter().filter(|(segment, holders)| lacks(segment.batch, holders)).count();
        payloads + self.store.results.held_by(lacks).len()
    }

    /// What has to be copied on this occasion.
    pub(super) fn repair(&self, occasion: Occasion, node: &Node) -> Repair {
        let stays = |holder: &NodeId| match *holder == self.me {
            true => occasion == Occasion::Change,
            false => node.view().live.contains_key(holder),
        };
        let staying = |holders: &[NodeId]| -> Vec<NodeId> { holders.iter().copied().filter(stays).collect() };
        // Where the disk has lost who the holders are, this node knows of itself.
        let first = |staying: &[NodeId]| staying.first().copied().unwrap_or(self.me);
        let lacks = |batch, holders: &[NodeId]| {
            let copies = self.copies_of(node, batch);
            let staying = staying(holders);
            match occasion {
                // Of several holders the first makes the copy.
                Occasion::Change => staying.len() < copies && first(&staying) == self.me,
                Occasion::LeavingSole => staying.is_empty(),
                Occasion::Leaving => staying.len() < copies,
            }
        };
        let members = self.network.members().borrow().clone();
        let places = |segment: SegmentId, holders: &[NodeId]| {
            let candidates = node.holders(segment.batch, segment.segment).into_iter();
            let candidates = candidates.filter(|heir| stays(heir) && !holders.contains(heir));
            let mut heirs = with_room_first(candidates, &members);
            heirs.truncate(HEIRS);
            let wanted = match occasion {
                Occasion::LeavingSole => 1,
                Occasion::Change | Occasion::Leaving => self.copies_of(node, segment.batch),
            };
            (!heirs.is_empty()).then(|| Places { staying: staying(holders), heirs, wanted })
        };
        let entrusted =
            self.store.payloads.entrusted().into_iter().filter(|(segment, holders)| lacks(segment.batch, holders));
        let payloads = entrusted.filter_map(|(segment, holders)| Some((segment, places(segment, &holders)?))).collect();
        let mut results: BTreeMap<Places, Vec<DocId>> = BTreeMap::new();
        for (doc, holders) in self.store.results.held_by(lacks) {
            let segment = SegmentId { batch: doc.batch, segment: doc.number.segment() };
            if let Some(places) = places(segment, &holders) {
                results.entry(places).or_default().push(doc);
            }
        }
        Repair { plan: self.clone(), generation: node.me().generation, payloads, results }
    }
}

/// Copies to be made.
pub(super) struct Repair {
    plan: Plan,
    generation: Generation,
    payloads: Vec<(SegmentId, Places)>,
    results: BTreeMap<Places, Vec<DocId>>,
}

impl Repair {
    pub(super) fn is_empty(&self) -> bool {
        self.payloads.is_empty() && self.results.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.payloads.len() + self.results.values().map(Vec::len).sum::<usize>()
    }

    /// Makes one more of each, one after the other, so that the cluster's work goes on beside. True if nothing is missing then.
    pub(super) async fn run(self) -> bool {
        let mut all = true;
        for (segment, places) in &self.payloads {
            all &= self.copy_payloads(*segment, places).await;
        }
        for (places, docs) in &self.results {
            let mut rest = docs.as_slice();
            while !rest.is_empty() {
                let (group, after) = self.read(rest);
                all &= self.copy_results(places, &group).await;
                rest = after;
            }
        }
        all
    }

    async fn copy_payloads(&self, segment: SegmentId, places: &Places) -> bool {
        // What cannot be read here is not here; its other holders have it.
        let Ok(Some(found)) = self.plan.store.payloads.get(segment) else { return true };
        for heir in &places.heirs {
            let holders = places.with(*heir);
            match self.plan.network.put_payloads(*heir, segment, &holders, &found).await {
                Ok(()) => {
                    self.plan.store.payloads.set_holders(segment, &holders);
                    for other in self.others(places) {
                        if let Err(error) = self.plan.network.put_payloads(other, segment, &holders, &found).await {
                            tracing::debug!(%error, %other, "a holder is not told who else has a copy now");
                        }
                    }
                    return places.lack_one();
                }
                Err(error) => self.complain(&error),
            }
        }
        false
    }

    /// The first results, as many as make a group, and the documents whose turn is after them.
    fn read<'a>(&self, docs: &'a [DocId]) -> (Vec<ResultRecord>, &'a [DocId]) {
        let (mut group, mut bytes, mut read) = (Vec::new(), 0, 0);
        while read < docs.len() && read < GROUP && bytes < GROUP_BYTES {
            // What cannot be read here is not here.
            if let Ok(Some(record)) = self.plan.store.results.get(docs[read]) {
                bytes += record.stdout.bytes.len() + record.stderr.bytes.len();
                group.push(record);
            }
            read += 1;
        }
        (group, &docs[read..])
    }

    async fn copy_results(&self, places: &Places, group: &[ResultRecord]) -> bool {
        for heir in &places.heirs {
            let holders = places.with(*heir);
            let header = PutResults { generation: self.generation, holders: holders.clone() };
            match self.plan.network.put_results(*heir, header, group).await {
                Ok(()) => {
                    self.plan.store.results.set_holders(group.iter().map(|record| record.doc), &holders);
                    for other in self.others(places) {
                        let header = PutResults { generation: self.generation, holders: holders.clone() };
                        if let Err(error) = self.plan.network.put_results(other, header, group).await {
                            tracing::debug!(%error, %other, "a holder is not told who else has a copy now");
                        }
                    }
                    return places.lack_one();
                }
                Err(error) => self.complain(&error),
            }
        }
        false
    }

    /// Other nodes that have a copy already. Where there are any, more than two copies are wanted: they are told who has the new
    /// one by being sent the same, or they would miss it for ever.
    fn others<'a>(&self, places: &'a Places) -> impl Iterator<Item = NodeId> + use<'a> {
        let me = self.plan.me;
        places.staying.iter().copied().filter(move |holder| *holder != me)
    }

    fn complain(&self, error: &evenkeel_net::RequestError) {
        if let Some(unsaid) = self.plan.line.due() {
            tracing::warn!(%error, unsaid, "a copy was not made; another node is asked");
        }
    }
}

#[cfg(test)]
mod tests;
