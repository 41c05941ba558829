//! What a store keeps, in files.

use redb::StorageBackend;

use super::*;

fn sorted(mut lists: Vec<(SegmentId, Arc<[NodeId]>)>) -> Vec<(SegmentId, Vec<NodeId>)> {
    lists.sort();
    lists.into_iter().map(|(segment, list)| (segment, list.to_vec())).collect()
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let mut chance = Seeded(1);
    // Empty ones, one of some blocks, and many that share blocks.
    let mut all: Vec<Vec<u8>> = vec![vec![], chance.bytes(200_000), vec![], b"small".to_vec()];
    all.extend((0..300).map(|number| chance.bytes(number * 7)));
    let both = [node(1), node(2)];
    let check = |store: &Store| {
        for (number, payload) in (4096..).zip(&all) {
            assert_eq!(store.payloads.document(doc(7, number)).unwrap().unwrap(), payload, "{number}");
        }
        assert_eq!(store.payloads.document(doc(7, 4096 + all.len() as u32)).unwrap(), None);
        assert_eq!(store.payloads.document(doc(7, 1)).unwrap(), None);
        assert_eq!(store.payloads.get(segment(7, 1)).unwrap().unwrap(), payloads(&all).to_payloads(segment(7, 1)));
        assert_eq!(sorted(store.payloads.entrusted()), [(segment(7, 1), both.to_vec())]);
        assert_eq!(store.results.get(doc(7, 4100)).unwrap().unwrap(), record(doc(7, 4100), 1, "out"));
        assert_eq!(store.results.get(doc(7, 4101)).unwrap(), None);
        assert_eq!(store.results.of_batch(BatchId(7)), DocSet::from_iter([DocNumber(1), DocNumber(4100)]));
        let held = store.results.held_by(|_, holders| holders.contains(&node(2)));
        assert_eq!(held, [(doc(7, 1), Arc::from([node(3), node(2)])), (doc(7, 4100), Arc::from(both))]);
        assert_eq!(entries(store).unwrap(), [(5, b"five".to_vec()), (6, vec![6; 5000]), (9, b"nine".to_vec())]);
        assert_eq!(store.corrupt_reads(), 0);
    };
    {
        let store = open(directory.path());
        store.payloads.put(segment(7, 1), payloads(&all), Some(vec![node(1)])).await.unwrap();
        // A second time it is only who has it.
        store.payloads.put(segment(7, 1), SegmentBytes::default(), Some(both.to_vec())).await.unwrap();
        store.results.put(&[record(doc(7, 4100), 1, "out"), record(doc(7, 1), 1, "")], &both).await.unwrap();
        store.results.set_holders([doc(7, 1), doc(7, 2)], &[node(3), node(2)]);
        for (number, bytes) in
            [(3, b"three".to_vec()), (5, b"five".to_vec()), (6, vec![6; 5000]), (9, b"nine".to_vec())]
        {
            store.journal.append(number, bytes);
        }
        store.journal.forget(5);
        eventually(|| entries(&store).unwrap().first().is_some_and(|(number, _)| *number == 5));
        check(&store);
    }
    for _ in 0..2 {
        check(&open(directory.path()));
    }
    // Whatever is on the lists of holders when a node is struck off them.
    open(directory.path()).strike(node(2));
    let store = open(directory.path());
    assert_eq!(sorted(store.payloads.entrusted()), [(segment(7, 1), vec![node(1)])]);
    assert!(store.results.held_by(|_, holders| holders.contains(&node(2))).is_empty());
    assert_eq!(store.results.held_by(|_, holders| holders == [node(3)]).len(), 1);
    // A list that lost a node may be equal to another from then on.
    store.results.put(&[record(doc(7, 2), 1, "")], &[node(1)]).await.unwrap();
    assert_eq!(store.results.held_by(|_, holders| holders == [node(1)]).len(), 2);
    assert!(store.size() > 200_000 / 2);
}

#[tokio::test]
async fn a_large_segment_is_written_in_parts() {
    let disk = Disk::new();
    let store = disk.open().unwrap();
    let before = disk.syncs();
    let mut chance = Seeded(1);
    let noise: Vec<u8> = (0..(5 << 20) / 2).flat_map(|_| chance.next().to_le_bytes()).collect();
    let bytes = payloads([&noise[..100], &noise[100..], b"end"]);
    store.payloads.put(segment(1, 0), bytes.clone(), Some(vec![node(1)])).await.unwrap();
    // 20 MiB in parts of 8, and whenever the file grows.
    assert!(disk.syncs() - before >= 3, "{}", disk.syncs() - before);
    assert!(store.payloads.get(segment(1, 0)).unwrap() == Some(bytes.to_payloads(segment(1, 0))));
    assert_eq!(store.payloads.document(doc(1, 2)).unwrap().unwrap(), "end");
    assert!(store.payloads.document(doc(1, 1)).unwrap().unwrap() == noise[100..]);
    // Random bytes fill the pages that they are given.
    assert!(disk.len().unwrap() < 2 * noise.len() as u64, "{}", disk.len().unwrap());
}

#[tokio::test]
async fn what_was_only_fetched_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.payloads.put(segment(1, 0), payloads(["a", "", "bc"]), None).await.unwrap();
    assert_eq!(store.payloads.document(doc(1, 2)).unwrap().unwrap(), "bc");
    assert_eq!(store.payloads.document(doc(1, 3)).unwrap(), None);
    assert_eq!(store.payloads.get(segment(1, 0)).unwrap().unwrap().len(), 3);
    assert!(store.payloads.entrusted().is_empty() && store.payloads.holders(segment(1, 0)).is_none());
    drop(store);
    assert_eq!(open(directory.path()).payloads.get(segment(1, 0)).unwrap(), None);
}

#[tokio::test]
async fn a_batch_that_is_removed_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for batch in [1, 2] {
        for number in 0..3 {
            let bytes = payloads([vec![number as u8; 100_000], b"x".to_vec()]);
            store.payloads.put(segment(batch, number), bytes, Some(vec![node(1)])).await.unwrap();
            store.results.put(&[record(doc(batch, 4096 * number), 1, "out")], &[node(1)]).await.unwrap();
        }
        store.payloads.put(segment(batch, 9), payloads(["fetched"]), None).await.unwrap();
    }
    store.payloads.remove_batch(BatchId(1));
    assert_eq!(store.payloads.get(segment(1, 0)).unwrap(), None);
    assert_eq!(store.payloads.document(doc(1, 9 * 4096)).unwrap(), None);
    assert_eq!(store.results.of_batch(BatchId(1)).len(), 3, "results are another thing");
    store.results.remove_batch(BatchId(1));
    assert_eq!(store.results.get(doc(1, 0)).unwrap(), None);
    // It may come again.
    store.results.put(&[record(doc(1, 4096), 1, "again")], &[node(1)]).await.unwrap();
    drop(store);
    let store = open(directory.path());
    assert_eq!(store.payloads.entrusted().len(), 3);
    assert_eq!(store.results.held_by(|_, _| true).len(), 4);
    assert_eq!(store.results.get(doc(1, 4096)).unwrap(), Some(record(doc(1, 4096), 1, "again")));
    let left = store.shared().database.read(|txn| {
        let results = txn.open_table(tables::RESULTS)?;
        let blocks = txn.open_table(tables::BLOCKS)?;
        use redb::ReadableTableMetadata;
        Ok((results.len()?, blocks.len()?))
    });
    assert_eq!(left.unwrap(), (4, 6));
}

#[tokio::test]
async fn a_result_that_comes_again_tells_who_has_it_now() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let (two, three) = ([node(1), node(2)], [node(1), node(2), node(3)]);
    let [first, other] = [0, 1].map(|number| record(doc(1, number), 1, "out"));
    store.results.put(&[first.clone(), other.clone()], &two).await.unwrap();
    store.results.put(std::slice::from_ref(&first), &three).await.unwrap();
    // One that loses tells nothing: it is of another run.
    let loses = ResultRecord { outcome: Outcome::Failed, ..other.clone() };
    store.results.put(&[loses], &three).await.unwrap();
    let check = |store: &Store| {
        let held = store.results.held_by(|_, _| true);
        assert_eq!(held, [(doc(1, 0), Arc::from(three)), (doc(1, 1), Arc::from(two))]);
        assert_eq!(store.results.get(doc(1, 0)).unwrap(), Some(first.clone()));
        assert_eq!(store.results.get(doc(1, 1)).unwrap(), Some(other.clone()));
    };
    check(&store);
    drop(store);
    check(&open(directory.path()));
}

#[tokio::test]
async fn what_is_given_up_is_gone_and_may_come_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let both = [node(1), node(2)];
    let bytes = || payloads([vec![1; 100_000], b"x".to_vec()]);
    for number in [0, 1] {
        store.payloads.put(segment(1, number), bytes(), Some(both.to_vec())).await.unwrap();
    }
    let docs = [0, 1, 2, 4095, 4096, u32::MAX];
    let records: Vec<ResultRecord> = docs.iter().map(|number| record(doc(1, *number), 1, "out")).collect();
    store.results.put(&records, &both).await.unwrap();
    assert!(store.payloads.document(doc(1, 1)).unwrap().is_some(), "its block is in the cache");
    let last = segment(1, u32::MAX / 4096);
    assert_eq!(store.segments().into_iter().collect::<Vec<_>>(), [segment(1, 0), segment(1, 1), last]);
    assert_eq!(store.results.of_segment(segment(1, 0)).len(), 1);
    assert_eq!(store.results.of_segment(segment(1, 0))[0].1.len(), 4);
    let some: DocSet = [0, 2, 7, 4096].into_iter().map(DocNumber).collect();
    assert_eq!(store.release(segment(1, 0), true, &some), Some((1, 2)), "what is of another segment stays");
    assert_eq!(store.release(segment(1, 0), true, &some), Some((0, 0)), "once");

    let check = |store: &Store| {
        assert_eq!(store.payloads.get(segment(1, 0)).unwrap(), None);
        assert_eq!(store.payloads.document(doc(1, 1)).unwrap(), None);
        assert!(store.payloads.get(segment(1, 1)).unwrap().is_some());
        assert_eq!(store.results.get(doc(1, 2)).unwrap(), None);
        assert_eq!(store.results.count(), 4);
        for number in [1, 4095, 4096, u32::MAX] {
            assert!(store.results.get(doc(1, number)).unwrap().is_some(), "{number}");
        }
        assert_eq!(store.corrupt_reads(), 0);
    };
    check(&store);
    drop(store);
    let store = open(directory.path());
    check(&store);
    let left = store.shared().database.read(|txn| {
        use redb::ReadableTableMetadata;
        let rows = (txn.open_table(tables::RESULTS)?.len()?, txn.open_table(tables::SEGMENTS)?.len()?);
        Ok((rows, txn.open_table(tables::BLOCKS)?.len()?))
    });
    assert_eq!(left.unwrap(), ((4, 1), 2), "and its room is given back");
    // It comes again at the moment when it goes.
    assert_eq!(store.release(segment(1, 1), true, &[4096].into_iter().map(DocNumber).collect()), Some((1, 1)));
    let put = store.payloads.put(segment(1, 1), bytes(), Some(both.to_vec()));
    let (put, again) = tokio::join!(put, async { store.results.put(&records, &both).await });
    assert!(put.is_ok() && again.is_ok());
    drop(store);
    let store = open(directory.path());
    assert_eq!(store.payloads.get(segment(1, 1)).unwrap(), Some(bytes().to_payloads(segment(1, 1))));
    assert_eq!(store.results.count(), 6);
    assert!(docs.iter().all(|number| store.results.get(doc(1, *number)).unwrap().is_some()));
}

#[tokio::test]
async fn what_somebody_relies_on_is_not_given_up() {
    let directory = tempfile::tempdir().unwrap();
    let (place, other) = (segment(1, 0), segment(1, 1));
    let docs: DocSet = [0, 4096].into_iter().map(DocNumber).collect();
    let put = async |store: &Store, place: SegmentId| {
        store.payloads.put(place, payloads(["x"]), Some(vec![node(1)])).await.unwrap();
        store.results.put(&[record(doc(1, place.segment.0 * 4096), 1, "")], &[node(1)]).await.unwrap();
    };
    let relied = || Store::open(directory.path(), StoreOptions::default(), Arc::new(Heard::default())).unwrap();
    let store = relied();
    put(&store, place).await;
    put(&store, other).await;
    assert_eq!(store.release(place, true, &docs), None, "it has only just been put");
    drop(store);
    let store = relied();
    store.rely(place);
    assert_eq!(store.release(place, true, &docs), None, "somebody was told of it");
    // It is held already, and is not written again: whoever sends it relies on it all the same.
    store.results.put(&[record(doc(1, 4096), 1, "")], &[node(1)]).await.unwrap();
    assert_eq!(store.release(other, true, &docs), None);
    assert_eq!((store.payloads.entrusted().len(), store.results.count()), (2, 2));
    drop(store);
    assert_eq!(relied().release(other, true, &docs), Some((1, 1)), "after a restart, of which its owner must know");
}

#[tokio::test]
async fn the_result_that_stays_is_that_of_the_outcome_that_stays() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let all: Vec<ResultRecord> = [Outcome::Done, Outcome::Failed, Outcome::Cancelled]
        .into_iter()
        .flat_map(|outcome| (1..3).map(move |epoch| ResultRecord { outcome, ..record(doc(0, 0), epoch, "") }))
        .flat_map(|record| [1, 2].map(|number| ResultRecord { node: node(number), ..record.clone() }))
        .collect();
    for (batch, (first, second)) in
        (1..).zip(all.iter().flat_map(|first| all.iter().map(move |second| (first, second))))
    {
        let (first, second) = (
            ResultRecord { doc: doc(batch, 0), ..first.clone() },
            ResultRecord { doc: doc(batch, 0), ..second.clone() },
        );
        let wins = if writer::entry(&first).compare(&writer::entry(&second)).is_ge() { &first } else { &second };
        // One after the other, and in one transaction.
        store.results.put(std::slice::from_ref(&first), &[node(1)]).await.unwrap();
        store.results.put(std::slice::from_ref(&second), &[node(2)]).await.unwrap();
        assert_eq!(store.results.get(doc(batch, 0)).unwrap().as_ref(), Some(wins));
        let elsewhere = |record: &ResultRecord| ResultRecord { doc: doc(batch, 1), ..record.clone() };
        store.results.put(&[elsewhere(&first), elsewhere(&second)], &[node(1)]).await.unwrap();
        assert_eq!(store.results.get(doc(batch, 1)).unwrap(), Some(elsewhere(wins)));
    }
    // A later success counts more than an earlier failure, and its holders are those that count.
    let failed = ResultRecord { outcome: Outcome::Failed, ..record(doc(0, 5), 1, "failed") };
    store.results.put(&[failed], &[node(1)]).await.unwrap();
    store.results.put(&[record(doc(0, 5), 4, "done")], &[node(2)]).await.unwrap();
    store.results.put(&[record(doc(0, 5), 9, "late")], &[node(3)]).await.unwrap();
    assert_eq!(store.results.get(doc(0, 5)).unwrap(), Some(record(doc(0, 5), 4, "done")));
    let held: Vec<_> = store.results.held_by(|_, _| true).into_iter().filter(|(held, _)| *held == doc(0, 5)).collect();
    assert_eq!(held, [(doc(0, 5), Arc::from([node(2)]))]);
    // The same is still known after a restart.
    drop(store);
    let store = open(directory.path());
    store.results.put(&[record(doc(0, 5), 5, "later")], &[node(3)]).await.unwrap();
    store.results.put(&[record(doc(0, 5), 3, "earlier")], &[node(3)]).await.unwrap();
    assert_eq!(store.results.get(doc(0, 5)).unwrap(), Some(record(doc(0, 5), 3, "earlier")));
}

/// Holds the writing thread until it is let go.
struct Held(Mutex<std::sync::mpsc::Receiver<()>>);

impl Watcher for Held {
    fn synced(&self, _: u64) {
        self.0.lock().unwrap().recv().unwrap();
    }

    fn failed(&self, error: &str) {
        panic!("{error}");
    }

    fn recovered(&self) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_come_while_a_sync_is_in_progress_share_the_next() {
    let disk = Disk::new();
    let (release, held) = std::sync::mpsc::channel();
    let store = disk.open_as(StoreOptions::default(), Arc::new(Held(Mutex::new(held)))).unwrap();
    store.results.put(&[record(doc(1, 0), 1, "")], &[node(1)]).await.unwrap();
    let before = disk.writes();
    // The writing thread stands still once it has written this.
    store.journal.append(1, vec![1]);
    let puts = (1..200).map(|number| {
        let results = store.results.clone();
        async move { results.put(&[record(doc(1, number), 1, "")], &[node(1)]).await }
    });
    let mut puts = Box::pin(futures_util::future::join_all(puts));
    assert!(futures_util::poll!(&mut puts).is_pending());
    release.send(()).unwrap();
    puts.await.into_iter().for_each(|put| put.unwrap());
    assert_eq!(store.results.of_batch(BatchId(1)).len(), 200);
    // Each by itself would write five pages at least.
    assert!(disk.writes() - before < 200, "{}", disk.writes() - before);
}

#[tokio::test]
async fn a_write_waits_for_others_if_it_is_told_to() {
    let disk = Disk::new();
    // Longer than the test takes, however slow the machine: closing ends the wait.
    let options = StoreOptions { gather: Duration::from_secs(600), ..StoreOptions::default() };
    let heard = Arc::new(Heard::default());
    let store = disk.open_as(options, heard.clone()).unwrap();
    let before = disk.syncs();
    for number in 1..=10 {
        store.journal.append(number, vec![1]);
        // The writer would long have begun, if it did not wait.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    store.close();
    assert_eq!(heard.told().through, Some(10));
    // Closing has some of its own; one for each would be ten more.
    assert!(disk.syncs() - before < 10, "{} syncs", disk.syncs() - before);
}

#[test]
fn two_cannot_have_one_file() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let again = || Store::open(directory.path(), StoreOptions::default(), Arc::new(Heard::default()));
    let error = again().unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error:?}");
    assert!(error.to_string().contains("store.redb is in use"), "{error}");
    let other = store.clone();
    store.close();
    assert!(other.results.get(doc(1, 1)).is_ok_and(|found| found.is_none()));
    again().unwrap();
}

#[tokio::test]
async fn what_is_closed_refuses() {
    let store = Disk::new().open().unwrap();
    store.results.put(&[record(doc(1, 1), 1, "")], &[node(1)]).await.unwrap();
    store.close();
    let error = store.results.put(&[record(doc(1, 2), 1, "")], &[node(1)]).await.unwrap_err();
    assert!(error.to_string().contains("closed"), "{error}");
    assert!(store.results.get(doc(1, 1)).is_err(), "it is not gone, it cannot be read");
    store.journal.append(1, vec![]);
    store.close();
}

#[test]
fn a_newer_format_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    {
        let database = redb::Database::open(directory.path().join(FILE)).unwrap();
        let txn = database.begin_write().unwrap();
        let meta: redb::TableDefinition<&str, u32> = redb::TableDefinition::new("meta");
        txn.open_table(meta).unwrap().insert("format", tables::FORMAT + 3).unwrap();
        txn.commit().unwrap();
    }
    let error = Store::open(directory.path(), StoreOptions::default(), Arc::new(Heard::default())).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("store.redb has format 4, and this build knows formats up to 1"), "{text}");
    assert!(text.contains("run the newer build"), "{text}");
}

#[test]
fn a_file_that_is_none_of_ours_is_said_to_be_damaged() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(FILE), vec![7; 100_000]).unwrap();
    let error = Store::open(directory.path(), StoreOptions::default(), Arc::new(Heard::default())).unwrap_err();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
    assert!(error.to_string().contains("store.redb is damaged"), "{error}");
}

#[test]
fn an_empty_file_is_not_taken_for_a_new_one() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    std::fs::write(directory.path().join(FILE), "").unwrap();
    let error = Store::open(directory.path(), StoreOptions::default(), Arc::new(Heard::default())).unwrap_err();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
}

#[test]
fn what_a_crash_left_of_a_new_file_is_written_over() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(UNFINISHED), vec![0; 70_000]).unwrap();
    drop(open(directory.path()));
    let names: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [FILE]);
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = directory.path().join("nowhere");
    let error = Store::open(&nowhere, StoreOptions::default(), Arc::new(Heard::default())).unwrap_err();
    assert!(matches!(error, OpenError::Unusable { .. }) && error.to_string().contains("nowhere"), "{error}");
}
