//! Events in words, and whom they are about.

use evenkeel_core::change::Outcome;
use evenkeel_core::ids::{BatchId, DocId, DocNumber, NodeId};
use evenkeel_node::api::types::{Event, NodeState};
use indicatif::HumanCount;

use crate::command::nodes::figure;
use crate::input::printable;

/// How much an event matters to somebody who looks on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// One document took its usual course: of these there are thousands a second.
    Minor,
    /// Something happened.
    Plain,
    /// Something went wrong.
    Bad,
}

/// How much an event matters.
pub(super) fn weight(event: &Event) -> Weight {
    match event {
        Event::DocumentStarted { .. } => Weight::Minor,
        Event::DocumentEnded { outcome: Outcome::Failed, .. } => Weight::Bad,
        Event::DocumentEnded { .. } => Weight::Minor,
        Event::DocumentsTakenOver { .. } | Event::Missed { .. } => Weight::Bad,
        Event::NodeChanged { state: NodeState::Dead | NodeState::Suspect, .. } => Weight::Bad,
        _ => Weight::Plain,
    }
}

/// The document that an event is about.
pub(super) fn document(event: &Event) -> Option<DocId> {
    let doc = |batch: &BatchId, document: &DocNumber| Some(DocId { batch: *batch, number: *document });
    match event {
        Event::DocumentStarted { batch, document, .. }
        | Event::DocumentEnded { batch, document, .. }
        | Event::DuplicateStopped { batch, document, .. } => doc(batch, document),
        _ => None,
    }
}

/// The batch that an event is about.
pub(super) fn batch(event: &Event) -> Option<BatchId> {
    match event {
        Event::BatchAccepted { batch, .. } | Event::BatchCancelled { batch } | Event::BatchFinished { batch, .. } => {
            Some(*batch)
        }
        event => document(event).map(|doc| doc.batch),
    }
}

/// The nodes that an event is about.
pub(super) fn nodes(event: &Event) -> Vec<NodeId> {
    match event {
        Event::DocumentsMoved { from, to, .. } | Event::DocumentsTakenOver { from, to, .. } => vec![*from, *to],
        Event::DocumentEnded { node, .. } | Event::NodeChanged { node, .. } => vec![*node],
        Event::DuplicateStopped { owner, .. } => vec![*owner],
        _ => Vec::new(),
    }
}

/// An event as a sentence; `name` knows nodes by their ids.
pub(super) fn words(event: &Event, name: impl Fn(NodeId) -> String) -> String {
    match event {
        Event::BatchAccepted { batch, documents } => {
            format!("batch {batch} accepted: {}", count(u64::from(*documents)))
        }
        Event::BatchCancelled { batch } => format!("batch {batch} cancelled"),
        Event::BatchRemoved { batch } => format!("batch {batch} removed"),
        Event::BatchFinished { batch, done, failed, cancelled } => {
            let mut text = format!("batch {batch} finished: {} done", HumanCount(u64::from(*done)));
            for (number, what) in [(failed, "failed"), (cancelled, "cancelled")] {
                if *number > 0 {
                    text.push_str(&format!(", {} {what}", HumanCount(u64::from(*number))));
                }
            }
            text
        }
        Event::DocumentStarted { batch, document, attempt } => {
            let again = if attempt.0 > 1 { format!(", attempt {attempt}") } else { String::new() };
            format!("document {batch}/{document} started{again}")
        }
        Event::DocumentEnded { batch, document, outcome, node } => {
            let how = match outcome {
                Outcome::Done => "done",
                Outcome::Failed => "FAILED",
                Outcome::Cancelled => "cancelled",
            };
            format!("document {batch}/{document} {how} on {}", name(*node))
        }
        Event::DocumentsMoved { from, to, documents } => {
            format!("{} moved from {} to {}", count(*documents), name(*from), name(*to))
        }
        Event::DocumentsTakenOver { from, to, documents } => {
            format!("{} took over {} of {}, which is gone", name(*to), count(*documents), name(*from))
        }
        Event::DuplicateStopped { batch, document, owner } => {
            format!("a second run of {batch}/{document} stopped: {} has it", name(*owner))
        }
        Event::NodeChanged { name, state: NodeState::Left, .. } => {
            format!("node {} has left", printable(name.as_ref()))
        }
        Event::NodeChanged { name, state, .. } => format!("node {} is {}", printable(name.as_ref()), state.as_str()),
        Event::EquilibriumChanged { in_equilibrium: true, .. } => "in equilibrium".to_owned(),
        Event::EquilibriumChanged { in_equilibrium: false, regret } => {
            format!("out of equilibrium: a document could gain {}", figure(*regret))
        }
        Event::Missed { count: Some(1) } => "one event was missed here".to_owned(),
        Event::Missed { count: Some(count) } => format!("{} events were missed here", HumanCount(*count)),
        Event::Missed { count: None } => "events may have been missed: the node was started again".to_owned(),
    }
}

/// So many documents, in words.
pub(super) fn count(documents: u64) -> String {
    format!("{} {}", HumanCount(documents), if documents == 1 { "document" } else { "documents" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_sentences() {
        let (one, two) = (NodeId([1; 16]), NodeId([2; 16]));
        let name = |node: NodeId| if node == one { "one".to_owned() } else { "two".to_owned() };
        let batch = BatchId(0x1234_5678_9abc_def0);
        for (event, said) in [
            (Event::BatchAccepted { batch, documents: 1 }, "batch 14d2pf2dbsqqg accepted: 1 document"),
            (
                Event::BatchFinished { batch, done: 1_200, failed: 2, cancelled: 0 },
                "batch 14d2pf2dbsqqg finished: 1,200 done, 2 failed",
            ),
            (
                Event::DocumentEnded { batch, document: DocNumber(7), outcome: Outcome::Failed, node: two },
                "document 14d2pf2dbsqqg/7 FAILED on two",
            ),
            (Event::DocumentsMoved { from: one, to: two, documents: 1_500 }, "1,500 documents moved from one to two"),
            (
                Event::DocumentsTakenOver { from: one, to: two, documents: 3 },
                "two took over 3 documents of one, which is gone",
            ),
            (Event::NodeChanged { node: one, name: "one".to_owned(), state: NodeState::Left }, "node one has left"),
            (
                Event::NodeChanged { node: one, name: "o\x1b[2Jne".to_owned(), state: NodeState::Draining },
                "node o\\u{1b}[2Jne is draining",
            ),
            (
                Event::EquilibriumChanged { in_equilibrium: false, regret: 1.5 },
                "out of equilibrium: a document could gain 1.50",
            ),
            (Event::Missed { count: None }, "events may have been missed: the node was started again"),
        ] {
            assert_eq!(words(&event, name), said);
        }
    }
}
