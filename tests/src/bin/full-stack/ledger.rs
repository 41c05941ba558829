//! What the documents did, whoever believes what: every start and every end, as the simulated processes know it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evenkeel_core::ids::{DocId, Epoch};

/// One process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) host: String,
    pub(crate) epoch: Epoch,
    pub(crate) end: Option<End>,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Succeeded,
    Failed,
    Killed,
    /// With its host.
    Lost,
}

/// Handles of one ledger, which outlives the hosts.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<BTreeMap<DocId, Vec<Run>>>>);

/// Names a run in the ledger.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    doc: DocId,
    place: usize,
}

impl Ledger {
    fn runs(&self) -> MutexGuard<'_, BTreeMap<DocId, Vec<Run>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn started(&self, host: &str, doc: DocId, epoch: Epoch) -> Entry {
        let mut runs = self.runs();
        let runs = runs.entry(doc).or_default();
        runs.push(Run { host: host.to_owned(), epoch, end: None });
        Entry { doc, place: runs.len() - 1 }
    }

    /// Whatever runs on a host is gone with it.
    pub(crate) fn crashed(&self, host: &str) {
        for run in self.runs().values_mut().flatten().filter(|run| run.host == host && run.end.is_none()) {
            run.end = Some(End::Lost);
        }
    }

    pub(crate) fn ended(&self, entry: Entry, end: End) {
        if let Some(run) = self.runs().get_mut(&entry.doc).and_then(|runs| runs.get_mut(entry.place)) {
            run.end = Some(end);
        }
    }

    /// All documents that were ever started, with their runs in order.
    pub(crate) fn all(&self) -> BTreeMap<DocId, Vec<Run>> {
        self.runs().clone()
    }

    /// How many runs there are of which this is true.
    pub(crate) fn count(&self, is: impl Fn(&Run) -> bool) -> usize {
        self.runs().values().flatten().filter(|run| is(run)).count()
    }
}
