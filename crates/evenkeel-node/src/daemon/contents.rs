//! The digests of a batch's documents, a segment at a time: its payloads are read here, or fetched once.

use std::sync::Arc;

use evenkeel_core::Node;
use evenkeel_core::change::Outcome;
use evenkeel_core::ids::{BatchId, DocId, DocNumber, SEGMENT_DOCUMENTS};
use evenkeel_net::records::SegmentId;

use super::Inner;
use crate::api::types::{Contents, Digest, Problem, Schema};

/// Those of the documents from `from` to the end of its segment.
pub(super) async fn page(inner: &Arc<Inner>, batch: BatchId, from: DocNumber) -> Result<Contents, Problem> {
    // Payloads may be large, and so may be what is in memory of them.
    let _turn = inner.digesting.acquire().await.expect("it is never closed");
    let found = inner.ask(move |node| wanted(node, batch, from)).await?;
    let (numbers, next) = found.ok_or_else(|| Problem::no_such_batch(batch))?;
    let standing: Vec<DocNumber> = numbers.iter().flatten().copied().collect();
    let mut digests = match held_here(inner, batch, standing.clone()).await {
        Some(digests) => digests,
        None => {
            let payloads = inner.payloads(SegmentId { batch, segment: from.segment() }, &standing).await?;
            blocking(move || payloads.iter().map(|payload| Digest::of(payload)).collect()).await
        }
    }
    .into_iter();
    let digests = numbers.iter().map(|number| number.and_then(|_| digests.next())).collect();
    Ok(Contents { schema: Schema, batch, first: from, digests, next })
}

/// The digests of documents whose payloads can all be read here, one after the other.
async fn held_here(inner: &Arc<Inner>, batch: BatchId, numbers: Vec<DocNumber>) -> Option<Vec<Digest>> {
    let payloads = inner.store.payloads.clone();
    let digest = move |number: DocNumber| {
        let payload = payloads.document(DocId { batch, number }).ok().flatten()?;
        Some(Digest::of(&payload))
    };
    blocking(move || numbers.into_iter().map(digest).collect()).await
}

/// Does what takes a while where it holds up nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|ended| std::panic::resume_unwind(ended.into_panic()))
}

/// The numbers of these documents, without those that have come to nothing; and where the next segment begins, if there is one.
/// `None`: there is no such batch.
fn wanted(node: &Node, batch: BatchId, from: DocNumber) -> Option<(Vec<Option<DocNumber>>, Option<DocNumber>)> {
    let documents = node.state().batch(batch)?.description().documents;
    let end = from.segment().first().0.saturating_add(SEGMENT_DOCUMENTS).min(documents);
    let cancelled = node.state().is_cancelled(batch);
    let stands = |number: DocNumber| {
        let outcome = node.state().entry(DocId { batch, number }).and_then(|entry| entry.outcome());
        match outcome {
            Some(outcome) => outcome == Outcome::Done,
            None => !cancelled,
        }
    };
    let numbers = (from.0..end).map(DocNumber).map(|number| stands(number).then_some(number)).collect();
    Some((numbers, (end < documents).then_some(DocNumber(end))))
}
