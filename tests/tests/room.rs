//! A node on a small disk that really fills up, by what documents bring and leave and by what others put there.

use std::time::Duration;

use evenkeel_core::ids::BatchId;
use evenkeel_node::api::types::{NewBatch, NodeState, NodeStatus};
use evenkeel_tests::whole::all_right;
use evenkeel_tests::{Bulk, Cluster, Disk, Filler, Setting, until};

const SLOTS: u32 = 4;
const PATIENCE: Duration = Duration::from_secs(180);

/// The node on the small disk, and the disk.
const SMALL: &str = "n2";
const DISK: Disk = Disk(64 << 20);

/// Bytes of a document, twice: payload and output.
const BYTES: usize = 20_000;

async fn cluster(low_water: &str) -> Cluster {
    let settings: [Setting<'_>; 1] = [("EVENKEEL_STORE__LOW_WATER", low_water)];
    let mut cluster = Cluster::start(&[SLOTS], &settings).await;
    let seed = cluster["n1"].address().to_owned();
    cluster.add_on(DISK, SMALL, SLOTS, Some(&seed)).await;
    cluster.add("n3", SLOTS, Some(&seed)).await;
    cluster.meet().await;
    cluster
}

/// What makes the output from the payload, in a while.
fn slow() -> NewBatch {
    let script = format!("sleep 0.05; exec {}", Bulk::COMMAND.join(" "));
    NewBatch::new(["sh".to_owned(), "-c".to_owned(), script].to_vec())
}

async fn submit(cluster: &Cluster, name: &str, bulk: &[Bulk]) -> anyhow::Result<BatchId> {
    let documents: Vec<_> = bulk.iter().map(Bulk::document).collect();
    Ok(cluster[name].api().submit(&slow(), &documents).await?.batch)
}

fn outputs(bulk: &[Bulk]) -> Vec<String> {
    bulk.iter().map(Bulk::output).collect()
}

/// Status and words of `/readyz`.
async fn ready(cluster: &Cluster, name: &str) -> Option<(u16, String)> {
    let answer = reqwest::get(format!("{}/readyz", cluster[name].api().base())).await.ok()?;
    Some((answer.status().as_u16(), answer.text().await.ok()?))
}

/// The small node, as another sees it.
async fn seen(cluster: &Cluster, by: &str) -> Option<NodeStatus> {
    let nodes = cluster[by].api().nodes().await.ok()?.nodes;
    nodes.into_iter().find(|node| node.name == SMALL)
}

async fn metric(cluster: &Cluster, name: &str) -> f64 {
    cluster[SMALL].api().metric(name).await.expect("a node tells its metrics")
}

/// Nothing can be written any more: nothing is lost, others do the work, and the node goes on by itself when there is room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_is_said_and_worked_around() {
    let cluster = cluster("0").await;
    let bulk = Bulk::series(0..800, BYTES);
    let first = submit(&cluster, "n1", &bulk).await.expect("a batch is accepted");
    until("the node to take part", PATIENCE, async || {
        seen(&cluster, SMALL).await.filter(|node| node.started > 10).map(|_| ())
    })
    .await;
    let filler = Filler::leaving(0, &cluster[SMALL].data());
    let words = until("the node to say that its disk is full", PATIENCE, async || {
        ready(&cluster, SMALL).await.filter(|(status, _)| *status == 503).map(|(_, words)| words)
    })
    .await;
    assert!(words.contains("cannot write to the data directory") && words.contains("No space left"), "{words}");
    assert_eq!(metric(&cluster, "evenkeel_store_failing").await, 1.0);
    let refused = submit(&cluster, SMALL, &bulk[..10]).await.expect_err("it takes nothing");
    assert!(format!("{refused:#}").contains("cannot write to the data directory"), "{refused:#}");
    until("the others to know that it takes nothing", PATIENCE, async || {
        seen(&cluster, "n1").await.filter(|node| node.state == NodeState::Draining).map(|_| ())
    })
    .await;
    all_right(&cluster, &["n1", "n3"], first, &outputs(&bulk)).await;

    drop(filler);
    until("the node to be ready again", PATIENCE, async || {
        ready(&cluster, SMALL).await.filter(|(status, _)| *status == 200)
    })
    .await;
    until("the others to know it", PATIENCE, async || {
        seen(&cluster, "n1").await.filter(|node| node.state == NodeState::Live).map(|_| ())
    })
    .await;
    let before = seen(&cluster, SMALL).await.expect("a node knows itself").started;
    let second = submit(&cluster, SMALL, &bulk[..100]).await.expect("it takes batches again");
    all_right(&cluster, &["n1", SMALL, "n3"], second, &outputs(&bulk[..100])).await;
    all_right(&cluster, &[SMALL], first, &outputs(&bulk)).await;
    assert!(seen(&cluster, SMALL).await.expect("a node knows itself").started > before, "it starts documents again");
    let log = cluster[SMALL].log();
    assert!(log.contains("cannot write to the data directory") && log.contains("can be written to again"), "{log}");
}

/// There is room yet, and it gets short: the node takes nothing new, goes on with what it has, and is spared by the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_short_of_room_takes_no_batches() {
    let cluster = cluster("24MiB").await;
    let bulk = Bulk::series(0..400, 2_000);
    let first = submit(&cluster, SMALL, &bulk).await.expect("a batch is accepted");
    let before = seen(&cluster, SMALL).await.expect("a node knows itself").started;
    let filler = Filler::leaving(22 << 20, &cluster[SMALL].data());
    // It looks for itself, and need not have noticed before.
    let refused = submit(&cluster, SMALL, &bulk[..10]).await.expect_err("it takes nothing new");
    let refused = format!("{refused:#}");
    assert!(
        refused.contains("503") && refused.contains("store.low_water is 24.0 MiB: no batches are taken"),
        "{refused}"
    );
    let (status, words) = ready(&cluster, SMALL).await.expect("it answers");
    assert!(status == 200 && words.starts_with("ok; the disk of the data directory has "), "{status}: {words}");
    assert_eq!(metric(&cluster, "evenkeel_store_low").await, 1.0);

    // It goes on with what it has.
    all_right(&cluster, &["n1", SMALL, "n3"], first, &outputs(&bulk)).await;
    let after = seen(&cluster, SMALL).await.expect("a node knows itself").started;
    assert!(after > before, "{after} started, {before} before");

    // Of two copies among three nodes, by chance alone, two in three batches would have one there.
    until("ten batches in a row to pass it by", PATIENCE, async || {
        let before = metric(&cluster, "evenkeel_payload_segments").await;
        for _ in 0..10 {
            submit(&cluster, "n1", &bulk[..1]).await.expect("the others take batches");
        }
        (metric(&cluster, "evenkeel_payload_segments").await == before).then_some(())
    })
    .await;

    drop(filler);
    until("it to have room again", PATIENCE, async || {
        (metric(&cluster, "evenkeel_store_low").await == 0.0).then_some(())
    })
    .await;
    let second = submit(&cluster, SMALL, &bulk[..100]).await.expect("it takes batches again");
    all_right(&cluster, &["n1", SMALL, "n3"], second, &outputs(&bulk[..100])).await;
    assert_eq!(ready(&cluster, SMALL).await, Some((200, "ok\n".to_owned())));
    let log = cluster[SMALL].log();
    for said in ["less than store.low_water", "takes batches again"] {
        assert_eq!(log.matches(said).count(), 1, "{said}: {log}");
    }
    assert_eq!(metric(&cluster, "evenkeel_store_failures_total").await, 0.0);
}
