//! What is traced: a batch on its way in, a document's run from claim to outcome, a transfer, a takeover, a commit of the
//! store. The names and attributes are told in docs/monitoring.md.
//!
//! The loop tells what it passes on anyway; of a node without a collector nothing is kept. Spans are bounded by slots, and by
//! the offers under way.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use evenkeel_core::change::Outcome;
use evenkeel_core::ids::{BatchId, DocId, Epoch, NodeId, OfferId};
use evenkeel_core::message::Message;
use evenkeel_core::outbox::{Claim, Event, Verdict};
use evenkeel_core::{Effect, Exited, Input};
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, Status};
use opentelemetry_sdk::trace::Span;
use tokio::time::Instant;

use crate::telemetry::{Telemetry, span, span_since};

/// Time after which an offer that was not answered is forgotten: it was lost, or the peer is gone.
const OFFER: Duration = Duration::from_secs(30);

/// What the loop traces.
pub(super) struct Traces {
    telemetry: Telemetry,
    runs: BTreeMap<(DocId, Epoch), Run>,
    offers: BTreeMap<(NodeId, OfferId), (Instant, Span)>,
    silent: BTreeMap<NodeId, SystemTime>,
}

/// A document's run: the whole, and the part of it that is under way.
struct Run {
    whole: Span,
    part: Span,
}

impl Traces {
    pub(super) fn new(telemetry: Telemetry) -> Traces {
        Traces { telemetry, runs: BTreeMap::new(), offers: BTreeMap::new(), silent: BTreeMap::new() }
    }

    /// The core is about to be told something.
    pub(super) fn hear(&mut self, input: &Input) {
        match input {
            Input::Unstarted { doc, epoch } => self.end((*doc, *epoch), "unstarted"),
            Input::Exited(exited) => self.exited(exited),
            Input::Kept { doc, epoch } => self.end((*doc, *epoch), "kept"),
            Input::Received { from, message: Message::Grant { id, accepted, .. } } => {
                if let Some((_, mut span)) = self.offers.remove(&(*from, *id)) {
                    span.set_attribute(KeyValue::new("documents.granted", accepted.len() as i64));
                    span.end();
                }
            }
            _ => {}
        }
    }

    /// Something is about to be done.
    pub(super) fn see(&mut self, effect: &Effect) {
        match effect {
            Effect::Start(claim) => self.start(claim),
            Effect::Keep(verdict) => self.keep(verdict),
            Effect::Discard { doc, epoch } => self.end((*doc, *epoch), "discarded"),
            Effect::Send { to, message: Message::Offer { id, docs, .. } } => self.offer(*to, *id, docs.len()),
            Effect::Observe(event) => self.observe(event),
            _ => {}
        }
    }

    fn start(&mut self, claim: &Claim) {
        let DocId { batch, number } = claim.doc;
        let attributes = [
            KeyValue::new("batch", batch.to_string()),
            KeyValue::new("document", i64::from(number.0)),
            KeyValue::new("epoch", i64::from(claim.epoch.0)),
            KeyValue::new("attempt", i64::from(claim.attempt.0)),
            KeyValue::new("length", i64::try_from(claim.length.0).unwrap_or(i64::MAX)),
        ];
        let whole = self.telemetry.begin("document", Some(&format!("document {}", claim.doc)), span(attributes));
        let part = self.telemetry.within(whole.span_context(), "process", span([]));
        self.runs.insert((claim.doc, claim.epoch), Run { whole, part });
    }

    fn exited(&mut self, exited: &Exited) {
        let Some(run) = self.runs.get_mut(&(exited.doc, exited.epoch)) else { return };
        run.part.set_attribute(KeyValue::new("success", exited.success));
        run.part.end();
    }

    /// Its result is being kept.
    fn keep(&mut self, verdict: &Verdict) {
        let Some(run) = self.runs.get_mut(&(verdict.doc, verdict.epoch)) else { return };
        let outcome = match verdict.outcome {
            Outcome::Done => "done",
            Outcome::Failed => "failed",
            Outcome::Cancelled => "cancelled",
        };
        run.whole.set_attribute(KeyValue::new("outcome", outcome));
        if verdict.outcome == Outcome::Failed {
            run.whole.set_status(Status::error("every attempt failed"));
        }
        run.part = self.telemetry.within(run.whole.span_context(), "keep", span([]));
    }

    fn end(&mut self, run: (DocId, Epoch), how: &'static str) {
        let Some(mut run) = self.runs.remove(&run) else { return };
        run.part.end();
        run.whole.set_attribute(KeyValue::new("end", how));
        run.whole.end();
    }

    fn offer(&mut self, to: NodeId, id: OfferId, documents: usize) {
        let now = Instant::now();
        self.offers.retain(|_, (begun, _)| now.duration_since(*begun) < OFFER);
        let attributes = [KeyValue::new("to", to.to_string()), KeyValue::new("documents.offered", documents as i64)];
        self.offers.insert((to, id), (now, self.telemetry.begin("transfer", None, span(attributes))));
    }

    fn observe(&mut self, event: &Event) {
        match event {
            Event::Silent(node) => drop(self.silent.insert(*node, SystemTime::now())),
            Event::Joined(node) => drop(self.silent.remove(node)),
            Event::TookOver { documents, from } => {
                let begun = self.silent.get(from).copied().unwrap_or_else(SystemTime::now);
                let documents = i64::try_from(*documents).unwrap_or(i64::MAX);
                let attributes = [KeyValue::new("from", from.to_string()), KeyValue::new("documents", documents)];
                self.telemetry.begin("takeover", None, span_since(begun, attributes)).end();
            }
            _ => {}
        }
    }
}

/// An upload under way, as a span that ends with it.
pub(super) struct UploadTrace(Option<Span>);

impl UploadTrace {
    pub(super) fn begin(telemetry: Option<&Telemetry>, batch: BatchId) -> UploadTrace {
        let attributes = [KeyValue::new("batch", batch.to_string())];
        let begin =
            |telemetry: &Telemetry| telemetry.begin("submit", Some(&format!("batch {batch}")), span(attributes));
        UploadTrace(telemetry.map(begin))
    }

    /// It was accepted.
    pub(super) fn accepted(&mut self, documents: u32, copies: usize) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new("documents", i64::from(documents)));
            span.set_attribute(KeyValue::new("copies", copies as i64));
            span.set_status(Status::Ok);
        }
    }
}

/// A commit of the store that has just ended.
pub(super) fn commit(telemetry: &Telemetry, took: Duration, works: usize) {
    let begun = SystemTime::now() - took;
    telemetry.begin("commit", None, span_since(begun, [KeyValue::new("writes", works as i64)])).end();
}

#[cfg(test)]
mod tests;
