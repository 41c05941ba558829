//! What is in the file: the tables, and the version of their format.

use evenkeel_core::ids::{BatchId, DocId, DocNumber, SEGMENT_DOCUMENTS, SegmentNumber};
use evenkeel_net::records::SegmentId;
use redb::{
    Database, Key, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata, Table,
    TableDefinition, TableError, Value, WriteTransaction,
};

use super::Trouble;
use super::checked::Place;
use super::index::ListId;

/// The format of this build. One that is older is migrated by [`STEPS`], a newer one is refused.
pub(super) const FORMAT: u32 = 1;

/// What leads from format 1 to 2, from 2 to 3, and so on.
const STEPS: &[Step] = &[];

/// Brings the file from one format to the next, in one transaction.
type Step = fn(&WriteTransaction) -> Result<(), Trouble>;

const META: TableDefinition<&str, u32> = TableDefinition::new("meta");
const META_FORMAT: &str = "format";

/// All values but the format's are sealed (see `checked.rs`).
type Sealed = &'static [u8];

/// Batch and document: the result.
pub(super) const RESULTS: TableDefinition<(u64, u32), Sealed> = TableDefinition::new("results");
/// Batch and segment: which of its documents' results are held here, and the list of their holders. A row for each
/// document would be as large again as many a result, and a million of them would have to be read at every start.
pub(super) const HELD: TableDefinition<(u64, u32), Sealed> = TableDefinition::new("held");
/// Batch and segment: where each payload of a segment ends.
pub(super) const SEGMENTS: TableDefinition<(u64, u32), Sealed> = TableDefinition::new("segments");
/// Batch, segment and block: the segment's bytes.
pub(super) const BLOCKS: TableDefinition<(u64, u32, u32), Sealed> = TableDefinition::new("blocks");
/// Batch and segment: the list of the segment's holders.
pub(super) const ENTRUSTED: TableDefinition<(u64, u32), Sealed> = TableDefinition::new("entrusted");
/// Number of a list of holders: the nodes in it.
pub(super) const LISTS: TableDefinition<u32, Sealed> = TableDefinition::new("lists");
/// Number of an entry of the journal: its bytes.
pub(super) const JOURNAL: TableDefinition<u64, Sealed> = TableDefinition::new("journal");
/// Something to write when it is to be known whether anything can be written.
const PROBE: TableDefinition<u8, Sealed> = TableDefinition::new("probe");

/// Bytes that must find room before the disk is held to be well again.
pub(super) const PROBE_BYTES: usize = 1 << 20;

/// All tables, open for writing.
pub(super) struct Tables<'txn> {
    pub(super) results: Table<'txn, (u64, u32), Sealed>,
    pub(super) held: Table<'txn, (u64, u32), Sealed>,
    pub(super) segments: Table<'txn, (u64, u32), Sealed>,
    pub(super) blocks: Table<'txn, (u64, u32, u32), Sealed>,
    pub(super) entrusted: Table<'txn, (u64, u32), Sealed>,
    pub(super) lists: Table<'txn, u32, Sealed>,
    pub(super) journal: Table<'txn, u64, Sealed>,
}

impl<'txn> Tables<'txn> {
    pub(super) fn open(txn: &'txn WriteTransaction) -> Result<Tables<'txn>, Trouble> {
        Ok(Tables {
            results: txn.open_table(RESULTS)?,
            held: txn.open_table(HELD)?,
            segments: txn.open_table(SEGMENTS)?,
            blocks: txn.open_table(BLOCKS)?,
            entrusted: txn.open_table(ENTRUSTED)?,
            lists: txn.open_table(LISTS)?,
            journal: txn.open_table(JOURNAL)?,
        })
    }
}

/// The value of a key in a table, as it is stored.
pub(super) fn read<K: Key + 'static, V: Value + 'static, T>(
    txn: &ReadTransaction,
    table: TableDefinition<K, V>,
    key: K::SelfType<'_>,
    then: impl FnOnce(V::SelfType<'_>) -> Result<T, Trouble>,
) -> Result<Option<T>, Trouble> {
    let table: ReadOnlyTable<K, V> = txn.open_table(table)?;
    let found = ReadableTable::get(&table, key)?;
    found.map(|value| then(value.value())).transpose()
}

/// Gives all rows of a table, in the order of their keys.
///
/// # Errors
/// Also if they are not as many as the table says: where a page above them is damaged, some may be passed over.
pub(super) fn each<K: Key + 'static>(
    txn: &ReadTransaction,
    table: TableDefinition<K, Sealed>,
    mut row: impl FnMut(K::SelfType<'_>, &[u8]) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    let table = txn.open_table(table)?;
    let (all, mut seen) = (table.len()?, 0);
    for found in table.iter()? {
        let (key, sealed) = found?;
        row(key.value(), sealed.value())?;
        seen += 1;
    }
    match seen == all {
        true => Ok(()),
        false => Err(Trouble::corrupt(format!("a table has {seen} rows, and says that it has {all}"))),
    }
}

/// What a format was found to be.
pub(super) enum Found {
    /// That of this build, from the beginning or by now.
    Known,
    /// One that a later build has written.
    Newer(u32),
}

/// Makes the tables of a new file, or brings those of an older one up to date.
pub(super) fn migrate(database: &Database) -> Result<Found, Trouble> {
    migrate_by(database, FORMAT, STEPS)
}

fn migrate_by(database: &Database, format: u32, steps: &[Step]) -> Result<Found, Trouble> {
    let found = match stored_format(database)? {
        Some(found) if found > format => return Ok(Found::Newer(found)),
        Some(0) => return Err(Trouble::corrupt("it says that it has format 0, which there never was")),
        Some(found) => found,
        None => {
            let txn = database.begin_write()?;
            if txn.list_tables()?.next().is_some() {
                return Err(Trouble::corrupt("it is a database without a format"));
            }
            Tables::open(&txn)?;
            txn.open_table(META)?.insert(META_FORMAT, format)?;
            txn.commit()?;
            return Ok(Found::Known);
        }
    };
    for older in found..format {
        let txn = database.begin_write()?;
        steps[older as usize - 1](&txn)?;
        txn.open_table(META)?.insert(META_FORMAT, older + 1)?;
        txn.commit()?;
        tracing::info!(from = older, to = older + 1, "the store has been brought to a newer format");
    }
    Ok(Found::Known)
}

fn stored_format(database: &Database) -> Result<Option<u32>, Trouble> {
    read_format(&database.begin_read()?)
}

fn read_format(txn: &ReadTransaction) -> Result<Option<u32>, Trouble> {
    match txn.open_table(META) {
        Ok(table) => Ok(ReadableTable::get(&table, META_FORMAT)?.map(|format| format.value())),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The format of a file that is only looked at.
pub(super) fn format(txn: &ReadTransaction) -> Result<u32, Trouble> {
    read_format(txn)?.ok_or_else(|| Trouble::corrupt("it is a database without a format"))
}

/// Writes something that needs room, and takes it away again.
pub(super) fn probe(database: &Database) -> Result<(), Trouble> {
    let txn = database.begin_write()?;
    txn.open_table(PROBE)?.insert(0, vec![0; PROBE_BYTES].as_slice())?;
    txn.commit()?;
    let txn = database.begin_write()?;
    txn.delete_table(PROBE)?;
    txn.commit()?;
    Ok(())
}

pub(super) fn doc_key(doc: DocId) -> (u64, u32) {
    (doc.batch.0, doc.number.0)
}

pub(super) fn segment_key(segment: SegmentId) -> (u64, u32) {
    (segment.batch.0, segment.segment.0)
}

pub(super) fn segment_of_key((batch, segment): (u64, u32)) -> SegmentId {
    SegmentId { batch: BatchId(batch), segment: SegmentNumber(segment) }
}

/// The segment that a document is in.
pub(super) fn segment_of(doc: DocId) -> SegmentId {
    SegmentId { batch: doc.batch, segment: doc.number.segment() }
}

/// The numbers of the documents that may be in a segment.
pub(super) fn numbers(segment: SegmentId) -> std::ops::RangeInclusive<u32> {
    let first = segment.segment.0.saturating_mul(SEGMENT_DOCUMENTS);
    first..=first.saturating_add(SEGMENT_DOCUMENTS - 1)
}

/// The document in this place of a segment.
pub(super) fn doc_at(segment: SegmentId, place: u32) -> DocId {
    DocId { batch: segment.batch, number: DocNumber(segment.segment.0.saturating_mul(SEGMENT_DOCUMENTS) + place) }
}

fn place(table: u8, major: u64, middle: u32, minor: u32) -> Place {
    Place { table, major, middle, minor }
}

pub(super) fn result_place(doc: DocId) -> Place {
    place(1, doc.batch.0, doc.number.0, 0)
}

pub(super) fn held_place(segment: SegmentId) -> Place {
    place(2, segment.batch.0, segment.segment.0, 0)
}

pub(super) fn segment_place(segment: SegmentId) -> Place {
    place(3, segment.batch.0, segment.segment.0, 0)
}

pub(super) fn block_place(segment: SegmentId, block: u32) -> Place {
    place(4, segment.batch.0, segment.segment.0, block)
}

pub(super) fn entrusted_place(segment: SegmentId) -> Place {
    place(5, segment.batch.0, segment.segment.0, 0)
}

pub(super) fn list_place(list: ListId) -> Place {
    place(6, u64::from(list.0), 0, 0)
}

pub(super) fn journal_place(number: u64) -> Place {
    place(7, number, 0, 0)
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;

    const NOTES: TableDefinition<u32, u32> = TableDefinition::new("notes");

    #[test]
    fn an_older_format_is_migrated_step_by_step() {
        let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        assert!(matches!(migrate(&database), Ok(Found::Known)));
        assert_eq!(stored_format(&database).unwrap(), Some(FORMAT));
        let to_two: Step = |txn| {
            txn.open_table(NOTES)?.insert(1, 1)?;
            Ok(())
        };
        // It finds what the first has done.
        let to_three: Step = |txn| {
            let mut table = txn.open_table(NOTES)?;
            let before = table.get(1)?.map_or(0, |value| value.value());
            table.insert(1, before + 10)?;
            Ok(())
        };
        for _ in 0..2 {
            assert!(matches!(migrate_by(&database, 3, &[to_two, to_three]), Ok(Found::Known)));
            assert_eq!(stored_format(&database).unwrap(), Some(3));
            let txn = database.begin_read().unwrap();
            assert_eq!(txn.open_table(NOTES).unwrap().get(1).unwrap().unwrap().value(), 11);
        }
        assert!(matches!(migrate(&database), Ok(Found::Newer(3))));
    }

    #[test]
    fn a_step_that_fails_changes_nothing() {
        let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        migrate(&database).unwrap();
        let fails: Step = |txn| {
            txn.open_table(NOTES)?.insert(1, 1)?;
            Err(Trouble::corrupt("it cannot be"))
        };
        assert!(migrate_by(&database, 2, &[fails]).is_err());
        assert_eq!(stored_format(&database).unwrap(), Some(1));
        let txn = database.begin_read().unwrap();
        assert!(txn.open_table(NOTES).is_err());
    }

    #[test]
    fn there_is_a_step_to_each_format() {
        assert_eq!(STEPS.len(), FORMAT as usize - 1);
    }

    #[test]
    fn a_database_of_something_else_is_refused() {
        let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        let txn = database.begin_write().unwrap();
        txn.open_table(NOTES).unwrap();
        txn.commit().unwrap();
        assert!(migrate(&database).is_err());
    }
}
