//! What the store costs: results put and synced, against appending the same bytes to a file and syncing it as often, in
//! turn and in the same directory; and how a store of many results is opened, cleanly closed and after a crash.
//!
//!     cargo bench -p evenkeel-node --bench store [-- RESULTS [DIRECTORY]]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use evenkeel_core::change::Outcome;
use evenkeel_core::ids::{Attempt, BatchId, DocId, DocNumber, Epoch, NodeId};
use evenkeel_net::records::{Captured, Exit, ResultRecord};
use evenkeel_node::store::{Store, StoreOptions, Watcher};

/// Results that are put together, as many as may wait at once.
const GROUPS: [u32; 5] = [1, 16, 256, 1024, 4096];

/// Time for each turn.
const TURN: Duration = Duration::from_secs(1);

/// Turns of each.
const ROUNDS: usize = 3;

struct Deaf;

impl Watcher for Deaf {
    fn synced(&self, _: u64) {}
    fn failed(&self, _: &str) {}
    fn recovered(&self) {}
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    // Test runners start every target once, some with arguments of their own. Only `cargo bench` says this.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let results = arguments.first().map_or(1_000_000, |text| text.parse().expect("a number of results"));
    let parent = arguments.get(1).map_or_else(std::env::temp_dir, Into::into);
    let directory = tempfile::tempdir_in(parent).expect("a directory that can be written to");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    println!("results a second, of 100 bytes of output: store, append and fdatasync, ratio (median of {ROUNDS})");
    for group in GROUPS {
        let mut turns: Vec<(f64, f64)> = Vec::new();
        for _ in 0..ROUNDS {
            turns.push((runtime.block_on(store_rate(directory.path(), group)), append_rate(directory.path(), group)));
        }
        turns.sort_by(|one, other| (one.0 / one.1).total_cmp(&(other.0 / other.1)));
        let (store, append) = turns[ROUNDS / 2];
        println!("{group:>6} together: {store:>9.0} {append:>9.0} {:.3}", store / append);
    }
    runtime.block_on(opening(directory.path(), results));
}

fn open(directory: &Path, sync: bool) -> Store {
    let options = StoreOptions { sync, ..StoreOptions::default() };
    Store::open(directory, options, Arc::new(Deaf)).unwrap_or_else(|error| panic!("{error}"))
}

/// Documents end in no order.
fn number(place: u32, of: u32) -> u32 {
    (u64::from(place) * 611_953 % u64::from(of)) as u32
}

fn record(batch: u64, number: u32) -> ResultRecord {
    let mut text = blake3::hash(&number.to_le_bytes()).to_hex().to_string();
    text.push_str("the last words of a document, 36 b\n");
    ResultRecord {
        doc: DocId { batch: BatchId(batch), number: DocNumber(number) },
        epoch: Epoch(1),
        attempt: Attempt(1),
        node: NodeId([1; 16]),
        outcome: Outcome::Done,
        exit: Exit::Status(0),
        started_unix_micros: 1_800_000_000_000_000 + u64::from(number),
        wall_micros: 1_000_000,
        user_micros: 900_000,
        system_micros: 10_000,
        max_rss_bytes: 10 << 20,
        stdout: Captured { bytes: Bytes::from(text), dropped: 0 },
        stderr: Captured::default(),
    }
}

/// Results from as many tasks as are in a group: each waits for its own, as documents do.
async fn store_rate(directory: &Path, group: u32) -> f64 {
    let place = tempfile::tempdir_in(directory).expect("a directory");
    let store = open(place.path(), true);
    let (begun, mut put) = (Instant::now(), 0);
    while begun.elapsed() < TURN {
        let records: Vec<ResultRecord> = (put..put + group).map(|at| record(1, number(at, 1 << 20))).collect();
        let puts = records.chunks(16).map(|records| store.results.put(records, &[NodeId([1; 16]), NodeId([2; 16])]));
        for written in futures_util::future::join_all(puts).await {
            written.expect("it is written");
        }
        put += group;
    }
    f64::from(put) / begun.elapsed().as_secs_f64()
}

fn append_rate(directory: &Path, group: u32) -> f64 {
    let mut file = File::create(directory.join("appended")).expect("a file");
    let (begun, mut put) = (Instant::now(), 0);
    while begun.elapsed() < TURN {
        let mut bytes = Vec::new();
        for at in put..put + group {
            bytes.extend_from_slice(&record(1, number(at, 1 << 20)).to_bytes().expect("bytes"));
        }
        file.write_all(&bytes).and_then(|()| file.sync_data()).expect("it is written");
        put += group;
    }
    f64::from(put) / begun.elapsed().as_secs_f64()
}

/// How long it takes to open a store of so many results, and how large it is.
async fn opening(directory: &Path, results: u32) {
    let place = tempfile::tempdir_in(directory).expect("a directory");
    let store = open(place.path(), false);
    let (begun, mut plain) = (Instant::now(), 0);
    for first in (0..results).step_by(4096) {
        let numbers = (first..results.min(first + 4096)).map(|at| number(at, results));
        let records: Vec<ResultRecord> = numbers.map(|number| record(1, number)).collect();
        plain += records.iter().map(|record| record.to_bytes().expect("bytes").len() as u64).sum::<u64>();
        let holders = [NodeId([1; 16]), NodeId([2 + (first / 4096 % 4) as u8; 16])];
        store.results.put(&records, &holders).await.expect("it is written");
    }
    println!("{results} results put without syncing: {:.1?}", begun.elapsed());
    let size = store.size();
    let each = |bytes: u64| bytes as f64 / f64::from(results);
    println!("on disk: {:.0} bytes a result, which has {:.0} itself", each(size), each(plain));
    let begun = Instant::now();
    for at in 0..10_000 {
        let doc = DocId { batch: BatchId(1), number: DocNumber(number(at, results)) };
        assert!(store.results.get(doc).expect("it can be read").is_some());
    }
    println!("read: {:.1?} a result", begun.elapsed() / 10_000);
    // As a crash leaves it: copied while it is open.
    let crashed = tempfile::tempdir_in(directory).expect("a directory");
    std::fs::copy(place.path().join("store.redb"), crashed.path().join("store.redb")).expect("a copy");
    drop(store);
    for (name, place) in [("closed cleanly", &place), ("after a crash", &crashed)] {
        let begun = Instant::now();
        let store = open(place.path(), false);
        println!("opened, {name}: {:.1?}; {:.0} bytes a result", begun.elapsed(), each(store.size()));
        let held = store.results.of_batch(BatchId(1));
        assert_eq!(held.len(), u64::from(results));
        if name == "closed cleanly" {
            let begun = Instant::now();
            store.strike(NodeId([2; 16]));
            println!("a node struck off all lists: {:.1?}", begun.elapsed());
        }
    }
    let store = open(place.path(), false);
    let begun = Instant::now();
    (0..100_000).for_each(|number| store.journal.append(number, vec![7; 200]));
    store.journal.forget(99_999);
    // Written in order: what is put now is put after those.
    store.results.put(&[record(2, 0)], &[]).await.expect("it is written");
    println!("100,000 entries appended and forgotten: {:.1?}", begun.elapsed());
}
