//! Looking at a store that no node uses: what is in it, how much room it takes, and whether all of it is as it was written.
//! Nothing on the disk is changed; what a crash left to be repaired is repaired in memory only.

use std::collections::BTreeMap;
use std::path::Path;

use evenkeel_core::ids::{BatchId, DocId, DocNumber, SegmentNumber};
use evenkeel_net::records::{ResultRecord, SegmentId};
use redb::{Key, ReadTransaction, TableDefinition};
use serde::Serialize;

use super::backend::{self, Access};
use super::checked::Place;
use super::database::Reopenable;
use super::index::ListId;
use super::tables::{
    self, BLOCKS, ENTRUSTED, HELD, JOURNAL, LISTS, RESULTS, SEGMENTS, block_place, entrusted_place, held_place,
    journal_place, list_place, result_place, segment_of_key, segment_place,
};
use super::{FILE, OpenError, Trouble};

/// Damaged values that are named, of each kind; the rest is counted.
const NAMED: usize = 20;

/// Bytes of the file that are kept in memory meanwhile.
const CACHE: usize = 64 << 20;

/// What a store holds of one batch.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct BatchUse {
    /// Segments of payloads.
    pub segments: u64,
    /// Bytes of them on the disk, without what the database needs around them.
    pub payload_bytes: u64,
    /// Results.
    pub results: u64,
    /// Bytes of them on the disk, as above.
    pub result_bytes: u64,
}

/// What is in a store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contents {
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Notes in the journal.
    pub notes: u64,
    /// Bytes of them on the disk.
    pub note_bytes: u64,
    /// By batch.
    pub batches: BTreeMap<BatchId, BatchUse>,
    /// Values that are not what was written.
    pub damaged: u64,
    /// What some of them are, in words.
    pub damage: Vec<String>,
}

impl Contents {
    fn complain(&mut self, what: &dyn std::fmt::Display, why: &Trouble) {
        self.damaged += 1;
        if self.damage.len() < NAMED {
            self.damage.push(format!("{what}: {why}"));
        }
    }
}

/// Reads all of the store in a directory.
///
/// # Errors
/// If there is none, a node uses it, it is of a newer format, or so damaged that the database makes nothing of it.
pub fn inspect(directory: &Path) -> Result<Contents, OpenError> {
    let path = directory.join(FILE);
    let failed = |trouble| OpenError::from_trouble(&path, trouble);
    let file = path.clone();
    let opener = Box::new(move |access| backend::open_file(&file, false, access));
    let database = Reopenable::new(path.clone(), opener, CACHE);
    database.open(Access::Read).map_err(failed)?;
    let mut contents = Contents { file_bytes: database.size(), ..Contents::default() };
    let format = database.read(tables::format).map_err(failed)?;
    if format > tables::FORMAT {
        return Err(OpenError::Newer { path, found: format, known: tables::FORMAT });
    }
    let read = |part: fn(&ReadTransaction, &mut Contents) -> Result<(), Trouble>, contents: &mut Contents| {
        match database.read(|txn| part(txn, contents)) {
            Ok(()) => Ok(()),
            // The rest of that table cannot be seen; the others can.
            Err(trouble) if trouble.is_damage() => {
                contents.complain(&"a table, from there on", &trouble);
                Ok(())
            }
            Err(trouble) => Err(failed(trouble)),
        }
    };
    read(journal, &mut contents)?;
    read(payloads, &mut contents)?;
    read(results, &mut contents)?;
    read(holders, &mut contents)?;
    database.close();
    Ok(contents)
}

/// Looks at each row of a table.
fn rows<K: Key + 'static>(
    txn: &ReadTransaction,
    table: TableDefinition<K, &'static [u8]>,
    mut row: impl FnMut(K::SelfType<'_>, &[u8]),
) -> Result<(), Trouble> {
    tables::each(txn, table, |key, sealed| {
        row(key, sealed);
        Ok(())
    })
}

fn journal(txn: &ReadTransaction, contents: &mut Contents) -> Result<(), Trouble> {
    rows(txn, JOURNAL, |number, sealed| {
        contents.notes += 1;
        contents.note_bytes += sealed.len() as u64;
        let note = journal_place(number).open(sealed).and_then(|bytes| {
            evenkeel_net::notes::from_bytes(&bytes).map_err(|error| Trouble::corrupt(error.to_string()))
        });
        if let Err(trouble) = note {
            contents.complain(&format_args!("note {number}"), &trouble);
        }
    })
}

fn payloads(txn: &ReadTransaction, contents: &mut Contents) -> Result<(), Trouble> {
    rows(txn, SEGMENTS, |key, sealed| {
        let segment = segment_of_key(key);
        let used = contents.batches.entry(segment.batch).or_default();
        used.segments += 1;
        used.payload_bytes += sealed.len() as u64;
        look(contents, segment_place(segment), sealed, &format_args!("payloads of {}", Shown(segment)));
    })?;
    rows(txn, BLOCKS, |(batch, segment, block), sealed| {
        let segment = SegmentId { batch: BatchId(batch), segment: SegmentNumber(segment) };
        contents.batches.entry(segment.batch).or_default().payload_bytes += sealed.len() as u64;
        look(contents, block_place(segment, block), sealed, &format_args!("payloads of {}", Shown(segment)));
    })
}

fn results(txn: &ReadTransaction, contents: &mut Contents) -> Result<(), Trouble> {
    rows(txn, RESULTS, |(batch, number), sealed| {
        let doc = DocId { batch: BatchId(batch), number: DocNumber(number) };
        let used = contents.batches.entry(doc.batch).or_default();
        used.results += 1;
        used.result_bytes += sealed.len() as u64;
        let record = result_place(doc)
            .open(sealed)
            .and_then(|bytes| ResultRecord::from_bytes(&bytes).map_err(|error| Trouble::corrupt(error.to_string())));
        if let Err(trouble) = record {
            contents.complain(&format_args!("the result of {doc}"), &trouble);
        }
    })
}

fn holders(txn: &ReadTransaction, contents: &mut Contents) -> Result<(), Trouble> {
    rows(txn, ENTRUSTED, |key, sealed| {
        let segment = segment_of_key(key);
        look(contents, entrusted_place(segment), sealed, &format_args!("who has payloads of {}", Shown(segment)));
    })?;
    rows(txn, HELD, |key, sealed| {
        let segment = segment_of_key(key);
        look(contents, held_place(segment), sealed, &format_args!("who has results of {}", Shown(segment)));
    })?;
    rows(txn, LISTS, |number, sealed| {
        look(contents, list_place(ListId(number)), sealed, &format_args!("list {number} of holders"));
    })
}

fn look(contents: &mut Contents, place: Place, sealed: &[u8], what: &dyn std::fmt::Display) {
    if let Err(trouble) = place.open(sealed) {
        contents.complain(what, &trouble);
    }
}

/// A segment, for people.
struct Shown(SegmentId);

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "batch {}, segment {}", self.0.batch, self.0.segment)
    }
}
