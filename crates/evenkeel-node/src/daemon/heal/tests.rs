//! What is damaged here, and whole elsewhere.

use evenkeel_core::ids::{BatchId, DocId, DocNumber, SegmentNumber};
use evenkeel_net::records::{Captured, ResultRecord, SegmentId};

use super::super::tests::{Side, record};
use super::*;
use crate::store::FILE;

const SEGMENT: SegmentId = SegmentId { batch: BatchId(1), segment: SegmentNumber(0) };
const MARK: &[u8] = b"these bytes are looked for in the file";

fn doc(number: u32) -> DocId {
    DocId { batch: BatchId(1), number: DocNumber(number) }
}

fn marked(record: ResultRecord, number: u32) -> ResultRecord {
    ResultRecord { doc: doc(number), stdout: Captured { bytes: MARK.into(), dropped: 0 }, ..record }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_damaged_comes_back_from_whoever_has_it() {
    let b = Side::start("b", Vec::new()).await;
    let like = record(&b.node());
    let mut payloads = SegmentBytes::default();
    assert!(payloads.push(MARK));

    // Of these results another node has the first, nobody the second, and perhaps a node that is away the third.
    let directory = tempfile::tempdir().unwrap();
    let away = NodeId([9; 16]);
    {
        let store = crate::store::tests::open(directory.path());
        store.payloads.put(SEGMENT, payloads.clone(), Some(vec![b.me.node])).await.unwrap();
        for (number, holders) in [(1, vec![b.me.node]), (2, vec![b.me.node]), (3, vec![away])] {
            store.results.put(&[marked(like.clone(), number)], &holders).await.unwrap();
        }
    }
    let path = directory.path().join(FILE);
    let mut bytes = std::fs::read(&path).unwrap();
    let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(MARK)).collect();
    assert!(places.len() >= 4);
    places.into_iter().for_each(|at| bytes[at] ^= 1);
    std::fs::write(&path, bytes).unwrap();

    let store = crate::store::tests::open(directory.path());
    let a = Side::start_on("a", vec![b.network.local_addr().to_string()], directory, store).await;
    a.meets(&b).await;
    b.store.payloads.put(SEGMENT, payloads.clone(), Some(vec![a.me.node, b.me.node])).await.unwrap();
    b.store.results.put(&[marked(like.clone(), 1)], &[a.me.node, b.me.node]).await.unwrap();

    assert_eq!(a.store.payloads.get(SEGMENT).unwrap(), None);
    for number in 1..=3 {
        assert_eq!(a.store.results.get(doc(number)).unwrap(), None);
    }
    let healer = Healer { me: a.me.node, network: a.network.clone(), store: a.store.clone() };
    let later = healer.heal(a.store.damaged().await).await;
    assert_eq!(later.iter().map(|damaged| damaged.item).collect::<Vec<_>>(), [Item::Result(doc(3))]);
    assert_eq!(a.store.payloads.get(SEGMENT).unwrap(), Some(payloads.to_payloads(SEGMENT)));
    assert_eq!(a.store.payloads.holders(SEGMENT).as_deref(), Some([b.me.node].as_slice()));
    assert_eq!(a.store.results.get(doc(1)).unwrap(), Some(marked(like.clone(), 1)));
    assert_eq!(a.store.results.get(doc(2)).unwrap(), None);

    // Whoever was away is back, and has it.
    b.store.results.put(&[marked(like.clone(), 3)], &[a.me.node, b.me.node]).await.unwrap();
    assert_eq!(healer.heal(later).await, []);
    assert_eq!(a.store.results.get(doc(3)).unwrap(), Some(marked(like, 3)));
    a.network.shutdown().await;
    b.network.shutdown().await;
}
