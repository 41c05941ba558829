//! A look at everything that this node holds, a segment at a time: who else has it, and what may go.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use evenkeel_core::Node;
use evenkeel_core::change::{Entry, Outcome, Status};
use evenkeel_core::docset::DocSet;
use evenkeel_core::ids::{DocId, Epoch, NodeId};
use evenkeel_net::records::SegmentId;
use evenkeel_net::{Lists, ReadResults, Reading};
use tokio::time::Instant;

use super::super::engine::Orders;
use super::super::repair::Plan;
use super::CERTAIN;
use super::rule::{Known, Nodes, Verdict};

/// How often those are asked who have only been named by others.
const ROUNDS: usize = 3;

/// Nodes that are asked besides those that are named, beyond the number of copies: those that should have copies. Where nodes
/// could not see each other, each has struck the other off its lists.
const MORE: usize = 2;

/// Results that are given up at once, and bytes of them that are read for it.
const GROUP: usize = 256;
const GROUP_BYTES: usize = 4 << 20;

/// What the core knows of a segment.
struct Around {
    live: BTreeMap<NodeId, bool>,
    wanted: usize,
    candidates: Vec<NodeId>,
}

impl Around {
    /// Nothing of a batch that is not known, or removed: that is for retention.
    fn of(node: &Node, segment: SegmentId) -> Option<Around> {
        let state = node.state();
        let batch = state.batch(segment.batch).filter(|_| !state.is_removed(segment.batch))?;
        let wanted = batch.description().options.copies();
        let peers = node.view().live.iter().map(|(peer, seen)| (*peer, !seen.load.draining));
        let live = peers.chain([(node.me().node, !node.is_draining())]).collect();
        Some(Around { live, wanted, candidates: node.first_holders(segment.batch, segment.segment, wanted + MORE) })
    }
}

/// What a node holds of a segment.
#[derive(Debug, Clone, Default)]
struct Told {
    payloads: Option<Nodes>,
    results: Vec<(Nodes, DocSet)>,
    read: Vec<ReadResults>,
}

impl From<Lists> for Told {
    fn from(lists: Lists) -> Told {
        let results = lists.results.into_iter().map(|held| (held.holders.into_iter().collect(), held.docs));
        Told {
            payloads: lists.payloads.map(|holders| holders.into_iter().collect()),
            results: results.collect(),
            read: lists.read,
        }
    }
}

impl Told {
    fn named(&self) -> impl Iterator<Item = NodeId> {
        let results = self.results.iter().flat_map(|(holders, _)| holders);
        self.payloads.iter().flatten().chain(results).copied()
    }

    /// Whether it has read a result of this document that is this one, or that is kept where both are.
    fn has_read(&self, doc: DocId, own: &Entry) -> bool {
        let read = self.read.iter().filter(|read| read.docs.contains(doc.number));
        read.map(|read| entry(read.epoch, read.node, read.outcome)).any(|theirs| !theirs.compare(own).is_lt())
    }
}

fn entry(epoch: Epoch, node: NodeId, outcome: Outcome) -> Entry {
    Entry { epoch, node, status: Status::Ended(outcome) }
}

/// What is known of a segment: what all that have answered hold of it, this node among them.
struct Seen {
    me: NodeId,
    around: Around,
    told: BTreeMap<NodeId, Told>,
}

impl Seen {
    fn known<'a>(&'a self, lists: BTreeMap<NodeId, Option<&'a Nodes>>) -> Known<'a> {
        Known { me: self.me, lists, live: &self.around.live, wanted: self.around.wanted }
    }

    fn payloads(&self) -> Option<Verdict> {
        self.told[&self.me].payloads.as_ref()?;
        let lists = self.told.iter().map(|(node, told)| (*node, told.payloads.as_ref())).collect();
        Some(self.known(lists).judge())
    }

    /// What is to become of the results of these documents that are held here.
    fn results(&self, docs: &DocSet) -> BTreeMap<Verdict, DocSet> {
        // Documents of which all say the same are judged together.
        let mut parts = vec![(docs.clone(), BTreeMap::new())];
        for (node, told) in &self.told {
            let mut finer = Vec::new();
            for (mut rest, lists) in parts {
                for (holders, held) in &told.results {
                    let both = DocSet(&rest.0 & &held.0);
                    if !both.is_empty() {
                        rest = DocSet(rest.0 - &both.0);
                        let mut lists: BTreeMap<NodeId, Option<&Nodes>> = lists.clone();
                        lists.insert(*node, Some(holders));
                        finer.push((both, lists));
                    }
                }
                if !rest.is_empty() && *node != self.me {
                    let mut lists = lists;
                    lists.insert(*node, None);
                    finer.push((rest, lists));
                }
            }
            parts = finer;
        }
        let mut verdicts: BTreeMap<Verdict, DocSet> = BTreeMap::new();
        for (docs, lists) in parts {
            verdicts.entry(self.known(lists).judge()).or_default().0 |= docs.0;
        }
        verdicts
    }

    /// All results that are held here.
    fn own_results(&self) -> DocSet {
        self.told[&self.me].results.iter().fold(DocSet::new(), |all, (_, docs)| DocSet(all.0 | &docs.0))
    }
}

/// See above.
pub(super) struct Look {
    plan: Plan,
    orders: Orders,
    released: (usize, usize),
    unclear: bool,
}

impl Look {
    pub(super) fn new(plan: Plan, orders: Orders) -> Look {
        Look { plan, orders, released: (0, 0), unclear: false }
    }

    /// Gives up what may go. True if something is unclear.
    pub(super) async fn run(mut self) -> bool {
        for segment in self.plan.store.segments() {
            self.segment(segment).await;
        }
        let (payloads, results) = self.released;
        if payloads + results > 0 {
            tracing::info!(payloads, results, "gave up copies of which others have enough");
        }
        self.unclear
    }

    async fn around(&self, segment: SegmentId) -> Option<Around> {
        self.orders.ask(move |node| Around::of(node, segment)).await.flatten()
    }

    async fn segment(&mut self, segment: SegmentId) {
        let Some(around) = self.around(segment).await else { return };
        let seen = self.see(segment, around).await;
        match seen.payloads() {
            Some(Verdict::Release(others)) => self.release_payloads(segment, others).await,
            Some(Verdict::Unclear) => self.unclear = true,
            Some(Verdict::Keep) | None => {}
        }
        for (verdict, docs) in seen.results(&seen.own_results()) {
            match verdict {
                Verdict::Release(others) => self.release_results(segment, &others, &docs).await,
                Verdict::Unclear => self.unclear = true,
                Verdict::Keep => {}
            }
        }
    }

    fn own(&self, segment: SegmentId) -> Told {
        let results = self.plan.store.results.of_segment(segment);
        Told {
            payloads: self.plan.store.payloads.holders(segment).map(|holders| holders.iter().copied().collect()),
            results: results.into_iter().map(|(holders, docs)| (holders.iter().copied().collect(), docs)).collect(),
            read: Vec::new(),
        }
    }

    /// Asks who should have it, those that lists name, and those that theirs name.
    async fn see(&self, segment: SegmentId, around: Around) -> Seen {
        let me = self.plan.me;
        let mut told = BTreeMap::from([(me, self.own(segment))]);
        let mut asked = Nodes::from([me]);
        for _ in 0..ROUNDS {
            let named = told.values().flat_map(Told::named).chain(around.candidates.iter().copied());
            let next: Nodes = named.filter(|node| around.live.contains_key(node) && !asked.contains(node)).collect();
            if next.is_empty() {
                break;
            }
            asked.extend(&next);
            told.extend(self.ask(&next, segment, &Reading::default()).await);
        }
        Seen { me, around, told }
    }

    /// Who does not answer is not in the answer.
    async fn ask(&self, nodes: &Nodes, segment: SegmentId, reading: &Reading) -> Vec<(NodeId, Told)> {
        let answers = nodes.iter().map(async |node| {
            let asking = self.plan.network.get_lists(*node, segment, reading.clone());
            match tokio::time::timeout(CERTAIN, asking).await {
                Ok(Ok(lists)) => Some((*node, Told::from(lists))),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "it is not known what another node holds");
                    None
                }
                Err(_) => None,
            }
        });
        futures_util::future::join_all(answers).await.into_iter().flatten().collect()
    }

    /// Has these nodes read theirs, and looks at everything once more. `None`: nobody can say any more.
    async fn see_again(&self, segment: SegmentId, others: &Nodes, reading: &Reading) -> Option<Seen> {
        // Those of this node's own lists, too, as they are now.
        let around = self.around(segment).await?;
        let mut seen = self.see(segment, around).await;
        // What they said without reading does not count.
        seen.told.retain(|node, _| !others.contains(node));
        seen.told.extend(self.ask(others, segment, reading).await);
        Some(seen)
    }

    async fn release_payloads(&mut self, segment: SegmentId, others: Nodes) {
        let begun = Instant::now();
        let reading = Reading { payloads: true, results: DocSet::new() };
        let seen = self.see_again(segment, &others, &reading).await;
        let certain = seen.is_some_and(|seen| seen.payloads() == Some(Verdict::Release(others)));
        self.release(segment, begun, certain, &DocSet::new());
    }

    async fn release_results(&mut self, segment: SegmentId, others: &Nodes, docs: &DocSet) {
        let mut rest = docs.iter().map(|number| DocId { batch: segment.batch, number }).peekable();
        while rest.peek().is_some() {
            let (mut own, mut bytes): (BTreeMap<DocId, Entry>, usize) = (BTreeMap::new(), 0);
            while own.len() < GROUP
                && bytes < GROUP_BYTES
                && let Some(doc) = rest.next()
            {
                // What cannot be read here is not here.
                if let Ok(Some(record)) = self.plan.store.results.get(doc) {
                    bytes += record.stdout.bytes.len() + record.stderr.bytes.len();
                    own.insert(doc, entry(record.epoch, record.node, record.outcome));
                }
            }
            let begun = Instant::now();
            let wanted: DocSet = own.keys().map(|doc| doc.number).collect();
            let reading = Reading { payloads: false, results: wanted.clone() };
            let Some(seen) = self.see_again(segment, others, &reading).await else {
                self.unclear = true;
                continue;
            };
            let goes = seen.results(&wanted).remove(&Verdict::Release(others.clone())).unwrap_or_default();
            // Two nodes may have run a document. The result that is kept must not go because there is another.
            let read = |doc: &DocId| {
                let has = |other| seen.told.get(other).is_some_and(|told: &Told| told.has_read(*doc, &own[doc]));
                others.iter().all(has)
            };
            let certain = own.keys().filter(|doc| goes.contains(doc.number) && read(doc));
            let certain: DocSet = certain.map(|doc| doc.number).collect();
            self.unclear |= certain.len() < wanted.len();
            self.release(segment, begun, false, &certain);
        }
    }

    /// Gives up what it is certain of.
    fn release(&mut self, segment: SegmentId, begun: Instant, payloads: bool, results: &DocSet) {
        self.unclear |= !payloads && results.is_empty();
        if !payloads && results.is_empty() {
            return;
        }
        let in_time = begun.elapsed() <= CERTAIN;
        match in_time.then(|| self.plan.store.release(segment, payloads, results)).flatten() {
            Some((payloads, results)) => {
                self.released.0 += payloads;
                self.released.1 += results;
                self.plan.given_up.fetch_add((payloads + results) as u64, Ordering::Relaxed);
            }
            None => self.unclear = true,
        }
    }
}
