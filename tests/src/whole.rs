//! What all nodes must tell of a batch in the end: everything, and the same.

use std::time::Duration;

use evenkeel_core::change::Outcome;
use evenkeel_core::ids::BatchId;
use evenkeel_node::api::types::{BatchState, ResultLine};

use crate::{Cluster, until};

/// Time that a batch has to end, with everything that happens to its nodes.
const PATIENCE: Duration = Duration::from_secs(180);

/// Waits until a node knows that all of a batch has ended.
pub async fn finished(cluster: &Cluster, name: &str, batch: BatchId) {
    until(&format!("{name} to know all outcomes"), PATIENCE, async || {
        cluster[name].api().batch(batch).await.ok().filter(|status| status.state == BatchState::Finished)
    })
    .await;
}

/// Every document has its result, and the right one, whichever node is asked. `outputs`: what each must have printed.
///
/// # Panics
/// If a result is wrong, is told differently by two nodes, or does not come to be found.
pub async fn all_right(cluster: &Cluster, names: &[&str], batch: BatchId, outputs: &[String]) {
    let mut told: Vec<Vec<ResultLine>> = Vec::new();
    for name in names {
        finished(cluster, name, batch).await;
        let results = until(&format!("{name} to find all results"), PATIENCE, async || {
            cluster[name].api().results(batch).await.ok().filter(|results| results.len() == outputs.len())
        })
        .await;
        for (result, output) in results.iter().zip(outputs) {
            assert_eq!(result.outcome, Outcome::Done, "{name}: {result:?}");
            assert_eq!(result.stdout.as_deref(), Some(output.as_str()), "{name}: {result:?}");
        }
        told.push(results);
    }
    assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "nodes tell different results");
}
