//! A node that comes back gives up what others have copied anew meanwhile, and nothing is lost by that.

use std::time::Duration;

use evenkeel_core::change::Outcome;
use evenkeel_core::ids::{BatchId, NodeId};
use evenkeel_node::api::types::{BatchState, NewBatch, NodeState};
use evenkeel_tests::{Cluster, Sum, until};

const SLOTS: u32 = 4;
const PATIENCE: Duration = Duration::from_secs(120);
const NODES: [&str; 3] = ["n1", "n2", "n3"];
const BATCHES: usize = 3;
const COPIES: usize = 2;

/// Payload segments and results that these nodes hold, summed up.
async fn held(cluster: &Cluster, names: &[&str]) -> Option<(usize, usize)> {
    let (mut payloads, mut results) = (0, 0);
    for name in names {
        payloads += cluster[name].api().metric("evenkeel_payload_segments").await.ok()? as usize;
        results += cluster[name].api().metric("evenkeel_results_held").await.ok()? as usize;
    }
    Some((payloads, results))
}

/// Waits until these have noticed that a node is gone, and have made up for it.
async fn made_up_for(cluster: &Cluster, names: &[&str], gone: NodeId) {
    until("what was lost to be copied anew", PATIENCE, async || {
        for name in names {
            let nodes = cluster[name].api().nodes().await.ok()?.nodes;
            nodes.iter().find(|node| node.id == gone && node.state == NodeState::Dead)?;
            (cluster[name].api().metric("evenkeel_copies_missing").await.ok()? == 0.0).then_some(())?;
        }
        Some(())
    })
    .await;
}

/// Every result can be read from each of these nodes, and is the right one.
async fn check(cluster: &Cluster, names: &[&str], batches: &[BatchId], sums: &[Sum]) {
    for (name, batch) in names.iter().flat_map(|name| batches.iter().map(move |batch| (name, *batch))) {
        let results = until(&format!("{name} to find all results"), PATIENCE, async || {
            cluster[name].api().results(batch).await.ok().filter(|results| results.len() == sums.len())
        })
        .await;
        for (result, sum) in results.iter().zip(sums) {
            assert_eq!(result.outcome, Outcome::Done, "{result:?}");
            assert_eq!(result.stdout.as_deref(), Some(sum.output().as_str()), "{result:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_made_up_for_goes_when_its_holder_comes_back() {
    let sums = Sum::series(200);
    let documents: Vec<_> = sums.iter().map(Sum::document).collect();
    let mut cluster = Cluster::start(&[SLOTS; 3], &[]).await;
    let command = ["sh", "-c", Sum::SCRIPT, "sh", "{}"].map(str::to_owned).to_vec();
    let mut batches = Vec::new();
    for door in NODES.iter().take(BATCHES) {
        let batch = NewBatch::new(command.clone());
        batches.push(cluster[door].api().submit(&batch, &documents).await.expect("a batch is accepted").batch);
    }
    let full = (COPIES * BATCHES, COPIES * BATCHES * sums.len());
    until("all batches to end, with all copies and no more", PATIENCE, async || {
        for batch in &batches {
            let status = cluster["n1"].api().batch(*batch).await.ok()?;
            (status.state == BatchState::Finished).then_some(())?;
        }
        held(&cluster, &NODES).await.filter(|held| *held == full)
    })
    .await;

    let id = cluster["n3"].id().await;
    cluster["n3"].kill();
    made_up_for(&cluster, &["n1", "n2"], id).await;
    assert_eq!(held(&cluster, &["n1", "n2"]).await, Some(full), "two nodes have two copies of everything");
    cluster.again("n3", SLOTS).await;
    let back = held(&cluster, &["n3"]).await.expect("it answers");
    assert!(back.1 > 0, "it has what it had: {back:?}");
    until("the surplus to go", PATIENCE, async || held(&cluster, &NODES).await.filter(|held| *held == full)).await;
    let given_up = cluster["n3"].api().metric("evenkeel_copies_given_up_total").await.expect("it answers");
    assert_eq!(given_up as usize, back.0 + back.1, "all that it had was too many");
    check(&cluster, &NODES, &batches, &sums).await;

    // And what is left is enough: another is lost.
    cluster.meet().await;
    let id = cluster["n1"].id().await;
    cluster["n1"].kill();
    made_up_for(&cluster, &["n2", "n3"], id).await;
    check(&cluster, &["n2", "n3"], &batches, &sums).await;
    assert_eq!(held(&cluster, &["n2", "n3"]).await, Some(full));
}
