//! Nodes are killed and come back as the same nodes, one after the other, while a batch runs.

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel_core::change::Outcome;
use evenkeel_net::records::Exit;
use evenkeel_node::api::types::{BatchState, DocumentLine, NewBatch};
use evenkeel_tests::{Cluster, Start, Starts, Sum, until};

const DOCUMENTS: u32 = 6_000;
const SLOTS: u32 = 4;
const PATIENCE: Duration = Duration::from_secs(120);

async fn taken_over(cluster: &Cluster, name: &str) -> u64 {
    let nodes = cluster[name].api().nodes().await.expect("a live node answers").nodes;
    nodes.iter().find(|node| node.is_self).expect("a node knows itself").taken_over
}

#[tokio::test]
async fn no_document_is_lost_when_nodes_come_and_go() {
    let mut cluster = Cluster::start(&[SLOTS; 3], &[]).await;
    let starts = Starts::new(&cluster.directory().join("starts"));
    let sums = Sum::series(DOCUMENTS);
    let documents: Vec<_> = sums.iter().map(Sum::document).collect();
    let batch = NewBatch::new(starts.command(&format!("sleep 0.02; {}", Sum::SCRIPT)));
    let batch = cluster["n1"].api().submit(&batch, &documents).await.expect("a batch is accepted").batch;

    // One comes back when its heirs have its documents, the other before anybody has missed it.
    for (name, other, missed) in [("n1", "n2", true), ("n2", "n3", false)] {
        let id = cluster[name].id().await;
        let seed = cluster[other].address().to_owned();
        let before = taken_over(&cluster, other).await;
        cluster[name].kill();
        if missed {
            until("its heirs to have its documents", PATIENCE, async || {
                (taken_over(&cluster, other).await > before).then_some(())
            })
            .await;
        }
        cluster.add(name, SLOTS, Some(&seed)).await;
        assert_eq!(cluster[name].id().await, id, "it is the same node");
        cluster.meet().await;
        until("it to take part", PATIENCE, async || {
            let nodes = cluster[name].api().nodes().await.ok()?.nodes;
            let itself = nodes.iter().find(|node| node.is_self)?;
            let finished = cluster[other].api().batch(batch).await.ok()?.pending == 0;
            (itself.started > 0 || finished).then_some(())
        })
        .await;
        cluster.copied().await;
    }

    for node in cluster.nodes() {
        until(&format!("{node} to know all outcomes"), PATIENCE, async || {
            let status = node.api().batch(batch).await.ok()?;
            (status.state == BatchState::Finished).then_some(())
        })
        .await;
        let results = node.api().results(batch).await.expect("results");
        assert_eq!(results.len(), sums.len());
        for (result, sum) in results.iter().zip(&sums) {
            assert_eq!(result.outcome, Outcome::Done, "{result:?}");
            assert_eq!(result.stdout.as_deref(), Some(sum.output().as_str()), "{result:?}");
        }
    }
    let mut by_document: BTreeMap<u32, Vec<Start>> = BTreeMap::new();
    starts.read().into_iter().for_each(|start| by_document.entry(start.document).or_default().push(start));
    by_document.retain(|_, starts| starts.len() > 1);
    let again: usize = by_document.values().map(|starts| starts.len() - 1).sum();
    println!("{again} started again");
    let most = 2 * SLOTS as usize;
    assert!(again <= most, "more started again than the killed nodes had slots, {again} of {most}: {by_document:#?}");
}

/// The guardian of the killed run looks for what that was just starting, while the next run starts the same documents.
#[tokio::test]
async fn a_guardian_kills_nothing_of_the_next_run_of_its_node() {
    const MANY: u32 = 32;
    let mut cluster = Cluster::start(&[1, MANY], &[]).await;
    let payload = DocumentLine::new(b"0.1", Some(1));
    let batch = NewBatch::new(["sleep", "{}"].map(str::to_owned).to_vec());
    let batch = cluster["n1"].api().submit(&batch, &vec![payload; 600]).await.expect("a batch is accepted").batch;
    let seed = cluster["n1"].address().to_owned();
    for _ in 0..8 {
        cluster["n2"].kill();
        cluster.add("n2", MANY, Some(&seed)).await;
        until("it to start documents", PATIENCE, async || {
            let nodes = cluster["n2"].api().nodes().await.ok()?.nodes;
            nodes.iter().find(|node| node.is_self && node.started >= MANY.into()).map(|_| ())
        })
        .await;
    }
    until("the batch to finish", PATIENCE, async || {
        cluster["n1"].api().batch(batch).await.ok().filter(|status| status.state == BatchState::Finished)
    })
    .await;
    // What ran when its node was killed three times in a row is held to be the cause; nothing else may have failed.
    let results = cluster["n1"].api().results(batch).await.expect("results");
    let killed: Vec<_> =
        results.iter().filter(|result| !matches!(result.exit, Exit::Status(0) | Exit::Poison)).collect();
    assert!(killed.is_empty(), "{killed:?}");
    let done = results.iter().filter(|result| result.exit == Exit::Status(0)).count();
    // Eight deaths are two such threes.
    assert!(done >= 600 - 2 * MANY as usize, "only {done} are done");
}

#[tokio::test]
async fn a_node_that_comes_back_gets_the_copies_that_are_missing() {
    let mut cluster = Cluster::start(&[SLOTS; 2], &[]).await;
    let sums = Sum::series(400);
    let documents: Vec<_> = sums.iter().map(Sum::document).collect();
    let command = ["sh", "-c", Sum::SCRIPT, "sh", "{}"].map(str::to_owned).to_vec();
    let first =
        cluster["n1"].api().submit(&NewBatch::new(command), &documents).await.expect("a batch is accepted").batch;
    let all = cluster["n1"].api().all_results(first).await.expect("results");
    assert_eq!(all.len(), sums.len());

    for (name, other) in [("n1", "n2"), ("n2", "n1")] {
        let seed = cluster[other].address().to_owned();
        cluster[name].kill();
        cluster.add(name, SLOTS, Some(&seed)).await;
        cluster.meet().await;
        cluster.copied().await;
    }
    for node in cluster.nodes() {
        let results = node.api().results(first).await.expect("results");
        assert_eq!(results, all, "at {node}");
    }
}
