//! Who is given what only this node has.

use evenkeel_core::ids::{BatchId, DocNumber, SegmentNumber};
use evenkeel_core::load::{Peer, View};
use evenkeel_core::units::Micros;
use evenkeel_core::{Input, Outbox};

use super::super::tests::{Side, record};
use super::*;
use crate::store::SegmentBytes;

/// Enough that each of two nodes is the first choice for some.
const BATCHES: u64 = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_a_leaving_node_has_goes_to_whoever_takes_it() {
    let a = Side::start("a", Vec::new()).await;
    let b = Side::start("b", vec![a.network.local_addr().to_string()]).await;
    a.meets(&b).await;
    let mut node = a.node();
    let mut payloads = SegmentBytes::default();
    assert!(payloads.push(b"one") && payloads.push(b"two"));
    let segment = |batch| SegmentId { batch: BatchId(batch), segment: SegmentNumber(0) };
    let doc = |batch| DocId { batch: BatchId(batch), number: DocNumber(1) };
    for batch in 0..BATCHES {
        a.store.payloads.put(segment(batch), payloads.clone(), Some(vec![a.me.node])).await.unwrap();
        a.store.results.put(&[ResultRecord { doc: doc(batch), ..record(&node) }], &[a.me.node]).await.unwrap();
    }
    let plan = Plan::new(a.me.node, 2, a.network.clone(), a.store.clone());
    assert!(plan.repair(Occasion::LeavingSole, &node).is_empty(), "there is nobody to ask");

    // Another is believed to live, and does not answer.
    let ghost = (NodeId([9; 16]), Peer { ..b.peer().1 });
    let view = View { live: [b.peer(), ghost].into() };
    node.step(Micros(1), Input::View(view), &mut Outbox::new());
    let missing = || plan.missing(&a.network.members().borrow(), &BTreeMap::new());
    assert_eq!(missing(), 2 * BATCHES as usize);
    let repair = plan.repair(Occasion::LeavingSole, &node);
    assert_eq!(repair.len(), 2 * BATCHES as usize);
    assert!(repair.run().await, "everything has found a place");
    assert_eq!(missing(), 0);
    for batch in 0..BATCHES {
        assert_eq!(b.store.payloads.get(segment(batch)).unwrap(), Some(payloads.to_payloads(segment(batch))));
        assert!(b.store.results.get(doc(batch)).unwrap().is_some());
    }
    assert!(plan.repair(Occasion::LeavingSole, &node).is_empty(), "nothing is here alone any more");
    // A second copy of each would be due, and only the ghost is left for it.
    let repair = plan.repair(Occasion::Leaving, &node);
    assert_eq!(repair.len(), 2 * BATCHES as usize);
    assert!(!repair.run().await);
    a.network.shutdown().await;
    b.network.shutdown().await;
}
