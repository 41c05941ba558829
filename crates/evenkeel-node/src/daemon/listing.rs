//! A batch's documents, a page at a time, without holding up the loop: it looks at a few segments a turn.

use std::sync::Arc;

use evenkeel_core::Node;
use evenkeel_core::change::{Entry, Outcome};
use evenkeel_core::docset::DocSet;
use evenkeel_core::ids::{BatchId, DocId, DocNumber, SegmentNumber};
use evenkeel_core::units::Length;

use super::{Inner, status};
use crate::api::Listing;
use crate::api::types::{DocumentState, DocumentStatus, Documents, Problem, Schema};

/// Segments that are looked at in one turn of the loop: 32,768 documents, less than a millisecond.
const SEGMENTS_A_TURN: u32 = 8;

/// Turns that one page takes at most: some 4 million documents. Then it says where to go on.
const TURNS: u32 = 128;

/// One page.
pub(super) async fn page(inner: &Arc<Inner>, batch: BatchId, wanted: Listing) -> Result<Documents, Problem> {
    let mut found = Vec::new();
    let mut next = Some(wanted.from);
    for _ in 0..TURNS {
        let Some(from) = next.filter(|_| found.len() < wanted.limit) else { break };
        let wanted = Listing { from, limit: wanted.limit - found.len(), ..wanted };
        let turn = inner.ask(move |node| turn(node, batch, &wanted)).await?;
        let (documents, then) = turn.ok_or_else(|| Problem::no_such_batch(batch))?;
        found.extend(documents);
        next = then;
    }
    Ok(Documents { schema: Schema, batch, documents: found, next })
}

/// What a few segments have, and where to go on. `None`: there is no such batch.
fn turn(node: &Node, batch: BatchId, wanted: &Listing) -> Option<(Vec<DocumentStatus>, Option<DocNumber>)> {
    let documents = node.state().batch(batch)?.description().documents;
    let (running, resting) = (node.running_documents(batch), node.resting_documents(batch));
    let standing = |number: DocNumber, entry: &Entry| match entry.outcome() {
        None if resting.contains(number) => DocumentState::BackingOff,
        None if running.contains(number) => DocumentState::Running,
        None => DocumentState::Waiting,
        Some(outcome) => status::ended(outcome),
    };
    let row = |number: DocNumber, entry: &Entry, length: Length| {
        let state = standing(number, entry);
        let fits = wanted.state.is_none_or(|wanted| wanted == state);
        let fits = fits && wanted.node.is_none_or(|wanted| wanted == entry.node);
        fits.then(|| DocumentStatus {
            document: number,
            state,
            node: entry.node,
            length,
            epoch: entry.epoch,
            failures: node.state().tries(DocId { batch, number }).failures,
        })
    };
    match wanted.state {
        Some(DocumentState::Running) => Some(chosen(node, batch, wanted, &running, row)),
        Some(DocumentState::BackingOff) => Some(chosen(node, batch, wanted, &resting, row)),
        state => Some(scanned(node, batch, wanted, documents, state.map(outcome_of), row)),
    }
}

/// Of documents that are few, and known by their numbers.
fn chosen(
    node: &Node,
    batch: BatchId,
    wanted: &Listing,
    numbers: &DocSet,
    row: impl Fn(DocNumber, &Entry, Length) -> Option<DocumentStatus>,
) -> (Vec<DocumentStatus>, Option<DocNumber>) {
    let rows = numbers.iter().filter(|number| *number >= wanted.from).filter_map(|number| {
        let doc = DocId { batch, number };
        row(number, &node.state().entry(doc)?, node.state().length(doc)?)
    });
    let mut found: Vec<_> = rows.take(wanted.limit + 1).collect();
    let next = found.get(wanted.limit).map(|more| more.document);
    found.truncate(wanted.limit);
    (found, next)
}

/// Of all, as far as one turn goes.
fn scanned(
    node: &Node,
    batch: BatchId,
    wanted: &Listing,
    documents: u32,
    outcome: Option<Option<Outcome>>,
    row: impl Fn(DocNumber, &Entry, Length) -> Option<DocumentStatus>,
) -> (Vec<DocumentStatus>, Option<DocNumber>) {
    let mut found = Vec::new();
    let begin = wanted.from.segment().0;
    let segments = documents.checked_sub(1).map_or(0, |last| DocNumber(last).segment().0 + 1);
    let mut looked = 0;
    for number in (begin..segments).map(SegmentNumber) {
        if looked == SEGMENTS_A_TURN {
            return (found, Some(number.first().max(wanted.from)));
        }
        if outcome.is_some_and(|outcome| !node.state().may_have(batch, number, outcome)) {
            continue;
        }
        looked += 1;
        for (number, entry, length) in node.state().segment_entries(batch, number) {
            if number < wanted.from {
                continue;
            }
            if found.len() == wanted.limit {
                return (found, Some(number));
            }
            found.extend(row(number, &entry, length));
        }
    }
    (found, None)
}

fn outcome_of(state: DocumentState) -> Option<Outcome> {
    match state {
        DocumentState::Waiting | DocumentState::BackingOff | DocumentState::Running => None,
        DocumentState::Done => Some(Outcome::Done),
        DocumentState::Failed => Some(Outcome::Failed),
        DocumentState::Cancelled => Some(Outcome::Cancelled),
    }
}

#[cfg(test)]
mod tests;
