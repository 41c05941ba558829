//! What is removed is gone, everywhere and for good, and what nobody asked to keep does not stay.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use evenkeel_core::ids::BatchId;
use evenkeel_node::api::types::{BatchState, DocumentLine, NewBatch};
use evenkeel_tests::{Cluster, until};

const SLOTS: u32 = 4;
const PATIENCE: Duration = Duration::from_secs(60);
const NODES: [&str; 3] = ["n1", "n2", "n3"];

/// Submits a batch of so many documents, each with some output that no compression makes small, and waits until all nodes
/// know that it has ended.
async fn ended(cluster: &Cluster, documents: usize) -> BatchId {
    let words: Vec<String> = (0..documents).map(|number| format!("{number}")).collect();
    let lines: Vec<_> = words.iter().map(|word| DocumentLine::new(word.as_bytes(), None)).collect();
    let command = ["sh", "-c", "head -c 2000 /dev/urandom | base64", "sh"].map(str::to_owned).to_vec();
    let batch = cluster["n1"].api().submit(&NewBatch::new(command), &lines).await.expect("accepted").batch;
    for node in cluster.nodes() {
        until("the batch to end", PATIENCE, async || {
            node.api().batch(batch).await.ok().filter(|status| status.state == BatchState::Finished)
        })
        .await;
    }
    batch
}

async fn gone(cluster: &Cluster, batch: BatchId) {
    for node in cluster.nodes() {
        until(&format!("{node} to forget the batch"), PATIENCE, async || {
            let refused = node.api().batch(batch).await.err()?;
            format!("{refused:#}").contains("there is no batch").then_some(())
        })
        .await;
    }
}

/// What the stores of killed nodes have of any batch.
fn stored(cluster: &Cluster, name: &str) -> serde_json::Value {
    let data = cluster.directory().join(name).join("data");
    let stats = evenkeel_tests::command(["store", "stats", "--output", "json"]).arg(data).output().expect("it runs");
    assert!(stats.status.success(), "{stats:?}");
    let stats: serde_json::Value = serde_json::from_slice(&stats.stdout).expect("JSON");
    stats["batches"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_batch_is_gone_everywhere_and_for_good() {
    let mut cluster = Cluster::start(&[SLOTS; 3], &[]).await;
    let (batch, kept) = (ended(&cluster, 600).await, ended(&cluster, 20).await);
    let removed = cluster["n2"].api().remove(batch).await.expect("it has ended");
    assert_eq!((removed.id, removed.done), (batch, 600));
    gone(&cluster, batch).await;
    assert!(cluster["n3"].api().results(batch).await.is_err());
    let again = cluster["n2"].api().remove(batch).await.expect_err("it is gone");
    assert!(format!("{again:#}").contains("there is no batch"), "{again:#}");

    // A node that is started again has not got it back, and what is not removed is all there.
    NODES.iter().for_each(|name| cluster[name].kill());
    for name in NODES {
        let left = stored(&cluster, name);
        let left = left.as_array().expect("a list").iter().map(|batch| batch["batch"].as_str().expect("an id"));
        assert!(left.eq([kept.to_string()]), "{name}: {}", stored(&cluster, name));
    }
    for name in NODES {
        cluster.again(name, SLOTS).await;
    }
    cluster.meet().await;
    gone(&cluster, batch).await;
    assert_eq!(cluster["n1"].api().results(kept).await.expect("it is kept").len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_not_ended_is_not_removed() {
    let cluster = Cluster::start(&[SLOTS], &[]).await;
    let sleep = NewBatch::new(["sleep", "60"].map(str::to_owned).to_vec());
    let batch = cluster["n1"].api().submit(&sleep, &[DocumentLine::new(b"x", None)]).await.expect("accepted").batch;
    let refused = cluster["n1"].api().remove(batch).await.expect_err("it runs");
    let refused = format!("{refused:#}");
    assert!(refused.contains("has 1 documents without outcome") && refused.contains("cancel it first"), "{refused}");
    cluster["n1"].api().cancel(batch).await.expect("it can be cancelled");
    until("the batch to be removed", PATIENCE, async || cluster["n1"].api().remove(batch).await.ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_been_kept_for_long_enough_goes() {
    let cluster = Cluster::start(&[SLOTS; 2], &[("EVENKEEL_STORE__KEEP", "12s")]).await;
    let batch = ended(&cluster, 50).await;
    assert_eq!(cluster["n2"].api().results(batch).await.expect("it is still there").len(), 50);
    gone(&cluster, batch).await;
    let log = [cluster["n1"].log(), cluster["n2"].log()].concat();
    assert!(log.contains("this batch ended long ago"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_upload_that_breaks_off_nothing_stays() {
    let mut cluster = Cluster::start(&[SLOTS; 3], &[]).await;
    let address = cluster["n1"].api().base().trim_start_matches("http://").to_owned();
    let mut upload = TcpStream::connect(&address).expect("the node listens");
    // More than is gathered before it goes to its holders, and less than what is announced.
    let header = serde_json::to_string(&NewBatch::new(vec!["true".to_owned()])).expect("JSON");
    let body: String = std::iter::once(header)
        .chain((0..20_000).map(|_| r#"{"payload":"x"}"#.to_owned()))
        .map(|line| line + "\n")
        .collect();
    write!(
        upload,
        "POST /v1/batches HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/x-ndjson\r\ncontent-length: {}\r\n\r\n{body}",
        body.len() + 1_000
    )
    .expect("the node reads");
    until("payloads to be stored", PATIENCE, async || {
        let mut held = 0.0;
        for node in cluster.nodes() {
            held += node.api().metric("evenkeel_payload_segments").await.ok()?;
        }
        (held >= 1.0).then_some(())
    })
    .await;
    drop(upload);
    for node in cluster.nodes() {
        until(&format!("{node} to remove them"), PATIENCE, async || {
            let held = node.api().metric("evenkeel_payload_segments").await.ok()?;
            (held == 0.0 && node.log().contains("batch removed")).then_some(())
        })
        .await;
    }
    // What a node says that it does not hold may still be on its way off the disk. What it takes after that is written after
    // that.
    let mut accepted = Vec::new();
    for name in NODES {
        let batch = NewBatch::new(vec!["true".to_owned()]);
        let batch = cluster[name].api().submit(&batch, &[DocumentLine::new(b"x", None)]).await.expect("accepted").batch;
        accepted.push(batch.to_string());
    }
    NODES.iter().for_each(|name| cluster[name].kill());
    for name in NODES {
        let left = stored(&cluster, name);
        let mut left = left.as_array().expect("a list").iter().map(|batch| batch["batch"].as_str().expect("an id"));
        assert!(left.all(|batch| accepted.iter().any(|known| known == batch)), "{name}: {}", stored(&cluster, name));
    }
}
