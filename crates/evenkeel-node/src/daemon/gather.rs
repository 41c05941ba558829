//! Results of a batch, from whichever nodes hold them.

use std::sync::Arc;

use evenkeel_core::Node;
use evenkeel_core::change::Outcome;
use evenkeel_core::docset::DocSet;
use evenkeel_core::ids::{BatchId, DocId, NodeId};
use evenkeel_net::records::ResultRecord;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use super::Inner;
use crate::api::types::{ErrorCode, Problem};
use crate::api::{Results, Wanted};

/// Results that wait to be read.
const AHEAD: usize = 256;

/// How often results that should be there are looked for before they are given up.
const TRIES: u32 = 20;

/// Which results are to be had, and whether more will come.
struct Extent {
    ended: DocSet,
    complete: bool,
    sources: Vec<NodeId>,
}

/// Streams the results of a batch; with `follow` until every document has its outcome.
pub(super) fn results(inner: Arc<Inner>, batch: BatchId, wanted: Wanted) -> Results {
    let (out, results) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        if let Err(problem) = gather(&inner, batch, wanted, &out).await {
            // An error means that the reader is gone.
            let _ = out.send(Err(problem)).await;
        }
    });
    Box::pin(ReceiverStream::new(results).map(|result| result))
}

async fn gather(
    inner: &Arc<Inner>,
    batch: BatchId,
    wanted: Wanted,
    out: &mpsc::Sender<Result<ResultRecord, Problem>>,
) -> Result<(), Problem> {
    let mut changed = inner.changed.clone();
    let mut delivered = DocSet::new();
    let mut failures = 0;
    loop {
        changed.mark_unchanged();
        let extent = inner.ask(move |node| extent(node, batch, wanted.failed)).await?;
        let Some(extent) = extent else { return Err(Problem::no_such_batch(batch)) };
        let mut missing = DocSet(extent.ended.0 - &delivered.0);
        for source in extent.sources {
            if missing.is_empty() {
                break;
            }
            if !collect(inner, source, batch, &mut missing, &mut delivered, out).await {
                return Ok(());
            }
        }
        if missing.is_empty() {
            failures = 0;
            if extent.complete || !wanted.follow {
                return Ok(());
            }
        } else {
            failures += 1;
            if failures > TRIES || !wanted.follow && failures > 3 {
                let message = format!("the results of {} documents are on no live node", missing.len());
                return Err(
                    Problem::new(ErrorCode::Unavailable, message).hint("try again when the lost nodes are back")
                );
            }
        }
        tokio::select! {
            () = out.closed() => return Ok(()),
            // The state changes with every turn of the loop; what is new is looked for a few times a second.
            () = tokio::time::sleep(inner.gossip_interval / 2) => {}
        }
        if changed.changed().await.is_err() {
            return Err(Problem::new(ErrorCode::Unavailable, "this node is stopping"));
        }
    }
}

fn extent(node: &Node, batch: BatchId, failed_only: bool) -> Option<Extent> {
    let state = node.state();
    let known = state.batch(batch)?;
    let mut ended = state.ended(batch, Outcome::Failed);
    if !failed_only {
        ended.0 |= state.ended(batch, Outcome::Done).0;
    }
    let sources = std::iter::once(node.me().node).chain(node.view().live.keys().copied()).collect();
    Some(Extent { ended, complete: known.is_finished(), sources })
}

/// Delivers what one node holds of what is missing. False if the reader is gone.
async fn collect(
    inner: &Arc<Inner>,
    source: NodeId,
    batch: BatchId,
    missing: &mut DocSet,
    delivered: &mut DocSet,
    out: &mpsc::Sender<Result<ResultRecord, Problem>>,
) -> bool {
    if source == inner.me.node {
        let held = DocSet(inner.results.of_batch(batch).0 & &missing.0);
        for number in held.iter() {
            let Ok(Some(record)) = inner.results.get(DocId { batch, number }) else { continue };
            if missing.remove(number) && delivered.insert(number) && out.send(Ok(record)).await.is_err() {
                return false;
            }
        }
        return true;
    }
    let mut results = inner.network.get_results(source, batch, missing.clone());
    while let Some(result) = results.recv().await {
        match result {
            Ok(record) => {
                let number = record.doc.number;
                if record.doc.batch == batch
                    && missing.remove(number)
                    && delivered.insert(number)
                    && out.send(Ok(record)).await.is_err()
                {
                    return false;
                }
            }
            Err(error) => {
                tracing::debug!(%error, "results were not fetched");
                return true;
            }
        }
    }
    true
}
