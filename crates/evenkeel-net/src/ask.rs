//! The asking side of requests: one stream each, with an error that says which peer and what failed.

use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::docset::DocSet;
use evenkeel_core::ids::{BatchId, DocId, NodeId};
use tokio::sync::mpsc;

use crate::error::{RequestError, RequestFailure};
use crate::frames::{FrameError, FrameReader, FrameWriter};
use crate::lists::{Lists, Reading};
use crate::peers::Peers;
use crate::records::{Payload, ResultRecord, SegmentId};
use crate::request::{Item, Part, Request, groups};
use crate::service::PutResults;
use crate::wire::WireError;

/// Results that wait for their reader before the peer is held back.
const RESULTS_AHEAD: usize = 64;

/// Asks things of peers.
#[derive(Clone)]
pub(crate) struct Asker {
    pub(crate) peers: Arc<Peers>,
    /// Time without progress after which a request is given up.
    pub(crate) patience: Duration,
    /// Most bytes of a segment's payloads.
    pub(crate) max_segment_bytes: u64,
}

/// A request under way.
struct Asking {
    peer: NodeId,
    what: &'static str,
    send: FrameWriter,
    receive: FrameReader,
}

impl Asker {
    pub(crate) async fn put_payloads(
        &self,
        to: NodeId,
        segment: SegmentId,
        holders: &[NodeId],
        payloads: &[Payload],
    ) -> Result<(), RequestError> {
        let request = Request::PutPayloads { segment, holders: holders.to_vec(), documents: payloads.len() as u32 };
        let asking = self.ask(to, "storing payloads at node", &request).await?;
        asking.put(payloads).await
    }

    pub(crate) async fn put_results(
        &self,
        to: NodeId,
        header: PutResults,
        results: &[ResultRecord],
    ) -> Result<(), RequestError> {
        let asking = self.ask(to, "storing results at node", &Request::PutResults { header }).await?;
        asking.put(results).await
    }

    pub(crate) async fn get_payloads(
        &self,
        from: NodeId,
        segment: SegmentId,
    ) -> Result<Option<Vec<Payload>>, RequestError> {
        let mut asking = self.ask(from, "fetching payloads from node", &Request::GetPayloads { segment }).await?;
        asking.send.finish();
        let (mut payloads, mut bytes) = (Vec::new(), 0);
        loop {
            match asking.next().await? {
                Part::Payloads(group) => {
                    bytes += group.iter().map(|payload| payload.size() as u64).sum::<u64>();
                    if bytes > self.max_segment_bytes {
                        return Err(asking.malformed("a segment larger than the limit"));
                    }
                    payloads.extend(group.into_owned());
                }
                Part::Done => return Ok(Some(payloads)),
                Part::Absent => return Ok(None),
                _ => return Err(asking.malformed("something other than payloads")),
            }
        }
    }

    /// Fetches results as they come; an error is the last item.
    pub(crate) fn get_results(
        self,
        from: NodeId,
        batch: BatchId,
        wanted: DocSet,
    ) -> mpsc::Receiver<Result<ResultRecord, RequestError>> {
        let (found, results) = mpsc::channel(RESULTS_AHEAD);
        tokio::spawn(async move {
            let outcome =
                match self.ask(from, "fetching results from node", &Request::GetResults { batch, wanted }).await {
                    Ok(asking) => asking.pass_results(&found).await,
                    Err(error) => Err(error),
                };
            if let Err(error) = outcome {
                // Nobody waits for it any more if it fails.
                let _ = found.send(Err(error)).await;
            }
        });
        results
    }

    pub(crate) async fn explain(&self, from: NodeId, doc: DocId) -> Result<Option<String>, RequestError> {
        let mut asking = self.ask(from, "asking about a document at node", &Request::Explain { doc }).await?;
        asking.send.finish();
        match asking.next().await? {
            Part::Explanation(explanation) => Ok(explanation),
            _ => Err(asking.malformed("something other than an explanation")),
        }
    }

    pub(crate) async fn lists(
        &self,
        from: NodeId,
        segment: SegmentId,
        reading: Reading,
    ) -> Result<Lists, RequestError> {
        let request = Request::Lists { segment, reading };
        let mut asking = self.ask(from, "asking who holds a segment at node", &request).await?;
        asking.send.finish();
        match asking.next().await? {
            Part::Lists(lists) => Ok(lists),
            _ => Err(asking.malformed("something other than lists of holders")),
        }
    }

    async fn ask(&self, peer: NodeId, what: &'static str, request: &Request) -> Result<Asking, RequestError> {
        let failed = |why| RequestError { peer, what, why };
        let link =
            self.peers.to_node(peer).await.map_err(|reason| failed(RequestFailure::Unreachable(reason.to_string())))?;
        let opened = tokio::time::timeout(self.patience, link.connection.open_bi())
            .await
            .map_err(|_| failed(RequestFailure::TimedOut(self.patience)))?;
        let (send, receive) = opened.map_err(|error| failed(RequestFailure::Lost(error.to_string())))?;
        let mut send = FrameWriter::new(send, Some(self.patience));
        let receive = FrameReader::new(receive, &[], Some(self.patience));
        send.write(request).await.map_err(|error| failed(error.into()))?;
        Ok(Asking { peer, what, send, receive })
    }
}

impl Asking {
    /// Sends data, and waits until the peer has stored it.
    async fn put<T: Item>(mut self, items: &[T]) -> Result<(), RequestError> {
        for group in groups(items) {
            match self.send.write(&T::part(group)).await {
                Ok(()) => {}
                // The peer has said why it will take no more.
                Err(FrameError::Stopped) => break,
                Err(error) => return Err(self.failed(error.into())),
            }
        }
        self.send.finish();
        match self.next().await? {
            Part::Done => Ok(()),
            _ => Err(self.malformed("something other than a receipt")),
        }
    }

    async fn pass_results(
        mut self,
        found: &mpsc::Sender<Result<ResultRecord, RequestError>>,
    ) -> Result<(), RequestError> {
        self.send.finish();
        loop {
            match self.next().await? {
                Part::Results(group) => {
                    for result in group.into_owned() {
                        if found.send(Ok(result)).await.is_err() {
                            return Ok(());
                        }
                    }
                }
                Part::Done => return Ok(()),
                _ => return Err(self.malformed("something other than results")),
            }
        }
    }

    /// The next part of the answer; a refusal is an error.
    async fn next(&mut self) -> Result<Part<'static>, RequestError> {
        match self.receive.next().await {
            Ok(Some(Part::Refused(refusal))) => Err(self.failed(RequestFailure::Refused(refusal))),
            Ok(Some(part)) => Ok(part),
            Ok(None) => Err(self.malformed("an answer that was cut off")),
            Err(FrameError::Wire(error)) => Err(self.failed(RequestFailure::Malformed(error.to_string()))),
            Err(error) => Err(self.failed(error.into())),
        }
    }

    fn failed(&self, why: RequestFailure) -> RequestError {
        RequestError { peer: self.peer, what: self.what, why }
    }

    fn malformed(&self, what: &str) -> RequestError {
        self.failed(RequestFailure::Malformed(what.to_owned()))
    }
}

impl From<FrameError> for RequestFailure {
    fn from(error: FrameError) -> RequestFailure {
        match error {
            FrameError::Wire(WireError::TooLarge(size)) => {
                RequestFailure::TooLarge(WireError::TooLarge(size).to_string())
            }
            FrameError::Wire(error) => RequestFailure::Malformed(error.to_string()),
            FrameError::Lost(reason) => RequestFailure::Lost(reason),
            FrameError::Stopped => RequestFailure::Lost("it stopped reading".to_owned()),
            FrameError::TimedOut(patience) => RequestFailure::TimedOut(patience),
        }
    }
}
