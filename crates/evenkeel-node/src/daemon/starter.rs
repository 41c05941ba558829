//! From a claim to a process: the batch's template, and the payload, from here or from a node that has it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use evenkeel_core::ids::{BatchId, DocId, Epoch, NodeId};
use evenkeel_core::outbox::Claim;
use evenkeel_core::{Input, Node};
use evenkeel_net::records::SegmentId;
use evenkeel_net::{MAX_CAPTURE, Network};

use super::engine::{Order, Orders, never_ran};
use crate::process::{Execute, Job, Template};
use crate::seldom::Seldom;
use crate::store::{Payloads, SegmentBytes};

/// Starts processes for claims.
pub(super) struct Starter {
    executor: Arc<dyn Execute>,
    network: Network,
    payloads: Payloads,
    orders: Orders,
    templates: BTreeMap<BatchId, Arc<Template>>,
    /// Claims that wait for the payloads of their segment.
    waiting: BTreeMap<SegmentId, Vec<Claim>>,
    missing: Seldom,
}

impl Starter {
    pub(super) fn new(executor: Arc<dyn Execute>, network: Network, payloads: Payloads, orders: Orders) -> Starter {
        Starter {
            executor,
            network,
            payloads,
            orders,
            templates: BTreeMap::new(),
            waiting: BTreeMap::new(),
            missing: Seldom::default(),
        }
    }

    /// Starts the claim's process, or begins to fetch its payload. Returns what to tell the core if neither can be.
    pub(super) fn start(&mut self, claim: Claim, node: &Node) -> Option<Input> {
        // Read here, on the loop: it was written or fetched not long ago, and is in memory more often than not.
        match self.payloads.document(claim.doc) {
            Ok(Some(payload)) => self.run(&claim, payload, node),
            Ok(None) => {
                self.fetch(claim, node);
                None
            }
            Err(error) => {
                tracing::error!(document = %claim.doc, %error, "cannot read a payload from the data directory");
                Some(unstarted(&claim))
            }
        }
    }

    fn run(&mut self, claim: &Claim, payload: Bytes, node: &Node) -> Option<Input> {
        let Some(batch) = node.state().batch(claim.doc.batch) else { return Some(unstarted(claim)) };
        let description = batch.description();
        let template = match self.templates.get(&description.id) {
            Some(template) => template.clone(),
            None => match Template::parse(&description.command) {
                Ok(template) => {
                    let template = Arc::new(template);
                    self.templates.insert(description.id, template.clone());
                    template
                }
                Err(error) => {
                    tracing::error!(batch = %description.id, %error, "a batch with a command that is none");
                    return Some(never_ran(claim));
                }
            },
        };
        let options = &description.options;
        self.executor.run(Job {
            doc: claim.doc,
            epoch: claim.epoch,
            attempt: claim.attempt,
            template,
            payload,
            timeout: options.timeout_millis.map(Duration::from_millis),
            // More would be a result that cannot be sent; a peer with other limits may have taken the batch.
            capture_bytes: options.capture_bytes.min(MAX_CAPTURE),
        });
        None
    }

    fn fetch(&mut self, claim: Claim, node: &Node) {
        let segment = SegmentId { batch: claim.doc.batch, segment: claim.doc.number.segment() };
        let waiting = self.waiting.entry(segment).or_default();
        waiting.push(claim);
        if waiting.len() > 1 {
            return;
        }
        let batch = node.state().batch(segment.batch);
        let documents = batch.map_or(0, |batch| batch.description().documents_in(segment.segment));
        let candidates = sources(node, segment);
        let (network, payloads, orders) = (self.network.clone(), self.payloads.clone(), self.orders.clone());
        tokio::spawn(async move {
            let success = fetch(&network, &payloads, segment, documents, &candidates).await;
            orders.send(Order::Fetched { segment, success });
        });
    }

    /// Starts what waited for this segment. Returns what to tell the core.
    pub(super) fn fetched(&mut self, segment: SegmentId, success: bool, node: &Node) -> Vec<Input> {
        let claims = self.waiting.remove(&segment).unwrap_or_default();
        if !success {
            let (batch, segment) = (segment.batch, segment.segment);
            if let Some(unsaid) = self.missing.due() {
                tracing::warn!(%batch, %segment, unsaid, "no live node has these payloads; trying again");
            }
            return claims.iter().map(unstarted).collect();
        }
        claims.into_iter().filter_map(|claim| self.start(claim, node)).collect()
    }

    /// A batch is removed.
    pub(super) fn forget(&mut self, batch: BatchId) {
        self.templates.remove(&batch);
    }

    /// Kills a process, or forgets a claim that waits for its payload. Returns what to tell the core in that case.
    pub(super) fn kill(&mut self, doc: DocId, epoch: Epoch) -> Option<Input> {
        if self.executor.kill(doc, epoch) {
            return None;
        }
        let segment = SegmentId { batch: doc.batch, segment: doc.number.segment() };
        let waiting = self.waiting.get_mut(&segment)?;
        let place = waiting.iter().position(|claim| claim.doc == doc && claim.epoch == epoch)?;
        Some(never_ran(&waiting.remove(place)))
    }
}

/// The other nodes that may have a segment, those that should have it first.
pub(super) fn sources(node: &Node, segment: SegmentId) -> Vec<NodeId> {
    let mut sources = node.holders(segment.batch, segment.segment);
    // Draining nodes are no candidates for new copies, but may have the only one.
    sources.extend(node.view().live.keys());
    let mut seen = BTreeSet::from([node.me().node]);
    sources.retain(|source| seen.insert(*source));
    sources
}

fn unstarted(claim: &Claim) -> Input {
    Input::Unstarted { doc: claim.doc, epoch: claim.epoch }
}

/// Fetches a segment of so many documents from the first node that has it.
async fn fetch(
    network: &Network,
    payloads: &Payloads,
    segment: SegmentId,
    documents: u32,
    candidates: &[NodeId],
) -> bool {
    for candidate in candidates {
        match network.get_payloads(*candidate, segment).await {
            Ok(Some(found)) => {
                let whole =
                    SegmentBytes::from_payloads(segment, &found).filter(|bytes| bytes.len() == documents as usize);
                let Some(bytes) = whole else {
                    tracing::warn!(from = %candidate, batch = %segment.batch, "a segment of payloads that is not whole");
                    continue;
                };
                match payloads.put(segment, bytes, None).await {
                    Ok(()) => return true,
                    // The store has said so.
                    Err(_) => return false,
                }
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "a payload was not fetched"),
        }
    }
    false
}
