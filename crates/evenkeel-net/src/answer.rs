//! The answering side of requests.
//!
//! Data is taken in and given out at the pace of its user: a slow disk here slows the peer, a slow reader there slows
//! this node's stream to it, and nothing piles up in between.

use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::docset::DocSet;
use evenkeel_core::ids::{BatchId, NodeId, SEGMENT_DOCUMENTS};
use quinn::{RecvStream, SendStream};
use tokio::sync::{Semaphore, mpsc};

use crate::frames::{FrameError, FrameReader, FrameWriter};
use crate::records::{Payload, ResultRecord, SegmentId};
use crate::refusals::Refusals;
use crate::request::{Item, Part, Request, groups};
use crate::service::{PutResults, Refusal, Service};
use crate::streams::STOP_REFUSED;

/// Segments that are taken in at once, since each is held in memory until it is whole.
const SEGMENTS_AT_ONCE: usize = 8;

/// Results that wait to be sent.
const RESULTS_AHEAD: usize = 256;

/// Answers requests.
pub(crate) struct Answerer {
    service: Arc<dyn Service>,
    refusals: Arc<Refusals>,
    patience: Duration,
    max_segment_bytes: u64,
    segments: Semaphore,
}

/// Why an answer was not finished.
enum Broken {
    /// The stream failed, or the peer broke the rules.
    Frame(FrameError),
    /// The peer is told why it is not served.
    Refused(Refusal),
}

impl From<FrameError> for Broken {
    fn from(error: FrameError) -> Broken {
        Broken::Frame(error)
    }
}

impl From<Refusal> for Broken {
    fn from(refusal: Refusal) -> Broken {
        Broken::Refused(refusal)
    }
}

fn refused(reason: impl Into<String>) -> Broken {
    Broken::Refused(Refusal(reason.into()))
}

impl Answerer {
    pub(crate) fn new(
        service: Arc<dyn Service>,
        refusals: Arc<Refusals>,
        patience: Duration,
        max_segment_bytes: u64,
    ) -> Answerer {
        Answerer { service, refusals, patience, max_segment_bytes, segments: Semaphore::new(SEGMENTS_AT_ONCE) }
    }

    /// Answers one request.
    pub(crate) async fn answer(self: Arc<Self>, peer: NodeId, send: SendStream, receive: RecvStream) {
        // An answer is written with endless patience: how fast the peer reads is its own affair, and its streams are few.
        let mut send = FrameWriter::new(send, None);
        let mut receive = FrameReader::new(receive, &[], Some(self.patience));
        match self.serve(peer, &mut send, &mut receive).await {
            Ok(()) => {}
            Err(Broken::Refused(refusal)) => {
                receive.stop(STOP_REFUSED);
                // The peer has gone if this fails.
                let _ = send.write(&Part::Refused(refusal)).await;
            }
            Err(Broken::Frame(FrameError::Wire(error))) => {
                receive.stop(STOP_REFUSED);
                self.refusals.refuse(&peer, &format!("it sent {error}"));
                let _ = send.write(&Part::Refused(Refusal(format!("malformed request: {error}")))).await;
            }
            Err(Broken::Frame(error)) => {
                tracing::debug!(%peer, %error, "a request was not finished");
                return;
            }
        }
        send.finish();
    }

    async fn serve(&self, peer: NodeId, send: &mut FrameWriter, receive: &mut FrameReader) -> Result<(), Broken> {
        let Some(request) = receive.next().await? else { return Ok(()) };
        match request {
            Request::PutPayloads { segment, holders, documents } => {
                self.take_payloads(peer, segment, holders, documents, receive).await?;
                send.write(&Part::Done).await?;
            }
            Request::GetPayloads { segment } => match self.service.get_payloads(peer, segment).await? {
                Some(payloads) => {
                    for group in groups(&payloads) {
                        send.write(&Payload::part(group)).await?;
                    }
                    send.write(&Part::Done).await?;
                }
                None => send.write(&Part::Absent).await?,
            },
            Request::PutResults { header } => {
                self.take_results(peer, header, receive).await?;
                send.write(&Part::Done).await?;
            }
            Request::GetResults { batch, wanted } => self.give_results(peer, batch, wanted, send).await?,
            Request::Explain { doc } => {
                send.write(&Part::Explanation(self.service.explain(peer, doc).await)).await?;
            }
            Request::Lists { segment, reading } => {
                let lists = self.service.lists(peer, segment, reading).await?;
                send.write(&Part::Lists(lists)).await?;
            }
        }
        Ok(())
    }

    async fn take_payloads(
        &self,
        peer: NodeId,
        segment: SegmentId,
        holders: Vec<NodeId>,
        documents: u32,
        receive: &mut FrameReader,
    ) -> Result<(), Broken> {
        let _turn = self.segments.acquire().await.map_err(|_| refused("this node is stopping"))?;
        let (mut payloads, mut bytes) = (Vec::new(), 0);
        if documents > SEGMENT_DOCUMENTS {
            return Err(refused(format!("a segment has at most {SEGMENT_DOCUMENTS} documents")));
        }
        while let Some(part) = receive.next().await? {
            let Part::Payloads(group) = part else { return Err(refused("payloads were to follow")) };
            bytes += group.iter().map(|payload| payload.size() as u64).sum::<u64>();
            payloads.extend(group.into_owned());
            if payloads.len() > documents as usize {
                return Err(refused(format!("more payloads came than the {documents} announced")));
            }
            if bytes > self.max_segment_bytes {
                return Err(refused(format!("a segment has at most {} bytes here", self.max_segment_bytes)));
            }
        }
        if payloads.len() != documents as usize {
            return Err(refused(format!("{} payloads came, of {documents}", payloads.len())));
        }
        Ok(self.service.put_payloads(peer, segment, holders, payloads).await?)
    }

    async fn take_results(&self, peer: NodeId, header: PutResults, receive: &mut FrameReader) -> Result<(), Broken> {
        while let Some(part) = receive.next().await? {
            let Part::Results(group) = part else { return Err(refused("results were to follow")) };
            self.service.put_results(peer, header.clone(), group.into_owned()).await?;
        }
        Ok(())
    }

    async fn give_results(
        &self,
        peer: NodeId,
        batch: BatchId,
        wanted: DocSet,
        send: &mut FrameWriter,
    ) -> Result<(), Broken> {
        let (found, results) = mpsc::channel(RESULTS_AHEAD);
        let search = self.service.get_results(peer, batch, wanted, found);
        // It owns the results: if they cannot be sent, the search must not wait for them to be.
        let deliver = async {
            let mut results = results;
            let mut waiting: Vec<ResultRecord> = Vec::new();
            while results.recv_many(&mut waiting, RESULTS_AHEAD).await > 0 {
                for group in groups(&waiting) {
                    send.write(&ResultRecord::part(group)).await?;
                }
                waiting.clear();
            }
            Ok::<(), Broken>(())
        };
        let (searched, delivered) = tokio::join!(search, deliver);
        delivered?;
        searched?;
        send.write(&Part::Done).await?;
        Ok(())
    }
}
