//! What a node has found damaged in its store it gets back from the others: they go on counting it among those that have a copy.

use std::io;
use std::time::Duration;

use evenkeel_core::docset::DocSet;
use evenkeel_core::ids::NodeId;
use evenkeel_net::{Network, RequestError};
use tokio::time::MissedTickBehavior;

use crate::store::{Damaged, Item, SegmentBytes, Store};

/// Time after which those are asked again that could not be asked, or what could not be written is tried again.
const AGAIN: Duration = Duration::from_secs(10);

/// See above.
pub(super) struct Healer {
    pub(super) me: NodeId,
    pub(super) network: Network,
    pub(super) store: Store,
}

/// What came of a try.
enum Try {
    /// It is held here again.
    Healed,
    /// All have been asked who are to have it, and nobody has.
    Nowhere,
    /// Another time it may go better.
    Later,
}

impl Healer {
    /// Heals what is found damaged, as long as the node lives.
    pub(super) async fn watch(self) {
        let mut waiting = Vec::new();
        let mut again = tokio::time::interval(AGAIN);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let tried = tokio::select! {
                found = self.store.damaged() => found,
                _ = again.tick() => std::mem::take(&mut waiting),
            };
            waiting.extend(self.heal(tried).await);
        }
    }

    /// Gets back what it can, one after the other, and returns what is to be tried again.
    async fn heal(&self, damaged: Vec<Damaged>) -> Vec<Damaged> {
        let mut later = Vec::new();
        for damaged in damaged {
            match self.heal_one(&damaged).await {
                Try::Healed => tracing::info!("{} is whole again: another node had it", damaged.item),
                Try::Nowhere => {
                    tracing::error!("{} is on no other node: it is lost, unless its batch was removed", damaged.item);
                }
                Try::Later => later.push(damaged),
            }
        }
        later
    }

    async fn heal_one(&self, damaged: &Damaged) -> Try {
        let live: Vec<NodeId> = self.network.members().borrow().live.keys().copied().collect();
        let (holders, away): (Vec<NodeId>, Vec<NodeId>) =
            damaged.holders.iter().filter(|holder| **holder != self.me).partition(|holder| live.contains(holder));
        let mut unclear = !away.is_empty();
        // Copies may have been made elsewhere since the list was written: all others may have it.
        let rest = live.iter().filter(|node| **node != self.me && !holders.contains(node));
        for source in holders.iter().chain(rest) {
            match self.fetch(*source, damaged).await {
                Ok(Some(Ok(()))) => return Try::Healed,
                // The store has said why.
                Ok(Some(Err(_))) => return Try::Later,
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(%error, %source, "what is damaged here was not fetched");
                    unclear = true;
                }
            }
        }
        if unclear { Try::Later } else { Try::Nowhere }
    }

    /// Fetches it from a node and holds it again; `None` if that one does not have it.
    async fn fetch(&self, source: NodeId, damaged: &Damaged) -> Result<Option<io::Result<()>>, RequestError> {
        let holders = &damaged.holders;
        match damaged.item {
            Item::Segment(segment) => {
                let found = self.network.get_payloads(source, segment).await?;
                let bytes = found.and_then(|payloads| SegmentBytes::from_payloads(segment, &payloads));
                let Some(bytes) = bytes else { return Ok(None) };
                Ok(Some(self.store.payloads.put(segment, bytes, Some(holders.to_vec())).await))
            }
            Item::Result(doc) => {
                let mut found = self.network.get_results(source, doc.batch, DocSet::from_iter([doc.number]));
                let Some(record) = found.recv().await.transpose()? else { return Ok(None) };
                Ok(Some(self.store.results.put(&[record], holders).await))
            }
        }
    }
}

#[cfg(test)]
mod tests;
