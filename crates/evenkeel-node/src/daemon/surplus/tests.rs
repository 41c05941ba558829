//! What a node that comes back gives up, and what it does not; between real networks and stores.

use evenkeel_core::batch::{Batch, BatchOptions};
use evenkeel_core::docset::DocSet;
use evenkeel_core::ids::{BatchId, DocId, DocNumber, SegmentNumber};
use evenkeel_core::load::{Peer, View};
use evenkeel_core::units::{Length, Micros};
use evenkeel_core::{Input, Outbox};
use evenkeel_net::records::{ResultRecord, SegmentId};
use tokio::sync::mpsc;

use super::super::tests::Side;
use super::*;
use crate::store::{SegmentBytes, Store};

const BATCH: BatchId = BatchId(1);
const SEGMENT: SegmentId = SegmentId { batch: BATCH, segment: SegmentNumber(0) };
const DOCUMENTS: u32 = 10;

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);

fn doc(number: u32) -> DocId {
    DocId { batch: BATCH, number: DocNumber(number) }
}

/// A node that knows the batch and these others.
fn knows(side: &Side, others: &[(NodeId, Peer)]) -> Node {
    let mut node = side.node();
    let batch = Batch {
        id: BATCH,
        submitter: side.me.node,
        submitted_unix_millis: 0,
        command: vec!["true".into()],
        options: BatchOptions::default(),
        documents: DOCUMENTS,
        retry_of: None,
    };
    let lengths = vec![Length(1); DOCUMENTS as usize];
    node.step(Micros(1), Input::Submit { batch, lengths }, &mut Outbox::new());
    node.step(Micros(2), Input::View(View { live: others.iter().cloned().collect() }), &mut Outbox::new());
    node
}

/// Answers what is asked of the core.
fn serve(side: &mut Side, node: Node) -> JoinHandle<()> {
    let mut received = std::mem::replace(&mut side.received, mpsc::unbounded_channel().1);
    tokio::spawn(async move {
        while let Some(order) = received.recv().await {
            if let Order::Ask(question) = order {
                question(&node);
            }
        }
    })
}

/// Payloads, and results of these documents, each of a run of this epoch.
async fn fill(store: &Store, results: impl Iterator<Item = (u32, u32)>) {
    let mut payloads = SegmentBytes::default();
    assert!((0..DOCUMENTS).all(|number| payloads.push(&[number as u8])));
    store.payloads.put(SEGMENT, payloads, Some(Vec::new())).await.unwrap();
    let records: Vec<ResultRecord> =
        results.map(|(number, epoch)| crate::store::tests::record(doc(number), epoch, "out")).collect();
    store.results.put(&records, &[]).await.unwrap();
}

fn set_holders(side: &Side, holders: &[NodeId]) {
    side.store.payloads.set_holders(SEGMENT, holders);
    side.store.results.set_holders((0..DOCUMENTS).map(doc), holders);
}

fn held(store: &Store) -> (usize, Vec<u32>) {
    let results = store.results.of_batch(BATCH);
    (store.payloads.entrusted().len(), results.iter().map(|number| number.0).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_been_made_up_for_goes_and_the_rest_stays() {
    let all = || 0..DOCUMENTS;
    let mut a = Side::start("a", Vec::new()).await;
    // Of two runs of a document the earlier one is kept: of 5 it is this node's, of 7 the others'.
    fill(&a.store, all().map(|number| (number, if number == 7 { 2 } else { 1 }))).await;
    let seeds = vec![a.network.local_addr().to_string()];
    let directory = tempfile::tempdir().unwrap();
    let store = crate::store::tests::open(directory.path());
    fill(&store, all().map(|number| (number, if number == 5 { 2 } else { 1 }))).await;
    drop(store);
    // What was put before the restart is not relied on any more.
    let store = crate::store::tests::open_relied(directory.path(), LONG);
    let b = Side::start_on("b", seeds.clone(), directory, store).await;
    let c = Side::start("c", seeds).await;
    // Only one of the others has a result of 6.
    fill(&c.store, all().filter(|number| *number != 6).map(|n| (n, if n == 5 { 2 } else { 1 }))).await;
    a.meets(&b).await;
    a.meets(&c).await;

    let ghost = NodeId([9; 16]);
    let others = [b.peer(), c.peer(), (ghost, b.peer().1)];
    let node = knows(&a, &others);
    let serving = serve(&mut a, node);
    let (ours, theirs) = ([a.me.node, b.me.node], [b.me.node, c.me.node]);
    let plan = Plan::new(a.me.node, 2, a.network.clone(), a.store.clone());
    let look = async || Look::new(plan.clone(), a.orders.clone()).run().await;
    let everything = (1, all().collect::<Vec<u32>>());

    // It counts as one of the copies.
    set_holders(&a, &ours);
    set_holders(&b, &ours);
    set_holders(&c, &theirs);
    assert!(!look().await, "all is as it should be");
    // The other copy is with somebody who does not answer.
    set_holders(&b, &[b.me.node, ghost]);
    assert!(look().await);
    // It has been made, and not everybody knows it.
    set_holders(&b, &[b.me.node]);
    set_holders(&c, &theirs);
    assert!(look().await);
    assert_eq!(held(&a.store), everything);

    set_holders(&b, &theirs);
    assert!(look().await, "5 and 6 are in the balance");
    assert_eq!(held(&a.store), (0, vec![5, 6]));
    assert_eq!(plan.given_up.load(std::sync::atomic::Ordering::Relaxed), 9);
    assert_eq!(held(&b.store), everything);
    assert_eq!((held(&c.store).0, held(&c.store).1.len()), (1, 9));
    // Now they rely on each other alone, and for a while neither gives anything up.
    let some = DocSet::from_iter([DocNumber(1)]);
    assert_eq!(b.store.release(SEGMENT, true, &some), None);
    assert!(look().await, "and there is nothing more to give up");
    assert_eq!(held(&a.store), (0, vec![5, 6]));

    serving.abort();
    for side in [a, b, c] {
        side.network.shutdown().await;
    }
}
