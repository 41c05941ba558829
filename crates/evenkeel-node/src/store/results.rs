//! Results, by document.

use std::io;
use std::sync::Arc;

use evenkeel_core::docset::DocSet;
use evenkeel_core::ids::{BatchId, DocId, NodeId};
use evenkeel_net::records::{ResultRecord, SegmentId};

use super::index::Part;
use super::queue::{Item, ResultRow, Work};
use super::tables::{self, RESULTS, doc_key, result_place, segment_of};
use super::writer::entry;
use super::{Handles, Trouble};

/// The results that this node holds: of documents that it ran, and copies of others'. Clones are handles of the same.
#[derive(Debug, Clone)]
pub struct Results(pub(super) Arc<Handles>);

impl Results {
    /// Holds results, and returns once they are on the disk. Of two results of one document that is kept whose outcome is
    /// kept in the state. `holders`: all nodes that are to have a copy.
    ///
    /// # Errors
    /// If they could not be written. Then none of them is held that was not before.
    pub async fn put(&self, records: &[ResultRecord], holders: &[NodeId]) -> io::Result<()> {
        let rows = records.iter().map(row).collect::<io::Result<Vec<ResultRow>>>()?;
        let bytes = rows.iter().map(|row| row.sealed.len()).sum();
        // One that is held already may not be written, and must not be given up just now.
        let _putting = self.0.reliance.putting(records.iter().map(|record| segment_of(record.doc)));
        let list = self.0.index().list(holders);
        self.0.write_and_wait(bytes, |ticket| Work::Results { rows, list, ticket }).await
    }

    /// One document's result; `None` if it is not held here, or is damaged, which is the same from then on.
    ///
    /// # Errors
    /// If it cannot be read at present.
    pub fn get(&self, doc: DocId) -> io::Result<Option<ResultRecord>> {
        if self.0.index().holders_of(doc).is_none() {
            return Ok(None);
        }
        self.0.read(Item::Result(doc), |txn| {
            let record = tables::read(txn, RESULTS, doc_key(doc), |sealed| {
                let bytes = result_place(doc).open(sealed)?;
                ResultRecord::from_bytes(&bytes).map_err(|error| Trouble::corrupt(error.to_string()))
            })?;
            record.ok_or_else(|| Trouble::corrupt("it is gone"))
        })
    }

    /// Number of results held here.
    pub fn count(&self) -> u64 {
        self.0.index().result_count()
    }

    /// The results of a segment that are held here, by list of all their holders.
    pub fn of_segment(&self, segment: SegmentId) -> Vec<(Arc<[NodeId]>, DocSet)> {
        self.0.index().held_of(segment)
    }

    /// The documents of a batch whose results are held here.
    pub fn of_batch(&self, batch: BatchId) -> DocSet {
        self.0.index().of_batch(batch)
    }

    /// The documents whose results are held by nodes of which this is true, with all their holders, in their order. It is
    /// asked once for each list of nodes of a batch, of which there are few.
    pub fn held_by(&self, is: impl Fn(BatchId, &[NodeId]) -> bool) -> Vec<(DocId, Arc<[NodeId]>)> {
        self.0.index().held_by(is)
    }

    /// Notes that these nodes are to have the results of these documents from now on. The disk follows.
    pub fn set_holders(&self, docs: impl IntoIterator<Item = DocId>, holders: &[NodeId]) {
        self.0.index().set_holders(docs.into_iter(), holders);
        self.0.write_marked();
    }

    /// Holds no result of a batch any longer. The disk follows.
    pub fn remove_batch(&self, batch: BatchId) {
        self.0.remove_batch(batch, Part::Results);
    }
}

fn row(record: &ResultRecord) -> io::Result<ResultRow> {
    let bytes = record.to_bytes().map_err(io::Error::other)?;
    Ok(ResultRow { doc: record.doc, entry: entry(record), sealed: result_place(record.doc).seal(&bytes) })
}
