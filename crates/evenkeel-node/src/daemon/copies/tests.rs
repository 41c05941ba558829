//! What becomes of a result that its own node cannot write down, and of what a lost node had.

use evenkeel_core::ids::{BatchId, Generation, Origin, SegmentNumber};
use evenkeel_core::load::View;
use evenkeel_core::settings::Settings;
use evenkeel_core::units::Micros;
use evenkeel_core::{Input, Node, Outbox};
use evenkeel_net::records::{Captured, SegmentId};

use super::super::tests::{LONG, Side, record};
use super::*;
use crate::store::SegmentBytes;
use crate::store::tests::Disk;

/// What a courier, or time, has to tell next.
async fn next(side: &mut Side) -> Order {
    let tells = async {
        loop {
            match side.received.recv().await {
                Some(order @ (Order::Copied { .. } | Order::Homeless { .. })) => return order,
                Some(_) => {}
                None => panic!("the orders have ended"),
            }
        }
    };
    tokio::time::timeout(LONG, tells).await.expect("an order in time")
}

#[test]
fn groups_are_bounded_in_bytes_and_large_ones_have_longer() {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let node = Node::new(Origin { node: NodeId([1; 16]), generation: Generation(1) }, Settings::default(), false, 1);
    let sized = |bytes: usize| {
        let stdout = Captured { bytes: vec![0; bytes].into(), dropped: 0 };
        (Arc::new(ResultRecord { stdout, ..record(&node) }), Vec::new())
    };
    let sizes = [1 << 20, 3 << 20, 100, 16 << 20, 100].into_iter().chain([0; 600]);
    sizes.for_each(|bytes| sender.send(sized(bytes)).unwrap());
    let mut groups = Vec::new();
    while let Ok(first) = receiver.try_recv() {
        let mut group = Vec::new();
        let bytes = gather(&mut group, first, &mut receiver);
        groups.push((group.len(), bytes));
    }
    assert_eq!(groups, [(2, 4 << 20), (2, (16 << 20) + 100), (256, 100), (256, 0), (89, 0)]);
    assert_eq!(patience(0), PATIENCE);
    assert_eq!(patience(32 << 20), PATIENCE + Duration::from_secs(32));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_that_its_node_cannot_write_gets_a_copy_elsewhere() {
    let mut a = Side::start("a", Vec::new()).await;
    let b = Side::start("b", vec![a.network.local_addr().to_string()]).await;
    a.meets(&b).await;

    let disk = Disk::new();
    let broken = disk.open().unwrap();
    disk.refuses(std::io::ErrorKind::StorageFull);
    let mut node = a.node();
    let record = record(&node);
    // One copy would do, and it cannot be here.
    let mut copies = Copies::new(&node, 1, a.network.clone(), broken.clone(), a.orders.clone(), Duration::ZERO);
    copies.keep(record.clone(), &node);

    // Nobody else is known yet. Then somebody is.
    let Order::Copied { doc, epoch, to, success } = next(&mut a).await else { panic!("its own disk is told of") };
    assert_eq!((to, success), (a.me.node, false));
    assert!(broken.health().trouble().is_some(), "and the node says why");
    assert_eq!(copies.copied(doc, epoch, to, success, &node), None, "a result that is nowhere is not kept");
    let Order::Homeless { doc, epoch } = next(&mut a).await else { panic!("it is tried again") };
    let view = View { live: [b.peer()].into() };
    node.step(Micros(1), Input::View(view), &mut Outbox::new());
    copies.again(doc, epoch, &node);
    let mut told = Vec::new();
    let kept = loop {
        let Order::Copied { doc, epoch, to, success } = next(&mut a).await else { panic!("a copy is made") };
        told.push((to, success));
        if let Some(kept) = copies.copied(doc, epoch, to, success, &node) {
            break kept;
        }
    };
    assert_eq!(told, [(a.me.node, false), (b.me.node, true)]);
    assert_eq!(*kept, record);
    assert_eq!(b.store.results.get(doc).unwrap(), Some(record));
    a.network.shutdown().await;
    b.network.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_lost_node_had_gets_another_copy() {
    let mut a = Side::start("a", Vec::new()).await;
    let b = Side::start("b", vec![a.network.local_addr().to_string()]).await;
    a.meets(&b).await;
    let mut node = a.node();
    let (record, gone) = (record(&node), NodeId([9; 16]));
    let segment = SegmentId { batch: BatchId(1), segment: SegmentNumber(0) };
    let mut payloads = SegmentBytes::default();
    assert!(payloads.push(b"one"));
    a.store.payloads.put(segment, payloads, Some(vec![a.me.node, gone])).await.unwrap();
    a.store.results.put(std::slice::from_ref(&record), &[gone, a.me.node]).await.unwrap();
    let mut copies = Copies::new(&node, 2, a.network.clone(), a.store.clone(), a.orders.clone(), Duration::ZERO);
    node.step(Micros(1), Input::View(View { live: [b.peer()].into() }), &mut Outbox::new());
    copies.lost(gone, &node);
    let all = async {
        loop {
            if let Order::Repaired { all } = a.received.recv().await.expect("the orders go on") {
                return all;
            }
        }
    };
    assert!(tokio::time::timeout(LONG, all).await.expect("a repair in time"), "everything has found a place");
    assert!(b.store.payloads.get(segment).unwrap().is_some());
    assert_eq!(b.store.results.get(record.doc).unwrap(), Some(record));
    a.network.shutdown().await;
    b.network.shutdown().await;
}
