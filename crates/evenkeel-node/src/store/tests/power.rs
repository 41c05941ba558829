//! Power cuts: whatever was acknowledged is there, whatever is there is right, and the journal has no holes.

use std::collections::BTreeMap;

use super::disk::Change;
use super::*;

/// Things that are done in one workload.
const STEPS: u64 = 40;

/// A batch that is removed, and parts of which are given up, now and then.
const FLEETING: u64 = 9;

/// What is true of a disk from a place in its history on.
#[derive(Default)]
struct Ledger {
    /// Entries up to here are acknowledged.
    synced: Vec<(usize, u64)>,
    /// Entries below this have been asked to be forgotten.
    forgets: Vec<(usize, u64)>,
    /// The same, and the disk has been heard of since.
    forgotten: Vec<(usize, u64)>,
    /// The last number that had been appended.
    appended: Vec<(usize, u64)>,
    /// Results that are acknowledged: the document and the epoch.
    results: Vec<(usize, DocId, u32)>,
    segments: Vec<(usize, SegmentId)>,
    /// The last number, and what is to be forgotten once something is appended after it.
    number: u64,
    to_forget: Option<u64>,
    /// How much has been given up.
    released: usize,
}

fn journalled(number: u64) -> Vec<u8> {
    Seeded(number).bytes((number * 37 % 3000) as usize)
}

fn stored(doc: DocId, epoch: u32) -> ResultRecord {
    record(
        doc,
        epoch,
        Seeded(u64::from(doc.number.0) << 8 | u64::from(epoch)).bytes((doc.number.0 * 31 % 5000) as usize),
    )
}

fn entrusted(segment: SegmentId) -> SegmentBytes {
    let mut chance = Seeded(u64::from(segment.segment.0));
    payloads((0..5 + segment.segment.0 % 7).map(|_| {
        let length = chance.below(30_000) as usize;
        chance.bytes(length)
    }))
}

impl Ledger {
    /// Does some things at once, waits for all of them, and notes what has been promised by then.
    async fn step(&mut self, store: &Store, disk: &Disk, heard: &Heard, chance: &mut Seeded) {
        let mut results = Vec::new();
        let mut segments = Vec::new();
        for _ in 0..chance.below(4) {
            match chance.below(14) {
                0..=3 => {
                    self.number += 1;
                    store.journal.append(self.number, journalled(self.number));
                    self.appended.push((disk.now(), self.number));
                    if let Some(before) = self.to_forget.take() {
                        self.forgets.push((usize::MAX, before));
                    }
                }
                4 => {
                    let before = self.number.saturating_sub(chance.below(6));
                    self.forgets.push((disk.now(), before));
                    store.journal.forget(before);
                    self.to_forget = Some(before);
                }
                5..=7 => {
                    let batch = if chance.below(5) == 0 { FLEETING } else { 1 };
                    let epoch = 1 + chance.below(3) as u32;
                    let docs = (0..1 + chance.below(4)).map(|_| doc(batch, chance.below(10_000) as u32)).collect();
                    results.push((docs, epoch));
                }
                8 | 9 => {
                    let batch = if chance.below(3) == 0 { FLEETING } else { 2 };
                    segments.push(segment(batch, chance.below(100) as u32));
                }
                10 => store
                    .results
                    .set_holders(store.results.of_batch(BatchId(1)).iter().take(3).map(|n| doc(1, n.0)), &[node(3)]),
                11 => store.results.remove_batch(BatchId(FLEETING)),
                12 => {
                    let held = store.results.of_batch(BatchId(FLEETING));
                    for place in store.segments().into_iter().filter(|place| place.batch == BatchId(FLEETING)) {
                        let some = held.iter().filter(|_| chance.below(2) == 0).collect();
                        self.released += store.release(place, false, &some).expect("nobody relies on it").1;
                    }
                }
                _ => {
                    for place in store.segments().into_iter().filter(|place| place.batch == BatchId(FLEETING)) {
                        if chance.below(2) == 0 {
                            let released = store.release(place, true, &DocSet::new());
                            self.released += released.expect("nobody relies on it").0;
                        }
                    }
                }
            }
        }
        let puts = results.iter().map(async |(docs, epoch): &(Vec<DocId>, u32)| {
            let records: Vec<ResultRecord> = docs.iter().map(|doc| stored(*doc, *epoch)).collect();
            store.results.put(&records, &[node(1), node(2)]).await.unwrap();
        });
        let stores = segments.iter().map(async |segment| {
            store.payloads.put(*segment, entrusted(*segment), Some(vec![node(1)])).await.unwrap();
        });
        tokio::join!(futures_util::future::join_all(puts), futures_util::future::join_all(stores));
        let now = disk.now();
        for (docs, epoch) in results {
            self.results.extend(docs.into_iter().map(|doc| (now, doc, epoch)));
        }
        self.segments.extend(segments.into_iter().map(|segment| (now, segment)));
        if chance.below(2) == 0 && self.number > 0 {
            eventually(|| heard.told().through == Some(self.number));
        }
        // What was told before this was on the disk before this.
        if let Some(through) = heard.told().through {
            self.synced.push((disk.now(), through));
            if through == self.number {
                let due = self.forgets.extract_if(.., |(since, _)| *since == usize::MAX).collect::<Vec<_>>();
                self.forgotten.extend(due.into_iter().map(|(_, before)| (disk.now(), before)));
            }
        }
    }

    /// Looks at what a cut at this place of the history has left.
    fn check(&self, store: &Store, cut: usize, what: &str) {
        let highest =
            |facts: &[(usize, u64)]| facts.iter().filter(|(at, _)| *at <= cut).map(|(_, n)| *n).max().unwrap_or(0);
        let all = entries(store).unwrap_or_else(|error| panic!("{what}: {error}"));
        let (synced, appended) = (highest(&self.synced), highest(&self.appended));
        for (pair, next) in all.iter().zip(all.iter().skip(1)) {
            assert_eq!(pair.0 + 1, next.0, "{what}: a hole in the journal");
        }
        for (number, bytes) in &all {
            assert_eq!(*bytes, journalled(*number), "{what}: entry {number}");
        }
        let first = all.first().map_or(u64::MAX, |(number, _)| *number);
        let last = all.last().map_or(0, |(number, _)| *number);
        let asked = highest(&self.forgets);
        // What was to be forgotten may be, acknowledged or not.
        if synced > 0 && synced >= asked {
            assert!(last >= synced, "{what}: synced through {synced}, and there until {last}");
            assert!(first <= asked.max(1), "{what}: begins at {first}, and {asked} was the highest to go");
        }
        assert!(last <= appended + 4, "{what}: {last} was never appended");
        assert!(first >= highest(&self.forgotten), "{what}: begins at {first}, which was forgotten");

        let mut best: BTreeMap<DocId, u32> = BTreeMap::new();
        for (_, doc, epoch) in self.results.iter().filter(|(at, doc, _)| *at <= cut && doc.batch.0 == 1) {
            let entry = best.entry(*doc).or_insert(*epoch);
            *entry = (*entry).min(*epoch);
        }
        for (doc, epoch) in best {
            let found = store.results.get(doc).unwrap().unwrap_or_else(|| panic!("{what}: no result of {doc:?}"));
            assert!(found.epoch.0 <= epoch, "{what}: the worse result of {doc:?}");
        }
        for batch in [1, FLEETING] {
            for number in store.results.of_batch(BatchId(batch)).iter() {
                let found = store.results.get(doc(batch, number.0)).unwrap();
                let found = found.unwrap_or_else(|| panic!("{what}: {number} is said to be held and is not"));
                assert_eq!(found, stored(doc(batch, number.0), found.epoch.0), "{what}");
            }
        }
        for (_, segment) in self.segments.iter().filter(|(at, segment)| *at <= cut && segment.batch.0 == 2) {
            assert!(store.payloads.holders(*segment).is_some(), "{what}: no {segment:?}");
        }
        for (segment, holders) in store.payloads.entrusted() {
            assert_eq!(*holders, [node(1)], "{what}");
            let found = store.payloads.get(segment).unwrap();
            assert_eq!(found, Some(entrusted(segment).to_payloads(segment)), "{what}");
        }
        for (doc, holders) in store.results.held_by(|_, _| true) {
            assert!(*holders == [node(1), node(2)] || *holders == [node(3)], "{what}: {doc:?} with {holders:?}");
        }
        assert_eq!(store.corrupt_reads(), 0, "{what}");
    }
}

/// Runs a workload, and then cuts the power at every place of its history where something was synced, and at some between.
async fn survives(seed: u64, here: bool) {
    let (disk, heard, mut ledger) = (Disk::new(), Arc::new(Heard::default()), Ledger::default());
    let mut chance = Seeded(seed);
    // A new file has its name when it is whole; so the workload begins with a whole one.
    drop(disk.open_with(true, Arc::new(Heard::default())).unwrap());
    let mut image = disk.record();
    let store = disk.open_with(here, heard.clone()).unwrap();
    for _ in 0..STEPS {
        ledger.step(&store, &disk, &heard, &mut chance).await;
    }
    let history = disk.history();
    drop(store);
    let mut pending: Vec<&Change> = Vec::new();
    let mut cuts = 0;
    for (at, change) in history.iter().enumerate() {
        if matches!(change, Change::Sync) {
            pending.iter().for_each(|change| change.apply(&mut image));
            pending.clear();
        } else {
            pending.push(change);
            if chance.below(20) > 0 {
                continue;
            }
        }
        // Nothing that was not synced has come to the disk; some has; all has.
        for share in [0, 1, 2] {
            if pending.is_empty() && share > 0 {
                continue;
            }
            let mut left = image.clone();
            pending.iter().for_each(|change| change.apply_some(&mut left, || chance.below(2) < share));
            let what = format!("seed {seed}, cut after {} of {}, share {share}", at + 1, history.len());
            let after = Disk::holding(left);
            let store = after.open_with(true, Arc::new(Heard::default()));
            let store = store.unwrap_or_else(|error| panic!("{what}: {error}"));
            ledger.check(&store, at + 1, &what);
            // It goes on from there, and what was there stays.
            if chance.below(4) == 0 {
                store.results.put(&[stored(doc(3, 1), 1)], &[node(1), node(2)]).await.unwrap();
                drop(store);
                let store = Disk::holding(after.cut(|| false)).open_with(true, Arc::new(Heard::default())).unwrap();
                ledger.check(&store, at + 1, &what);
                assert!(store.results.get(doc(3, 1)).unwrap().is_some(), "{what}");
            }
            cuts += 1;
        }
    }
    assert!(ledger.released > 0, "seed {seed}");
    assert!(cuts > 50 && ledger.results.len() > 20 && ledger.segments.len() > 3 && !ledger.forgotten.is_empty());
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_power_cut() {
    for seed in 0..3 {
        survives(seed, true).await;
    }
}

#[tokio::test]
async fn and_so_it_does_where_a_thread_writes_groups() {
    for seed in 10..13 {
        survives(seed, false).await;
    }
}
