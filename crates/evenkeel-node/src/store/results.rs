//! Results, by document. In memory there is only which documents have one, by list of holders.

use std::collections::BTreeMap;
use std::io;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evenkeel_core::change::{Entry, Status};
use evenkeel_core::docset::DocSet;
use evenkeel_core::ids::{BatchId, DocId, DocNumber, NodeId};
use evenkeel_net::records::ResultRecord;
use redb::ReadableTable;

use super::lists::{self, ListId};
use super::tables::{self, Place};
use super::{OpenError, Store, checked, nothing};

/// The results that this node holds: of documents that it ran, and copies of others'.
#[derive(Debug)]
pub struct Results {
    store: Store,
    held: Arc<Mutex<Held>>,
}

/// Documents whose results are here.
#[derive(Debug, Default)]
struct Held(BTreeMap<(BatchId, ListId), DocSet>);

impl Held {
    fn of_batch(&self, batch: BatchId) -> impl Iterator<Item = (ListId, &DocSet)> {
        self.0.range((batch, 0)..=(batch, ListId::MAX)).map(|((_, list), docs)| (*list, docs))
    }

    fn contains(&self, doc: DocId) -> bool {
        self.of_batch(doc.batch).any(|(_, docs)| docs.contains(doc.number))
    }

    fn remove(&mut self, doc: DocId) {
        for (_, docs) in self.0.range_mut((doc.batch, 0)..=(doc.batch, ListId::MAX)) {
            docs.remove(doc.number);
        }
        self.0.retain(|_, docs| !docs.is_empty());
    }

    fn insert(&mut self, doc: DocId, list: ListId) {
        self.remove(doc);
        self.0.entry((doc.batch, list)).or_default().insert(doc.number);
    }
}

impl Results {
    /// Those in this store.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn open(store: &Store) -> Result<Results, OpenError> {
        let mut held = Held::default();
        lists::read(store, tables::RESULT_HOLDERS, |(batch, number), list| {
            held.0.entry((BatchId(batch), list)).or_default().insert(DocNumber(number));
        })?;
        Ok(Results { store: store.clone(), held: Arc::new(Mutex::new(held)) })
    }

    /// Holds results; returns once they are synced. Of two results of one document that is kept whose outcome is kept in
    /// the state. `holders`: all nodes that are to have a copy.
    ///
    /// # Errors
    /// If they cannot be written. None of them is held then that was not before.
    pub async fn put(&self, records: &[ResultRecord], holders: &[NodeId]) -> io::Result<()> {
        let mut rows = Vec::with_capacity(records.len());
        for record in records {
            let bytes = record.to_bytes().map_err(io::Error::other)?;
            rows.push((record.doc, entry(record), checked::seal(&sealing(record.doc), &bytes)));
        }
        let bytes = rows.iter().map(|(_, _, sealed)| sealed.len() + 64).sum();
        let (list, nodes): (ListId, Vec<NodeId>) = (self.store.0.lists.id(holders), holders.to_vec());
        let held = self.held.clone();
        let change = move |transaction: &redb::WriteTransaction| {
            let mut new = Vec::new();
            {
                let mut results = transaction.open_table(tables::RESULTS)?;
                for (doc, entry, sealed) in &rows {
                    let before = results.get(place(*doc))?.and_then(|before| read(*doc, before.value()));
                    if before.is_none_or(|before| entry.compare(&self::entry(&before)).is_gt()) {
                        results.insert(place(*doc), sealed.as_slice())?;
                        new.push(*doc);
                    }
                }
            }
            lists::write(transaction, tables::RESULT_HOLDERS, new.iter().copied().map(place), (list, &nodes))?;
            let then = move || {
                let mut held = lock(&held);
                new.into_iter().for_each(|doc| held.insert(doc, list));
            };
            Ok(Box::new(then) as super::Then)
        };
        self.store.write(bytes, change).await
    }

    /// One document's result; `None` if it is not held here.
    ///
    /// # Errors
    /// If the disk cannot be read. What is damaged is not held.
    pub fn get(&self, doc: DocId) -> io::Result<Option<ResultRecord>> {
        if !self.held().contains(doc) {
            return Ok(None);
        }
        let row = || -> Result<Option<Vec<u8>>, redb::Error> {
            let transaction = self.store.read().map_err(redb::Error::Io)?;
            let row = transaction.open_table(tables::RESULTS)?.get(place(doc))?;
            Ok(row.map(|row| row.value().to_vec()))
        };
        let record = match self.store.look(row) {
            Ok(row) => row.and_then(|row| read(doc, &row)),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
            Err(error) => return Err(error),
        };
        if record.is_none() {
            self.store.tell_corrupt(&format_args!("the result of {doc}"));
            self.drop_one(doc);
        }
        Ok(record)
    }

    /// The documents of a batch whose results are held here.
    pub fn of_batch(&self, batch: BatchId) -> DocSet {
        let held = self.held();
        held.of_batch(batch).fold(DocSet::new(), |all, (_, docs)| DocSet(all.0 | &docs.0))
    }

    /// The documents whose results are held by nodes of which this is true, with all their holders.
    pub fn held_by(&self, is: impl Fn(&[NodeId]) -> bool) -> Vec<(DocId, Arc<[NodeId]>)> {
        // Asked once for each list, of which there are few, and not for each of perhaps a million documents.
        let lists = self.store.0.lists.matching(is);
        let held = self.held();
        let chosen = held.0.iter().filter_map(|((batch, list), docs)| Some((*batch, lists.get(list)?, docs)));
        let documents = chosen
            .flat_map(|(batch, nodes, docs)| docs.iter().map(move |number| (DocId { batch, number }, nodes.clone())));
        documents.collect()
    }

    /// Notes that these nodes are to have a document's result from now on.
    pub fn set_holders(&self, doc: DocId, holders: &[NodeId]) {
        let list = self.store.0.lists.id(holders);
        {
            let mut held = self.held();
            if !held.contains(doc) {
                return;
            }
            held.insert(doc, list);
        }
        let nodes = holders.to_vec();
        self.store.write_soon(64, move |transaction| {
            lists::write(transaction, tables::RESULT_HOLDERS, [place(doc)], (list, &nodes))?;
            Ok(nothing())
        });
    }

    /// Drops all results of a batch.
    ///
    /// # Errors
    /// If that cannot be written; they are no longer held all the same.
    pub async fn remove_batch(&self, batch: BatchId) -> io::Result<()> {
        self.held().0.retain(|(held, _), _| *held != batch);
        let change = move |transaction: &redb::WriteTransaction| {
            transaction.open_table(tables::RESULTS)?.retain_in(of(batch), |_, _| false)?;
            transaction.open_table(tables::RESULT_HOLDERS)?.retain_in(of(batch), |_, _| false)?;
            Ok(nothing())
        };
        self.store.write(1, change).await
    }

    fn drop_one(&self, doc: DocId) {
        self.held().remove(doc);
        self.store.write_soon(1, move |transaction| {
            transaction.open_table(tables::RESULTS)?.remove(place(doc))?;
            transaction.open_table(tables::RESULT_HOLDERS)?.remove(place(doc))?;
            Ok(nothing())
        });
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        lock(&self.held)
    }
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

fn place(doc: DocId) -> Place {
    (doc.batch.0, doc.number.0)
}

/// All places of a batch.
pub(super) fn of(batch: BatchId) -> RangeInclusive<Place> {
    (batch.0, 0)..=(batch.0, u32::MAX)
}

fn sealing(doc: DocId) -> [u8; 13] {
    let mut place = [b'r'; 13];
    place[1..9].copy_from_slice(&doc.batch.0.to_le_bytes());
    place[9..].copy_from_slice(&doc.number.0.to_le_bytes());
    place
}

/// A record as it is on the disk; `None` if it is not what was written.
fn read(doc: DocId, sealed: &[u8]) -> Option<ResultRecord> {
    let bytes = checked::unseal(&sealing(doc), sealed)?;
    ResultRecord::from_bytes(&bytes).ok()
}

fn entry(record: &ResultRecord) -> Entry {
    Entry { epoch: record.epoch, node: record.node, status: Status::Ended(record.outcome) }
}

#[cfg(test)]
mod tests;
