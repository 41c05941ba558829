//! Files that are not as they were written: what is read is right, or nothing, or an error. Never anything else.

use std::os::unix::fs::FileExt;

use super::*;
use crate::store::damage::{forget, noted};

/// Places that are damaged, each in a file of its own.
const PLACES: u64 = 120;

async fn write(directory: &Path) {
    let store = open(directory);
    for batch in 0..3 {
        let results: Vec<ResultRecord> = (0..400).map(|number| result(batch, number)).collect();
        store.results.put(&results, &[node(1), node(2)]).await.unwrap();
        for number in 0..3 {
            store.payloads.put(segment(batch, number), held(batch, number), Some(vec![node(1)])).await.unwrap();
        }
    }
    for number in 0..200 {
        store.journal.append(number, entry(number));
    }
}

fn result(batch: u64, number: u32) -> ResultRecord {
    record(doc(batch, 20 * number), 1, Seeded(batch << 32 | u64::from(number)).bytes(number as usize % 500))
}

fn held(batch: u64, number: u32) -> SegmentBytes {
    let mut chance = Seeded(batch << 32 | u64::from(number));
    payloads((0..100).map(|document| chance.bytes(document * 20)))
}

fn entry(number: u64) -> Vec<u8> {
    Seeded(number).bytes(number as usize * 5)
}

/// How much of it is still there, in all.
fn look(directory: &Path, what: &str) -> Option<usize> {
    let store = match Store::open(
        directory,
        StoreOptions { sync: false, ..StoreOptions::default() },
        Arc::new(Heard::default()),
    ) {
        Ok(store) => store,
        Err(OpenError::Corrupt { .. }) => return None,
        Err(error) => panic!("{what}: {error}"),
    };
    let mut there = 0;
    for batch in 0..3 {
        for number in 0..400 {
            let doc = result(batch, number).doc;
            match store.results.get(doc) {
                Ok(Some(found)) => {
                    assert_eq!(found, result(batch, number), "{what}");
                    there += 1;
                }
                Ok(None) => assert!(!store.results.of_batch(doc.batch).contains(doc.number), "{what}: it is held"),
                Err(_) => {}
            }
        }
        for number in 0..3 {
            let (id, expected) = (segment(batch, number), held(batch, number).to_payloads(segment(batch, number)));
            for payload in &expected {
                if let Ok(Some(found)) = store.payloads.document(DocId { batch: id.batch, number: payload.number }) {
                    assert_eq!(found, payload.bytes, "{what}");
                }
            }
            match store.payloads.get(id) {
                Ok(Some(found)) => {
                    assert_eq!(found, expected, "{what}");
                    there += 1;
                }
                Ok(None) => assert!(store.payloads.holders(id).is_none(), "{what}: it is entrusted"),
                Err(_) => {}
            }
        }
    }
    let mut last = None;
    let read = store.journal.entries(|number, bytes| {
        assert_eq!(bytes, entry(number), "{what}");
        assert!(last < Some(number), "{what}");
        last = Some(number);
        there += 1;
    });
    if let Err(error) = read {
        assert!(!matches!(error, OpenError::InUse { .. } | OpenError::Newer { .. }), "{what}: {error}");
    }
    let nodes = [node(1), node(2)];
    for (_, holders) in store.results.held_by(|_, _| true) {
        assert!(holders.is_empty() || *holders == nodes, "{what}: {holders:?}");
    }
    Some(there)
}

#[test]
fn what_is_damaged_is_never_taken_for_the_truth() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (original, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    runtime.block_on(write(original.path()));
    let whole = look(original.path(), "whole").expect("it is whole");
    assert_eq!(whole, 3 * 400 + 9 + 200);
    let path = copy.path().join(FILE);
    let bytes = std::fs::read(original.path().join(FILE)).unwrap();
    let (mut refused, mut lost) = (0, 0);
    for place in 0..PLACES {
        let mut chance = Seeded(place);
        std::fs::write(&path, &bytes).unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        let at = chance.below(bytes.len() as u64);
        let what = match place % 4 {
            0 => {
                file.set_len(at).unwrap();
                format!("cut at {at}")
            }
            1 => {
                file.write_all_at(&[0; 4096], at / 4096 * 4096).unwrap();
                format!("page {} is zeros", at / 4096)
            }
            // The first pages say where all others are.
            2 => {
                let at = at % (64 << 10);
                file.write_all_at(&[bytes[at as usize] ^ 1 << chance.below(8)], at).unwrap();
                format!("a bit of byte {at} has changed")
            }
            _ => {
                file.write_all_at(&[bytes[at as usize] ^ 1 << chance.below(8)], at).unwrap();
                format!("a bit of byte {at} has changed")
            }
        };
        drop(file);
        for again in [false, true] {
            match look(copy.path(), &format!("{place}: {what}, opened again: {again}")) {
                None => refused += 1,
                Some(there) if there < whole => lost += 1,
                Some(_) => {}
            }
        }
    }
    assert!(refused > 0 && lost > 0, "{refused} refused, {lost} with losses: the damage does none");
}

#[tokio::test]
async fn a_damaged_result_is_dropped_and_may_come_again() {
    let directory = tempfile::tempdir().unwrap();
    let mark = b"these bytes are looked for in the file";
    {
        let store = open(directory.path());
        store
            .results
            .put(&[record(doc(1, 1), 1, mark.as_slice()), record(doc(1, 2), 1, "")], &[node(1)])
            .await
            .unwrap();
        let bytes = payloads([b"first".as_slice(), b"these payloads are looked for as well"]);
        store.payloads.put(segment(1, 0), bytes, Some(vec![node(1)])).await.unwrap();
    }
    let path = directory.path().join(FILE);
    let mut bytes = std::fs::read(&path).unwrap();
    for wanted in [mark.as_slice(), b"looked for as well"] {
        let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(wanted)).collect();
        assert!(!places.is_empty());
        places.into_iter().for_each(|at| bytes[at] ^= 1);
    }
    std::fs::write(&path, bytes).unwrap();

    let store = open(directory.path());
    assert_eq!(store.results.of_batch(BatchId(1)).len(), 2, "nothing is known of it yet");
    assert_eq!(store.results.get(doc(1, 1)).unwrap(), None);
    assert_eq!(store.corrupt_reads(), 1);
    assert_eq!(store.results.of_batch(BatchId(1)).len(), 1);
    assert_eq!(store.results.held_by(|_, _| true).len(), 1);
    // All of a block is lost if some of it is, and the segment with it.
    assert_eq!(store.payloads.document(doc(1, 0)).unwrap(), None);
    assert!(store.payloads.entrusted().is_empty() && store.payloads.get(segment(1, 0)).unwrap().is_none());
    assert_eq!(store.corrupt_reads(), 2);
    let items: Vec<Item> = store.damaged().await.into_iter().map(|damaged| damaged.item).collect();
    assert_eq!(items, [Item::Result(doc(1, 1)), Item::Segment(segment(1, 0))]);
    drop(store);
    let store = open(directory.path());
    assert_eq!((store.results.held_by(|_, _| true).len(), store.payloads.entrusted().len()), (1, 0));
    store.results.put(&[record(doc(1, 1), 1, "anew")], &[node(1)]).await.unwrap();
    assert_eq!(store.results.get(doc(1, 1)).unwrap(), Some(record(doc(1, 1), 1, "anew")));
    assert_eq!(store.corrupt_reads(), 0);
}

/// A page that was zeroed while the store was closed, which nobody notices when it is opened, and which is come upon when
/// something is written there. The disk is well: each try to write elsewhere would succeed, and the next one here fail again.
#[tokio::test]
async fn a_store_that_is_damaged_where_it_is_written_to_does_not_fail_and_recover_by_turns() {
    let (original, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(original.path()).await;
    let path = copy.path().join(FILE);
    let bytes = std::fs::read(original.path().join(FILE)).unwrap();
    let pages = bytes.len() as u64 / 4096;
    let (mut spoilt, mut untouched) = (0, 0);
    for page in (1..pages).step_by(9) {
        std::fs::write(&path, &bytes).unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().write_all_at(&[0; 4096], page * 4096).unwrap();
        let heard = Arc::new(Heard::default());
        let options = StoreOptions { sync: false, here: true, ..StoreOptions::default() };
        let store = match Store::open(copy.path(), options, heard.clone()) {
            Ok(store) => store,
            Err(OpenError::Corrupt { .. }) => continue,
            Err(error) => panic!("page {page}: {error}"),
        };
        let mut failed = 0;
        for round in 0..40 {
            let number = |place: u32| 200 * place + 1 + round;
            let results: Vec<ResultRecord> =
                (0..40).map(|place| record(doc(u64::from(round) % 3, number(place)), 1, vec![7; 200])).collect();
            failed += u32::from(store.results.put(&results, &[node(1)]).await.is_err());
            let bytes = payloads([vec![round as u8; 3_000]]);
            failed += u32::from(store.payloads.put(segment(1, 5 + round), bytes, Some(vec![node(1)])).await.is_err());
            store.journal.append(200 + u64::from(round), entry(50));
            // What was there is told as it was, or not at all.
            if let Ok(Some(found)) = store.results.get(result(1, number(0)).doc) {
                assert_eq!(found, result(1, number(0)), "page {page}");
            }
        }
        let told = heard.told();
        let damage = store.health().damage().map(str::to_owned);
        drop(store);
        match &damage {
            None => {
                assert_eq!((failed, told.failures.len()), (0, 0), "page {page}: {told:?}");
                untouched += 1;
            }
            Some(why) => {
                assert_eq!((told.failures.len(), told.recoveries), (1, 0), "page {page}: {told:?}");
                assert_eq!(noted(copy.path()).as_ref(), Some(why), "page {page}");
                forget(copy.path()).unwrap();
                spoilt += 1;
            }
        }
        assert_eq!(noted(copy.path()), None);
    }
    assert!(spoilt > 0 && untouched > 0, "{spoilt} spoilt, {untouched} not touched");
}
