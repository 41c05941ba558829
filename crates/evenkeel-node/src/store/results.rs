//! Results, by document.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evenkeel_core::change::{Entry, Status};
use evenkeel_core::docset::DocSet;
use evenkeel_core::ids::{BatchId, DocId, DocNumber, NodeId};
use evenkeel_net::records::ResultRecord;

use super::Health;
use super::spool::{Extent, Spool};

#[derive(Debug, Clone)]
struct Held {
    extent: Extent,
    entry: Entry,
    /// All nodes that have a copy. Few different lists serve all documents.
    holders: Arc<[NodeId]>,
}

/// The results that this node holds: of documents that it ran, and copies of others'.
#[derive(Debug)]
pub struct Results {
    spool: Spool,
    health: Arc<Health>,
    held: Mutex<BTreeMap<DocId, Held>>,
    lists: Mutex<BTreeSet<Arc<[NodeId]>>>,
}

impl Results {
    /// None yet; they will be in this directory. `health` is told of every write.
    pub fn create(directory: &Path, health: Arc<Health>) -> io::Result<Results> {
        Ok(Results::in_spool(Spool::create(directory)?, health))
    }

    /// None yet; they will be in this spool.
    pub(crate) fn in_spool(spool: Spool, health: Arc<Health>) -> Results {
        Results { spool, health, held: Mutex::default(), lists: Mutex::default() }
    }

    /// Holds a result. Of two results of one document that is kept whose outcome is kept in the state.
    /// `holders`: all nodes that are to have a copy.
    pub fn put(&self, record: &ResultRecord, holders: &[NodeId]) -> io::Result<()> {
        let entry = Entry { epoch: record.epoch, node: record.node, status: Status::Ended(record.outcome) };
        if self.held().get(&record.doc).is_some_and(|held| held.entry.compare(&entry).is_ge()) {
            return Ok(());
        }
        let bytes = record.to_bytes().map_err(io::Error::other)?;
        let extent = self.health.note(self.spool.append(&bytes))?;
        let held = Held { extent, entry, holders: self.list(holders) };
        self.held().insert(record.doc, held);
        Ok(())
    }

    /// One document's result.
    pub fn get(&self, doc: DocId) -> io::Result<Option<ResultRecord>> {
        let Some(extent) = self.held().get(&doc).map(|held| held.extent) else { return Ok(None) };
        let bytes = self.spool.read(extent)?;
        ResultRecord::from_bytes(&bytes).map(Some).map_err(io::Error::other)
    }

    /// The documents of a batch whose results are held here.
    pub fn of_batch(&self, batch: BatchId) -> DocSet {
        let from = DocId { batch, number: DocNumber(0) };
        let to = DocId { batch, number: DocNumber(u32::MAX) };
        self.held().range(from..=to).map(|(doc, _)| doc.number).collect()
    }

    /// The documents whose results are held by nodes of which this is true, with all their holders.
    pub fn held_by(&self, is: impl Fn(&[NodeId]) -> bool) -> Vec<(DocId, Arc<[NodeId]>)> {
        // Asked once for each list, of which there are few, and not for each of perhaps a million documents.
        let lists: Vec<Arc<[NodeId]>> = {
            let lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
            lists.iter().filter(|list| is(list)).cloned().collect()
        };
        if lists.is_empty() {
            return Vec::new();
        }
        let held = self.held();
        let chosen = held.iter().filter(|(_, held)| lists.iter().any(|list| Arc::ptr_eq(list, &held.holders)));
        chosen.map(|(doc, held)| (*doc, held.holders.clone())).collect()
    }

    /// Notes that these nodes are to have a document's result from now on.
    pub fn set_holders(&self, doc: DocId, holders: &[NodeId]) {
        let holders = self.list(holders);
        if let Some(held) = self.held().get_mut(&doc) {
            held.holders = holders;
        }
    }

    fn list(&self, holders: &[NodeId]) -> Arc<[NodeId]> {
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lists.get(holders) {
            return known.clone();
        }
        let list: Arc<[NodeId]> = holders.into();
        lists.insert(list.clone());
        list
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<DocId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_core::change::Outcome;
    use evenkeel_core::ids::{Attempt, Epoch};
    use evenkeel_net::records::{Captured, Exit};

    use super::*;

    fn record(epoch: u32, stdout: &'static str) -> ResultRecord {
        ResultRecord {
            doc: DocId { batch: BatchId(1), number: DocNumber(5) },
            epoch: Epoch(epoch),
            attempt: Attempt(1),
            node: NodeId([1; 16]),
            outcome: Outcome::Done,
            exit: Exit::Status(0),
            started_unix_micros: 1,
            wall_micros: 2,
            user_micros: 3,
            system_micros: 4,
            max_rss_bytes: 5,
            stdout: Captured { bytes: stdout.into(), dropped: 0 },
            stderr: Captured::default(),
        }
    }

    #[test]
    fn the_result_that_stays_is_that_of_the_outcome_that_stays() {
        let directory = tempfile::tempdir().unwrap();
        let doc = record(1, "").doc;
        let all: Vec<ResultRecord> = [Outcome::Done, Outcome::Failed, Outcome::Cancelled]
            .into_iter()
            .flat_map(|outcome| (1..3).map(move |epoch| ResultRecord { outcome, ..record(epoch, "") }))
            .flat_map(|record| [1, 2].map(|node| ResultRecord { node: NodeId([node; 16]), ..record.clone() }))
            .collect();
        for first in &all {
            for second in &all {
                let store = Results::create(directory.path(), Arc::default()).unwrap();
                store.put(first, &[]).unwrap();
                store.put(second, &[]).unwrap();
                let entry = |record: &ResultRecord| Entry {
                    epoch: record.epoch,
                    node: record.node,
                    status: Status::Ended(record.outcome),
                };
                let wins = if entry(first).compare(&entry(second)).is_ge() { first } else { second };
                assert_eq!(store.get(doc).unwrap().as_ref(), Some(wins));
            }
        }
        // A later success counts more than an earlier failure.
        let store = Results::create(directory.path(), Arc::default()).unwrap();
        store.put(&ResultRecord { outcome: Outcome::Failed, ..record(1, "failed") }, &[]).unwrap();
        store.put(&record(2, "done"), &[]).unwrap();
        assert_eq!(store.get(doc).unwrap(), Some(record(2, "done")));
    }

    #[test]
    fn the_result_of_the_lower_epoch_stays() {
        let directory = tempfile::tempdir().unwrap();
        let store = Results::create(directory.path(), Arc::default()).unwrap();
        let doc = record(1, "").doc;
        assert_eq!(store.get(doc).unwrap(), None);
        for (epoch, stdout) in [(3, "third"), (2, "second"), (4, "fourth"), (2, "again")] {
            store.put(&record(epoch, stdout), &[NodeId([1; 16]), NodeId([2; 16])]).unwrap();
        }
        assert_eq!(store.get(doc).unwrap(), Some(record(2, "second")));
        assert_eq!(store.of_batch(BatchId(1)).len(), 1);
        assert!(store.of_batch(BatchId(2)).is_empty());
        let shared = |store: &Results| store.held_by(|holders| holders.contains(&NodeId([2; 16])));
        assert_eq!(shared(&store).len(), 1);
        store.set_holders(doc, &[NodeId([1; 16])]);
        assert!(shared(&store).is_empty());
    }
}
