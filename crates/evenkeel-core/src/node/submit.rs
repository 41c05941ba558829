//! Taking a batch: first allocation, and acknowledgement once enough nodes have it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Node;
use crate::balance::{SlowRule, allocate};
use crate::batch::Batch;
use crate::change::{Change, Entries, Entry, Lengths, Status, Title};
use crate::ids::{BatchId, Epoch, NodeId, SEGMENT_DOCUMENTS, SegmentNumber};
use crate::outbox::Outbox;
use crate::units::Length;

/// A batch whose submitter still waits to hear that it is accepted.
#[derive(Debug, Clone)]
pub(super) struct Unacknowledged {
    batch: BatchId,
    /// Nodes that are to have it.
    copies: usize,
    /// Place of its last change in this node's log.
    sequence: u64,
    /// Peers that have everything up to there.
    holders: BTreeSet<NodeId>,
}

impl Node {
    /// Spreads a new batch over the nodes in view.
    ///
    /// # Panics
    /// If the lengths are not as many as the description says, or the batch is known: the caller has checked.
    pub(super) fn submit(&mut self, batch: Batch, lengths: Vec<Length>, out: &mut Outbox) {
        assert_eq!(batch.documents as usize, lengths.len(), "lengths of batch {}", batch.id);
        assert!(self.state.batch(batch.id).is_none(), "batch {} is known", batch.id);
        // A document without length still costs a process.
        let lengths: Vec<Length> = lengths.into_iter().map(|length| length.clamp(Length(1), Length::MAX)).collect();
        let (standings, _) = self.standings();
        let owners = allocate(
            batch.options.allocate,
            self.settings.metric,
            SlowRule::from(&self.settings),
            &lengths,
            &standings,
        );
        let (id, copies) = (batch.id, batch.options.copies());
        self.decide(Change::Batch(batch), out);
        for (number, (lengths, owners)) in
            lengths.chunks(SEGMENT_DOCUMENTS as usize).zip(owners.chunks(SEGMENT_DOCUMENTS as usize)).enumerate()
        {
            let entries = owners.iter().map(|owner| Entry {
                epoch: Epoch::FIRST,
                node: standings[usize::from(*owner)].node(),
                status: Status::Owned(Title::Given),
            });
            let segment = SegmentNumber(number as u32);
            let (lengths, entries) = (Arc::new(Lengths::pack(lengths)), Arc::new(Entries::pack(entries)));
            self.decide(Change::Segment { batch: id, segment, lengths, entries }, out);
        }
        let sequence = self.log.head(self.me);
        self.unacknowledged.push(Unacknowledged { batch: id, copies, sequence, holders: BTreeSet::new() });
        self.nudge(out);
        self.acknowledge(out);
    }

    /// A peer has told what it has seen.
    pub(super) fn note_holder(&mut self, peer: NodeId, seen: u64) {
        for waiting in &mut self.unacknowledged {
            if seen >= waiting.sequence {
                waiting.holders.insert(peer);
            }
        }
    }

    /// Acknowledges what enough nodes have; where fewer live than should have it, all of them are enough.
    pub(super) fn acknowledge(&mut self, out: &mut Outbox) {
        if self.ailing || self.mending {
            return;
        }
        let peers = self.view.live.values().filter(|peer| !peer.load.draining).count();
        self.unacknowledged.retain(|waiting| {
            let enough = (waiting.copies - 1).min(peers);
            let holders = waiting.holders.iter().filter(|node| self.view.live.contains_key(node)).count();
            if holders >= enough {
                out.acknowledge(waiting.batch, holders + 1);
            }
            holders < enough
        });
    }
}
