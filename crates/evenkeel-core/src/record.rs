//! What a node logs at once: all that it has decided since its last flush is one record, so that a log has an entry for
//! each flush, however much was decided.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::change::{Change, Lengths};

/// A record takes no more changes once it weighs so many bytes: an answer to a pull is made of whole records.
const FULL: usize = 1 << 16;

/// One entry of a log: changes, with their weight, which is asked for with every pull. Travels as the changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    changes: Vec<Change>,
    weight: usize,
}

impl Record {
    /// A record of these changes, however heavy.
    pub fn new(changes: Vec<Change>) -> Record {
        let weight = changes.iter().map(weight).sum();
        Record { changes, weight }
    }

    /// Few records of many changes.
    pub fn pack(changes: impl IntoIterator<Item = Change>) -> Vec<Record> {
        let mut records: Vec<Record> = Vec::new();
        for change in changes {
            match records.last_mut().filter(|record| record.weight < FULL) {
                Some(record) => {
                    record.weight += weight(&change);
                    record.changes.push(change);
                }
                None => records.push(Record::new(vec![change])),
            }
        }
        records
    }

    /// The changes, in the order in which they were decided.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Size in memory and on the wire, about, in bytes.
    pub fn weight(&self) -> usize {
        self.weight
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.changes.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Record, D::Error> {
        Vec::deserialize(deserializer).map(Record::new)
    }
}

/// Size of a change in memory and on the wire, about, in bytes.
pub(crate) fn weight(change: &Change) -> usize {
    64 + match change {
        Change::Batch(batch) => batch.command.iter().map(String::len).sum(),
        Change::Segment { lengths, entries, .. } => lengths_weight(lengths) + entries.weight(),
        Change::Moved { docs, .. } | Change::Ended { docs, .. } | Change::Running { docs, .. } => {
            docs.0.serialized_size()
        }
        Change::Tried { .. } | Change::Cancelled(_) | Change::Draining(_) | Change::Removed(_) => 0,
    }
}

fn lengths_weight(lengths: &Lengths) -> usize {
    lengths.len()
        * match lengths {
            Lengths::Same { .. } => 0,
            Lengths::Bytes(_) => 1,
            Lengths::Shorts(_) => 2,
            Lengths::Words(_) => 4,
            Lengths::Longs(_) => 8,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::BatchId;

    #[test]
    fn many_changes_are_packed_in_order_into_records_that_are_not_much_too_heavy() {
        let changes: Vec<Change> = (0..5_000).map(|batch| Change::Cancelled(BatchId(batch))).collect();
        let records = Record::pack(changes.clone());
        assert_eq!(records.len(), (5_000 * 64_usize).div_ceil(FULL));
        assert!(records.iter().all(|record| record.weight() < FULL + 64));
        assert_eq!(records.iter().flat_map(|record| record.changes().to_vec()).collect::<Vec<_>>(), changes);
        for record in records {
            assert_eq!(Record::new(record.changes().to_vec()), record);
        }
        assert_eq!(Record::pack([]), []);
    }
}
