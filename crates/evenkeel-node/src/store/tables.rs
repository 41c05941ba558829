//! What is in the file: its tables, and its format version.

use redb::{ReadableTable, TableDefinition, WriteTransaction};

use super::checked;

/// The format that this program writes.
pub(super) const FORMAT: u64 = 1;

/// A batch, and a number within it.
pub(super) type Place = (u64, u32);

/// The number of a list of holders, and a checksum of that and the place that has it.
pub(super) type Named = (u32, u32);

/// The mark with the format version. It will be so, and be sealed so, in every format.
pub(super) const FORMAT_MARK: &str = "format";

/// Of what format the file is, whose it is, and what is written to see whether anything can be.
pub(super) const MARKS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("marks");

/// The journal: notes by their numbers.
pub(super) const JOURNAL: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("journal");

/// Segments of payloads: where each document's ends.
pub(super) const SEGMENTS: TableDefinition<'_, Place, &[u8]> = TableDefinition::new("segments");

/// Their payloads, in blocks of bytes numbered from 0.
pub(super) const BLOCKS: TableDefinition<'_, (u64, u32, u32), &[u8]> = TableDefinition::new("blocks");

/// Results by document.
pub(super) const RESULTS: TableDefinition<'_, Place, &[u8]> = TableDefinition::new("results");

/// Which list of holders each segment has.
pub(super) const SEGMENT_HOLDERS: TableDefinition<'_, Place, Named> = TableDefinition::new("segment-holders");

/// Which list of holders each result has.
pub(super) const RESULT_HOLDERS: TableDefinition<'_, Place, Named> = TableDefinition::new("result-holders");

/// Lists of holders, sixteen bytes each.
pub(super) const LISTS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("lists");

/// One step from a format to the next.
type Step = fn(&WriteTransaction) -> Result<(), redb::Error>;

/// The steps from format 1 to [`FORMAT`].
const STEPS: &[Step] = &[];

/// Makes all tables, and brings a file of an older format to the present one. Returns the format that was found, and
/// changes nothing if it is newer than this program.
pub(super) fn prepare(transaction: &WriteTransaction) -> Result<u64, redb::Error> {
    prepare_for(transaction, FORMAT, STEPS)
}

fn prepare_for(transaction: &WriteTransaction, format: u64, steps: &[Step]) -> Result<u64, redb::Error> {
    let found = read_format(transaction)?.unwrap_or(format);
    if found > format {
        return Ok(found);
    }
    for step in &steps[steps.len() - (format - found) as usize..] {
        step(transaction)?;
    }
    let sealed = checked::seal(FORMAT_MARK.as_bytes(), &format.to_le_bytes());
    transaction.open_table(MARKS)?.insert(FORMAT_MARK, sealed.as_slice())?;
    transaction.open_table(JOURNAL)?;
    transaction.open_table(SEGMENTS)?;
    transaction.open_table(BLOCKS)?;
    transaction.open_table(RESULTS)?;
    transaction.open_table(SEGMENT_HOLDERS)?;
    transaction.open_table(RESULT_HOLDERS)?;
    transaction.open_table(LISTS)?;
    Ok(found)
}

fn read_format(transaction: &WriteTransaction) -> Result<Option<u64>, redb::Error> {
    let marks = transaction.open_table(MARKS)?;
    let Some(sealed) = marks.get(FORMAT_MARK)? else { return Ok(None) };
    let number = checked::unseal(FORMAT_MARK.as_bytes(), sealed.value()).and_then(|bytes| bytes.try_into().ok());
    let number = number.ok_or_else(|| redb::Error::Corrupted("its format cannot be read".to_owned()))?;
    Ok(Some(u64::from_le_bytes(number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_format_is_brought_to_the_present_one_and_a_newer_one_left_alone() {
        let add: Step = |transaction| {
            let mut marks = transaction.open_table(MARKS)?;
            let before = marks.get("steps")?.map_or(Vec::new(), |value| value.value().to_vec());
            marks.insert("steps", [&before[..], b"x"].concat().as_slice())?;
            Ok(())
        };
        let steps = [add, add, add];
        let database = redb::Database::builder().create_with_backend(redb::backends::InMemoryBackend::new()).unwrap();
        let prepare = |format, steps: &[Step]| {
            let transaction = database.begin_write().unwrap();
            let found = prepare_for(&transaction, format, steps).unwrap();
            let marks = transaction.open_table(MARKS).unwrap();
            let taken = marks.get("steps").unwrap().map_or(0, |value| value.value().len());
            drop(marks);
            transaction.commit().unwrap();
            (found, taken)
        };
        assert_eq!(prepare(2, &steps[..1]), (2, 0));
        assert_eq!(prepare(4, &steps), (2, 2));
        assert_eq!(prepare(4, &steps), (4, 2));
        assert_eq!(prepare(3, &steps[..2]), (4, 2));
    }
}
