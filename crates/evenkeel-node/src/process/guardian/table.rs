//! The table of running processes that agent and guardian share: a file in memory, a row for each worker.
//!
//! The agent only writes, the guardian reads when the agent is dead. A row lies within one page, so that it is written
//! whole or not at all, whenever the agent is killed. The rows outlive both processes' mistakes and hold no pointers.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::process::Stdio;
use std::time::Duration;

use evenkeel_core::ids::{BatchId, DocId, DocNumber, Epoch};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::Pid;

/// Bytes of a row: tag, three numbers of 32 bits, one of 64. A power of two, so that no row crosses a page.
const ROW: usize = 32;

const FREE: u32 = 0;
const STARTING: u32 = 1;
const STARTED: u32 = 2;

/// What a worker is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// Nothing.
    Free,
    /// Starting a process of this run.
    Starting { doc: DocId, epoch: Epoch },
    /// This group runs. Its leader was there, and ours, at `since` after boot.
    Started { leader: Pid, since: Duration },
}

/// The table.
#[derive(Debug)]
pub(super) struct Table(File);

impl Table {
    /// An empty table. It is gone when nobody holds it any more.
    pub(super) fn create() -> io::Result<Table> {
        Ok(Table(memfd_create("evenkeel-running", MemfdFlags::CLOEXEC)?.into()))
    }

    /// The table that a guardian was given.
    pub(super) fn from_file(file: OwnedFd) -> Table {
        Table(file.into())
    }

    /// For a child process as one of its standard files.
    pub(super) fn share(&self) -> io::Result<Stdio> {
        Ok(Stdio::from(self.0.try_clone()?))
    }

    /// Sets a row.
    pub(super) fn set(&self, row: u32, entry: Entry) -> io::Result<()> {
        self.0.write_all_at(&encode(entry), u64::from(row) * ROW as u64)
    }

    /// All rows in use.
    pub(super) fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut row = [0; ROW];
        for number in 0.. {
            match self.0.read_exact_at(&mut row, number * ROW as u64) {
                Ok(()) => entries.push(decode(&row)),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(error),
            }
        }
        entries.retain(|entry| *entry != Entry::Free);
        Ok(entries)
    }
}

fn encode(entry: Entry) -> [u8; ROW] {
    let (tag, first, second, long) = match entry {
        Entry::Free => (FREE, 0, 0, 0),
        Entry::Starting { doc, epoch } => (STARTING, doc.number.0, epoch.0, doc.batch.0),
        Entry::Started { leader, since } => (
            STARTED,
            leader.as_raw_nonzero().get().unsigned_abs(),
            0,
            u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
        ),
    };
    let mut row = [0; ROW];
    row[0..4].copy_from_slice(&tag.to_le_bytes());
    row[4..8].copy_from_slice(&first.to_le_bytes());
    row[8..12].copy_from_slice(&second.to_le_bytes());
    row[16..24].copy_from_slice(&long.to_le_bytes());
    row
}

/// What a row says. One that makes no sense is taken for a free one: nothing is killed on a guess.
fn decode(row: &[u8; ROW]) -> Entry {
    let short = |at: usize| u32::from_le_bytes(std::array::from_fn(|byte| row[at + byte]));
    let long = u64::from_le_bytes(std::array::from_fn(|byte| row[16 + byte]));
    match short(0) {
        STARTING => {
            Entry::Starting { doc: DocId { batch: BatchId(long), number: DocNumber(short(4)) }, epoch: Epoch(short(8)) }
        }
        STARTED => match i32::try_from(short(4)).ok().and_then(Pid::from_raw) {
            // Group 1 is init's, and to signal "group 1" would mean everybody.
            Some(leader) if !leader.is_init() => Entry::Started { leader, since: Duration::from_nanos(long) },
            _ => Entry::Free,
        },
        _ => Entry::Free,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_survive(batch: u64, number: u32, epoch: u32, pid in 2i32.., nanos: u64) {
            let doc = DocId { batch: BatchId(batch), number: DocNumber(number) };
            let leader = Pid::from_raw(pid).unwrap();
            let entries = [
                Entry::Starting { doc, epoch: Epoch(epoch) },
                Entry::Started { leader, since: Duration::from_nanos(nanos) },
            ];
            let table = Table::create().unwrap();
            table.set(0, entries[0]).unwrap();
            table.set(5, entries[1]).unwrap();
            table.set(2, entries[1]).unwrap();
            table.set(2, Entry::Free).unwrap();
            prop_assert_eq!(table.entries().unwrap(), entries);
        }

        #[test]
        fn any_row_decodes(row: [u8; ROW]) {
            if let Entry::Started { leader, .. } = decode(&row) {
                prop_assert!(leader.as_raw_nonzero().get() > 1);
            }
        }
    }
}
