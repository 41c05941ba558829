//! A node that stands still long enough to be held dead, and then goes on as if nothing had happened.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use evenkeel_core::change::Outcome;
use evenkeel_core::ids::BatchId;
use evenkeel_node::api::types::{BatchState, DocumentLine, NewBatch, NodeState, ResultLine};
use evenkeel_tests::{Api, Cluster, Start, Starts, until};
use rustix::process::Signal;

/// More slots than documents: whatever is taken over starts at once.
const SLOTS: u32 = 24;

/// Three times the detection time of a [`Cluster`].
const PAUSE: Duration = Duration::from_secs(9);

/// Seconds that documents take: those of the first kind end during the pause wherever they run, those of the second
/// after it.
const SHORT: u64 = 4;
const LONG: u64 = 18;
const EACH: u32 = 12;

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_node_that_stood_still_gives_way_and_goes_on() {
    let cluster = Cluster::start(&[SLOTS; 3], &[]).await;
    let starts = Starts::new(&cluster.directory().join("starts"));
    let ends = Starts::new(&cluster.directory().join("ends"));
    let script = format!("sleep $1; {}", ends.line());
    let documents: Vec<_> = (0..2 * EACH).map(|number| sleeper(if number < EACH { SHORT } else { LONG })).collect();
    let api = cluster["n1"].api();
    let batch =
        api.submit(&NewBatch::new(starts.command(&script)), &documents).await.expect("a batch is accepted").batch;

    until("all documents to start", PATIENCE, async || (starts.read().len() as u32 == 2 * EACH).then_some(())).await;
    let paused = of_node(&starts.read(), "n2");
    assert!(paused.iter().any(is_short) && paused.iter().any(|start| !is_short(start)), "{paused:?}");
    cluster["n2"].signal(Signal::STOP);
    let stopped = Instant::now();
    asked_about_in_vain(&cluster, batch, paused[0].document).await;

    let before = until("the others to do what they can without it", PATIENCE, async || {
        let results = api.results(batch).await.ok()?;
        let twice = of_node(&starts.read(), "n1").len() + of_node(&starts.read(), "n3").len();
        let all = results.len() as u32 == EACH && twice as u32 == 2 * EACH;
        (all && stopped.elapsed() >= PAUSE).then_some(results)
    })
    .await;
    assert_eq!(state_of(api, "n2").await, NodeState::Dead);
    assert!(paused.iter().all(|start| is_short(start) || start.lives()), "a stopped node cannot have killed anything");
    cluster["n2"].signal(Signal::CONT);

    until("the losers to be killed", PATIENCE, async || paused.iter().all(|start| !start.lives()).then_some(())).await;
    let duplicates = until("the duplicates to be counted", PATIENCE, async || {
        let nodes = api.nodes().await.ok()?.nodes;
        let duplicates: u64 = nodes.iter().map(|node| node.duplicates).sum();
        let back = nodes.iter().all(|node| node.state == NodeState::Live);
        (back && duplicates >= paused.len() as u64).then_some(duplicates)
    })
    .await;
    finished(&cluster, batch).await;
    let after = cluster["n2"].api().results(batch).await.expect("results");
    unchanged(&before, &after);

    assert_eq!(duplicates, paused.len() as u64);
    assert_eq!(starts.read().len() as u32, 2 * EACH + paused.len() as u32);
    let long_ends: Vec<u32> = ends.read().iter().map(|end| end.document).filter(|number| *number >= EACH).collect();
    assert_eq!(long_ends.len() as u32, EACH, "a loser ran to its end");
    takes_part(&cluster, &starts).await;
}

/// Nobody knows yet that the owner stands still. Who asks hears what is known, and who has not answered, within a second.
async fn asked_about_in_vain(cluster: &Cluster, batch: BatchId, document: u32) {
    // Of a document that was moved a moment ago it hears a moment later.
    until("the silent owner to be named", PATIENCE, async || {
        let asked = Instant::now();
        let told = cluster["n1"].api().explain(batch, document).await.expect("a live node answers");
        assert!(asked.elapsed() < Duration::from_secs(2), "it took {:?}", asked.elapsed());
        let unanswered: Vec<String> = told.unanswered.iter().map(|node| told.name_of(*node)).collect();
        (unanswered == ["n2"] && told.copies.len() == 2).then_some(())
    })
    .await;
}

fn sleeper(seconds: u64) -> DocumentLine<'static> {
    DocumentLine { payload: Some(seconds.to_string().into()), payload_base64: None, length: Some(seconds) }
}

fn is_short(start: &Start) -> bool {
    start.document < EACH
}

fn of_node(starts: &[Start], node: &str) -> Vec<Start> {
    starts.iter().filter(|start| start.node == node).cloned().collect()
}

async fn state_of(api: &Api, name: &str) -> NodeState {
    let nodes = api.nodes().await.expect("a live node answers").nodes;
    nodes.iter().find(|node| node.name == name).expect("a dead node is remembered").state
}

async fn finished(cluster: &Cluster, batch: BatchId) {
    for node in cluster.nodes() {
        until(&format!("{node} to know all outcomes"), PATIENCE, async || {
            let status = node.api().batch(batch).await.ok()?;
            assert_eq!(status.failed, 0);
            (status.state == BatchState::Finished).then_some(())
        })
        .await;
    }
}

/// No result has changed since, and all are there.
fn unchanged(before: &[ResultLine], after: &[ResultLine]) {
    assert_eq!(after.len() as u32, 2 * EACH);
    assert!(after.iter().all(|result| result.outcome == Outcome::Done));
    for result in before {
        assert_eq!(&after[result.document.0 as usize], result);
    }
}

/// The node that stood still takes work again, and nothing runs twice any more.
async fn takes_part(cluster: &Cluster, starts: &Starts) {
    let first = starts.read().len();
    let api = cluster["n2"].api();
    let documents: Vec<_> = (0..SLOTS).map(|_| sleeper(1)).collect();
    let batch = NewBatch::new(starts.command("sleep $1"));
    let accepted = api.submit(&batch, &documents).await.expect("a batch is accepted");
    finished(cluster, accepted.batch).await;
    let later = &starts.read()[first..];
    assert_eq!(later.len() as u32, SLOTS);
    let nodes: BTreeSet<&str> = later.iter().map(|start| start.node.as_str()).collect();
    assert_eq!(nodes, BTreeSet::from(["n1", "n2", "n3"]));
}
