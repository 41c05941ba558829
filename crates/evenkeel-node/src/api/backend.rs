//! What the HTTP API needs of a node, and nothing else of it: the daemon implements this, and so does a fake in tests.

use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::Bytes;
use evenkeel_core::ids::{BatchId, DocId, DocNumber, NodeId};
use evenkeel_core::state::Passage;
use evenkeel_core::units::Length;
use evenkeel_net::records::ResultRecord;
use futures_util::stream::BoxStream;

use super::event_log::EventLog;
use super::metrics::Snapshot;
use super::types::{Accepted, BatchStatus, Contents, DocumentState, Documents, Explanation, NewBatch, Nodes, Problem};

/// One document of an upload, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its bytes. They may share a buffer with their neighbours': copy them if they are kept for long.
    pub payload: Bytes,
    /// Its predicted cost; the number of payload bytes if the submitter said nothing.
    pub length: Length,
}

/// An upload under way. Dropped before [`Upload::finish`], no batch comes of it.
pub trait Upload: Send + 'static {
    /// Takes the next documents, in order. Returns when there is room for more: this is the back-pressure.
    fn push(&mut self, documents: Vec<Document>) -> impl Future<Output = Result<(), Problem>> + Send;

    /// Accepts the batch: returns once every document is as durable as the answer says.
    fn finish(self) -> impl Future<Output = Result<Accepted, Problem>> + Send;
}

/// Which results of a batch are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Go on until every document of the batch has its outcome, instead of ending with the results there are.
    pub follow: bool,
    /// Only documents that failed.
    pub failed: bool,
}

/// Which documents of a batch are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listing {
    /// Only those that stand so.
    pub state: Option<DocumentState>,
    /// Only those that this node owns, or ended.
    pub node: Option<NodeId>,
    /// The first that may be among them.
    pub from: DocNumber,
    /// Most of them.
    pub limit: usize,
}

/// Results of a batch, in the order in which they can be had. After an error nothing follows.
pub type Results = BoxStream<'static, Result<ResultRecord, Problem>>;

/// A node, as its HTTP API sees it. An unknown batch or document is [`Problem::no_such_batch`] or
/// [`Problem::no_such_document`].
pub trait Backend: Send + Sync + 'static {
    /// An upload under way.
    type Upload: Upload;

    /// Begins a batch. Refuses what can be refused before any document is seen, an unknown placeholder for one.
    fn begin(&self, header: NewBatch) -> impl Future<Output = Result<Self::Upload, Problem>> + Send;

    /// Ids of known batches within a range, in ascending order, at most `limit` of them.
    fn batch_ids(
        &self,
        range: RangeInclusive<BatchId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<BatchId>, Problem>> + Send;

    /// Every batch, newest first.
    fn batches(&self) -> impl Future<Output = Result<Vec<BatchStatus>, Problem>> + Send;

    /// One batch.
    fn batch(&self, id: BatchId) -> impl Future<Output = Result<BatchStatus, Problem>> + Send;

    /// Its results, from whichever nodes hold them.
    fn results(&self, id: BatchId, wanted: Wanted) -> impl Future<Output = Result<Results, Problem>> + Send;

    /// Cancels it: nothing of it starts any more. Cancelling what is finished or cancelled changes nothing.
    fn cancel(&self, id: BatchId) -> impl Future<Output = Result<BatchStatus, Problem>> + Send;

    /// Removes it, everywhere and for good, with its payloads and results. Refuses one that has not ended. Tells how it stood.
    fn remove(&self, id: BatchId) -> impl Future<Output = Result<BatchStatus, Problem>> + Send;

    /// Submits its failed documents as a new batch.
    fn retry(&self, id: BatchId) -> impl Future<Output = Result<Accepted, Problem>> + Send;

    /// Everything known of one document.
    fn explain(&self, doc: DocId) -> impl Future<Output = Result<Explanation, Problem>> + Send;

    /// Some documents of a batch. However many it has, a bounded number of them is looked at.
    fn documents(&self, id: BatchId, wanted: Listing) -> impl Future<Output = Result<Documents, Problem>> + Send;

    /// The digests of documents of a batch, from this one to the end of its segment.
    fn contents(&self, id: BatchId, from: DocNumber) -> impl Future<Output = Result<Contents, Problem>> + Send;

    /// What a document was submitted with, from whichever node holds it.
    fn payload(&self, doc: DocId) -> impl Future<Output = Result<Bytes, Problem>> + Send;

    /// How many documents have gone from which node to which, since this node began to look.
    fn passages(&self) -> impl Future<Output = Result<Vec<Passage>, Problem>> + Send;

    /// Every node known, and the equilibrium.
    fn nodes(&self) -> impl Future<Output = Result<Nodes, Problem>> + Send;

    /// Asks a node to give everything away and leave.
    fn drain(&self, node: NodeId) -> impl Future<Output = Result<(), Problem>> + Send;

    /// Figures for monitoring.
    fn metrics(&self) -> impl Future<Output = Result<Snapshot, Problem>> + Send;

    /// Whether this node makes progress: an error says what stands still. Answers at once, also when much does.
    fn live(&self) -> Result<(), Problem>;

    /// Whether this node takes work and does it: an error says why not. Answers at once.
    fn ready(&self) -> Result<(), Problem>;

    /// What is worth a word although this node is ready.
    fn remark(&self) -> Option<String> {
        None
    }

    /// What happens, as it happens.
    fn events(&self) -> Arc<EventLog>;
}
