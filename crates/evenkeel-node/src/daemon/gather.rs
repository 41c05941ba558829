//! Results of a batch, from whichever nodes hold them.

use std::sync::Arc;

use evenkeel_core::Node;
use evenkeel_core::change::Outcome;
use evenkeel_core::docset::DocSet;
use evenkeel_core::ids::{BatchId, DocId, Epoch, NodeId};
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

/// How often they are looked for where nobody waits for more.
const FEW_TRIES: u32 = 3;

/// Which results are to be had, and whether more will come.
struct Extent {
    /// The run that decided each document: two nodes may have run one, and each has its own result of it.
    decided: Vec<(Outcome, (Epoch, NodeId), DocSet)>,
    ended: DocSet,
    complete: bool,
    sources: Vec<NodeId>,
}

impl Extent {
    /// Whether a result is of the run that decided; `or_alike`: or of another that ended in the same way.
    fn fits(&self, record: &ResultRecord, or_alike: bool) -> bool {
        let run = (record.epoch, record.node);
        self.decided.iter().any(|(outcome, decided, docs)| {
            (*decided == run || or_alike && *outcome == record.outcome) && docs.contains(record.doc.number)
        })
    }
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
    let mut delivery = Delivery { out: out.clone(), batch, missing: DocSet::new(), delivered: DocSet::new() };
    let mut failures = 0;
    loop {
        changed.mark_unchanged();
        let extent = inner.ask(move |node| extent(node, batch, wanted.failed)).await?;
        let Some(extent) = extent else { return Err(Problem::no_such_batch(batch)) };
        delivery.missing = DocSet(&extent.ended.0 - &delivery.delivered.0);
        let tries = if wanted.follow { TRIES } else { FEW_TRIES };
        // The right one may only be out of reach for a while. In the end it is lost, and one like it is better than none.
        let fits = |record: &ResultRecord| extent.fits(record, failures >= tries);
        for source in &extent.sources {
            if delivery.missing.is_empty() {
                break;
            }
            if !collect(inner, *source, &mut delivery, fits).await {
                return Ok(());
            }
        }
        if delivery.missing.is_empty() {
            failures = 0;
            if extent.complete || !wanted.follow {
                return Ok(());
            }
        } else {
            failures += 1;
            if failures > tries {
                let message = format!("the results of {} documents are on no live node", delivery.missing.len());
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
    let outcomes = if failed_only { &[Outcome::Failed][..] } else { &[Outcome::Failed, Outcome::Done] };
    let decided = outcomes
        .iter()
        .flat_map(|outcome| state.decided(batch, *outcome).into_iter().map(|(run, docs)| (*outcome, run, docs)));
    let decided: Vec<_> = decided.collect();
    let ended = decided.iter().fold(DocSet::new(), |ended, (_, _, docs)| DocSet(ended.0 | &docs.0));
    let sources = std::iter::once(node.me().node).chain(node.view().live.keys().copied()).collect();
    Some(Extent { decided, ended, complete: known.is_finished(), sources })
}

/// What has been delivered, and what has not.
struct Delivery {
    out: mpsc::Sender<Result<ResultRecord, Problem>>,
    batch: BatchId,
    missing: DocSet,
    delivered: DocSet,
}

impl Delivery {
    /// Delivers a result that is missing. False if the reader is gone.
    async fn deliver(&mut self, record: ResultRecord) -> bool {
        let number = record.doc.number;
        let wanted = record.doc.batch == self.batch && self.missing.remove(number);
        !wanted || !self.delivered.insert(number) || self.out.send(Ok(record)).await.is_ok()
    }
}

/// Delivers what one node holds of what is missing, if it fits. False if the reader is gone.
async fn collect(
    inner: &Arc<Inner>,
    source: NodeId,
    delivery: &mut Delivery,
    fits: impl Fn(&ResultRecord) -> bool,
) -> bool {
    let batch = delivery.batch;
    if source == inner.me.node {
        let held = DocSet(inner.store.results.of_batch(batch).0 & &delivery.missing.0);
        for number in held.iter() {
            let Ok(Some(record)) = inner.store.results.get(DocId { batch, number }) else { continue };
            if fits(&record) && !delivery.deliver(record).await {
                return false;
            }
        }
        return true;
    }
    let mut results = inner.network.get_results(source, batch, delivery.missing.clone());
    while let Some(result) = results.recv().await {
        match result {
            Ok(record) => {
                if fits(&record) && !delivery.deliver(record).await {
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
