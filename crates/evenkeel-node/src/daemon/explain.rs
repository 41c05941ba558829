//! Everything that is known of one document: here, by its owner, and by those that keep its payload and its result.
//!
//! A person waits for the answer, and asks most when something is wrong: whoever does not answer within a moment is named
//! instead of waited for. Knows nothing of how the answer is shown.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::docset::DocSet;
use evenkeel_core::ids::{Attempt, DocId, NodeId};
use evenkeel_net::Reading;
use evenkeel_net::records::SegmentId;
use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};

use super::{Inner, starter, status};
use crate::api::types::{DocumentState, Explanation, NodeName, Problem, ResultLine};

/// Time for all that is asked of others. A node that lives answers within milliseconds, and a person notices a second.
const PATIENCE: Duration = Duration::from_millis(800);

/// Nodes that are asked for the same at once: some may be dead without anybody knowing, and the others need not wait for them.
const ASKED_AT_ONCE: usize = 16;

/// What is known of the document.
pub(super) async fn explain(inner: &Arc<Inner>, doc: DocId) -> Result<Explanation, Problem> {
    let segment = SegmentId { batch: doc.batch, segment: doc.number.segment() };
    let own = inner.ask(move |node| {
        let documents = node.state().batch(doc.batch).map(|batch| batch.description().documents);
        (documents, status::explanation(node, doc), starter::sources(node, segment))
    });
    let (documents, explanation, sources) = own.await?;
    let Some(documents) = documents else { return Err(Problem::no_such_batch(doc.batch)) };
    let Some(explanation) = explanation else { return Err(Problem::no_such_document(doc, documents)) };
    let asking = Asking { inner, doc, deadline: Instant::now() + PATIENCE, sources };
    let ((mut explanation, mut silent), (copies, unheard)) =
        tokio::join!(asking.told_by_owner(explanation), asking.copies(segment));
    explanation.copies = copies;
    silent.extend(unheard);
    if matches!(explanation.state, DocumentState::Done | DocumentState::Failed) {
        let (result, unheard) = asking.result().await;
        silent.extend(unheard);
        // The state forgets how often an ended document was tried; its result does not.
        if let Some(result) = &result {
            let failed = u32::from(explanation.state != DocumentState::Done);
            explanation.failures = Attempt(result.attempt.0.saturating_sub(1) + failed);
        }
        explanation.result = result;
    }
    explanation.unanswered = silent.into_iter().collect();
    name(inner, &mut explanation);
    Ok(explanation)
}

/// Questions to others about one document.
struct Asking<'a> {
    inner: &'a Arc<Inner>,
    doc: DocId,
    deadline: Instant,
    /// Those who may keep it, the likeliest first.
    sources: Vec<NodeId>,
}

impl Asking<'_> {
    /// What the owner says, which knows best what it is about to do; or what is known here. How it ended nobody knows better.
    async fn told_by_owner(&self, known: Explanation) -> (Explanation, BTreeSet<NodeId>) {
        let owner = known.node;
        if owner == self.inner.me.node || known.state.has_ended() {
            return (known, BTreeSet::new());
        }
        match timeout_at(self.deadline, self.inner.network.get_explanation(owner, self.doc)).await {
            Ok(Ok(told)) => (told.and_then(|told| serde_json::from_str(&told).ok()).unwrap_or(known), BTreeSet::new()),
            _ => (known, [owner].into()),
        }
    }

    /// Who keeps the payload: all who do know of each other.
    async fn copies(&self, segment: SegmentId) -> (Vec<NodeId>, BTreeSet<NodeId>) {
        if let Some(holders) = self.inner.store.payloads.holders(segment) {
            return (holders.to_vec(), BTreeSet::new());
        }
        let ask = async |peer| {
            let lists = self.inner.network.get_lists(peer, segment, Reading::default()).await.map_err(drop)?;
            Ok(lists.payloads)
        };
        let (copies, silent) = self.first(ask).await;
        (copies.unwrap_or_default(), silent)
    }

    async fn result(&self) -> (Option<ResultLine>, BTreeSet<NodeId>) {
        if let Ok(Some(record)) = self.inner.store.results.get(self.doc) {
            return (Some(ResultLine::from(&record)), BTreeSet::new());
        }
        let wanted = DocSet::from_iter([self.doc.number]);
        let ask = async |peer| {
            let found = self.inner.network.get_results(peer, self.doc.batch, wanted.clone()).recv().await;
            let record = found.transpose().map_err(drop)?;
            Ok(record.map(|record| ResultLine::from(&record)))
        };
        self.first(ask).await
    }

    /// What the first node has that has it; if none has, those who have not said so.
    async fn first<T, F>(&self, ask: impl Fn(NodeId) -> F) -> (Option<T>, BTreeSet<NodeId>)
    where
        F: Future<Output = Result<Option<T>, ()>>,
    {
        let deadline = self.deadline;
        let mut asked = Vec::new();
        for peer in self.sources.iter().copied() {
            let answer = ask(peer);
            asked.push(async move { (peer, timeout_at(deadline, answer).await) });
        }
        let mut answers = std::pin::pin!(futures_util::stream::iter(asked).buffer_unordered(ASKED_AT_ONCE));
        let mut silent = BTreeSet::new();
        while let Some((peer, answer)) = answers.next().await {
            match answer {
                Ok(Ok(Some(found))) => return (Some(found), BTreeSet::new()),
                Ok(Ok(None)) => {}
                Ok(Err(())) | Err(_) => drop(silent.insert(peer)),
            }
        }
        (None, silent)
    }
}

/// Adds the names of the nodes that it tells of.
fn name(inner: &Inner, explanation: &mut Explanation) {
    let members = inner.network.members().borrow().clone();
    let name_of = |id: NodeId| match members.live.get(&id).or_else(|| members.dead.get(&id)) {
        _ if id == inner.me.node => Some(inner.oneself.name.clone()),
        known => known.map(|member| member.name.clone()),
    };
    let mut told = BTreeSet::from([explanation.node]);
    told.extend(explanation.copies.iter().chain(&explanation.unanswered));
    told.extend(explanation.result.as_ref().map(|result| result.node));
    explanation.node_name = name_of(explanation.node);
    explanation.names = told.into_iter().filter_map(|id| Some(NodeName { id, name: name_of(id)? })).collect();
}
