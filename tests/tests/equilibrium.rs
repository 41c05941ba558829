//! A burst spread equally over unequal nodes comes to rest where no document would gain by moving.

use std::time::{Duration, Instant};

use evenkeel_core::batch::Allocate;
use evenkeel_core::ids::BatchId;
use evenkeel_node::api::types::{BatchState, DocumentLine, NewBatch, Nodes};
use evenkeel_tests::{Cluster, until};

const SLOTS: [u32; 4] = [4, 10, 10, 16];
const DOCUMENTS: u32 = 600;

/// A document may be moved log2(n) + 3 times: its first epoch is 1.
const HIGHEST_EPOCH: u32 = 1 + 2 + 3;

const PATIENCE: Duration = Duration::from_secs(60);

/// For how long the cluster must stay in equilibrium once it is.
const REST: Duration = Duration::from_secs(6);

/// Documents that sleep for so many milliseconds, which is their length: most of them briefly, some for long.
fn documents(shortest: u64) -> Vec<DocumentLine<'static>> {
    let document = |number: u64| {
        let millis = shortest * (1 + 40 / (1 + number * 7 % 41));
        let seconds = format!("{}.{:03}", millis / 1000, millis % 1000);
        DocumentLine { payload: Some(seconds.into()), payload_base64: None, length: Some(millis) }
    };
    (0..u64::from(DOCUMENTS)).map(document).collect()
}

async fn burst(cluster: &Cluster, shortest: u64) -> BatchId {
    let mut batch = NewBatch::new(vec!["sleep".to_owned(), "{}".to_owned()]);
    batch.options.allocate = Allocate::Uniform;
    cluster["n2"].api().submit(&batch, &documents(shortest)).await.expect("a batch is accepted").batch
}

/// What every node says of the nodes.
async fn views(cluster: &Cluster) -> Vec<Nodes> {
    let mut views = Vec::new();
    for node in cluster.nodes() {
        views.push(node.api().nodes().await.expect("a live node answers"));
    }
    views
}

fn pending(nodes: &Nodes) -> u64 {
    nodes.nodes.iter().map(|node| node.pending).sum()
}

fn moved(nodes: &Nodes) -> u64 {
    nodes.nodes.iter().map(|node| node.moved).sum()
}

#[tokio::test]
async fn a_burst_comes_to_rest_and_stays() {
    let cluster = Cluster::start(&SLOTS, &[]).await;
    // Long enough for nothing to end meanwhile.
    let batch = burst(&cluster, 60_000).await;
    let begun = Instant::now();
    until("equilibrium by every node's view", PATIENCE, async || {
        let views = views(&cluster).await;
        // Views are old news: only once they agree is the first burst of transfers over.
        let at_rest = views.iter().all(|nodes| {
            let running: u32 = nodes.nodes.iter().map(|node| node.running).sum();
            let all = running == SLOTS.iter().sum::<u32>() && pending(nodes) == u64::from(DOCUMENTS);
            nodes.equilibrium.in_equilibrium && all && moved(nodes) == moved(&views[0])
        });
        at_rest.then_some(())
    })
    .await;
    println!("in equilibrium after {:.1} s", begun.elapsed().as_secs_f64());

    let since = Instant::now();
    let first = moved(&views(&cluster).await[0]);
    while since.elapsed() < REST {
        for nodes in views(&cluster).await {
            let equilibrium = nodes.equilibrium;
            assert!(equilibrium.in_equilibrium && equilibrium.regret <= equilibrium.epsilon, "{nodes:?}");
            assert!(equilibrium.certificate.expect("documents are pending").holds, "{nodes:?}");
            assert_eq!(pending(&nodes), u64::from(DOCUMENTS), "{nodes:?}");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let last = &views(&cluster).await[0];
    assert_eq!(moved(last), first, "documents went on moving");
    assert!(first >= u64::from(DOCUMENTS) / 10, "an equal spread over unequal nodes was level from the start");
    let levels: Vec<f64> = last.nodes.iter().map(|node| node.level).collect();
    println!("{first} documents were moved; levels {levels:?}");

    for number in 0..DOCUMENTS {
        let document = cluster["n3"].api().explain(batch, number).await.expect("every node explains");
        assert!(document.epoch.0 <= HIGHEST_EPOCH, "{document:?}");
    }
}

#[tokio::test]
async fn no_document_is_moved_over_and_over_while_a_batch_runs() {
    let cluster = Cluster::start(&SLOTS, &[]).await;
    let batch = burst(&cluster, 50).await;
    let begun = Instant::now();
    let api = cluster["n1"].api();
    until("the batch to finish", PATIENCE, async || {
        api.batch(batch).await.ok().filter(|status| status.state == BatchState::Finished)
    })
    .await;
    let results = api.results(batch).await.expect("results");
    let worst = results.iter().max_by_key(|result| result.epoch).expect("there are documents");
    let work: u64 = documents(50).iter().filter_map(|document| document.length).sum();
    println!(
        "{:.1} s, where slots that never rest would take {:.1} s; a document was moved {} times at most",
        begun.elapsed().as_secs_f64(),
        work as f64 / 1e3 / f64::from(SLOTS.iter().sum::<u32>()),
        worst.epoch.0 - 1,
    );
    assert!(worst.epoch.0 <= HIGHEST_EPOCH, "{worst:?}");
    assert_eq!(results.len() as u32, DOCUMENTS);
}
