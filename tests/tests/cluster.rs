//! The main job: 20,000 documents on four daemons, of which one is killed, one is drained, and to which one is added.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use evenkeel_core::change::Outcome;
use evenkeel_core::ids::BatchId;
use evenkeel_node::api::types::{BatchState, NewBatch, NodeState, ResultLine};
use evenkeel_tests::{Cluster, Starts, Sum, until};
use rustix::process::Signal;

const DOCUMENTS: u32 = 20_000;
const SLOTS: u32 = 4;

/// Longest time from the start of a process to its first document.
const JOINING: Duration = Duration::from_secs(2);

/// Longest time for each part of a round.
const PATIENCE: Duration = Duration::from_secs(180);

/// What one round measured.
#[derive(Debug)]
struct Figures {
    whole: Duration,
    joining: Duration,
    duplicates: usize,
    taken_over: u64,
}

/// Runs once, or as often as EVENKEEL_REPEAT says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_document_ends_once_whatever_happens_to_nodes() {
    let rounds: u32 =
        std::env::var("EVENKEEL_REPEAT").map_or(1, |text| text.parse().expect("EVENKEEL_REPEAT is a number"));
    let sums = Sum::series(DOCUMENTS);
    for number in 1..=rounds {
        let Figures { whole, joining, duplicates, taken_over } = round(&sums).await;
        println!(
            "round {number} of {rounds}: {DOCUMENTS} documents in {:.1} s; the fifth node's first document after \
             {:.0} ms; {taken_over} taken over; {duplicates} started twice",
            whole.as_secs_f64(),
            joining.as_secs_f64() * 1e3,
        );
    }
}

async fn round(sums: &[Sum]) -> Figures {
    let mut cluster = Cluster::start(&[SLOTS; 4], &[]).await;
    let starts = Starts::new(&cluster.directory().join("starts"));
    let documents: Vec<_> = sums.iter().map(Sum::document).collect();
    let begun = Instant::now();
    let accepted = cluster["n2"].api().submit(&NewBatch::new(starts.command(Sum::SCRIPT)), &documents).await;
    let accepted = accepted.expect("a batch is accepted");
    assert_eq!((accepted.documents, accepted.copies, &accepted.warning), (DOCUMENTS, 2, &None));
    let batch = accepted.batch;

    let ended = |cluster: &Cluster, part: u32| reached(cluster["n1"].api().clone(), batch, part);
    ended(&cluster, DOCUMENTS / 3).await;
    cluster["n2"].signal(Signal::KILL);

    ended(&cluster, DOCUMENTS / 2).await;
    let seed = cluster["n1"].address().to_owned();
    let joined_at = jiff::Timestamp::now();
    cluster.add("n5", SLOTS, Some(&seed)).await;
    let fifth = cluster["n5"].id().await;

    ended(&cluster, DOCUMENTS / 4 * 3).await;
    cluster["n4"].api().drain("n3").await.expect("a live node can be drained");
    let left = cluster["n3"].end(PATIENCE).await;
    assert!(left.success(), "a drained node ended with {left}");

    ended(&cluster, DOCUMENTS).await;
    let whole = begun.elapsed();
    let results = compare(&cluster, batch, sums).await;
    let first = results.iter().filter(|result| result.node == fifth).map(|result| result.started_at).min();
    let first = first.expect("the fifth node ran documents");
    let joining =
        Duration::try_from(first.duration_since(joined_at)).expect("a node starts nothing before it is there");
    assert!(joining < JOINING, "the fifth node started its first document after {joining:?}");
    let duplicates = count(&starts);
    let nodes = cluster["n1"].api().nodes().await.expect("a live node answers").nodes;
    let state = |name: &str| nodes.iter().find(|node| node.name == name).map(|node| node.state);
    let gone = (state("n2"), state("n3"));
    assert_eq!(gone, (Some(NodeState::Dead), Some(NodeState::Left)), "who was killed is told from who was drained");
    let taken_over = nodes.iter().map(|node| node.taken_over).sum();
    Figures { whole, joining, duplicates, taken_over }
}

/// Waits until so many documents have ended.
async fn reached(api: evenkeel_tests::Api, batch: BatchId, part: u32) {
    until(&format!("{part} documents to end"), PATIENCE, async || {
        let status = api.batch(batch).await.ok()?;
        (status.documents - status.pending >= part).then_some(())
    })
    .await;
}

/// Every surviving node tells the same, and it is what a serial run gives.
async fn compare(cluster: &Cluster, batch: BatchId, sums: &[Sum]) -> Vec<ResultLine> {
    let mut told: BTreeMap<&str, Vec<ResultLine>> = BTreeMap::new();
    for name in ["n1", "n4", "n5"] {
        let api = cluster[name].api();
        // The others hear of the last outcomes a moment later.
        let status = until(&format!("{name} to know all outcomes"), PATIENCE, async || {
            api.batch(batch).await.ok().filter(|status| status.state == BatchState::Finished)
        })
        .await;
        let counts = (status.done, status.failed, status.cancelled, status.running, status.length_pending);
        assert_eq!(counts, (DOCUMENTS, 0, 0, 0, 0), "{name}");
        told.insert(name, api.results(batch).await.expect("results"));
    }
    let results = told.remove("n1").expect("it was asked");
    for (name, others) in &told {
        assert_eq!(others.len(), results.len(), "{name}");
        for (other, result) in others.iter().zip(&results) {
            assert_eq!(other, result, "{name} and n1 tell different results");
        }
    }
    assert_eq!(results.len(), sums.len());
    for (number, (result, sum)) in results.iter().zip(sums).enumerate() {
        assert_eq!((result.document.0, result.outcome), (number as u32, Outcome::Done));
        assert_eq!(result.stdout.as_deref(), Some(sum.output().as_str()), "document {number}");
    }
    results
}

/// Starts beyond one for each document: only the killed node's may be among them, and no more than it had running.
fn count(starts: &Starts) -> usize {
    let mut by_document: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for start in starts.read() {
        by_document.entry(start.document).or_default().push(start.node);
    }
    assert_eq!(by_document.len() as u32, DOCUMENTS, "a document has an outcome and never started");
    let twice: BTreeMap<_, _> = by_document.into_iter().filter(|(_, nodes)| nodes.len() > 1).collect();
    let duplicates = twice.values().map(|nodes| nodes.len() - 1).sum();
    assert!(twice.values().all(|nodes| nodes[0] == "n2"), "started twice without a death: {twice:?}");
    assert!(duplicates <= SLOTS as usize, "more started twice than the killed node ran: {twice:?}");
    duplicates
}
