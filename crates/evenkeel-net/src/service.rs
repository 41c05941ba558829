//! What a node offers to its peers: the handler of everything that arrives from them.

use async_trait::async_trait;
use evenkeel_core::docset::DocSet;
use evenkeel_core::ids::{BatchId, DocId, Generation, NodeId};
use evenkeel_core::message::Message;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::lists::{Lists, Reading};
use crate::records::{Payload, ResultRecord, SegmentId};

/// Says of a set of results whose log will carry their outcomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutResults {
    /// Which run of the sender this is.
    pub generation: Generation,
    /// All nodes that are to have a copy of them.
    pub holders: Vec<NodeId>,
}

/// Why a node did not do what a peer asked: a sentence for people, without a full stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{0}")]
pub struct Refusal(pub String);

/// Handler of what peers send. The network calls it on the runtime that started it; every peer named is authenticated.
#[async_trait]
pub trait Service: Send + Sync + 'static {
    /// A message has arrived. Called in order for each lane of each peer; it must return at once, so it should do
    /// no more than queue the message.
    fn message(&self, from: NodeId, message: Message);

    /// Stores the payloads of a segment, whole. `holders` are all the nodes that are to have a copy.
    async fn put_payloads(
        &self,
        from: NodeId,
        segment: SegmentId,
        holders: Vec<NodeId>,
        payloads: Vec<Payload>,
    ) -> Result<(), Refusal>;

    /// Gives the payloads of a segment, `None` if it is not held here.
    async fn get_payloads(&self, from: NodeId, segment: SegmentId) -> Result<Option<Vec<Payload>>, Refusal>;

    /// Stores results. Called once for every group of them that arrives, each time with the same header.
    async fn put_results(&self, from: NodeId, header: PutResults, results: Vec<ResultRecord>) -> Result<(), Refusal>;

    /// Sends the wanted results that are held here into `out`, which is bounded: the peer's pace is the pace of `out`.
    async fn get_results(
        &self,
        from: NodeId,
        batch: BatchId,
        wanted: DocSet,
        out: mpsc::Sender<ResultRecord>,
    ) -> Result<(), Refusal>;

    /// Gives what is known here about a document, as JSON; `None` if the document is unknown here.
    async fn explain(&self, from: NodeId, doc: DocId) -> Option<String>;

    /// Tells what is held here of a segment, once what is to be read of it has been. The peer relies on what it is told of what
    /// was read: it is about to give up its own.
    async fn lists(&self, from: NodeId, segment: SegmentId, reading: Reading) -> Result<Lists, Refusal>;
}
