//! What the HTTP API asks of this node.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use evenkeel_core::batch::BatchOptions;
use evenkeel_core::change::Outcome;
use evenkeel_core::ids::{BatchId, DocId, DocNumber, NodeId, Origin};
use evenkeel_core::state::Passage;
use evenkeel_core::units::Length;
use evenkeel_core::{Input, Node};
use evenkeel_net::records::SegmentId;

use super::upload::Submission;
use super::{Daemon, Inner, contents, explain, gather, listing, repair, starter, status};
use crate::api::types::{
    Accepted, BatchState, BatchStatus, Contents, Documents, ErrorCode, Explanation, NewBatch, Nodes, Problem,
};
use crate::api::{Backend, Document, EventLog, Listing, Results, Snapshot, Upload, Wanted};
use crate::config::COPIES;
use crate::process::Template;
use crate::store::SegmentBytes;

/// Time for which metrics wait for the loop: less than Prometheus waits for them.
const LOOP_PATIENCE: Duration = Duration::from_secs(3);

impl Inner {
    fn options(&self, header: &NewBatch) -> Result<BatchOptions, Problem> {
        let options = header.options.complete(&self.batch_defaults);
        if options.capture_bytes > self.capture_max {
            let message = format!("this node keeps at most {} bytes of an output", self.capture_max);
            return Err(Problem::new(ErrorCode::TooLarge, message).hint("processes.capture_max raises the limit"));
        }
        if !COPIES.contains(&options.copies) {
            let message = format!("a batch cannot have {} copies", options.copies);
            let hint = format!("choose from {} to {}", COPIES.start(), COPIES.end());
            return Err(Problem::new(ErrorCode::BadRequest, message).hint(hint));
        }
        Ok(options)
    }

    /// How a batch stands.
    async fn status(&self, id: BatchId) -> Result<BatchStatus, Problem> {
        self.know(id, move |node| status::batch(node, id)).await
    }

    /// How many documents it has: without a look at any of them.
    async fn documents(&self, id: BatchId) -> Result<u32, Problem> {
        self.know(id, move |node| node.state().batch(id).map(|batch| batch.description().documents)).await
    }

    /// Something of a batch. One that is not known may just have been accepted elsewhere: it is waited for a little.
    async fn know<T: Send + 'static>(
        &self,
        id: BatchId,
        what: impl FnOnce(&Node) -> Option<T> + Clone + Send + 'static,
    ) -> Result<T, Problem> {
        let mut changed = self.changed.clone();
        let deadline = tokio::time::Instant::now() + self.gossip_interval * 3;
        loop {
            changed.mark_unchanged();
            if let Some(known) = self.ask(what.clone()).await? {
                return Ok(known);
            }
            if !matches!(tokio::time::timeout_at(deadline, changed.changed()).await, Ok(Ok(()))) {
                return Err(Problem::no_such_batch(id));
            }
        }
    }

    /// The payloads of some documents of one segment, from here or from a node that has them. It is fetched once, however
    /// many they are.
    pub(super) async fn payloads(&self, segment: SegmentId, numbers: &[DocNumber]) -> Result<Vec<Bytes>, Problem> {
        let own = |number: &DocNumber| self.store.payloads.document(DocId { batch: segment.batch, number: *number });
        // While the disk here cannot be read, another's can.
        let unreadable = match numbers.iter().map(own).collect::<Result<Option<Vec<Bytes>>, _>>() {
            Ok(Some(payloads)) => return Ok(payloads),
            Ok(None) => None,
            Err(error) => Some(Problem::new(ErrorCode::Internal, format!("cannot read payloads: {error}"))),
        };
        // Each is held in memory as a whole; the next who asks finds it here.
        let _turn = self.fetching.acquire().await.expect("it is never closed");
        for source in self.ask(move |node| starter::sources(node, segment)).await? {
            let Ok(Some(found)) = self.network.get_payloads(source, segment).await else { continue };
            if let Some(bytes) = SegmentBytes::from_payloads(segment, &found)
                && let Err(error) = self.store.payloads.put(segment, bytes, None).await
            {
                tracing::debug!(%error, "payloads that were fetched are not kept");
            }
            let found: BTreeMap<DocNumber, Bytes> =
                found.into_iter().map(|payload| (payload.number, payload.bytes)).collect();
            if let Some(payloads) = numbers.iter().map(|number| found.get(number).cloned()).collect() {
                return Ok(payloads);
            }
        }
        if let Some(unreadable) = unreadable {
            return Err(unreadable);
        }
        let message =
            format!("the payloads of segment {} of batch {} are on no live node", segment.segment, segment.batch);
        Err(Problem::new(ErrorCode::Unavailable, message).hint("try again when the lost nodes are back"))
    }
}

impl Backend for Daemon {
    type Upload = Submission;

    async fn begin(&self, header: NewBatch) -> Result<Submission, Problem> {
        let options = self.inner.options(&header)?;
        if let Err(error) = Template::parse(&header.command) {
            return Err(Problem::new(ErrorCode::BadRequest, error.to_string()));
        }
        self.inner.takes().await?;
        Ok(Submission::new(self.inner.clone(), header.command, options, None))
    }

    async fn batch_ids(&self, range: RangeInclusive<BatchId>, limit: usize) -> Result<Vec<BatchId>, Problem> {
        self.inner
            .ask(move |node| {
                let ids = node.state().batches().map(|(id, _)| id).filter(|id| range.contains(id));
                ids.take(limit).collect()
            })
            .await
    }

    async fn batches(&self) -> Result<Vec<BatchStatus>, Problem> {
        let all = self.inner.ask(|node| {
            let ids: Vec<BatchId> = node.state().batches().map(|(id, _)| id).collect();
            ids.into_iter().filter_map(|id| status::batch(node, id)).collect::<Vec<_>>()
        });
        let mut all = all.await?;
        all.sort_by_key(|batch| (std::cmp::Reverse(batch.submitted_at), batch.id));
        Ok(all)
    }

    async fn batch(&self, id: BatchId) -> Result<BatchStatus, Problem> {
        self.inner.status(id).await
    }

    async fn results(&self, id: BatchId, wanted: Wanted) -> Result<Results, Problem> {
        self.inner.status(id).await?;
        Ok(gather::results(self.inner.clone(), id, wanted))
    }

    async fn cancel(&self, id: BatchId) -> Result<BatchStatus, Problem> {
        self.inner.status(id).await?;
        self.inner.orders.input(Input::Cancel(id));
        self.inner.status(id).await
    }

    async fn remove(&self, id: BatchId) -> Result<BatchStatus, Problem> {
        let status = self.inner.status(id).await?;
        if !status.is_settled() {
            let message = format!("batch {id} has {} documents without outcome", status.pending);
            let hint = match status.state {
                BatchState::Cancelled => "it is cancelled, and ends in a moment: try again then",
                BatchState::Running | BatchState::Finished => "cancel it first, or wait until it has ended",
            };
            return Err(Problem::new(ErrorCode::Conflict, message).hint(hint));
        }
        self.inner.orders.input(Input::Remove(id));
        // What is asked after the order is answered after it.
        match self.inner.ask(move |node| node.state().is_removed(id)).await? {
            true => Ok(status),
            false => Err(Problem::new(ErrorCode::Conflict, format!("batch {id} could not be removed"))
                .hint("documents of it have come to light that had not ended: look at its status, and try again")),
        }
    }

    async fn retry(&self, id: BatchId) -> Result<Accepted, Problem> {
        let found = self.inner.ask(move |node| {
            let batch = node.state().batch(id)?;
            let failed = node.state().ended(id, Outcome::Failed);
            Some((batch.description().clone(), failed, batch.is_finished()))
        });
        let (description, failed, finished) = found.await?.ok_or_else(|| Problem::no_such_batch(id))?;
        if !finished {
            let message = format!("batch {id} has documents without outcome, as far as this node knows");
            return Err(Problem::new(ErrorCode::Conflict, message).hint("retry when all have ended"));
        }
        if failed.is_empty() {
            return Err(Problem::new(ErrorCode::Conflict, format!("batch {id} has no failed documents")));
        }
        self.inner.takes().await?;
        let (command, options) = (description.command.clone(), description.options.clone());
        let mut upload = Submission::new(self.inner.clone(), command, options, Some(id));
        let failed: Vec<DocNumber> = failed.iter().collect();
        for numbers in failed.chunk_by(|one, next| one.segment() == next.segment()) {
            let segment = SegmentId { batch: id, segment: numbers[0].segment() };
            // Their lengths went when they ended; those of the payloads are what they would be by default.
            let document = |payload: Bytes| Document { length: Length(payload.len() as u64), payload };
            let payloads = self.inner.payloads(segment, numbers).await?;
            upload.push(payloads.into_iter().map(document).collect()).await?;
        }
        upload.finish().await
    }

    async fn explain(&self, doc: DocId) -> Result<Explanation, Problem> {
        explain::explain(&self.inner, doc).await
    }

    async fn documents(&self, id: BatchId, wanted: Listing) -> Result<Documents, Problem> {
        self.inner.documents(id).await?;
        listing::page(&self.inner, id, wanted).await
    }

    async fn contents(&self, id: BatchId, from: DocNumber) -> Result<Contents, Problem> {
        self.inner.documents(id).await?;
        contents::page(&self.inner, id, from).await
    }

    async fn payload(&self, doc: DocId) -> Result<Bytes, Problem> {
        let documents = self.inner.documents(doc.batch).await?;
        if doc.number.0 >= documents {
            return Err(Problem::no_such_document(doc, documents));
        }
        let segment = SegmentId { batch: doc.batch, segment: doc.number.segment() };
        let found = self.inner.payloads(segment, &[doc.number]).await?;
        Ok(found.into_iter().next().expect("as many payloads as were asked for"))
    }

    async fn passages(&self) -> Result<Vec<Passage>, Problem> {
        self.inner.ask(|node| node.state().passages().collect()).await
    }

    async fn nodes(&self) -> Result<Nodes, Problem> {
        let members = self.inner.network.members().borrow().clone();
        let oneself = self.inner.oneself.clone();
        self.inner.ask(move |node| status::nodes(node, &members, &oneself)).await
    }

    async fn drain(&self, node: NodeId) -> Result<(), Problem> {
        let members = self.inner.network.members().borrow().clone();
        let generation = match members.live.get(&node) {
            Some(member) => member.generation,
            None if node == self.inner.me.node => self.inner.me.generation,
            None => return Err(Problem::new(ErrorCode::Conflict, format!("node {node} is not live"))),
        };
        self.inner.orders.input(Input::Drain(Origin { node, generation }));
        Ok(())
    }

    async fn metrics(&self) -> Result<Snapshot, Problem> {
        let members = self.inner.network.members().borrow().clone();
        let oneself = self.inner.oneself.clone();
        let (figures, target) = (self.inner.figures(), self.inner.target_drain);
        let turns = figures.turns.clone();
        let seen = members.clone();
        let asked =
            self.inner.ask(move |node| (status::core(node, &seen, &oneself, figures, target), repair::wanted(node)));
        // A loop that stands still must not hide that it does.
        let (core, wanted) = tokio::time::timeout(LOOP_PATIENCE, asked).await.ok().transpose()?.unzip();
        let copies_missing = self.inner.plan.missing(&members, &wanted.unwrap_or_default()) as u64;
        Ok(self.inner.snapshot(core, copies_missing, turns).await)
    }

    fn live(&self) -> Result<(), Problem> {
        self.inner.live()
    }

    fn ready(&self) -> Result<(), Problem> {
        self.inner.ready()
    }

    fn remark(&self) -> Option<String> {
        self.inner.room.shortage()
    }

    fn events(&self) -> Arc<EventLog> {
        self.inner.events.clone()
    }
}
