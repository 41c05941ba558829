//! A batch on its way in: payloads go to their holders segment by segment, the batch itself into the core at the end.

use std::sync::Arc;

use evenkeel_core::batch::{Batch, BatchOptions};
use evenkeel_core::ids::{BatchId, NodeId, SEGMENT_DOCUMENTS, SegmentNumber};
use evenkeel_core::units::Length;
use evenkeel_core::{Input, Node};
use evenkeel_net::records::SegmentId;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::Inner;
use super::engine::Order;
use super::room::with_room_first;
use super::traces::UploadTrace;
use crate::api::types::{Accepted, ErrorCode, Problem, Schema};
use crate::api::{Document, Upload};
use crate::store::SegmentBytes;

/// Segments that may be on their way to their holders at once: the back-pressure of an upload.
const UNDER_WAY: usize = 4;

/// Most bytes that the payloads of one segment may have together: what a peer takes. It is held in memory while it is on
/// its way, here and there.
const MAX_SEGMENT_BYTES: u64 = 1 << 30;

/// Sees to it that nothing stays anywhere of an upload that breaks off.
struct Broken {
    inner: Arc<Inner>,
    /// The batch, once payloads of it may be somewhere, and until the core has it.
    batch: Option<BatchId>,
}

impl Drop for Broken {
    fn drop(&mut self) {
        if let Some(batch) = self.batch {
            self.inner.orders.input(Input::Remove(batch));
        }
    }
}

/// An upload under way. Dropped, nothing comes of it.
pub struct Submission {
    inner: Arc<Inner>,
    batch: Batch,
    lengths: Vec<Length>,
    segment: SegmentBytes,
    bytes: u64,
    sending: JoinSet<Result<usize, Problem>>,
    /// Fewest copies that any segment has.
    copies: usize,
    // Behind `sending`: what is under way ends first.
    broken: Broken,
    trace: UploadTrace,
}

impl Submission {
    pub(super) fn new(
        inner: Arc<Inner>,
        command: Vec<String>,
        options: BatchOptions,
        retry_of: Option<BatchId>,
    ) -> Self {
        let batch = Batch {
            id: inner.new_batch_id(),
            submitter: inner.me.node,
            submitted_unix_millis: inner.surroundings.unix_micros() / 1000,
            command,
            options,
            documents: 0,
            retry_of,
        };
        let (lengths, segment, sending) = (Vec::new(), SegmentBytes::default(), JoinSet::new());
        let broken = Broken { inner: inner.clone(), batch: None };
        let trace = UploadTrace::begin(inner.telemetry.as_ref(), batch.id);
        Submission { inner, batch, lengths, segment, bytes: 0, sending, copies: usize::MAX, broken, trace }
    }

    async fn send_segment(&mut self) -> Result<(), Problem> {
        let full = std::mem::take(&mut self.segment);
        self.bytes = 0;
        let number = SegmentNumber((self.lengths.len() as u32 - 1) / SEGMENT_DOCUMENTS);
        let id = SegmentId { batch: self.batch.id, segment: number };
        while self.sending.len() >= UNDER_WAY {
            self.sent().await?;
        }
        self.broken.batch = Some(self.batch.id);
        self.sending.spawn(place(self.inner.clone(), self.batch.options.copies(), id, full));
        Ok(())
    }

    /// Waits for one segment to be where it should be.
    async fn sent(&mut self) -> Result<(), Problem> {
        match self.sending.join_next().await {
            Some(Ok(Ok(copies))) => {
                self.copies = self.copies.min(copies);
                Ok(())
            }
            Some(Ok(Err(problem))) => Err(problem),
            Some(Err(error)) => Err(Problem::new(ErrorCode::Internal, format!("storing payloads failed: {error}"))),
            None => Ok(()),
        }
    }
}

impl Upload for Submission {
    async fn push(&mut self, documents: Vec<Document>) -> Result<(), Problem> {
        for document in documents {
            self.bytes += document.payload.len() as u64;
            if self.bytes > MAX_SEGMENT_BYTES || !self.segment.push(&document.payload) {
                let message = format!(
                    "the documents from {} on, {SEGMENT_DOCUMENTS} at most, have more than 1 GiB of payloads: they are \
                     stored and sent together",
                    self.lengths.len() - self.segment.len()
                );
                return Err(Problem::new(ErrorCode::TooLarge, message)
                    .hint("put the data into files and submit their names, or split the batch into parts of 1 GiB"));
            }
            self.lengths.push(document.length);
            if self.segment.len() == SEGMENT_DOCUMENTS as usize {
                self.send_segment().await?;
            }
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<Accepted, Problem> {
        if !self.segment.is_empty() {
            self.send_segment().await?;
        }
        while !self.sending.is_empty() {
            self.sent().await?;
        }
        if self.lengths.is_empty() {
            return Err(Problem::new(ErrorCode::BadRequest, "a batch without documents"));
        }
        // One that began to drain since the upload began still gives everything away. One that has left does not.
        if self.inner.leave.borrow().is_some() {
            return Err(Problem::new(ErrorCode::Unavailable, "this node has left").hint("submit to another node"));
        }
        let documents = self.lengths.len() as u32;
        let Submission { inner, batch, lengths, copies, mut broken, mut trace, .. } = self;
        let (id, wanted) = (batch.id, batch.options.copies());
        let (reply, acknowledged) = oneshot::channel();
        broken.batch = None;
        inner.orders.send(Order::Submit { batch: Batch { documents, ..batch }, lengths, reply });
        let known = acknowledged.await.map_err(|_| {
            let message = format!("this node is stopping, or its disk fails: it cannot say whether batch {id} is safe");
            Problem::new(ErrorCode::Unavailable, message)
                .hint("ask another node for its status; if none knows it, submit it to another")
        })?;
        let copies = copies.min(known);
        trace.accepted(documents, copies);
        let warning = (copies < wanted)
            .then(|| format!("stored on {copies} of {wanted} nodes: no more are live; losing them loses the batch"));
        Ok(Accepted { schema: Schema, batch: id, documents, copies: copies as u32, warning })
    }
}

/// Stores a segment on the nodes that should have it, or on the next best. Returns how many have it.
async fn place(inner: Arc<Inner>, copies: usize, id: SegmentId, mut bytes: SegmentBytes) -> Result<usize, Problem> {
    let candidates = inner.ask(move |node: &Node| node.holders(id.batch, id.segment)).await?;
    let candidates = with_room_first(candidates, &inner.network.members().borrow());
    let wanted = copies.min(candidates.len()).max(1);
    let mut holders: Vec<NodeId> = candidates[..wanted].to_vec();
    let mut spare = candidates[wanted..].iter();
    let payloads = bytes.to_payloads(id);
    let mut stored = 0;
    let mut place = 0;
    while place < holders.len() {
        let holder = holders[place];
        let failure = if holder == inner.me.node {
            inner
                .store
                .payloads
                .put(id, std::mem::take(&mut bytes), Some(holders.clone()))
                .await
                .err()
                .map(|error| error.to_string())
        } else {
            inner.network.put_payloads(holder, id, &holders, &payloads).await.err().map(|error| error.to_string())
        };
        match (failure, spare.next()) {
            (None, _) => {
                stored += 1;
                place += 1;
            }
            (Some(failure), Some(next)) => {
                tracing::warn!(node = %holder, failure, "payloads go to another node");
                holders[place] = *next;
            }
            (Some(failure), None) => {
                tracing::warn!(node = %holder, failure, "payloads have one copy less than they should");
                holders.remove(place);
            }
        }
    }
    // It was stored here with those in mind that were to have it, and not all of them took it.
    if holders.contains(&inner.me.node) {
        inner.store.payloads.set_holders(id, &holders);
    }
    if stored == 0 {
        let message = "no node could store the payloads";
        return Err(Problem::new(ErrorCode::Unavailable, message).hint("look at the logs: is a disk full?"));
    }
    Ok(stored)
}
