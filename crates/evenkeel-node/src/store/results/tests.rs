//! Of several results of one document the right one stays.

use evenkeel_core::change::Outcome;
use evenkeel_core::ids::Epoch;

use super::super::tests::{open, result};
use super::*;

#[tokio::test]
async fn the_result_that_stays_is_that_of_the_outcome_that_stays() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let results = Results::open(&store).unwrap();
    let outcomes = [Outcome::Done, Outcome::Failed, Outcome::Cancelled];
    let all = |doc: DocId| -> Vec<ResultRecord> {
        let epochs = outcomes.into_iter().flat_map(|outcome| (1..3).map(move |epoch| (outcome, Epoch(epoch))));
        let both = epochs.flat_map(|(outcome, epoch)| [1, 2].map(|node| (outcome, epoch, NodeId([node; 16]))));
        both.map(|(outcome, epoch, node)| ResultRecord { outcome, epoch, node, ..result(doc, 1, "") }).collect()
    };
    let count = all(DocId { batch: BatchId(1), number: DocNumber(0) }).len() as u32;
    for first in 0..count {
        for second in 0..count {
            let doc = DocId { batch: BatchId(1), number: DocNumber(first * count + second) };
            let (first, second) = (&all(doc)[first as usize], &all(doc)[second as usize]);
            results.put(std::slice::from_ref(first), &[]).await.unwrap();
            results.put(std::slice::from_ref(second), &[]).await.unwrap();
            let wins = if entry(first).compare(&entry(second)).is_ge() { first } else { second };
            assert_eq!(results.get(doc).unwrap().as_ref(), Some(wins));
        }
    }
    assert_eq!(results.of_batch(BatchId(1)).len(), u64::from(count * count));
}

#[tokio::test]
async fn holders_are_known_by_document_and_by_list() {
    let directory = tempfile::tempdir().unwrap();
    let results = Results::open(&open(directory.path())).unwrap();
    let doc = DocId { batch: BatchId(1), number: DocNumber(5) };
    let (a, b) = (NodeId([1; 16]), NodeId([2; 16]));
    assert_eq!(results.get(doc).unwrap(), None);
    results.set_holders(doc, &[a]);
    assert!(results.held_by(|_| true).is_empty(), "of what is not here nothing is noted");
    results.put(&[result(doc, 3, "third")], &[a, b]).await.unwrap();
    // The result of the lower epoch stays, and with it its holders.
    results.put(&[result(doc, 4, "fourth")], &[b]).await.unwrap();
    assert_eq!(results.get(doc).unwrap(), Some(result(doc, 3, "third")));
    assert_eq!(results.held_by(|holders| holders.contains(&b)), [(doc, Arc::from([a, b]))]);
    results.set_holders(doc, &[a]);
    assert!(results.held_by(|holders| holders.contains(&b)).is_empty());
    assert_eq!(results.held_by(|holders| holders.contains(&a)).len(), 1);
    assert!(results.of_batch(BatchId(2)).is_empty());
}
