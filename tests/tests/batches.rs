//! What can be done with a batch while it runs and afterwards, asked of any node.

use std::time::Duration;

use evenkeel_core::change::Outcome;
use evenkeel_core::ids::BatchId;
use evenkeel_net::records::Exit;
use evenkeel_node::api::types::{BatchState, DocumentLine, NewBatch, ResultLine};
use evenkeel_tests::{Api, Cluster, Starts, until};

const PATIENCE: Duration = Duration::from_secs(60);

fn numbers(count: u32) -> Vec<DocumentLine<'static>> {
    let document =
        |number: u32| DocumentLine { payload: Some(number.to_string().into()), payload_base64: None, length: None };
    (0..count).map(document).collect()
}

/// All results of a batch, by a node that may not have heard of it yet.
async fn all_results(api: &Api, batch: BatchId) -> Vec<ResultLine> {
    until("the batch to be known", PATIENCE, async || api.batch(batch).await.ok()).await;
    api.all_results(batch).await.expect("results")
}

#[tokio::test]
async fn a_cancelled_batch_stops_everywhere() {
    let cluster = Cluster::start(&[4; 3], &[]).await;
    let starts = Starts::new(&cluster.directory().join("starts"));
    let batch = NewBatch::new(starts.command("sleep 1000"));
    let batch = cluster["n1"].api().submit(&batch, &numbers(100)).await.expect("a batch is accepted").batch;
    until("all slots to be taken", PATIENCE, async || (starts.read().len() == 12).then_some(())).await;

    cluster["n2"].api().cancel(batch).await.expect("a batch can be cancelled");
    let started = starts.read();
    until("all processes to be gone", PATIENCE, async || started.iter().all(|start| !start.lives()).then_some(()))
        .await;
    for node in cluster.nodes() {
        let status = until(&format!("{node} to know all outcomes"), PATIENCE, async || {
            node.api().batch(batch).await.ok().filter(|status| status.pending == 0)
        })
        .await;
        assert_eq!((status.state, status.cancelled, status.done), (BatchState::Cancelled, 100, 0));
        assert!(node.api().results(batch).await.expect("results").is_empty());
    }
    assert_eq!(starts.read().len(), 12, "nothing starts after that");
    let nodes = cluster["n3"].api().nodes().await.expect("a live node answers").nodes;
    assert!(nodes.iter().all(|node| node.duplicates == 0), "{nodes:?}");
}

#[tokio::test]
async fn failed_documents_are_told_and_can_be_tried_again() {
    let mut cluster = Cluster::start(&[4; 3], &[]).await;
    let gate = cluster.directory().join("gate");
    let script = format!("test $(($1 % 5)) -ne 0 -o -e {}; status=$?; echo $1; exit $status", gate.display());
    let mut batch = NewBatch::new(["sh", "-c", &script, "sh", "{}"].map(str::to_owned).to_vec());
    batch.options.retries = 1;
    batch.options.backoff = Some(Duration::from_millis(20));
    let first = cluster["n1"].api().submit(&batch, &numbers(200)).await.expect("a batch is accepted").batch;
    let results = all_results(cluster["n2"].api(), first).await;
    assert_eq!(results.len(), 200);
    for (number, result) in results.iter().enumerate() {
        let (outcome, status, attempt) = if number % 5 == 0 { (Outcome::Failed, 1, 2) } else { (Outcome::Done, 0, 1) };
        assert_eq!((result.outcome, &result.exit, result.attempt.0), (outcome, &Exit::Status(status), attempt));
        assert_eq!(result.stdout.as_deref(), Some(format!("{number}\n").as_str()));
    }

    // The node that took the batch is gone: the others have its payloads.
    cluster["n1"].kill();
    cluster.forget("n1");
    std::fs::write(&gate, "").expect("a file can be written");
    let api = cluster["n3"].api();
    // Only what a node has heard of can it try again.
    let known = async |batch| {
        until("n3 to know all outcomes", PATIENCE, async || {
            api.batch(batch).await.ok().filter(|status| status.state == BatchState::Finished)
        })
        .await
    };
    known(first).await;
    let second = api.retry(first).await.expect("a batch with failed documents can be tried again");
    assert_eq!(second.documents, 40);
    let results = all_results(cluster["n2"].api(), second.batch).await;
    let outputs: Vec<&str> = results.iter().filter_map(|result| result.stdout.as_deref()).collect();
    let expected: Vec<String> = (0..200).step_by(5).map(|number| format!("{number}\n")).collect();
    assert_eq!(outputs, expected);
    let status = cluster["n2"].api().batch(second.batch).await.expect("a known batch");
    assert_eq!((status.retry_of, status.done), (Some(first), 40));
    known(second.batch).await;
    let again = api.retry(second.batch).await.expect_err("nothing failed");
    assert!(again.to_string().contains("no failed documents"), "{again}");
}
