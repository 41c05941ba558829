//! What this node does for its peers.

use std::collections::BTreeMap;

use async_trait::async_trait;
use evenkeel_core::Input;
use evenkeel_core::change::{Change, Outcome};
use evenkeel_core::docset::DocSet;
use evenkeel_core::ids::{BatchId, DocId, Epoch, NodeId};
use evenkeel_core::message::{Message, Reason};
use evenkeel_net::records::{Payload, ResultRecord, SegmentId};
use evenkeel_net::{HeldResults, Lists, PutResults, ReadResults, Reading, Refusal, Service};
use tokio::sync::mpsc;

use super::engine::{Order, Orders};
use crate::store::{SegmentBytes, Store};

/// Serves peers from the stores, and hands messages to the loop.
pub(super) struct Peers {
    pub(super) me: NodeId,
    pub(super) orders: Orders,
    pub(super) store: Store,
}

#[async_trait]
impl Service for Peers {
    fn message(&self, from: NodeId, message: Message) {
        self.orders.input(Input::Received { from, message });
    }

    async fn put_payloads(
        &self,
        _from: NodeId,
        segment: SegmentId,
        holders: Vec<NodeId>,
        payloads: Vec<Payload>,
    ) -> Result<(), Refusal> {
        let bytes = SegmentBytes::from_payloads(segment, &payloads);
        let bytes = bytes.ok_or_else(|| Refusal("the payloads are not those of consecutive documents".to_owned()))?;
        self.store.payloads.put(segment, bytes, Some(holders)).await.map_err(unwritable)?;
        // That its upload has broken off may have overtaken it.
        let store = self.store.clone();
        self.orders.send(Order::Ask(Box::new(move |node| {
            if node.state().is_removed(segment.batch) {
                store.remove_batch(segment.batch);
            }
        })));
        Ok(())
    }

    async fn get_payloads(&self, _from: NodeId, segment: SegmentId) -> Result<Option<Vec<Payload>>, Refusal> {
        self.store.payloads.get(segment).map_err(unreadable)
    }

    /// Stores results, and lets the core know of the outcomes ahead of the sender's log.
    async fn put_results(
        &self,
        from: NodeId,
        mut header: PutResults,
        results: Vec<ResultRecord>,
    ) -> Result<(), Refusal> {
        // Whoever has it is one of those who have it, whatever a peer says.
        if !header.holders.contains(&self.me) {
            header.holders.push(self.me);
        }
        let mut ended: BTreeMap<(BatchId, Epoch, NodeId, Outcome), DocSet> = BTreeMap::new();
        self.store.results.put(&results, &header.holders).await.map_err(unwritable)?;
        for record in &results {
            let key = (record.doc.batch, record.epoch, record.node, record.outcome);
            ended.entry(key).or_default().insert(record.doc.number);
        }
        let changes = ended.into_iter().map(|((batch, epoch, node, outcome), docs)| Change::Ended {
            batch,
            docs,
            epoch,
            node,
            outcome,
        });
        let message =
            Message::Ahead { generation: header.generation, reason: Reason::Result, changes: changes.collect() };
        self.orders.input(Input::Received { from, message });
        Ok(())
    }

    async fn get_results(
        &self,
        _from: NodeId,
        batch: BatchId,
        wanted: DocSet,
        out: mpsc::Sender<ResultRecord>,
    ) -> Result<(), Refusal> {
        let held = DocSet(self.store.results.of_batch(batch).0 & wanted.0);
        for number in held.iter() {
            match self.store.results.get(DocId { batch, number }) {
                Ok(Some(record)) => {
                    if out.send(record).await.is_err() {
                        return Ok(());
                    }
                }
                Ok(None) => {}
                Err(error) => return Err(unreadable(error)),
            }
        }
        Ok(())
    }

    async fn explain(&self, _from: NodeId, doc: DocId) -> Option<String> {
        let explanation = self.orders.ask(move |node| super::status::explanation(node, doc)).await??;
        serde_json::to_string(&explanation).ok()
    }

    /// What is to be read is relied on before it is: from then on it is not given up here for a while. And the lists are told
    /// last, since what turns out to be damaged is not held any more.
    async fn lists(&self, _from: NodeId, segment: SegmentId, reading: Reading) -> Result<Lists, Refusal> {
        if !reading.is_empty() {
            self.store.rely(segment);
        }
        if reading.payloads {
            self.store.payloads.get(segment).map_err(unreadable)?;
        }
        let mut read: BTreeMap<(Epoch, NodeId, Outcome), DocSet> = BTreeMap::new();
        for number in reading.results.iter().filter(|number| number.segment() == segment.segment) {
            if let Some(record) = self.store.results.get(DocId { batch: segment.batch, number }).map_err(unreadable)? {
                read.entry((record.epoch, record.node, record.outcome)).or_default().insert(number);
            }
            tokio::task::yield_now().await;
        }
        let runs = read.into_iter().map(|((epoch, node, outcome), docs)| ReadResults { epoch, node, outcome, docs });
        let held = self.store.results.of_segment(segment).into_iter();
        Ok(Lists {
            payloads: self.store.payloads.holders(segment).map(|holders| holders.to_vec()),
            results: held.map(|(holders, docs)| HeldResults { holders: holders.to_vec(), docs }).collect(),
            read: runs.collect(),
        })
    }
}

fn unreadable(error: std::io::Error) -> Refusal {
    Refusal(format!("cannot read its data directory: {error}"))
}

fn unwritable(error: std::io::Error) -> Refusal {
    Refusal(format!("cannot write to its data directory: {error}"))
}
