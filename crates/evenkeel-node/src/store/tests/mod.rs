//! What a store keeps, and what it must not: across restarts, power cuts, failures of the disk, and damage.

mod damage;
mod disk;
mod faults;
mod power;
mod restart;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use evenkeel_core::change::Outcome;
use evenkeel_core::docset::DocSet;
use evenkeel_core::ids::{Attempt, BatchId, DocId, DocNumber, Epoch, NodeId, SegmentNumber};
use evenkeel_net::records::{Captured, Exit, ResultRecord, SegmentId};

use super::*;
pub(crate) use disk::Disk;

/// A store for a test that is about something else.
pub(crate) fn open(directory: &Path) -> Store {
    open_relied(directory, Duration::ZERO)
}

/// One in which what somebody relies on is relied on for so long.
pub(crate) fn open_relied(directory: &Path, relied: Duration) -> Store {
    let options = StoreOptions { sync: false, relied, ..StoreOptions::default() };
    Store::open(directory, options, Arc::new(Heard::default())).expect("a store in a directory of a test")
}

/// All that a watcher has been told.
#[derive(Debug, Default)]
struct Heard(Mutex<Told>);

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Told {
    through: Option<u64>,
    failures: Vec<String>,
    recoveries: usize,
}

impl Heard {
    fn told(&self) -> Told {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Watcher for Heard {
    fn synced(&self, through: u64) {
        let mut told = self.0.lock().unwrap();
        assert!(told.through < Some(through), "it rises: {through} after {told:?}");
        told.through = Some(through);
    }

    fn failed(&self, error: &str) {
        let mut told = self.0.lock().unwrap();
        assert_eq!(told.failures.len(), told.recoveries, "once for each failure");
        told.failures.push(error.to_owned());
    }

    fn recovered(&self) {
        let mut told = self.0.lock().unwrap();
        told.recoveries += 1;
        assert_eq!(told.failures.len(), told.recoveries);
    }
}

/// A small generator: SplitMix64.
pub(super) struct Seeded(pub(super) u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Bytes of which about half can be compressed away.
    pub(super) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| (self.next() % 17) as u8).collect()
    }
}

fn node(number: u8) -> NodeId {
    NodeId([number; 16])
}

fn doc(batch: u64, number: u32) -> DocId {
    DocId { batch: BatchId(batch), number: DocNumber(number) }
}

fn segment(batch: u64, number: u32) -> SegmentId {
    SegmentId { batch: BatchId(batch), segment: SegmentNumber(number) }
}

pub(crate) fn record(doc: DocId, epoch: u32, stdout: impl Into<bytes::Bytes>) -> ResultRecord {
    ResultRecord {
        doc,
        epoch: Epoch(epoch),
        attempt: Attempt(1),
        node: node(1),
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

fn payloads(all: impl IntoIterator<Item = impl AsRef<[u8]>>) -> SegmentBytes {
    let mut bytes = SegmentBytes::default();
    all.into_iter().for_each(|payload| assert!(bytes.push(payload.as_ref())));
    bytes
}

fn entries(store: &Store) -> Result<Vec<(u64, Vec<u8>)>, OpenError> {
    let mut all = Vec::new();
    store.journal.entries(|number, bytes| all.push((number, bytes.to_vec())))?;
    Ok(all)
}

/// Waits for what a writing thread does.
fn eventually(mut holds: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("it does not come to hold");
}
