//! What a store promises, on good disks and on bad ones.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenkeel_core::change::Outcome;
use evenkeel_core::ids::{Attempt, BatchId, DocId, DocNumber, Epoch, NodeId, SegmentNumber};
use evenkeel_net::records::{Captured, Exit, ResultRecord, SegmentId};

use super::*;
use disk::{Disk, Fault};

pub(crate) mod disk;

const A: NodeId = NodeId([1; 16]);
const B: NodeId = NodeId([2; 16]);

/// Remembers what it was told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) synced: Mutex<Option<u64>>,
    pub(crate) words: Mutex<Vec<&'static str>>,
}

impl Watcher for Told {
    fn synced(&self, through: u64) {
        *self.synced.lock().unwrap() = Some(through);
    }

    fn failed(&self, _why: &str) {
        self.words.lock().unwrap().push("failed");
    }

    fn recovered(&self) {
        self.words.lock().unwrap().push("recovered");
    }
}

pub(crate) fn open(directory: &Path) -> Store {
    let options = StoreOptions { sync: true, gather: Duration::ZERO, inline: false };
    Store::open(directory, options, Arc::new(Told::default())).unwrap()
}

fn doc(batch: u64, number: u32) -> DocId {
    DocId { batch: BatchId(batch), number: DocNumber(number) }
}

pub(crate) fn result(doc: DocId, epoch: u32, stdout: &str) -> ResultRecord {
    ResultRecord {
        doc,
        epoch: Epoch(epoch),
        attempt: Attempt(1),
        node: A,
        outcome: Outcome::Done,
        exit: Exit::Status(0),
        started_unix_micros: 1,
        wall_micros: 2,
        user_micros: 3,
        system_micros: 4,
        max_rss_bytes: 5,
        stdout: Captured { bytes: stdout.to_owned().into(), dropped: 0 },
        stderr: Captured::default(),
    }
}

fn segment(batch: u64, number: u32) -> SegmentId {
    SegmentId { batch: BatchId(batch), segment: SegmentNumber(number) }
}

/// Payloads of very different sizes, some longer than a block.
fn payloads(seed: u8) -> SegmentBytes {
    let mut all = SegmentBytes::default();
    for size in [0, 3, 70_000, 0, 1, 140_000, 65_536, 17] {
        let bytes: Vec<u8> = (0..size).map(|at| (at / 7) as u8 ^ seed).collect();
        assert!(all.push(&bytes));
    }
    all
}

fn journal(store: &Store) -> Vec<(u64, Vec<u8>)> {
    let mut notes = Vec::new();
    store
        .notes(|number, note| {
            notes.push((number, note));
            Ok(())
        })
        .unwrap();
    notes
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (all, out) = (payloads(1), "text ".repeat(100));
    {
        let store = open(directory.path());
        let (entrusted, results) = (Payloads::open(&store, directory.path()).unwrap(), Results::open(&store).unwrap());
        entrusted.put(segment(7, 1), all.clone(), &[A, B]).await.unwrap();
        entrusted.put(segment(8, 0), payloads(2), &[A]).await.unwrap();
        entrusted.set_holders(segment(7, 1), &[A]);
        results.put(&[result(doc(7, 1), 2, &out), result(doc(7, 5), 1, "")], &[A, B]).await.unwrap();
        results.set_holders(doc(7, 5), &[B]);
        (0..10).for_each(|number| store.append(number, format!("note {number}").as_bytes()));
        store.forget(4);
        store.set_mark("name", b"value".to_vec()).await.unwrap();
        store.clone().close().await;
        assert!(results.put(&[result(doc(7, 9), 1, "")], &[A]).await.is_err(), "it is closed");
    }
    let store = open(directory.path());
    let (entrusted, results) = (Payloads::open(&store, directory.path()).unwrap(), Results::open(&store).unwrap());
    assert_eq!(entrusted.get(segment(7, 1)).unwrap(), Some(all.to_payloads(segment(7, 1))));
    for (place, payload) in all.to_payloads(segment(7, 1)).into_iter().enumerate() {
        assert_eq!(entrusted.document(doc(7, 4096 + place as u32)).unwrap(), Some(payload.bytes));
    }
    assert_eq!(entrusted.document(doc(7, 4096 + 8)).unwrap(), None);
    assert_eq!(entrusted.document(doc(7, 0)).unwrap(), None);
    assert_eq!(entrusted.entrusted_segments(), [(segment(7, 1), Arc::from([A])), (segment(8, 0), Arc::from([A]))]);
    assert_eq!(results.get(doc(7, 1)).unwrap(), Some(result(doc(7, 1), 2, &out)));
    assert_eq!(results.of_batch(BatchId(7)).iter().map(|number| number.0).collect::<Vec<_>>(), [1, 5]);
    assert_eq!(results.held_by(|holders| holders == [B]), [(doc(7, 5), Arc::from([B]))]);
    let notes: Vec<(u64, Vec<u8>)> = (4..10).map(|number| (number, format!("note {number}").into_bytes())).collect();
    assert_eq!(journal(&store), notes);
    assert_eq!(store.mark("name").unwrap().as_deref(), Some(&b"value"[..]));

    entrusted.remove_batch(BatchId(7)).await.unwrap();
    results.remove_batch(BatchId(7)).await.unwrap();
    for store in [store.clone(), {
        store.clone().close().await;
        open(directory.path())
    }] {
        let again = Payloads::open(&store, directory.path());
        let Ok(again) = again else { continue };
        assert_eq!(again.entrusted_segments(), [(segment(8, 0), Arc::from([A]))]);
        assert!(Results::open(&store).unwrap().of_batch(BatchId(7)).is_empty());
    }
    assert_eq!(store.corrupt_reads(), 0);
}

#[tokio::test]
async fn what_is_fetched_is_here_until_the_process_ends() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let entrusted = Payloads::open(&store, directory.path()).unwrap();
    let all = payloads(3);
    entrusted.put_fetched(segment(1, 0), &all).unwrap();
    assert_eq!(entrusted.get(segment(1, 0)).unwrap(), Some(all.to_payloads(segment(1, 0))));
    assert_eq!(entrusted.document(doc(1, 7)).unwrap(), Some(all.to_payloads(segment(1, 0))[7].bytes.clone()));
    assert!(entrusted.entrusted_segments().is_empty() && entrusted.holders(segment(1, 0)).is_none());
    // Entrusted later, it is the store's.
    entrusted.put(segment(1, 0), all.clone(), &[A]).await.unwrap();
    store.clone().close().await;
    let store = open(directory.path());
    let again = Payloads::open(&store, directory.path()).unwrap();
    assert_eq!(again.get(segment(1, 0)).unwrap(), Some(all.to_payloads(segment(1, 0))));
}

/// Wherever the power is cut: what was said to be synced is there, and is right; the journal has no holes.
#[tokio::test]
async fn a_power_cut_takes_only_what_was_not_synced() {
    let disk = Disk::default();
    let told = Arc::new(Told::default());
    // After so many things done to the disk: notes synced, notes forgotten, results, segments.
    let mut promised: Vec<(usize, (u64, u64, u32, u32))> = Vec::new();
    {
        let store = disk.open(told.clone()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let (entrusted, results) = (Payloads::open(&store, directory.path()).unwrap(), Results::open(&store).unwrap());
        let (mut forgotten, mut segments) = (0, 0);
        for round in 0..40_u32 {
            for note in 0..3 {
                store.append(u64::from(3 * round + note), &vec![round as u8; 400]);
            }
            results.put(&[result(doc(1, round), 1, &format!("result {round}"))], &[A, B]).await.unwrap();
            if round % 5 == 4 {
                entrusted.put(segment(1, segments), payloads(segments as u8), &[A]).await.unwrap();
                segments += 1;
            }
            if round % 10 == 9 {
                forgotten = u64::from(3 * round - 6);
                store.forget(forgotten);
            }
            let notes = told.synced.lock().unwrap().unwrap() + 1;
            promised.push((disk.ops(), (notes, forgotten, round + 1, segments)));
        }
        store.clone().close().await;
    }
    let mut chance = 0x9e37_79b9_u32;
    let mut draw = move || {
        chance ^= chance << 13;
        chance ^= chance >> 17;
        chance ^= chance << 5;
        chance
    };
    let first = promised[0].0;
    let (mut cuts, mut lost) = (0, 0);
    for ops in first..=disk.ops() {
        let (notes, forgotten, results, segments) = promised.iter().rev().find(|(at, _)| *at <= ops).unwrap().1;
        // Nothing of what was not synced, or part of it.
        let kept = draw() % 4;
        let cut = disk.after_power_cut(ops, || kept != 0 && draw() % 4 < kept);
        let store = cut.open(Arc::new(Told::default())).unwrap_or_else(|error| panic!("after {ops}: {error}"));
        let journal: Vec<u64> = journal(&store).into_iter().map(|(number, _)| number).collect();
        let (begin, end) = (journal[0], journal[journal.len() - 1]);
        assert_eq!(journal, (begin..=end).collect::<Vec<u64>>(), "after {ops} there is a hole");
        assert!(
            begin <= forgotten.max(begin.min(3 * 40)) && end + 1 >= notes,
            "after {ops}: {begin}..={end} of {notes}"
        );
        let directory = tempfile::tempdir().unwrap();
        let held = Results::open(&store).unwrap();
        for number in 0..results {
            let found = held.get(doc(1, number)).unwrap();
            assert_eq!(found, Some(result(doc(1, number), 1, &format!("result {number}"))), "after {ops}");
        }
        let entrusted = Payloads::open(&store, directory.path()).unwrap();
        for number in 0..segments {
            let found = entrusted.get(segment(1, number)).unwrap();
            assert_eq!(found, Some(payloads(number as u8).to_payloads(segment(1, number))), "after {ops}");
        }
        assert_eq!(store.corrupt_reads(), 0);
        cuts += 1;
        lost += usize::from(held.of_batch(BatchId(1)).len() == u64::from(results));
    }
    assert!(cuts > 200 && lost > 0, "{cuts} cuts");
}

#[tokio::test]
async fn a_disk_that_fails_takes_nothing_and_recovers() {
    for fault in [Fault::Full, Fault::Sync] {
        let disk = Disk::default();
        let told = Arc::new(Told::default());
        let store = disk.open(told.clone()).unwrap();
        let results = Results::open(&store).unwrap();
        results.put(&[result(doc(1, 0), 1, "before")], &[A]).await.unwrap();
        store.append(0, b"before");
        disk.fail(fault);
        // It may have room left for a little.
        let big = "x".repeat(1 << 20);
        let mut failed = false;
        for number in 1..20 {
            failed |= results.put(&[result(doc(1, number), 1, &big)], &[A]).await.is_err();
        }
        assert!(failed && store.health().trouble().is_some(), "{fault:?}");
        store.append(1, b"lost");
        assert_eq!(*told.words.lock().unwrap(), ["failed"]);
        assert_eq!(*told.synced.lock().unwrap(), Some(0), "a note that was not written");
        assert_eq!(
            results.get(doc(1, 0)).unwrap_or_else(|_| Some(result(doc(1, 0), 1, "before"))),
            Some(result(doc(1, 0), 1, "before"))
        );
        disk.fail(Fault::None);
        // It is seen with the next write, which itself is still refused.
        let _ = results.put(&[result(doc(1, 50), 1, "")], &[A]).await;
        assert_eq!(*told.words.lock().unwrap(), ["failed", "recovered"]);
        assert_eq!(store.health().trouble(), None);
        results.put(&[result(doc(1, 51), 1, "after")], &[A]).await.unwrap();
        store.append(2, b"after");
        assert_eq!(*told.synced.lock().unwrap(), Some(2));
        let again = disk.open(Arc::new(Told::default()));
        drop(store);
        let again = again.unwrap();
        let held = Results::open(&again).unwrap();
        assert_eq!(held.get(doc(1, 0)).unwrap(), Some(result(doc(1, 0), 1, "before")));
        assert_eq!(held.get(doc(1, 51)).unwrap(), Some(result(doc(1, 51), 1, "after")));
    }
}

/// Whatever is done to the file: what is read is right, or is not there, or the store is not opened.
#[tokio::test]
async fn damage_is_found_and_never_served() {
    let directory = tempfile::tempdir().unwrap();
    let good = {
        // Inline, so that every run makes the same file.
        let options = StoreOptions { sync: true, gather: Duration::ZERO, inline: true };
        let store = Store::open(directory.path(), options, Arc::new(Told::default())).unwrap();
        let (entrusted, results) = (Payloads::open(&store, directory.path()).unwrap(), Results::open(&store).unwrap());
        for number in 0..2 {
            entrusted.put(segment(1, number), payloads(number as u8), &[A, B]).await.unwrap();
        }
        let records: Vec<ResultRecord> =
            (0..150).map(|number| result(doc(1, number), 1, &format!("result {number} ").repeat(9))).collect();
        results.put(&records, &[A, B]).await.unwrap();
        (0..100).for_each(|number| store.append(number, &[number as u8; 100]));
        store.clone().close().await;
        std::fs::read(directory.path().join(FILE)).unwrap()
    };
    let (mut refused, mut missing, mut whole, mut silent) = (0, 0, 0, 0);
    let pages = good.len() / 4096;
    for turn in 0..90_usize {
        let mut bad = good.clone();
        let at = (turn * 7919 + 13) % good.len();
        match turn % 3 {
            0 => bad[at] ^= 1 << (turn % 8),
            1 => bad[turn * 31 % pages * 4096..][..4096].fill(0),
            _ => bad.truncate(at),
        }
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join(FILE), &bad).unwrap();
        let options = StoreOptions { sync: false, gather: Duration::ZERO, inline: true };
        let opened = Store::open(place.path(), options, Arc::new(Told::default())).and_then(|store| {
            let (entrusted, results) = (Payloads::open(&store, place.path())?, Results::open(&store)?);
            let mut notes = 0;
            store.notes(|number, note| {
                assert_eq!(note, [number as u8; 100]);
                notes += 1;
                Ok(())
            })?;
            Ok((store, entrusted, results))
        });
        let (store, entrusted, results) = match opened {
            Ok(opened) => opened,
            Err(OpenError::Corrupt { .. }) => {
                refused += 1;
                continue;
            }
            Err(error) => panic!("turn {turn}: {error}"),
        };
        let mut gone = 0;
        for number in 0..2 {
            match entrusted.get(segment(1, number)).unwrap_or(None) {
                Some(found) => assert_eq!(found, payloads(number as u8).to_payloads(segment(1, number)), "turn {turn}"),
                None => gone += 1,
            }
        }
        for number in 0..150 {
            match results.get(doc(1, number)).unwrap_or(None) {
                Some(found) => {
                    assert_eq!(found, result(doc(1, number), 1, &format!("result {number} ").repeat(9)), "turn {turn}");
                }
                None => gone += 1,
            }
        }
        if gone > 0 {
            missing += 1;
            // Where a page of a list says that it is shorter than it was, only a walk of the whole file would tell.
            silent += usize::from(store.corrupt_reads() == 0 && store.health().trouble().is_none());
        } else {
            whole += 1;
        }
    }
    assert!(
        refused > 20 && missing > 2 && whole > 10 && silent < 3,
        "{refused} refused, {missing} with something missing, {silent} of them silently, {whole} whole"
    );
}

#[test]
fn a_file_of_a_newer_format_is_refused_with_words() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    let database = Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    let newer = checked::seal(tables::FORMAT_MARK.as_bytes(), &(tables::FORMAT + 1).to_le_bytes());
    transaction.open_table(tables::MARKS).unwrap().insert(tables::FORMAT_MARK, newer.as_slice()).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let options = StoreOptions { sync: true, gather: Duration::ZERO, inline: false };
    let error = Store::open(directory.path(), options, Arc::new(Told::default())).unwrap_err().to_string();
    assert!(error.contains(path.to_str().unwrap()) && error.contains("format 2") && error.contains("newer"), "{error}");
}
