//! The bytes of the journal: a header that says whose process ids these are, and records of one size.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use evenkeel_core::ids::{BatchId, DocId, DocNumber, Epoch};
use rustix::process::Pid;

use super::super::running::Run;

/// Bytes of the header, and of a record. A power of two, so that none crosses a page: it is written whole or not at all,
/// whenever the node is killed.
pub(super) const SIZE: usize = 64;

/// Bytes of the checksum at the end.
const CHECK: usize = 16;

/// How the header begins; the last letter is the version.
const MAGIC: &[u8; 8] = b"evkchld1";

const STARTING: u32 = 1;
const STARTED: u32 = 2;

/// Where process ids mean what they mean here: this boot of the machine, and this container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Realm {
    pub(super) boot: u128,
    pub(super) namespace: u64,
}

impl Realm {
    pub(super) fn here() -> std::io::Result<Realm> {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let boot = u128::from_str_radix(&text.trim().replace('-', ""), 16).map_err(std::io::Error::other)?;
        // A kernel without such namespaces has one for all.
        let namespace = std::fs::metadata("/proc/self/ns/pid").map_or(0, |namespace| namespace.ino());
        Ok(Realm { boot, namespace })
    }

    pub(super) fn encode(self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..16].copy_from_slice(&self.namespace.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.boot.to_le_bytes());
        sealed(bytes, u64::MAX)
    }

    /// `None`: these are not the bytes of a header.
    pub(super) fn decode(bytes: &[u8; SIZE]) -> Option<Realm> {
        let namespace = u64::from_le_bytes(part(bytes, 8));
        let boot = u128::from_le_bytes(part(bytes, 16));
        Some(Realm { boot, namespace }).filter(|realm| realm.encode() == *bytes)
    }
}

/// A process of a document, from before its start until it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) run: Run,
    /// When it was about to be started, since boot.
    pub(super) before: Duration,
    /// Once it has been started: the process, which leads a group, and a time at which it was there.
    pub(super) started: Option<(Pid, Duration)>,
}

impl Record {
    /// What stands in this place of the file for this process; for none, zeros, as a file has where nothing was written.
    pub(super) fn encode(record: Option<&Record>, place: u32) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        let Some(Record { run: (doc, epoch), before, started }) = record else { return bytes };
        let tag = if started.is_some() { STARTED } else { STARTING };
        let (leader, after) =
            started.map_or((0, Duration::ZERO), |(leader, after)| (leader.as_raw_nonzero().get(), after));
        bytes[0..4].copy_from_slice(&tag.to_le_bytes());
        bytes[4..8].copy_from_slice(&leader.to_le_bytes());
        bytes[8..12].copy_from_slice(&doc.number.0.to_le_bytes());
        bytes[12..16].copy_from_slice(&epoch.0.to_le_bytes());
        bytes[16..24].copy_from_slice(&doc.batch.0.to_le_bytes());
        bytes[24..32].copy_from_slice(&nanos(*before).to_le_bytes());
        bytes[32..40].copy_from_slice(&nanos(after).to_le_bytes());
        sealed(bytes, place.into())
    }

    /// What these bytes say in this place. `Err`: nothing that can be believed.
    pub(super) fn decode(bytes: &[u8; SIZE], place: u32) -> Result<Option<Record>, Damaged> {
        if *bytes == [0; SIZE] {
            return Ok(None);
        }
        let short = |at| u32::from_le_bytes(part(bytes, at));
        let long = |at| u64::from_le_bytes(part(bytes, at));
        let started = match short(0) {
            STARTING => None,
            // Group 1 is init's, and to signal "group 1" would mean everybody.
            STARTED => match i32::try_from(short(4)).ok().and_then(Pid::from_raw) {
                Some(leader) if !leader.is_init() => Some((leader, Duration::from_nanos(long(32)))),
                _ => return Err(Damaged),
            },
            _ => return Err(Damaged),
        };
        let doc = DocId { batch: BatchId(long(16)), number: DocNumber(short(8)) };
        let record = Record { run: (doc, Epoch(short(12))), before: Duration::from_nanos(long(24)), started };
        if Record::encode(Some(&record), place) == *bytes { Ok(Some(record)) } else { Err(Damaged) }
    }
}

/// Bytes that are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damaged;

/// Bytes with their checksum, which knows their place.
fn sealed(mut bytes: [u8; SIZE], place: u64) -> [u8; SIZE] {
    let (said, check) = bytes.split_at_mut(SIZE - CHECK);
    let mut hasher = blake3::Hasher::new();
    hasher.update(&place.to_le_bytes()).update(said);
    check.copy_from_slice(&hasher.finalize().as_bytes()[..CHECK]);
    bytes
}

fn part<const N: usize>(bytes: &[u8; SIZE], at: usize) -> [u8; N] {
    std::array::from_fn(|byte| bytes[at + byte])
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn records() -> impl Strategy<Value = Record> {
        let started = prop::option::of((2i32.., any::<u64>()));
        (any::<u64>(), any::<u32>(), any::<u32>(), any::<u64>(), started).prop_map(
            |(batch, number, epoch, before, started)| Record {
                run: (DocId { batch: BatchId(batch), number: DocNumber(number) }, Epoch(epoch)),
                before: Duration::from_nanos(before),
                started: started.map(|(leader, after)| (Pid::from_raw(leader).unwrap(), Duration::from_nanos(after))),
            },
        )
    }

    proptest! {
        #[test]
        fn records_survive(record in records(), place: u32) {
            prop_assert_eq!(Record::decode(&Record::encode(Some(&record), place), place), Ok(Some(record)));
            prop_assert_eq!(Record::decode(&Record::encode(None, place), place), Ok(None));
        }

        #[test]
        fn a_record_of_which_anything_has_changed_is_not_believed(record in records(), place: u32, at in 0..SIZE, change in 1u8..) {
            let mut bytes = Record::encode(Some(&record), place);
            bytes[at] ^= change;
            prop_assert_eq!(Record::decode(&bytes, place), Err(Damaged));
        }

        #[test]
        fn a_record_in_the_place_of_another_is_not_believed(record in records(), place in 1u32..) {
            prop_assert_eq!(Record::decode(&Record::encode(Some(&record), place), place - 1), Err(Damaged));
        }

        /// Half of one and half of another, which no write of ours leaves, but a damaged disk may.
        #[test]
        fn a_torn_record_is_not_believed(old in records(), new in records(), cut in 1..SIZE) {
            let (old, new) = (Record::encode(Some(&old), 0), Record::encode(Some(&new), 0));
            let mut bytes = old;
            bytes[..cut].copy_from_slice(&new[..cut]);
            prop_assume!(bytes != old && bytes != new);
            prop_assert_eq!(Record::decode(&bytes, 0), Err(Damaged));
        }

        #[test]
        fn a_header_says_where_it_was_written_or_nothing(boot: u128, namespace: u64, at in 0..SIZE, change in 1u8..) {
            let realm = Realm { boot, namespace };
            let mut bytes = realm.encode();
            prop_assert_eq!(Realm::decode(&bytes), Some(realm));
            bytes[at] ^= change;
            prop_assert_eq!(Realm::decode(&bytes), None);
        }
    }

    #[test]
    fn the_format_is_what_earlier_versions_have_written() {
        let doc = DocId { batch: BatchId(0x0102_0304), number: DocNumber(5) };
        let started = Some((Pid::from_raw(77).unwrap(), Duration::from_nanos(9)));
        let record = Record { run: (doc, Epoch(6)), before: Duration::from_nanos(8), started };
        assert_eq!(
            hex::encode(Record::encode(Some(&record), 3)),
            "020000004d00000005000000060000000403020100000000080000000000000009000000000000000000000000000000b2b12fdf781a36522d9a3761f3a4b5fc"
        );
        assert_eq!(
            hex::encode(Realm { boot: 1, namespace: 2 }.encode()),
            "65766b63686c64310200000000000000010000000000000000000000000000000000000000000000000000000000000030bf64d2c97fa0fd12c7e7620e5078fb"
        );
    }

    #[test]
    fn this_machine_has_a_boot_id() {
        assert_ne!(Realm::here().unwrap().boot, 0);
    }
}
