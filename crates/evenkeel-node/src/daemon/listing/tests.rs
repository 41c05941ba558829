use evenkeel_core::batch::{Batch, BatchOptions};
use evenkeel_core::ids::{Generation, NodeId, Origin};
use evenkeel_core::settings::Settings;
use evenkeel_core::units::Micros;
use evenkeel_core::{Effect, Exited, Input, Outbox};

use super::*;

const BATCH: BatchId = BatchId(7);
const ME: NodeId = NodeId([1; 16]);
const DOCUMENTS: u32 = 100_000;

/// A node with a batch of which four documents run: those that were to run first, which are the last ones.
fn node(out: &mut Outbox) -> Node {
    let settings = Settings { max_process: 4, ..Settings::default() };
    let mut node = Node::new(Origin { node: ME, generation: Generation(1) }, settings, false, 1);
    let batch = Batch {
        id: BATCH,
        submitter: ME,
        submitted_unix_millis: 0,
        command: vec!["true".into()],
        options: BatchOptions { retries: 1, ..BatchOptions::default() },
        documents: DOCUMENTS,
        retry_of: None,
    };
    let lengths = (0..DOCUMENTS).map(|number| Length(u64::from(number) + 1)).collect();
    node.step(Micros(1), Input::Submit { batch, lengths }, out);
    node
}

/// Documents that the node has asked to be started.
fn started(out: &mut Outbox) -> Vec<(DocId, evenkeel_core::ids::Epoch)> {
    let started = out.drain().filter_map(|effect| match effect {
        Effect::Start(claim) => Some((claim.doc, claim.epoch)),
        _ => None,
    });
    started.collect()
}

fn wanted(state: Option<DocumentState>, from: u32, limit: usize) -> Listing {
    Listing { state, node: None, from: DocNumber(from), limit }
}

/// All that is found, page by page, and the number of pages.
fn all(node: &Node, mut wanted: Listing) -> (Vec<u32>, usize) {
    let (mut found, mut turns) = (Vec::new(), 0);
    loop {
        let (page, next) = turn(node, BATCH, &wanted).expect("the batch is known");
        assert!(page.len() <= wanted.limit);
        found.extend(page.iter().map(|row| row.document.0));
        turns += 1;
        match next {
            Some(next) => wanted.from = next,
            None => return (found, turns),
        }
    }
}

#[test]
fn every_document_is_on_one_page() {
    let node = node(&mut Outbox::new());
    let (found, turns) = all(&node, wanted(None, 0, 999));
    assert_eq!(found, (0..DOCUMENTS).collect::<Vec<_>>());
    assert_eq!(turns, 101);
    assert_eq!(all(&node, wanted(None, DOCUMENTS - 2, 10)).0, [DOCUMENTS - 2, DOCUMENTS - 1]);
    assert_eq!(all(&node, wanted(None, DOCUMENTS, 10)).0, [] as [u32; 0]);
    assert_eq!(all(&node, wanted(None, u32::MAX, 10)).0, [] as [u32; 0]);
    assert!(turn(&node, BatchId(8), &wanted(None, 0, 10)).is_none());
}

#[test]
fn a_turn_looks_at_a_few_segments_and_says_where_to_go_on() {
    let node = node(&mut Outbox::new());
    let stranger = Listing { node: Some(NodeId([2; 16])), ..wanted(None, 5_000, 10) };
    let (found, next) = turn(&node, BATCH, &stranger).expect("the batch is known");
    assert_eq!((found, next), (vec![], Some(DocNumber(9 * 4_096))));
    assert_eq!(all(&node, stranger), (vec![], 3));
}

#[test]
fn documents_are_found_by_where_they_stand() {
    let mut out = Outbox::new();
    let mut node = node(&mut out);
    let running = started(&mut out);
    assert_eq!(running.len(), 4);
    let of = |node: &Node, state| all(node, wanted(Some(state), 0, 50_000)).0;
    let last: Vec<u32> = (DOCUMENTS - 4..DOCUMENTS).collect();
    assert_eq!(of(&node, DocumentState::Running), last);
    assert_eq!(of(&node, DocumentState::Waiting), (0..DOCUMENTS - 4).collect::<Vec<_>>());
    // One at a time, too.
    assert_eq!(all(&node, wanted(Some(DocumentState::Running), 0, 1)), (last, 4));

    let end = |node: &mut Node, (doc, epoch), success, out: &mut Outbox| {
        node.step(Micros(2), Input::Exited(Exited { doc, epoch, success, took: Micros(1) }), out);
        node.step(Micros(3), Input::Kept { doc, epoch }, out);
    };
    end(&mut node, running[0], true, &mut out);
    end(&mut node, running[1], false, &mut out);
    assert_eq!(of(&node, DocumentState::Done), [running[0].0.number.0]);
    assert_eq!(of(&node, DocumentState::BackingOff), [running[1].0.number.0]);
    assert_eq!(of(&node, DocumentState::Failed), [] as [u32; 0]);
    let row = turn(&node, BATCH, &wanted(None, running[1].0.number.0, 1)).expect("the batch is known").0;
    assert_eq!((row[0].failures.0, row[0].node, row[0].state), (1, ME, DocumentState::BackingOff));
}
