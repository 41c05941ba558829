//! What stories have in common: work to submit, and questions to all nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{anyhow, bail, ensure};
use bytes::Bytes;
use evenkeel_core::Node;
use evenkeel_core::batch::BatchOptions;
use evenkeel_core::change::{Entry, Outcome};
use evenkeel_core::ids::{BatchId, DocId, DocNumber};
use evenkeel_core::units::Length;
use evenkeel_node::api::{Backend, Document, Upload, Wanted};
use evenkeel_tests::until;
use futures_util::StreamExt;

use crate::ledger::End;
use crate::world::World;

/// Virtual time that nodes have to meet, and to know all that has happened.
const MEETING: Duration = Duration::from_secs(30);

/// Virtual time in which a batch must have ended.
const PATIENCE: Duration = Duration::from_secs(300);

/// Every so-manieth document of a batch fails at first.
const FAILS: u32 = 16;

/// A batch that was accepted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Accepted {
    pub(crate) id: BatchId,
    pub(crate) documents: u32,
}

impl Accepted {
    pub(crate) fn docs(self) -> impl Iterator<Item = DocId> {
        (0..self.documents).map(move |number| DocId { batch: self.id, number: DocNumber(number) })
    }
}

impl World {
    /// Waits until every node that runs plans with every other.
    pub(crate) async fn meet(&self, hosts: &[&str]) {
        until(&format!("{hosts:?} to meet"), MEETING, async || {
            for host in hosts {
                let live = self.daemon(host).ok()?.ask(|node: &Node| node.view().live.len()).await?;
                if live + 1 < hosts.len() {
                    return None;
                }
            }
            Some(())
        })
        .await;
    }

    /// Submits documents that take so many milliseconds, at a host; some of them fail at first.
    pub(crate) async fn submit(&self, host: &str, documents: u32, millis: (u64, u64)) -> anyhow::Result<Accepted> {
        let options = BatchOptions { retries: 2, backoff_millis: 100, ..BatchOptions::default() };
        let mut upload = self.daemon(host)?.submission(vec!["sleep".to_owned(), "{}".to_owned()], options);
        let documents = (0..documents).map(|number| {
            let takes = self.between(millis);
            let fails = if number % FAILS == FAILS - 1 { " fails 1" } else { "" };
            Document { payload: Bytes::from(format!("{takes}{fails}")), length: Length(takes) }
        });
        upload.push(documents.collect()).await.map_err(|problem| anyhow!("{problem:?}"))?;
        let accepted = upload.finish().await.map_err(|problem| anyhow!("{problem:?}"))?;
        Ok(Accepted { id: accepted.batch, documents: accepted.documents })
    }

    /// Waits until every node that runs knows an outcome of every document, and all have seen the same.
    pub(crate) async fn finished(&self, batch: Accepted) {
        until(&format!("all nodes to know the outcomes of {}", batch.id), PATIENCE, async || {
            let mut seen = BTreeSet::new();
            for (_, daemon) in self.daemons() {
                let ask = move |node: &Node| (node.state().batch(batch.id)?.is_finished()).then(|| node.log().digest());
                seen.insert(daemon.ask(ask).await??);
            }
            (seen.len() == 1).then_some(())
        })
        .await;
    }

    /// What must be true of a batch that has ended, whatever happened: every document is done, the same way on every
    /// node, and any node can give each document's one result. That of a run which succeeded.
    pub(crate) async fn sound(&self, batch: Accepted) -> anyhow::Result<()> {
        let ledger = self.ledger().all();
        let mut first: Option<Vec<Entry>> = None;
        for (host, daemon) in self.daemons() {
            let ask = move |node: &Node| {
                node.check();
                (node.state().ended(batch.id, Outcome::Done).len(), entries(node, batch))
            };
            let (done, entries) = daemon.ask(ask).await.ok_or_else(|| anyhow!("{host} has stopped"))?;
            ensure!(done == u64::from(batch.documents), "{host} knows of {done} documents that are done");
            let first = first.get_or_insert_with(|| entries.clone());
            ensure!(*first == entries, "{host} has another state than the first");

            let mut results =
                daemon.results(batch.id, Wanted::default()).await.map_err(|problem| anyhow!("{problem:?}"))?;
            let mut got = BTreeMap::new();
            while let Some(result) = results.next().await {
                let Ok(record) = result else { break };
                ensure!(record.outcome == Outcome::Done, "{}: {:?}", record.doc, record.outcome);
                let ran = ledger.get(&record.doc).is_some_and(|runs| {
                    runs.iter().any(|run| run.epoch == record.epoch && run.end == Some(End::Succeeded))
                });
                ensure!(ran, "{} has a result of epoch {}, which never ended well", record.doc, record.epoch);
                ensure!(got.insert(record.doc, record).is_none(), "{host} gave a result twice");
            }
            if let Some((place, doc)) = batch.docs().enumerate().find(|(_, doc)| !got.contains_key(doc)) {
                let (outcome, runs) = (first[place], &ledger[&doc]);
                bail!("{host} gave no result of {doc}, whose outcome is {outcome:?}; its runs: {runs:?}");
            }
        }
        // There are no strangers here, and nothing is changed on its way.
        for (host, refused) in self.refused() {
            ensure!(refused == 0, "{host} refused {refused} times what its peers sent");
        }
        Ok(())
    }

    /// How often documents of a batch were started beyond once, and once more for each failure.
    pub(crate) fn extra_starts(&self, batch: Accepted) -> u64 {
        let ledger = self.ledger().all();
        let runs = batch.docs().filter_map(|doc| ledger.get(&doc));
        let beyond = runs.map(|runs| {
            let failures = runs.iter().filter(|run| run.end == Some(End::Failed)).count();
            (runs.len() - failures).saturating_sub(1) as u64
        });
        beyond.sum()
    }
}

fn entries(node: &Node, batch: Accepted) -> Vec<Entry> {
    batch.docs().filter_map(|doc| node.state().entry(doc)).collect()
}
