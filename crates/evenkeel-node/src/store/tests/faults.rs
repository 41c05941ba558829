//! Disks that are full or broken for a while: who waits is told, nothing that was promised is lost, and it goes on after.

use std::io::ErrorKind;

use super::*;

/// What happens to a disk.
type Fault = fn(&Disk);

/// What a disk does for a while.
const FAULTS: [(&str, Fault); 4] = [
    ("is full", Disk::fills_up),
    ("takes nothing, as a full one", |disk| disk.refuses(ErrorKind::StorageFull)),
    ("takes nothing", |disk| disk.refuses(ErrorKind::PermissionDenied)),
    ("does not sync", Disk::fails_to_sync),
];

fn large(number: u32) -> ResultRecord {
    record(doc(1, number), 1, Seeded(u64::from(number)).bytes(400_000))
}

/// Puts large results until one fails.
async fn until_it_fails(store: &Store, first: u32) -> (u32, std::io::Error) {
    for number in first..first + 1000 {
        if let Err(error) = store.results.put(&[large(number)], &[node(1)]).await {
            return (number, error);
        }
    }
    panic!("the disk takes everything");
}

/// All of these can be read, though not at every instant: not while the database is opened again.
fn holds(store: &Store, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let mut found = None;
        eventually(|| match store.results.get(doc(1, number)) {
            Ok(result) => {
                found = result;
                true
            }
            Err(_) => false,
        });
        assert_eq!(found, Some(large(number)), "{number}");
    }
}

#[tokio::test]
async fn a_disk_that_fails_and_recovers() {
    for here in [true, false] {
        for (name, fault) in FAULTS {
            let (disk, heard) = (Disk::new(), Arc::new(Heard::default()));
            let store = disk.open_with(here, heard.clone()).unwrap();
            store.journal.append(1, b"one".to_vec());
            for number in 0..5 {
                store.results.put(&[large(number)], &[node(1)]).await.unwrap();
            }
            assert_eq!(heard.told(), Told { through: Some(1), ..Told::default() });

            fault(&disk);
            store.journal.append(2, vec![2; 3_000_000]);
            let (failed, _) = until_it_fails(&store, 5).await;
            let error = store.results.put(&[large(failed)], &[node(1)]).await.unwrap_err();
            assert!(error.to_string().contains("until the disk is well again"), "{name}: {error}");
            let trouble = store.health().trouble().unwrap();
            assert!(trouble.contains("a simulated disk"), "{name}: {trouble}");
            assert_eq!((heard.told().failures.len(), heard.told().recoveries), (1, 0), "{name}");
            store.journal.append(3, b"three".to_vec());
            // The disk follows later.
            store.results.set_holders([doc(1, 0)], &[node(7)]);
            store.payloads.remove_batch(BatchId(8));
            assert!(!store.results.of_batch(BatchId(1)).contains(DocNumber(failed)), "{name}");
            // Whatever the disk takes, it can be read.
            holds(&store, 0..failed);
            // Whatever the power cut now leaves holds what was acknowledged.
            let mut chance = Seeded(7);
            for share in [0, 1, 2] {
                let left = Disk::holding(disk.cut(|| chance.below(2) < share));
                let after =
                    left.open_with(true, Arc::new(Heard::default())).unwrap_or_else(|error| panic!("{name}: {error}"));
                holds(&after, 0..failed);
                assert_eq!(entries(&after).unwrap().first(), Some(&(1, b"one".to_vec())), "{name}");
            }

            disk.is_well_again();
            if here {
                // Somebody has to come for it.
                let _ = store.results.put(&[large(failed)], &[node(1)]).await;
            }
            eventually(|| heard.told().recoveries == 1);
            assert_eq!(store.health().trouble(), None, "{name}");
            holds(&store, 0..failed);
            // Who does not know that the third is lost must not write behind it.
            store.journal.append(4, b"lost".to_vec());
            store.journal.forget(3);
            store.journal.resume();
            store.journal.append(4, b"four".to_vec());
            store.results.put(&[large(failed)], &[node(1)]).await.unwrap();
            holds(&store, 0..failed + 1);
            assert_eq!(heard.told().through, Some(4));
            // The power fails right after.
            drop(Disk::holding(disk.cut(|| false)).open_with(true, Arc::new(Heard::default())).unwrap());
            drop(store);
            let store = Disk::holding(disk.cut(|| false)).open_with(true, Arc::new(Heard::default())).unwrap();
            holds(&store, 0..failed + 1);
            let numbers: Vec<u64> = entries(&store).unwrap().into_iter().map(|(number, _)| number).collect();
            // The second was written or not; the third came when nothing was.
            assert!(numbers == [1, 4] || numbers == [1, 2, 4], "{name}: {numbers:?}");
            assert_eq!(store.results.held_by(|_, holders| holders == [node(7)]).len(), 1, "{name}");
            assert_eq!(store.corrupt_reads(), 0, "{name}");
        }
    }
}

#[tokio::test]
async fn those_who_wait_are_all_told() {
    let disk = Disk::new();
    let store = disk.open().unwrap();
    store.results.put(&[large(0)], &[node(1)]).await.unwrap();
    disk.refuses(ErrorKind::StorageFull);
    // More than the queue has room for.
    let puts = (1..300).map(|number| {
        let results = store.results.clone();
        async move { results.put(&[large(number)], &[node(1)]).await }
    });
    for put in futures_util::future::join_all(puts).await {
        put.unwrap_err();
    }
    let put = store.payloads.put(segment(1, 1), payloads(["a"]), Some(vec![node(1)])).await;
    assert!(put.is_err() && store.payloads.entrusted().is_empty());
}
