//! S8: the lattice laws, under permutation, repetition and loss of changes.

use crdts::{CmRDT, CvRDT};
use proptest::prelude::*;

use super::*;
use crate::batch::BatchOptions;
use crate::change::{Change, Entries, Status, Title};
use crate::ids::Generation;
use crate::message::Cursor;

const NODES: u8 = 4;
const DOCUMENTS: u32 = 5_000;

fn node(number: u8) -> NodeId {
    NodeId([number; 16])
}

fn batch(id: u64) -> Batch {
    Batch {
        id: BatchId(id),
        submitter: node(0),
        submitted_unix_millis: 0,
        command: vec!["true".into()],
        options: BatchOptions::default(),
        documents: DOCUMENTS,
        retry_of: None,
    }
}

fn segment_change(id: u64, number: u32) -> Change {
    let count = batch(id).documents_in(SegmentNumber(number));
    let entry =
        |place: u32| Entry { epoch: Epoch(1), node: node((place % 3) as u8), status: Status::Owned(Title::Given) };
    Change::Segment {
        batch: BatchId(id),
        segment: SegmentNumber(number),
        lengths: Arc::new(Lengths::pack(&(0..count).map(|place| Length(u64::from(place % 700))).collect::<Vec<_>>())),
        entries: Arc::new(Entries::pack((0..count).map(entry))),
    }
}

fn docs() -> impl Strategy<Value = DocSet> {
    // Few numbers, so that changes meet; one far away, so that both segments are touched.
    proptest::collection::btree_set(prop_oneof![0u32..6, Just(4_999)], 1..4)
        .prop_map(|numbers| numbers.into_iter().map(DocNumber).collect())
}

fn change() -> impl Strategy<Value = Change> {
    let id = 0u64..2;
    let title = prop_oneof![Just(Title::Given), Just(Title::PassedOn), Just(Title::Claimed)];
    let outcome = prop_oneof![Just(Outcome::Done), Just(Outcome::Failed), Just(Outcome::Cancelled)];
    let any = prop_oneof![
        id.clone().prop_map(|id| Change::Batch(batch(id))),
        (id.clone(), 0u32..2).prop_map(|(id, number)| segment_change(id, number)),
        (id.clone(), docs(), 1u32..5, 0..NODES, title).prop_map(|(id, docs, epoch, owner, title)| {
            Change::Moved { batch: BatchId(id), docs, epoch: Epoch(epoch), owner: node(owner), title }
        }),
        (id.clone(), docs(), 1u32..5, 0..NODES, outcome).prop_map(|(id, docs, epoch, owner, outcome)| {
            Change::Ended { batch: BatchId(id), docs, epoch: Epoch(epoch), node: node(owner), outcome }
        }),
        (id.clone(), docs(), 1u32..5, 0..NODES).prop_map(|(id, docs, epoch, owner)| Change::Running {
            batch: BatchId(id),
            docs,
            epoch: Epoch(epoch),
            node: node(owner)
        }),
        (id.clone(), 0u32..6, 0u32..3, 0u32..3).prop_map(|(id, number, failures, crashes)| Change::Tried {
            doc: DocId { batch: BatchId(id), number: DocNumber(number) },
            failures: Attempt(failures),
            crashes
        }),
        id.clone().prop_map(|id| Change::Cancelled(BatchId(id))),
        (0..NODES).prop_map(|owner| Change::Draining(Origin { node: node(owner), generation: Generation(1) })),
    ];
    // Rarely, since it makes all else that is said of its batch moot.
    prop_oneof![40 => any, 1 => id.prop_map(|id| Change::Removed(BatchId(id)))]
}

/// All changes that describe the batches, so that nothing stays early for ever.
fn descriptions() -> Vec<Change> {
    (0..2u64).flat_map(|id| [Change::Batch(batch(id)), segment_change(id, 0), segment_change(id, 1)]).collect()
}

/// What two replicas must agree on, whatever their tables look like.
#[derive(Debug, PartialEq)]
struct Seen {
    entries: BTreeMap<DocId, Entry>,
    tallies: Vec<(BatchId, Tally, BTreeMap<NodeId, u64>)>,
    tries: BTreeMap<DocId, Tries>,
    running: BTreeMap<DocId, NodeId>,
    settings: (BTreeSet<BatchId>, BTreeSet<Origin>, BTreeSet<BatchId>),
    owners: BTreeMap<NodeId, u64>,
    digest: u64,
}

fn seen(state: &State) -> Seen {
    let all = state.batches.iter().flat_map(|(id, batch)| {
        (0..batch.description.documents).map(|number| DocId { batch: *id, number: DocNumber(number) })
    });
    let open = |owners: &mut dyn Iterator<Item = (NodeId, u64)>| owners.filter(|(_, open)| *open > 0).collect();
    Seen {
        entries: all.clone().filter_map(|doc| Some((doc, state.entry(doc)?))).collect(),
        tallies: state.batches().map(|(id, batch)| (id, batch.tally(), open(&mut state.owners_in(id)))).collect(),
        tries: state.tries.clone(),
        running: all.filter_map(|doc| Some((doc, state.running(doc)?))).collect(),
        settings: (state.cancelled.clone(), state.draining.clone(), state.removed.clone()),
        owners: open(&mut state.owners()),
        digest: state.digest(),
    }
}

fn merged(me: u8, changes: &[Change]) -> State {
    let mut state = State::new(node(me));
    changes.iter().for_each(|change| state.apply(change.clone()));
    state
}

fn shuffled(changes: &[Change], order: &[prop::sample::Index]) -> Vec<Change> {
    let mut changes = changes.to_vec();
    for (place, index) in order.iter().enumerate().take(changes.len()) {
        let other = index.index(changes.len());
        changes.swap(place, other);
    }
    changes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_order_and_repetition_of_changes_do_not_matter(
        changes in proptest::collection::vec(change(), 1..25),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 40),
        repeated in proptest::collection::vec(any::<prop::sample::Index>(), 0..10),
    ) {
        let mut changes = changes;
        changes.extend(descriptions());
        let mut again = shuffled(&changes, &order);
        again.extend(repeated.iter().map(|index| changes[index.index(changes.len())].clone()));
        prop_assert_eq!(seen(&merged(0, &changes)), seen(&merged(3, &again)));
    }

    #[test]
    fn whole_states_join(
        a in proptest::collection::vec(change(), 1..15),
        b in proptest::collection::vec(change(), 1..15),
        c in proptest::collection::vec(change(), 1..15),
    ) {
        let state = |changes: &[Change]| merged(0, &[descriptions(), changes.to_vec()].concat());
        let (a, b, c) = (state(&a), state(&b), state(&c));
        let join = |left: &State, right: &State| { let mut left = left.clone(); left.merge(right.clone()); left };
        prop_assert_eq!(seen(&join(&a, &b)), seen(&join(&b, &a)));
        prop_assert_eq!(seen(&join(&join(&a, &b), &c)), seen(&join(&a, &join(&b, &c))));
        prop_assert_eq!(seen(&join(&a, &a)), seen(&a));
    }

    #[test]
    fn a_snapshot_says_everything(changes in proptest::collection::vec(change(), 1..25)) {
        let state = merged(0, &[changes, descriptions()].concat());
        let mut copy = State::new(node(2));
        state.snapshot().into_iter().for_each(|change| copy.apply(change));
        prop_assert_eq!(seen(&copy), seen(&state));
    }

    /// Also of what has arrived before that of which it speaks: it counts as seen, and will not come again.
    #[test]
    fn a_snapshot_says_what_is_early(changes in proptest::collection::vec(change(), 1..25)) {
        let early = merged(0, &changes);
        let mut copy = State::new(node(2));
        let mut cursor = Some(Cursor { base: Arc::default(), batch: None, segment: SegmentNumber(0) });
        while let Some(at) = cursor {
            let (part, next) = early.snapshot_part(&at);
            part.into_iter().for_each(|change| copy.apply(change));
            cursor = next;
        }
        descriptions().into_iter().for_each(|change| copy.apply(change));
        prop_assert_eq!(seen(&copy), seen(&merged(0, &[changes, descriptions()].concat())));
    }

    #[test]
    fn lost_changes_are_made_up_for_by_a_snapshot(
        changes in proptest::collection::vec(change(), 1..25),
        lost in proptest::collection::vec(any::<bool>(), 40),
    ) {
        let changes = [changes, descriptions()].concat();
        let whole = merged(0, &changes);
        let kept: Vec<_> = changes.iter().zip(lost).filter(|(_, lost)| !lost).map(|(change, _)| change.clone()).collect();
        let mut partial = merged(1, &kept);
        partial.merge(whole.clone());
        prop_assert_eq!(seen(&partial), seen(&whole));
    }

    /// A shift is told exactly when ownership by this node begins or ends.
    #[test]
    fn shifts_follow_ownership(changes in proptest::collection::vec(change(), 1..40)) {
        let mut state = State::new(node(0));
        let mut owned = BTreeSet::new();
        for change in [changes, descriptions()].concat() {
            let mut shifts = Vec::new();
            let _ = state.merge_change(&change, &mut shifts);
            for shift in shifts {
                if shift.is_gain() {
                    prop_assert!(owned.insert(shift.doc));
                } else if shift.is_loss() {
                    prop_assert!(owned.remove(&shift.doc));
                }
            }
        }
        let documents: BTreeSet<_> = state.documents_of(node(0)).map(|(doc, _)| doc).collect();
        prop_assert_eq!(documents, owned);
    }
}

#[test]
fn malformed_changes_are_refused_and_change_nothing() {
    let mut state = merged(0, &descriptions());
    let before = seen(&state);
    let entries = |count: usize| {
        Entries::pack(std::iter::repeat_n(
            Entry { epoch: Epoch(9), node: node(1), status: Status::Owned(Title::Given) },
            count,
        ))
    };
    let lengths = |count: u32, length| Lengths::Same { length: Length(length), count };
    let segment = |lengths, entries| Change::Segment {
        batch: BatchId(0),
        segment: SegmentNumber(1),
        lengths: Arc::new(lengths),
        entries: Arc::new(entries),
    };
    let malformed = [
        Change::Batch(Batch { documents: 0, ..batch(9) }),
        Change::Batch(Batch { documents: 7, ..batch(0) }),
        segment(lengths(903, 1), entries(904)),
        segment(lengths(904, 1), entries(903)),
        segment(lengths(904, 1 << 60), entries(904)),
        Change::Moved {
            batch: BatchId(0),
            docs: DocSet::from_iter([DocNumber(DOCUMENTS)]),
            epoch: Epoch(9),
            owner: node(1),
            title: Title::Given,
        },
    ];
    for change in malformed {
        let said = format!("{change:?}");
        assert!(state.merge_change(&change, &mut Vec::new()).is_err(), "{said}");
    }
    assert_eq!(seen(&state), before);
}

#[test]
fn what_speaks_of_the_unknown_is_bounded() {
    let mut state = State::new(node(0));
    let moved = |id| Change::Moved {
        batch: BatchId(id),
        docs: DocSet::from_iter([DocNumber(7)]),
        epoch: Epoch(2),
        owner: node(1),
        title: Title::Given,
    };
    let refused = (0..20_000).filter(|id| state.merge_change(&moved(*id), &mut Vec::new()).is_err()).count();
    assert_eq!(refused, 10_000);
    let large = Change::Ended {
        batch: BatchId(1),
        docs: (0..3_000_000).step_by(2).map(DocNumber).collect(),
        epoch: Epoch(1),
        node: node(1),
        outcome: Outcome::Done,
    };
    let mut state = State::new(node(0));
    let kept = (0..500).filter(|id| {
        let mut change = large.clone();
        if let Change::Ended { batch, .. } = &mut change {
            *batch = BatchId(*id);
        }
        state.merge_change(&change, &mut Vec::new()).is_ok()
    });
    let kept = kept.count();
    assert!((15..30).contains(&kept), "{kept}");
}

#[test]
fn a_finished_document_takes_about_a_byte() {
    let mut state = merged(0, &descriptions());
    let all: DocSet = (0..DOCUMENTS).map(DocNumber).collect();
    state.apply(Change::Ended { batch: BatchId(0), docs: all, epoch: Epoch(1), node: node(1), outcome: Outcome::Done });
    assert!(state.batches[&BatchId(0)].is_finished());
    assert_eq!(state.batches[&BatchId(0)].tally().done, u64::from(DOCUMENTS));
    assert_eq!(state.ended(BatchId(0), Outcome::Done).len(), u64::from(DOCUMENTS));
}

#[test]
fn a_passage_is_counted_where_an_owner_changes_and_only_once() {
    let mut state = State::new(node(0));
    let docs = |numbers: &[u32]| numbers.iter().copied().map(DocNumber).collect::<DocSet>();
    // Documents 0 and 3 are given to node 0 at first, and 1 to node 1.
    let moved = |numbers: &[u32], epoch, owner, title| Change::Moved {
        batch: BatchId(0),
        docs: docs(numbers),
        epoch: Epoch(epoch),
        owner: node(owner),
        title,
    };
    let ended = Change::Ended {
        batch: BatchId(0),
        docs: docs(&[0, 1, 4]),
        epoch: Epoch(3),
        node: node(3),
        outcome: Outcome::Done,
    };
    let given = moved(&[0, 3], 2, 2, Title::Given);
    let claimed = moved(&[3], 3, 1, Title::Claimed);
    let renewed = moved(&[1], 2, 1, Title::PassedOn);
    for change in [Change::Batch(batch(0)), segment_change(0, 0), given.clone(), given, claimed, renewed, ended] {
        state.apply(change);
    }
    let mut passages: Vec<_> = state
        .passages()
        .map(|passage| (passage.from.0[0], passage.to.0[0], passage.claimed, passage.documents))
        .collect();
    passages.sort_unstable();
    assert_eq!(passages, [(0, 2, false, 2), (1, 3, false, 2), (2, 1, true, 1), (2, 3, false, 1)]);
}

#[test]
fn a_segment_tells_what_it_may_have_and_never_denies_what_it_has() {
    let mut state = State::new(node(0));
    state.apply(Change::Batch(batch(0)));
    let stands = |state: &State, number: u32| {
        let some = [None, Some(Outcome::Done), Some(Outcome::Failed), Some(Outcome::Cancelled)];
        some.map(|outcome| state.may_have(BatchId(0), SegmentNumber(number), outcome))
    };
    assert_eq!(stands(&state, 0), [false; 4], "it has not come");
    state.apply(segment_change(0, 0));
    state.apply(segment_change(0, 1));
    assert_eq!(stands(&state, 0), [true, false, false, false]);
    for (numbers, outcome) in [(0..4_096, Outcome::Done), (17..18, Outcome::Failed), (4_096..5_000, Outcome::Done)] {
        for number in numbers {
            let entry = state.entry(DocId { batch: BatchId(0), number: DocNumber(number) }).expect("it is known");
            let outcome = if number == 17 { Outcome::Failed } else { outcome };
            state.apply(Change::Ended {
                batch: BatchId(0),
                docs: [DocNumber(number)].into_iter().collect(),
                epoch: entry.epoch,
                node: entry.node,
                outcome,
            });
        }
    }
    assert_eq!(stands(&state, 0), [false, true, true, false]);
    assert_eq!(stands(&state, 1), [false, true, false, false]);
    let failed = state
        .segment_entries(BatchId(0), SegmentNumber(0))
        .filter(|(_, entry, _)| entry.outcome() == Some(Outcome::Failed));
    assert_eq!(failed.map(|(number, _, _)| number.0).collect::<Vec<_>>(), [17]);
    assert_eq!(state.segment_entries(BatchId(0), SegmentNumber(1)).count(), 904);
    assert_eq!(state.segment_entries(BatchId(0), SegmentNumber(2)).count(), 0);
}
